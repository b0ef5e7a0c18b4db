show() { "$PYTHON" "$SCRIPTS/page.py" "$1" > "$FILE"; }

case $1 in
version) chromium --version 2> /dev/null | cut -d " " -f 2 ;;
"an image")
  show "const image = new Image();
    image.onload = () => say('width ' + image.naturalWidth); image.onerror = () => say('broken');
    image.src = '$URL'"
  ;;
"a font of another origin")
  show "new FontFace('b2o', 'url($URL)').load().then(() => say('loaded'), error => say(error.message))"
  ;;
"fetch with Range")
  show "fetch('$URL', {headers: {Range: 'bytes=100-299'}}).then(async answer =>
    say(answer.status + ' ' + (await answer.arrayBuffer()).byteLength), error => say(error.message))"
  ;;
"a video, seek to its end")
  show "const video = document.createElement('video'); video.muted = true;
    video.onerror = () => say(video.error.message);
    video.onloadedmetadata = () => { video.currentTime = 9 };
    video.onseeked = () => say('at ' + video.currentTime);
    video.src = '$URL'"
  ;;
esac
