"""A store as its owner sees it, past the gateway.

Arguments: the store's URL, an access key, a secret key, and one of

    prepare                   makes the buckets `plain` and `versioned`; of `versioned` the key
                              `deleted` has been there and is deleted
    put BUCKET KEY TEXT       puts an object
    marker                    prints what the 404 of `deleted` says of a delete marker, or nothing
    look BUCKET               prints what is there, and which uploads are open, as JSON
    sites RULES...            makes a web site `site-N` of each, with rules as S3's console shows
                              them and the public object `there`
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, access, secret, verb, *arguments = sys.argv[1:]
store = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id=access,
    aws_secret_access_key=secret,
    config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
)


def prepare():
    for bucket in ("plain", "versioned"):
        store.create_bucket(Bucket=bucket)
    store.put_bucket_versioning(
        Bucket="versioned", VersioningConfiguration={"Status": "Enabled"}
    )
    store.put_object(Bucket="versioned", Key="deleted", Body=b"was here")
    store.delete_object(Bucket="versioned", Key="deleted")


def put(bucket, key, text):
    store.put_object(Bucket=bucket, Key=key, Body=text.encode())


def marker():
    try:
        store.get_object(Bucket="versioned", Key="deleted")
    except ClientError as error:
        headers = error.response["ResponseMetadata"]["HTTPHeaders"]
        print(headers.get("x-amz-delete-marker", ""))


def look(bucket):
    objects = {}
    for entry in store.list_objects_v2(Bucket=bucket).get("Contents", []):
        head = store.head_object(Bucket=bucket, Key=entry["Key"])
        objects[entry["Key"]] = {
            "size": head["ContentLength"],
            "etag": head["ETag"].strip('"'),
            "type": head["ContentType"],
            "cache": head.get("CacheControl"),
            "metadata": head["Metadata"],
        }
    uploads = store.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    print(json.dumps({"objects": objects, "uploads": [upload["Key"] for upload in uploads]}))


def sites(*configurations):
    for number, rules in enumerate(configurations):
        bucket = f"site-{number}"
        store.create_bucket(Bucket=bucket, ACL="public-read")
        store.put_object(Bucket=bucket, Key="there", Body=b"it is there", ACL="public-read")
        store.put_bucket_website(
            Bucket=bucket,
            WebsiteConfiguration={
                "IndexDocument": {"Suffix": "index.html"},
                "RoutingRules": json.loads(rules),
            },
        )


{"prepare": prepare, "put": put, "marker": marker, "look": look, "sites": sites}[verb](*arguments)
