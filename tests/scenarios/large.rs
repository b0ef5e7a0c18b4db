//! Objects that do not fit: the client is sent to the origin, or told; nothing hangs.

use serde_json::json;

use super::run::run;
use super::{Group, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

#[test]
fn large() {
    run(large_on);
}

fn large_on(_: Path) -> Group {
    let limit = 1_024 * 1_024;
    let rules = json!([
        mirror_rule(1, "fail/", json!({ "MirrorTooLarge": "Fail" })),
        mirror_rule(2, "query/", json!({ "MirrorPassQueryString": true })),
        mirror_rule(9, "", json!({})),
    ]);
    let fits = vec![b'f'; limit];
    let over = vec![b'o'; limit + 1];
    let huge = vec![b'h'; 33 * 1_024 * 1_024];
    let mut chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    chunks.extend_from_slice(format!("{:x}\r\n", over.len()).as_bytes());
    chunks.extend_from_slice(&over);
    chunks.extend_from_slice(b"\r\n0\r\n\r\n");
    let moved = |name, target: &str, path: &str, reply: Reply, location: &str| {
        row(name)
            .origin(path, reply)
            .get(target)
            .status(302)
            .header("location", location)
            .without("x-oss-tag")
            .body("")
            .never_stored(&format!("/examplebucket{path}"))
    };
    let told = |name, path: &str, reply: Reply| {
        row(name)
            .origin(path, reply)
            .get(&format!("/examplebucket{path}"))
            .error(424, "MirrorFailed", "larger")
            .without("location")
            .fetched(path)
            .never_stored(&format!("/examplebucket{path}"))
    };
    let rows = vec![
        row("an object of just the limit is mirrored")
            .origin("/fits", Reply::new(200, &[], &fits))
            .get("/examplebucket/fits")
            .mirrored("/examplebucket/fits", "/fits", &fits),
        moved(
            "one byte more is left to the origin",
            "/examplebucket/over",
            "/over",
            Reply::new(200, &[], &over),
            "http://{origin}/over",
        )
        .fetched("/over"),
        moved(
            "a length that nobody announced",
            "/examplebucket/chunks",
            "/chunks",
            Reply::raw(chunks).keep(),
            "http://{origin}/chunks",
        )
        .fetched("/chunks"),
        moved(
            "more than the host can hold",
            "/examplebucket/huge%20one",
            "/huge%20one",
            Reply::new(200, &[], &huge),
            "http://{origin}/huge%20one",
        )
        .fetched("/huge%20one")
        .probed("/huge%20one"),
        moved(
            "the query goes along where it was passed",
            "/examplebucket/query/k?v=1",
            "/query/k",
            Reply::new(200, &[], &over),
            "http://{origin}/query/k?v=1",
        )
        .fetched("/query/k?v=1"),
        told("MirrorTooLarge Fail", "/fail/over", Reply::new(200, &[], &over)),
        told(
            "MirrorTooLarge Fail, more than the host can hold",
            "/fail/huge",
            Reply::new(200, &[], &huge),
        )
        .probed("/fail/huge"),
        row("the same worker mirrors on")
            .origin("/after", Reply::new(200, &[], "x"))
            .get("/examplebucket/after")
            .mirrored("/examplebucket/after", "/after", "x"),
    ];
    let mut group = Group::new("large", rules, rows);
    group.limits = Some(json!({ "object_bytes": limit }));
    group
}
