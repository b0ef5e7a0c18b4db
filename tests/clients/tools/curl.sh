case $1 in
version) curl --version | cut -d ' ' -f 2 | head -n 1 ;;
-O) curl -O "$URL" && mv -- * "$FILE" ;;
-I)
  curl -I "$URL" | tr -d '\r' > said
  grep -qi '^last-modified: ' said
  grep -qi '^etag: ' said
  grep -qi '^accept-ranges: bytes$' said
  sed -n 's/^content-length: //Ip' said > "$FILE"
  ;;
"-C -")
  cp "$HALF" "$FILE"
  curl -C - -o "$FILE" "$URL"
  ;;
"-r 100-299") curl -r 100-299 -o "$FILE" "$URL" ;;
"-z, changed since") curl -z "1 Jan 2020" -o "$FILE" "$URL" ;;
"-z, not changed since") curl -z "$(date -uR)" -o "$FILE" "$URL" ;;
--compressed) curl --compressed -o "$FILE" "$URL" ;;
--http2-prior-knowledge) curl --http2-prior-knowledge -o "$FILE" "$URL" ;;
esac
