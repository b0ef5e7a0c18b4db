case $1 in
version) docker-registry --version | sed 's/.* \([0-9][0-9.]*\).*/\1/' ;;
"push, then pull")
  port=$("$PYTHON" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat > config.yml << END
version: 0.1
http: { addr: "127.0.0.1:$port" }
storage:
  s3:
    regionendpoint: http://$GATEWAY
    region: us-east-1
    bucket: $BUCKET
    accesskey: $AWS_ACCESS_KEY_ID
    secretkey: $AWS_SECRET_ACCESS_KEY
    secure: false
    rootdirectory: /${PREFIX}registry
END
  docker-registry serve config.yml > log 2>&1 &
  trap "kill $!" EXIT
  registry="http://127.0.0.1:$port/v2"
  curl -s --retry 10 --retry-connrefused -o /dev/null "$registry/"
  # The layer is an object that the bucket lacks.
  curl -sSf --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -o layer "$URL"
  digest="sha256:$(sha256sum layer | cut -d ' ' -f 1)"
  type=application/vnd.docker.distribution.manifest.v2+json
  descriptor="{\"mediaType\":\"application/octet-stream\",\"size\":$(stat --format %s layer),\"digest\":\"$digest\"}"
  echo "{\"schemaVersion\":2,\"mediaType\":\"$type\",\"config\":$descriptor,\"layers\":[$descriptor]}" > manifest
  place() { tr -d '\r' | sed -n 's/^location: //Ip'; }
  upload=$(curl -sSf -i -X POST "$registry/demo/blobs/uploads/" | place)
  upload=$(curl -sSf -i -X PATCH -H 'content-type: application/octet-stream' --data-binary @layer "$upload" | place)
  curl -sSf -X PUT "$upload&digest=$digest"
  curl -sSf -X PUT -H "content-type: $type" --data-binary @manifest "$registry/demo/manifests/latest"
  curl -sSf -H "accept: $type" "$registry/demo/manifests/latest" | cmp - manifest
  # By a presigned URL of the bucket's, as docker itself.
  curl -sSf -L -o "$FILE" "$registry/demo/blobs/$digest"
  ;;
esac
