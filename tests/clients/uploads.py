"""Lists the open multipart uploads of a bucket, whose store takes anyone: a key in each line.

Arguments: the store's URL, and the bucket.
"""

import sys

import boto3
from botocore.config import Config

client = boto3.client(
    "s3",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="anyone",
    aws_secret_access_key="anyone",
    config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
)
for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=sys.argv[2]):
    for upload in page.get("Uploads", []):
        print(upload["Key"])
