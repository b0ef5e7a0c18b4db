//! Answers that are not the store's: of the gateway, of the filter, of what the filter made of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::upstream::{Upstreams, trust};
use super::support::{Raw, endpoint, eventually, exchange, get, nowhere, send, start};
use crate::gateway::{Cluster, Endpoint, Scheme};
use crate::host::tests::support::{module, on, on_with, pairs};
use crate::host::{Answer, Callout, Callouts as _, Headers, LARGEST_ANSWER, Touch};

/// Logs where each answer comes from.
fn curious() -> String {
    let read = r#"(drop (call $get_property @"response\00code_details" (i32.const 8) (i32.const 12))) (call $tell)"#;
    on_with("response_headers", 3, read, 0)
}

async fn missing() -> MockServer {
    let store = MockServer::start().await;
    let answer =
        ResponseTemplate::new(404).insert_header("etag", "e").set_body_string("no such key");
    Mock::given(any()).respond_with(answer).mount(&store).await;
    store
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_a_503_the_filter_sees() {
    let (gateway, records) = start(module(&curious()), nowhere().await, |_| {}).await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!(got.status.as_u16(), 503);
    assert!(got.body.starts_with(b"upstream connect error"));
    let details = "upstream_reset_before_response_started{connection_failure}";
    assert_eq!(records.lines(), [details]);
    let access = records.accesses().remove(0);
    assert_eq!((access.details.as_str(), access.touch), (details, Touch::Passed));
}

#[tokio::test]
async fn a_store_that_hangs_up_is_a_503() {
    let store = Raw::start(b"\r\n").await;
    let (gateway, records) = start(module(&curious()), store.endpoint.clone(), |_| {}).await;
    assert_eq!(get(&gateway, "/b/k").await.status.as_u16(), 503);
    assert_eq!(records.lines(), ["upstream_reset_before_response_started{connection_termination}"]);
}

#[tokio::test]
async fn a_store_that_says_nothing_is_a_504() {
    let store = Raw::start(b"").await;
    let (gateway, records) = start(module(&curious()), store.endpoint.clone(), |settings| {
        settings.timeouts.response = Duration::from_millis(20);
    })
    .await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (504, &b"upstream request timeout"[..]));
    assert_eq!(records.lines(), ["upstream_response_timeout"]);
}

#[tokio::test]
async fn a_reply_in_the_response_phase_replaces_everything() {
    let fields = pairs(&[("location", "http://o/k"), ("x-a", "1"), ("x-a", "2")]);
    let reply = format!(
        r#"(drop (call $send_local_response (i32.const 302) @"" @"" @"{fields}" (i32.const -1)))"#
    );
    let store = missing().await;
    let program = module(&on_with("response_headers", 3, &reply, 0));
    let (gateway, records) = start(program, endpoint(&store), |_| {}).await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), got.body.len()), (302, 0));
    assert_eq!(got.headers["location"], "http://o/k");
    assert_eq!(got.headers.get_all("x-a").iter().count(), 2);
    assert!(!got.headers.contains_key("etag") && !got.headers.contains_key("content-type"));
    assert_eq!(records.accesses()[0].touch, Touch::Answered);
}

#[tokio::test]
async fn a_reply_in_the_request_phase_never_reaches_the_store_and_is_seen_again() {
    let reply = r#"(drop (call $send_local_response (i32.const 403) @"of its own" @"no" @"" (i32.const -1)))"#;
    let store = missing().await;
    let program = module(&(on_with("request_headers", 3, reply, 0) + &curious()));
    let (gateway, records) = start(program, endpoint(&store), |_| {}).await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (403, &b"no"[..]));
    assert_eq!(got.headers["content-type"], "text/plain");
    assert_eq!(records.lines(), ["of_its_own"]);
    assert!(store.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_held_answer_can_be_changed_and_its_body_replaced() {
    let set = pairs(&[(":status", "200"), ("content-length", "8"), ("x-new", "1")]);
    let configure = "(drop (call $set_tick_period_milliseconds (i32.const 1)))";
    let tick = format!(
        r#"(if (i32.eqz (call $set_effective_context (i32.const 2))) (then
             (if (i32.eqz (call $set_header_map_pairs (i32.const 2) @"{set}")) (then
               (drop (call $continue_stream (i32.const 1)))))))"#
    );
    let body = r#"(if (local.get 1) (then
        (drop (call $set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const -1) @"replaced"))))"#;
    let program = module(
        &(on_with("configure", 2, configure, 1)
            + &on_with("response_headers", 3, "", 1)
            + &on("tick", 1, &tick)
            + &on_with("response_body", 3, body, 0)),
    );
    let store = missing().await;
    let (gateway, records) = start(program, endpoint(&store), |_| {}).await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"replaced"[..]));
    assert_eq!(got.headers["x-new"], "1");
    assert!(!got.headers.contains_key("etag"));
    assert_eq!(records.accesses()[0].touch, Touch::Held);
}

#[tokio::test]
async fn a_body_held_to_its_end_comes_late_and_whole() {
    let body = "(if (i32.eqz (local.get 2)) (then (return (i32.const 1))))";
    let store = missing().await;
    let program = module(&on_with("response_body", 3, body, 0));
    let (gateway, _) = start(program, endpoint(&store), |_| {}).await;
    assert_eq!(get(&gateway, "/b/k").await.body, "no such key");
}

#[tokio::test]
async fn an_answer_that_is_held_for_ever_ends_with_504() {
    let store = missing().await;
    let program = module(&on_with("response_headers", 3, "", 1));
    let (gateway, _) = start(program, endpoint(&store), |settings| {
        settings.timeouts.idle = Duration::from_millis(50);
    })
    .await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (504, &b"stream timeout"[..]));
}

#[tokio::test]
async fn a_filter_that_dies_answers_503_and_comes_back() {
    let trap = r#"(drop (call $get_header_map_value (i32.const 0) @":path" (i32.const 8) (i32.const 12)))
        (if (i32.eq (i32.load (i32.const 12)) (i32.const 6)) (then (unreachable)))"#;
    let store = missing().await;
    let program = module(&on_with("request_headers", 3, trap, 0));
    let (gateway, records) = start(program, endpoint(&store), |settings| {
        settings.timeouts.reload = Duration::from_millis(50);
    })
    .await;
    assert_eq!(get(&gateway, "/b/die").await.status.as_u16(), 503);
    assert!(records.lines().iter().any(|line| line.contains("trapped")));
    eventually("service", async || get(&gateway, "/b/k").await.status.as_u16() == 404).await;
}

#[tokio::test]
async fn an_answer_closed_by_the_filter_breaks_the_connection() {
    let close = "(drop (call $close_stream (i32.const 1)))";
    let store = missing().await;
    let program = module(&on_with("response_headers", 3, close, 1));
    let (gateway, _) = start(program, endpoint(&store), |_| {}).await;
    assert_eq!(exchange(&gateway, b"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await, "");
}

#[tokio::test]
async fn fields_that_cannot_be_sent_are_left_out_and_logged() {
    let add =
        r#"(drop (call $add_header_map_value (i32.const 2) @"x-bad" @"a\0d\0aset-cookie: b"))"#;
    let store = missing().await;
    let program = module(&on_with("response_headers", 3, add, 0));
    let (gateway, records) = start(program, endpoint(&store), |_| {}).await;
    let got = get(&gateway, "/b/k").await;
    assert!(!got.headers.contains_key("set-cookie") && !got.headers.contains_key("x-bad"));
    assert!(records.lines()[0].contains("x-bad"), "{:?}", records.lines());
}

async fn call(endpoint: Endpoint) -> Answer {
    let connect_timeout = Duration::from_millis(500);
    let clusters = [Cluster { connect_timeout, ..Cluster::new("c", endpoint) }];
    let upstreams = Upstreams::new(&clusters, &trust(&clusters, None).unwrap(), Arc::default());
    let fields = [(":method", "GET"), (":path", "/k"), (":authority", "o.test")];
    let callout = Callout {
        cluster: "c".to_owned(),
        headers: fields.into_iter().collect(),
        body: Bytes::new(),
        timeout: None,
    };
    upstreams.send(callout).await
}

#[tokio::test]
async fn genuine_answers_of_calls_tell_how_long_they_took() {
    let origin = Raw::start(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy").await;
    let Answer::Response { headers, body, .. } = call(origin.endpoint.clone()).await else {
        panic!("no response");
    };
    assert_eq!((headers.first(b":status"), &body[..]), (Some(&b"503"[..]), &b"busy"[..]));
    assert!(headers.first(b"x-envoy-upstream-service-time").is_some());
    let head = origin.received().remove(0);
    assert!(head.starts_with("GET /k HTTP/1.1\r\n") && head.contains("host: o.test\r\n"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn calls_that_fail_are_told_apart_as_in_envoy() {
    assert_eq!(call(nowhere().await).await, Answer::no_connection());
    // Encrypted, to a server that waits for something else.
    let plain = Raw::start(b"").await.endpoint;
    let encrypted = Endpoint { scheme: Scheme::Https, ..plain };
    assert_eq!(call(encrypted).await, Answer::no_connection());
    let silent = Raw::start(b"\r\n").await;
    assert_eq!(call(silent.endpoint).await, Answer::connection_lost());
    let cut = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    assert_eq!(call(cut.endpoint).await, Answer::Reset);
}

#[tokio::test]
async fn answers_over_the_limit_are_none() {
    let answer = |length: usize| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + length, b'x');
        answer
    };
    let most = Raw::start(&answer(LARGEST_ANSWER)).await;
    let Answer::Response { body, .. } = call(most.endpoint).await else { panic!("no response") };
    assert_eq!(body.len(), LARGEST_ANSWER);
    let over = Raw::start(&answer(LARGEST_ANSWER + 1)).await;
    assert_eq!(call(over.endpoint).await, Answer::Reset);
}

#[tokio::test]
async fn what_no_call_can_carry_is_a_reset() {
    let clusters = [Cluster::new("c", nowhere().await)];
    let upstreams = Upstreams::new(&clusters, &trust(&clusters, None).unwrap(), Arc::default());
    for fields in [
        [(":method", "G T"), (":path", "/k"), (":authority", "o")],
        [(":method", "GET"), (":path", "/a b"), (":authority", "o")],
        [(":method", "GET"), (":path", "/k"), (":authority", "o\r\nx: y")],
    ] {
        let headers: Headers = fields.into_iter().collect();
        let cluster = "c".to_owned();
        let callout = Callout { cluster, headers, body: Bytes::new(), timeout: None };
        assert_eq!(upstreams.send(callout).await, Answer::Reset, "{fields:?}");
    }
}

#[tokio::test]
async fn a_request_body_held_beyond_the_limit_is_refused() {
    let store = Raw::start(b"").await;
    let program = module(&on_with("request_body", 3, "", 1));
    let (gateway, _) = start(program, store.endpoint, |_| {}).await;
    let got = send(&gateway, Request::put("/b/k"), &vec![b'x'; 1024 * 1024 + 1]).await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (413, &b"Payload Too Large"[..]));
}

#[test]
fn certificates_are_read_where_they_are_needed_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, none) = (folder.path().join("empty.pem"), folder.path().join("none.pem"));
    std::fs::write(&empty, "nothing of the kind").unwrap();
    let with = |scheme| {
        let endpoint = Endpoint { scheme, host: "o.example".to_owned(), port: 443 };
        [Cluster::new("c", endpoint)]
    };
    let (http, https) = (with(Scheme::Http), with(Scheme::Https));
    for file in [&empty, &none] {
        assert!(trust(&http, Some(file)).is_ok());
        assert!(trust(&https, Some(file)).is_err());
    }
    let refused = trust(&https, Some(&empty)).unwrap_err().to_string();
    assert_eq!(refused, "there is no certificate in it");
}

#[tokio::test]
async fn an_answer_that_says_two_things_of_its_length_is_none() {
    for (head, status) in [
        ("content-length: 2\r\ntransfer-encoding: chunked", 502),
        ("content-length: 4, 4", 502),
        ("content-length: 4\r\ncontent-length: 4", 502),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", 502),
        ("content-length : 4", 200),
        ("content-length: 4\r\nx-folded: a\r\n b", 200),
        ("content-length: 4\r\nconnection: close, content-length", 200),
    ] {
        let body = if head.contains("chunked") { "4\r\nbody\r\n0\r\n\r\n" } else { "body" };
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        let store = Raw::start(answer.as_bytes()).await;
        let (gateway, _) = start(module(""), store.endpoint.clone(), |_| {}).await;
        let got = get(&gateway, "/b/k").await;
        assert_eq!(got.status.as_u16(), status, "{head}");
        if status == 200 {
            assert_eq!(
                (&got.headers["content-length"], &got.body[..]),
                (&"4".parse().unwrap(), &b"body"[..]),
                "{head}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_with_or_without_a_host() {
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (gateway, _) = start(module(""), store.endpoint.clone(), |_| {}).await;
    for request in ["GET /b/k HTTP/1.0\r\n\r\n", "GET /b/k HTTP/1.0\r\nHost: h\r\n\r\n"] {
        let answer = exchange(&gateway, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
    }
    assert!(store.received()[0].contains("host: localhost\r\n"), "{:?}", store.received());
}
