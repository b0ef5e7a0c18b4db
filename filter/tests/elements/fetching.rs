//! Mirror rules: what an origin is asked, and with which headers.

use serde_json::{Value, json};

use crate::row::{self, Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [queries(), keys(), methods(), headers(), set()].concat()
}

const STORED: &str = "stores /b/k of http://o/k: body";
const GIVEN: &str = "client 200 of http://o/k: body";

fn queries() -> Vec<Row> {
    const ASKED: &str = "/b/k?v=%31&X-Amz-Date=2&response-content-type=a";
    const WITHOUT: &[&str] = &["asks o: GET http://o/k", GIVEN, STORED];
    // The query may be one client's secret: the object's URL is without it.
    const WITH: &[&str] = &["asks o: GET http://o/k?v=%31", GIVEN, STORED];
    vec![
        row("Redirect/PassQueryString", "the origin gets the query, but no signature of it")
            .mirror(json!({ "PassQueryString": true }))
            .get(ASKED)
            .sees(WITH)
            .usual(false),
        row("Redirect/MirrorPassQueryString", "the same for Mirror rules")
            .mirror(json!({ "MirrorPassQueryString": true }))
            .get(ASKED)
            .sees(WITH)
            .usual(false),
        row("Redirect/MirrorPassQueryString", "false counts beside PassQueryString")
            .mirror(json!({ "PassQueryString": true, "MirrorPassQueryString": false }))
            .get(ASKED)
            .sees(WITHOUT)
            .usual(true),
        row("Redirect/PassQueryString", "MirrorPassQueryString counts beside it")
            .mirror(json!({ "PassQueryString": false, "MirrorPassQueryString": true }))
            .get(ASKED)
            .sees(WITH)
            .the_same("MirrorPassQueryString stands beside it")
            .usual(true),
    ]
}

fn keys() -> Vec<Row> {
    let below = |redirect: Value| {
        let mut rule = json!({
            "RuleNumber": 1,
            "Condition": { "KeyPrefixEquals": "old/", "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": redirect,
        });
        rule["Redirect"]["RedirectType"] = json!("Mirror");
        rule["Redirect"]["MirrorURL"] = json!("http://o/");
        rule
    };
    vec![
        row("Redirect/EnableReplacePrefix", "the origin's key is another, the bucket's is not")
            .rule(below(json!({ "EnableReplacePrefix": true })))
            .get("/b/old/k")
            .sees(&[
                "asks o: GET http://o/k",
                "client 200 of http://o/k: body",
                "stores /b/old/k of http://o/k: body",
            ])
            .usual(false),
        row("Redirect/ReplaceKeyPrefixWith", "with EnableReplacePrefix, what stands there instead")
            .rule(below(json!({ "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "new/" })))
            .get("/b/old/k")
            .sees(&[
                "asks o: GET http://o/new/k",
                "client 200 of http://o/new/k: body",
                "stores /b/old/k of http://o/new/k: body",
            ])
            .usual(""),
        row("Redirect/ReplaceKeyPrefixWith", "without EnableReplacePrefix it has no effect here")
            .rule(below(json!({ "ReplaceKeyPrefixWith": "new/" })))
            .get("/b/old/k")
            .sees(&[
                "warning no-effect /0/Redirect/ReplaceKeyPrefixWith",
                "asks o: GET http://o/old/k",
                "client 200 of http://o/old/k: body",
                "stores /b/old/k of http://o/old/k: body",
            ])
            .usual(""),
        row("Redirect/MirrorPassOriginalSlashes", "slashes the key begins with stay at the origin")
            .mirror(json!({ "MirrorPassOriginalSlashes": true }))
            .get("/b//k")
            .sees(&[
                "asks o: GET http://o//k",
                "client 200 of http://o//k: body",
                "stores /b//k of http://o//k: body",
            ])
            .usual(false),
    ]
}

fn methods() -> Vec<Row> {
    vec![
        row(
            "Redirect/MirrorAllowHeadObject",
            "a HEAD is the origin's to answer, and brings the object",
        )
        .mirror(json!({ "MirrorAllowHeadObject": true }))
        .ask("HEAD", "/b/k")
        .sees(&[
            "asks o: HEAD http://o/k",
            "client 200 of http://o/k: headers of 4 bytes",
            "asks o: GET http://o/k",
            STORED,
        ])
        .streaming_sees(
            row::BY_RANGES,
            &[
                "asks o: HEAD http://o/k",
                "client 200 of http://o/k: headers of 4 bytes",
                "asks o: GET http://o/k | range: bytes=0-524287",
                STORED,
            ],
        )
        .usual(false),
        row(
            "Redirect/MirrorAsyncStatus",
            "the client is sent to the origin, the object is fetched",
        )
        .mirror(json!({ "MirrorAsyncStatus": 303 }))
        .get("/b/k")
        .sees(&["client 303 | location: http://o/k", "asks o: GET http://o/k", STORED])
        .streaming_sees(
            row::BY_RANGES,
            &[
                "client 303 | location: http://o/k",
                "asks o: GET http://o/k | range: bytes=0-524287",
                STORED,
            ],
        ),
    ]
}

/// A request with headers of all kinds.
fn asked(element: &'static str, says: &'static str, headers: Value) -> Row {
    row(element, says)
        .mirror(json!({ "MirrorHeaders": headers }))
        .get("/b/k")
        .with("x-a", "1")
        .with("x-b", "2")
        .with("authorization", "secret")
        .with("x-oss-date", "now")
}

fn headers() -> Vec<Row> {
    vec![
        asked(
            "Redirect/MirrorHeaders",
            "which of the client's headers the origin gets; without it none",
            json!({ "PassAll": true }),
        )
        .sees(&["asks o: GET http://o/k | x-a: 1 | x-b: 2", GIVEN, STORED])
        .usual(json!({})),
        asked(
            "Redirect/MirrorHeaders/PassAll",
            "all of them, but those that never reach an origin",
            json!({ "PassAll": true }),
        )
        .sees(&["asks o: GET http://o/k | x-a: 1 | x-b: 2", GIVEN, STORED])
        .usual(false),
        asked(
            "Redirect/MirrorHeaders/Pass",
            "this one, unless it never reaches an origin",
            json!({ "Pass": ["X-B", "authorization"] }),
        )
        .sees(&[
            "warning no-effect /0/Redirect/MirrorHeaders/Pass/1",
            "asks o: GET http://o/k | x-b: 2",
            GIVEN,
            STORED,
        ])
        .usual(json!([])),
        asked(
            "Redirect/MirrorHeaders/Remove",
            "this one is not passed by PassAll",
            json!({ "PassAll": true, "Remove": ["X-B"] }),
        )
        .sees(&["asks o: GET http://o/k | x-a: 1", GIVEN, STORED])
        .usual(json!([])),
        asked(
            "Redirect/MirrorHeaders/Remove",
            "it takes nothing from what Pass passes",
            json!({ "Pass": ["x-b"], "Remove": ["x-b"] }),
        )
        .sees(&[
            "warning no-effect /0/Redirect/MirrorHeaders/Remove",
            "asks o: GET http://o/k | x-b: 2",
            GIVEN,
            STORED,
        ])
        .usual(json!([])),
    ]
}

fn set() -> Vec<Row> {
    let set = |pairs| json!({ "PassAll": true, "Set": pairs });
    vec![
        asked(
            "Redirect/MirrorHeaders/Set",
            "a header that is sent always, in place of the client's",
            set(json!([{ "Key": "X-A", "Value": "own" }])),
        )
        .sees(&["asks o: GET http://o/k | x-b: 2 | x-a: own", GIVEN, STORED])
        .usual(json!([])),
        asked(
            "Redirect/MirrorHeaders/Set/Key",
            "its name; `Host` is that of a virtual server",
            set(json!([{ "Key": "Host", "Value": "virtual" }])),
        )
        .sees(&["asks o: GET http://virtual/k | x-a: 1 | x-b: 2", GIVEN, STORED]),
        asked(
            "Redirect/MirrorHeaders/Set/Value",
            "its value, also of a header that no client can pass",
            set(json!([{ "Key": "authorization", "Value": "own" }])),
        )
        .sees(&[
            "asks o: GET http://o/k | x-a: 1 | x-b: 2 | authorization: own",
            GIVEN,
            STORED,
        ]),
    ]
}
