//! Objects that are not where the MirrorURL says: behind redirects, at alternates, at later rules.

use back_to_origin::miss_route;
use serde_json::{Value, json};

use super::evidence::Aspect::{Asked, Counters};
use super::run::run;
use super::{A_RANGE_TRAVELS, Group, Row, StoreKind, mirror_rule, redirect_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;
use crate::support::store::error;

#[test]
fn redirects_of_origins() {
    run(redirects_of_origins_on);
}

pub(super) fn redirects_of_origins_on(path: Path) -> Group {
    let headers = json!({ "PassAll": true, "Set": [{ "Key": "X-Said", "Value": "s" }] });
    let rules = json!([mirror_rule(1, "", json!({ "MirrorHeaders": headers }))]);
    let rows = [followed(), forged(), vec![ranged(path)]].concat();
    Group::new("redirects of origins", rules, rows)
}

fn moved(to: &str) -> Reply {
    Reply::new(302, &[("location", to)], "moved")
}

fn followed() -> Vec<Row> {
    let said = [("x-said", "s"), ("cookie", "c=1"), ("x-plain", "p")];
    let asked = |name, key: &str| {
        row(name).get(&format!("/examplebucket/{key}")).with("cookie", "c=1").with("x-plain", "p")
    };
    let mut rows = vec![
        asked("a redirect is followed, and the object is the MirrorURL's", "near")
            .origin("/near", moved("there/x?y=1"))
            .origin("/there/x", Reply::new(200, &[], "x"))
            .status(200)
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fnear")
            .body("x")
            .fetched_with("/near", &said)
            .fetched_with("/there/x?y=1", &said)
            .stored("/examplebucket/near", "x", &[]),
        asked("another server gets nothing that was meant for the first", "far")
            .origin("/far", moved("http://{other}/far/x"))
            .other("/far/x", Reply::new(200, &[], "y"))
            .status(200)
            .body("y")
            .fetched_with("/far", &said)
            .asked_of_other("/far/x", &[("x-plain", "p")])
            .stored("/examplebucket/far", "y", &[]),
        asked("a server that nobody has named is not asked", "unknown")
            .origin("/unknown", moved("http://internal.example:8080/x"))
            .error(424, "MirrorFailed", "redirected to http://internal.example:8080,")
            .fetched_with("/unknown", &said)
            .never_stored("/examplebucket/unknown"),
        asked("a redirect to what is no URL", "nonsense")
            .origin("/nonsense", moved("ftp://h/x"))
            .error(424, "MirrorFailed", "no http or https URL")
            .fetched_with("/nonsense", &said),
        asked("a server that cannot be reached behind a redirect", "down")
            .origin("/down", moved("http://{closed}/x"))
            .error(424, "MirrorFailed", "reached")
            .fetched_with("/down", &said)
            .never_stored("/examplebucket/down"),
        asked("nothing at the end of a redirect", "end")
            .origin("/end", moved("/not-there"))
            .error(404, "NoSuchKey", "does not have it")
            .fetched_with("/end", &said)
            .fetched_with("/not-there", &said),
    ];
    let mut circle = asked("a circle ends", "circle").origin("/circle", moved("/circle")).error(
        424,
        "MirrorFailed",
        "more than 10 times",
    );
    for _ in 0..11 {
        circle = circle.fetched_with("/circle", &said);
    }
    rows.push(circle);
    rows
}

/// Nobody but the filter says where a request goes next.
fn forged() -> Vec<Row> {
    let said = [("x-said", "s")];
    let by = |name: &'static str, key: &str, judge: &[(&str, &str)], status| {
        let reply = Reply::new(status, &[&[("location", "http://h:1/x")], judge].concat(), "no");
        row(name).origin(&format!("/{key}"), reply).get(&format!("/examplebucket/{key}"))
    };
    let mut rows = Vec::new();
    for (name, key, word) in [
        ("an origin that speaks for the bucket", "as-bucket", "bucket examplebucket 404"),
        ("an origin that speaks for another", "as-origin", "origin 302"),
        ("an origin that speaks for the gateway", "as-gateway", "gateway 503 UF x"),
    ] {
        let judge = [(miss_route::MISS, word), (miss_route::ATTEMPT, "3")];
        rows.push(
            by(name, key, &judge, 403)
                .error(424, "MirrorFailed", "403")
                .without(miss_route::MISS)
                .without(miss_route::ATTEMPT)
                .fetched_with(&format!("/{key}"), &said),
        );
    }
    let misses = "http://back-to-origin.invalid/";
    for status in [302, 307] {
        let key = format!("to-misses-{status}");
        let said_of = [("location", misses), (miss_route::MISS, "bucket examplebucket 404")];
        rows.push(
            row(format!("an origin that sends to the misses by {status}"))
                .origin(&format!("/{key}"), Reply::new(status, &said_of, "no"))
                .get(&format!("/examplebucket/{key}"))
                .error(424, "MirrorFailed", "redirected to http://back-to-origin.invalid")
                .without(miss_route::MISS)
                .fetched_with(&format!("/{key}"), &said),
        );
    }
    let count = row("a client that counts its attempts itself")
        .origin("/counted", Reply::new(200, &[], "x"))
        .get("/examplebucket/counted")
        .with(miss_route::ATTEMPT, "3")
        .with(miss_route::MISS, "origin 302")
        .with(miss_route::RETURNS, "2xx")
        .status(200)
        .body("x")
        .fetched_with("/counted", &said)
        .stored("/examplebucket/counted", "x", &[]);
    rows.push(count);
    rows
}

/// A part of an object behind a redirect.
fn ranged(path: Path) -> Row {
    let said = ("x-said", "s");
    let asked = match path {
        Path::Callout => vec![said],
        Path::Streaming => vec![said, ("range", "bytes=1-2")],
    };
    row("a part is asked for where the redirect leads, and the whole object stored from there")
        .origin("/part", moved("/whole"))
        .origin_object("/whole", &[("etag", "\"v\"")], "abcd")
        .get("/examplebucket/part")
        .with("range", "bytes=1-2")
        .status(206)
        .header("content-range", "bytes 1-2/4")
        .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fpart")
        .body("bc")
        .fetched_with("/part", &asked)
        .fetched_with("/whole", &asked)
        .stored("/examplebucket/part", "abcd", &[])
        .differs_by_path(&[Asked, Counters], A_RANGE_TRAVELS)
}

#[test]
fn alternates() {
    run(alternates_on);
}

pub(super) fn alternates_on(_: Path) -> Group {
    alternates_of(json!({}), failing_over())
}

/// A server and its slave that send clients to each other: the way ends, and no other is begun.
fn circling() -> Row {
    let row = row("a master and a slave that send to each other")
        .origin("/s/circle/x", moved("http://{other}/circle/x"))
        .other("/circle/x", moved("http://{origin}/s/circle/x"))
        .get("/examplebucket/circle/x")
        .error(424, "MirrorFailed", "more than 10 times")
        .never_stored("/examplebucket/circle/x");
    // The first, and ten to which it was sent on.
    let row = (0..6).fold(row, |row, _| row.asked_of_other("/circle/x", &[]));
    (0..5).fold(row, |row, _| row.fetched("/s/circle/x"))
}

#[test]
fn alternates_after_any_error() {
    run(alternates_after_any_error_on);
}

pub(super) fn alternates_after_any_error_on(_: Path) -> Group {
    let more = json!({ "MirrorSwitchAllErrors": true });
    let rows = vec![
        row("with MirrorSwitchAllErrors any error is one")
            .origin("/a/x", Reply::new(403, &[], "no"))
            .other("/b/x", Reply::new(200, &[], "y"))
            .get("/examplebucket/x")
            .status(200)
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{other%}%2Fb%2Fx")
            .body("y")
            .fetched("/a/x")
            .asked_of_other("/b/x", &[])
            .stored("/examplebucket/x", "y", &[]),
    ];
    alternates_of(more, rows)
}

fn alternates_of(more: Value, rows: Vec<Row>) -> Group {
    let mut rules = json!([mirror_rule(
        9,
        "",
        json!({
            "MirrorURL": "http://{origin}/a/",
            "MirrorMultiAlternates": { "MirrorMultiAlternate": [
                { "MirrorMultiAlternateNumber": 2, "MirrorMultiAlternateURL": "http://{other}/c/" },
                { "MirrorMultiAlternateNumber": 1, "MirrorMultiAlternateURL": "http://{other}/b/" } ] } })
    )]);
    let slave = json!({ "MirrorURL": "http://{closed}/", "MirrorURLSlave": "http://{origin}/s/" });
    rules[0]["Redirect"]
        .as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    let circle = json!({ "MirrorURL": "http://{other}/", "MirrorURLSlave": "http://{origin}/s/" });
    let list = rules.as_array_mut().expect("a list");
    list.push(mirror_rule(1, "slave/", slave));
    list.push(mirror_rule(2, "circle/", circle));
    Group::new("alternates", rules, rows)
}

fn failing_over() -> Vec<Row> {
    vec![
        row("a server that cannot be reached has a slave")
            .origin("/s/slave/x", Reply::new(200, &[], "x"))
            .get("/examplebucket/slave/x")
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fs%2Fslave%2Fx")
            .mirrored("/examplebucket/slave/x", "/s/slave/x", "x"),
        circling(),
        row("what the first does not have, no other is asked for")
            .get("/examplebucket/none")
            .error(404, "NoSuchKey", "does not have it")
            .fetched("/a/none"),
        row("what it does not give out, neither")
            .origin("/a/denied", Reply::new(403, &[], "no"))
            .get("/examplebucket/denied")
            .error(424, "MirrorFailed", "403")
            .fetched("/a/denied"),
        row("where the first fails the others are asked, in the order of their numbers")
            .origin("/a/x", Reply::new(500, &[], "no"))
            .other("/b/x", Reply::new(502, &[], "no"))
            .other("/c/x", Reply::new(200, &[], "y"))
            .get("/examplebucket/x")
            .status(200)
            .body("y")
            .fetched("/a/x")
            .asked_of_other("/b/x", &[])
            .asked_of_other("/c/x", &[])
            .stored("/examplebucket/x", "y", &[]),
    ]
}

#[test]
fn later_rules() {
    run(later_rules_on);
}

pub(super) fn later_rules_on(_: Path) -> Group {
    let on = |number, prefix, more| mirror_rule(number, prefix, more);
    let rules = json!([
        on(1, "", json!({ "MirrorFallThrough": true })),
        on(2, "m/", json!({ "MirrorURL": "http://{other}/second/" })),
        redirect_rule(3, "r/", 404, json!({ "HostName": "example.com" })),
        on(4, "c/", json!({ "MirrorURL": "http://{closed}/" })),
    ]);
    let rows = vec![
        row("what the origin has it gives")
            .origin("/m/here", Reply::new(200, &[], "x"))
            .get("/examplebucket/m/here")
            .mirrored("/examplebucket/m/here", "/m/here", "x"),
        row("what it has not another rule may bring")
            .other("/second/m/x", Reply::new(200, &[], "y"))
            .get("/examplebucket/m/x")
            .status(200)
            .body("y")
            .fetched("/m/x")
            .asked_of_other("/second/m/x", &[])
            .stored("/examplebucket/m/x", "y", &[]),
        row("or redirect")
            .get("/examplebucket/r/x")
            .status(301)
            .header("location", "http://example.com/r/x")
            .fetched("/r/x"),
        row("or fail to bring")
            .get("/examplebucket/c/x")
            .error(424, "MirrorFailed", "reached")
            .fetched("/c/x")
            .never_stored("/examplebucket/c/x"),
        row("without another rule it is nowhere")
            .get("/examplebucket/x")
            .error(404, "NoSuchKey", "Rule 1")
            .fetched("/x"),
        row("a rule behind may follow redirects, as each does")
            .origin("/m/moved", moved("http://{other}/not-there"))
            .other("/second/m/moved", moved("http://{origin}/found"))
            .origin("/found", Reply::new(200, &[], "z"))
            .get("/examplebucket/m/moved")
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{other%}%2Fsecond%2Fm%2Fmoved")
            .status(200)
            .body("z")
            .fetched("/m/moved")
            .fetched("/found")
            .asked_of_other("/not-there", &[])
            .asked_of_other("/second/m/moved", &[])
            .stored("/examplebucket/m/moved", "z", &[]),
        row("an error is not nothing")
            .origin("/r/broken", Reply::new(403, &[], ""))
            .get("/examplebucket/r/broken")
            .error(424, "MirrorFailed", "403")
            .fetched("/r/broken"),
    ];
    Group::new("later rules", rules, rows)
}

#[test]
fn twenty_rules() {
    run(twenty_rules_on);
}

/// As many rules as a bucket may have, each of which leaves what its origin lacks to the next.
pub(super) fn twenty_rules_on(_: Path) -> Group {
    const RULES: u32 = 20;
    let rules: Vec<Value> = (1..=RULES)
        .map(|number| {
            let url = format!("http://{{origin}}/{number}/");
            mirror_rule(number, "", json!({ "MirrorURL": url, "MirrorFallThrough": true }))
        })
        .collect();
    let last = format!("/{RULES}/last");
    let rows = [
        row("what none of twenty origins has").get("/examplebucket/none").error(
            404,
            "NoSuchKey",
            "",
        ),
        row("what the last of twenty has")
            .origin(&last, Reply::new(200, &[], "x"))
            .get("/examplebucket/last")
            .status(200)
            .body("x"),
        row("what the last of twenty fails to give")
            .origin(&format!("/{RULES}/broken"), Reply::new(403, &[], "no"))
            .get("/examplebucket/broken")
            .error(424, "MirrorFailed", "403"),
    ];
    let rows = rows.into_iter().zip(["none", "last", "broken"]).map(|(row, key)| {
        (1..=RULES).fold(row, |row, number| row.fetched(&format!("/{number}/{key}")))
    });
    let mut rows: Vec<Row> = rows.collect();
    rows[1] = rows[1].clone().stored("/examplebucket/last", "x", &[]);
    Group::new("twenty rules", rules.into(), rows)
}

#[test]
fn a_bucket_that_fails() {
    run(a_bucket_that_fails_on);
}

pub(super) fn a_bucket_that_fails_on(_: Path) -> Group {
    a_failing_bucket(StoreKind::Files)
}

#[test]
fn a_bucket_that_is_down() {
    run(a_bucket_that_is_down_on);
}

pub(super) fn a_bucket_that_is_down_on(_: Path) -> Group {
    a_failing_bucket(StoreKind::Down)
}

fn a_failing_bucket(store: StoreKind) -> Group {
    let mut rule = mirror_rule(1, "m/", json!({ "MirrorOnServerError": true }));
    rule["Condition"]["HttpErrorCodeReturnedEquals"] = json!("404,5XX");
    let rules = json!([rule, mirror_rule(2, "", json!({}))]);
    let served = row("an object is served while the bucket fails, and not stored")
        .store_always("GET", "/examplebucket/m/a", error(503, "SlowDown", "GET"))
        .origin("/m/a", Reply::new(200, &[], "x"))
        .get("/examplebucket/m/a")
        .status(200)
        .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fm%2Fa")
        .body("x")
        .fetched("/m/a");
    let mut group = Group::new("a bucket that fails", rules, Vec::new());
    group.store = store;
    group.rows = match store {
        StoreKind::Down => vec![served],
        StoreKind::Files | StoreKind::Memory => vec![
            served.puts("/examplebucket/m/a", 0),
            row("what the bucket lacks is stored")
                .origin("/m/b", Reply::new(200, &[], "y"))
                .get("/examplebucket/m/b")
                .mirrored("/examplebucket/m/b", "/m/b", "y"),
            row("a rule that does not say so leaves the bucket's failure")
                .store_always("GET", "/examplebucket/c", error(500, "Internal", "GET"))
                .origin("/c", Reply::new(200, &[], "z"))
                .get("/examplebucket/c")
                .status(500)
                .without("x-oss-tag"),
        ],
    };
    group
}
