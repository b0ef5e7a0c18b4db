//! Objects that are deleted through the gateway, and stay deleted.

use std::path::Path as Folder;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2o::deployment::Loaded;
use tempfile::TempDir;

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::mirrored_by;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::until;

/// A store, and an origin that has everything.
struct Bench {
    store: Store,
    origin: Server,
    asked: Arc<AtomicUsize>,
    folder: TempDir,
}

impl Bench {
    fn start() -> Self {
        let asked: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&asked);
        let origin = Server::start(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Reply::new(200, &[("etag", "\"o\"")], "of the origin").keep()
        });
        let folder = tempfile::tempdir().expect("a folder for the rules");
        Self { store: Store::files(&["examplebucket"]), origin, asked, folder }
    }

    fn loaded(&self, path: &str, tombstones: &str) -> Loaded {
        let (store, origin) = (self.store.address(), self.origin.address);
        let more = format!(", tombstones: {tombstones}");
        let folder: &Folder = self.folder.path();
        mirrored_by(&format!("path: {path}\n"), store, origin, &more, folder)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The markers in the bucket, by the keys that they name.
    fn markers(&self) -> Vec<String> {
        let list = "/examplebucket?list-type=2&prefix=.back-to-origin/tombstones/";
        let listed = get(self.store.direct(), list);
        let text = String::from_utf8_lossy(&listed.body).into_owned();
        let names = text.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next());
        let mut keys: Vec<_> = names
            .map(|name| {
                let marker = self.store.object(format!("/examplebucket/{name}"));
                let marker = marker.expect("it was listed").body;
                let document: serde_json::Value =
                    serde_json::from_slice(&marker).expect("a document");
                assert!(document["deleted"].as_u64().is_some_and(|at| at > 1_700_000_000));
                document["key"].as_str().expect("a key").to_owned()
            })
            .collect();
        keys.sort_unstable();
        keys
    }

    fn has_markers(&self, keys: &[&str]) {
        until("the markers", || (self.markers() == keys).then_some(()));
    }
}

fn delete(gateway: &Deployed, path: &str) {
    let answer = request("DELETE", path).send(gateway.address).expect("an answer");
    assert_eq!(answer.status, 204, "{path}: {}", String::from_utf8_lossy(&answer.body));
}

/// A 404 that says why.
fn is_deleted(gateway: &Deployed, path: &str) {
    let answer = get(gateway.address, path);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let log = gateway.log();
    assert_eq!(answer.status, 404, "{path}: {text}\n{log}");
    assert!(text.contains("<Code>NoSuchKey</Code>"), "{path}: {text}");
}

fn stays_deleted(host: Host, path: &str) {
    let bench = Bench::start();
    let loaded = bench.loaded(path, "30s");
    let (key, what) = ("/examplebucket/a%20b.jpg", format!("{host:?}, {path}"));
    let gateway = Deployed::start(host, &loaded, None);
    assert_eq!(get(gateway.address, key).body, b"of the origin", "{what}");
    until("the object in the bucket", || bench.store.object(key));
    assert_eq!(bench.asked(), 1, "{what}");

    delete(&gateway, key);
    is_deleted(&gateway, key);
    let answer = get(gateway.address, key);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("deleted through this gateway"), "{what}: {text}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/xml"), "{what}");
    bench.has_markers(&["a%20b.jpg"]);
    assert_eq!(gateway.vm_failures(), [""; 0]);
    until("the line", || {
        let line = "GET examplebucket/a b.jpg: bucket 404, rule 1 Mirror, the object was deleted \
                    through the gateway, client got 404 NoSuchKey";
        gateway.log().contains(line).then_some(())
    });

    until("its sample", || {
        let metrics = get(gateway.admin_address(), "/stats/prometheus").body;
        let has = "outcome=\"deleted\"";
        String::from_utf8_lossy(&metrics).contains(has).then_some(())
    });

    // Another one knows it from its first request on.
    drop(gateway);
    let gateway = Deployed::start(host, &loaded, None);
    for _ in 0..3 {
        is_deleted(&gateway, key);
    }
    assert_eq!(bench.asked(), 1, "{what}: the origin was asked for what was deleted");
    let other = get(gateway.address, "/examplebucket/other");
    assert_eq!((other.status, bench.asked()), (200, 2), "{what}: any other key is mirrored");

    let put = request("PUT", key).with_body("of a client").send(gateway.address);
    assert_eq!(put.expect("an answer").status, 200, "{what}");
    assert_eq!(get(gateway.address, key).body, b"of a client", "{what}");
    bench.has_markers(&[]);
    // Deleted by somebody else, it is a miss like any other.
    request("DELETE", key).send(bench.store.direct()).expect("the store");
    assert_eq!(get(gateway.address, key).body, b"of the origin", "{what}");
    assert_eq!(gateway.vm_failures(), [""; 0]);
}

#[test]
fn what_is_deleted_stays_so_over_a_restart_until_it_is_written_by_streaming() {
    stays_deleted(Host::Harness, "streaming");
    stays_deleted(Host::Envoy, "streaming");
}

#[test]
fn what_is_deleted_stays_so_over_a_restart_until_it_is_written_by_callouts() {
    stays_deleted(Host::Harness, "callout");
    stays_deleted(Host::Envoy, "callout");
}

#[test]
fn of_several_that_are_deleted_at_once_none_comes_back() {
    for (host, path) in [
        (Host::Harness, "streaming"),
        (Host::Envoy, "streaming"),
        (Host::Harness, "callout"),
        (Host::Envoy, "callout"),
    ] {
        let bench = Bench::start();
        let gateway = Deployed::start(host, &bench.loaded(path, "30s"), None);
        bench.store.put("/examplebucket/a", &[], "a");
        let body = "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object><Object>\
                    <Key>b/c&amp;d</Key></Object></Delete>";
        let answer = request("POST", "/examplebucket?delete")
            .with("content-type", "application/xml")
            .with_body(body)
            .send(gateway.address)
            .expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        for key in ["a", "b/c&d"] {
            is_deleted(&gateway, &format!("/examplebucket/{key}"));
        }
        assert_eq!(bench.asked(), 0, "{host:?}, {path}");
        bench.has_markers(&["a", "b/c%26d"]);
        assert_eq!(gateway.vm_failures(), [""; 0]);
    }
}

#[test]
fn a_fleet_knows_what_one_of_them_has_deleted() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start();
        let loaded = bench.loaded("streaming", "1s");
        let [one, other] = [(); 2].map(|()| Deployed::start(host, &loaded, None));
        delete(&one, "/examplebucket/a");
        bench.has_markers(&["a"]);
        let lists = || {
            let answered = bench.store.answered();
            let lists = answered
                .iter()
                .filter(|(request, _)| request.target.windows(9).any(|part| part == b"list-type"));
            lists.count()
        };
        // Each of them lists once a second; what has begun before does not count.
        let before = lists();
        until("lists of both", || (lists() > before + 5).then_some(()));
        is_deleted(&other, "/examplebucket/a");
        assert_eq!(bench.asked(), 0);
        // The marker goes, as by `b2o tombstones clear`.
        let marker = back_to_origin::tombstone::Tombstone::of("examplebucket", b"a").marker();
        request("DELETE", format!("/examplebucket/{marker}"))
            .send(bench.store.direct())
            .expect("the store");
        for gateway in [&one, &other] {
            until("it comes back", || {
                (get(gateway.address, "/examplebucket/a").status == 200).then_some(())
            });
        }
    }
}

#[test]
fn what_the_bucket_does_not_take_is_remembered_and_told() {
    for host in [Host::Harness, Host::Envoy] {
        for (status, told) in
            [(403, "only the memory of this gateway"), (503, "could not be changed")]
        {
            let bench = Bench::start();
            let marker = back_to_origin::tombstone::Tombstone::of("examplebucket", b"a").marker();
            let path = format!("/examplebucket/{marker}");
            bench.store.script.always("PUT", path, Reply::new(status, &[], ""));
            let gateway = Deployed::start(host, &bench.loaded("streaming", "1s"), None);
            delete(&gateway, "/examplebucket/a");
            until("a line about it", || gateway.log().contains(told).then_some(()));
            is_deleted(&gateway, "/examplebucket/a");
            assert_eq!(bench.asked(), 0, "{host:?}: {status}");
        }
    }
}

#[test]
fn a_store_that_refuses_lists_is_told_of_and_mirrored_into() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start();
        let denied = Reply::new(403, &[], "<Error><Code>AccessDenied</Code></Error>");
        bench.store.script.always("GET", "/examplebucket", denied);
        let gateway = Deployed::start(host, &bench.loaded("streaming", "30s"), None);
        until("a line about it", || {
            let told = "the store answered 403 to a list of examplebucket/.back-to-origin/";
            gateway.log().contains(told).then_some(())
        });
        assert_eq!(get(gateway.address, "/examplebucket/a").status, 200, "{host:?}");
    }
}

#[test]
fn what_is_deleted_may_come_back_where_the_deployment_says_so() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start();
        let gateway = Deployed::start(host, &bench.loaded("streaming", "none"), None);
        delete(&gateway, "/examplebucket/a");
        assert_eq!(get(gateway.address, "/examplebucket/a").status, 200, "{host:?}");
        assert_eq!(bench.markers(), [""; 0]);
    }
}

#[test]
fn no_origin_is_asked_for_a_marker() {
    let bench = Bench::start();
    let gateway = Deployed::start(Host::Harness, &bench.loaded("streaming", "30s"), None);
    is_deleted(&gateway, "/examplebucket/.back-to-origin/tombstones/0");
    assert_eq!(bench.asked(), 0);
}
