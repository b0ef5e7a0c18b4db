//! Many clients that miss one key at once, and clients that leave: one fetch, one object.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::client::{connect, get, request};
use crate::support::gateway::{Gateway, Host, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::{until, within};
use crate::support::wire::Request;

const CLIENTS: usize = 200;

#[test]
fn two_hundred_clients_of_the_harness_cause_one_fetch() {
    many_clients(Host::Harness, Path::Callout);
}

#[test]
fn two_hundred_clients_of_envoy_cause_one_fetch() {
    many_clients(Host::Envoy, Path::Callout);
}

#[test]
fn two_hundred_clients_of_the_harness_are_streamed_to_and_cause_one_object() {
    many_clients(Host::Harness, Path::Streaming);
}

#[test]
fn two_hundred_clients_of_envoy_are_streamed_to_and_cause_one_object() {
    many_clients(Host::Envoy, Path::Streaming);
}

fn many_clients(host: Host, path: Path) {
    let bench = Bench::start(host, path, |asked, request| match request.path() {
        // Until all have asked, so that all of them miss.
        b"/key" => {
            within(Duration::from_secs(20), || {
                (asked.load(Ordering::SeqCst) >= CLIENTS).then_some(())
            });
            Reply::new(200, &[("content-type", "text/plain")], "for all of them")
        }
        _ => Reply::new(200, &[], "another"),
    });
    let address = bench.gateway.address;
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let asked = &bench.asked;
                scope.spawn(move || {
                    let mut wire = connect(address).expect("the gateway accepts");
                    let request = request("GET", "/examplebucket/key").addressed(address);
                    wire.write(&request.to_bytes()).expect("the gateway reads");
                    asked.fetch_add(1, Ordering::SeqCst);
                    wire.read_response("GET")
                })
            })
            .collect();
        asking.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });

    let wrong: Vec<_> = answers
        .iter()
        .filter(|answer| {
            !answer.as_ref().is_ok_and(|answer| {
                answer.status == 200
                    && answer.whole
                    && answer.body == b"for all of them"
                    && answer.header("content-type").as_deref() == Some("text/plain")
                    && answer.header("x-oss-tag").is_some_and(|tag| tag.starts_with("MIRROR http"))
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{host:?}: {} wrong answers, first {:?}", wrong.len(), wrong[0]);
    until("the stored object", || bench.store.object("/examplebucket/key"));
    bench.settle();
    assert_eq!(bench.fetches("/key"), 1, "{host:?}: fetches");
    let puts: Vec<u16> = bench
        .store
        .answered()
        .into_iter()
        .filter(|(request, _)| request.method == "PUT" && request.path() == b"/examplebucket/key")
        .map(|(_, status)| status)
        .collect();
    assert_eq!(puts, [200], "{host:?}: PUTs");
    assert_eq!(bench.gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
}

#[test]
fn who_is_waited_for_gets_its_own_answer_where_the_origin_has_none() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start(host, Path::Streaming, |asked, _| {
            within(Duration::from_secs(20), || {
                (asked.load(Ordering::SeqCst) >= CLIENTS).then_some(())
            });
            Reply::new(404, &[], "the origin's own words")
        });
        let (address, asked) = (bench.gateway.address, &bench.asked);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(move || {
                    let mut wire = connect(address).expect("the gateway accepts");
                    let request = request("GET", "/examplebucket/key").addressed(address);
                    wire.write(&request.to_bytes()).expect("the gateway reads");
                    asked.fetch_add(1, Ordering::SeqCst);
                    let answer = wire.read_response("GET").expect("an answer");
                    let text = String::from_utf8_lossy(&answer.body);
                    assert_eq!(answer.status, 404, "{host:?}: {text}");
                    assert!(text.contains("<Code>NoSuchKey</Code>"), "{host:?}: {text}");
                });
            }
        });
        assert_eq!(bench.gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    }
}

#[test]
fn a_client_that_leaves_the_harness_leaves_the_object() {
    leaving_client(Host::Harness, Path::Callout);
}

#[test]
fn a_client_that_leaves_envoy_leaves_the_object() {
    leaving_client(Host::Envoy, Path::Callout);
}

#[test]
fn a_client_that_leaves_the_harness_before_its_stream_leaves_the_object() {
    leaving_client(Host::Harness, Path::Streaming);
}

#[test]
fn a_client_that_leaves_envoy_before_its_stream_leaves_the_object() {
    leaving_client(Host::Envoy, Path::Streaming);
}

fn leaving_client(host: Host, path: Path) {
    let bench = Bench::start(host, path, |left, request| match request.path() {
        b"/key" => {
            within(Duration::from_secs(20), || (left.load(Ordering::SeqCst) > 0).then_some(()));
            Reply::new(200, &[("content-type", "text/plain")], "for nobody")
        }
        _ => Reply::new(200, &[], "another"),
    });
    let address = bench.gateway.address;
    let mut wire = connect(address).expect("the gateway accepts");
    let asking = request("GET", "/examplebucket/key").addressed(address);
    wire.write(&asking.to_bytes()).expect("the gateway reads");
    until("the fetch", || (bench.fetches("/key") == 1).then_some(()));
    drop(wire);
    // The gateway has served another since, so it has noticed that this one is gone.
    assert_eq!(get(address, "/examplebucket/other").status, 200, "{host:?}");
    bench.asked.store(1, Ordering::SeqCst);

    let object = until("the stored object", || bench.store.object("/examplebucket/key"));
    assert_eq!(object.body, b"for nobody", "{host:?}");
    assert_eq!(object.header("content-type").as_deref(), Some("text/plain"), "{host:?}");
    let hit = get(address, "/examplebucket/key");
    assert_eq!((hit.status, hit.body.as_slice()), (200, &b"for nobody"[..]), "{host:?}");
    bench.settle();
    // A stream ends with its client, and then the object is fetched for itself.
    let fetches = match path {
        Path::Callout => 1,
        Path::Streaming => 2,
    };
    assert_eq!(bench.fetches("/key"), fetches, "{host:?}: fetches");
    assert_eq!(bench.store.puts("/examplebucket/key"), 1, "{host:?}: PUTs");
    assert_eq!(bench.gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
}

/// One worker before the embedded store, and an origin that sees a counter.
struct Bench {
    store: Store,
    origin: Server,
    gateway: Gateway,
    asked: Arc<AtomicUsize>,
}

impl Bench {
    fn start(
        host: Host,
        path: Path,
        behaviour: impl Fn(&AtomicUsize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(move |request| behaviour(&counter, request));
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) },
        }]);
        let mut setup = Setup::new(rules, store.address(), &[origin.address]);
        setup.path = path;
        let gateway = Gateway::start(host, &setup);
        Self { store, origin, gateway, asked }
    }

    fn fetches(&self, path: &str) -> usize {
        let requests = self.origin.requests();
        requests.iter().filter(|request| request.path() == path.as_bytes()).count()
    }

    /// Once a later object is stored, nothing of an earlier one is still to come.
    fn settle(&self) {
        assert_eq!(get(self.gateway.address, "/examplebucket/last").status, 200);
        until("the last object", || self.store.object("/examplebucket/last"));
    }
}
