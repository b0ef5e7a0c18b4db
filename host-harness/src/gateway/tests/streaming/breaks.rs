//! Origins that break off, clients that leave, stores that fail.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::support::{Raw, endpoint, eventually, nowhere, send};
use super::scene::{Manner, PART, bytes, mirror, scene, scene_with};
use crate::gateway::{Cluster, Endpoint};

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_the_object_from_the_bucket() {
    let scene = scene().await;
    let (object, gate) = (bytes(3 * PART), Arc::new(Semaphore::new(0)));
    scene.origin.has("k", &object, Manner::Halting(gate));
    let mut response = scene.begin("k").await;
    response.frame().await.unwrap().unwrap();
    drop(response);
    scene.line("stored in the bucket").await;
    assert!(scene.stored("k").await.unwrap().body == object);
    assert!(!scene.has_open_uploads());
    let access = scene.records.accesses().remove(0);
    assert_eq!((access.status, access.complete), (Some(200), false));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_origin_answers_ends_the_request_there() {
    let silent = Raw::start(b"").await;
    let scene = scene_with(|settings, configuration| {
        configuration["origins"] = json!({ silent.endpoint.to_string(): "other" });
        configuration["buckets"][0]["RoutingRules"] = mirror(&silent.endpoint);
        settings.clusters.push(Cluster::new("other", silent.endpoint.clone()));
    })
    .await;
    let mut client = TcpStream::connect(scene.gateway.address()).await.unwrap();
    client.write_all(b"GET /examplebucket/k HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    eventually("the request", async || !silent.received().is_empty()).await;
    drop(client);
    let gone = async || silent.received().last().is_some_and(|last| last == "(gone)");
    eventually("the end of the request", gone).await;
    eventually("its record", async || {
        scene.records.accesses().first().is_some_and(|access| access.status.is_none())
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_cuts_the_client_off_and_is_fetched_again_for_the_bucket() {
    let scene = scene().await;
    let object = bytes(2 * PART);
    for (key, manner) in [("short", Manner::ShortOnce), ("unfinished", Manner::Unfinished)] {
        scene.origin.has(key, &object, manner);
        let response = scene.begin(key).await;
        assert_eq!(response.status(), 200);
        assert!(response.into_body().collect().await.is_err(), "{key} looked whole");
        eventually(key, async || {
            scene.stored(key).await.is_some_and(|stored| stored.body == object)
        })
        .await;
    }
    assert!(!scene.has_open_uploads());
    assert!(
        scene
            .records
            .lines()
            .iter()
            .any(|line| line.ends_with("the origin broke its response off"))
    );
}

#[tokio::test]
async fn an_origin_that_only_breaks_off_gets_nothing_into_the_bucket() {
    let scene = scene().await;
    scene.origin.has("k", &bytes(2 * PART + 2), Manner::Short);
    let response = scene.begin("k").await;
    assert!(response.into_body().collect().await.is_err());
    let given_up =
        async || scene.records.lines().iter().any(|line| line.contains(", not stored: "));
    eventually("the end of it", given_up).await;
    assert!(scene.stored("k").await.is_none());
    assert!(!scene.has_open_uploads());
}

#[tokio::test]
async fn an_origin_that_stands_still_cuts_the_client_off() {
    let scene = scene_with(|_, configuration| {
        configuration["timeouts"] = json!({ "origin_ms": 300 });
    })
    .await;
    let object = bytes(100_000);
    scene.origin.has("k", &object, Manner::Halting(Arc::new(Semaphore::new(0))));
    let response = scene.begin("k").await;
    assert!(response.into_body().collect().await.is_err());
    scene.line("the response stood still for too long").await;
    eventually("the copy", async || scene.stored("k").await.is_some()).await;
    assert!(scene.stored("k").await.unwrap().body == object);
}

#[tokio::test]
async fn what_the_origin_does_not_give_is_an_error_in_xml() {
    let scene = scene_with(|_, configuration| {
        configuration["timeouts"] = json!({ "origin_ms": 300 });
    })
    .await;
    scene.origin.has("broken", b"", Manner::Status(500));
    scene.origin.has("moved", b"", Manner::Status(302));
    scene.origin.has("garbage", b"", Manner::Garbage);
    for (key, status, code, reason) in [
        ("absent", 404, "NoSuchKey", "the origin does not have it either"),
        ("broken", 424, "MirrorFailed", "the origin answered 500"),
        ("moved", 424, "MirrorFailed", "the origin answered 302"),
        ("garbage", 424, "MirrorFailed", "the origin's answer is not valid HTTP"),
    ] {
        let got = scene.get(key).await;
        let text = String::from_utf8_lossy(&got.body).into_owned();
        assert_eq!(got.status, status, "{key}: {text}");
        assert!(text.contains(&format!("<Code>{code}</Code>")), "{key}: {text}");
        assert!(text.contains(reason), "{key}: {text}");
    }
    scene
        .line("client got 424 MirrorFailed: the origin answered 500, and only 200 and 404 count")
        .await;
    scene.line("client got 404 NoSuchKey").await;
    assert_eq!(scene.writes(), [""; 0]);
}

async fn failing(origin: Endpoint, change: impl FnOnce(&mut serde_json::Value)) -> (u16, String) {
    let scene = scene_with(|settings, configuration| {
        configuration["origins"] = json!({ origin.to_string(): "other" });
        configuration["buckets"][0]["RoutingRules"] = mirror(&origin);
        settings.clusters.push(Cluster::new("other", origin));
        change(configuration);
    })
    .await;
    let got = scene.get("k").await;
    assert_eq!(got.headers["content-type"], "application/xml");
    assert_eq!(scene.records.lines().len(), 1, "{:?}", scene.records.lines());
    (got.status.as_u16(), String::from_utf8_lossy(&got.body).into_owned())
}

#[tokio::test]
async fn an_origin_that_is_not_there_or_says_nothing_is_a_424() {
    let (status, text) = failing(nowhere().await, |_| {}).await;
    assert_eq!(status, 424);
    assert!(text.contains("Rule 1: the origin cannot be reached."), "{text}");
    let silent = Raw::start(b"").await;
    let (status, text) = failing(silent.endpoint.clone(), |configuration| {
        configuration["timeouts"] = json!({ "origin_ms": 100 });
    })
    .await;
    assert_eq!(status, 424);
    assert!(text.contains("Rule 1: the origin did not answer in time."), "{text}");
    eventually("the end of the request", async || {
        silent.received().last().is_some_and(|last| last == "(gone)")
    })
    .await;
}

#[tokio::test]
async fn a_store_that_fails_is_no_matter_to_the_client() {
    let store = MockServer::start().await;
    let missing = ResponseTemplate::new(404).set_body_string("no such key");
    Mock::given(method("GET")).respond_with(missing).mount(&store).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(403)).mount(&store).await;
    let scene = scene_with(|settings, configuration| {
        settings.clusters[0] = Cluster::new("store", endpoint(&store));
        configuration["buckets"][0]["store"]["authority"] = json!(store.address().to_string());
    })
    .await;
    for (key, length) in [("small", 10), ("large", 4 * PART)] {
        scene.origin.has(key, &bytes(length), Manner::Plain);
        let got = scene.get(key).await;
        assert_eq!(got.status, 200);
        assert!(got.body == bytes(length));
        let told = async || {
            let name = format!("examplebucket/{key}: ");
            let is_told = |line: &String| line.contains(&name) && line.contains("not stored: ");
            scene.records.lines().iter().any(is_told)
        };
        eventually("the line", told).await;
    }
}

#[tokio::test]
async fn a_gateway_that_stops_ends_its_uploads_first() {
    let scene = scene_with(|settings, _| settings.timeouts.drain = Duration::from_secs(20)).await;
    let object = bytes(3 * PART);
    scene.origin.has("k", &object, Manner::Plain);
    let request = http::Request::get("/examplebucket/k").header("range", "bytes=0-0");
    let got = send(&scene.gateway, request, b"").await;
    assert_eq!(got.status, 206);
    let stored = scene.stop().await;
    assert!(stored.stored("k").await.is_some_and(|stored| stored.body == object));
}

#[tokio::test]
async fn a_gateway_that_must_stop_in_the_midst_aborts_its_uploads_and_tells() {
    let scene =
        scene_with(|settings, _| settings.timeouts.drain = Duration::from_millis(300)).await;
    let object = bytes(4 * PART);
    scene.origin.has("k", &object, Manner::Halting(Arc::new(Semaphore::new(0))));
    let mut response = scene.begin("k").await;
    let mut got = 0;
    while got < 2 * PART {
        got += response.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    eventually("a part", async || scene.writes().iter().any(|line| line.starts_with("PUT"))).await;
    let records = Arc::clone(&scene.records);
    let stored = scene.stop().await;
    assert!(response.into_body().collect().await.is_err(), "the client saw no end");
    assert!(stored.stored("k").await.is_none());
    assert!(!stored.has_open_uploads());
    let lines = records.lines();
    let told = "stopping after 0.3 s: 1 connection cut, and what is not fetched yet is not stored";
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(", not stored: ")), "{lines:?}");
}

#[tokio::test]
async fn a_client_under_way_is_served_to_its_end_when_the_gateway_stops() {
    let scene = scene_with(|settings, _| settings.timeouts.drain = Duration::from_secs(20)).await;
    let object = bytes(3 * PART);
    let gate = Arc::new(Semaphore::new(0));
    scene.origin.has("k", &object, Manner::Halting(Arc::clone(&gate)));
    let response = scene.begin("k").await;
    let records = Arc::clone(&scene.records);
    let (stored, got) = tokio::join!(scene.stop(), async {
        gate.add_permits(1);
        response.into_body().collect().await.unwrap().to_bytes()
    });
    assert!(got == object);
    assert!(stored.stored("k").await.is_some_and(|stored| stored.body == object));
    assert!(!records.lines().iter().any(|line| line.starts_with("stopping")));
}

#[tokio::test]
async fn a_miss_that_cannot_be_sent_on_is_answered() {
    let scene = scene().await;
    scene.origin.has("k", b"k", Manner::Plain);
    scene.gateway.shared().refuse("set headers", 1);
    assert!(scene.get("k").await.status.as_u16() >= 400);
    assert!(scene.origin.asked().is_empty());
    // Not even that can be said: the request goes on, and leads nowhere.
    scene.gateway.shared().refuse("set headers", 1);
    scene.gateway.shared().refuse("answer", 1);
    assert!(scene.get("k").await.status.as_u16() >= 400);
    assert!(scene.origin.asked().is_empty());
    assert_eq!(scene.get("k").await.status.as_u16(), 200);
}
