//! What probes are told of a gateway, of its stores and of its origins.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::{Generated, load};
use crate::support::rules::on_miss;
use crate::support::server::ClosedPort;
use crate::support::store::Files;
use crate::support::wait::until;

/// Two buckets, all of both mirrored from one origin.
fn two_buckets(
    first: SocketAddr,
    second: SocketAddr,
    origin: SocketAddr,
    gateway: Host,
) -> Deployed {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let url = format!("http://{origin}/");
    let rules = json!([on_miss(1, "", json!({ "RedirectType": "Mirror", "MirrorURL": url }))]);
    std::fs::write(folder.path().join("rules.json"), rules.to_string()).expect("our own folder");
    let bucket = |name: &str, store: SocketAddr| {
        format!("  - {{ name: {name}, endpoint: \"http://{store}\", rules: rules.json }}\n")
    };
    let text = format!(
        "health: 127.0.0.1:0\nbuckets:\n{}{}",
        bucket("first", first),
        bucket("second", second)
    );
    Deployed::start(gateway, &load(&text, folder.path()), None)
}

fn ready(gateway: &Deployed) -> (u16, Value) {
    let answer = get(gateway.health().expect("it has a listener for probes"), "/ready");
    (answer.status, serde_json::from_slice(&answer.body).expect("a document"))
}

/// What the page says of a server of a bucket's.
fn state(page: &Value, bucket: usize, part: &str) -> String {
    page["buckets"][bucket][part][0]["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn one_store_of_two_and_a_dead_origin_are_no_reason_to_be_not_ready() {
    let (store, down) = (Files::start(&["first"], None), ClosedPort::reserve());
    let origin = ClosedPort::reserve();
    let gateway = two_buckets(store.address(), down.address, origin.address, Host::Harness);
    let (status, page) = ready(&gateway);
    assert_eq!((status, &page["ready"]), (200, &json!(true)), "{page:#}");
    assert_eq!(page["buckets"][0]["name"], "first", "{page:#}");
    assert_eq!(page["buckets"][0]["store"][0]["server"], format!("http://{}", store.address()));
    let said = ["store", "origins"].map(|part| [0, 1].map(|bucket| state(&page, bucket, part)));
    // Nobody has asked the origin yet, and a probe does not.
    assert_eq!(said, [["reachable", "unreachable"], ["unknown", "unknown"]], "{page:#}");
    assert_eq!(get(gateway.address, "/first/missing").status, 424);
    let (status, page) = ready(&gateway);
    assert_eq!((status, &*state(&page, 0, "origins")), (200, "unreachable"), "{page:#}");
    // Metrics are there too, and nothing else.
    let health = gateway.health().expect("it has a listener for probes");
    assert_eq!(
        ["/live", "/config", "/metrics"].map(|page| get(health, page).status),
        [200, 404, 200]
    );
}

#[test]
fn a_gateway_that_reaches_no_store_is_not_ready_until_it_reaches_one_again() {
    let (first, second) = (ClosedPort::reserve(), ClosedPort::reserve());
    let gateway = two_buckets(first.address, second.address, first.address, Host::Harness);
    let (status, page) = ready(&gateway);
    assert_eq!((status, &page["ready"]), (503, &json!(false)), "{page:#}");
    // It lives all the same: nothing would be better for a new start.
    assert_eq!(get(gateway.health().expect("it has one"), "/live").status, 200);
    // No client asks by now; the probe itself finds out.
    second.listen();
    until("a gateway that is ready again", || (ready(&gateway).0 == 200).then_some(()));
}

#[test]
fn envoy_tells_probes_that_it_is_to_end() {
    let (store, folder) = (Files::start(&["examplebucket"], None), tempfile::tempdir());
    let folder = folder.expect("a folder for the rules");
    std::fs::write(folder.path().join("rules.json"), "[]").expect("our own folder");
    let text = format!(
        "health: 127.0.0.1:0\nbuckets: [{{ name: examplebucket, endpoint: \
         \"http://{}\", rules: rules.json }}]",
        store.address()
    );
    let running = Generated::start(&load(&text, folder.path()));
    let health = running.envoy.listener("health");
    let told = || ["/ready", "/live", "/examplebucket/k"].map(|page| get(health, page).status);
    assert_eq!(told(), [200, 200, 404]);
    let fails = request("POST", "/healthcheck/fail").send(running.envoy.admin_address());
    assert_eq!(fails.expect("Envoy's admin interface").status, 200);
    assert_eq!(told(), [503, 200, 404]);
    // What is under way, and who comes all the same, is served.
    assert_eq!(get(running.envoy.address(), "/examplebucket/k").status, 404);
}
