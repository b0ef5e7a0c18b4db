//! Objects that more than one place is asked for, by the filter itself.

use http::Request;
use serde_json::{Value, json};

use super::super::support::{nowhere, send};
use super::scene::{Manner, Scene, scene_with};
use crate::gateway::{Addressing, Cluster, Credentials, Endpoint, Reads, Secret};
use crate::host::Touch;

/// A scene whose rules mirror by these elements beside the usual ones; `dead` is a server that is
/// not there.
async fn scene(elements: impl FnOnce(&Endpoint, &Endpoint) -> Value) -> Scene {
    let dead = nowhere().await;
    scene_with(|settings, configuration| {
        let origin = settings.clusters.last().unwrap().endpoint.clone();
        settings.clusters.push(Cluster::new("dead", dead.clone()));
        configuration["origins"][dead.to_string()] = json!("dead");
        let redirect = &mut configuration["buckets"][0]["RoutingRules"][0]["Redirect"];
        for (name, value) in elements(&origin, &dead).as_object().unwrap() {
            redirect[name] = value.clone();
        }
    })
    .await
}

#[tokio::test]
async fn a_redirect_of_the_origins_is_followed() {
    let scene = scene(|_, _| json!({})).await;
    scene.origin.has("moved", b"", Manner::Moved("/k"));
    scene.origin.has("k", b"from the origin", Manner::Plain);
    let got = scene.get("moved").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    scene.line("stored in the bucket").await;
    assert_eq!(scene.stored("moved").await.unwrap().body, got.body);
    assert_eq!((scene.origin.asked().len(), scene.records.accesses().len()), (2, 1));
}

#[tokio::test]
async fn a_slave_takes_the_place_of_a_master_that_is_not_there() {
    let scene = scene(|origin, dead| {
        json!({ "MirrorURL": format!("{dead}/"), "MirrorURLSlave": format!("{origin}/") })
    })
    .await;
    scene.origin.has("k", b"from the slave", Manner::Plain);
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the slave"[..]));
    scene.line("stored in the bucket").await;
}

#[tokio::test]
async fn a_rule_behind_another_has_its_turn() {
    let scene = scene_with(|_, configuration| {
        let rules = configuration["buckets"][0]["RoutingRules"].as_array_mut().unwrap();
        let mut second = rules[0].clone();
        rules[0]["Redirect"]["MirrorFallThrough"] = json!(true);
        second["RuleNumber"] = json!(2);
        let url = second["Redirect"]["MirrorURL"].as_str().unwrap().to_owned();
        second["Redirect"]["MirrorURL"] = json!(format!("{url}second/"));
        rules.push(second);
    })
    .await;
    scene.origin.has("second/k", b"by the second rule", Manner::Plain);
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"by the second rule"[..]));
    assert_eq!(scene.get("absent").await.status, 404);
}

#[tokio::test]
async fn a_head_is_answered_by_the_origin_and_the_object_stored() {
    let scene = scene(|_, _| json!({ "MirrorAllowHeadObject": true })).await;
    scene.origin.has("k", b"from the origin", Manner::Plain);
    let got = send(&scene.gateway, Request::head("/examplebucket/k"), b"").await;
    assert_eq!(
        (got.status.as_u16(), &got.headers["content-length"]),
        (200, &"15".parse().unwrap())
    );
    scene.line("stored in the bucket").await;
}

#[tokio::test]
async fn a_store_that_is_not_there_has_a_stand_in() {
    let dead = nowhere().await;
    let scene = scene_with(|settings, configuration| {
        settings.clusters[0] = Cluster::new("store", dead);
        let rule = &mut configuration["buckets"][0]["RoutingRules"][0];
        rule["Condition"]["HttpErrorCodeReturnedEquals"] = json!("404,5XX");
        rule["Redirect"]["MirrorOnServerError"] = json!(true);
    })
    .await;
    scene.origin.has("k", b"from the origin", Manner::Plain);
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    assert_eq!(scene.origin.asked().len(), 1);
}

#[tokio::test]
async fn signed_reads_are_mirrored_and_asked_again() {
    let scene = scene_with(|settings, configuration| {
        configuration["domain"] = json!("s3.localhost");
        settings.clusters[0].signer = Some(Credentials {
            access_key_id: "AK".to_owned(),
            secret_access_key: Secret::new("SK".to_owned()),
            session_token: None,
            region: "r".to_owned(),
        });
        for route in settings.routes.buckets.values_mut() {
            route.reads = Reads::Signed(Addressing::Path);
        }
    })
    .await;
    scene.origin.has("k", b"from the origin", Manner::Plain);
    let by_host = |request: http::request::Builder| {
        request.header("host", "examplebucket.s3.localhost").header("authorization", "own")
    };
    let got = send(&scene.gateway, by_host(Request::get("/k")), b"").await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"from the origin"[..]));
    scene.line("stored in the bucket").await;
    assert!(!scene.origin.asked()[0].contains("authorization"));
    // No rule is about a HEAD: the bucket's own word, once more.
    let got = send(&scene.gateway, by_host(Request::head("/absent")), b"").await;
    assert_eq!(got.status, 404);
    assert_eq!(scene.origin.asked().len(), 1);
    assert_eq!(scene.records.accesses().pop().unwrap().touch, Touch::Passed);
}
