//! A Range: cut from the object that was fetched whole, or passed on to the origin, which cuts it;
//! the bucket gets the whole object either way.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line};
use super::run::run;
use super::{A_RANGE_TRAVELS, Group, Row, StoreKind, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

const WHOLE: &str = "0123456789";

#[test]
fn ranges() {
    run(ranges_on);
}

pub(super) fn ranges_on(path: Path) -> Group {
    let rules = json!([mirror_rule(1, "", json!({}))]);
    let cases = [
        ("the first bytes", "bytes=0-3", Some(("0123", "bytes 0-3/10"))),
        ("from the middle to the end", "bytes=4-", Some(("456789", "bytes 4-9/10"))),
        ("one byte", "bytes=9-9", Some(("9", "bytes 9-9/10"))),
        ("a suffix", "bytes=-3", Some(("789", "bytes 7-9/10"))),
        ("a suffix longer than the object", "bytes=-30", Some((WHOLE, "bytes 0-9/10"))),
        ("past the end", "bytes=8-99", Some(("89", "bytes 8-9/10"))),
        ("several ranges are the whole object", "bytes=0-1,3-4", None),
        ("a malformed range is the whole object", "bytes=x", None),
        ("another unit is the whole object", "items=0-1", None),
    ];
    let mut rows: Vec<Row> = cases
        .iter()
        .enumerate()
        .map(|(index, (name, range, part))| ranged(path, name, &format!("/r{index}"), range, *part))
        .collect();
    rows.extend(unsatisfiable(path));
    rows.push(ignorant(path));
    let mut group = Group::new("ranges", rules, rows);
    // The embedded store refuses a Range it cannot read before it looks for the object.
    group.store = StoreKind::Memory;
    group
}

fn ranged(
    on: Path,
    name: &'static str,
    path: &str,
    range: &str,
    part: Option<(&str, &str)>,
) -> Row {
    let row = asked(name, path, WHOLE, range);
    let row = match part {
        Some((bytes, content_range)) => {
            row.status(206).body(bytes).header("content-range", content_range)
        }
        None => row.status(200).body(WHOLE).without("content-range").fetched(path),
    };
    let row = if part.is_some() { row.fetched_as(on, path, range) } else { row };
    // Elsewhere the whole is fetched for itself.
    let is_whole = part.is_none_or(|(bytes, _)| bytes == WHOLE);
    let row = if is_whole { row } else { row.differs_by_path(&[Counters], A_RANGE_TRAVELS) };
    row.header("content-type", "text/plain")
        .header("x-oss-tag", &format!("MIRROR http%3A%2F%2F{{origin%}}%2F{}", &path[1..]))
        .stored(&format!("/examplebucket{path}"), WHOLE, &[])
}

impl Row {
    /// The origin saw the Range where it travels.
    fn fetched_as(self, on: Path, path: &str, range: &str) -> Self {
        let row = self.differs_by_path(&[Asked], A_RANGE_TRAVELS);
        match on {
            Path::Callout => row.fetched(path),
            Path::Streaming => row.fetched_with(path, &[("range", range)]),
        }
    }
}

/// An origin that knows no ranges sends the whole object, and that is streamed.
fn ignorant(on: Path) -> Row {
    let row = row("a range that the origin ignores")
        .origin("/ignored", Reply::new(200, &[], "0123456789"))
        .get("/examplebucket/ignored")
        .with("range", "bytes=2-4");
    let row = match on {
        Path::Callout => row.status(206).body("234").header("content-range", "bytes 2-4/10"),
        Path::Streaming => row.status(200).body("0123456789").without("content-range"),
    };
    row.fetched_as(on, "/ignored", "bytes=2-4")
        .stored("/examplebucket/ignored", "0123456789", &[])
        .differs_by_path(&[Answer, Line], A_RANGE_TRAVELS)
}

fn unsatisfiable(on: Path) -> Vec<Row> {
    vec![
        asked("a range behind the end", "/behind", "0123456789", "bytes=10-")
            .says("client got 416")
            .error(416, "InvalidRange", "")
            .header("content-range", "bytes */10")
            .fetched_as(on, "/behind", "bytes=10-")
            .stored("/examplebucket/behind", "0123456789", &[])
            .differs_by_path(&[Counters], A_RANGE_TRAVELS),
        asked("a range of an empty object", "/nothing", "", "bytes=0-0")
            .error(416, "InvalidRange", "")
            .header("content-range", "bytes */0")
            .fetched_as(on, "/nothing", "bytes=0-0")
            .stored("/examplebucket/nothing", "", &[("content-type", "text/plain")])
            .differs_by_path(&[Counters], A_RANGE_TRAVELS),
        row("a range of what the origin does not have")
            .get("/examplebucket/absent")
            .with("range", "bytes=0-0")
            .error(404, "NoSuchKey", "")
            .fetched_as(on, "/absent", "bytes=0-0"),
    ]
}

fn asked(name: &'static str, path: &str, object: &str, range: &str) -> Row {
    row(name)
        .origin_object(path, &[("content-type", "text/plain")], object)
        .get(&format!("/examplebucket{path}"))
        .with("range", range)
}
