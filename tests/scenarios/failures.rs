//! Origins that fail: the client is told why, and nothing false is kept.

use serde_json::json;

use super::evidence::Aspect::{Answer, Asked, Counters, Line};
use super::run::run;
use super::{Group, HAS_BEGUN, Row, mirror_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;
use crate::support::wait::DEADLINE;

/// What every failure is.
const FAILED: &str = "MirrorFailed";

#[test]
fn failures() {
    run(failures_on);
}

pub(super) fn failures_on(path: Path) -> Group {
    let rules = json!([
        mirror_rule(1, "refused/", json!({ "MirrorURL": "http://{closed}/" })),
        mirror_rule(9, "", json!({})),
    ]);
    let mut group = Group::new("failures", rules, [statuses(), broken(path)].concat());
    group.timeouts = Some(json!({ "origin_ms": 2_000 }));
    group
}

#[test]
fn patience() {
    run(patience_on);
}

/// The deployment would wait longer than the client of this row.
pub(super) fn patience_on(_: Path) -> Group {
    let rules = json!([mirror_rule(1, "", json!({ "MirrorTimeout": 1_000 }))]);
    let silence = Reply::raw("").stall();
    let rows = vec![failing("a rule waits no longer than it says", "/silence", silence, "in time")];
    let mut group = Group::new("patience", rules, rows);
    group.timeouts = Some(json!({ "origin_ms": 2 * DEADLINE.as_millis() as u64 }));
    group
}

fn statuses() -> Vec<Row> {
    // 206 without a Range is no object either. A redirect leads nowhere that is known.
    let statuses =
        [204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 410, 429, 500, 502, 503, 504];
    statuses
        .into_iter()
        .map(|status| {
            let reply = Reply::new(status, &[("location", "http://127.0.0.1:9/elsewhere")], "");
            let name = format!("an origin's {status}");
            let message = match status {
                301 | 302 | 303 | 307 | 308 => "redirected to http://127.0.0.1:9",
                _ => &status.to_string(),
            };
            failing(&name, &format!("/{status}"), reply, message)
        })
        .collect()
}

fn broken(path: Path) -> Vec<Row> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n";
    let announced = format!("{head}content-length: 100\r\n\r\nonly this");
    let chunk = format!("{head}transfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n");
    vec![
        failing("silence", "/silence", Reply::raw("").stall(), "in time"),
        broken_off(path, "silence in the body", "/stall", Reply::raw(announced.clone()).stall()),
        broken_off(path, "a body shorter than announced", "/short", Reply::raw(announced.clone())),
        broken_off(path, "a reset in the body", "/reset", Reply::raw(announced).reset()),
        failing("a reset before the headers", "/gone", Reply::raw("").reset(), "reached"),
        failing("a connection closed before the headers", "/closed", Reply::raw(""), "reached"),
        broken_off(path, "chunks without an end", "/unended", Reply::raw(chunk.clone())),
        broken_off(path, "chunks that are reset", "/cut", Reply::raw(chunk).reset()),
        failing(
            "no HTTP at all",
            "/garbage",
            Reply::raw("SSH-2.0-hello\r\n\r\n"),
            "is not valid HTTP",
        ),
        row("a connection that is refused")
            .get("/examplebucket/refused/k")
            .error(424, FAILED, "reached")
            .never_stored("/examplebucket/refused/k"),
        row("an origin that recovers is believed at once")
            .origin("/well", Reply::new(200, &[], "well again"))
            .get("/examplebucket/well")
            .mirrored("/examplebucket/well", "/well", "well again"),
    ]
}

fn failing(name: &str, path: &str, reply: Reply, message: &str) -> Row {
    row(name)
        .origin(path, reply)
        .get(&format!("/examplebucket{path}"))
        .error(424, FAILED, message)
        .without("x-oss-tag")
        .without("location")
        .fetched(path)
        .never_stored(&format!("/examplebucket{path}"))
}

/// A failure behind the first byte: on the callout path one of which a host only says that there
/// was one, on the streaming path one that a client sees by itself. The bucket would get the rest, so
/// the origin has nothing later.
fn broken_off(on: Path, name: &str, path: &str, reply: Reply) -> Row {
    let row = row(name).origin_once(path, reply).get(&format!("/examplebucket{path}"));
    let row = match on {
        Path::Callout => row
            .error(424, FAILED, "broke off")
            .without("x-oss-tag")
            .without("location")
            .fetched(path)
            .probed(path),
        Path::Streaming => row.cut_after("only this").fetched(path),
    };
    row.never_stored(&format!("/examplebucket{path}"))
        .differs_by_path(&[Answer, Asked, Line, Counters], HAS_BEGUN)
}
