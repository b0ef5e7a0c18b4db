case $1 in
version) curl --version | cut -d ' ' -f 2 | head -n 1 ;;
--aws-sigv4)
  curl --fail --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -o "$FILE" "$URL"
  ;;
esac
