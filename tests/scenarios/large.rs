//! Objects that do not fit: the client is sent to the origin, or told; nothing hangs. What is
//! streamed always fits.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line, Stored};
use super::run::run;
use super::{Group, NO_LIMIT, Row, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;

/// The largest object of the callout path.
const LIMIT: usize = 1_024 * 1_024;

/// The part of the streaming path, as small as S3 takes it.
const PART: usize = 5 * LIMIT;

#[test]
fn large() {
    run(large_on);
}

pub(super) fn large_on(on: Path) -> Group {
    let rules = json!([
        mirror_rule(1, "fail/", json!({ "MirrorTooLarge": "Fail" })),
        mirror_rule(2, "query/", json!({ "MirrorPassQueryString": true })),
        mirror_rule(9, "", json!({})),
    ]);
    let fits = vec![b'f'; LIMIT];
    let mut rows = vec![
        row("an object of just the limit is mirrored")
            .origin("/fits", Reply::new(200, &[], &fits))
            .get("/examplebucket/fits")
            .mirrored("/examplebucket/fits", "/fits", &fits),
    ];
    rows.extend(too_large().into_iter().map(|case| match on {
        Path::Callout => case.left_to_the_origin(),
        Path::Streaming => case.streamed(),
    }));
    rows.push(
        row("the same worker mirrors on")
            .origin("/after", Reply::new(200, &[], "x"))
            .get("/examplebucket/after")
            .mirrored("/examplebucket/after", "/after", "x"),
    );
    let mut group = Group::new("large", rules, rows);
    group.limits = Some(json!({ "object_bytes": LIMIT, "part_bytes": PART }));
    group
}

/// An object above the limit.
struct Case {
    name: &'static str,
    key: &'static str,
    query: &'static str,
    bytes: Vec<u8>,
    announced: bool,
}

fn too_large() -> Vec<Case> {
    let over = vec![b'o'; LIMIT + 1];
    let huge = vec![b'h'; 33 * LIMIT];
    let case = |name, key, bytes: &Vec<u8>| {
        let bytes = bytes.clone();
        Case { name, key, query: "", bytes, announced: true }
    };
    vec![
        case("one byte more", "over", &over),
        Case { announced: false, ..case("a length that nobody announced", "chunks", &over) },
        case("more than the host can hold", "huge%20one", &huge),
        Case { query: "?v=1", ..case("with a query that is passed on", "query/k", &over) },
        case("MirrorTooLarge Fail", "fail/over", &over),
        case("MirrorTooLarge Fail, more than the host can hold", "fail/huge", &huge),
    ]
}

impl Case {
    /// Whether it is more than a host holds.
    fn is_huge(&self) -> bool {
        self.bytes.len() > 32 * LIMIT
    }

    fn asked(&self, on: Path) -> Row {
        let path = format!("/{}", self.key);
        let reply = if self.announced {
            Reply::new(200, &[], &self.bytes)
        } else {
            let size = format!("{:x}\r\n", self.bytes.len()).into_bytes();
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            Reply::raw([head, size, self.bytes.clone(), b"\r\n0\r\n\r\n".to_vec()].concat()).keep()
        };
        let row = row(self.name)
            .origin(&path, reply)
            .differs_by_path(&[Answer, Stored, Line, Counters], NO_LIMIT);
        // Only its size tells whether an answer was given up for it.
        let row = if self.is_huge() { row.differs_by_path(&[Asked], NO_LIMIT) } else { row };
        let row = match on {
            // Should the store fall behind, the rest is fetched by ranges.
            Path::Streaming if self.announced => {
                row.origin_object(&path, &[("etag", "\"v\"")], &self.bytes)
            }
            Path::Callout | Path::Streaming => row,
        };
        row.get(&format!("/examplebucket{path}{}", self.query))
    }

    fn left_to_the_origin(&self) -> Row {
        let (path, query) = (format!("/{}", self.key), self.query);
        let row = if self.key.starts_with("fail/") {
            self.asked(Path::Callout).error(424, "MirrorFailed", "larger").without("location")
        } else {
            let location = format!("http://{{origin}}{path}{query}");
            self.asked(Path::Callout).status(302).header("location", &location).body("")
        };
        let row = row
            .without("x-oss-tag")
            .fetched(&format!("{path}{query}"))
            .never_stored(&format!("/examplebucket{path}"));
        if self.is_huge() { row.probed(&path) } else { row }
    }

    fn streamed(&self) -> Row {
        let path = format!("/{}", self.key);
        self.asked(Path::Streaming)
            .mirrored(
                &format!("/examplebucket{path}"),
                &format!("{path}{}", self.query),
                &self.bytes,
            )
            .without("location")
    }
}
