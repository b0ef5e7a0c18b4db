"""alibabacloud-oss-v2 before the API for rules: put, get back, compare, delete, and refusals.

Arguments: the API's URL, an access key, a secret key, the version of the signature.
"""

import sys

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.models import bucket_website as models

ENDPOINT, ACCESS, SECRET, VERSION = sys.argv[1:]
BUCKET = "examplebucket"


def client(secret=SECRET, **more):
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(ACCESS, secret)
    config.region = "cn-hangzhou"
    config.endpoint = ENDPOINT
    config.signature_version = VERSION
    config.use_path_style = "127.0.0.1" in ENDPOINT
    config.retry_max_attempts = 1
    for name, value in more.items():
        setattr(config, name, value)
    return oss.Client(config)


def refusal(call, request):
    try:
        call(request)
    except oss.exceptions.OperationError as error:
        return error.unwrap()
    return None


def code(call, request):
    error = refusal(call, request)
    assert error is None or error.request_id, error
    return error and (error.status_code, error.code)


def rule(number, **redirect):
    return models.RoutingRule(
        rule_number=number,
        condition=models.RoutingRuleCondition(
            key_prefix_equals="caf\u00e9/",
            key_suffix_equals=".jpg",
            http_error_code_returned_equals=404,
            include_headers=[
                models.RoutingRuleIncludeHeader(key="user-agent", ends_with="bot & <x>")
            ],
        ),
        redirect=models.RoutingRuleRedirect(redirect_type="Mirror", **redirect),
    )


def put(rules, bucket=BUCKET):
    website = models.WebsiteConfiguration(
        index_document=models.IndexDocument(suffix="index.html", support_sub_dir=True, type=0),
        routing_rules=models.RoutingRules(routing_rules=rules),
    )
    return models.PutBucketWebsiteRequest(bucket=bucket, website_configuration=website)


get = models.GetBucketWebsiteRequest(bucket=BUCKET)
delete = models.DeleteBucketWebsiteRequest(bucket=BUCKET)

own = client()
right = put(
    [
        rule(
            10,
            mirror_url="https://origin.example.com/",
            mirror_pass_query_string=True,
            enable_replace_prefix=True,
            replace_key_prefix_with="",
            mirror_headers=models.MirrorHeaders(
                pass_all=True, removes=["cookie"], sets=[models.MirrorHeadersSet("a", "b")]
            ),
        )
    ]
)
assert own.put_bucket_website(right).status_code == 200
website = own.get_bucket_website(get).website_configuration
assert website.index_document.suffix == "index.html"
assert website.index_document.support_sub_dir is True
(got,) = website.routing_rules.routing_rules
assert got.rule_number == 10
assert got.condition.key_prefix_equals == "caf\u00e9/"
assert got.condition.key_suffix_equals == ".jpg"
assert got.condition.http_error_code_returned_equals == 404
(header,) = got.condition.include_headers
assert (header.key, header.ends_with, header.equals) == ("user-agent", "bot & <x>", None)
assert got.redirect.mirror_url == "https://origin.example.com/"
assert got.redirect.mirror_pass_query_string is True
assert got.redirect.enable_replace_prefix is True
assert not got.redirect.replace_key_prefix_with
assert got.redirect.mirror_headers.pass_all is True
assert got.redirect.mirror_headers.removes == ["cookie"]
assert [(one.key, one.value) for one in got.redirect.mirror_headers.sets] == [("a", "b")]

# What the client does not refuse by itself, the API does, and keeps what it has.
many = [rule(number, mirror_url="https://origin.example.com/") for number in range(1, 26)]
assert code(own.put_bucket_website, put(many)) == (400, "MalformedXML")
wrong = refusal(own.put_bucket_website, put([rule(1, mirror_url="https://no.slash")]))
assert (wrong.status_code, wrong.code) == (400, "InvalidArgument"), wrong
assert wrong.ec == "0019-00000002" and "MirrorURL is Invalid" in wrong.message, wrong
assert code(client("WRONG").get_bucket_website, get) == (403, "SignatureDoesNotMatch")
slow = client(additional_headers=["host"])
assert slow.get_bucket_website(get).status_code == 200
other = models.GetBucketWebsiteRequest(bucket="otherbucket")
assert code(own.get_bucket_website, other) == (404, "NoSuchBucket")
kept = own.get_bucket_website(get).website_configuration.routing_rules.routing_rules
assert [one.rule_number for one in kept] == [10]

for _ in range(2):
    assert own.delete_bucket_website(delete).status_code == 204
assert code(own.get_bucket_website, get) == (404, "NoSuchWebsiteConfiguration")
