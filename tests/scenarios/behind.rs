//! Objects that are fetched for the bucket, since their clients want less of them or nothing: beside
//! a part, behind a HEAD, behind a redirect. What a rule says of an object is said of these too.

use serde_json::{Value, json};

use super::evidence::Aspect::{Asked, Counters, Line};
use super::run::run;
use super::{A_RANGE_TRAVELS, Group, IN_RANGES, Row, merge, mirror_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

const OLD: &str = "Tue, 01 Apr 2025 08:00:00 GMT";

#[test]
fn behind() {
    run(behind_on);
}

pub(super) fn behind_on(path: Path) -> Group {
    let checked = json!({ "MirrorAsyncStatus": 303, "MirrorCheckMd5": true, "MirrorMaxSize": 5 });
    let rules = json!([
        mirror_rule(1, "all/", keeping(json!({ "MirrorAllowHeadObject": true }))),
        mirror_rule(2, "later/", keeping(json!({ "MirrorAsyncStatus": 303 }))),
        mirror_rule(3, "checked/", checked),
        mirror_rule(
            4,
            "passed/",
            json!({ "MirrorAllowHeadObject": true, "MirrorProxyPass": true })
        ),
        mirror_rule(5, "", json!({})),
    ]);
    Group::new("behind", rules, [kept(path), refused(path)].concat())
}

/// Elements, and all that is kept beside an object's bytes.
fn keeping(mut elements: Value) -> Value {
    let kept = json!({
        "MirrorSaveOssMeta": true,
        "MirrorUserLastModified": true,
        "MirrorTaggings": { "Taggings": [{ "Key": "src", "Value": "${key}" }] },
        "StorageClass": "REDUCED_REDUNDANCY",
        "ServerSideEncryption": "AES256",
    });
    merge(&mut elements, kept);
    elements
}

/// An origin's object.
fn has(name: &str, path: &str, more: &[(&'static str, &'static str)], bytes: &str) -> Row {
    let headers = [&[("etag", "\"e\"")], more].concat();
    row(name).origin(path, Reply::new(200, &headers, bytes)).origin_object(path, &headers, bytes)
}

/// A part that an origin is asked for; by callouts it is asked for the whole.
fn part(row: Row, on: Path, path: &str) -> Row {
    let row = row
        .get(&format!("/examplebucket{path}"))
        .with("range", "bytes=1-2")
        .differs_by_path(&[Asked], A_RANGE_TRAVELS);
    match on {
        Path::Callout => row.fetched(path),
        Path::Streaming => row.fetched_with(path, &[("range", "bytes=1-2")]),
    }
}

/// A client that is sent to the origin, behind which the object is fetched.
fn sent(row: Row, on: Path, path: &str) -> Row {
    let row = row
        .get(&format!("/examplebucket{path}"))
        .status(303)
        .body("")
        .told(2)
        .differs_by_path(&[Asked], IN_RANGES);
    match on {
        Path::Callout => row.fetched(path),
        Path::Streaming => row,
    }
}

/// A HEAD, behind which the object follows where it is to be stored.
fn head(row: Row, path: &str) -> Row {
    row.send(request("HEAD", format!("/examplebucket{path}"))).status(200).probed(path)
}

fn kept(on: Path) -> Vec<Row> {
    let described = [("content-type", "a/b"), ("x-oss-meta-a", "1"), ("last-modified", OLD)];
    let has = |name: &str, path: &str| has(name, path, &described, "abcd");
    let told = |row: Row| row.header("x-amz-meta-a", "1").header("last-modified", OLD);
    let stored = |row: Row, path: &str, tag: &'static str| {
        let of = format!("MIRROR http%3A%2F%2F{{origin%}}{}", path.replace('/', "%2F"));
        let headers = [
            ("content-type", "a/b"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-x-oss-last-modified", OLD),
            ("x-amz-meta-x-oss-tag", &*of),
        ];
        row.stored(&format!("/examplebucket{path}"), "abcd", &headers)
            .sent("x-amz-tagging", tag)
            .sent("x-amz-storage-class", "REDUCED_REDUNDANCY")
            .sent("x-amz-server-side-encryption", "AES256")
    };
    let beside = part(has("what is kept is kept beside a part", "/all/part"), on, "/all/part")
        .differs_by_path(&[Counters], A_RANGE_TRAVELS);
    let behind = head(has("what is kept is kept behind a HEAD", "/all/head"), "/all/head");
    let behind = behind.differs_by_path(&[Asked], IN_RANGES);
    let behind = match on {
        Path::Callout => behind.fetched("/all/head"),
        Path::Streaming => behind,
    };
    let later = sent(has("what is kept is kept behind a redirect", "/later/a"), on, "/later/a");
    vec![
        stored(told(beside.status(206).body("bc")), "/all/part", "src=all%2Fpart"),
        stored(told(behind.body("")), "/all/head", "src=all%2Fhead"),
        stored(later, "/later/a", "src=later%2Fa"),
    ]
}

fn refused(on: Path) -> Vec<Row> {
    let passed = has("what is only passed is not stored behind a HEAD", "/passed/a", &[], "abcd");
    let beside = has("what is only passed is not stored beside a part", "/passed/b", &[], "abcd");
    let digest = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
    let wrong = has("digests count behind a redirect", "/checked/a", &digest, "abcd");
    let large = has("limits count behind a redirect", "/checked/b", &[], "123456");
    vec![
        head(passed, "/passed/a").never_stored("/examplebucket/passed/a"),
        part(beside, on, "/passed/b")
            .status(206)
            .body("bc")
            .never_stored("/examplebucket/passed/b")
            // Who has asked for a part alone does not know how large the whole is.
            .differs_by_path(&[Line], A_RANGE_TRAVELS),
        sent(wrong, on, "/checked/a").never_stored("/examplebucket/checked/a"),
        sent(large, on, "/checked/b").never_stored("/examplebucket/checked/b"),
    ]
}
