//! What of a query travels on, and which queries ask for something else than an object.

use serde_json::json;

use super::run::run;
use super::{Group, Row, mirror_rule, redirect_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

#[test]
fn queries() {
    run(queries_on);
}

pub(super) fn queries_on(_: Path) -> Group {
    let rules = json!([
        mirror_rule(1, "pass/", json!({ "MirrorPassQueryString": true })),
        mirror_rule(2, "old/", json!({ "PassQueryString": true })),
        mirror_rule(
            3,
            "both/",
            json!({
            "PassQueryString": true, "MirrorPassQueryString": false })
        ),
        mirror_rule(
            4,
            "other/",
            json!({
            "PassQueryString": false, "MirrorPassQueryString": true })
        ),
        redirect_rule(
            5,
            "go/",
            404,
            json!({
            "HostName": "example.com", "PassQueryString": true })
        ),
        redirect_rule(6, "stay/", 404, json!({ "HostName": "example.com" })),
        mirror_rule(9, "", json!({})),
    ]);
    Group::new("queries", rules, [passing(), subresources(), methods()].concat())
}

fn passing() -> Vec<Row> {
    let presigned = "X-Amz-Algorithm=A&X-Amz-Credential=c%2Fd&X-Amz-Date=d&X-Amz-Expires=9\
                     &X-Amz-SignedHeaders=host&X-Amz-Signature=s&response-content-type=a%2Fb";
    let signed = format!("/examplebucket/pass/signed?{presigned}&v=1");
    let all_signed = format!("/examplebucket/pass/all-signed?{presigned}");
    vec![
        asked("a query stays behind", "/examplebucket/plain?x=1", "/plain", "/plain"),
        asked(
            "MirrorPassQueryString",
            "/examplebucket/pass/k?x=%31&y",
            "/pass/k",
            "/pass/k?x=%31&y",
        ),
        asked("PassQueryString alone", "/examplebucket/old/k?x=1", "/old/k", "/old/k?x=1"),
        asked(
            "MirrorPassQueryString false wins",
            "/examplebucket/both/k?x=1",
            "/both/k",
            "/both/k",
        ),
        asked(
            "MirrorPassQueryString true wins",
            "/examplebucket/other/k?x=1",
            "/other/k",
            "/other/k?x=1",
        ),
        asked("an empty query is none", "/examplebucket/pass/none?", "/pass/none", "/pass/none"),
        asked(
            "the order and the encoding stay",
            "/examplebucket/pass/odd?b=2&a=%20+%2B&a=1&=&c",
            "/pass/odd",
            "/pass/odd?b=2&a=%20+%2B&a=1&=&c",
        ),
        asked(
            "a presigned URL's parameters are the store's",
            &signed,
            "/pass/signed",
            "/pass/signed?v=1",
        ),
        asked(
            "nothing but a signature is no query",
            &all_signed,
            "/pass/all-signed",
            "/pass/all-signed",
        ),
        asked(
            "the old presigned form too",
            "/examplebucket/pass/old?AWSAccessKeyId=k&Signature=s&Expires=1&v=2",
            "/pass/old",
            "/pass/old?v=2",
        ),
        asked(
            "OSS's presigned form too",
            "/examplebucket/pass/oss?OSSAccessKeyId=k&Signature=s&Expires=1&v=2",
            "/pass/oss",
            "/pass/oss?v=2",
        ),
        row("a redirect passes the query on where it is told to")
            .get("/examplebucket/go/k?x=1&response-content-type=a&y=%20")
            .status(301)
            .header("location", "http://example.com/go/k?x=1&y=%20"),
        row("a redirect keeps the query otherwise")
            .get("/examplebucket/stay/k?x=1")
            .status(301)
            .header("location", "http://example.com/stay/k"),
    ]
}

fn asked(name: &'static str, target: &str, path: &str, fetched: &str) -> Row {
    row(name)
        .origin(path, Reply::new(200, &[], "x"))
        .get(target)
        .status(200)
        .body("x")
        .fetched(fetched)
        .stored(&format!("/examplebucket{path}"), "x", &[])
}

fn subresources() -> Vec<Row> {
    let cases = [
        "acl",
        "attributes",
        "legal-hold",
        "retention",
        "tagging",
        "torrent",
        "uploadId=1",
        "uploads",
        "versionId=1",
        "website",
        "versions",
        "x-oss-process=image/resize",
        "symlink",
        "objectMeta",
        "%61cl",
        "x=1&tagging",
    ];
    cases
        .into_iter()
        .map(|query| {
            let name = format!("?{query} asks for something else");
            let path = "/examplebucket/sub";
            row(name)
                .store_always("GET", path, crate::support::store::error(404, "NoSuchX", "GET"))
                .origin("/sub", Reply::new(200, &[], "x"))
                .get(&format!("{path}?{query}"))
                .status(404)
                .body("<?xml version=\"1.0\"?><Error><Code>NoSuchX</Code></Error>")
                .header("x-amz-request-id", "R1")
        })
        .collect()
}

fn methods() -> Vec<Row> {
    vec![
        row("a HEAD is the store's to answer")
            .origin("/head", Reply::new(200, &[], "x"))
            .send(request("HEAD", "/examplebucket/head"))
            .status(404)
            .without("x-oss-tag"),
        row("a HEAD is not redirected either")
            .send(request("HEAD", "/examplebucket/go/head"))
            .status(404)
            .without("location"),
        row("a list is the store's to answer")
            .get("/examplebucket/?list-type=2&prefix=nothing")
            .status(200)
            .header("content-type", "application/xml"),
        row("a DELETE is the store's to answer")
            .send(request("DELETE", "/examplebucket/deleted"))
            .status(204),
    ]
}
