//! What no rule is about stays as the bucket said it, to the byte.

use serde_json::json;

use super::run::run;
use super::{Group, Row, mirror_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

#[test]
fn passthrough() {
    run(passthrough_on);
}

pub(super) fn passthrough_on(_: Path) -> Group {
    let rules = json!([mirror_rule(1, "mirrored/", json!({}))]);
    let odd = "HTTP/1.1 404 Not Found\r\ncontent-type: text/odd\r\nx-own: 1\r\nx-own: 2\r\n\
               x-amz-request-id: R2\r\ncontent-length: 5\r\n\r\n<odd>";
    let deleted = "HTTP/1.1 404 Not Found\r\nx-amz-delete-marker: true\r\n\
                   x-amz-version-id: v3\r\ncontent-length: 4\r\n\r\ngone";
    let large = vec![b'l'; 3 * 1_024 * 1_024];
    let long_404 = Reply::new(404, &[("content-type", "application/xml")], &large);
    let mut rows = redirects_of_the_bucket();
    rows.extend([
        row("a 404 that no rule covers")
            .store_always("GET", "/examplebucket/plain", Reply::raw(odd).keep())
            .get("/examplebucket/plain")
            .status(404)
            .header("content-type", "text/odd")
            .header("x-own", "1")
            .header("x-amz-request-id", "R2")
            .header("content-length", "5")
            .body("<odd>"),
        row("a deleted object stays deleted")
            .store_always("GET", "/examplebucket/mirrored/deleted", Reply::raw(deleted).keep())
            .origin("/mirrored/deleted", Reply::new(200, &[], "back from the dead"))
            .get("/examplebucket/mirrored/deleted")
            .status(404)
            .header("x-amz-delete-marker", "true")
            .header("x-amz-version-id", "v3")
            .body("gone"),
        row("a long 404 of the bucket's is held and dropped")
            .store_always("GET", "/examplebucket/mirrored/long", long_404)
            .origin("/mirrored/long", Reply::new(200, &[], "short"))
            .get("/examplebucket/mirrored/long")
            .status(200)
            .body("short")
            .fetched("/mirrored/long"),
        row("a 404 without a body is one too")
            .store_always("GET", "/examplebucket/mirrored/bare", Reply::new(404, &[], ""))
            .origin("/mirrored/bare", Reply::new(200, &[("content-type", "a/b")], "whole"))
            .get("/examplebucket/mirrored/bare")
            .status(200)
            .header("content-type", "a/b")
            .body("whole")
            .fetched("/mirrored/bare"),
        row("a 404 without a body, for an empty object")
            .store_always("GET", "/examplebucket/mirrored/barest", Reply::new(404, &[], ""))
            .origin("/mirrored/barest", Reply::new(200, &[("content-type", "a/b")], ""))
            .get("/examplebucket/mirrored/barest")
            .status(200)
            .header("content-length", "0")
            .header("content-type", "a/b")
            .body("")
            .fetched("/mirrored/barest"),
        row("an object of 3 MiB passes through, up and down")
            .send(request("PUT", "/examplebucket/large").with_body(large.clone()))
            .status(200)
            .get("/examplebucket/large")
            .status(200)
            .body(large),
    ]);
    Group::new("passthrough", rules, rows)
}

/// What a bucket sends its clients to is none of the gateway's business, whatever it looks like.
fn redirects_of_the_bucket() -> Vec<Row> {
    let elsewhere = "http://examplebucket.elsewhere.example/mirrored/k";
    let misses = "http://back-to-origin.invalid/";
    let cases = [
        (301, elsewhere),
        (302, elsewhere),
        (303, elsewhere),
        (307, elsewhere),
        (308, elsewhere),
        (302, misses),
        (307, misses),
        (308, misses),
    ];
    let rows = cases.into_iter().enumerate().map(|(index, (status, location))| {
        let key = format!("/mirrored/sent-{index}");
        let path = format!("/examplebucket{key}");
        let said = [("location", location)];
        row(format!("a {status} of the bucket's own to {location}"))
            .store_always("GET", &path, Reply::new(status, &said, "of the bucket"))
            .origin(&key, Reply::new(200, &[], "of the origin"))
            .get(&path)
            .status(status)
            .header("location", location)
            .body("of the bucket")
            .without("x-oss-tag")
            .told(0)
    });
    rows.collect()
}
