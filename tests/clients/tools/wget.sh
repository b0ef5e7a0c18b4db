case $1 in
version) wget --version | head -n 1 | cut -d ' ' -f 3 ;;
"no option") wget "$URL" && mv -- * "$FILE" ;;
-c)
  # As it names a file itself, so that it finds what is there.
  cp "$HALF" "${KEY##*/}"
  wget -c "$URL" && mv -- * "$FILE"
  ;;
-N) wget -N "$URL" && mv -- * "$FILE" ;;
--spider)
  wget --spider "$URL" 2> said
  sed -n 's/^Length: \([0-9]*\).*/\1/p; s/^Length: unspecified.*/unspecified/p' said > "$FILE"
  ;;
esac
