//! What an origin says of an object's bytes must be true of them, where the rule asks.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line};
use super::run::run;
use super::{A_RANGE_TRAVELS, Group, HAS_BEGUN, Row, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

/// What every object here is.
const BYTES: &str = "the bytes";
const MD5: &str = "q0jocDd+XZ++EWY5SeIpsA==";
const MD5_HEX: &str = "\"ab48e870377e5d9fbe11663949e229b0\"";
const REPRESENTATION: &str = "sha-256=:7ViTQcn9Xalqr/TF76AIImKCpxYYZgjVoDKsdYlanC8=:";

/// The MD5 of something else.
const OTHER: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";
const OTHER_HEX: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";

/// An object of two parts, and its MD5.
const LARGE: usize = 6 << 20;
const LARGE_MD5: &str = "jrx5A4gO7dIagSSHvv4MQw==";

#[test]
fn digests() {
    run(digests_on);
}

pub(super) fn digests_on(path: Path) -> Group {
    let rules = json!([
        mirror_rule(1, "unchecked/", json!({})),
        mirror_rule(2, "", json!({ "MirrorCheckMd5": true })),
    ]);
    let rows = [right(), wrong(path), large(path), ranged(path)].concat();
    let mut group = Group::new("digests", rules, rows);
    group.limits = Some(json!({ "part_bytes": 5 << 20 }));
    group
}

fn right() -> Vec<Row> {
    let s3 = ("x-amz-request-id", "R1");
    let kms = ("x-amz-server-side-encryption", "aws:kms");
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("nothing is said of the bytes", &[]),
        ("Content-MD5", &[("content-md5", MD5)]),
        ("Repr-Digest", &[("repr-digest", REPRESENTATION)]),
        ("a checksum of S3", &[("x-amz-checksum-crc32c", "5Cgc+Q==")]),
        ("an ETag of S3", &[s3, ("etag", MD5_HEX)]),
        ("an ETag that no S3 says", &[("etag", OTHER_HEX)]),
        ("an ETag of S3 with KMS", &[s3, kms, ("etag", OTHER_HEX)]),
        ("an ETag of parts", &[s3, ("etag", "\"d41d8cd98f00b204e9800998ecf8427e-2\"")]),
        (
            "a checksum of parts",
            &[("x-amz-checksum-type", "COMPOSITE"), ("x-amz-checksum-crc32", "AAAAAA==")],
        ),
    ];
    let checked = cases.into_iter().enumerate().map(|(index, (name, headers))| {
        let path = format!("/right{index}");
        row(format!("{name}: stored"))
            .origin(&path, Reply::new(200, headers, BYTES))
            .get(&format!("/examplebucket{path}"))
            .mirrored(&format!("/examplebucket{path}"), &path, BYTES)
    });
    let unchecked = row("a false digest where no rule asks: stored")
        .origin("/unchecked/k", Reply::new(200, &[("content-md5", OTHER)], BYTES))
        .get("/examplebucket/unchecked/k")
        .mirrored("/examplebucket/unchecked/k", "/unchecked/k", BYTES);
    checked.chain([unchecked]).collect()
}

fn wrong(on: Path) -> Vec<Row> {
    let cases: [(&str, &[(&str, &str)], &str); 6] = [
        ("Content-MD5", &[("content-md5", OTHER)], "MD5 in header(content-md5)"),
        ("a Content-MD5 that is none", &[("content-md5", "none")], "MD5 in header(content-md5)"),
        (
            "one of two",
            &[("content-md5", MD5), ("repr-digest", "sha-256=:AAAA:")],
            "SHA-256 in header(repr-digest)",
        ),
        ("Digest", &[("digest", "MD5=1B2M2Y8AsgTpgAmY7PhCfg==")], "MD5 in header(digest)"),
        (
            "a checksum of S3",
            &[("x-amz-checksum-crc32c", "AAAAAA==")],
            "CRC32C in header(x-amz-checksum-crc32c)",
        ),
        (
            "an ETag of S3",
            &[("x-amz-request-id", "R1"), ("etag", OTHER_HEX)],
            "MD5 in header(etag)",
        ),
    ];
    let rows = cases.into_iter().enumerate().map(|(index, (name, headers, message))| {
        let path = format!("/wrong{index}");
        refused(on, name, &path, Reply::new(200, headers, BYTES), message, BYTES)
    });
    rows.collect()
}

/// On the callout path nothing has been sent, and nobody gets it; a stream has reached its client.
fn refused(on: Path, name: &str, path: &str, reply: Reply, message: &str, bytes: &str) -> Row {
    let row = row(format!("{name} is false: not stored"))
        .origin(path, reply)
        .get(&format!("/examplebucket{path}"));
    let row = match on {
        Path::Callout => row.error(424, "MirrorFailed", message),
        Path::Streaming => row.status(200).body(bytes),
    };
    row.fetched(path)
        .never_stored(&format!("/examplebucket{path}"))
        .differs_by_path(&[Answer, Line, Counters], HAS_BEGUN)
}

fn large(on: Path) -> Vec<Row> {
    let bytes = "d".repeat(LARGE);
    let reply = |md5| Reply::new(200, &[("content-md5", md5)], &bytes);
    let row = row("an object of two parts, and its digest")
        .origin("/large", reply(LARGE_MD5))
        .get("/examplebucket/large")
        .mirrored("/examplebucket/large", "/large", &bytes);
    let message = "MD5 in header(content-md5)";
    vec![row, refused(on, "the digest of two parts", "/large-wrong", reply(OTHER), message, &bytes)]
}

/// A part cannot be checked for its client; the object can, for the bucket.
fn ranged(on: Path) -> Vec<Row> {
    let asked = |name: &str, path: &str, digest: &'static str| {
        let row = row(name)
            .origin_object(path, &[("content-md5", digest)], BYTES)
            .get(&format!("/examplebucket{path}"))
            .with("range", "bytes=0-2")
            .differs_by_path(&[Asked], A_RANGE_TRAVELS);
        match on {
            Path::Callout => row.fetched(path),
            Path::Streaming => row.fetched_with(path, &[("range", "bytes=0-2")]),
        }
    };
    let wrong = asked("a range of an object that is not its digest's", "/ranged-wrong", OTHER)
        .never_stored("/examplebucket/ranged-wrong")
        .differs_by_path(&[Answer, Line, Counters], HAS_BEGUN);
    vec![
        asked("a range of an object and the digest of all of it", "/ranged", MD5)
            .status(206)
            .body("the")
            .stored("/examplebucket/ranged", BYTES, &[])
            .differs_by_path(&[Counters], A_RANGE_TRAVELS),
        match on {
            Path::Callout => wrong.error(424, "MirrorFailed", "MD5 in header(content-md5)"),
            Path::Streaming => wrong.status(206).body("the"),
        },
    ]
}
