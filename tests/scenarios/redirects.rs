//! External rules: where a client is sent, and when.

use serde_json::json;

use super::run::run;
use super::{Group, Row, StoreKind, mirror_rule, redirect_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;
use crate::support::store::error;

#[test]
fn redirects() {
    run(redirects_on);
}

pub(super) fn redirects_on(_: Path) -> Group {
    let host = "example.com";
    let rules = json!([
        redirect_rule(1, "plain/", 404, json!({ "HostName": host })),
        redirect_rule(
            2,
            "302/",
            404,
            json!({
            "HostName": host, "HttpRedirectCode": 302, "Protocol": "https" })
        ),
        redirect_rule(
            3,
            "307/",
            404,
            json!({
            "HostName": "example.com:8443", "HttpRedirectCode": 307 })
        ),
        redirect_rule(4, "301/", 404, json!({ "HostName": host, "HttpRedirectCode": 301 })),
        redirect_rule(
            5,
            "abc/",
            404,
            json!({
            "HostName": host, "ReplaceKeyPrefixWith": "def/" })
        ),
        redirect_rule(6, "cut/", 404, json!({ "HostName": host, "EnableReplacePrefix": true })),
        redirect_rule(
            7,
            "whole/",
            404,
            json!({
            "HostName": host, "ReplaceKeyWith": "prefix/${key}.suffix" })
        ),
        redirect_rule(8, "fixed/", 404, json!({ "HostName": host, "ReplaceKeyWith": "e r.html" })),
        redirect_rule(9, "same-host/", 404, json!({ "ReplaceKeyPrefixWith": "there/" })),
        redirect_rule(10, "protocol/", 404, json!({ "Protocol": "https" })),
        redirect_rule(11, "denied/", 403, json!({ "HostName": host })),
        redirect_rule(
            13,
            "cdn/",
            404,
            json!({
            "RedirectType": "AliCDN", "HostName": host, "Protocol": "https", "PassQueryString": true,
            "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "n/", "HttpRedirectCode": 307 })
        ),
        redirect_rule(12, "down/", 503, json!({ "HostName": host, "HttpRedirectCode": 302 })),
    ]);
    Group::new("redirects", rules, [locations(), conditions()].concat())
}

fn locations() -> Vec<Row> {
    let cases = [
        (
            "the default is 301 and the request's protocol",
            "plain/k",
            301,
            "http://example.com/plain/k",
        ),
        (
            "AliCDN is a redirect like another",
            "cdn/k?v=1&X-Amz-Date=2",
            307,
            "https://example.com/n/k?v=1",
        ),
        ("302 and https", "302/k", 302, "https://example.com/302/k"),
        ("307 and a port", "307/k", 307, "http://example.com:8443/307/k"),
        ("301 when it is said", "301/k", 301, "http://example.com/301/k"),
        ("the prefix is replaced", "abc/test.txt", 301, "http://example.com/def/test.txt"),
        ("the prefix is cut off", "cut/test.txt", 301, "http://example.com/test.txt"),
        (
            "the key is woven into another",
            "whole/t",
            301,
            "http://example.com/prefix/whole/t.suffix",
        ),
        ("the key is another, encoded", "fixed/t", 301, "http://example.com/e%20r.html"),
        (
            "without a host it is the request's own, the bucket in its path",
            "same-host/t",
            301,
            "http://{gateway}/examplebucket/there/t",
        ),
        (
            "a protocol alone keeps the host",
            "protocol/t",
            301,
            "https://{gateway}/examplebucket/protocol/t",
        ),
        (
            "a key is encoded once",
            "plain/a%20b+c%2Bd%25%3F%23%C3%A9%2F",
            301,
            "http://example.com/plain/a%20b%2Bc%2Bd%25%3F%23%C3%A9/",
        ),
        (
            "a line break stays a part of the key",
            "plain/a%0D%0Ax-evil:%201",
            301,
            "http://example.com/plain/a%0D%0Ax-evil%3A%201",
        ),
        (
            "a key cannot become a host",
            "cut//evil.example/x",
            301,
            "http://example.com//evil.example/x",
        ),
        (
            "an @ cannot become a user",
            "cut/@evil.example/",
            301,
            "http://example.com/%40evil.example/",
        ),
    ];
    cases
        .into_iter()
        .map(|(name, key, status, location)| {
            row(name)
                .get(&format!("/examplebucket/{key}"))
                .status(status)
                .header("location", location)
                .header("content-length", "0")
                .without("content-type")
                .without("x-evil")
                .body("")
        })
        .collect()
}

fn conditions() -> Vec<Row> {
    vec![
        row("a hit is not redirected")
            .has("/examplebucket/plain/here", &[], "mine")
            .get("/examplebucket/plain/here")
            .status(200)
            .body("mine")
            .without("location"),
        row("a redirect on 403 is not one on 404")
            .get("/examplebucket/denied/k")
            .status(404)
            .without("location"),
        row("a 503 of the bucket's own is redirected")
            .store_always("GET", "/examplebucket/down/own", error(503, "SlowDown", "GET"))
            .get("/examplebucket/down/own")
            .status(302)
            .header("location", "http://example.com/down/own")
            .without("x-amz-id-2")
            .body(""),
        row("a 500 is not a 503")
            .store_always("GET", "/examplebucket/down/other", error(500, "Internal", "GET"))
            .get("/examplebucket/down/other")
            .status(500)
            .without("location"),
    ]
}

#[test]
fn a_store_that_is_down() {
    run(a_store_that_is_down_on);
}

pub(super) fn a_store_that_is_down_on(_: Path) -> Group {
    let rules = json!([
        redirect_rule(1, "go/", 503, json!({ "HostName": "example.com", "HttpRedirectCode": 302 })),
        mirror_rule(2, "", json!({})),
    ]);
    let rows = vec![
        row("the gateway's own 503 is redirected")
            .get("/examplebucket/go/k")
            .status(302)
            .header("location", "http://example.com/go/k")
            .body(""),
        row("the gateway's own 503 never mirrors")
            .origin("/k", Reply::new(200, &[], "x"))
            .get("/examplebucket/k")
            .status(503)
            .without("x-oss-tag"),
    ];
    let mut group = Group::new("a store that is down", rules, rows);
    group.store = StoreKind::Down;
    group
}
