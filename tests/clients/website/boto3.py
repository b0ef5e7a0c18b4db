"""boto3 before the API for rules: put, get back, compare, delete, and what is refused.

Arguments: the API's URL, an access key, a secret key, the style of addresses.
"""

import datetime
import sys
from unittest import mock

import boto3
import botocore.awsrequest
import botocore.httpsession
import botocore.utils
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, ACCESS, SECRET, STYLE = sys.argv[1:]
BUCKET = "examplebucket"


def client(secret=SECRET, **more):
    config = Config(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": STYLE},
        connect_timeout=10,
        read_timeout=30,
        **more,
    )
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="eu-central-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=secret,
        config=config,
    )


def code(call, **arguments):
    try:
        call(**{"Bucket": BUCKET, **arguments})
    except ClientError as error:
        answer = error.response
        assert answer["ResponseMetadata"]["RequestId"], answer
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
    return None


def got(own):
    website = own.get_bucket_website(Bucket=BUCKET)
    del website["ResponseMetadata"]
    return website


website = {
    "IndexDocument": {"Suffix": "index.html"},
    "ErrorDocument": {"Key": "error.html"},
    "RoutingRules": [
        {
            "Condition": {"KeyPrefixEquals": "caf\u00e9/", "HttpErrorCodeReturnedEquals": "404"},
            "Redirect": {
                "HostName": "www.example.com",
                "Protocol": "https",
                "HttpRedirectCode": "302",
                "ReplaceKeyPrefixWith": "documents & <more>/",
            },
        },
        {"Redirect": {"HostName": "catchall.example.com"}},
    ],
}
everything = {"RedirectAllRequestsTo": {"HostName": "elsewhere.example.com", "Protocol": "https"}}

own = client()
for configuration in [everything, website]:
    own.put_bucket_website(Bucket=BUCKET, WebsiteConfiguration=configuration)
    assert got(own) == configuration, got(own)

# Every checksum, and none, is right when boto3 makes it.
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    own.put_bucket_website(
        Bucket=BUCKET, WebsiteConfiguration=website, ChecksumAlgorithm=algorithm
    )
assert code(own.get_bucket_location) is None

replace = {"Bucket": BUCKET, "WebsiteConfiguration": everything}
no_host = {"RoutingRules": [{"Redirect": {"HttpRedirectCode": "999"}}]}
assert code(own.put_bucket_website, WebsiteConfiguration=no_host) == (400, "InvalidArgument")
nothing = {"RoutingRules": []}
assert code(own.put_bucket_website, WebsiteConfiguration=nothing) == (400, "MalformedXML")
wrong = client(secret="WRONG")
assert code(wrong.put_bucket_website, **replace) == (403, "SignatureDoesNotMatch")
assert code(own.get_bucket_website, Bucket="otherbucket") == (404, "NoSuchBucket")
assert code(own.list_objects_v2) == (501, "NotImplemented")


def tampered(event, change):
    other = client()
    other.meta.events.register(event, change)
    return code(other.put_bucket_website, **replace)


def header(name, value):
    def change(request, **_):
        if name in request.headers:
            del request.headers[name]
        request.headers[name] = value

    return change


def body(request, **_):
    request.body = request.body.replace(b"elsewhere", b"nowhere--")


SIGN, SEND = "before-sign.s3", "before-send.s3"
for event, change, expected in [
    (SEND, header("x-amz-content-sha256", "0" * 64), (403, "SignatureDoesNotMatch")),
    (SEND, body, (400, "XAmzContentSHA256Mismatch")),
    (SEND, header("x-amz-acl", "private"), (403, "AccessDenied")),
    (SEND, header("x-amz-date", "20200101T000000Z"), (403, "SignatureDoesNotMatch")),
    (SIGN, header("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="), (400, "BadDigest")),
    (SIGN, header("x-amz-checksum-crc32", "NhCmhg=="), (400, "BadDigest")),
]:
    found = tampered(event, change)
    assert found == expected, (event, found, expected)



# In chunks, with the checksum behind them: what boto3 does with streams. Nobody signs the chunks.
def chunked(change=None):
    def behind(params, **_):
        params["context"]["checksum"]["request_algorithm"]["in"] = "trailer"

    def sent(request, **_):
        kind = request.headers["x-amz-content-sha256"]
        assert kind == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER", kind
        body = request.body.read()
        assert b"x-amz-checksum-crc32:" in body, body
        request.body = change(body) if change else body

    other = client()
    other.meta.events.register("before-call.s3.PutBucketWebsite", behind)
    other.meta.events.register(SEND, sent)
    return code(other.put_bucket_website, **replace)


assert chunked() is None
assert got(own) == everything
own.put_bucket_website(Bucket=BUCKET, WebsiteConfiguration=website)
changed = lambda body: body.replace(b"elsewhere", b"nowhere--")
assert chunked(changed) == (400, "BadDigest"), chunked(changed)
unsummed = lambda body: body.split(b"x-amz-checksum-crc32:")[0] + b"\r\n"
found = chunked(unsummed)
assert found and found[0] == 400, found

# An hour ago, signed as of then.
clock = "botocore.auth.get_current_datetime"
past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
with mock.patch(clock, lambda *_, **__: past.replace(tzinfo=None)):
    assert code(own.put_bucket_website, **replace) == (403, "RequestTimeTooSkewed")

# An address that is itself the signature can be sent on to anybody.
address = own.generate_presigned_url("get_bucket_website", Params={"Bucket": BUCKET})
unsigned = client(signature_version=botocore.UNSIGNED)
assert code(unsigned.get_bucket_website) == (403, "AccessDenied")
proxies = botocore.utils.get_environ_proxies(address)
session = botocore.httpsession.URLLib3Session(proxies=proxies)
request = botocore.awsrequest.AWSRequest("GET", address).prepare()
assert session.send(request).status_code == 403

assert got(own) == website
for _ in range(2):
    own.delete_bucket_website(Bucket=BUCKET)
assert code(own.get_bucket_website) == (404, "NoSuchWebsiteConfiguration")
