export RCLONE_CONFIG_B2O_TYPE=s3 RCLONE_CONFIG_B2O_PROVIDER=Other RCLONE_CONFIG_B2O_ENV_AUTH=true
export RCLONE_CONFIG_B2O_ENDPOINT="http://$GATEWAY" RCLONE_CONFIG_B2O_REGION=us-east-1

case $1 in
version) rclone version | head -n 1 | cut -d ' ' -f 2 ;;
copyto) rclone copyto "b2o:$BUCKET/$KEY" "$FILE" ;;
"copy --files-from" | "copy --files-from --no-traverse")
  printf '%s\n' "${KEY#"$PREFIX"}" > list
  # What the name of the operation says, word by word.
  rclone copy ${1#copy --files-from} --files-from-raw list "b2o:$BUCKET/${PREFIX%/}" there
  mv "there/${KEY#"$PREFIX"}" "$FILE"
  ;;
cat) rclone cat "b2o:$BUCKET/$KEY" > "$FILE" ;;
"cat --offset --count") rclone cat --offset 100 --count 200 "b2o:$BUCKET/$KEY" > "$FILE" ;;
esac
