//! Misses that come back: by an origin's answer, by a failure, to the bucket.

use std::time::Duration;

use http::Request;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::support::{Raw, endpoint, eventually, nowhere, send};
use super::scene::{Manner, Scene, by_module, head, module_scene, tell, to_origin};
use crate::gateway::{Cluster, Endpoint};
use crate::host::Touch;
use crate::host::tests::support::on_with;

/// What a module does with a miss, by the first letter of what is said of it.
fn by_letter(letter: char, then: &str, otherwise: &str) -> String {
    let said = tell(0, "x-envoy-miss");
    format!(
        "{said} (if (i32.eq (i32.load8_u (i32.load (i32.const 8))) (i32.const {})) (then {then}) (else {otherwise}))",
        u32::from(letter)
    )
}

/// Says "left" where the request ends since its client has left.
fn telling_who_left() -> String {
    let flags = r#"(drop (call $get_property @"response\00flags" (i32.const 8) (i32.const 12)))
        (if (i64.ne (i64.load (i32.load (i32.const 8))) (i64.const 0)) (then
          (drop (call $log (i32.const 2) @"left"))))"#;
    on_with("done", 1, flags, 1)
}

/// Says where each answer comes from.
fn telling_details() -> String {
    let details = r#"(drop (call $get_property @"response\00code_details" (i32.const 8) (i32.const 12))) (call $tell)"#;
    on_with("response_headers", 3, details, 0)
}

#[tokio::test]
async fn an_answer_that_is_named_comes_back_to_another_context() {
    let first = to_origin(&[
        (":path", "/moved"),
        ("x-envoy-miss-attempt", "7"),
        ("x-envoy-miss-returns", "301 302"),
        ("x-own", "1"),
    ]);
    let names = ["x-envoy-miss-attempt", "x-envoy-miss-location", "x-own", ":authority", ":path"];
    let told: String = names.iter().map(|name| tell(0, name)).collect();
    let second = told + &to_origin(&[]);
    let callbacks = on_with("request_headers", 3, &by_letter('b', &first, &second), 0)
        + &telling_who_left()
        + &telling_details();
    let scene = module_scene(&callbacks).await;
    scene.origin.has("moved", b"", Manner::Moved("http://elsewhere.example/k"));
    let got = scene.get("k").await;
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 1_000));
    let expected = [
        "bucket examplebucket 404",
        "origin 302",
        "7",
        "http://elsewhere.example/k",
        "1",
        "back-to-origin.invalid",
        "/",
        "via_upstream",
    ];
    assert_eq!(scene.records.lines(), expected);
    assert_eq!(scene.origin.asked().len(), 2);
    eventually("one record", async || scene.records.accesses().len() == 1).await;
}

#[tokio::test]
async fn an_answer_that_is_not_named_is_the_last() {
    let returns = [("x-envoy-miss-attempt", "7"), ("x-envoy-miss-returns", "5xx 4xx !404")];
    let to = |path| to_origin(&[&[(":path", path)], &returns[..]].concat());
    let callbacks = on_with("request_headers", 3, &by_letter('b', &to("/absent"), ""), 0);
    let scene = module_scene(&callbacks).await;
    assert_eq!(scene.get("k").await.status, 404);
    assert_eq!(scene.records.lines(), ["bucket examplebucket 404"]);
}

#[tokio::test]
async fn nobody_goes_round_for_ever() {
    let round = to_origin(&[
        (":path", "/absent"),
        ("x-envoy-miss-attempt", "7"),
        ("x-envoy-miss-returns", "404"),
    ]);
    let scene = module_scene(
        &(on_with("request_headers", 3, &round, 0)
            + &on_with("response_headers", 3, &tell(2, "x-envoy-miss"), 0)),
    )
    .await;
    assert_eq!(scene.get("k").await.status, 404);
    assert_eq!(scene.origin.asked().len(), 64);
    // The filter sees that it is not to be had any further.
    assert_eq!(scene.records.lines(), ["origin 404"]);
}

/// A module that sends misses to this server, and tells what comes of it.
async fn trying(to: &[(&str, &str)], clusters: Vec<Cluster>) -> (u16, Vec<String>) {
    let reply =
        r#"(drop (call $send_local_response (i32.const 424) @"own" @"" @"" (i32.const -1)))"#;
    let callbacks = on_with("request_headers", 3, &by_letter('b', &to_origin(to), reply), 0)
        + &telling_details();
    let scene = by_module(&callbacks, |settings, _| settings.clusters.extend(clusters)).await;
    let got = scene.get("k").await;
    let mut lines = scene.records.lines();
    assert_eq!(lines.remove(0), "bucket examplebucket 404");
    (got.status.as_u16(), lines)
}

#[tokio::test]
async fn failures_of_the_gateways_own_are_shown_to_the_filter() {
    let silent = Raw::start(b"").await;
    let garbage = Raw::start(b"no such thing\r\n\r\n").await;
    let reset = "upstream_reset_before_response_started";
    let late = ("x-envoy-upstream-rq-per-try-timeout-ms", "50");
    for (name, server, status, details) in [
        ("dead", Some(nowhere().await), 503, format!("{reset}{{connection_failure}}")),
        ("silent", Some(silent.endpoint), 504, "upstream_response_timeout".to_owned()),
        ("garbage", Some(garbage.endpoint), 502, format!("{reset}{{protocol_error}}")),
        ("unknown", None, 503, "cluster_not_found".to_owned()),
    ] {
        let clusters: Vec<_> = server.iter().map(|s| Cluster::new(name, s.clone())).collect();
        let direct = [("x-envoy-miss-cluster", name), late];
        let got = trying(&direct, clusters.clone()).await;
        assert_eq!(got, (status, vec![details.clone()]), "{name}");
        // The same where they are asked to come back.
        let late = ("x-envoy-miss-timeout", "50");
        let by = [("x-envoy-miss-cluster", "attempts"), ("x-envoy-miss-server", name), late];
        let said = format!("gateway {status} {details}");
        assert_eq!(trying(&by, clusters).await, (424, vec![said, "own".to_owned()]), "{name}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_told_of_and_a_pass_that_is_over_is_not() {
    let silent = Raw::start(b"").await;
    let first = to_origin(&[
        (":path", "/absent"),
        ("x-envoy-miss-attempt", "7"),
        ("x-envoy-miss-returns", "404"),
    ]);
    let second = to_origin(&[("x-envoy-miss-cluster", "silent")]);
    let callbacks =
        on_with("request_headers", 3, &by_letter('b', &first, &second), 0) + &telling_who_left();
    let cluster = Cluster::new("silent", silent.endpoint.clone());
    let scene = by_module(&callbacks, |settings, _| settings.clusters.push(cluster)).await;
    let asked = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! {
            _ = scene.get("k") => panic!("an answer"),
            () = eventually("the request", async || !silent.received().is_empty()) => {}
        }
    });
    asked.await.unwrap();
    scene.line("left").await;
    assert_eq!(scene.records.lines(), ["bucket examplebucket 404", "origin 404", "left"]);
}

/// A module that sends every miss back to its bucket, whose store answers so.
async fn again(store: Endpoint, change: impl FnOnce(&mut serde_json::Value)) -> Scene {
    let back = head(&[
        (":path", "/examplebucket/k?x=1"),
        ("x-envoy-miss-cluster", "again-examplebucket"),
        ("x-envoy-miss-host", "h.example"),
        ("x-envoy-miss", "read"),
        ("x-forwarded-proto", "http"),
        ("authorization", "of the client"),
    ]);
    let callbacks = on_with("request_headers", 3, &(tell(0, "x-envoy-miss") + &back), 0);
    by_module(&callbacks, |settings, configuration| {
        settings.clusters[0] = Cluster::new("store", store);
        change(configuration);
    })
    .await
}

#[tokio::test]
async fn a_bucket_that_is_asked_again_has_the_last_word() {
    for (status, marker, said) in [
        (404, "false", "bucket examplebucket 404"),
        (404, "true", "bucket examplebucket 404 deleted"),
    ] {
        let store = MockServer::start().await;
        let answer = ResponseTemplate::new(status)
            .insert_header("x-amz-delete-marker", marker)
            .insert_header("x-envoy-miss", "origin 302")
            .set_body_string("the bucket's own words");
        Mock::given(any()).respond_with(answer).mount(&store).await;
        let scene = again(endpoint(&store), |_| {}).await;
        let got = scene.get("k").await;
        assert_eq!((got.status.as_u16(), &got.body[..]), (status, &b"the bucket's own words"[..]));
        assert!(!got.headers.contains_key("x-envoy-miss"));
        assert_eq!(scene.records.lines(), [said]);
        let asked = store.received_requests().await.unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[1].url.path(), "/examplebucket/k");
        assert_eq!(asked[1].headers["host"], "h.example");
        assert_eq!(asked[1].headers["authorization"], "of the client");
        assert!(!asked[1].headers.contains_key("x-forwarded-proto"));
        let access = scene.records.accesses().remove(0);
        assert_eq!((access.touch, access.details.as_str()), (Touch::Passed, "via_upstream"));
    }
}

#[tokio::test]
async fn what_the_rules_are_not_about_is_no_miss() {
    for status in [403, 500, 503] {
        let store = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&store).await;
        let scene = again(endpoint(&store), |_| {}).await;
        assert_eq!(scene.get("k").await.status, status);
        let access = scene.records.accesses().remove(0);
        assert_eq!((access.context, access.touch), (0, Touch::Passed));
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_a_miss_for_rules_about_that() {
    let about = |statuses: &'static str| {
        move |configuration: &mut serde_json::Value| {
            configuration["buckets"][0]["RoutingRules"] = json!([{
                "RuleNumber": 1,
                "Condition": { "HttpErrorCodeReturnedEquals": statuses },
                "Redirect": { "RedirectType": "External", "HostName": "h.example" },
            }]);
        }
    };
    for (statuses, lines) in
        [("404", &[][..]), ("404,5XX", &["bucket examplebucket gateway 503"][..])]
    {
        let scene = again(nowhere().await, about(statuses)).await;
        assert_eq!(scene.get("k").await.status, 503);
        assert_eq!(scene.records.lines(), lines);
    }
}

#[tokio::test]
async fn a_rule_about_hits_has_every_read_of_its_bucket_seen() {
    let store = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&store).await;
    let callbacks = on_with("request_headers", 3, &tell(0, ":path"), 0);
    let scene = by_module(&callbacks, |settings, configuration| {
        settings.clusters[0] = Cluster::new("store", endpoint(&store));
        let rules = configuration["buckets"][0]["RoutingRules"].as_array_mut().unwrap();
        rules.push(json!({
            "RuleNumber": 2,
            "Condition": {},
            "Redirect": { "RedirectType": "External", "HostName": "h.example" },
        }));
    })
    .await;
    for request in [
        Request::get("/examplebucket/get"),
        Request::head("/examplebucket/head"),
        Request::put("/examplebucket/put"),
    ] {
        assert_eq!(send(&scene.gateway, request, b"").await.status, 200);
    }
    // And every write: a copy must not replace what a client has written.
    let seen = ["/examplebucket/get", "/examplebucket/head", "/examplebucket/put"];
    assert_eq!(scene.records.lines(), seen);
}

#[tokio::test]
async fn nobody_comes_to_the_miss_route_by_himself() {
    let scene = module_scene(&on_with("request_headers", 3, &to_origin(&[]), 0)).await;
    for host in ["back-to-origin.invalid", "Back-To-Origin.invalid"] {
        let request = Request::get("/examplebucket/k")
            .header("host", host)
            .header("x-envoy-miss", "bucket examplebucket 404");
        assert_eq!(send(&scene.gateway, request, b"").await.status, 404);
    }
    assert_eq!(scene.origin.asked(), [""; 0]);
    assert!(scene.records.accesses().iter().all(|access| access.details == "route_not_found"));
}
