"""A signed client of S3 before a gateway: everything it does every day, and a mirrored get.

Arguments: the gateway's URL, an access key, a secret key. Says what it did, one line each; ends
with an exception at the first thing that is not as with the store itself.
"""

import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, ACCESS, SECRET = sys.argv[1:]
BUCKET = "examplebucket"


def client(secret):
    config = Config(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        connect_timeout=10,
        read_timeout=30,
    )
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=secret,
        config=config,
    )


def refusal(call, **arguments):
    """The status and the code a call is refused with."""
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status, error.response["Error"]["Code"]
    raise AssertionError(f"{call.__name__} {arguments} was not refused")


def expect(what, found, expected):
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"
    print(f"{what}: {found!r}"[:120])


s3 = client(SECRET)

key = "own/a b+c/\u00fc.txt"
s3.put_object(Bucket=BUCKET, Key=key, Body=b"mine", ContentType="text/own", Metadata={"a": "1"})
answer = s3.get_object(Bucket=BUCKET, Key=key)
expect("get", answer["Body"].read(), b"mine")
expect("get: type", answer["ContentType"], "text/own")
expect("get: metadata", answer["Metadata"], {"a": "1"})
expect("get: range", s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=1-2")["Body"].read(), b"in")
expect("head", s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"], 4)

s3.put_object(Bucket=BUCKET, Key="list/1", Body=b"1")
s3.put_object(Bucket=BUCKET, Key="list/2", Body=b"2")
listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")
expect("list", [entry["Key"] for entry in listed["Contents"]], ["list/1", "list/2"])

part = b"p" * (5 * 1024 * 1024)
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
tags = []
for number, body in [(1, part), (2, b"end")]:
    sent = s3.upload_part(
        Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=body
    )
    tags.append({"PartNumber": number, "ETag": sent["ETag"]})
s3.complete_multipart_upload(
    Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": tags}
)
whole = s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read()
expect("multipart", (len(whole), whole[-3:]), (len(part) + 3, b"end"))

expect("head of nothing", refusal(s3.head_object, Key="mirrored/one")[0], 404)
answer = s3.get_object(Bucket=BUCKET, Key="mirrored/one")
expect("mirrored", answer["Body"].read(), b"from the origin")
tag = answer["ResponseMetadata"]["HTTPHeaders"].get("x-oss-tag", "")
expect("mirrored: tag", tag.startswith("MIRROR http"), True)
expect("mirrored: type", answer["ContentType"], "text/mirrored")

deadline = time.monotonic() + 30
while True:
    try:
        stored = s3.head_object(Bucket=BUCKET, Key="mirrored/one")
        break
    except ClientError:
        assert time.monotonic() < deadline, "the mirrored object never came into the bucket"
        time.sleep(0.02)
expect("stored: type", stored["ContentType"], "text/mirrored")
expect("stored: length", stored["ContentLength"], 15)

url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "mirrored/two"})
import urllib.request

with urllib.request.urlopen(url, timeout=30) as answer:
    expect("presigned, mirrored", answer.read(), b"from the origin")

expect("missing", refusal(s3.get_object, Key="mirrored/none"), (404, "NoSuchKey"))
expect("failed", refusal(s3.get_object, Key="mirrored/broken"), (424, "MirrorFailed"))

stranger = client(SECRET + "x")
expect("wrong key: get", refusal(stranger.get_object, Key=key)[0], 403)
expect("wrong key: get of nothing", refusal(stranger.get_object, Key="mirrored/one-more")[0], 403)
expect("wrong key: put", refusal(stranger.put_object, Key="no", Body=b"")[0], 403)

s3.delete_object(Bucket=BUCKET, Key=key)
expect("deleted", refusal(s3.get_object, Key=key), (404, "NoSuchKey"))
