//! Small modules on the miss route, which answer by themselves: what they decide, and what becomes
//! of them.

use http::Request;
use http_body_util::BodyExt as _;

use super::super::support::send;
use super::scene::{Manner, Scene, by_module, bytes, head, module_scene, tell, to_origin};
use crate::gateway::{Addressing, Credentials, Reads, Secret};
use crate::host::Touch;
use crate::host::tests::support::{on, on_with, pairs};

const REPLY: &str =
    r#"(drop (call $send_local_response (i32.const 403) @"" @"no" @"" (i32.const -1)))"#;

/// A module that sends every miss to the origin, and does this with what comes.
async fn sending(callbacks: &str) -> Scene {
    module_scene(&(on_with("request_headers", 3, &to_origin(&[]), 0) + callbacks)).await
}

#[tokio::test]
async fn a_miss_is_shown_as_a_request_of_its_own() {
    let names = [
        ":method",
        ":authority",
        ":path",
        "x-envoy-miss",
        "x-envoy-original-url",
        "x-envoy-original-host",
        "x-forwarded-proto",
        "x-own",
        "x-envoy-retry-on",
        "content-length",
    ];
    let told: String = names.iter().map(|name| tell(0, name)).collect();
    let scene = module_scene(&on_with("request_headers", 3, &(told + REPLY), 0)).await;
    let request = Request::get("/examplebucket/a%2Fb//./c?x=1")
        .header("host", "h.example")
        .header("x-own", "1")
        .header("x-envoy-miss", "bucket examplebucket 404")
        .header("x-envoy-retry-on", "5xx");
    let got = send(&scene.gateway, request, b"a body").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (403, &b"no"[..]));
    let url = "http://h.example/examplebucket/a%2Fb//./c?x=1";
    let miss = "bucket examplebucket 404";
    let expected = ["GET", "back-to-origin.invalid", "/", miss, url, "", "http", "1", "", ""];
    assert_eq!(scene.records.lines(), expected);
    let access = scene.records.accesses().remove(0);
    assert_eq!(
        (access.touch, access.path.as_str()),
        (Touch::Answered, "/examplebucket/a%2Fb//./c?x=1")
    );
    assert!(access.context > 0);
}

#[tokio::test]
async fn a_signed_read_that_is_missed_says_what_the_client_sent() {
    let names = [
        "x-envoy-original-url",
        "x-envoy-original-host",
        "x-envoy-original-path",
        "authorization",
        "x-amz-date",
        "x-forwarded-proto",
    ];
    let told: String = names.iter().map(|name| tell(0, name)).collect();
    let callbacks = on_with("request_headers", 3, &(told + REPLY), 0);
    let scene = by_module(&callbacks, |settings, _| {
        settings.clusters[0].signer = Some(Credentials {
            access_key_id: "AK".to_owned(),
            secret_access_key: Secret::new("SK".to_owned()),
            session_token: None,
            region: "r".to_owned(),
        });
        for route in settings.routes.buckets.values_mut() {
            route.reads = Reads::Signed(Addressing::Path);
        }
    })
    .await;
    let request = Request::head("/k?x=1&X-Amz-Signature=00")
        .header("host", "examplebucket.s3.localhost")
        .header("authorization", "of the client")
        .header("x-amz-date", "of the client")
        .header("x-forwarded-proto", "https");
    assert_eq!(send(&scene.gateway, request, b"").await.status, 403);
    let url = format!("http://{}/examplebucket/k?x=1", scene.store_authority());
    let (host, path) = ("examplebucket.s3.localhost", "/k?x=1&X-Amz-Signature=00");
    assert_eq!(scene.records.lines(), [&url, host, path, "", "", "https"]);
}

#[tokio::test]
async fn a_reply_to_a_miss_keeps_it_from_the_origin_and_is_seen_again() {
    let told = on_with("response_headers", 3, r#"(drop (call $log (i32.const 2) @"seen"))"#, 0);
    let scene = module_scene(&(on_with("request_headers", 3, REPLY, 0) + &told)).await;
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (403, &b"no"[..]));
    assert_eq!(scene.origin.asked(), [""; 0]);
    assert_eq!(scene.records.lines(), ["seen"]);
}

#[tokio::test]
async fn a_reply_to_an_answer_replaces_it() {
    let scene = sending(&on_with("response_headers", 3, REPLY, 0)).await;
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (403, &b"no"[..]));
    assert_eq!(got.headers["content-length"], "2");
    assert_eq!(scene.origin.asked().len(), 1);
}

#[tokio::test]
async fn a_reply_to_a_body_comes_too_late_and_breaks_it_off() {
    let scene = sending(&on_with("response_body", 3, REPLY, 0)).await;
    let uri = format!("http://{}/examplebucket/k", scene.gateway.address());
    let request = Request::get(uri).body(http_body_util::Full::default()).unwrap();
    let whole = match super::super::support::client().request(request).await {
        Ok(response) => response.into_body().collect().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
}

#[tokio::test]
async fn both_heads_can_be_replaced_and_the_origin_sees_no_helper() {
    let response = pairs(&[(":status", "203"), ("content-length", "1000"), ("x-own", "2")]);
    let request = head(&[
        (":path", "/examplebucket/k?own"),
        ("x-envoy-miss-cluster", "origin"),
        ("x-envoy-miss-host", "other.example"),
        ("x-envoy-miss-attempt", "1"),
        ("x-envoy-miss-returns", "404"),
        ("x-envoy-miss-idle", "5000"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "5000"),
        ("x-forwarded-proto", "https"),
        ("x-own", "1"),
    ]);
    let set = format!(r#"(drop (call $set_header_map_pairs (i32.const 2) @"{response}"))"#);
    let callbacks =
        on_with("request_headers", 3, &request, 0) + &on_with("response_headers", 3, &set, 0);
    let scene = module_scene(&callbacks).await;
    scene.origin.has("examplebucket/k?own", &bytes(1_000), Manner::Plain);
    let got = scene.get("k").await;
    assert_eq!(got.status, 203);
    assert!(got.body == bytes(1_000));
    assert_eq!(got.headers["x-own"], "2");
    assert!(!got.headers.contains_key("etag"));
    let head = scene.origin.asked().remove(0);
    let expected = "GET /examplebucket/k?own HTTP/1.1\r\nx-own: 1\r\nhost: other.example\r\n\r\n";
    assert_eq!(head, expected);
}

#[tokio::test]
async fn a_body_held_to_its_end_comes_late_and_whole() {
    let hold = "(if (i32.eqz (local.get 2)) (then (return (i32.const 1))))";
    let scene = sending(&on_with("response_body", 3, hold, 0)).await;
    assert!(scene.get("k").await.body == bytes(1_000));
}

#[tokio::test]
async fn a_module_that_dies_is_a_503_and_is_loaded_again() {
    let callbacks = on_with("request_headers", 3, "unreachable", 0);
    let scene = by_module(&callbacks, |settings, _| {
        settings.timeouts.reload = std::time::Duration::ZERO;
    })
    .await;
    for _ in 0..2 {
        assert_eq!(scene.get("k").await.status, 503);
    }
    let traps = scene.records.lines().iter().filter(|line| line.contains("trapped")).count();
    assert_eq!(traps, 2);
}

#[tokio::test]
async fn a_context_ends_with_its_answer() {
    let named = |name: &str| format!(r#"(drop (call $log (i32.const 2) @"{name}"))"#);
    let callbacks = on("log", 1, &named("log"))
        + &on_with("done", 1, &named("done"), 1)
        + &on("delete", 1, &named("delete"));
    let scene = sending(&callbacks).await;
    assert_eq!(scene.get("k").await.status, 200);
    scene.line("delete").await;
    assert_eq!(scene.records.lines(), ["log", "done", "delete"]);
    let access = scene.records.accesses().remove(0);
    assert_eq!((access.touch, access.details.as_str()), (Touch::Answered, "via_upstream"));
}
