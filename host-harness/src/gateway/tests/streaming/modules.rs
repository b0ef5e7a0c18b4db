//! Small modules on the origins' side: what they decide, and what becomes of them.

use http_body_util::BodyExt as _;

use super::scene::{Manner, Scene, bytes, scene_with};
use crate::host::Touch;
use crate::host::tests::support::{module, on, on_with, pairs};

/// A gateway with such a module on the origins' side alone, before an origin with one object.
async fn scene(callbacks: &str) -> Scene {
    let scene = scene_with(|settings, _| settings.program = module(callbacks)).await;
    scene.origin.has("examplebucket/k", &bytes(1_000), Manner::Plain);
    scene
}

const REPLY: &str =
    r#"(drop (call $send_local_response (i32.const 403) @"" @"no" @"" (i32.const -1)))"#;

#[tokio::test]
async fn a_reply_to_a_request_keeps_it_from_the_origin() {
    let told = on_with("response_headers", 3, r#"(drop (call $log (i32.const 2) @"seen"))"#, 0);
    let scene = scene(&(on_with("request_headers", 3, REPLY, 0) + &told)).await;
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (403, &b"no"[..]));
    assert_eq!(scene.origin.asked(), [""; 0]);
    // A filter before a cluster does not see what it answers itself.
    assert_eq!(scene.records.lines(), [""; 0]);
}

#[tokio::test]
async fn a_reply_to_an_answer_replaces_it() {
    let scene = scene(&on_with("response_headers", 3, REPLY, 0)).await;
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (403, &b"no"[..]));
    assert_eq!(got.headers["content-length"], "2");
    assert_eq!(scene.origin.asked().len(), 1);
}

#[tokio::test]
async fn a_reply_to_a_body_comes_too_late_and_breaks_it_off() {
    let scene = scene(&on_with("response_body", 3, REPLY, 0)).await;
    let uri = format!("http://{}/examplebucket/k", scene.gateway.address());
    let request = http::Request::get(uri).body(http_body_util::Full::default()).unwrap();
    let whole = match super::super::support::client().request(request).await {
        Ok(response) => response.into_body().collect().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
}

#[tokio::test]
async fn both_heads_can_be_replaced() {
    let request = pairs(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "other.example"),
        (":path", "/examplebucket/k?own"),
        ("x-own", "1"),
    ]);
    let response = pairs(&[(":status", "203"), ("content-length", "1000"), ("x-own", "2")]);
    let set = |map: i32, fields: &str| {
        format!(r#"(drop (call $set_header_map_pairs (i32.const {map}) @"{fields}"))"#)
    };
    let callbacks = on_with("request_headers", 3, &set(0, &request), 0)
        + &on_with("response_headers", 3, &set(2, &response), 0);
    let scene = scene(&callbacks).await;
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
    let scene = scene(&on_with("response_body", 3, hold, 0)).await;
    assert!(scene.get("k").await.body == bytes(1_000));
}

#[tokio::test]
async fn a_module_that_dies_is_a_503_and_is_loaded_again() {
    let scene = scene_with(|settings, _| {
        settings.timeouts.reload = std::time::Duration::ZERO;
        settings.program = module(&on_with("request_headers", 3, "unreachable", 0));
    })
    .await;
    for _ in 0..2 {
        assert_eq!(scene.get("k").await.status, 503);
    }
    let traps = scene.records.lines().iter().filter(|line| line.contains("trapped")).count();
    assert_eq!(traps, 2);
}

#[tokio::test]
async fn a_context_ends_with_its_answer_and_is_not_told_to_log() {
    let named = |name: &str| format!(r#"(drop (call $log (i32.const 2) @"{name}"))"#);
    let callbacks = on("log", 1, &named("log"))
        + &on_with("done", 1, &named("done"), 1)
        + &on("delete", 1, &named("delete"));
    let scene = scene(&callbacks).await;
    assert_eq!(scene.get("k").await.status, 200);
    scene.line("delete").await;
    assert_eq!(scene.records.lines(), ["done", "delete"]);
    let access = scene.records.accesses().remove(0);
    assert_eq!((access.touch, access.context), (Touch::Answered, 0));
}
