//! Mirror rules: which servers are asked, in which order and how long.

use back_to_origin::configuration::DataPath;
use serde_json::{Value, json};

use crate::row::{Row, extend, row};

pub(crate) fn rows() -> Vec<Row> {
    [places(), alternates(), numbered(), limits()].concat()
}

const STORED: &str = "stores /b/k of http://o/k: body";
const ASKED: &str = "asks o: GET http://o/k";
const GIVEN: &str = "client 200 of http://o/k: body";

fn places() -> Vec<Row> {
    const MOVED: &[(&str, &str)] = &[("location", "http://p/there?x")];
    vec![
        row("Redirect/MirrorURL", "the object is fetched from MirrorURL + key, encoded")
            .mirror(json!({ "MirrorURL": "http://o/base/" }))
            .get("/b/a%20b?v=1")
            .sees(&[
                "asks o: GET http://o/base/a%20b",
                "client 200 of http://o/base/a%20b: body",
                "stores /b/a%20b of http://o/base/a%20b: body",
            ]),
        row("Redirect/MirrorFollowRedirect", "false: the origin's redirect is the client's")
            .mirror(json!({ "MirrorFollowRedirect": false }))
            .get("/b/k")
            .origin("http://o/k", 302, MOVED)
            .sees(&["asks o: GET http://o/k", "client 302 | location: http://p/there?x"])
            .usual(true),
        row("Redirect/MirrorFollowRedirect", "true: it is followed, and the object is the rule's")
            .mirror(json!({ "MirrorFollowRedirect": true }))
            .get("/b/k")
            .origin("http://o/k", 302, MOVED)
            .sees(&["asks o: GET http://o/k", "asks p: GET http://p/there?x", GIVEN, STORED])
            .the_same("redirects are followed by default"),
        row(
            "Redirect/MirrorSNI",
            "the origin's name is told in the TLS handshake, as it always is",
        )
        .mirror(json!({ "MirrorURL": "https://o/", "MirrorSNI": true }))
        .get("/b/k")
        .sees(&[
            "asks o: GET https://o/k",
            "client 200 of https://o/k: body",
            "stores /b/k of https://o/k: body",
        ])
        .the_same("whoever connects to an origin tells its name")
        .usual(false),
        row("Redirect/MirrorAuth", "requests go to whom signs them, and no client to the origin")
            .mirror(json!({ "MirrorAuth": { "Signer": "signer" }, "MirrorMaxSize": 3 }))
            .get("/b/k")
            .sees(&["asks signed: GET http://o/k", "client 424 MirrorFailed"]),
    ]
}

fn alternates() -> Vec<Row> {
    let slave = || json!({ "MirrorURLSlave": "http://p/s/" });
    let from_slave = |first: &'static [&'static str]| {
        let rest = [
            "asks p: GET http://p/s/k",
            "client 200 of http://p/s/k: body",
            "stores /b/k of http://p/s/k: body",
        ];
        [first, &rest].concat()
    };
    vec![
        row("Redirect/MirrorURLSlave", "a second origin, asked where the first fails")
            .mirror(slave())
            .get("/b/k")
            .origin("http://o/k", 503, &[])
            .sees(&from_slave(&["asks o: GET http://o/k"]))
            .usual(""),
        row("Redirect/MirrorURLSlave", "what the first does not have it is not asked for")
            .mirror(slave())
            .get("/b/k")
            .origin("http://o/k", 404, &[])
            .sees(&["asks o: GET http://o/k", "client 404 NoSuchKey"])
            .the_same("nothing has failed"),
        row("Redirect/MirrorSwitchAllErrors", "any error makes the next one be asked")
            .mirror(json!({ "MirrorURLSlave": "http://p/s/", "MirrorSwitchAllErrors": true }))
            .get("/b/k")
            .origin("http://o/k", 403, &[])
            .sees(&from_slave(&["asks o: GET http://o/k"]))
            .usual(false),
        row("Redirect/MirrorURLProbe", "while it does not answer 200, the MirrorURL comes last")
            .mirror(json!({ "MirrorURLSlave": "http://p/s/", "MirrorURLProbe": "http://o/well?x" }))
            .get("/b/first")
            .get("/b/k")
            .origin("http://o/well?x", 403, &[])
            .origin("http://o/first", 404, &[])
            .sees(&from_slave(&[
                "asks o: GET http://o/well?x",
                "asks o: GET http://o/first",
                "client 404 NoSuchKey",
            ]))
            .usual(""),
    ]
}

/// The rule of the last two alternates, of which the second has this too.
fn numbered() -> Vec<Row> {
    const LIST: &str = "/0/Redirect/MirrorMultiAlternates/MirrorMultiAlternate/0";
    let mirror = |element, says, more: Value| {
        let mut last =
            json!({ "MirrorMultiAlternateNumber": 2, "MirrorMultiAlternateURL": "http://q/" });
        extend(&mut last, more);
        let first =
            json!({ "MirrorMultiAlternateNumber": 1, "MirrorMultiAlternateURL": "http://r/" });
        let alternates = json!({ "MirrorMultiAlternate": [last, first] });
        row(element, says)
            .mirror(json!({ "MirrorURLSlave": "http://p/", "MirrorMultiAlternates": alternates }))
    };
    let ordered = |element, says| {
        mirror(element, says, json!({}))
            .get("/b/k")
            .origin("http://o/k", 500, &[])
            .origin("http://p/k", 500, &[])
            .origin("http://r/k", 500, &[])
            .sees(&[
                "asks o: GET http://o/k",
                "asks p: GET http://p/k",
                "asks r: GET http://r/k",
                "asks q: GET http://q/k",
                "client 200 of http://q/k: body",
                "stores /b/k of http://q/k: body",
            ])
    };
    vec![
        ordered("Redirect/MirrorMultiAlternates", "more origins, behind MirrorURLSlave"),
        ordered("Redirect/MirrorMultiAlternates/MirrorMultiAlternate", "each of them")
            .usual(json!([])),
        ordered(
            "Redirect/MirrorMultiAlternates/MirrorMultiAlternate/MirrorMultiAlternateNumber",
            "they are asked in the order of their numbers",
        ),
        ordered(
            "Redirect/MirrorMultiAlternates/MirrorMultiAlternate/MirrorMultiAlternateURL",
            "where one of them is",
        ),
        mirror(
            "Redirect/MirrorMultiAlternates/MirrorMultiAlternate/MirrorMultiAlternateVpcId",
            "its network, which is Alibaba Cloud's",
            json!({ "MirrorMultiAlternateVpcId": "vpc" }),
        )
        .refused_at(&format!("{LIST}/MirrorMultiAlternateVpcId"))
        .usual(""),
        mirror(
            "Redirect/MirrorMultiAlternates/MirrorMultiAlternate/MirrorMultiAlternateDstRegion",
            "its region, which is Alibaba Cloud's",
            json!({ "MirrorMultiAlternateDstRegion": "oss-cn-beijing" }),
        )
        .refused_at(&format!("{LIST}/MirrorMultiAlternateDstRegion"))
        .usual(""),
    ]
}

fn limits() -> Vec<Row> {
    vec![
        row("Redirect/MirrorTimeout", "how long the origin may take, in milliseconds")
            .mirror(json!({ "MirrorTimeout": 1500 }))
            .get("/b/k")
            .sees(&["asks o: GET http://o/k | within 1.5s", GIVEN, STORED])
            .streaming_sees(
                "streaming, it is also how long the body may stand still",
                &["asks o: GET http://o/k | within 1.5s | still for 1.5s at most", GIVEN, STORED],
            )
            .usual_on(&[DataPath::Callout], 10_000),
        row("Redirect/MirrorConnectTimeout", "who gives up a connection so soon asks the origin")
            .mirror(json!({ "MirrorConnectTimeout": 1500 }))
            .get("/b/k")
            .sees(&["asks impatient: GET http://o/k", GIVEN, STORED]),
        row("Redirect/MirrorIdleTimeout", "how long an object that streams may stand still")
            .mirror(json!({ "MirrorIdleTimeout": 1500 }))
            .get("/b/k")
            .sees(&["asks o: GET http://o/k", GIVEN, STORED])
            .streaming_sees(
                "it is the gateway that streams, and counts",
                &["asks o: GET http://o/k | still for 1.5s at most", GIVEN, STORED],
            )
            .the_same_on(&[DataPath::Callout], "a callout brings all of it or nothing"),
        row("Redirect/MirrorRequestsPerSecond", "how often the rule asks origins in a second")
            .mirror(json!({ "MirrorRequestsPerSecond": 1 }))
            .get("/b/k")
            .get("/b/k")
            .sees(&[
                "asks o: GET http://o/k",
                GIVEN,
                STORED,
                "client 424 MirrorFailed | retry-after: 1",
            ])
            .usual(2),
        row("Redirect/MirrorBitsPerSecond", "how fast the rule's objects stream")
            .mirror(json!({ "MirrorBitsPerSecond": 8 }))
            .get("/b/k")
            .sees(&["asks o: GET http://o/k", GIVEN, STORED])
            .streaming_sees(
                "the gateway paces, by the host that it is told",
                &["asks o: GET http://o/k | paced by 1.b", GIVEN, STORED],
            )
            .the_same_on(&[DataPath::Callout], "a callout brings all of it at once"),
        row("Redirect/MirrorNegativeCache", "0: what an origin lacks is asked for again each time")
            .mirror(json!({ "MirrorNegativeCache": 0 }))
            .get("/b/k")
            .get("/b/k")
            .origin("http://o/k", 404, &[])
            .sees(&[ASKED, "client 404 NoSuchKey", ASKED, "client 404 NoSuchKey"])
            .usual(30_000),
        row("Redirect/MirrorNegativeCache", "what the origin is asked by is what it is about")
            .mirror(json!({
                "MirrorNegativeCache": 1, "PassQueryString": true,
                "MirrorHeaders": { "Pass": ["x-a"] },
            }))
            .get("/b/k")
            .get("/b/k?v=1")
            .get("/b/k")
            .with("x-a", "1")
            .get("/b/k")
            .with("x-other", "1")
            .origin("http://o/k", 404, &[])
            .sees(&[
                ASKED,
                "client 404 NoSuchKey",
                "asks o: GET http://o/k?v=1",
                "client 200 of http://o/k: body",
                STORED,
                "asks o: GET http://o/k | x-a: 1",
                "client 404 NoSuchKey",
                "client 404 NoSuchKey",
            ])
            .the_same("a bucket keeps it by itself"),
        row("Redirect/MirrorMaxSize", "a larger object is the origin's to give")
            .mirror(json!({ "MirrorMaxSize": 3 }))
            .get("/b/k")
            .sees(&["asks o: GET http://o/k", "client 302 | location: http://o/k"])
            .usual(4),
        row("Redirect/MirrorTooLarge", "Fail: the client is told so in place of being sent there")
            .mirror(json!({ "MirrorMaxSize": 3, "MirrorTooLarge": "Fail" }))
            .get("/b/k")
            .sees(&["asks o: GET http://o/k", "client 424 MirrorFailed"])
            .usual("Redirect")
            .usual(""),
        row(
            "Redirect/MirrorFallThrough",
            "where the origin has nothing, the rules behind are tried",
        )
        .mirror(json!({ "MirrorFallThrough": true }))
        .rule(json!({
            "RuleNumber": 2,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://p/" },
        }))
        .get("/b/k")
        .origin("http://o/k", 404, &[])
        .sees(&[
            "asks o: GET http://o/k",
            "asks p: GET http://p/k",
            "client 200 of http://p/k: body",
            "stores /b/k of http://p/k: body",
        ])
        .usual(false),
        row("Redirect/MirrorOnServerError", "the rule may be about 5xx, and stores nothing then")
            .rule(json!({
                "RuleNumber": 1,
                "Condition": { "HttpErrorCodeReturnedEquals": "404,5XX" },
                "Redirect": {
                    "RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorOnServerError": true,
                },
            }))
            .get("/b/k")
            .bucket(503)
            .get("/b/l")
            .sees(&[
                "asks o: GET http://o/k",
                GIVEN,
                "asks o: GET http://o/l",
                "client 200 of http://o/l: body",
                "stores /b/l of http://o/l: body",
            ])
            .usual(false),
    ]
}
