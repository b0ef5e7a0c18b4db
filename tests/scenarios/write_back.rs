//! Writing back: tried again, given up, refused; the client never notices.

use serde_json::json;

use super::run::run;
use super::{Group, Row, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;
use crate::support::store::error;

#[test]
fn write_back() {
    run(write_back_on);
}

pub(super) fn write_back_on(_: Path) -> Group {
    let rules = json!([mirror_rule(1, "", json!({}))]);
    let busy = error(503, "SlowDown", "PUT");
    let broken = error(500, "InternalError", "PUT");
    let path = |key: &str| format!("/examplebucket/{key}");
    let rows = vec![
        mirrored("a 500 and a 503 are tried again", "retried")
            .store_first("PUT", &path("retried"), &[broken, busy])
            .stored("/examplebucket/retried", "bytes", &[])
            .puts(&path("retried"), 3),
        mirrored("a reset is tried again", "reset")
            .store_first("PUT", &path("reset"), &[Reply::raw("").reset()])
            .stored("/examplebucket/reset", "bytes", &[])
            .puts(&path("reset"), 2),
        mirrored("silence is tried again", "silent")
            .store_first("PUT", &path("silent"), &[Reply::raw("").stall()])
            .stored("/examplebucket/silent", "bytes", &[])
            .puts(&path("silent"), 2),
        mirrored("a 403 is for good", "denied")
            .store_always("PUT", &path("denied"), error(403, "AccessDenied", "PUT"))
            .never_stored(&path("denied"))
            .puts(&path("denied"), 1),
        mirrored("a 412 keeps what is there", "there")
            .store_always("PUT", &path("there"), error(412, "PreconditionFailed", "PUT"))
            .never_stored(&path("there"))
            .puts(&path("there"), 1),
        row("what came into the bucket meanwhile stays")
            .has("/examplebucket/newer", &[("content-type", "text/newer")], "newer")
            // The bucket did not have it yet when the client asked.
            .store_first("GET", &path("newer"), &[error(404, "NoSuchKey", "GET")])
            .origin("/newer", Reply::new(200, &[], "older"))
            .get(&path("newer"))
            .status(200)
            .body("older")
            .fetched("/newer")
            .stored("/examplebucket/newer", "newer", &[("content-type", "text/newer")])
            .puts(&path("newer"), 1),
    ];
    let mut group = Group::new("write-back", rules, rows);
    group.timeouts = Some(json!({ "store_ms": 1_000 }));
    group
}

fn mirrored(name: &'static str, key: &str) -> Row {
    row(name)
        .origin(&format!("/{key}"), Reply::new(200, &[("content-type", "text/plain")], "bytes"))
        .get(&format!("/examplebucket/{key}"))
        .status(200)
        .body("bytes")
        .fetched(&format!("/{key}"))
}
