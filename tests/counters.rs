//! Every counter moves, on every host and path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use back_to_origin::metric::Metric;

use crate::support::client::get;
use crate::support::gateway::{Gateway, HOSTS, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::{DEADLINE, until, within};

#[test]
fn every_counter_moves_on_every_host_and_path() {
    std::thread::scope(|scope| {
        for (host, path) in HOSTS {
            scope.spawn(move || {
                let store = Store::memory("s3.localhost");
                let busy = error(503, "SlowDown", "PUT");
                store.script.first("PUT", "/examplebucket/again", &[busy]);
                let goes_on = Arc::new(AtomicBool::new(false));
                let may_go_on = Arc::clone(&goes_on);
                let origin = Server::start(move |request| match request.path() {
                    b"/wanted" => {
                        let has_word = || may_go_on.load(Ordering::SeqCst).then_some(());
                        until("the word to go on", has_word);
                        Reply::new(200, &[], "for both")
                    }
                    b"/none" => Reply::new(404, &[], "none"),
                    b"/bad" => Reply::new(500, &[], "sorry"),
                    b"/over/a" => Reply::new(200, &[], "123456"),
                    b"/odd" => {
                        let head = b"HTTP/1.1 200 OK\r\ncontent-language: \xff\r\n";
                        Reply::raw([&head[..], b"content-length: 1\r\n\r\nx"].concat()).keep()
                    }
                    // Nobody can tell its end from a break.
                    b"/open" => Reply::raw("HTTP/1.1 200 OK\r\n\r\nopen"),
                    _ => Reply::new(200, &[], "x"),
                });
                let when = |prefix: &str| {
                    json!({ "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 })
                };
                let url = format!("{}/", origin.url());
                let rules = json!([
                    { "RuleNumber": 1, "Condition": when("go/"),
                      "Redirect": { "RedirectType": "External", "HostName": "h.example" } },
                    { "RuleNumber": 2, "Condition": when("over/"), "Redirect": {
                        "RedirectType": "Mirror", "MirrorURL": url, "MirrorMaxSize": 3 } },
                    { "RuleNumber": 3, "Condition": when(""),
                      "Redirect": { "RedirectType": "Mirror", "MirrorURL": url } },
                ]);
                let mut setup = Setup::new(rules, store.address(), &[origin.address]);
                setup.path = path;
                let gateway = Gateway::start(host, &setup);
                for (key, status) in [
                    ("plain", 200),
                    ("none", 404),
                    ("bad", 424),
                    ("over/a", 302),
                    ("odd", 200),
                    ("open", 200),
                    ("again", 200),
                    ("go/a", 301),
                ] {
                    let answer = get(gateway.address, format!("/examplebucket/{key}"));
                    assert_eq!(answer.status, status, "{host:?} {path:?} {key}: {answer:?}");
                }
                std::thread::scope(|scope| {
                    let wants = || get(gateway.address, "/examplebucket/wanted").status;
                    let both = [scope.spawn(wants), scope.spawn(wants)];
                    until("the fetch", || {
                        let asked = origin.requests();
                        asked.iter().any(|request| request.path() == b"/wanted").then_some(())
                    });
                    // The gateway has answered another since, so it has seen the second one.
                    assert_eq!(get(gateway.address, "/examplebucket/last").status, 200);
                    goes_on.store(true, Ordering::SeqCst);
                    for client in both {
                        assert_eq!(client.join().expect("a client"), 200, "{host:?} {path:?}");
                    }
                });
                let still = || {
                    let counters = gateway.counters();
                    let moved = |metric: &Metric| {
                        let own = metric.name().trim_start_matches("back_to_origin.");
                        counters.get(own).is_some_and(|count| *count > 0)
                    };
                    // By callouts they share one fetch, and nobody asks the bucket again.
                    let moves = |metric: &&Metric| {
                        path == Path::Streaming || **metric != Metric::Coalesced
                    };
                    let still = Metric::ALL.iter().filter(moves).filter(|metric| !moved(metric));
                    still.map(|metric| metric.name()).collect::<Vec<_>>()
                };
                within(DEADLINE, || still().is_empty().then_some(()));
                assert_eq!(still(), [""; 0], "{host:?} {path:?}: {:?}", gateway.counters());
            });
        }
    });
}
