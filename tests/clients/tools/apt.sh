case $1 in
version) apt-get --version | head -n 1 | cut -d ' ' -f 2 ;;
"update, then download")
  mkdir -p root/etc/apt/preferences.d root/var/lib/apt/lists/partial root/var/cache/apt/archives/partial
  mkdir -p root/var/lib/dpkg root/etc/apt/apt.conf.d root/etc/apt/sources.list.d
  touch root/var/lib/dpkg/status
  echo "deb [trusted=yes] http://$GATEWAY/$BUCKET/${PREFIX}debian ./" > root/etc/apt/sources.list
  apt() { apt-get -o Dir="$PWD/root" -o Dir::State::status="$PWD/root/var/lib/dpkg/status" \
    -o APT::Sandbox::User=root -o Acquire::http::Proxy=DIRECT "$@"; }
  apt update
  apt download b2o-demo
  mv ./*.deb "$FILE"
  ;;
esac
