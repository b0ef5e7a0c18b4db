//! A host that fails the filter in a call, or lacks what Envoy has: no request hangs.

use std::time::Duration;

use http::Request;
use serde_json::json;

use super::mirror::scene_with;
use super::support::{eventually, get, send};

#[tokio::test]
async fn a_root_that_could_not_be_woken_has_its_turn_by_the_clock() {
    let scene = scene_with(Duration::ZERO, |_| {}).await;
    for key in ["/b/k", "/b/other"] {
        scene.gateway.shared().refuse("enqueue", 1);
        let got = get(&scene.gateway, key).await;
        assert_eq!(got.status.as_u16(), if key == "/b/k" { 200 } else { 404 }, "{key}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_cannot_be_answered_with_the_object_gets_the_buckets_answer() {
    let scene = scene_with(Duration::ZERO, |_| {}).await;
    for (call, request) in [
        ("answer", Request::get("/b/k")),
        // The headers of an object are put in the place of the bucket's.
        ("set headers", Request::head("/b/k")),
    ] {
        scene.gateway.shared().refuse(call, 1);
        assert_eq!(send(&scene.gateway, request, b"").await.status.as_u16(), 404, "{call}");
    }
    assert_eq!(get(&scene.gateway, "/b/k").await.status.as_u16(), 200);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_host_that_does_not_say_who_made_an_answer_is_told_of_once() {
    let untold = |line: &String| line.contains("`bucket_answers: assumed`");
    let scene = scene_with(Duration::ZERO, |_| {}).await;
    scene.gateway.shared().refuse("property", u32::MAX);
    for _ in 0..3 {
        assert_eq!(get(&scene.gateway, "/b/k").await.status.as_u16(), 404);
    }
    let lines = scene.records.lines();
    assert_eq!(lines.iter().filter(|line| untold(line)).count(), 1, "{lines:?}");
    scene.gateway.stop().await;

    let scene = scene_with(Duration::ZERO, |configuration| {
        configuration["bucket_answers"] = json!("assumed");
    })
    .await;
    scene.gateway.shared().refuse("property", u32::MAX);
    assert_eq!(get(&scene.gateway, "/b/k").await.status.as_u16(), 200);
    eventually("the line", async || !scene.records.lines().is_empty()).await;
    assert!(!scene.records.lines().iter().any(untold), "{:?}", scene.records.lines());
    scene.gateway.stop().await;
}
