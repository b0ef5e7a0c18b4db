//! External rules: where a client is sent.

use serde_json::json;

use crate::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [kinds(), places(), keys()].concat()
}

fn kinds() -> Vec<Row> {
    vec![
        row("Redirect/RedirectType", "External sends the client elsewhere, and is the default")
            .external(json!({ "RedirectType": "External", "HostName": "h.example" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://h.example/old/k"])
            .the_same("External is the default"),
        row("Redirect/RedirectType", "AliCDN does the same here")
            .external(json!({ "RedirectType": "AliCDN", "HostName": "h.example" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://h.example/old/k"])
            .the_same("AliCDN does here what External does"),
        row("Redirect/RedirectType", "Mirror fetches the object, answers with it and stores it")
            .mirror(json!({}))
            .get("/b/k")
            .sees(&[
                "asks o: GET http://o/k",
                "client 200 of http://o/k: body",
                "stores /b/k of http://o/k: body",
            ]),
        row("Redirect/RedirectType", "what Internal does is documented nowhere")
            .external(json!({ "RedirectType": "Internal", "HostName": "h.example" }))
            .refused(),
    ]
}

fn places() -> Vec<Row> {
    vec![
        row("Redirect/HttpRedirectCode", "the status of the redirect")
            .external(json!({ "HostName": "h.example", "HttpRedirectCode": 307 }))
            .get("/b/old/k")
            .sees(&["client 307 | location: http://h.example/old/k"])
            .usual(301),
        row("Redirect/HttpRedirectCode", "any status that S3 redirects with")
            .external(json!({ "HostName": "h.example", "HttpRedirectCode": 308 }))
            .get("/b/old/k")
            .sees(&["client 308 | location: http://h.example/old/k"])
            .usual(301),
        row("Redirect/Protocol", "the scheme of the Location")
            .external(json!({ "Protocol": "https" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: https://gateway/b/old/k"])
            .usual("http")
            .usual(""),
        row("Redirect/HostName", "the host of the Location, and the path is the key alone")
            .external(json!({ "HostName": "h.example:81" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://h.example:81/old/k"])
            .usual(""),
        row("Redirect/PassQueryString", "the client's query goes along, but no signature of its")
            .external(json!({ "HostName": "h.example", "PassQueryString": true }))
            .get("/b/old/k?v=1&X-Amz-Date=2&response-content-type=a")
            .sees(&["client 302 | location: http://h.example/old/k?v=1"])
            .usual(false),
    ]
}

fn keys() -> Vec<Row> {
    vec![
        row("Redirect/EnableReplacePrefix", "alone it cuts KeyPrefixEquals off")
            .external(json!({ "EnableReplacePrefix": true }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://gateway/b/k"])
            .usual(false),
        row("Redirect/EnableReplacePrefix", "an External rule replaces the prefix without it too")
            .external(json!({ "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "new/" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://gateway/b/new/k"])
            .the_same("ReplaceKeyPrefixWith is enough")
            .usual(false),
        row("Redirect/ReplaceKeyPrefixWith", "what stands in place of KeyPrefixEquals")
            .external(json!({ "ReplaceKeyPrefixWith": "new/" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://gateway/b/new/k"])
            .usual(""),
        row("Redirect/ReplaceKeyPrefixWith", "without KeyPrefixEquals, what stands before the key")
            .rule(json!({
                "RuleNumber": 1,
                "Condition": {},
                "Redirect": { "HttpRedirectCode": 302, "ReplaceKeyPrefixWith": "new/" },
            }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://gateway/b/new/old/k"])
            .usual(""),
        row("Redirect/ReplaceKeyWith", "the whole new key, in which `${key}` is the old one")
            .external(json!({ "ReplaceKeyWith": "to ${key}.gz" }))
            .get("/b/old/k")
            .sees(&["client 302 | location: http://gateway/b/to%20old/k.gz"])
            .usual("${key}")
            .usual(""),
    ]
}
