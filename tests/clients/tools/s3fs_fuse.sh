case $1 in
version) s3fs --version | head -n 1 | sed 's/.* V\([0-9.]*\).*/\1/' ;;
"mount, then cat" | "mount, then stat")
  mkdir mount
  export AWSACCESSKEYID="$AWS_ACCESS_KEY_ID" AWSSECRETACCESSKEY="$AWS_SECRET_ACCESS_KEY"
  s3fs "$BUCKET" mount -o "url=http://$GATEWAY" -o use_path_request_style
  trap 'fusermount -u mount' EXIT
  case $1 in
  *cat) cat "mount/$KEY" > "$FILE" ;;
  *) stat --format %s "mount/$KEY" > "$FILE" ;;
  esac
  ;;
esac
