//! What origins were found to lack: asked for again, it costs them nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::support::client::{connect, get, request};
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::Files;
use crate::support::wait::{DEADLINE, until, within};

/// The keys of a crawl. The harness, unoptimized, takes its time.
const fn keys(host: Host) -> usize {
    match host {
        Host::Envoy => 10_000,
        Host::Harness => 1_000,
    }
}

const CLIENTS: usize = 8;

/// Clients that miss one key at once.
const AT_ONCE: usize = 40;

/// A gateway before an origin that lacks everything, and how often it was asked for what.
struct Bench {
    gateway: Gateway,
    store: Files,
    asked: Arc<Mutex<BTreeMap<Vec<u8>, usize>>>,
    /// Clients that have sent their request.
    sent: Arc<AtomicUsize>,
    _origin: Server,
}

impl Bench {
    fn start((host, path): (Host, Path), more: Value) -> Self {
        let asked: Arc<Mutex<BTreeMap<Vec<u8>, usize>>> = Arc::default();
        let sent: Arc<AtomicUsize> = Arc::default();
        let (counted, waits) = (Arc::clone(&asked), Arc::clone(&sent));
        let origin = Server::start(move |request| {
            let mut asked = counted.lock().unwrap_or_else(PoisonError::into_inner);
            *asked.entry(request.target.clone()).or_default() += 1;
            drop(asked);
            if request.path() == b"/slow" {
                // Until all have asked, so that others wait for the first.
                within(DEADLINE, || (waits.load(Ordering::SeqCst) >= AT_ONCE).then_some(()));
            }
            Reply::new(404, &[], "none").keep()
        });
        let store = Files::start(&["examplebucket"], None);
        let mut redirect =
            json!({ "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) });
        for (name, value) in more.as_object().into_iter().flatten() {
            redirect[name] = value.clone();
        }
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": redirect,
        }]);
        let setup = Setup { path, ..Setup::new(rules, store.address(), &[origin.address]) };
        Self { gateway: Gateway::start(host, &setup), store, asked, sent, _origin: origin }
    }

    fn asked(&self, key: &str) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(format!("/{key}").as_bytes()).copied().unwrap_or_default()
    }

    fn asked_in_all(&self) -> usize {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn status(&self, method: &str, key: &str) -> u16 {
        let request = request(method, format!("/examplebucket/{key}"));
        let request = if method == "PUT" { request.with_body("new") } else { request };
        request.send(self.gateway.address).expect("an answer").status
    }
}

/// Asks for so many keys; each is to be missing.
fn crawl(to: SocketAddr, keys: usize) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut wire = connect(to).expect("the gateway accepts");
                for key in (client..keys).step_by(CLIENTS) {
                    let request = request("GET", format!("/examplebucket/crawl/{key}"));
                    let bytes = request.addressed(to).to_bytes();
                    wire.write(&bytes).expect("the gateway reads");
                    let answer = wire.read_response("GET").expect("the gateway answers");
                    let text = String::from_utf8_lossy(&answer.body);
                    let is_right = answer.status == 404 && text.contains("<Code>NoSuchKey</Code>");
                    assert!(is_right, "{key}: {answer:?}");
                }
            });
        }
    });
}

#[test]
fn a_second_crawl_of_missing_keys_asks_no_origin() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        // For as long as the two of them take.
        let bench = Bench::start((host, path), json!({ "MirrorNegativeCache": 600_000 }));
        let keys = keys(host);
        crawl(bench.gateway.address, keys);
        let first = bench.asked_in_all();
        assert!((keys..=keys + 1).contains(&first), "{at}: {first}");
        crawl(bench.gateway.address, keys);
        let second = bench.asked_in_all() - first;
        assert_eq!(second, 0, "{at}");
        until(format!("{at}: a line"), || {
            let lines = bench.gateway.lines();
            let told = |line: &String| {
                line.starts_with("GET examplebucket/crawl/7: bucket 404, rule 1 Mirror, origin ")
                    && line.ends_with(
                        " answered 404 lately and was not asked (negative cache), client got 404 NoSuchKey",
                    )
            };
            lines.iter().any(told).then_some(())
        });
        assert_eq!(bench.gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn a_write_forgets_that_the_origins_lack_an_object() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let bench = Bench::start((host, path), json!({}));
        assert_eq!(bench.status("GET", "k"), 404, "{at}");
        // The first answer may be on its way to the others still.
        until(format!("{at}: it is known"), || {
            let before = bench.asked("k");
            assert_eq!(bench.status("GET", "k"), 404, "{at}");
            (bench.asked("k") == before).then_some(())
        });
        assert_eq!(bench.status("PUT", "k"), 200, "{at}");
        let hit = get(bench.gateway.address, "/examplebucket/k");
        assert_eq!((hit.status, hit.body.as_slice()), (200, &b"new"[..]), "{at}");
        // Gone from the bucket by another way than the gateway.
        let gone = request("DELETE", "/examplebucket/k").send(bench.store.address());
        assert_eq!(gone.expect("the store answers").status, 204, "{at}");
        let before = bench.asked("k");
        assert_eq!(bench.status("GET", "k"), 404, "{at}");
        assert_eq!(bench.asked("k"), before + 1, "{at}: its origin is asked once more");
    }
}

#[test]
fn clients_that_miss_it_at_once_all_get_the_404() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let bench = Bench::start((host, path), json!({}));
        let address = bench.gateway.address;
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    let mut wire = connect(address).expect("the gateway accepts");
                    let request = request("GET", "/examplebucket/slow").addressed(address);
                    wire.write(&request.to_bytes()).expect("the gateway reads");
                    bench.sent.fetch_add(1, Ordering::SeqCst);
                    let answer = wire.read_response("GET").expect("the gateway answers");
                    let text = String::from_utf8_lossy(&answer.body);
                    let is_right = answer.status == 404 && text.contains("<Code>NoSuchKey</Code>");
                    assert!(is_right, "{at}: {answer:?}");
                });
            }
        });
        // Those who wait for one that finds nothing know that too; by callouts in each worker.
        let most = if path == Path::Callout { 2 } else { 1 };
        let asked = bench.asked("slow");
        assert!((1..=most).contains(&asked), "{at}: {asked} requests");
        assert_eq!(bench.gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn what_is_switched_off_asks_each_time() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let bench = Bench::start((host, path), json!({ "MirrorNegativeCache": 0 }));
        for count in 1..=3 {
            assert_eq!(bench.status("GET", "k"), 404, "{at}");
            assert_eq!(bench.asked("k"), count, "{at}");
        }
    }
}
