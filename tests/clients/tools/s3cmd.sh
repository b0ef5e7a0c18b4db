s3cmd() {
  "$PYTHON" "$TOOL/bin/s3cmd" --config /dev/null --no-ssl --host "$GATEWAY" --host-bucket "$GATEWAY" \
    --access_key "$AWS_ACCESS_KEY_ID" --secret_key "$AWS_SECRET_ACCESS_KEY" "$@"
}

case $1 in
get) s3cmd get "s3://$BUCKET/$KEY" "$FILE" ;;
"get --continue")
  cp "$HALF" "$FILE"
  s3cmd get --continue "s3://$BUCKET/$KEY" "$FILE"
  ;;
esac
