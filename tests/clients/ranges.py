"""boto3's own download of a large object: ten threads, each a range of 8 MiB at a time.

Arguments: the gateway's URL, the file to write.
"""

import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config

ENDPOINT, FILE = sys.argv[1:]

client = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="us-east-1",
    config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}),
)
client.download_file("examplebucket", "k", FILE)
