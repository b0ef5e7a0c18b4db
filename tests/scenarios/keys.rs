//! Keys are bytes: the origin and the store get the same key, however a client writes it.

use serde_json::json;

use super::run::run;
use super::{Group, Row, StoreKind, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

#[test]
fn keys() {
    run(keys_on);
}

pub(super) fn keys_on(_: Path) -> Group {
    let rules = json!([
        mirror_rule(1, "base/", json!({ "MirrorURL": "http://{origin}/deep/er/" })),
        mirror_rule(2, "/pass/", json!({ "MirrorPassOriginalSlashes": true })),
        mirror_rule(9, "", json!({})),
    ]);
    let longest = "k".repeat(1_024);
    let many = "%C3%BC".repeat(512);
    let cases = [
        ("a plain key", "a/b.txt", "a/b.txt"),
        ("an encoded letter is the letter", "%61bc", "abc"),
        ("an encoded slash is a slash", "a%2Fb%2fc", "a/b/c"),
        ("a plus is a plus", "a+b", "a%2Bb"),
        ("an encoded plus is the same", "a%2Bc", "a%2Bc"),
        ("a space", "a%20b", "a%20b"),
        ("two slashes", "a//b", "a//b"),
        ("a slash at the end", "a/b/", "a/b/"),
        ("dots in the middle", "x/../y", "x/../y"),
        ("encoded dots in the middle", "x/%2e%2E/z", "x/../z"),
        ("a dot segment", "./a/./b", "./a/./b"),
        ("not ASCII", "caf%C3%A9/%E4%B8%AD", "caf%C3%A9/%E4%B8%AD"),
        ("not UTF-8", "%ff%fe", "%FF%FE"),
        ("a percent sign", "100%25", "100%25"),
        ("an encoded escape is not decoded twice", "a%2525", "a%2525"),
        ("a question mark", "a%3Fb", "a%3Fb"),
        ("a hash", "a%23b", "a%23b"),
        ("a line break", "a%0D%0Ab", "a%0D%0Ab"),
        ("a NUL", "a%00b", "a%00b"),
        ("characters that URLs reserve", "!$&'()*,;=:@", "%21%24%26%27%28%29%2A%2C%3B%3D%3A%40"),
        ("characters that URLs do not", "-._~", "-._~"),
        ("a backslash", "a%5Cb", "a%5Cb"),
        ("a key that looks like a URL", "http://evil.example/x", "http%3A//evil.example/x"),
        ("a key of 1,024 bytes", &longest, &longest),
        ("a key of 1,024 bytes, encoded", &many, &many),
    ];
    let mut rows: Vec<Row> =
        cases.iter().map(|(name, asked, sent)| key(name, asked, sent, sent)).collect();
    // OSS keeps no slashes between host and path, unless the rule says so.
    for (name, asked, fetched) in [
        ("a slash at the start", "/a", "a"),
        ("slashes at the start", "//a//b", "a//b"),
        ("a key that looks like a host", "/evil.example/x", "evil.example/x"),
        ("a slash that is passed", "/pass/x", "/pass/x"),
    ] {
        rows.push(key(name, asked, asked, fetched));
    }
    rows.push(key("below a MirrorURL's path", "base/a%20b", "base/a%20b", "deep/er/base/a%20b"));
    rows.push(key(
        "dots below a MirrorURL's path",
        "base/x/../y",
        "base/x/../y",
        "deep/er/base/x/../y",
    ));
    rows.extend(no_keys());
    let mut group = Group::new("keys", rules, rows);
    group.store = StoreKind::Memory;
    group
}

/// A key as a client writes it, as the store gets it, and as the origin gets it.
fn key(name: &'static str, asked: &str, stored: &str, fetched: &str) -> Row {
    row(name)
        .origin(&format!("/{fetched}"), Reply::new(200, &[], name))
        .get(&format!("/examplebucket/{asked}"))
        .mirrored(&format!("/examplebucket/{stored}"), &format!("/{fetched}"), name)
        .puts(&format!("/examplebucket/{stored}"), 1)
}

/// What names no object, or one that a server might take for another, is left to the store.
fn no_keys() -> Vec<Row> {
    let too_long = "k".repeat(1_025);
    let far_too_long = "k".repeat(8 * 1_024);
    let cases = [
        ("a key of 1,025 bytes", too_long.as_str()),
        ("a key of 8 KiB", &far_too_long),
        ("a key that leads out of the bucket", "../otherbucket/k"),
        ("a key that leads out of the bucket, encoded", "%2e%2e/otherbucket/k"),
        ("a key that leads out of the bucket later", "a/../../otherbucket/k"),
        ("a percent sign without digits", "101%"),
        ("a percent sign with other letters", "%zz"),
    ];
    cases
        .into_iter()
        .map(|(name, key)| {
            row(name).get(&format!("/examplebucket/{key}")).status(404).without("x-oss-tag")
        })
        .collect()
}
