"""Lists the open multipart uploads of a store that takes anyone: a key in each line.

Argument: the store's URL.
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
for page in client.get_paginator("list_multipart_uploads").paginate(Bucket="examplebucket"):
    for upload in page.get("Uploads", []):
        print(upload["Key"])
