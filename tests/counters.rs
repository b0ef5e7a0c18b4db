//! Everything that is measured has a sample with labels, on every host and path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use back_to_origin::metric::{Kind, Metric, Outcome};

use crate::support::client::get;
use crate::support::gateway::{Gateway, HOSTS, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::{DEADLINE, until, within};

#[test]
fn every_metric_has_a_sample_with_labels_on_every_host_and_path() {
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
                let missing = || missing(&gateway);
                within(DEADLINE, || missing().is_empty().then_some(()));
                assert_eq!(missing(), [""; 0], "{host:?} {path:?}: {}", gateway.metrics());
                // What is over is not under way.
                let under_way = || {
                    let samples = gateway.samples().into_iter();
                    let gauges = samples.filter(|(name, _, value)| {
                        let of = |metric: &Metric| metric.name() == name;
                        Metric::ALL.iter().any(|metric| of(metric) && metric.kind() == Kind::Gauge)
                            && *value > 0
                    });
                    gauges.map(|(name, labels, value)| format!("{name} {labels:?} {value}"))
                        .collect::<Vec<_>>()
                };
                within(DEADLINE, || under_way().is_empty().then_some(()));
                assert_eq!(under_way(), [""; 0], "{host:?} {path:?}");
                let samples = gateway.samples();
                let sum = |metric: Metric| -> u64 {
                    let own = samples.iter().filter(|(name, ..)| name == metric.name());
                    own.map(|(_, _, value)| *value).sum()
                };
                // `plain`, `odd`, `again` and `last` have a byte each, `wanted` eight.
                assert_eq!(sum(Metric::StoredBytes), 12, "{host:?} {path:?}");
                assert!(sum(Metric::FetchedBytes) >= 3, "{host:?} {path:?}");
                assert_eq!(gateway.vm_failures(), [""; 0], "{host:?} {path:?}");
                let log = gateway.log();
                assert!(!log.contains("could not measure"), "{host:?} {path:?}: {log}");
            });
        }
    });
}

/// What has no sample yet.
fn missing(gateway: &Gateway) -> Vec<String> {
    let samples = gateway.samples();
    let mut missing = Vec::new();
    for metric in Metric::ALL {
        // Neither has anything to do here; `observability` has both.
        let is_elsewhere = matches!(metric, Metric::OpenUploads | Metric::WaitingBackfills);
        let of = |name: &str| match metric.kind() {
            Kind::Counter | Kind::Gauge | Kind::Moment => name == metric.name(),
            Kind::Histogram => name.strip_suffix("_count") == Some(metric.name()),
        };
        let own: Vec<_> = samples.iter().filter(|(name, ..)| of(name)).collect();
        let has_labels = own.iter().any(|(_, labels, _)| {
            metric.labels().iter().all(|label| *label == "reason" || labels.contains_key(*label))
        });
        if !has_labels && !is_elsewhere {
            missing.push(metric.name().to_owned());
        }
    }
    for outcome in Outcome::ALL {
        let has = samples.iter().any(|(name, labels, value)| {
            name == Metric::Requests.name()
                && labels.get("outcome").is_some_and(|word| word == outcome.label())
                && *value > 0
        });
        // `concurrency` and `tombstones` have these.
        let is_elsewhere = matches!(outcome, Outcome::Coalesced | Outcome::Deleted);
        if !has && !is_elsewhere {
            missing.push(outcome.label().to_owned());
        }
    }
    for reason in ["status", "undelimited"] {
        if !samples
            .iter()
            .any(|(_, labels, _)| labels.get("reason").is_some_and(|own| own == reason))
        {
            missing.push(reason.to_owned());
        }
    }
    missing
}
