//! A HEAD of a missing object: the origin's headers, and the object in the bucket, where the rule
//! lets it.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line, Stored};
use super::run::run;
use super::{Group, IN_RANGES, NO_LIMIT, Row, mirror_rule, redirect_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

const BYTES: &str = "the bytes";

#[test]
fn heads() {
    run(heads_on);
}

pub(super) fn heads_on(path: Path) -> Group {
    let head = |more: serde_json::Value| {
        let mut elements = json!({ "MirrorAllowHeadObject": true });
        super::merge(&mut elements, more);
        elements
    };
    let rules = json!([
        mirror_rule(1, "silent/", json!({})),
        mirror_rule(2, "refused/", head(json!({ "MirrorURL": "http://{closed}/" }))),
        redirect_rule(3, "elsewhere/", 404, json!({ "HostName": "h.example" })),
        mirror_rule(4, "small/", head(json!({ "MirrorMaxSize": 5 }))),
        mirror_rule(9, "", head(json!({}))),
    ]);
    let rows = [brought(path), absent(), large(path)].concat();
    let mut group = Group::new("heads", rules, rows);
    group.limits = Some(json!({ "object_bytes": 1_000 }));
    group.timeouts = Some(json!({ "origin_ms": 2_000 }));
    group
}

/// A HEAD, which the origin gets too.
fn head(name: &str, path: &str) -> Row {
    row(name).send(request("HEAD", format!("/examplebucket{path}"))).probed(path)
}

impl Row {
    /// The object follows: by callouts in one fetch, on the streaming path range by range.
    pub(super) fn follows(self, on: Path, path: &str, bytes: &str) -> Self {
        let row = match on {
            Path::Callout => self.fetched(path),
            Path::Streaming => self,
        };
        row.stored(&format!("/examplebucket{path}"), bytes, &[])
            .differs_by_path(&[Asked], IN_RANGES)
    }
}

fn brought(on: Path) -> Vec<Row> {
    let reply = || Reply::new(200, &[("content-type", "text/plain"), ("x-private", "1")], BYTES);
    let again = |row: Row, path: &str| {
        row.send(request("HEAD", format!("/examplebucket{path}")))
            .status(200)
            .header("content-length", "9")
            .header("content-type", "text/plain")
    };
    vec![
        again(
            head("a HEAD brings headers and object, and then it is a hit", "/k")
                .origin("/k", reply())
                .status(200)
                .body("")
                .header("content-length", "9")
                .header("content-type", "text/plain")
                .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fk")
                .without("x-private")
                .follows(on, "/k", BYTES),
            "/k",
        )
        .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fk")
        .get("/examplebucket/k")
        .status(200)
        .body(BYTES),
        head("a HEAD has no range", "/ranged")
            .with("range", "bytes=0-1")
            .origin("/ranged", reply())
            .status(200)
            .header("content-length", "9")
            .without("content-range")
            .follows(on, "/ranged", BYTES),
        head("a HEAD of an empty object", "/empty")
            .origin("/empty", Reply::new(200, &[("content-type", "text/x-empty")], ""))
            .status(200)
            .header("content-length", "0")
            .header("content-type", "text/x-empty")
            .follows(on, "/empty", ""),
        row("a HEAD of an object that is there does not reach the origin")
            .has("/examplebucket/here", &[], "mine")
            .origin("/here", reply())
            .send(request("HEAD", "/examplebucket/here"))
            .status(200)
            .header("content-length", "4")
            .without("x-oss-tag"),
    ]
}

fn absent() -> Vec<Row> {
    let unasked = |name: &str, path: &str| {
        row(name)
            .origin(path, Reply::new(200, &[], BYTES))
            .send(request("HEAD", format!("/examplebucket{path}")))
            .status(404)
            .body("")
            .without("x-oss-tag")
    };
    vec![
        head("a HEAD of what the origin does not have either", "/nowhere")
            .origin("/nowhere", Reply::new(404, &[], "nothing"))
            .status(404)
            .body("")
            .header("content-type", "application/xml")
            .never_stored("/examplebucket/nowhere"),
        head("a HEAD that the origin fails", "/broken")
            .origin("/broken", Reply::new(500, &[], "sorry"))
            .status(424)
            .body("")
            .header("content-type", "application/xml")
            .never_stored("/examplebucket/broken"),
        row("a HEAD while the origin refuses connections")
            .send(request("HEAD", "/examplebucket/refused/k"))
            .status(424)
            .body("")
            .header("content-type", "application/xml")
            .told(1),
        unasked("a HEAD without leave of its rule", "/silent/k")
            .never_stored("/examplebucket/silent/k"),
        unasked("a HEAD of what its GET would be redirected for", "/elsewhere/k"),
        unasked("a HEAD that its query makes another operation", "/k2?acl"),
        row("a GET is what it was")
            .origin("/silent/get", Reply::new(200, &[], BYTES))
            .get("/examplebucket/silent/get")
            .mirrored("/examplebucket/silent/get", "/silent/get", BYTES),
    ]
}

/// By callouts a GET of it would be redirected, and so is its HEAD; a stream has no limit.
fn large(on: Path) -> Vec<Row> {
    let bytes = "l".repeat(1_001);
    let row = head("a HEAD of an object above the limit", "/large")
        .origin("/large", Reply::new(200, &[], &bytes))
        .differs_by_path(&[Answer, Stored, Line, Counters], NO_LIMIT);
    let by_rule = head("a HEAD of an object above its rule's own limit", "/small/k")
        .origin("/small/k", Reply::new(200, &[], BYTES))
        .status(302)
        .header("location", "http://{origin}/small/k")
        .never_stored("/examplebucket/small/k");
    let row = match on {
        Path::Callout => row
            .status(302)
            .header("location", "http://{origin}/large")
            .never_stored("/examplebucket/large"),
        Path::Streaming => row.status(200).header("content-length", "1001").stored(
            "/examplebucket/large",
            &bytes,
            &[],
        ),
    };
    vec![row, by_rule]
}
