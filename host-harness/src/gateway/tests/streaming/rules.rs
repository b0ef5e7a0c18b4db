//! What goes to an origin, and what stays with the bucket.

use http::Request;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::support::{endpoint, send};
use super::scene::{Manner, Scene, scene, scene_with};
use crate::gateway::Cluster;

/// A redirect for one prefix before the mirror for everything, and one for another prefix and any
/// status after it.
fn with_redirects(configuration: &mut Value) {
    let rules = configuration["buckets"][0]["RoutingRules"].as_array_mut().unwrap();
    rules[0]["RuleNumber"] = json!(2);
    rules.push(json!({
        "RuleNumber": 3,
        "Condition": { "KeyPrefixEquals": "moved/" },
        "Redirect": { "RedirectType": "External", "HostName": "h.example", "HttpRedirectCode": 302 },
    }));
    rules.push(json!({
        "RuleNumber": 1,
        "Condition": { "KeyPrefixEquals": "old/", "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "External", "HostName": "h.example", "HttpRedirectCode": 302 },
    }));
}

async fn redirecting() -> Scene {
    scene_with(|_, configuration| with_redirects(configuration)).await
}

#[tokio::test]
async fn redirects_and_streams_stand_side_by_side() {
    let scene = redirecting().await;
    scene.origin.has("k", b"from the origin", Manner::Plain);
    let got = scene.get("old/k").await;
    assert_eq!(got.status, 302);
    assert_eq!(got.headers["location"], "http://h.example/old/k");
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    scene.line("stored in the bucket").await;
    let again = scene.get("k").await;
    assert_eq!(again.headers["x-oss-tag"], got.headers["x-oss-tag"]);
    // What an origin answers is not taken for the bucket's word.
    for key in ["absent", "moved/absent"] {
        assert_eq!(scene.get(key).await.status, 404);
    }
    scene.origin.has("moved/k", b"of the same origin", Manner::Plain);
    let got = scene.get("moved/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"of the same origin"[..]));
    scene.line("(18 bytes), client got 200, stored in the bucket").await;
    // The bucket's own answer is another matter.
    assert_eq!(scene.get("moved/k").await.status, 302);
    assert_eq!((scene.origin.asked().len(), scene.writes().len()), (4, 2));
}

#[tokio::test]
async fn rules_are_replaced() {
    let mut scene = scene().await;
    scene.origin.has("old/k", b"from the origin", Manner::Plain);
    let mut configuration = scene.configuration.clone();
    with_redirects(&mut configuration);
    scene.gateway.reconfigure(configuration.to_string(), &[]).await.unwrap();
    assert_eq!(scene.get("old/k").await.status, 302);
    let without = scene.configuration.to_string();
    scene.gateway.reconfigure(without, &[]).await.unwrap();
    let got = scene.get("old/k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    let mut nonsense = scene.configuration.clone();
    nonsense["limits"]["part_bytes"] = json!(0);
    assert!(scene.gateway.reconfigure(nonsense.to_string(), &[]).await.is_err());
}

#[tokio::test]
async fn what_no_rule_covers_keeps_the_buckets_answer() {
    let scene = scene().await;
    scene.origin.has("k", b"from the origin", Manner::Plain);
    for request in [
        Request::head("/examplebucket/k"),
        Request::get("/examplebucket/k?versionId=1"),
        Request::get("/examplebucket/?list-type=2"),
        Request::delete("/examplebucket/k"),
    ] {
        send(&scene.gateway, request, b"").await;
    }
    assert_eq!(scene.origin.asked(), [""; 0]);
}

#[tokio::test]
async fn a_deleted_object_stays_deleted_and_an_error_of_the_bucket_stays_one() {
    for (status, marker) in [(404, "true"), (403, "false"), (500, "false"), (503, "false")] {
        let store = MockServer::start().await;
        let answer = ResponseTemplate::new(status)
            .insert_header("x-amz-delete-marker", marker)
            .set_body_string("the bucket's own words");
        Mock::given(any()).respond_with(answer).mount(&store).await;
        let scene = scene_with(|settings, _| {
            settings.clusters[0] = Cluster::new("store", endpoint(&store));
        })
        .await;
        scene.origin.has("k", b"from the origin", Manner::Plain);
        let got = scene.get("k").await;
        assert_eq!((got.status.as_u16(), &got.body[..]), (status, &b"the bucket's own words"[..]));
        assert_eq!(scene.origin.asked(), [""; 0]);
    }
}

#[tokio::test]
async fn an_origin_is_asked_by_the_rule_and_not_by_the_client() {
    let scene = scene_with(|_, configuration| {
        configuration["buckets"][0]["RoutingRules"][0]["Redirect"]["PassQueryString"] = json!(true);
    })
    .await;
    scene.origin.has("a%20b?x=1", b"from the origin", Manner::Plain);
    let request = Request::get("/examplebucket/a%20b?x=1")
        .header("authorization", "of the client")
        .header("cookie", "of=theirs")
        .header("if-none-match", "\"theirs\"");
    let got = send(&scene.gateway, request, b"").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    let head = scene.origin.asked().remove(0);
    assert!(head.starts_with("GET /a%20b?x=1 HTTP/1.1\r\n"), "{head}");
    let host = format!("host: {}\r\n", scene.origin.endpoint.authority());
    assert!(head.contains(&host), "{head}");
    for name in ["authorization", "cookie", "if-none-match"] {
        assert!(!head.contains(name), "{head}");
    }
}
