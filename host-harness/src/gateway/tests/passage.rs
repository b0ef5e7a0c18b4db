//! Requests and responses the filter lets pass: nothing is changed on the way.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::support::{Raw, endpoint, eventually, exchange, get, nowhere, send, start};
use crate::host::tests::support::module;
use crate::host::{Program, Touch};

fn transparent() -> Program {
    module("")
}

/// Passes all bodies on as they are, seen by the filter.
fn watching() -> Program {
    module(
        r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
           (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))"#,
    )
}

#[tokio::test]
async fn head_and_target_reach_the_store_as_they_came() {
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (gateway, _) = start(transparent(), store.endpoint.clone(), |_| {}).await;
    let request = b"GET /b//a%2Fb/../%c3%A9+c!?X-Amz-Date=1&list-type=2&e HTTP/1.1\r\n\
        Host: b.example:1234\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x\r\n\
        Connection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n";
    let answer = exchange(&gateway, request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    let head = store.received().remove(0);
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /b//a%2Fb/../%c3%A9+c!?X-Amz-Date=1&list-type=2&e HTTP/1.1");
    lines.sort_unstable();
    let expected = [
        "authorization: AWS4-HMAC-SHA256 Credential=x",
        "host: b.example:1234",
        "x-twice: 1",
        "x-twice: 2",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_bucket_may_be_named_by_the_host() {
    let store = Raw::start(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let (gateway, _) = start(transparent(), store.endpoint.clone(), |_| {}).await;
    let request = b"GET /k HTTP/1.1\r\nHost: b.s3.localhost\r\nConnection: close\r\n\r\n";
    assert!(exchange(&gateway, request).await.starts_with("HTTP/1.1 204"));
    assert!(store.received()[0].starts_with("GET /k HTTP/1.1\r\n"));
    let request = b"GET /k HTTP/1.1\r\nHost: c.s3.localhost\r\nConnection: close\r\n\r\n";
    assert!(exchange(&gateway, request).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn bodies_of_both_directions_stay_whole() {
    for program in [transparent(), watching()] {
        let store = MockServer::start().await;
        let big: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let answer = ResponseTemplate::new(200).set_body_bytes(big.clone());
        Mock::given(any()).respond_with(answer).mount(&store).await;
        let (gateway, records) = start(program, endpoint(&store), |_| {}).await;
        let got = send(&gateway, Request::put("/b/k"), &big).await;
        assert!(got.body == big, "{} bytes came back", got.body.len());
        assert_eq!(got.headers["content-length"], "3000000");
        assert!(store.received_requests().await.unwrap()[0].body == big);
        let access = records.accesses().remove(0);
        assert_eq!((access.touch, access.complete), (Touch::Passed, true));
        assert_eq!((access.bytes, access.status), (3_000_000, Some(200)));
        assert_eq!((access.details.as_str(), access.path.as_str()), ("via_upstream", "/b/k"));
    }
}

#[tokio::test]
async fn heads_without_bodies_keep_their_length() {
    let store = MockServer::start().await;
    let answer = ResponseTemplate::new(200).insert_header("etag", "\"e\"").set_body_string("12345");
    Mock::given(any()).respond_with(answer).mount(&store).await;
    let (gateway, records) = start(watching(), endpoint(&store), |_| {}).await;
    let got = send(&gateway, Request::head("/b/k"), b"").await;
    assert_eq!((&got.headers["content-length"], got.body.len()), (&"5".parse().unwrap(), 0));
    assert_eq!(got.headers["etag"], "\"e\"");
    assert!(records.accesses()[0].complete);
}

#[tokio::test]
async fn empty_bodies_stay_empty() {
    let store = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&store).await;
    let (gateway, _) = start(watching(), endpoint(&store), |_| {}).await;
    let got = get(&gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 0));
    assert_eq!(got.headers["content-length"], "0");
    assert!(!got.headers.contains_key("x-envoy-upstream-service-time"));
}

/// Answers that break off at once, and what has come of each.
const BROKEN: [(&str, &str); 5] = [
    ("HTTP/1.1 200 OK\r\netag: e\r\ntransfer-encoding: chunked\r\n\r\n", ""),
    ("HTTP/1.1 200 OK\r\netag: e\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n", ""),
    (
        "HTTP/1.1 200 OK\r\netag: e\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nno size\r\n",
        "abc",
    ),
    ("HTTP/1.1 200 OK\r\netag: e\r\ncontent-length: 9\r\n\r\n", ""),
    ("HTTP/1.1 200 OK\r\netag: e\r\ncontent-length: 9\r\n\r\nabc", "abc"),
];

#[tokio::test]
async fn what_came_before_a_break_reaches_the_client() {
    for program in [transparent(), watching()] {
        for (answer, came) in BROKEN {
            let store = Raw::start(answer.as_bytes()).await;
            let (gateway, records) = start(program.clone(), store.endpoint.clone(), |_| {}).await;
            let got = exchange(&gateway, b"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
            let (head, body) = got.split_once("\r\n\r\n").unwrap_or_default();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}: {got:?}");
            assert!(body.contains(came) && !body.contains("\r\n0\r\n"), "{answer:?}: {got:?}");
            assert!(!records.accesses()[0].complete, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn what_came_before_a_break_reaches_a_client_of_http_2() {
    for (answer, came) in BROKEN {
        let store = Raw::start(answer.as_bytes()).await;
        let (gateway, _) = start(watching(), store.endpoint.clone(), |_| {}).await;
        let client: Client<_, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let uri = format!("http://{}/b/k", gateway.address());
        let mut response = client.get(uri.parse().unwrap()).await.unwrap();
        assert_eq!(response.headers()["etag"], "e", "{answer:?}");
        let mut found = Vec::new();
        let broken = loop {
            match response.frame().await {
                Some(Ok(frame)) => found.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        assert!(broken && found == came.as_bytes(), "{answer:?}: {found:?}");
    }
}

#[tokio::test]
async fn http_2_without_tls_is_served_on_the_same_port() {
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (gateway, _) = start(watching(), store.endpoint.clone(), |_| {}).await;
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let uri = format!("http://{}/b/a%2Fb", gateway.address());
    let response = client.get(uri.parse().unwrap()).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    let head = store.received().remove(0);
    assert!(head.starts_with("GET /b/a%2Fb HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", gateway.address())), "{head}");
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let store = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&store).await;
    let (gateway, _) = start(watching(), endpoint(&store), |_| {}).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let head = b"PUT /b/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\
        Connection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(store.received_requests().await.unwrap()[0].body, b"body");
}

#[tokio::test]
async fn an_upload_that_breaks_off_never_looks_whole_to_the_store() {
    let store = Raw::start(b"").await;
    let (gateway, records) = start(watching(), store.endpoint.clone(), |_| {}).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let head = b"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    stream.write_all(head).await.unwrap();
    eventually("half of the body", async || store.received().concat().contains("half")).await;
    drop(stream);
    eventually("the end", async || store.received().last().unwrap() == "(gone)").await;
    let received = store.received().concat();
    assert!(!received.contains("0\r\n\r\n"), "{received}");
    eventually("the record", async || !records.accesses().is_empty()).await;
    let access = records.accesses().remove(0);
    assert_eq!((access.status, access.complete), (None, false));
}

#[tokio::test]
async fn a_download_that_breaks_off_breaks_off_for_the_client() {
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    let (gateway, records) = start(watching(), store.endpoint.clone(), |_| {}).await;
    let answer = exchange(&gateway, b"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(answer.contains("content-length: 9\r\n") && !answer.ends_with("halfhalf"), "{answer}");
    eventually("the record", async || !records.accesses().is_empty()).await;
    assert!(!records.accesses()[0].complete);
}

#[tokio::test]
async fn requests_that_lead_nowhere_are_refused() {
    let (gateway, records) = start(transparent(), nowhere().await, |_| {}).await;
    let cases: [(&[u8], &str, &str); 4] = [
        (
            b"GET /other/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            "404",
            "route_not_found",
        ),
        (b"GET /b/k HTTP/1.1\r\nConnection: close\r\n\r\n", "400", "missing_host_header"),
        (
            b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n",
            "404",
            "route_not_found",
        ),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "404", "route_not_found"),
    ];
    for (number, (request, status, details)) in cases.into_iter().enumerate() {
        let answer = exchange(&gateway, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        eventually("the record", async || records.accesses().len() > number).await;
        assert_eq!(records.accesses()[number].details, details);
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused_and_the_next_client_is_served() {
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (gateway, _) = start(transparent(), store.endpoint.clone(), |_| {}).await;
    let request = format!("GET /b/k HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let answer = exchange(&gateway, request.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = format!("/b/{}", "k".repeat(8 * 1024));
    assert_eq!(get(&gateway, &long).await.status.as_u16(), 200);
    assert!(store.received()[0].starts_with(&format!("GET {long} HTTP/1.1\r\n")));
}
