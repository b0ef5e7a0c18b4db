//! Objects that take more than one request to an origin: behind redirects, and by later rules.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::pattern;
use super::promises::{HEADERS, everywhere, get_at_once};
use crate::support::client::{connect, get, request};
use crate::support::envoy::Envoy;
use crate::support::gateway::{Gateway, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::streaming;
use crate::support::wait::{until, within};

fn rules(origin: SocketAddr) -> Value {
    let mirror = |number, prefix, more: &str| {
        let mut rule = json!({
            "RuleNumber": number,
            "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("http://{origin}/{more}"),
                          "MirrorAllowHeadObject": true },
        });
        if more.is_empty() {
            rule["Redirect"]["MirrorFallThrough"] = true.into();
        }
        rule
    };
    json!([mirror(1, "", ""), mirror(2, "later/", "second/")])
}

fn setup(store: &Store, origin: &Server, other: &Server) -> Setup {
    let origins = [origin.address, other.address];
    let mut setup = Setup::new(rules(origin.address), store.address(), &origins);
    setup.path = Path::Streaming;
    setup
}

/// An origin that sends everything on to another server.
fn sending_on_to(other: &Server) -> Server {
    let to = other.url();
    Server::start(move |request| {
        let path = String::from_utf8_lossy(request.path()).into_owned();
        if path.starts_with("/empty/") {
            return Reply::new(307, &[("location", &format!("{to}{path}"))], "");
        }
        match path.starts_with("/later/") {
            true => Reply::new(404, &[], "not here"),
            false => Reply::new(302, &[("location", &format!("{to}{path}"))], "not here"),
        }
    })
}

#[test]
fn a_large_object_behind_a_redirect_is_stored_whole() {
    everywhere(|host| {
        let object = Arc::new(pattern(5, 20 << 20));
        let served = Arc::clone(&object);
        let other = Server::start(move |request| Reply::object(request, HEADERS, &served));
        let (store, origin) = (Store::files(&["examplebucket"]), sending_on_to(&other));
        let gateway = Gateway::start(host, &setup(&store, &origin, &other));
        for (key, tag) in [("behind", "behind"), ("later/behind", "second%2Flater%2Fbehind")] {
            let path = format!("/examplebucket/{key}");
            let miss = get(gateway.address, &path);
            assert!(miss.status == 200 && miss.whole, "{host:?}: {key}: {}", miss.status);
            assert!(miss.body == *object, "{host:?}: {key}: other bytes for the client");
            let tag = format!("{}%2F{tag}", origin.url().replace(':', "%3A").replace('/', "%2F"));
            let told = miss.header("x-oss-tag").unwrap_or_default();
            assert_eq!(told, format!("MIRROR {tag}"), "{host:?}");
            let stored = until("the stored object", || store.object(&path));
            assert!(stored.body == *object, "{host:?}: {key}: other bytes in the bucket");
            assert_eq!(stored.header("x-amz-meta-x-oss-tag"), Some(told), "{host:?}");
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    });
}

#[test]
fn forty_redirected_misses_at_once_are_forty_objects() {
    const CLIENTS: usize = 40;
    everywhere(|host| {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let other = Server::start(move |request| {
            counter.fetch_add(1, Ordering::SeqCst);
            // All of them are under way at the same time.
            within(Duration::from_secs(8), || {
                (counter.load(Ordering::SeqCst) >= CLIENTS).then_some(())
            });
            Reply::new(200, &[], request.path())
        });
        let (store, origin) = (Store::files(&["examplebucket"]), sending_on_to(&other));
        let gateway = Gateway::start(host, &setup(&store, &origin, &other));
        for (key, answer) in get_at_once(gateway.address, CLIENTS).iter().enumerate() {
            // Whatever waits under a name of its own is nobody else's.
            assert_eq!(answer.status, 200, "{host:?}: {key}: {answer:?}");
            assert_eq!(answer.body, format!("/{key}").as_bytes(), "{host:?}: {key}");
        }
        for key in 0..CLIENTS {
            let path = format!("/examplebucket/{key}");
            let stored = until("the stored object", || store.object(&path));
            assert_eq!(stored.body, format!("/{key}").as_bytes(), "{host:?}");
        }
    });
}

#[test]
fn who_leaves_behind_a_redirect_leaves_the_object() {
    everywhere(|host| {
        let (asked, left) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (heard, gone) = (Arc::clone(&asked), Arc::clone(&left));
        let other = Server::start(move |request| {
            if request.header("range").is_none() {
                heard.store(true, Ordering::SeqCst);
                within(Duration::from_secs(8), || gone.load(Ordering::SeqCst).then_some(()));
            }
            Reply::object(request, HEADERS, b"worth it")
        });
        let (store, origin) = (Store::files(&["examplebucket"]), sending_on_to(&other));
        let gateway = Gateway::start(host, &setup(&store, &origin, &other));
        let mut wire = connect(gateway.address).expect("the gateway accepts");
        let key = request("GET", "/examplebucket/key").addressed(gateway.address);
        wire.write(&key.to_bytes()).expect("the gateway reads");
        until("the second origin's request", || asked.load(Ordering::SeqCst).then_some(()));
        drop(wire);
        // The gateway notices before its origin answers.
        let stored = until("the stored object", || {
            let stored = store.object("/examplebucket/key");
            left.store(stored.is_some(), Ordering::SeqCst);
            stored
        });
        assert_eq!(stored.body, b"worth it", "{host:?}");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    });
}

/// A gateway that sends a request on no further gives the client what the filter left for that, and
/// no redirect of an origin's.
#[test]
fn an_attempt_that_envoy_does_not_make_is_a_failure() {
    let other = Server::start(|_| Reply::new(200, &[], "never asked"));
    let (store, origin) = (Store::files(&["examplebucket"]), sending_on_to(&other));
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let bootstrap = streaming::bootstrap(&setup(&store, &origin, &other), folder.path());
    let routes = folder.path().join("generated/routes.yaml");
    let text = fs::read_to_string(&routes).expect("routes");
    // Enough for the bucket's answer, and for none of an origin's.
    let (many, one) = ("max_internal_redirects: 64", "max_internal_redirects: 1");
    assert!(text.contains(many), "{text}");
    fs::write(&routes, text.replace(many, one)).expect("a file of our own");
    let envoy = Envoy::start(&bootstrap, "yaml", folder);
    let address = envoy.address();
    for (method, key) in [("GET", "k"), ("GET", "empty/k"), ("HEAD", "k"), ("GET", "later/k")] {
        let path = format!("/examplebucket/{key}");
        let answer = request(method, &path).send(address).expect("an answer");
        assert_eq!(answer.status, 424, "{method} {key}: {answer:?}");
        for name in ["location", "x-oss-tag"] {
            assert_eq!(answer.header(name), None, "{method} {key}");
        }
        let helpers = answer.headers.iter().filter(|(name, _)| name.starts_with("x-envoy-"));
        assert_eq!(helpers.count(), 0, "{method} {key}: {answer:?}");
        let body = String::from_utf8_lossy(&answer.body);
        let has_body = body.contains("<Code>MirrorFailed</Code>");
        assert_eq!(has_body, method == "GET", "{method} {key}: {body}");
        assert!(!body.contains("not here"), "{method} {key}: {body}");
        // What would come next is no other rule's yet.
        let line = format!("{method} examplebucket/{key}: bucket 404, rule 1 Mirror, origin");
        let line = until("the line that tells of it", || {
            envoy.log().lines().find(|found| found.contains(&line)).map(str::to_owned)
        });
        assert!(line.contains("too many fetches"), "{line}");
    }
    assert_eq!(other.requests(), Vec::new());
    assert_eq!(envoy.vm_failures(), Vec::<String>::new());
}
