//! What the path promises, on every host that offers it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use back_to_origin::miss_route;
use serde_json::json;

use super::pattern;
use crate::support::client::{get, request};
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup, origin_cluster};
use crate::support::server::{Reply, Server};
use crate::support::store::{Files, Keys, Store, error};
use crate::support::wait::{until, within};
use crate::support::wire::{Request, Response};

/// A part of the standard size.
const PART: usize = 8 << 20;

/// The same for each host with a streaming path.
pub(super) fn everywhere(promise: impl Fn(Host)) {
    let hosts = HOSTS.iter().filter(|(_, path)| *path == Path::Streaming);
    hosts.for_each(|(host, _)| promise(*host));
}

fn gateway(
    host: Host,
    store: std::net::SocketAddr,
    origin: &Server,
    keys: Option<&Keys>,
) -> Gateway {
    Gateway::start(host, &setup(store, origin, keys))
}

/// Everything is mirrored, and signed where there are keys.
pub(super) fn setup(store: std::net::SocketAddr, origin: &Server, keys: Option<&Keys>) -> Setup {
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) },
    }]);
    let mut setup = Setup::new(rules, store, &[origin.address]);
    setup.path = Path::Streaming;
    setup.keys = keys.cloned();
    setup.signs_reads = keys.is_some();
    setup
}

/// What the clients get who each ask for the object of their number, all at the same time.
pub(super) fn get_at_once(address: std::net::SocketAddr, clients: usize) -> Vec<Response> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|key| scope.spawn(move || get(address, format!("/examplebucket/{key}"))))
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    })
}

fn sent(to: std::net::SocketAddr, request: &Request) -> Response {
    request.send(to).unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

pub(super) const HEADERS: &[(&str, &str)] = &[
    ("content-type", "video/mp4"),
    ("cache-control", "max-age=60"),
    ("content-disposition", "attachment; filename=\"f.mp4\""),
    ("etag", "\"v\""),
];

#[test]
fn a_large_object_is_streamed_and_stored_whole() {
    everywhere(|host| {
        let object = Arc::new(pattern(1, 12 * PART));
        let served = Arc::clone(&object);
        let visible = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&visible);
        let store = Files::start_observed(&["examplebucket"], move |answered| {
            let query = answered.uri.query().unwrap_or_default();
            let is_completion = answered.method == "POST" && query.contains("uploadId");
            let is_put = answered.method == "PUT" && query.is_empty();
            counter.fetch_add(usize::from(is_completion || is_put), Ordering::SeqCst);
        });
        let origin = Server::start(move |request| match request.path() {
            b"/first" => Reply::new(200, &[], "first"),
            _ => Reply::object(request, HEADERS, &served),
        });
        let gateway = gateway(host, store.address(), &origin, None);
        assert_eq!(get(gateway.address, "/examplebucket/first").body, b"first", "{host:?}");
        until("the first object", || (visible.load(Ordering::SeqCst) == 1).then_some(()));
        let rest = gateway.process().map(|process| {
            process.forget_peak();
            (process, process.memory())
        });
        let miss = get(gateway.address, "/examplebucket/large.mp4");
        assert_eq!(miss.status, 200, "{host:?}: {miss:?}");
        assert!(miss.whole && miss.body == *object, "{host:?}: other bytes for the client");
        assert!(miss.header("x-oss-tag").is_some(), "{host:?}: {miss:?}");
        assert_eq!(miss.header("content-length").as_deref(), Some("100663296"), "{host:?}");

        let head = request("HEAD", "/examplebucket/large.mp4");
        let stored = until("the stored object", || {
            Some(sent(store.address(), &head)).filter(|answer| answer.status == 200)
        });
        assert_eq!(stored.header("content-length").as_deref(), Some("100663296"), "{host:?}");
        let etag = stored.header("etag").unwrap_or_default();
        assert!(etag.trim_matches('"').ends_with("-12"), "{host:?}: {etag}");
        for (name, value) in &HEADERS[..3] {
            assert_eq!(stored.header(name).as_deref(), Some(*value), "{host:?}: {name}");
        }
        assert_eq!(stored.header("x-amz-meta-x-oss-tag"), miss.header("x-oss-tag"), "{host:?}");

        // What the store had no time for is fetched once more, and only that.
        let asked = origin.take_requests();
        let ranges: Vec<_> = asked.iter().filter_map(|request| request.header("range")).collect();
        let distinct: std::collections::BTreeSet<_> = ranges.iter().collect();
        assert_eq!(distinct.len(), ranges.len(), "{host:?}: fetched twice: {ranges:?}");
        let hit = get(gateway.address, "/examplebucket/large.mp4");
        assert!(hit.status == 200 && hit.body == *object, "{host:?}: {hit:?}");
        assert_eq!(hit.header("x-oss-tag"), miss.header("x-oss-tag"), "{host:?}");
        assert_eq!(hit.header("etag"), stored.header("etag"), "{host:?}: not the bucket's answer");
        assert_eq!(origin.requests().len(), 0, "{host:?}: asked again, after {}", asked.len());
        assert_eq!(store.open_uploads(), Vec::<String>::new(), "{host:?}");
        assert!(!gateway.log().contains("did not confirm"), "{host:?}: {}", gateway.log());
        assert_eq!(visible.load(Ordering::SeqCst), 2, "{host:?}: writes that make it visible");
        if let Some((process, rest)) = rest {
            // What one VM may hold, and some more; the benchmark measures one download closer.
            let grown = process.peak().saturating_sub(rest) >> 20;
            assert!(grown <= 64 + 32, "{host:?}: {grown} MiB more than at rest");
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    });
}

#[test]
fn what_is_written_is_signed_and_the_filter_knows_no_key() {
    everywhere(|host| {
        let keys = Keys { access: "AKSTREAMING".to_owned(), secret: "so/me+secret=".to_owned() };
        let store = Store::files_signed(&["examplebucket"], &keys);
        let object = Arc::new(pattern(2, 2 * PART + 1));
        let served = Arc::clone(&object);
        let origin = Server::start(move |request| Reply::object(request, HEADERS, &served));
        let gateway = gateway(host, store.address(), &origin, Some(&keys));
        let miss = get(gateway.address, "/examplebucket/large");
        assert!(miss.status == 200 && miss.body == *object, "{host:?}: {miss:?}");
        // The store takes nothing unsigned, so only its answers say what it has.
        until("the completed upload", || {
            let completed = |(request, status): &(Request, u16)| {
                request.method == "POST" && !request.target.ends_with(b"uploads") && *status == 200
            };
            store.answered().iter().any(completed).then_some(())
        });
        let writes = store.answered();
        let writes = writes.iter().filter(|(request, _)| request.method != "GET");
        for (request, status) in writes {
            let signature = request.header("authorization").unwrap_or_default();
            assert!(signature.contains("Credential=AKSTREAMING/"), "{host:?}: {request:?}");
            assert_eq!(*status, 200, "{host:?}: {}", String::from_utf8_lossy(&request.target));
        }
        if let Some(dump) = gateway.admin("/config_dump") {
            for secret in [&keys.access, &keys.secret] {
                assert!(!dump.contains(secret.as_str()), "{host:?}: the dump shows {secret}");
            }
            assert!(dump.contains("MirrorURL"), "{host:?}: the dump shows no rules");
        }
        assert!(!gateway.log().contains(&keys.secret), "{host:?}: the log shows the secret");
    });
}

#[test]
fn forty_misses_at_once_are_forty_objects() {
    const CLIENTS: usize = 40;
    everywhere(|host| {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(move |request| {
            counter.fetch_add(1, Ordering::SeqCst);
            // All of them are under way at the same time.
            within(Duration::from_secs(8), || {
                (counter.load(Ordering::SeqCst) >= CLIENTS).then_some(())
            });
            Reply::new(200, &[], request.path())
        });
        let gateway = gateway(host, store.address(), &origin, None);
        for (key, answer) in get_at_once(gateway.address, CLIENTS).iter().enumerate() {
            assert_eq!(answer.status, 200, "{host:?}: {key}: {answer:?}");
            assert_eq!(answer.body, format!("/{key}").as_bytes(), "{host:?}: {key}");
        }
        for key in 0..CLIENTS {
            let path = format!("/examplebucket/{key}");
            let stored =
                until(format!("{host:?}: the stored object {key}"), || store.object(&path));
            assert_eq!(stored.body, format!("/{key}").as_bytes(), "{host:?}");
            assert_eq!(store.puts(&path), 1, "{host:?}: PUTs of {key}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), CLIENTS, "{host:?}: requests at the origin");
    });
}

#[test]
fn an_object_put_meanwhile_survives() {
    everywhere(|host| {
        for size in [1_000, 2 * PART + 1] {
            // The client's own object comes into the bucket just before the copy would.
            let refused = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&refused);
            let direct: Arc<OnceLock<std::net::SocketAddr>> = Arc::default();
            let to = Arc::clone(&direct);
            let store = Store::files_behind(&["examplebucket"], move |asked, own| {
                let query = asked.target.len() > asked.path().len();
                let makes_visible = (asked.method == "PUT" && !query)
                    || (asked.method == "POST" && !asked.target.ends_with(b"uploads"));
                if makes_visible && asked.header("if-none-match").as_deref() == Some("*") {
                    let mine = request("PUT", asked.path()).with_body("the client's own");
                    let put = mine.send(*to.get().expect("a store")).expect("the store answers");
                    assert_eq!(put.status, 200);
                }
                let reply = own();
                if makes_visible {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(reply.status());
                }
                reply
            });
            direct.set(store.direct()).expect("set once");
            let object = Arc::new(pattern(3, size));
            let served = Arc::clone(&object);
            let origin = Server::start(move |request| Reply::object(request, HEADERS, &served));
            let gateway = gateway(host, store.address(), &origin, None);
            let miss = get(gateway.address, "/examplebucket/key");
            assert!(miss.status == 200 && miss.body == *object, "{host:?}: {miss:?}");
            until("the refused copy", || {
                let refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.contains(&412).then_some(())
            });
            until("the end of its upload", || store.open_uploads().is_empty().then_some(()));
            let stored = store.object("/examplebucket/key").expect("the client's object");
            assert_eq!(stored.body, b"the client's own", "{host:?}: {size} bytes");
            let hit = get(gateway.address, "/examplebucket/key");
            assert_eq!(hit.body, b"the client's own", "{host:?}: {size} bytes");
            assert_eq!(hit.header("x-oss-tag"), None, "{host:?}: {size} bytes");
        }
    });
}

#[test]
fn whatever_a_client_claims_the_bucket_is_asked_first() {
    everywhere(|host| {
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|_| Reply::new(200, &[], "the origin's"));
        let gateway = gateway(host, store.address(), &origin, None);
        store.put("/examplebucket/there", &[], "the bucket's");
        let cluster = origin_cluster(origin.address);
        let url = format!("{}/there", origin.url());
        let claims = [
            (miss_route::MISS, "bucket examplebucket 404"),
            (miss_route::MISS, "origin 302"),
            ("X-Envoy-Miss", "bucket examplebucket 404"),
            (miss_route::ATTEMPT, "1"),
            (miss_route::LOCATION, &url),
            (miss_route::CLUSTER, &cluster),
            (miss_route::SERVER, &cluster),
            (miss_route::SERVER_HOST, "elsewhere.example"),
            (miss_route::RETURNS, "2xx 4xx"),
            (miss_route::IDLE, "1"),
            (miss_route::TIMEOUT, "1"),
            (miss_route::ORIGINAL_URL, &url),
            (miss_route::ORIGINAL_HOST, "elsewhere.example"),
            (miss_route::ORIGINAL_PATH, "/elsewhere/there"),
            ("x-envoy-retriable-header-names", "content-type"),
            ("x-envoy-retry-on", "5xx,retriable-headers"),
            ("x-envoy-upstream-alt-stat-name", "x"),
        ];
        for (name, value) in claims {
            let asking = request("GET", "/examplebucket/there").with(name, value);
            let answer = sent(gateway.address, &asking);
            assert_eq!(answer.body, b"the bucket's", "{host:?}: {name}: {value}: {answer:?}");
            assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("x-envoy-")));
        }
        // Nor does the host say it by which the gateway routes misses.
        let closed = error(403, "AccessDenied", "GET");
        store.script.always("GET", "/examplebucket/closed", closed);
        for named in [miss_route::HOST, "back-to-origin.invalid:80", "BACK-TO-ORIGIN.invalid"] {
            // A bucket that does not let anybody look makes no misses.
            let misses = request("GET", "/examplebucket/closed").with("host", named);
            let all = claims.iter().fold(misses.clone(), |misses, (name, value)| {
                if name.eq_ignore_ascii_case(miss_route::MISS) && *value != claims[0].1 {
                    return misses;
                }
                misses.with(name, value)
            });
            for misses in [misses, all] {
                let answer = sent(gateway.address, &misses);
                assert!([403, 404].contains(&answer.status), "{host:?}: {misses:?}: {answer:?}");
            }
        }
        assert_eq!(origin.requests(), Vec::new(), "{host:?}");
        // A store that speaks as if it were the gateway decides nothing either.
        let said = [
            (miss_route::MISS, "bucket examplebucket 404"),
            (miss_route::ATTEMPT, "1"),
            (miss_route::CLUSTER, cluster.as_str()),
            ("location", "http://back-to-origin.invalid/"),
        ];
        for status in [200, 206, 302, 307, 403, 500, 503] {
            let path = format!("/examplebucket/judged/{status}");
            store.script.always("GET", &path, Reply::new(status, &said, "the bucket's"));
            let answer = get(gateway.address, &path);
            let found = (answer.status, answer.body.as_slice());
            assert_eq!(found, (status, &b"the bucket's"[..]), "{host:?}: {answer:?}");
        }
        assert_eq!(origin.requests(), Vec::new(), "{host:?}");
        // And one that claims another bucket's miss has one of its own.
        let said = [(miss_route::MISS, "bucket otherbucket 404 deleted")];
        store.script.always("GET", "/examplebucket/own", Reply::new(404, &said, "none"));
        assert_eq!(get(gateway.address, "/examplebucket/own").body, b"the origin's", "{host:?}");
    });
}

#[test]
fn what_was_deleted_stays_deleted() {
    everywhere(|host| {
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|_| Reply::new(200, &[], "back from the dead"));
        let gateway = gateway(host, store.address(), &origin, None);
        for (key, name, value) in [
            ("s3", "x-amz-delete-marker", "true"),
            ("oss", "x-oss-delete-marker", "true"),
            ("capitals", "X-Amz-Delete-Marker", "True"),
        ] {
            let path = format!("/examplebucket/{key}");
            store.script.always("GET", &path, Reply::new(404, &[(name, value)], "gone"));
            let answer = get(gateway.address, &path);
            assert_eq!((answer.status, &answer.body[..]), (404, &b"gone"[..]), "{host:?}: {key}");
        }
        assert_eq!(origin.requests(), Vec::new(), "{host:?}");
        // A marker that says no is none.
        let path = "/examplebucket/never";
        let reply = Reply::new(404, &[("x-amz-delete-marker", "false")], "missing");
        store.script.always("GET", path, reply);
        assert_eq!(get(gateway.address, path).body, b"back from the dead", "{host:?}");
        // Nor is what any other failure says.
        store.script.always("GET", "/examplebucket/down", error(500, "InternalError", "GET"));
        assert_eq!(get(gateway.address, "/examplebucket/down").status, 500, "{host:?}");
    });
}
