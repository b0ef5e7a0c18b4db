aws() { "$PYTHON" -m awscli --endpoint-url "http://$GATEWAY" "$@"; }

case $1 in
"s3 cp") aws s3 cp "s3://$BUCKET/$KEY" "$FILE" ;;
"s3api get-object") aws s3api get-object --bucket "$BUCKET" --key "$KEY" "$FILE" ;;
"s3api get-object --range")
  aws s3api get-object --bucket "$BUCKET" --key "$KEY" --range bytes=100-299 "$FILE"
  ;;
"s3api head-object")
  aws s3api head-object --bucket "$BUCKET" --key "$KEY" \
    --query '[ContentLength, LastModified, ETag]' --output text > said
  ! grep -q None said
  cut -f 1 said > "$FILE"
  ;;
"s3 presign, then curl")
  curl --fail --silent --show-error -o "$FILE" "$(aws s3 presign "s3://$BUCKET/$KEY")"
  ;;
esac
