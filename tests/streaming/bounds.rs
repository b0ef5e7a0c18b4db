//! How long a rule lets its origin take, where it says so.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::promises::everywhere;
use crate::support::client::get;
use crate::support::gateway::{Gateway, Host, Path, Setup};
use crate::support::server::{Busy, Reply, Server};
use crate::support::store::Store;

/// A gateway whose deployment gives origins a minute, and whose only rule less.
fn gateway(host: Host, store: &Store, origin: SocketAddr, more: &serde_json::Value) -> Gateway {
    let mut rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("http://{origin}/") },
    }]);
    let redirect = rules[0]["Redirect"].as_object_mut().expect("an object");
    redirect.extend(more.as_object().expect("an object").clone());
    let mut setup = Setup::new(rules, store.address(), &[origin]);
    setup.path = Path::Streaming;
    setup.timeouts = Some(json!({ "origin_ms": 60_000, "store_ms": 5_000 }));
    Gateway::start(host, &setup)
}

#[test]
fn a_connection_takes_no_longer_than_its_rule_says() {
    let (store, busy) = (Store::files(&["examplebucket"]), Busy::start());
    let more = json!({ "MirrorConnectTimeout": 400 });
    // Clusters of the harness are written out in these tests, so only Envoy's come of a deployment.
    let gateway = gateway(Host::Envoy, &store, busy.address, &more);
    let start = Instant::now();
    let answer = get(gateway.address, "/examplebucket/k");
    let taken = start.elapsed();
    assert_eq!(answer.status, 424, "{answer:?}");
    let body = String::from_utf8_lossy(&answer.body);
    assert!(body.contains("cannot be reached"), "{body}");
    // Without it five seconds.
    assert!(taken < Duration::from_secs(4), "{taken:?}");
}

#[test]
fn an_object_stands_still_no_longer_than_its_rule_says() {
    everywhere(|host| {
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|_| {
            Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ").stall()
        });
        let more = json!({ "MirrorTimeout": 1_000, "MirrorIdleTimeout": 500 });
        let gateway = gateway(host, &store, origin.address, &more);
        // Without it a minute and more, and no test waits so long.
        let answer = get(gateway.address, "/examplebucket/k");
        assert_eq!((answer.status, answer.whole), (200, false), "{host:?}: {answer:?}");
        assert_eq!(answer.body, b"half ", "{host:?}");
        assert!(store.object("/examplebucket/k").is_none(), "{host:?}");
    });
}
