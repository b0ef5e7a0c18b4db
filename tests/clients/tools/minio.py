import urllib.request

from minio import Minio

minio = Minio(endpoint=GATEWAY, access_key=ACCESS, secret_key=SECRET, secure=False)


def get_object(key, file):
    answer = minio.get_object(bucket_name=BUCKET, object_name=key)
    write(file, answer.read())
    answer.close()
    answer.release_conn()


def stat_object(key, file):
    stat = minio.stat_object(bucket_name=BUCKET, object_name=key)
    assert stat.last_modified and stat.etag, stat
    write(file, stat.size)


def presigned(key, file):
    url = minio.presigned_get_object(bucket_name=BUCKET, object_name=key)
    with urllib.request.urlopen(url, timeout=30) as answer:
        write(file, answer.read())


drive(
    {
        "get_object": get_object,
        "fget_object": lambda key, file: minio.fget_object(
            bucket_name=BUCKET, object_name=key, file_path=file
        ),
        "stat_object": stat_object,
        "presigned_get_object, then urllib": presigned,
    }
)
