//! Stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use b2o::doctor::{PREFIX, Stop};

use super::{Case, codes, keys, origin, printed, url};
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wire::Request;

const BUCKET: &str = "examplebucket";

/// Whether nothing is left of what the doctor made: in the end each object is gone, each upload too.
fn is_clean(store: &Store) -> bool {
    let open = store.open_uploads();
    let mut written: Vec<_> =
        store.answered().into_iter().filter(|(request, _)| request.method == "PUT").collect();
    written.retain(|(request, status)| *status == 200 && !query(request).contains("uploadId"));
    let mut removed = store.answered();
    removed.retain(|(request, status)| request.method == "DELETE" && *status == 204);
    let is_removed = |path: &[u8]| removed.iter().any(|(request, _)| request.path() == path);
    open.is_empty() && written.iter().all(|(request, _)| is_removed(request.path()))
}

fn query(request: &Request) -> String {
    let target = String::from_utf8_lossy(&request.target).into_owned();
    target.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong_and_nothing_is_left() {
    let (store, origin) = (Store::files_signed(&[BUCKET], &keys()), origin());
    let mut case = Case::new(url(store.address()), origin.url());
    case.options.keys = vec!["there".to_owned()];
    let found = case.examine();
    assert_eq!(codes(&found), [""; 0], "{}", printed(&found));
    assert!(found.is_sound() && is_clean(&store));
    let sound = &found.lines[0].sound;
    for word in ["list", "delete", "write", "read", "uploads", "abort", "conditions of writes"] {
        assert!(sound.contains(&word), "{sound:?}");
    }
    let prefix = format!("/{BUCKET}/{PREFIX}");
    let beside = store.answered().into_iter().filter(|(request, _)| {
        let path = String::from_utf8_lossy(request.path()).into_owned();
        let is_list = path == format!("/{BUCKET}") && query(request).contains("prefix=.back-to");
        !(path.starts_with(&prefix) || is_list)
    });
    assert_eq!(beside.count(), 0, "another key was touched");
}

#[test]
fn nothing_is_written_where_nothing_may_be() {
    let (store, origin) = (Store::files_signed(&[BUCKET], &keys()), origin());
    let mut case = Case::new(url(store.address()), origin.url());
    case.options.is_read_only = true;
    let found = case.examine();
    assert_eq!(codes(&found), [""; 0], "{}", printed(&found));
    let changed = store.answered().into_iter().filter(|(request, _)| request.method != "GET");
    assert_eq!(changed.count(), 0);
}

#[test]
fn what_a_deployment_says_falsely_is_found_at_its_place() {
    let (store, origin) = (Store::files_signed(&[BUCKET], &keys()), origin());
    let at = |address| Case::new(url(address), origin.url());
    let closed = ClosedPort::reserve();
    let bare = Store::files_signed(&["another"], &keys());
    let with = |bucket| Case { bucket, ..at(store.address()) };
    let cases = [
        (at(store.address()).keys("UNKNOWN", "examplesecret"), "error wrong-keys", "credentials"),
        (at(store.address()).keys("EXAMPLEKEY", "wrong"), "error wrong-keys", "credentials"),
        (at(bare.address()), "error no-such-bucket", "name: examplebucket"),
        (at(closed.address), "error no-connection", "endpoint"),
        (Case::new("http://does-not-exist.invalid", origin.url()), "error no-address", "endpoint"),
        (with("addressing: virtual"), "error wrong-addressing", "addressing"),
        (with("conditional_writes: head"), "info conditional-writes", "conditional_writes"),
        (with("conditional_writes: oss"), "error conditional-writes", "conditional_writes"),
    ];
    for (case, code, place) in cases {
        let start = Instant::now();
        let found = case.examine();
        let text = printed(&found);
        assert_eq!(codes(&found), [code], "{text}");
        assert!(text.contains(place), "{place}: {text}");
        assert!(!text.contains("examplesecret") && !text.contains("wrong }"), "{text}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {code}", start.elapsed());
    }
    assert!(is_clean(&store));
}

/// What a store before the embedded one does otherwise.
type Front = fn(&Request, &dyn Fn() -> Reply) -> Reply;

/// Whether a request is one of this kind.
fn is(request: &Request, method: &str, words: &str) -> bool {
    request.method == method && query(request).contains(words)
}

fn is_put(request: &Request) -> bool {
    request.method == "PUT" && query(request).is_empty()
}

/// An object that was written: a HEAD or a GET of it, by its name.
fn is_read(request: &Request, name: &str) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
        && query(request).is_empty()
        && request.path().ends_with(name.as_bytes())
}

fn denied(request: &Request) -> Reply {
    error(403, "AccessDenied", &request.method)
}

#[test]
fn each_trouble_of_a_store_is_found_and_nothing_is_left_in_it() {
    let cases: [(&[&str], Front); 22] = [
        (&["error miss-forbidden", "warning uploads-unlisted"], |request, own| {
            let is_list = is(request, "GET", "prefix=");
            if is_list || is_read(request, "/missing") { denied(request) } else { own() }
        }),
        (
            &["error write-denied"],
            |request, own| {
                if is_put(request) { denied(request) } else { own() }
            },
        ),
        (
            &["error read-denied"],
            |request, own| {
                if is_read(request, "/object") { denied(request) } else { own() }
            },
        ),
        (&["warning delete-denied"], |request, own| {
            let is_delete = request.method == "DELETE" && query(request).is_empty();
            if is_delete { denied(request) } else { own() }
        }),
        (&["info list-denied"], |request, own| {
            if is(request, "GET", "list-type=2") { denied(request) } else { own() }
        }),
        (&["warning uploads-unlisted"], |request, own| {
            if is(request, "GET", "uploads") { denied(request) } else { own() }
        }),
        (&["error conditional-writes"], |request, own| {
            let answer = own();
            match is_put(request) && answer.status() == 412 {
                true => Reply::new(200, &[("etag", "\"e\"")], ""),
                false => answer,
            }
        }),
        (&["error conditional-writes"], |request, own| match request.header("if-none-match") {
            Some(_) if request.method == "PUT" => error(501, "NotImplemented", "PUT"),
            _ => own(),
        }),
        (&["error conditional-writes"], |request, own| {
            let result =
                "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
            let answer = own();
            let is_again = is(request, "POST", "uploadId=") && answer.status() == 412;
            if is_again { Reply::new(200, &[], result) } else { answer }
        }),
        (&["error write-failed"], |request, own| {
            if is_put(request) { error(200, "InternalError", "PUT") } else { own() }
        }),
        (&["error write-lost"], |request, own| {
            if is_put(request) { Reply::new(200, &[("etag", "\"e\"")], "") } else { own() }
        }),
        (&["error upload-failed"], |request, own| {
            if is(request, "POST", "uploads") {
                error(405, "MethodNotAllowed", "POST")
            } else {
                own()
            }
        }),
        (&["error upload-failed"], |request, own| {
            if is(request, "POST", "uploadId=") { error(400, "InvalidPart", "POST") } else { own() }
        }),
        (&["error wrong-region"], |_, _| {
            let body =
                "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-1</Region></Error>";
            Reply::new(400, &[], body)
        }),
        (&["error clock-skew"], |request, _| error(403, "RequestTimeTooSkewed", &request.method)),
        (&["error clock-skew"], |_, own| {
            own().filled(|head| {
                let kept: Vec<_> = head.lines().filter(|line| !line.starts_with("date:")).collect();
                format!("{}\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT", kept.join("\r\n"))
            })
        }),
        (&["warning idle-timeout"], |_, own| {
            own().filled(|head| format!("{head}\r\nkeep-alive: timeout=2"))
        }),
        (&["error store-failing"], |request, _| error(503, "SlowDown", &request.method)),
        (&["error invented-object"], |_, _| Reply::new(200, &[], "hello")),
        (&["error invented-object"], |request, _| error(200, "InternalError", &request.method)),
        (&["error no-answer"], |_, _| Reply::raw("")),
        (&["error invented-object"], |_, _| {
            Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
                .then_blocks(vec![0; 1 << 20], 1 << 10)
        }),
    ];
    let origin = origin();
    for (number, (expected, front)) in cases.into_iter().enumerate() {
        let store = Store::files_signed_behind(&[BUCKET], Some(&keys()), front);
        let found = Case::new(url(store.address()), origin.url()).examine();
        assert_eq!(codes(&found), expected, "case {number}: {}", printed(&found));
        let left = store.open_uploads();
        assert!(left.is_empty(), "case {number}: {left:?}");
    }
}

#[test]
fn a_store_that_hangs_is_told_in_time() {
    let (store, origin) = (Server::start(|_| Reply::raw("").stall()), origin());
    let mut case = Case::new(store.url(), origin.url());
    case.options.timeout = Duration::from_millis(500);
    let start = Instant::now();
    let found = case.examine();
    assert_eq!(codes(&found), ["error no-answer"], "{}", printed(&found));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(store.requests().len(), 1, "it is asked no more");
}

#[test]
fn whoever_stops_it_finds_nothing_left_behind() {
    // Stopped while the nth request that changes something is answered: all of them, one by one.
    let origin = origin();
    for last in 1..12 {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let store = Store::files_signed_behind(&[BUCKET], Some(&keys()), move |request, own| {
            let is_change = matches!(request.method.as_str(), "POST" | "PUT");
            if is_change {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            own()
        });
        let case = Case::new(url(store.address()), origin.url());
        let stop = Stop::default();
        let found = case.examine_stopping(&stop, || count.load(Ordering::SeqCst) >= last);
        assert!(is_clean(&store), "{last}: {:?}", store.open_uploads());
        let (line, is_asked) = (&found.lines[0], !found.is_stopped);
        assert!(line.complete || found.is_stopped, "{line:?}");
        assert!(is_asked || !found.is_sound(), "{line:?}");
        assert!(!printed(&found).contains("left-behind"), "{}", printed(&found));
    }
}

#[test]
fn what_was_not_heard_is_not_called_sound() {
    let (store, origin) = (Server::start(|_| Reply::raw("").stall()), origin());
    let case = Case::new(store.url(), origin.url());
    let found = case.examine_stopping(&Stop::default(), || !store.requests().is_empty());
    let line = found.lines[0].text();
    assert!(line.ends_with(": not asked to the end"), "{line}");
    assert!(!found.is_sound() && !found.lines[0].complete);
}
