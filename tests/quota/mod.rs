//! The quota of mirroring: how many requests go to origins in a second, and how many bits come back.

mod service;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use b2o::deployment::Loaded;
use tempfile::TempDir;

use crate::support::client::get;
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::{Generated, mirrored_by};
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wire::Response;

/// How long requests are made at full speed.
const OFFERED_FOR: Duration = Duration::from_secs(3);

/// Requests that may go to the origin in a second.
const LIMIT: u32 = 50;

#[test]
fn beyond_the_quota_requests_are_refused_and_hits_are_not_by_streaming() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start("streaming", "{ requests_per_second: 50 }");
        let gateway = Deployed::start(host, &bench.loaded, None);
        bench.is_limited(gateway.address, &format!("{host:?}, streaming"));
        assert_eq!(gateway.vm_failures(), [""; 0]);
    }
}

#[test]
fn beyond_the_quota_requests_are_refused_and_hits_are_not_by_callouts() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start("callout", "{ requests_per_second: 50 }");
        let gateway = Deployed::start(host, &bench.loaded, None);
        bench.is_limited(gateway.address, &format!("{host:?}, callout"));
        assert_eq!(gateway.vm_failures(), [""; 0]);
    }
}

#[test]
fn two_workers_of_envoy_share_one_quota() {
    let bench = Bench::start("streaming", "{ requests_per_second: 50 }");
    let gateway = Generated::start_workers(&bench.loaded, 2);
    bench.is_limited(gateway.envoy.address(), "two workers");
    assert_eq!(gateway.refused(), [""; 0]);
}

#[test]
fn without_a_quota_nobody_is_refused() {
    let bench = Bench::start("streaming", "none");
    let gateway = Deployed::start(Host::Harness, &bench.loaded, None);
    for n in 0..100 {
        assert_eq!(get(gateway.address, format!("/examplebucket/free/{n}")).status, 200);
    }
    assert_eq!(bench.asked.load(Ordering::SeqCst), 100);
}

#[test]
fn bits_are_paced_and_hits_are_not_in_the_harness() {
    is_paced(Host::Harness);
}

#[test]
fn bits_are_paced_and_hits_are_not_in_envoy() {
    is_paced(Host::Envoy);
}

fn is_paced(host: Host) {
    const SIZE: usize = 5 << 19;
    // A mebibyte a second.
    let bench = Bench::start("streaming", "{ bits_per_second: 8388608 }");
    bench.store.put("/examplebucket/hit", &[], vec![b'h'; SIZE]);
    let gateway = Deployed::start(host, &bench.loaded, None);
    let address = gateway.address;
    let started = Instant::now();
    let mut hit = Duration::ZERO;
    std::thread::scope(|scope| {
        for name in ["one", "other"] {
            scope.spawn(move || {
                let answer = get(address, format!("/examplebucket/large/{name}"));
                assert_eq!((answer.status, answer.whole, answer.body.len()), (200, true, SIZE));
            });
        }
        let answer = get(address, "/examplebucket/hit");
        assert_eq!((answer.status, answer.body.len()), (200, SIZE));
        hit = started.elapsed();
    });
    // Five mebibytes, of which the first is free.
    let took = started.elapsed().as_secs_f64();
    // It is never faster, and on a busy machine slower.
    assert!((3.0..15.0).contains(&took), "{host:?}: {took} s");
    assert!(hit.as_secs_f64() < took / 2.0, "{host:?}: a hit took {hit:?}");
    assert_eq!(gateway.vm_failures(), [""; 0]);
}

/// A store and an origin, and the deployment of a gateway before them.
struct Bench {
    store: Store,
    _origin: Server,
    /// How often the origin was asked.
    asked: Arc<AtomicUsize>,
    loaded: Loaded,
    _folder: TempDir,
}

impl Bench {
    fn start(path: &str, limits: &str) -> Self {
        Self::start_by(&format!("path: {path}\n"), limits)
    }

    /// The same with these fields of the deployment.
    fn start_by(fields: &str, limits: &str) -> Self {
        let store = Store::memory("s3.localhost");
        let asked = Arc::new(AtomicUsize::default());
        let counted = Arc::clone(&asked);
        let origin = Server::start(move |request| {
            counted.fetch_add(1, Ordering::SeqCst);
            let is_large = request.path().starts_with(b"/large/");
            let body = vec![b'o'; if is_large { 5 << 19 } else { 8 }];
            Reply::new(200, &[("etag", "\"o\"")], body).keep()
        });
        let folder = tempfile::tempdir().expect("a folder for the rules");
        let more = format!(", mirror_limits: {limits}");
        let loaded = load(fields, &store, &origin, &more, folder.path());
        Self { store, _origin: origin, asked, loaded, _folder: folder }
    }

    /// Asks at full speed, with two clients, for what is not there and what is.
    fn is_limited(&self, address: SocketAddr, what: &str) {
        let (mirrored, refused, seconds) = self.offer(&[address, address]);
        let due = f64::from(LIMIT) * (seconds + 1.0);
        let share = mirrored as f64 / due;
        assert!((0.9..1.1).contains(&share), "{what}: {mirrored} of {due}");
        assert!(refused > 0, "{what}: nobody is refused");
        assert_eq!(self.asked.load(Ordering::SeqCst), mirrored, "{what}: the origin's count");
    }

    /// The same, with a client of each of these gateways: how many got an object, and how many were
    /// refused, in how many seconds.
    fn offer(&self, gateways: &[SocketAddr]) -> (usize, usize, f64) {
        self.store.put("/examplebucket/hit", &[], "hit");
        let (mirrored, refused) = (AtomicUsize::default(), AtomicUsize::default());
        let started = Instant::now();
        std::thread::scope(|scope| {
            for (client, address) in gateways.iter().enumerate() {
                let (mirrored, refused) = (&mirrored, &refused);
                scope.spawn(move || {
                    for n in 0.. {
                        if started.elapsed() > OFFERED_FOR {
                            return;
                        }
                        let answer = get(*address, format!("/examplebucket/{client}/{n}"));
                        if answer.status == 200 {
                            mirrored.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                        refused.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(refusal(&answer), None, "{answer:?}");
                        let hit = get(*address, "/examplebucket/hit");
                        assert_eq!((hit.status, hit.body.as_slice()), (200, &b"hit"[..]));
                    }
                });
            }
        });
        (mirrored.into_inner(), refused.into_inner(), started.elapsed().as_secs_f64())
    }
}

/// What is wrong with an answer beyond the quota.
fn refusal(answer: &Response) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != 424 || !text.contains("<Code>MirrorFailed</Code>") {
        return Some("it is no MirrorFailed");
    }
    if !text.contains("Mirror request is rejected by QoS") {
        return Some("it has not OSS's words");
    }
    (answer.header("retry-after").as_deref() != Some("1")).then_some("no Retry-After")
}

fn load(fields: &str, store: &Store, origin: &Server, more: &str, folder: &Path) -> Loaded {
    mirrored_by(fields, store.address(), origin.address, more, folder)
}
