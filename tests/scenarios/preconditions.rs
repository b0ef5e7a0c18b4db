//! Conditions of a request on a miss: what the origin has is the version that they are about, and no
//! origin sees them. Whatever the client gets, the bucket gets the whole object.

use serde_json::json;

use super::evidence::Aspect::{Asked, Counters};
use super::run::run;
use super::{A_RANGE_TRAVELS, Group, IN_RANGES, Row, StoreKind, mirror_rule, redirect_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

const BYTES: &str = "0123456789";
const BEFORE: &str = "Tue, 01 Apr 2025 07:59:59 GMT";
const THEN: &str = "Tue, 01 Apr 2025 08:00:00 GMT";
const AFTER: &str = "Tuesday, 01-Apr-25 08:00:01 GMT";

/// What the origin says of its version.
const ALL: &[(&str, &str)] = &[("etag", "\"v,1\""), ("last-modified", THEN)];
const NOTHING: &[(&str, &str)] = &[];
const WEAK: &[(&str, &str)] = &[("etag", "W/\"v,1\"")];

/// What a store says of an object that it has is nothing here.
const FETCHED_BESIDE: &str = "what a client does not take is fetched for the bucket beside it";

/// What the client sends, what the origin says of its version, and the status.
type Case = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)], u16);

const CASES: &[Case] = &[
    (&[("if-match", "\"v,1\"")], ALL, 200),
    (&[("if-match", "\"other\", \"v,1\"")], ALL, 200),
    (&[("if-match", "*")], ALL, 200),
    (&[("if-match", "*")], NOTHING, 200),
    (&[("if-match", "\"other\"")], ALL, 412),
    (&[("if-match", "W/\"v,1\"")], ALL, 412),
    (&[("if-match", "\"v,1\"")], WEAK, 412),
    (&[("if-match", "\"v,1\"")], NOTHING, 412),
    (&[("if-unmodified-since", THEN)], ALL, 200),
    (&[("if-unmodified-since", AFTER)], ALL, 200),
    (&[("if-unmodified-since", BEFORE)], ALL, 412),
    (&[("if-unmodified-since", AFTER)], NOTHING, 412),
    (&[("if-unmodified-since", "soon")], ALL, 200),
    (&[("if-match", "\"v,1\""), ("if-unmodified-since", BEFORE)], ALL, 200),
    (&[("if-match", "\"other\""), ("if-unmodified-since", AFTER)], ALL, 412),
    (&[("if-none-match", "\"v,1\"")], ALL, 304),
    (&[("if-none-match", "W/\"v,1\"")], ALL, 304),
    (&[("if-none-match", "*")], NOTHING, 304),
    (&[("if-none-match", "\"other\"")], ALL, 200),
    (&[("if-none-match", "\"v,1\"")], NOTHING, 200),
    (&[("if-modified-since", THEN)], ALL, 304),
    (&[("if-modified-since", AFTER)], ALL, 304),
    (&[("if-modified-since", BEFORE)], ALL, 200),
    (&[("if-modified-since", AFTER)], NOTHING, 200),
    (&[("if-none-match", "\"other\""), ("if-modified-since", AFTER)], ALL, 200),
    (&[("if-none-match", "\"v,1\""), ("if-modified-since", BEFORE)], ALL, 304),
    (&[("if-match", "\"other\""), ("if-none-match", "\"v,1\"")], ALL, 412),
    (&[("if-match", "\"v,1\""), ("if-none-match", "\"v,1\"")], ALL, 304),
];

/// The same with a Range of four bytes.
const RANGED: &[Case] = &[
    (&[("if-match", "\"v,1\"")], ALL, 206),
    (&[("if-match", "\"other\"")], ALL, 412),
    (&[("if-match", "\"v,1\"")], NOTHING, 412),
    (&[("if-unmodified-since", THEN)], ALL, 206),
    (&[("if-unmodified-since", BEFORE)], ALL, 412),
    (&[("if-none-match", "\"v,1\"")], ALL, 304),
    (&[("if-none-match", "\"other\"")], ALL, 206),
    (&[("if-modified-since", THEN)], ALL, 304),
    (&[("if-range", "\"v,1\"")], ALL, 206),
    (&[("if-range", "\"other\"")], ALL, 200),
    (&[("if-range", "W/\"v,1\"")], ALL, 200),
    (&[("if-range", "\"v,1\"")], NOTHING, 200),
    (&[("if-range", THEN)], ALL, 200),
    (&[("if-match", "\"v,1\""), ("if-range", "\"v,1\"")], ALL, 206),
    (&[("if-match", "\"other\""), ("if-range", "\"v,1\"")], ALL, 412),
];

#[test]
fn preconditions() {
    run(preconditions_on);
}

pub(super) fn preconditions_on(path: Path) -> Group {
    let head = json!({ "MirrorAllowHeadObject": true });
    let rules = json!([
        redirect_rule(1, "sent/", 404, json!({ "HostName": "h.example" })),
        mirror_rule(2, "pass/", json!({ "MirrorProxyPass": true })),
        mirror_rule(3, "", head),
    ]);
    let numbered = |cases: &'static [Case]| cases.iter().enumerate();
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(numbered(CASES).map(|(index, case)| gotten(index, case)));
    rows.extend(numbered(CASES).map(|(index, case)| headed(path, index, case)));
    rows.extend(numbered(RANGED).map(|(index, case)| ranged(path, index, case)));
    rows.push(
        row("a condition is nothing to a redirect")
            .get("/examplebucket/sent/k")
            .with("if-match", "\"other\"")
            .with("if-none-match", "*")
            .status(301)
            .header("location", "http://h.example/sent/k"),
    );
    rows.push(
        row("a condition on what is not stored")
            .origin_object("/pass/k", ALL, BYTES)
            .get("/examplebucket/pass/k")
            .with("if-match", "\"other\"")
            .error(412, "PreconditionFailed", "If-Match")
            .fetched("/pass/k")
            .never_stored("/examplebucket/pass/k"),
    );
    rows.push(
        row("a condition on what the origin does not have")
            .get("/examplebucket/none")
            .with("if-match", "\"v,1\"")
            .error(404, "NoSuchKey", "")
            .fetched("/none"),
    );
    let mut group = Group::new("preconditions", rules, rows);
    group.store = StoreKind::Memory;
    group
}

fn named(kind: &str, (sent, said, status): &Case) -> String {
    format!("{kind}: {sent:?} where the origin says {said:?}: {status}")
}

impl Row {
    fn sends(self, sent: &[(&str, &str)]) -> Self {
        sent.iter().fold(self, |row, (name, value)| row.with(name, value))
    }

    /// What pins the version.
    fn pinned(self, said: &[(&str, &str)]) -> Self {
        match said {
            [("etag", etag), ("last-modified", date)] => {
                self.header("etag", etag).header("last-modified", date)
            }
            _ => self.without("etag"),
        }
    }
}

fn gotten(index: usize, case: &Case) -> Row {
    let (sent, said, status) = case;
    let path = format!("/g{index}");
    let stored = format!("/examplebucket{path}");
    let row = row(named("GET", case))
        .origin_object(&path, said, BYTES)
        .get(&stored)
        .sends(sent)
        .fetched(&path);
    let row = match status {
        200 => row.status(200).body(BYTES).pinned(said),
        304 => row.status(304).body("").pinned(said).without("content-type"),
        _ => row.error(412, "PreconditionFailed", "").without("etag"),
    };
    let row = match status {
        200 => row,
        _ => row.differs_by_path(&[Counters], FETCHED_BESIDE),
    };
    row.stored(&stored, BYTES, &[])
}

fn headed(on: Path, index: usize, case: &Case) -> Row {
    let (sent, said, status) = case;
    let path = format!("/h{index}");
    let stored = format!("/examplebucket{path}");
    let row = row(named("HEAD", case))
        .origin(&path, Reply::new(200, said, BYTES))
        .send(request("HEAD", &stored))
        .sends(sent)
        .probed(&path)
        .status(*status)
        .body("");
    let row = match status {
        200 => row.pinned(said).header("content-length", "10"),
        304 => row.pinned(said),
        _ => row.without("etag").header("content-type", "application/xml"),
    };
    row.follows(on, &path, BYTES)
}

fn ranged(on: Path, index: usize, case: &Case) -> Row {
    let (sent, said, status) = case;
    let path = format!("/r{index}");
    let stored = format!("/examplebucket{path}");
    let row = row(named("GET of a Range", case))
        .origin_object(&path, said, BYTES)
        .get(&stored)
        .with("range", "bytes=2-5")
        .sends(sent);
    let row = match status {
        200 => row.status(200).body(BYTES).pinned(said).without("content-range"),
        206 => row.status(206).body("2345").pinned(said).header("content-range", "bytes 2-5/10"),
        304 => row.status(304).body("").pinned(said),
        _ => row.error(412, "PreconditionFailed", "").without("etag"),
    };
    // Only what hangs on a strong ETag travels on with it.
    let if_range = sent.iter().find(|(name, _)| *name == "if-range");
    let row = match (on, if_range) {
        (Path::Callout, _) => row.fetched(&path),
        (Path::Streaming, None) => row.fetched_with(&path, &[("range", "bytes=2-5")]),
        (Path::Streaming, Some((name, tag))) if tag.starts_with('"') => {
            row.fetched_with(&path, &[("range", "bytes=2-5"), (name, tag)])
        }
        (Path::Streaming, Some(_)) => row.fetched(&path),
    };
    let travels = if_range.is_none_or(|(_, tag)| tag.starts_with('"'));
    let row = if travels { row.differs_by_path(&[Asked], A_RANGE_TRAVELS) } else { row };
    let row = match status {
        200 => row,
        _ => row.differs_by_path(&[Counters], IN_RANGES),
    };
    row.stored(&stored, BYTES, &[])
}
