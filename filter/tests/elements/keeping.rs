//! Mirror rules: what becomes of an origin's answer.

use serde_json::{Value, json};

use crate::row::{self, Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [answers(), metadata(), stored(), told()].concat()
}

const ASKED: &str = "asks o: GET http://o/k";
const ASKED_FOR_RANGE: &str = "asks o: GET http://o/k | range: bytes=0-524287";
const GIVEN: &str = "client 200 of http://o/k: body";

fn mirrored(element: &'static str, says: &'static str, more: Value) -> Row {
    row(element, says).mirror(more).get("/b/k")
}

fn answers() -> Vec<Row> {
    vec![
        mirrored(
            "Redirect/TransparentMirrorResponseCodes",
            "these statuses of the origin's are the client's, and others are not",
            json!({ "TransparentMirrorResponseCodes": "404,410" }),
        )
        .get("/b/l")
        .origin("http://o/k", 410, &[("content-type", "a/b")])
        .origin("http://o/l", 403, &[])
        .sees(&[
            ASKED,
            "client 410 of http://o/k | content-type: a/b",
            "asks o: GET http://o/l",
            "client 424 MirrorFailed",
        ]),
        mirrored(
            "Redirect/TransparentMirrorResponseCodes",
            "a class of them, which is ours",
            json!({ "TransparentMirrorResponseCodes": "5XX" }),
        )
        .origin("http://o/k", 503, &[])
        .sees(&[ASKED, "client 503 of http://o/k"]),
        mirrored(
            "Redirect/MirrorCheckMd5",
            "an object is stored only if its bytes have the digests its origin announces",
            json!({ "MirrorCheckMd5": true }),
        )
        .get("/b/l")
        .origin("http://o/k", 200, &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")])
        .origin("http://o/l", 200, &[("content-md5", "hBotaJrYa9FhFEdFPCLG/A==")])
        .sees(&[
            ASKED,
            "client 424 MirrorFailed",
            "asks o: GET http://o/l",
            "client 200 of http://o/l: body",
            "stores /b/l of http://o/l: body",
        ])
        .streaming_sees(
            "streaming, the client has the bytes before all of them are there to be checked",
            &[
                ASKED,
                GIVEN,
                "asks o: GET http://o/l",
                "client 200 of http://o/l: body",
                "stores /b/l of http://o/l: body",
            ],
        )
        .usual(false),
        mirrored(
            "Redirect/MirrorProxyPass",
            "the object is answered and not stored",
            json!({ "MirrorProxyPass": true }),
        )
        .sees(&[ASKED, GIVEN])
        .usual(false),
        mirrored(
            "Redirect/MirrorCheckMd5",
            "the same for an object that nobody waits for",
            json!({ "MirrorCheckMd5": true, "MirrorAsyncStatus": 303 }),
        )
        .origin("http://o/k", 200, &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")])
        .sees(&["client 303 | location: http://o/k", ASKED])
        .streaming_sees(row::BY_RANGES, &["client 303 | location: http://o/k", ASKED_FOR_RANGE])
        .usual(false),
        mirrored(
            "Redirect/MirrorMaxSize",
            "nor is a larger object stored that nobody waits for",
            json!({ "MirrorMaxSize": 3, "MirrorAsyncStatus": 303 }),
        )
        .sees(&["client 303 | location: http://o/k", ASKED])
        .streaming_sees(row::BY_RANGES, &["client 303 | location: http://o/k", ASKED_FOR_RANGE])
        .usual(4),
        mirrored(
            "Redirect/MirrorProxyPass",
            "where the client is sent to the origin itself, the object is not fetched",
            json!({ "MirrorProxyPass": true, "MirrorAsyncStatus": 303 }),
        )
        .sees(&["client 303 | location: http://o/k"])
        .usual(false),
    ]
}

fn metadata() -> Vec<Row> {
    const TIME: &str = "Tue, 01 Apr 2025 08:00:00 GMT";
    vec![
        mirrored(
            "Redirect/MirrorSaveOssMeta",
            "the origin's user metadata becomes the object's",
            json!({ "MirrorSaveOssMeta": true }),
        )
        .origin("http://o/k", 200, &[("x-oss-meta-a", "1"), ("x-amz-meta-b", "2")])
        .sees(&[
            ASKED,
            "client 200 of http://o/k: body | x-amz-meta-a: 1 | x-amz-meta-b: 2",
            "stores /b/k of http://o/k: body | x-amz-meta-a: 1 | x-amz-meta-b: 2",
        ])
        .usual(false),
        mirrored(
            "Redirect/MirrorUserLastModified",
            "the origin's Last-Modified is kept as metadata, and given back",
            json!({ "MirrorUserLastModified": true }),
        )
        .origin("http://o/k", 200, &[("last-modified", TIME)])
        .sees(&[
            ASKED,
            "client 200 of http://o/k: body | last-modified: Tue, 01 Apr 2025 08:00:00 GMT",
            "stores /b/k of http://o/k: body \
             | x-amz-meta-x-oss-last-modified: Tue, 01 Apr 2025 08:00:00 GMT",
        ])
        .usual(false),
    ]
}

fn stored() -> Vec<Row> {
    let tagged = |element, says| {
        mirrored(
            element,
            says,
            json!({ "MirrorTaggings": { "Taggings": [
                { "Key": "a b", "Value": "1" }, { "Key": "src", "Value": "<${key}>" }] } }),
        )
        .sees(&[
            ASKED,
            GIVEN,
            "stores /b/k of http://o/k: body | x-amz-tagging: a%20b=1&src=%3Ck%3E",
        ])
    };
    vec![
        tagged("Redirect/MirrorTaggings", "tags of the stored object").usual(json!({})),
        tagged("Redirect/MirrorTaggings/Taggings", "each of them").usual(json!([])),
        tagged("Redirect/MirrorTaggings/Taggings/Key", "a tag's name"),
        tagged("Redirect/MirrorTaggings/Taggings/Value", "its value; `${key}` is the key"),
        mirrored(
            "Redirect/StorageClass",
            "the storage class of the stored object",
            json!({ "StorageClass": "STANDARD_IA" }),
        )
        .sees(&[ASKED, GIVEN, "stores /b/k of http://o/k: body | x-amz-storage-class: STANDARD_IA"])
        .usual(""),
        mirrored(
            "Redirect/ServerSideEncryption",
            "how the store encrypts it",
            json!({ "ServerSideEncryption": "AES256" }),
        )
        .sees(&[
            ASKED,
            GIVEN,
            "stores /b/k of http://o/k: body | x-amz-server-side-encryption: AES256",
        ])
        .usual(""),
    ]
}

fn told() -> Vec<Row> {
    let told = |element, says| {
        mirrored(
            element,
            says,
            json!({ "MirrorReturnHeaders": { "ReturnHeader": [
                { "Key": "X-From", "Value": "mirror" },
                { "Key": "cache-control", "Value": "<${key}>" }] } }),
        )
        .origin("http://o/k", 200, &[("cache-control", "no-store")])
        .sees(&[
            ASKED,
            "client 200 of http://o/k: body | x-from: mirror | cache-control: <k>",
            "stores /b/k of http://o/k: body | cache-control: no-store",
        ])
    };
    vec![
        told("Redirect/MirrorReturnHeaders", "headers that clients get with the origin's answer")
            .usual(json!({})),
        told("Redirect/MirrorReturnHeaders/ReturnHeader", "each of them").usual(json!([])),
        told("Redirect/MirrorReturnHeaders/ReturnHeader/Key", "a header's name"),
        told("Redirect/MirrorReturnHeaders/ReturnHeader/Value", "its value; `${key}` is the key"),
    ]
}
