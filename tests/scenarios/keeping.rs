//! What of an origin's answer is the client's, what is kept, and what is said beside it.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line};
use super::run::run;
use super::{Group, HAS_BEGUN, IN_RANGES, Row, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

const OLD: &str = "Tue, 01 Apr 2025 08:00:00 GMT";

#[test]
fn keeping() {
    run(keeping_on);
}

pub(super) fn keeping_on(path: Path) -> Group {
    let rules = json!([
        mirror_rule(1, "meta/", json!({ "MirrorSaveOssMeta": true })),
        mirror_rule(2, "dated/", json!({ "MirrorUserLastModified": true })),
        mirror_rule(
            3,
            "said/",
            json!({ "MirrorReturnHeaders": { "ReturnHeader": [
                { "Key": "X-From", "Value": "mirror" },
                { "Key": "x-key", "Value": "<${key}>" },
                { "Key": "cache-control", "Value": "max-age=60" } ] } })
        ),
        mirror_rule(
            4,
            "tagged/",
            json!({
                "MirrorTaggings": { "Taggings": [
                    { "Key": "k1", "Value": "v1" }, { "Key": "src", "Value": "${key}" } ] },
                "StorageClass": "REDUCED_REDUNDANCY", "ServerSideEncryption": "AES256" })
        ),
        mirror_rule(5, "proxy/", json!({ "MirrorProxyPass": true })),
        mirror_rule(6, "through/", json!({ "TransparentMirrorResponseCodes": "400,404,503" })),
        mirror_rule(7, "sent/", json!({ "MirrorFollowRedirect": false })),
        mirror_rule(8, "async/", json!({ "MirrorAsyncStatus": 303 })),
        mirror_rule(9, "small/", json!({ "MirrorMaxSize": 5, "MirrorTooLarge": "Fail" })),
        mirror_rule(10, "over/", json!({ "MirrorMaxSize": 5 })),
        mirror_rule(11, "class/", json!({ "TransparentMirrorResponseCodes": "4XX" })),
        mirror_rule(12, "away/", json!({ "MirrorAsyncStatus": 303, "MirrorProxyPass": true })),
        mirror_rule(13, "", json!({})),
    ]);
    Group::new("keeping", rules, [objects(), limited(path), answers(path)].concat())
}

fn objects() -> Vec<Row> {
    let described = [
        ("x-oss-meta-a", "1"),
        ("x-amz-meta-b", "2"),
        ("x-amz-meta-x-oss-tag", "forged"),
        ("last-modified", OLD),
        ("cache-control", "no-store"),
    ];
    let large: &'static str = "v".repeat(8 * 1024).leak();
    let tag = "MIRROR http%3A%2F%2F{origin%}%2Fmeta%2Fa";
    vec![
        row("user metadata is kept where the rule says so")
            .origin("/meta/a", Reply::new(200, &described, "x"))
            .get("/examplebucket/meta/a")
            .status(200)
            .header("x-amz-meta-a", "1")
            .header("x-amz-meta-b", "2")
            .header("x-oss-tag", tag)
            .without("x-oss-meta-a")
            .fetched("/meta/a")
            .stored(
                "/examplebucket/meta/a",
                "x",
                &[("x-amz-meta-a", "1"), ("x-amz-meta-b", "2"), ("x-amz-meta-x-oss-tag", tag)],
            ),
        row("user metadata is nobody's where it does not")
            .origin("/a", Reply::new(200, &described, "x"))
            .get("/examplebucket/a")
            .without("x-amz-meta-a")
            .without("x-oss-meta-a")
            .mirrored("/examplebucket/a", "/a", "x"),
        row("too much user metadata is no object")
            .origin("/meta/large", Reply::new(200, &[("x-oss-meta-a", large)], "x"))
            .get("/examplebucket/meta/large")
            .error(424, "MirrorFailed", "Meta is too large")
            .fetched("/meta/large")
            .never_stored("/examplebucket/meta/large"),
        row("the origin's time stays the object's")
            .origin("/dated/a", Reply::new(200, &described, "x"))
            .get("/examplebucket/dated/a")
            .header("last-modified", OLD)
            .mirrored("/examplebucket/dated/a", "/dated/a", "x")
            .get("/examplebucket/dated/a")
            .status(200)
            .header("last-modified", OLD)
            .body("x"),
        row("headers are said with the answer, and not kept")
            .origin("/said/a", Reply::new(200, &described, "x"))
            .get("/examplebucket/said/a")
            .status(200)
            .header("x-from", "mirror")
            .header("x-key", "<said/a>")
            .header("cache-control", "max-age=60")
            .fetched("/said/a")
            .stored("/examplebucket/said/a", "x", &[("cache-control", "no-store")]),
        row("the object is stored with tags, class and encryption")
            .origin("/tagged/a b", Reply::new(200, &[], "x"))
            .origin("/tagged/a%20b", Reply::new(200, &[], "x"))
            .get("/examplebucket/tagged/a%20b")
            .mirrored("/examplebucket/tagged/a%20b", "/tagged/a%20b", "x")
            .sent("x-amz-tagging", "k1=v1&src=tagged%2Fa%20b")
            .sent("x-amz-storage-class", "REDUCED_REDUNDANCY")
            .sent("x-amz-server-side-encryption", "AES256"),
        row("what is only passed is not stored")
            .origin("/proxy/a", Reply::new(200, &[], "x"))
            .get("/examplebucket/proxy/a")
            .status(200)
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fproxy%2Fa")
            .body("x")
            .fetched("/proxy/a")
            .never_stored("/examplebucket/proxy/a"),
    ]
}

/// The rule's own limit. On the streaming path a length that nobody announced is known when the
/// client has all of it.
fn limited(path: Path) -> Vec<Row> {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n123456\r\n0\r\n\r\n";
    let unannounced = row("an object over it that does not say so")
        .origin("/small/c", Reply::raw(chunked).keep())
        .get("/examplebucket/small/c")
        .fetched("/small/c")
        .never_stored("/examplebucket/small/c")
        .differs_by_path(&[Answer, Line, Counters], HAS_BEGUN);
    vec![
        row("an object over the rule's own limit")
            .origin("/small/a", Reply::new(200, &[], "123456"))
            .get("/examplebucket/small/a")
            .error(424, "MirrorFailed", "the limit of 5 bytes")
            .fetched("/small/a")
            .never_stored("/examplebucket/small/a"),
        row("an object within it")
            .origin("/small/b", Reply::new(200, &[], "12345"))
            .get("/examplebucket/small/b")
            .mirrored("/examplebucket/small/b", "/small/b", "12345"),
        row("an object over it is the origin's to give, where the rule does not say otherwise")
            .origin("/over/a", Reply::new(200, &[], "123456"))
            .get("/examplebucket/over/a")
            .status(302)
            .header("location", "http://{origin}/over/a")
            .body("")
            .fetched("/over/a")
            .never_stored("/examplebucket/over/a"),
        match path {
            Path::Callout => unannounced.error(424, "MirrorFailed", "the limit of 5 bytes"),
            Path::Streaming => unannounced.status(200).body("123456"),
        },
    ]
}

fn answers(path: Path) -> Vec<Row> {
    let through = |status: u16, key: &'static str, body: &'static str| {
        let path = format!("/through/{key}");
        let tag = format!("MIRROR http%3A%2F%2F{{origin%}}%2Fthrough%2F{key}");
        row(format!("a {status} that is the client's"))
            .origin(&path, Reply::new(status, &[("content-type", "a/b"), ("etag", "\"e\"")], body))
            .get(&format!("/examplebucket{path}"))
            .status(status)
            .header("content-type", "a/b")
            .header("x-oss-tag", &tag)
            .without("etag")
            .body(body)
            .fetched(&path)
            .never_stored(&format!("/examplebucket{path}"))
    };
    let sent = |name, key: &str, reply: Reply, location: &str| {
        row(name)
            .origin(&format!("/sent/{key}"), reply)
            .get(&format!("/examplebucket/sent/{key}"))
            .header("location", location)
            .body("")
            .fetched(&format!("/sent/{key}"))
            .never_stored(&format!("/examplebucket/sent/{key}"))
    };
    let redirect = |status, to| Reply::new(status, &[("location", to)], "moved");
    vec![
        through(400, "bad", "what the origin says"),
        through(404, "none", "the origin's own page"),
        through(503, "busy", "come back"),
        row("a 410 of a class that is the client's")
            .origin("/class/gone", Reply::new(410, &[], "gone"))
            .get("/examplebucket/class/gone")
            .status(410)
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fclass%2Fgone")
            .body("gone")
            .fetched("/class/gone")
            .never_stored("/examplebucket/class/gone"),
        row("a status that is not named")
            .origin("/through/denied", Reply::new(403, &[], "no"))
            .get("/examplebucket/through/denied")
            .error(424, "MirrorFailed", "403")
            .fetched("/through/denied"),
        sent(
            "a redirect of the origin's is the client's",
            "away",
            redirect(302, "http://elsewhere.example/x?y=1"),
            "http://elsewhere.example/x?y=1",
        )
        .status(302),
        sent(
            "a reference is one to the origin",
            "near",
            redirect(308, "../x"),
            "http://{origin}/x",
        )
        .status(308),
        row("a redirect that says not where")
            .origin("/sent/nowhere", Reply::new(302, &[], ""))
            .get("/examplebucket/sent/nowhere")
            .error(424, "MirrorFailed", "302")
            .fetched("/sent/nowhere"),
        wanted(path),
        row("what is not to be stored is not fetched for nobody")
            .origin_object("/away/a", &[("etag", "\"e\"")], "x")
            .get("/examplebucket/away/a")
            .status(303)
            .header("location", "http://{origin}/away/a")
            .body("")
            .never_stored("/examplebucket/away/a"),
    ]
}

fn wanted(path: Path) -> Row {
    let row = row("an object is fetched while the client goes by itself")
        .origin_object("/async/a", &[("etag", "\"e\"")], "x")
        .get("/examplebucket/async/a")
        .status(303)
        .header("location", "http://{origin}/async/a")
        .body("")
        .stored("/examplebucket/async/a", "x", &[])
        .told(2)
        .differs_by_path(&[Asked], IN_RANGES);
    match path {
        Path::Callout => row.fetched("/async/a"),
        // By ranges, which are not counted.
        Path::Streaming => row,
    }
}
