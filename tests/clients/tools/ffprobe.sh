case $1 in
version) ffprobe -version | head -n 1 | cut -d ' ' -f 3 ;;
"duration of an mp4 with its index at the end")
  ffprobe -loglevel warning -show_entries format=duration -of csv=p=0 "$URL" > "$FILE"
  ;;
"a picture from its end")
  ffmpeg -loglevel warning -ss 9 -i "$URL" -frames:v 1 picture.png
  [ -s picture.png ] && echo there > "$FILE"
  ;;
esac
