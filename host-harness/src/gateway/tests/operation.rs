//! Starting, looking in, changing, stopping.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::support::{Raw, endpoint, eventually, get, nowhere, refusal, send, settings, start};
use crate::gateway::{Addressing, Cluster, Credentials, Gateway, Reads, Secret, StartError};
use crate::host::tests::support::{module, on, on_with, pairs};
use crate::host::{PluginError, Program};

/// Counts its configurations, tells the first letter of the present one, refuses an `n`.
fn configurable() -> Program {
    let configure = r#"
        (drop (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 12)))
        (i32.store8 (i32.const 900) (i32.load8_u (i32.load (i32.const 8))))
        (drop (call $define_metric (i32.const 0) @"configured" (i32.const 16)))
        (drop (call $increment_metric (i32.load (i32.const 16)) (i64.const 1)))
        (if (i32.eq (i32.load8_u (i32.const 900)) (i32.const 110)) (then (return (i32.const 0))))"#;
    let tell = r#"(drop (call $send_local_response (i32.const 200) @"" (i32.const 900) (i32.const 1) @"" (i32.const -1)))"#;
    module(&(on_with("configure", 2, configure, 1) + &on_with("request_headers", 3, tell, 0)))
}

#[tokio::test]
async fn what_cannot_work_does_not_start() {
    let (mut none, _) = settings(configurable(), nowhere().await);
    none.plugin_configuration = "no".to_owned();
    assert!(matches!(refusal(none).await, StartError::Filter(PluginError::Configuration)));
    let (mut lost, _) = settings(configurable(), nowhere().await);
    lost.routes.default = Some("elsewhere".to_owned());
    assert!(matches!(refusal(lost).await, StartError::UnknownCluster { .. }));
    let (mut keyless, _) = settings(configurable(), nowhere().await);
    keyless.routes.buckets.get_mut("b").unwrap().reads = Reads::Signed(Addressing::Path);
    assert!(matches!(refusal(keyless).await, StartError::NoCredentials { .. }));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut second, _) = settings(configurable(), nowhere().await);
    second.listen = taken.local_addr().unwrap();
    assert!(matches!(refusal(second).await, StartError::Listen { .. }));
}

#[tokio::test]
async fn another_configuration_takes_over_unless_it_is_refused() {
    let (mut gateway, _) = start(configurable(), nowhere().await, |settings| {
        settings.plugin_configuration = "a".to_owned();
        settings.workers = 3;
    })
    .await;
    assert_eq!(get(&gateway, "/b/k").await.body, "a");
    gateway.reconfigure("b".to_owned(), &[]).await.unwrap();
    for _ in 0..9 {
        assert_eq!(get(&gateway, "/b/k").await.body, "b");
    }
    let refused = gateway.reconfigure("no".to_owned(), &[]).await;
    assert!(matches!(refused, Err(StartError::Filter(PluginError::Configuration))));
    assert_eq!(get(&gateway, "/b/k").await.body, "b");
}

#[tokio::test]
async fn another_key_of_a_store_is_signed_with_at_once() {
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let key = |id: &str| Credentials {
        access_key_id: id.to_owned(),
        secret_access_key: Secret::new("s".to_owned()),
        session_token: None,
        region: "r".to_owned(),
    };
    let cluster = |id: &str| Cluster {
        signer: Some(key(id)),
        ..Cluster::new("store", store.endpoint.clone())
    };
    let (mut gateway, _) = start(module(""), store.endpoint.clone(), |settings| {
        settings.clusters = vec![cluster("OLD")];
        settings.admin = Some("127.0.0.1:0".parse().unwrap());
        settings.routes.buckets.get_mut("b").unwrap().reads = Reads::Signed(Addressing::Path);
    })
    .await;
    get(&gateway, "/b/k").await;
    gateway.reconfigure("{}".to_owned(), &[cluster("NEW")]).await.unwrap();
    get(&gateway, "/b/k").await;
    // A change that says nothing of it keeps it.
    gateway.reconfigure("{}".to_owned(), &[]).await.unwrap();
    get(&gateway, "/b/k").await;
    let keys: Vec<_> = store
        .received()
        .iter()
        .map(|head| ["OLD", "NEW"].map(|id| head.contains(&format!("Credential={id}/"))))
        .collect();
    assert_eq!(keys, [[true, false], [false, true], [false, true]]);
    let uri = format!("http://{}/config", gateway.admin_address().unwrap());
    let page = super::support::client().get(uri.parse().unwrap()).await.unwrap();
    let page = page.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8_lossy(&page).into_owned();
    assert!(page.contains("\"NEW\"") && !page.contains("\"OLD\""), "{page}");
}

#[tokio::test]
async fn the_admin_pages_show_state_and_no_secret() {
    let (gateway, _) = start(configurable(), nowhere().await, |settings| {
        settings.workers = 2;
        settings.admin = Some("127.0.0.1:0".parse().unwrap());
        settings.clusters[0].signer = Some(Credentials {
            access_key_id: "the-key-id".to_owned(),
            secret_access_key: Secret::new("the-secret".to_owned()),
            session_token: Some(Secret::new("the-secret-token".to_owned())),
            region: "r".to_owned(),
        });
        let shown = format!("{:?}", settings.clusters);
        assert!(!shown.contains("the-secret"), "{shown}");
    })
    .await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let page = async |path: &str| {
        let uri = format!("http://{}{path}", gateway.admin_address().unwrap());
        let response = client.get(uri.parse().unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, ready) = page("/ready").await;
    assert!(status == 200 && ready.contains("\"running\": 2"), "{status} {ready}");
    let metrics = "# TYPE configured counter\nconfigured 2\n".to_owned();
    assert_eq!(page("/stats/prometheus").await, (200, metrics));
    let (status, configuration) = page("/config").await;
    assert_eq!(status, 200);
    assert!(configuration.contains("the-key-id") && !configuration.contains("the-secret"));
    assert_eq!(page("/other").await.0, 404);
}

#[tokio::test]
async fn stopping_lets_requests_under_way_finish_and_accepts_no_others() {
    let store = MockServer::start().await;
    let slow = ResponseTemplate::new(200)
        .set_body_string("late")
        .set_delay(std::time::Duration::from_millis(200));
    Mock::given(any()).respond_with(slow).mount(&store).await;
    let (gateway, _) = start(module(""), endpoint(&store), |_| {}).await;
    let address = gateway.address();
    let got = tokio::spawn(async move {
        let uri = format!("http://{address}/b/k").parse().unwrap();
        let response = super::support::client().get(uri).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    });
    eventually("the request", async || !store.received_requests().await.unwrap().is_empty()).await;
    gateway.stop().await;
    assert_eq!(got.await.unwrap(), "late");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn stopping_waits_for_nothing_beyond_its_time() {
    let store = Raw::start(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let program = module(&on_with("response_headers", 3, "", 1));
    let (gateway, records) = start(program, store.endpoint.clone(), |settings| {
        settings.timeouts.drain = std::time::Duration::from_millis(20);
    })
    .await;
    let uri = format!("http://{}/b/k", gateway.address()).parse().unwrap();
    let held = tokio::spawn(async move { super::support::client().get(uri).await });
    eventually("the request", async || !store.received().is_empty()).await;
    gateway.stop().await;
    assert!(held.await.unwrap().is_err());
    let access = records.accesses().remove(0);
    assert_eq!((access.status, access.complete), (None, false));
}

#[tokio::test]
async fn stopping_lets_calls_of_the_filter_finish() {
    let store = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(404)).mount(&store).await;
    let slow = ResponseTemplate::new(200).set_delay(std::time::Duration::from_millis(200));
    Mock::given(method("PUT")).respond_with(slow).mount(&store).await;
    let fields = pairs(&[(":method", "PUT"), (":path", "/b/k"), (":authority", "s")]);
    let call = format!(
        r#"(drop (call $http_call @"store" @"{fields}" @"abc" @"" (i32.const 0) (i32.const 16)))"#
    );
    let callbacks = on_with("response_headers", 3, &call, 0)
        + &on("http_call_response", 5, r#"(drop (call $log (i32.const 2) @"stored"))"#);
    let (gateway, records) = start(module(&callbacks), endpoint(&store), |_| {}).await;
    assert_eq!(get(&gateway, "/b/k").await.status.as_u16(), 404);
    gateway.stop().await;
    assert_eq!(records.lines(), ["stored"]);
}

#[tokio::test]
async fn every_worker_serves_and_they_share_what_is_shared() {
    let count = r#"
        (drop (call $define_metric (i32.const 0) @"requests" (i32.const 16)))
        (drop (call $increment_metric (i32.load (i32.const 16)) (i64.const 1)))"#;
    let store = Raw::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let program = module(&on_with("request_headers", 3, count, 0));
    let (gateway, records) = start(program, store.endpoint, |settings| settings.workers = 2).await;
    let mut served = [false; 2];
    let mut sent = 0;
    eventually("both workers", async || {
        send(&gateway, Request::get("/b/k"), b"").await;
        sent += 1;
        for access in records.accesses() {
            served[access.worker] = true;
        }
        served == [true; 2]
    })
    .await;
    let metrics = gateway.shared().metrics().prometheus();
    assert_eq!(metrics, format!("# TYPE requests counter\nrequests {sent}\n"));
}

/// The tests share their gateways' type with nobody else.
#[test]
fn a_gateway_can_be_moved_between_threads() {
    const fn movable<T: Send>() {}
    movable::<Gateway>();
}
