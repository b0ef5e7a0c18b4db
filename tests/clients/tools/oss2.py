import oss2

bucket = oss2.Bucket(oss2.Auth(ACCESS, SECRET), ENDPOINT, BUCKET)


def head_object(key, file):
    head = bucket.head_object(key)
    assert head.last_modified and head.etag, head.headers
    write(file, head.content_length)


drive(
    {
        "get_object": lambda key, file: write(file, bucket.get_object(key).read()),
        "get_object, byte_range": lambda key, file: write(
            file, bucket.get_object(key, byte_range=(100, 299)).read()
        ),
        "get_object_to_file": lambda key, file: bucket.get_object_to_file(key, file),
        "resumable_download": lambda key, file: oss2.resumable_download(bucket, key, file),
        "head_object": head_object,
    }
)
