//! Several buckets, each with rules of its own, named in the path or in the host; and which rule
//! of several it is.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line};
use super::run::run;
use super::{Group, Row, StoreKind, mirror_rule, redirect_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

#[test]
fn several_buckets() {
    run(several_buckets_on);
}

pub(super) fn several_buckets_on(path: Path) -> Group {
    let elements = json!({ "MirrorURL": "http://{origin}/first/", "MirrorAllowHeadObject": true });
    let first = json!([mirror_rule(1, "", elements)]);
    let second = json!([
        mirror_rule(1, "mirror/", json!({ "MirrorURL": "http://{origin}/second/" })),
        redirect_rule(2, "", 404, json!({ "ReplaceKeyPrefixWith": "moved/" })),
    ]);
    let third = json!([]);
    let rows = vec![
        row("each bucket has its own rules: the first")
            .origin("/first/k", Reply::new(200, &[], "1"))
            .get("/first-bucket/k")
            .mirrored("/first-bucket/k", "/first/k", "1")
            .never_stored("/second-bucket/k"),
        row("each bucket has its own rules: the second")
            .origin("/second/mirror/k", Reply::new(200, &[], "2"))
            .get("/second-bucket/mirror/k")
            .mirrored("/second-bucket/mirror/k", "/second/mirror/k", "2"),
        row("each bucket has its own rules: the second's redirect")
            .get("/second-bucket/other")
            .status(301)
            .header("location", "http://{gateway}/second-bucket/moved/other"),
        row("a bucket without rules keeps its answers").get("/third-bucket/k").status(404),
        row("a bucket that nobody configured is not mirrored")
            .get("/unknown-bucket/k")
            .status(404)
            .without("x-oss-tag")
            .worded_by_the_host(),
        host("a bucket in the host", "/in/host", "first-bucket.s3.localhost")
            .origin("/first/in/host", Reply::new(200, &[], "h"))
            .mirrored("/first-bucket/in/host", "/first/in/host", "h"),
        host(
            "a bucket in the host, with a port and in capitals",
            "/in/caps",
            "FIRST-bucket.S3.localhost:80",
        )
        .origin("/first/in/caps", Reply::new(200, &[], "c"))
        .mirrored("/first-bucket/in/caps", "/first/in/caps", "c"),
        host(
            "a bucket in the host: its path is all key",
            "/second-bucket/k",
            "first-bucket.s3.localhost",
        )
        .origin("/first/second-bucket/k", Reply::new(200, &[], "k"))
        .mirrored("/first-bucket/second-bucket/k", "/first/second-bucket/k", "k"),
        host(
            "a host below the domain that names no bucket",
            "/first-bucket/k2",
            "none.s3.localhost",
        )
        .origin("/first/k2", Reply::new(200, &[], "not theirs"))
        .status(404)
        .without("x-oss-tag")
        .worded_by_the_host()
        .never_stored("/first-bucket/k2"),
        row("a HEAD of a host below the domain that names no bucket")
            .origin("/first/k3", Reply::new(200, &[], "not theirs"))
            .send(request("HEAD", "/first-bucket/k3"))
            .with("host", "none.s3.localhost:80")
            .status(404)
            .without("x-oss-tag")
            .worded_by_the_host()
            .never_stored("/first-bucket/k3"),
        of_no_bucket(path, "the store's word on another bucket", "/first-bucket/k4", &[]),
        of_no_bucket(
            path,
            "the store's word on another bucket, without a length",
            "/first-bucket/k5",
            &[("transfer-encoding", "chunked")],
        ),
        host("a redirect stays on a bucket's own host", "/gone", "second-bucket.s3.localhost")
            .status(301)
            .header("location", "http://second-bucket.s3.localhost/moved/gone"),
    ];
    let mut group = Group::new("several buckets", json!([]), rows);
    group.buckets =
        vec![("first-bucket", first), ("second-bucket", second), ("third-bucket", third)];
    group.domain = Some("s3.localhost");
    group.store = StoreKind::Memory;
    group
}

/// No miss where the gateway reads what the store says. By callouts a host holds the answer with its
/// body unread, and only the Host can tell.
fn of_no_bucket(on: Path, name: &'static str, path: &'static str, more: &[(&str, &str)]) -> Row {
    let document = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>";
    let body = match more {
        [] => document.to_owned(),
        _ => format!("{:x}\r\n{document}\r\n0\r\n\r\n", document.len()),
    };
    let mut head = "HTTP/1.1 404 Not Found\r\ncontent-type: application/xml\r\n".to_owned();
    match more {
        [] => head.push_str(&format!("content-length: {}\r\n", body.len())),
        more => head.extend(more.iter().map(|(name, value)| format!("{name}: {value}\r\n"))),
    }
    let row = row(name)
        .store_always("GET", path, Reply::raw(format!("{head}\r\n{body}")).keep())
        .get(path)
        .status(404)
        .differs_by_path(&[Answer, Asked, Line, Counters], "a body that is held is not read");
    match on {
        Path::Callout => {
            row.error(404, "NoSuchKey", "").fetched(&path.replace("/first-bucket", "/first"))
        }
        Path::Streaming => row.body(document).without("x-oss-tag"),
    }
}

fn host(name: &'static str, path: &str, host: &str) -> Row {
    row(name).get(path).with("host", host)
}

#[test]
fn rule_order() {
    run(rule_order_on);
}

pub(super) fn rule_order_on(_: Path) -> Group {
    let suffix = json!({
        "RuleNumber": 3,
        "Condition": { "KeySuffixEquals": ".jpg", "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://{origin}/jpg/" },
    });
    let both = json!({
        "RuleNumber": 2,
        "Condition": {
            "KeyPrefixEquals": "img/", "KeySuffixEquals": ".png", "HttpErrorCodeReturnedEquals": 404,
        },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://{origin}/png/" },
    });
    let rules = json!([
        mirror_rule(20, "", json!({ "MirrorURL": "http://{origin}/last/" })),
        suffix,
        both,
        mirror_rule(1, "img/first", json!({ "MirrorURL": "http://{origin}/first/" })),
    ]);
    let cases = [
        ("the lowest number wins, wherever it stands", "img/first.jpg", "/first/img/first.jpg"),
        ("prefix and suffix must both hold", "img/a.png", "/png/img/a.png"),
        ("a suffix", "a/b.jpg", "/jpg/a/b.jpg"),
        ("a suffix is the end of the key", "a.jpg.txt", "/last/a.jpg.txt"),
        ("a prefix is no folder", "img/firstly", "/first/img/firstly"),
        ("what no other rule covers", "other/a.png", "/last/other/a.png"),
    ];
    let mut rows: Vec<Row> = cases
        .iter()
        .map(|(name, key, fetched)| {
            row(*name)
                .origin(fetched, Reply::new(200, &[], *name))
                .get(&format!("/examplebucket/{key}"))
                .mirrored(&format!("/examplebucket/{key}"), fetched, name)
        })
        .collect();
    rows.push(
        row("the first match wins whatever its origin answers")
            .origin("/first/img/first-fails", Reply::new(404, &[], ""))
            .origin("/last/img/first-fails", Reply::new(200, &[], "too late"))
            .get("/examplebucket/img/first-fails")
            .error(404, "NoSuchKey", "")
            .fetched("/first/img/first-fails"),
    );
    Group::new("rule order", rules, rows)
}
