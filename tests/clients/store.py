"""Every operation of the embedded store, by a client with its defaults.

Arguments: the store's URL, the client's keys, and whether they matter. Fails at the first thing that is not as S3 has it.
"""

import base64
import datetime
import hashlib
import io
import sys
import tempfile
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, ACCESS, SECRET, CHECKED = sys.argv[1:5]
BUCKET = "stored-bucket"


def client(**config):
    return boto3.client(
        "s3",
        endpoint_url=URL,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


s3 = client()


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{found} in place of {code}"
        return error.response
    raise AssertionError(f"not refused: {code}")


def put(key, body=b"x", **arguments):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **arguments)


def get(key, **arguments):
    return s3.get_object(Bucket=BUCKET, Key=key, **arguments)


def md5(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


# Buckets.
refused("404", s3.head_bucket, Bucket=BUCKET)
refused("NoSuchBucket", s3.put_object, Bucket=BUCKET, Key="a", Body=b"x")
refused("NoSuchBucket", s3.list_objects_v2, Bucket=BUCKET)
s3.create_bucket(Bucket=BUCKET)
refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=BUCKET)
s3.head_bucket(Bucket=BUCKET)
assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
assert s3.get_bucket_acl(Bucket=BUCKET)["Grants"][0]["Permission"] == "FULL_CONTROL"
for code, call in [
    ("NoSuchBucketPolicy", s3.get_bucket_policy),
    ("NoSuchCORSConfiguration", s3.get_bucket_cors),
    ("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration),
    ("NoSuchTagSet", s3.get_bucket_tagging),
    ("NoSuchWebsiteConfiguration", s3.get_bucket_website),
    ("ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption),
    ("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block),
]:
    assert refused(code, call, Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"] == 404

# Objects.
keys = ["a", "a/", "a/b", "a//b", "../x", "grüße/ä b+c%20.txt", "k" * 1024, "\u0001<&>\"'", "z"]
for key in keys:
    assert put(key, key.encode())["ETag"] == md5(key.encode())
    found = get(key)
    assert (found["Body"].read(), found["ETag"]) == (key.encode(), md5(key.encode()))
    assert found["ContentType"] == "binary/octet-stream"
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    put("checked", b"abc", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=BUCKET, Key="checked", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] and head["ChecksumType"] == "FULL_OBJECT", head
refused("BadDigest", put, key="wrong", body=b"abc", ContentMD5=base64.b64encode(b"0" * 16).decode())
refused("NoSuchKey", get, key="wrong")
put(
    "headers",
    CacheControl="no-store",
    ContentDisposition="attachment",
    ContentEncoding="gzip",
    ContentLanguage="de",
    ContentType="text/x",
    Expires=datetime.datetime(2030, 1, 1),
    Metadata={"one": "1", "Two": "zwei"},
    Tagging="a=1",
)
head = s3.head_object(Bucket=BUCKET, Key="headers")
assert head["Metadata"] == {"one": "1", "two": "zwei"} and head["ContentEncoding"] == "gzip", head
assert head["CacheControl"] == "no-store" and head["ContentLanguage"] == "de", head
assert head["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT", head
tags = s3.get_object_tagging(Bucket=BUCKET, Key="headers")["TagSet"]
assert tags == [{"Key": "a", "Value": "1"}]
assert get("headers", ResponseContentType="text/y")["ContentType"] == "text/y"
assert s3.get_object_acl(Bucket=BUCKET, Key="headers")["Owner"]["ID"]

# Parts and conditions of reads.
put("read", b"0123456789")
assert get("read", Range="bytes=2-4")["Body"].read() == b"234"
assert get("read", Range="bytes=-2")["ContentRange"] == "bytes 8-9/10"
assert get("read", Range="bytes=0-1,3-4")["Body"].read() == b"0123456789"
refused("InvalidRange", get, key="read", Range="bytes=10-")
refused("304", get, key="read", IfNoneMatch=md5(b"0123456789"))
refused("PreconditionFailed", get, key="read", IfMatch='"other"')
refused("304", get, key="read", IfModifiedSince=datetime.datetime(2100, 1, 1))
url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "grüße/ä b+c%20.txt"})
with urllib.request.urlopen(url) as answer:
    assert answer.read() == "grüße/ä b+c%20.txt".encode()

# Conditions of writes.
refused("PreconditionFailed", put, key="read", IfNoneMatch="*")
put("new", IfNoneMatch="*")
refused("PreconditionFailed", put, key="read", IfMatch='"other"')
refused("NoSuchKey", put, key="none", IfMatch='"other"')
put("read", b"9876543210", IfMatch=md5(b"0123456789"))

# Listings.
listed = [o for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2}) for o in page.get("Contents", [])]
every = sorted(keys + ["checked", "headers", "new", "read"], key=str.encode)
assert [o["Key"] for o in listed] == every, listed
for o in listed:
    head = s3.head_object(Bucket=BUCKET, Key=o["Key"])
    assert (o["ETag"], o["Size"], o["LastModified"]) == (head["ETag"], head["ContentLength"], head["LastModified"])
first = [o["Key"] for page in s3.get_paginator("list_objects").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 3}) for o in page["Contents"]]
assert first == every
folders = s3.list_objects_v2(Bucket=BUCKET, Prefix="a/", Delimiter="/")
assert [o["Key"] for o in folders["Contents"]] == ["a/", "a/b"], folders
assert [p["Prefix"] for p in folders["CommonPrefixes"]] == ["a//"], folders
folded = [p["Prefix"] for page in s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1}) for p in page.get("CommonPrefixes", [])]
assert folded == ["../", "a/", "grüße/"], folded
assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)["KeyCount"] == 0
assert [v["Key"] for v in s3.list_object_versions(Bucket=BUCKET)["Versions"]] == every

# Copies.
s3.copy_object(Bucket=BUCKET, Key="copy ä", CopySource={"Bucket": BUCKET, "Key": "headers"})
assert s3.head_object(Bucket=BUCKET, Key="copy ä")["Metadata"] == {"one": "1", "two": "zwei"}
refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="headers", CopySource=f"{BUCKET}/headers")
s3.copy_object(Bucket=BUCKET, Key="headers", CopySource=f"{BUCKET}/headers", MetadataDirective="REPLACE", ContentType="text/z")
head = s3.head_object(Bucket=BUCKET, Key="headers")
assert head["ContentType"] == "text/z" and head["Metadata"] == {}, head
refused("NoSuchKey", s3.copy_object, Bucket=BUCKET, Key="x", CopySource=f"{BUCKET}/none")

# Uploads in parts.
large = bytes(range(256)) * 4096 * 21
s3.upload_fileobj(io.BytesIO(large), BUCKET, "large", ExtraArgs={"Metadata": {"m": "1"}})
head = s3.head_object(Bucket=BUCKET, Key="large")
assert head["ContentLength"] == len(large) and head["ETag"].endswith('-3"') and head["Metadata"] == {"m": "1"}
with tempfile.TemporaryFile() as file:
    s3.download_fileobj(BUCKET, "large", file)
    file.seek(0)
    assert file.read() == large
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", ChecksumAlgorithm="SHA256")["UploadId"]
begun = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
assert [(u["Key"], u["UploadId"]) for u in begun] == [("parts", upload)] and begun[0]["Initiated"]
these = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
one = s3.upload_part(**these, PartNumber=1, Body=large[: 5 << 20], ChecksumAlgorithm="SHA256")
two = s3.upload_part_copy(**these, PartNumber=7, CopySource=f"{BUCKET}/large", CopySourceRange="bytes=3-9")
assert [(p["PartNumber"], p["Size"]) for p in s3.list_parts(**these)["Parts"]] == [(1, 5 << 20), (7, 7)]
parts = [
    {"PartNumber": 1, "ETag": one["ETag"], "ChecksumSHA256": one["ChecksumSHA256"]},
    {"PartNumber": 7, "ETag": two["CopyPartResult"]["ETag"], "ChecksumSHA256": two["CopyPartResult"]["ChecksumSHA256"]},
]
complete = lambda parts, **more: s3.complete_multipart_upload(**these, MultipartUpload={"Parts": parts}, **more)
refused("InvalidPartOrder", complete, parts=parts[::-1])
refused("InvalidPart", complete, parts=[{**parts[0], "ETag": '"other"'}])
done = complete(parts, IfNoneMatch="*")
digest = lambda etags: hashlib.md5(b"".join(bytes.fromhex(e.strip('"')) for e in etags)).hexdigest()
assert done["ETag"] == f'"{digest([p["ETag"] for p in parts])}-2"', done
assert done["ChecksumSHA256"].endswith("-2") and done["ChecksumType"] == "COMPOSITE", done
assert get("parts")["Body"].read() == large[: 5 << 20] + large[3:10]
assert get("parts", PartNumber=2)["Body"].read() == large[3:10]
refused("NoSuchUpload", complete, parts=parts)
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="aborted")["UploadId"]
s3.upload_part(Bucket=BUCKET, Key="aborted", UploadId=upload, PartNumber=1, Body=b"x")
s3.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=upload)
refused("NoSuchUpload", s3.list_parts, Bucket=BUCKET, Key="aborted", UploadId=upload)
assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)

# A form, as browsers send it: its signature is within it, and cannot be left unread.
if CHECKED == "checked":
    form = s3.generate_presigned_post(BUCKET, "formed", Fields={"Content-Type": "text/f"}, Conditions=[{"Content-Type": "text/f"}])
    fields = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in form["fields"].items())
    body = fields + '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nform\r\n--b--\r\n'
    post = urllib.request.Request(form["url"], body.encode(), {"Content-Type": "multipart/form-data; boundary=b"})
    with urllib.request.urlopen(post) as answer:
        assert answer.status == 204, answer.status
    found = get("formed")
    assert (found["Body"].read(), found["ContentType"]) == (b"form", "text/f")

# Deleted.
refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
s3.delete_object(Bucket=BUCKET, Key="z")
s3.delete_object(Bucket=BUCKET, Key="z")
# XML has no such character, and this request knows no encoding.
s3.delete_object(Bucket=BUCKET, Key="\u0001<&>\"'")
rest = [{"Key": o["Key"]} for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": rest})
assert len(gone["Deleted"]) == len(rest) and "Errors" not in gone, gone
s3.delete_bucket(Bucket=BUCKET)
refused("404", s3.head_bucket, Bucket=BUCKET)
