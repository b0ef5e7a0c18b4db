import urllib.request

import boto3

s3 = boto3.client("s3", endpoint_url=ENDPOINT)


def get_object(key, file):
    write(file, s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def get_range(key, file):
    answer = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=100-299")
    write(file, answer["Body"].read())


def head_object(key, file):
    head = s3.head_object(Bucket=BUCKET, Key=key)
    assert head["LastModified"] and head["ETag"], head
    write(file, head["ContentLength"])


def presigned(key, file):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
    with urllib.request.urlopen(url, timeout=30) as answer:
        write(file, answer.read())


drive(
    {
        "get_object": get_object,
        "get_object, Range": get_range,
        "download_file": lambda key, file: s3.download_file(BUCKET, key, file),
        "head_object": head_object,
        "generate_presigned_url, then urllib": presigned,
    }
)
