//! Rules changed under a running Envoy by what a second `b2o envoy` writes: no request may fail.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use b2o::deployment::Loaded;
use tempfile::TempDir;

use crate::streaming::pattern;
use crate::support::client::{connect, get, request};
use crate::support::generated::{Generated, load};
use crate::support::server::{Reply, Server};
use crate::support::store::Files;
use crate::support::wait::until;
use crate::support::wire::Response;

/// How many clients there are, and how many requests all of them begin in a second.
const CLIENTS: usize = 8;
const RATE: u32 = 500;

/// Of how many requests one is a miss.
const ONE_MISS_IN: u32 = 5;

/// An object that takes longer to fetch than all changes together.
const LARGE: usize = 96 << 20;

/// One bucket whose rules are to change.
struct Changing {
    path: &'static str,
    folder: TempDir,
    store: Files,
    origins: [Server; 2],
}

impl Changing {
    fn new(path: &'static str) -> Self {
        let large = Arc::new(pattern(4, LARGE));
        let origin = |text: &'static str| {
            let large = Arc::clone(&large);
            Server::start(move |request| match request.path() {
                b"/a/large" => Reply::object(request, &[("etag", "\"large\"")], &large),
                _ => Reply::new(200, &[], text),
            })
        };
        Self {
            path,
            folder: tempfile::tempdir().expect("a folder for the rules"),
            store: Files::start(&["examplebucket"], None),
            origins: [origin("first"), origin("second")],
        }
    }

    /// The deployment, mirroring `a/` from the first origin and `b/` from one of them.
    fn loaded(&self, of_b: usize) -> Loaded {
        let rule = |number: usize, prefix: &str, origin: usize| {
            serde_json::json!({
                "RuleNumber": number,
                "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
                "Redirect": {
                    "RedirectType": "Mirror",
                    "MirrorURL": format!("http://{}/", self.origins[origin].address),
                },
            })
        };
        let rules = serde_json::json!([rule(1, "a/", 0), rule(2, "b/", of_b)]).to_string();
        fs::write(self.folder.path().join("rules.json"), rules).expect("a folder of our own");
        let text = format!(
            "path: {}\nbuckets:\n- name: examplebucket\n  endpoint: http://{}\n  rules: rules.json\n",
            self.path,
            self.store.address()
        );
        load(&text, self.folder.path())
    }
}

/// Ends the clients, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the answer to a GET has, which must be a 200.
fn body(path: &str, answer: Response) -> String {
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    assert!(answer.whole, "{path} broke off");
    String::from_utf8(answer.body).expect("text")
}

/// Hits, and a miss now and then, at the pace of one client, whatever the rules.
fn ask_on(gateway: SocketAddr, client: usize, stop: &AtomicBool, asked: &AtomicUsize) {
    let pace = Duration::from_secs(1) * CLIENTS.try_into().unwrap_or(1) / RATE;
    let start = Instant::now();
    let mut connection = connect(gateway).expect("the gateway");
    let mut count = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let path = match count % ONE_MISS_IN {
            0 => format!("/examplebucket/a/{client}-{count}"),
            _ => "/examplebucket/a/once".to_owned(),
        };
        let get = request("GET", &path).addressed(gateway).to_bytes();
        connection.write(&get).expect("the gateway reads");
        let answer = connection.read_response("GET").expect("the gateway answers");
        // The gateway may say that it wants no more requests on a connection.
        if answer.header("connection").is_some_and(|value| value == "close") {
            connection = connect(gateway).expect("the gateway");
        }
        assert_eq!(body(&path, answer), "first");
        count += 1;
        asked.fetch_add(1, Ordering::Relaxed);
        // The pace of the load: a slow machine has no pauses.
        let due = start + pace * count;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Changes the rules ten times while clients ask.
fn change_under_load(changing: &Changing, running: &Generated) {
    let gateway = running.envoy.address();
    let (stop, asked_of_a) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let stopped = Stop(&stop);
        let (stop, asked_of_a) = (&stop, &asked_of_a);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || ask_on(gateway, client, stop, asked_of_a)))
            .collect();
        let begun = Instant::now();
        for change in 1..=10 {
            running.change(&changing.loaded(change % 2));
            let expected = ["first", "second"][change % 2];
            let mut asked = 0;
            until("the changed rules", || {
                asked += 1;
                let path = format!("/examplebucket/b/{change}-{asked}");
                (body(&path, get(gateway, &path)) == expected).then_some(())
            });
            // They last for a while: half a second of the load.
            let enough = asked_of_a.load(Ordering::Relaxed) + RATE as usize / 2;
            until("requests by the changed rules", || {
                assert!(!clients.iter().any(ScopedJoinHandle::is_finished), "a request failed");
                (asked_of_a.load(Ordering::Relaxed) >= enough).then_some(())
            });
        }
        let (asked, taken) = (asked_of_a.load(Ordering::Relaxed), begun.elapsed().as_secs_f64());
        println!("{asked} requests in {taken:.1} s: {:.0} a second", asked as f64 / taken);
        drop(stopped);
        clients.into_iter().for_each(|client| client.join().expect("no request fails"));
    });
}

#[test]
fn changed_rules_are_taken_by_a_running_envoy_and_no_request_fails() {
    let changing = Changing::new("callout");
    let running = Generated::start(&changing.loaded(0));
    change_under_load(&changing, &running);
    assert_eq!(running.refused(), Vec::<String>::new());
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
}

#[test]
fn changed_rules_break_no_download_that_streams() {
    let changing = Changing::new("streaming");
    let running = Generated::start(&changing.loaded(0));
    let gateway = running.envoy.address();
    let received = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (all, received) = (Arc::new(AtomicBool::new(false)), &received);
        let over = Arc::clone(&all);
        // A download that is under way from the first change to behind the last.
        let large = scope.spawn(move || {
            let get = request("GET", "/examplebucket/a/large").addressed(gateway).to_bytes();
            let mut wire = connect(gateway).expect("the gateway");
            wire.write(&get).expect("the gateway reads");
            let mut stream = wire.stream();
            let (mut bytes, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
            loop {
                let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
                if head.is_some_and(|head| bytes.len() == head + LARGE) {
                    return (bytes, head.unwrap_or_default());
                }
                let count = stream.read(&mut chunk).expect("the download goes on");
                assert_ne!(count, 0, "broken off after {} bytes", bytes.len());
                bytes.extend_from_slice(&chunk[..count]);
                received.store(bytes.len(), Ordering::Relaxed);
                // As slow as it takes to outlast the changes, then as fast as it goes.
                while !over.load(Ordering::Relaxed) && bytes.len() > LARGE / 2 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        until("half of the download", || {
            (received.load(Ordering::Relaxed) > LARGE / 2).then_some(())
        });
        change_under_load(&changing, &running);
        assert!(received.load(Ordering::Relaxed) < LARGE, "the download was over too early");
        all.store(true, Ordering::Relaxed);
        let (bytes, head) = large.join().expect("the download is whole");
        assert!(bytes.starts_with(b"HTTP/1.1 200"));
        assert!(bytes[head..] == pattern(4, LARGE), "other bytes than the origin's");
    });
    // It is stored by the rules it began with, which no file holds any more.
    until("the large object in the bucket", || {
        let head = request("HEAD", "/examplebucket/a/large").send(changing.store.address());
        let stored = head.expect("the store answers");
        let length = stored.header("content-length");
        (stored.status == 200 && length == Some(LARGE.to_string())).then_some(())
    });
    assert_eq!(changing.store.open_uploads(), Vec::<String>::new());
    assert_eq!(running.refused(), Vec::<String>::new());
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
}
