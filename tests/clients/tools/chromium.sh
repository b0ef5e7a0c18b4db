# A page of another origin; what it finds is its body.
show() {
  cat > page.html <<END
<!DOCTYPE html><body>not yet<script>
const say = text => { document.body.textContent = text }
$1
</script>
END
  # Chromium talks to a bus and a graphics card that are not there.
  chromium --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" \
    --virtual-time-budget=20000 --dump-dom "file://$PWD/page.html" > dom 2> errors
  sed -n 's/.*<body>\([^<]*\).*/\1/p' dom | tr -d '\n' > "$FILE"
}

case $1 in
version) chromium --version 2> errors | cut -d ' ' -f 2; rm errors ;;
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
