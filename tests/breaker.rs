//! Origins that keep failing are left alone, and a request that goes round ends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::load;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::until;

#[test]
fn an_origin_that_keeps_failing_is_left_alone_until_it_is_well_by_streaming() {
    for host in [Host::Harness, Host::Envoy] {
        is_left_alone(host, "streaming");
    }
}

#[test]
fn an_origin_that_keeps_failing_is_left_alone_until_it_is_well_by_callouts() {
    for host in [Host::Harness, Host::Envoy] {
        is_left_alone(host, "callout");
    }
}

fn is_left_alone(host: Host, path: &str) {
    let store = Store::memory("s3.localhost");
    let (is_down, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::default()));
    let (down, counted) = (Arc::clone(&is_down), Arc::clone(&asked));
    let origin = Server::start(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        match request.path() {
            b"/none" => Reply::new(404, &[], "none"),
            b"/denied" => Reply::new(403, &[], "denied"),
            _ if down.load(Ordering::SeqCst) => Reply::new(503, &[], "down"),
            _ => Reply::new(200, &[], "well"),
        }
    });
    let breaker = "breaker: { failures: 3, open_for: 1s }\nworkers: 1\n";
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let url = format!("http://{}/", origin.address);
    let loaded = deployment(breaker, path, "examplebucket", &store, &url, folder.path());
    let gateway = Deployed::start(host, &loaded, None);
    let ask = |key: &str| get(gateway.address, format!("/examplebucket/{key}"));
    let what = format!("{host:?} {path}");
    // What clients can bring about does not count, and an answer ends a row.
    for key in ["a", "b", "none", "c", "d", "denied"] {
        let expected = if key == "none" { 404 } else { 424 };
        assert_eq!(ask(key).status, expected, "{what}: {key}");
    }
    for key in ["e", "f", "g"] {
        let answer = ask(key);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains("the origin answered 503"), "{what}: {key}: {text}");
    }
    let before = asked.load(Ordering::SeqCst);
    let answer = ask("h");
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 424, "{what}");
    assert!(text.contains("is not asked for a while"), "{what}: {text}");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"), "{what}");
    assert_eq!(asked.load(Ordering::SeqCst), before, "{what}: it is not asked");
    is_down.store(false, Ordering::SeqCst);
    until("the origin's recovery", || (ask("i").status == 200).then_some(()));
    assert_eq!(ask("j").status, 200, "{what}");
    assert_eq!(gateway.vm_failures(), [""; 0]);
}

#[test]
fn a_request_that_goes_round_two_gateways_ends() {
    for host in [Host::Harness, Host::Envoy] {
        for path in ["streaming", "callout"] {
            goes_round(host, path);
        }
    }
}

fn goes_round(host: Host, path: &str) {
    let store = Store::memory("s3.localhost");
    let second: Arc<OnceLock<SocketAddr>> = Arc::default();
    let to = Arc::clone(&second);
    // Stands before the second gateway, whose address the first one cannot know yet.
    let between = Server::start(move |asked| {
        let target = [b"/otherbucket", asked.path()].concat();
        let marker = asked.header("cdn-loop").unwrap_or_default();
        let forwarded = request("GET", target).with("cdn-loop", marker);
        let answer = forwarded.send(*to.get().expect("it runs")).expect("an answer");
        Reply::new(answer.status, &[], answer.body)
    });
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let url = format!("http://{}/", between.address);
    let first = deployment("", path, "examplebucket", &store, &url, folder.path());
    let first = Deployed::start(host, &first, None);
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let url = format!("http://{}/examplebucket/", first.address);
    let other = deployment("", path, "otherbucket", &store, &url, folder.path());
    let other = Deployed::start(host, &other, None);
    second.set(other.address).expect("once");
    let answer = get(first.address, "/examplebucket/k");
    assert_eq!(answer.status, 424, "{host:?} {path}: {answer:?}");
    assert_eq!(between.requests().len(), 1, "{host:?} {path}");
    until("the line", || first.log().contains("has been here before").then_some(()));
}

fn deployment(
    more: &str,
    path: &str,
    bucket: &str,
    store: &Store,
    url: &str,
    folder: &std::path::Path,
) -> b2o::deployment::Loaded {
    let rules = serde_json::json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": url },
    }]);
    std::fs::write(folder.join("rules.json"), rules.to_string()).expect("a folder of our own");
    let store = store.address();
    let text = format!(
        "path: {path}\n{more}buckets: [{{ name: {bucket}, endpoint: \"http://{store}\", rules: rules.json }}]"
    );
    load(&text, folder)
}
