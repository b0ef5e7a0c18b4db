//! The filter itself in the gateway: enough to see that the two fit.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::support::{Records, endpoint, eventually, filter, get, send, start};
use crate::gateway::{Cluster, Gateway};
use crate::host::Touch;

/// A bucket without objects before an origin with one.
pub(super) struct Scene {
    store: MockServer,
    pub(super) gateway: Gateway,
    pub(super) records: std::sync::Arc<Records>,
    /// Keeps the origin up, and counts what it was asked.
    origin: MockServer,
}

async fn scene(delay: Duration) -> Scene {
    scene_with(delay, |_| {}).await
}

pub(super) async fn scene_with(delay: Duration, change: impl FnOnce(&mut Value)) -> Scene {
    let (store, origin) = (MockServer::start().await, MockServer::start().await);
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(404).set_body_string("no such key"))
        .mount(&store)
        .await;
    let empty = ResponseTemplate::new(404).insert_header("content-length", "0");
    Mock::given(method("HEAD")).respond_with(empty).mount(&store).await;
    Mock::given(method("PUT"))
        .and(path("/b/k"))
        .and(header("if-none-match", "*"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&store)
        .await;
    let object = ResponseTemplate::new(200).set_body_raw("from the origin", "text/x-test");
    Mock::given(path("/k")).respond_with(object.set_delay(delay)).mount(&origin).await;
    let mut configuration = json!({
        "buckets": [{
            "name": "b",
            "store": { "cluster": "store", "scheme": "http",
                       "authority": store.address().to_string(), "addressing": "path" },
            "RoutingRules": [{
                "RuleNumber": 1,
                "Condition": { "HttpErrorCodeReturnedEquals": 404 },
                "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.uri()),
                              "MirrorAllowHeadObject": true },
            }],
        }],
        "origins": { origin.uri(): "origin" },
    });
    change(&mut configuration);
    let (gateway, records) = start(filter(), endpoint(&store), |settings| {
        settings.clusters.push(Cluster::new("origin", endpoint(&origin)));
        settings.plugin_configuration = configuration.to_string();
    })
    .await;
    Scene { store, gateway, records, origin }
}

impl Scene {
    async fn stored(&self) -> Vec<Vec<u8>> {
        let requests = self.store.received_requests().await.unwrap();
        requests.into_iter().filter(|got| got.method == "PUT").map(|got| got.body).collect()
    }
}

#[tokio::test]
async fn a_missing_object_comes_from_the_origin_and_is_stored() {
    let scene = scene(Duration::ZERO).await;
    let got = get(&scene.gateway, "/b/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    assert_eq!(got.headers["content-type"], "text/x-test");
    assert!(got.headers.contains_key("x-oss-tag"));
    eventually("the filter's line", async || {
        scene.records.lines().iter().any(|line| line.contains("stored"))
    })
    .await;
    assert_eq!(scene.stored().await, [b"from the origin"]);
    let access = scene.records.accesses().pop().unwrap();
    assert_eq!((access.status, access.touch, access.complete), (Some(200), Touch::Answered, true));
    scene.gateway.stop().await;
}

#[tokio::test]
async fn many_clients_of_one_missing_object_cost_one_fetch_and_one_copy() {
    // The origin answers once all clients are waiting, or nearly.
    let scene = scene(Duration::from_millis(500)).await;
    let clients: Vec<_> = (0..200).map(|_| get(&scene.gateway, "/b/k")).collect();
    for got in futures_util::future::join_all(clients).await {
        assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    }
    eventually("the copy", async || !scene.stored().await.is_empty()).await;
    scene.gateway.stop().await;
    assert_eq!(scene.origin.received_requests().await.unwrap().len(), 1);
    let requests = scene.store.received_requests().await.unwrap();
    assert_eq!(requests.iter().filter(|got| got.method == "PUT").count(), 1);
}

#[tokio::test]
async fn another_applications_host_is_not_mirrored() {
    let scene = scene_with(Duration::ZERO, |configuration| {
        configuration["hosts"] = json!(["*.ours.example", "ours.example"]);
    })
    .await;
    let ask = async |host: &str| {
        let request = http::Request::get("/b/k").header("host", host);
        send(&scene.gateway, request, b"").await
    };
    for host in ["other.example.com", "ours.example.org", "h"] {
        let got = ask(host).await;
        assert_eq!((got.status.as_u16(), &got.body[..]), (404, &b"no such key"[..]), "{host}");
    }
    assert!(scene.origin.received_requests().await.unwrap().is_empty());
    assert_eq!(ask("Ours.Example:8080").await.status.as_u16(), 200);
    eventually("the copy", async || !scene.stored().await.is_empty()).await;
    scene.gateway.stop().await;
}
