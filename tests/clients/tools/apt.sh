case $1 in
version) apt-get --version | head -n 1 | cut -d ' ' -f 2 ;;
"update, then download")
  mkdir -p tree/etc/apt/preferences.d tree/var/lib/apt/lists/partial tree/var/cache/apt/archives/partial
  mkdir -p tree/var/lib/dpkg tree/etc/apt/apt.conf.d tree/etc/apt/sources.list.d
  touch tree/var/lib/dpkg/status
  echo "deb [trusted=yes] http://$GATEWAY/$BUCKET/${PREFIX}debian ./" > tree/etc/apt/sources.list
  apt() { apt-get -o Dir="$PWD/tree" -o Dir::State::status="$PWD/tree/var/lib/dpkg/status" \
    -o APT::Sandbox::User=root -o Acquire::http::Proxy=DIRECT "$@"; }
  apt update
  apt download b2o-demo
  mv ./*.deb "$FILE"
  ;;
esac
