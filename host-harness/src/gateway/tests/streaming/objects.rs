//! Objects of every size, whole and in part.

use std::sync::Arc;

use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;

use super::super::support::{eventually, send};
use super::scene::{Manner, PART, bytes, scene, scene_with};
use crate::host::Touch;

#[tokio::test]
async fn a_large_object_is_streamed_while_it_comes_and_stored_in_parts() {
    let scene = scene().await;
    let (object, gate) = (bytes(4 * PART), Arc::new(Semaphore::new(0)));
    scene.origin.has("large", &object, Manner::Halting(Arc::clone(&gate)));
    let response = scene.begin("large").await;
    assert_eq!(response.headers()["content-length"], "20971520");
    assert_eq!(response.headers()["content-type"], "text/x-test");
    let tag = response.headers()["x-oss-tag"].clone();
    assert!(tag.to_str().unwrap().starts_with("MIRROR "));
    let mut body = response.into_body();
    let mut got = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    assert!(!got.is_empty());
    // The first byte is here, and the last is still with the origin.
    gate.add_permits(1);
    while let Some(frame) = body.frame().await {
        got.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert!(got == object, "{} bytes, not the object", got.len());
    scene.line("(20971520 bytes), client got 200, stored in the bucket").await;
    let stored = scene.stored("large").await.unwrap();
    assert!(stored.body == object, "{} bytes, not the object", stored.body.len());
    assert_eq!(stored.headers["content-type"], "text/x-test");
    assert_eq!(stored.headers["x-amz-meta-x-oss-tag"], tag);
    assert_eq!(scene.writes().first().unwrap(), "POST uploads 200");
    assert_eq!(scene.writes().last().unwrap(), "POST  unless there 200");
    let parts = scene.writes().iter().filter(|write| write.contains("partNumber")).count();
    assert_eq!((parts, scene.writes().len()), (4, 6));
    assert!(!scene.has_open_uploads());
    // From now on it is the bucket's, and says where it came from.
    let asked = scene.origin.asked();
    let again = scene.get("large").await;
    assert!(again.body == object);
    assert_eq!(again.headers["x-oss-tag"], tag);
    assert_eq!(scene.origin.asked(), asked);
}

#[tokio::test]
async fn an_object_of_one_part_is_stored_by_one_request() {
    let scene = scene().await;
    scene.origin.has("small", b"from the origin", Manner::Plain);
    scene.origin.has("empty", b"", Manner::Plain);
    scene.origin.has("chunked", &bytes(300_000), Manner::Unannounced);
    for (key, object) in [("small", b"from the origin".to_vec()), ("empty", Vec::new())] {
        let got = scene.get(key).await;
        assert_eq!((got.status.as_u16(), &got.body[..]), (200, &object[..]));
        scene
            .line(&format!("({} bytes), client got 200, stored in the bucket", object.len()))
            .await;
        let stored = scene.stored(key).await.unwrap();
        assert_eq!(&stored.body[..], &object[..]);
        assert_eq!(stored.headers["content-type"], "text/x-test");
    }
    let got = scene.get("chunked").await;
    assert!(got.body == bytes(300_000) && !got.headers.contains_key("content-length"));
    scene.line("(300000 bytes), client got 200, stored in the bucket").await;
    assert!(scene.stored("chunked").await.unwrap().body == bytes(300_000));
    assert_eq!(scene.writes(), ["PUT  unless there 200"; 3]);
    let access = scene.records.accesses().remove(0);
    assert_eq!((access.status, access.touch, access.complete), (Some(200), Touch::Answered, true));
    assert_eq!(access.bytes, 15);
}

#[tokio::test]
async fn a_hit_says_that_it_was_mirrored_and_no_filter_sees_it() {
    let scene = scene().await;
    scene.origin.has("k", b"from the origin", Manner::Plain);
    let first = scene.get("k").await;
    scene.line("stored in the bucket").await;
    let again = scene.get("k").await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.headers["x-oss-tag"], first.headers["x-oss-tag"]);
    eventually("both records", async || scene.records.accesses().len() == 2).await;
    let hit = scene.records.accesses().remove(1);
    assert_eq!((hit.context, hit.touch), (0, Touch::Passed));
}

#[tokio::test]
async fn a_range_is_streamed_and_the_whole_object_stored() {
    let scene = scene().await;
    let object = bytes(2 * PART + 1);
    scene.origin.has("k", &object, Manner::Plain);
    let request = Request::get("/examplebucket/k").header("range", "bytes=7-106");
    let got = send(&scene.gateway, request, b"").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (206, &object[7..107]));
    assert_eq!(got.headers["content-range"], "bytes 7-106/10485761");
    scene.line("stored in the bucket").await;
    let stored = scene.stored("k").await.unwrap();
    assert!(stored.body == object, "{} bytes, not the object", stored.body.len());
    assert!(!scene.has_open_uploads());
}

#[tokio::test]
async fn many_objects_at_once_are_all_right() {
    let scene = scene().await;
    let object = |number: usize| bytes(number * 40_000 + number);
    for number in 0..50 {
        scene.origin.has(&format!("k{number}"), &object(number), Manner::Plain);
    }
    let keys: Vec<_> = (0..50).map(|number| format!("k{number}")).collect();
    for (number, got) in join_all(keys.iter().map(|key| scene.get(key))).await.iter().enumerate() {
        assert_eq!(got.status, 200);
        assert!(got.body == object(number), "k{number} is wrong");
    }
    for (number, key) in keys.iter().enumerate() {
        eventually(key, async || {
            scene.stored(key).await.is_some_and(|stored| stored.body == object(number))
        })
        .await;
    }
    assert_eq!(scene.writes().len(), 50);
}

#[tokio::test]
async fn of_all_workers_one_stores_an_object() {
    let scene = scene_with(|settings, _| settings.workers = 4).await;
    let (object, gate) = (bytes(100_000), Arc::new(Semaphore::new(0)));
    scene.origin.has("k", &object, Manner::Halting(Arc::clone(&gate)));
    // One after the other: whichever worker is the quickest takes the next.
    let mut responses = Vec::new();
    for _ in 0..32 {
        responses.push(scene.begin("k").await);
    }
    gate.add_permits(32);
    for response in responses {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body == object);
    }
    scene.line("stored in the bucket").await;
    scene.gateway.stop().await;
    let workers: std::collections::BTreeSet<_> =
        scene.records.accesses().iter().map(|access| access.worker).collect();
    assert!(workers.len() > 1, "one worker served all");
    assert_eq!(scene.writes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_origin_goes_no_faster_than_the_client() {
    let scene = scene().await;
    let object = bytes(64 << 20);
    scene.origin.has("k", &object, Manner::Plain);
    let response = scene.begin("k").await;
    let (mut last, mut still) = (0, 0);
    eventually("a stop of the origin", async || {
        let sent = scene.origin.sent();
        still = if sent == last && sent > 0 { still + 1 } else { 0 };
        last = sent;
        still > 60
    })
    .await;
    // What there is lies in the buffers of four sockets.
    assert!(last < object.len() as u64 / 2, "{last} bytes are on their way to a client that waits");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body == object);
}

#[tokio::test]
async fn two_misses_of_one_object_are_both_streamed_and_store_it_once() {
    let scene = scene().await;
    let (object, gate) = (bytes(PART + 1), Arc::new(Semaphore::new(0)));
    scene.origin.has("k", &object, Manner::Halting(Arc::clone(&gate)));
    let (first, second) = (scene.begin("k").await, scene.begin("k").await);
    gate.add_permits(2);
    for response in [first, second] {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body == object);
    }
    scene.line("stored in the bucket").await;
    assert_eq!(scene.origin.asked().len(), 2);
    let made = scene.writes().iter().filter(|write| write.contains("unless there")).count();
    assert_eq!(made, 1, "{:?}", scene.writes());
    assert!(scene.stored("k").await.unwrap().body == object);
}
