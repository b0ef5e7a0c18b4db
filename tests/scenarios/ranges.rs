//! A Range is cut from the object that was fetched whole.

use serde_json::json;

use super::run::run;
use super::{Group, Row, StoreKind, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

#[test]
fn ranges() {
    run(ranges_on);
}

fn ranges_on(_: Path) -> Group {
    let rules = json!([mirror_rule(1, "", json!({}))]);
    let cases = [
        ("the first bytes", "bytes=0-3", Some(("0123", "bytes 0-3/10"))),
        ("from the middle to the end", "bytes=4-", Some(("456789", "bytes 4-9/10"))),
        ("one byte", "bytes=9-9", Some(("9", "bytes 9-9/10"))),
        ("a suffix", "bytes=-3", Some(("789", "bytes 7-9/10"))),
        ("a suffix longer than the object", "bytes=-30", Some(("0123456789", "bytes 0-9/10"))),
        ("past the end", "bytes=8-99", Some(("89", "bytes 8-9/10"))),
        ("several ranges are the whole object", "bytes=0-1,3-4", None),
        ("a malformed range is the whole object", "bytes=x", None),
        ("another unit is the whole object", "items=0-1", None),
    ];
    let mut rows: Vec<Row> = cases
        .iter()
        .enumerate()
        .map(|(index, (name, range, part))| ranged(name, &format!("/r{index}"), range, *part))
        .collect();
    rows.extend(unsatisfiable());
    let mut group = Group::new("ranges", rules, rows);
    // The embedded store refuses a Range it cannot read before it looks for the object.
    group.store = StoreKind::Memory;
    group
}

fn ranged(name: &'static str, path: &str, range: &str, part: Option<(&str, &str)>) -> Row {
    let row = asked(name, path, "0123456789", range);
    let row = match part {
        Some((bytes, content_range)) => {
            row.status(206).body(bytes).header("content-range", content_range)
        }
        None => row.status(200).body("0123456789").without("content-range"),
    };
    row.header("content-type", "text/plain")
        .header("x-oss-tag", &format!("MIRROR http%3A%2F%2F{{origin%}}%2F{}", &path[1..]))
        .fetched(path)
        .stored(&format!("/examplebucket{path}"), "0123456789", &[])
}

fn unsatisfiable() -> Vec<Row> {
    vec![
        asked("a range behind the end", "/behind", "0123456789", "bytes=10-")
            .error(416, "InvalidRange", "")
            .header("content-range", "bytes */10")
            .fetched("/behind")
            .stored("/examplebucket/behind", "0123456789", &[]),
        asked("a range of an empty object", "/nothing", "", "bytes=0-0")
            .error(416, "InvalidRange", "")
            .header("content-range", "bytes */0")
            .fetched("/nothing")
            .stored("/examplebucket/nothing", "", &[]),
        asked("a range of what the origin does not have", "/absent", "", "bytes=0-0")
            .origin("/absent", Reply::new(404, &[], "none"))
            .error(404, "NoSuchKey", "")
            .fetched("/absent"),
    ]
}

fn asked(name: &'static str, path: &str, object: &str, range: &str) -> Row {
    row(name)
        .origin(path, Reply::new(200, &[("content-type", "text/plain")], object))
        .get(&format!("/examplebucket{path}"))
        .with("range", range)
}
