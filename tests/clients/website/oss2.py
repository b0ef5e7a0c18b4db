"""oss2 before the API for rules: put, get back, compare, delete, and what is refused.

Arguments: the API's URL, an access key, a secret key, the version of the signature.
"""

import sys

import oss2
from oss2 import models

ENDPOINT, ACCESS, SECRET, VERSION = sys.argv[1:]


def bucket(name="examplebucket", secret=SECRET):
    auth = oss2.make_auth(ACCESS, secret, VERSION)
    return oss2.Bucket(auth, ENDPOINT, name, connect_timeout=10, region="cn-hangzhou")


def code(call, *arguments):
    try:
        call(*arguments)
    except oss2.exceptions.OssError as error:
        assert error.request_id, error
        return error.status, error.code
    return None


def rule(number, prefix, redirect):
    condition = models.Condition(
        key_prefix_equals=prefix,
        http_err_code_return_equals=404,
        include_header_list=[models.ConditionInlcudeHeader(key="x-client", equals="web & <app>")],
    )
    return models.RoutingRule(rule_num=number, condition=condition, redirect=redirect)


mirror = models.Redirect(
    redirect_type=models.REDIRECT_TYPE_MIRROR,
    pass_query_string=True,
    mirror_url="https://origin.example.com/base/",
    mirror_follow_redirect=True,
    mirror_check_md5=False,
    mirror_headers=models.RedirectMirrorHeaders(
        pass_all=False,
        pass_list=["x-user-id", "accept-language"],
        remove_list=[],
        set_list=[models.MirrorHeadersSet("x-token", "t0ken & <v>")],
    ),
)
external = models.Redirect(
    redirect_type=models.REDIRECT_TYPE_EXTERNAL,
    proto="https",
    host_name="www.example.com",
    replace_key_with="prefix/${key}.suffix",
    http_redirect_code=302,
)
website = models.BucketWebsite(
    "index.html", "error.html", [rule(1, "caf\u00e9/", mirror), rule(2, "", external)]
)

own = bucket()
assert own.put_bucket_website(website).status == 200
got = own.get_bucket_website()
assert (got.index_file, got.error_file) == ("index.html", "error.html")
first, second = got.rules
assert (first.rule_num, second.rule_num) == (1, 2)
assert first.condition.key_prefix_equals == "caf\u00e9/", first.condition.key_prefix_equals
assert first.condition.http_err_code_return_equals == 404
header = first.condition.include_header_list[0]
assert (header.key, header.equals) == ("x-client", "web & <app>")
assert first.redirect.redirect_type == "Mirror"
assert first.redirect.mirror_url == "https://origin.example.com/base/"
assert first.redirect.pass_query_string is True
assert first.redirect.mirror_check_md5 is False and first.redirect.mirror_follow_redirect is True
headers = first.redirect.mirror_headers
assert headers.pass_list == ["x-user-id", "accept-language"], headers.pass_list
assert [(one.key, one.value) for one in headers.set_list] == [("x-token", "t0ken & <v>")]
assert second.redirect.http_redirect_code == 302
assert (second.redirect.proto, second.redirect.host_name) == ("https", "www.example.com")
assert second.redirect.replace_key_with == "prefix/${key}.suffix"

assert code(bucket(secret="WRONG").get_bucket_website) == (403, "SignatureDoesNotMatch")
assert code(bucket("otherbucket").put_bucket_website, website) == (404, "NoSuchBucket")
assert len(own.get_bucket_website().rules) == 2

for _ in range(2):
    assert own.delete_bucket_website().status == 204
assert code(own.get_bucket_website) == (404, "NoSuchWebsiteConfiguration")
