//! A rule itself, and when it applies.

use serde_json::{Value, json};

use crate::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [rules(), keys(), statuses(), headers()].concat()
}

const KEPT: &str = "client keeps the bucket's 404";

/// A rule that sends to a host.
fn to(number: u32, host: &str) -> Value {
    json!({ "RuleNumber": number, "Condition": {}, "Redirect": { "HostName": host } })
}

fn rules() -> Vec<Row> {
    vec![
        row("RuleNumber", "rules are tried in the order of their numbers")
            .rule(to(2, "second.example"))
            .rule(to(1, "first.example"))
            .get("/b/k")
            .sees(&["client 301 | location: http://first.example/k"]),
        row("RuleNumber", "a smaller number is tried before, wherever it stands")
            .rule(to(1, "first.example"))
            .rule(to(2, "second.example"))
            .get("/b/k")
            .sees(&["client 301 | location: http://first.example/k"]),
        row("Condition", "the rule applies when all of it holds")
            .on(json!({ "KeyPrefixEquals": "a/", "KeySuffixEquals": ".jpg" }))
            .get("/b/a/x.jpg")
            .get("/b/a/x.png")
            .get("/b/x.jpg")
            .sees(&["client 301 | location: http://h.example/a/x.jpg", KEPT, KEPT]),
        row("Condition", "one without a word applies to whatever the bucket answers")
            .on(json!({}))
            .get("/b/k")
            .get("/b/k")
            .bucket(403)
            .sees(&["client 301 | location: http://h.example/k"; 2]),
        row("Redirect", "what the rule does then")
            .on(json!({}))
            .get("/b/k")
            .sees(&["client 301 | location: http://h.example/k"]),
    ]
}

fn keys() -> Vec<Row> {
    vec![
        row("Condition/KeyPrefixEquals", "the decoded key starts with it")
            .on(json!({ "KeyPrefixEquals": "a b/" }))
            .get("/b/a%20b/k")
            .get("/b/a")
            .sees(&["client 301 | location: http://h.example/a%20b/k", KEPT])
            .usual(""),
        row("Condition/KeySuffixEquals", "the decoded key ends with it")
            .on(json!({ "KeySuffixEquals": ".é" }))
            .get("/b/k.%C3%A9")
            .get("/b/k.e")
            .sees(&["client 301 | location: http://h.example/k.%C3%A9", KEPT])
            .usual(""),
    ]
}

fn statuses() -> Vec<Row> {
    const ELEMENT: &str = "Condition/HttpErrorCodeReturnedEquals";
    const SENT: &str = "client 301 | location: http://h.example/k";
    let asked = |says, statuses: Value, bucket: &[u16]| {
        let row = row(ELEMENT, says).on(json!({ "HttpErrorCodeReturnedEquals": statuses }));
        bucket.iter().fold(row, |row, status| row.get("/b/k").bucket(*status))
    };
    vec![
        asked("the bucket's status is this one", json!(503), &[503, 404, 200]).sees(&[
            SENT,
            KEPT,
            "client keeps the bucket's 200",
        ]),
        asked("a 403 is one of them where it is named", json!(403), &[403, 404])
            .sees(&[SENT, KEPT]),
        asked("several statuses in a text, which is ours", json!("404, 503"), &[404, 503, 500])
            .sees(&[SENT, SENT, "client keeps the bucket's 500"]),
        asked("several statuses in a list, which is ours", json!([404, "5XX"]), &[404, 500, 429])
            .sees(&[SENT, SENT, "client keeps the bucket's 429"]),
        asked("a class, which is ours, is not about a 403", json!("4XX"), &[404, 429, 403, 500])
            .sees(&[SENT, SENT, "client keeps the bucket's 403", "client keeps the bucket's 500"]),
        row(ELEMENT, "a Mirror rule needs it, and mirrors on 404 alone")
            .mirror(json!({}))
            .get("/b/k")
            .get("/b/k")
            .bucket(503)
            .sees(&[
                "asks o: GET http://o/k",
                "client 200 of http://o/k: body",
                "stores /b/k of http://o/k: body",
                "client keeps the bucket's 503",
            ]),
    ]
}

fn headers() -> Vec<Row> {
    const SENT: &str = "client 301 | location: http://h.example/k";
    let on =
        |element, says, header: Value| row(element, says).on(json!({ "IncludeHeader": [header] }));
    vec![
        row("Condition/IncludeHeader", "the request has each of these headers")
            .on(json!({ "IncludeHeader": [{ "Key": "x-a" }, { "Key": "X-B" }] }))
            .get("/b/k")
            .with("x-a", "")
            .with("x-b", "any")
            .get("/b/k")
            .with("x-a", "")
            .sees(&[SENT, KEPT])
            .usual(json!([])),
        on(
            "Condition/IncludeHeader/Key",
            "the header's name, `host` too",
            json!({ "Key": "Host" }),
        )
        .get("/b/k")
        .sees(&[SENT]),
        on(
            "Condition/IncludeHeader/Equals",
            "some value of the header is this, in the same case",
            json!({ "Key": "x-a", "Equals": "web" }),
        )
        .get("/b/k")
        .with("x-a", "other")
        .with("x-a", "web")
        .get("/b/k")
        .with("x-a", "Web")
        .get("/b/k")
        .with("x-a", "webs")
        .sees(&[SENT, KEPT, KEPT])
        .usual(""),
        on(
            "Condition/IncludeHeader/StartsWith",
            "some value of the header starts with this",
            json!({ "Key": "x-a", "StartsWith": "image/" }),
        )
        .get("/b/k")
        .with("x-a", "image/png")
        .get("/b/k")
        .with("x-a", "an image/png")
        .sees(&[SENT, KEPT])
        .usual(""),
        on(
            "Condition/IncludeHeader/EndsWith",
            "some value of the header ends with this",
            json!({ "Key": "x-a", "EndsWith": "bot" }),
        )
        .get("/b/k")
        .with("x-a", "a bot")
        .get("/b/k")
        .with("x-a", "bots")
        .sees(&[SENT, KEPT])
        .usual(""),
    ]
}
