//! Requests the gateway signs in its own name.

use http::Request;

use super::support::{Raw, send, start};
use crate::gateway::{Addressing, Credentials, Reads, Secret, Settings};
use crate::host::tests::support::{module, on_with, pairs};

fn signer() -> Credentials {
    Credentials {
        access_key_id: "AK".to_owned(),
        secret_access_key: Secret::new("SK".to_owned()),
        session_token: None,
        region: "eu-test-1".to_owned(),
    }
}

fn signed(addressing: Addressing) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.clusters[0].signer = Some(signer());
        for route in settings.routes.buckets.values_mut() {
            route.reads = Reads::Signed(addressing);
        }
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn reads_are_signed_in_place_of_the_client() {
    let store = Raw::start(OK).await;
    let change = signed(Addressing::Path);
    let (gateway, _) = start(module(""), store.endpoint.clone(), change).await;
    let request = Request::get("/b/a%2Fb//c?versionId=1&X-Amz-Signature=x")
        .header("host", "b.s3.localhost")
        .header("authorization", "AWS4-HMAC-SHA256 of the client")
        .header("x-amz-date", "of the client");
    let path = "GET /b/b/a%2Fb//c?versionId=1 HTTP/1.1\r\n";
    send(&gateway, request, b"").await;
    let head = store.received().remove(0);
    assert!(head.starts_with(path), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", store.endpoint.authority())), "{head}");
    assert!(head.contains("authorization: AWS4-HMAC-SHA256 Credential=AK/"), "{head}");
    assert!(head.contains("/eu-test-1/s3/aws4_request"), "{head}");
    assert!(head.contains("x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"), "{head}");
    assert!(!head.contains("of the client"), "{head}");
}

#[tokio::test]
async fn signed_reads_may_name_the_bucket_in_the_host() {
    let store = Raw::start(OK).await;
    let change = signed(Addressing::Virtual);
    let (gateway, _) = start(module(""), store.endpoint.clone(), change).await;
    send(&gateway, Request::head("/b//k"), b"").await;
    let head = store.received().remove(0);
    assert!(head.starts_with("HEAD //k HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: b.{}\r\n", store.endpoint.authority())), "{head}");
}

#[tokio::test]
async fn the_gateway_never_lends_its_key_to_a_write() {
    let store = Raw::start(OK).await;
    let change = signed(Addressing::Path);
    let (gateway, _) = start(module(""), store.endpoint.clone(), change).await;
    send(&gateway, Request::delete("/b/k").header("authorization", "own"), b"").await;
    let head = store.received().remove(0);
    assert!(head.starts_with("DELETE /b/k HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: own\r\n"), "{head}");
    assert!(!head.contains("AWS4-HMAC-SHA256"), "{head}");
}

#[tokio::test]
async fn calls_through_a_cluster_with_credentials_are_signed_with_their_body() {
    let store = Raw::start(OK).await;
    let fields = [(":method", "PUT"), (":path", "/b/k"), (":authority", "store.test")];
    let fields = pairs(&[&fields[..], &[("if-none-match", "*")]].concat());
    let call = format!(
        r#"(drop (call $http_call @"store" @"{fields}" @"abc" @"" (i32.const 0) (i32.const 16)))"#
    );
    let program = module(&on_with("request_headers", 3, &call, 1));
    let (gateway, _) = start(program, store.endpoint.clone(), |settings| {
        settings.clusters[0].signer = Some(signer());
        settings.timeouts.idle = std::time::Duration::from_millis(50);
    })
    .await;
    send(&gateway, Request::get("/b/k"), b"").await;
    let head = store.received().remove(0);
    // The digest of "abc".
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(head.contains(&format!("x-amz-content-sha256: {digest}\r\n")), "{head}");
    assert!(head.contains("host;if-none-match;x-amz-content-sha256;x-amz-date"), "{head}");
    assert!(head.contains("content-length: 3\r\n") && head.ends_with("abc"), "{head}");
}
