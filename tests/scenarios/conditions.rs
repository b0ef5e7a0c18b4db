//! Conditions on a request's headers and on several statuses: which rule of several applies.

use serde_json::{Value, json};

use super::run::run;
use super::{Group, Row, mirror_rule, redirect_rule, row};
use crate::support::gateway::Path;
use crate::support::server::Reply;
use crate::support::store::error;

#[test]
fn conditions() {
    run(conditions_on);
}

pub(super) fn conditions_on(_: Path) -> Group {
    let rules = json!([
        on(
            mirror_rule(1, "h/", json!({ "MirrorURL": "http://{origin}/exact/" })),
            json!([{ "Key": "X-Client", "Equals": "web (1+1)" }])
        ),
        on(
            mirror_rule(2, "h/", json!({ "MirrorURL": "http://{origin}/both/" })),
            json!([
                { "Key": "accept", "StartsWith": "image/" },
                { "Key": "user-agent", "StartsWith": "some", "EndsWith": "bot" }
            ])
        ),
        on(
            redirect_rule(3, "h/", 404, json!({ "HostName": "example.com" })),
            json!([{ "Key": "x-send", "EndsWith": "away" }])
        ),
        on(
            mirror_rule(4, "h/", json!({ "MirrorURL": "http://{origin}/there/" })),
            json!([{ "Key": "x-there" }])
        ),
        on(
            mirror_rule(5, "h/", json!({ "MirrorURL": "http://{origin}/host/" })),
            json!([{ "Key": "host", "StartsWith": "cdn." }])
        ),
        statuses(6, "list/", json!([404, 503])),
        statuses(7, "class/", json!("5XX")),
        statuses(8, "words/", json!("403, 410")),
        statuses(9, "client/", json!("4XX")),
    ]);
    Group::new("conditions", rules, [headers(), errors()].concat())
}

fn on(mut rule: Value, headers: Value) -> Value {
    rule["Condition"]["IncludeHeader"] = headers;
    rule
}

fn statuses(number: u32, prefix: &str, statuses: Value) -> Value {
    let mut rule = redirect_rule(number, prefix, 404, json!({ "HostName": "example.com" }));
    rule["Condition"]["HttpErrorCodeReturnedEquals"] = statuses;
    rule
}

fn headers() -> Vec<Row> {
    let asked = |name: &'static str, key: &str, headers: &[(&str, &str)]| {
        let row = row(name).get(&format!("/examplebucket/h/{key}"));
        headers.iter().fold(row, |row, (name, value)| row.with(name, value))
    };
    let mirrored = |name, key: &str, headers: &[(&str, &str)], below: &str| {
        let target = format!("/{below}/h/{key}");
        let row = asked(name, key, headers).origin(&target, Reply::new(200, &[], "x"));
        row.mirrored(&format!("/examplebucket/h/{key}"), &target, "x")
    };
    vec![
        mirrored("Equals is the whole value", "a", &[("x-client", "web (1+1)")], "exact"),
        asked("Equals is the value in its own case", "b", &[("x-client", "Web (1+1)")])
            .status(404)
            .without("x-oss-tag"),
        asked("a part of the value is not the value", "c", &[("x-client", "web (1+1) more")])
            .status(404)
            .without("x-oss-tag"),
        mirrored(
            "of a header that came twice one value is enough",
            "cc",
            &[("x-client", "more"), ("x-client", "web (1+1)")],
            "exact",
        ),
        mirrored(
            "all headers must be so: their starts and their ends",
            "d",
            &[("accept", "image/png"), ("user-agent", "some-bot")],
            "both",
        ),
        asked(
            "one of two headers is not enough",
            "e",
            &[("accept", "image/png"), ("user-agent", "some-bot/1")],
        )
        .status(404)
        .without("x-oss-tag"),
        asked("a redirect asks for headers too", "f", &[("x-send", "far away"), ("x-there", "")])
            .status(301)
            .header("location", "http://example.com/h/f"),
        mirrored(
            "a Key alone asks for the header, whatever it says",
            "g",
            &[("x-there", "")],
            "there",
        ),
        mirrored("the Host is a header", "i", &[("host", "cdn.example")], "host"),
        asked("without the header no rule applies", "j", &[])
            .status(404)
            .without("x-oss-tag")
            .without("location"),
    ]
}

fn errors() -> Vec<Row> {
    let answered = |key: &'static str, status: u16, redirected: bool| {
        let path = format!("/examplebucket/{key}");
        let row = row(format!("{status} for {key}"))
            .store_always("GET", &path, error(status, "Some", "GET"))
            .get(&path);
        match redirected {
            true => row.status(301).header("location", &format!("http://example.com/{key}")),
            false => row.status(status).without("location"),
        }
    };
    vec![
        answered("list/a", 404, true),
        answered("list/b", 503, true),
        answered("list/c", 500, false),
        answered("class/a", 500, true),
        answered("class/b", 599, true),
        answered("class/c", 404, false),
        answered("words/a", 403, true),
        answered("words/b", 410, true),
        answered("words/c", 404, false),
        answered("client/a", 404, true),
        answered("client/b", 429, true),
        answered("client/c", 403, false),
    ]
}
