//! Which of a client's headers an origin sees: none, unless a rule says so, and some never.

use serde_json::json;

use super::run::run;
use super::{Group, Row, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

/// Headers that no rule can pass on.
const NEVER: &[(&str, &str)] = &[
    ("authorization", "AWS k:s"),
    ("authorization2", "x"),
    ("range", "bytes=0-0"),
    ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("x-oss-meta-a", "1"),
    ("oss-a", "1"),
    ("x-drs-a", "1"),
    ("x-amz-date", "now"),
    ("if-none-match", "\"e\""),
    // It holds of whatever the origin has.
    ("if-match", "*"),
    ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("if-unmodified-since", "Thu, 01 Jan 2100 00:00:00 GMT"),
    // A strong ETag would travel with the Range.
    ("if-range", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("te", "trailers"),
    ("connection", "x-hop"),
    ("x-hop", "1"),
    ("keep-alive", "1"),
    ("proxy-authorization", "x"),
];

#[test]
fn header_rules() {
    run(header_rules_on);
}

pub(super) fn header_rules_on(_: Path) -> Group {
    let set = json!([{ "Key": "ccc-header", "Value": "ccc" }, { "Key": "X-New", "Value": "a, b" }]);
    let rules = json!([
        mirror_rule(
            1,
            "all/",
            json!({ "MirrorHeaders": {
            "PassAll": true, "Remove": ["bbb-header", "Cookie"], "Set": set } })
        ),
        mirror_rule(
            2,
            "some/",
            json!({ "MirrorHeaders": {
            "Pass": ["AAA-Header", "ccc-header", "authorization", "range", "x-amz-date"],
            "Set": set } })
        ),
        mirror_rule(
            3,
            "remove/",
            json!({ "MirrorHeaders": {
            "Pass": ["aaa-header", "bbb-header"], "Remove": ["bbb-header"] } })
        ),
        mirror_rule(
            4,
            "agent/",
            json!({ "MirrorHeaders": {
            "Pass": ["user-agent", "accept"] } })
        ),
        mirror_rule(
            5,
            "host/",
            json!({ "MirrorHeaders": {
            "Set": [{ "Key": "Host", "Value": "vhost.example" }] } })
        ),
        mirror_rule(9, "", json!({})),
    ]);
    Group::new("header rules", rules, rows())
}

fn rows() -> Vec<Row> {
    let set = [("ccc-header", "ccc"), ("x-new", "a, b")];
    let all = [
        ("aaa-header", "aaa"),
        ("accept-language", "de"),
        ("ccc-header", "ccc"),
        ("x-new", "a, b"),
    ];
    vec![
        sent("without MirrorHeaders nothing of the client's goes on", "none").fetched("/none"),
        sent("PassAll passes all but the never-pass headers, Remove takes, Set overrides", "all/k")
            .fetched_with("/all/k", &all),
        sent("Pass passes what it names, but no never-pass header", "some/k")
            .fetched_with("/some/k", &[("aaa-header", "aaa"), set[0], set[1]]),
        sent("Remove takes nothing from what Pass passes", "remove/k")
            .fetched_with("/remove/k", &[("aaa-header", "aaa"), ("bbb-header", "bbb")]),
        sent("a client's user-agent and accept take the place of the filter's", "agent/k")
            .with("user-agent", "curl")
            .with("accept", "text/*")
            .fetched_with("/agent/k", &[("user-agent", "curl"), ("accept", "text/*")]),
        sent("Set names the Host of a virtual server", "host/k")
            .fetched_with("/host/k", &[("host", "vhost.example")]),
        row("a header that came twice is passed twice")
            .origin("/all/twice", Reply::new(200, &[], "x"))
            .get("/examplebucket/all/twice")
            .with("x-twice", "1")
            .with("x-twice", "2")
            .status(200)
            .fetched_with(
                "/all/twice",
                &[("x-twice", "1"), ("x-twice", "2"), ("ccc-header", "ccc"), ("x-new", "a, b")],
            ),
    ]
}

/// A row whose request carries everything a client may send.
fn sent(name: &'static str, key: &str) -> Row {
    let row = row(name)
        .origin(&format!("/{key}"), Reply::new(200, &[], "x"))
        .get(&format!("/examplebucket/{key}"))
        .with("aaa-header", "aaa")
        .with("bbb-header", "bbb")
        .with("ccc-header", "111")
        .with("accept-language", "de")
        .with("cookie", "a=1");
    // If-Range makes the Range none, so that the answer is the whole object.
    let row = NEVER.iter().fold(row, |row, (name, value)| row.with(name, value));
    row.status(200).body("x")
}
