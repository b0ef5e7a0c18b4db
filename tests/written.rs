//! What a client writes or deletes while a copy of the same object is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::streaming::pattern;
use crate::support::client::{get, request};
use crate::support::gateway::{Gateway, HOSTS, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::until;

const PART: usize = 5 << 20;

/// The lines on an object, once there are so many.
fn lines(gateway: &Gateway, at: &str, key: &str, count: usize) -> Vec<String> {
    let start = format!(" examplebucket/{key}: ");
    until(format!("{at}: {count} lines on {key}"), || {
        let mut lines = gateway.lines();
        lines.retain(|line| line.contains(&start));
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn a_write_ends_the_copy_that_is_under_way() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let bytes = pattern(7, PART + 1_000);
        let size = bytes.len();
        let goes_on = Arc::new(AtomicBool::new(false));
        let may_go_on = Arc::clone(&goes_on);
        let origin = Server::start(move |request| {
            if request.path().starts_with(b"/small") {
                return Reply::new(200, &[], "small");
            }
            until("the word to go on", || may_go_on.load(Ordering::SeqCst).then_some(()));
            Reply::object(request, &[("etag", "\"v\"")], &bytes)
        });
        let store = Store::files_behind(&["examplebucket"], |asked, own| {
            match (asked.method.as_str(), asked.path()) {
                ("DELETE", b"/examplebucket/refused") => error(403, "AccessDenied", "DELETE"),
                _ => own(),
            }
        });
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) },
        }]);
        let limits = Some(json!({ "part_bytes": PART }));
        let setup = Setup { path, limits, ..Setup::new(rules, store.address(), &[origin.address]) };
        let gateway = Gateway::start(host, &setup);
        let to = gateway.address;
        // By callouts few are fetched at once before anything is known of their sizes.
        for number in 0..6 {
            assert_eq!(get(to, format!("/examplebucket/small-{number}")).status, 200, "{at}");
        }
        origin.take_requests();
        let clients = ["deleted", "refused", "put"]
            .map(|key| std::thread::spawn(move || get(to, format!("/examplebucket/{key}"))));
        until(format!("{at}: the fetches"), || (origin.requests().len() >= 3).then_some(()));
        let gone = request("DELETE", "/examplebucket/deleted").send(to).expect("an answer");
        assert_eq!(gone.status, 204, "{at}");
        let refused = request("DELETE", "/examplebucket/refused").send(to).expect("an answer");
        assert_eq!(refused.status, 403, "{at}");
        let newer = request("PUT", "/examplebucket/put").with_body("newer").send(to);
        assert_eq!(newer.expect("an answer").status, 200, "{at}");
        goes_on.store(true, Ordering::SeqCst);
        for client in clients {
            let answer = client.join().expect("a client that ends");
            assert_eq!((answer.status, answer.body.len()), (200, size), "{at}");
        }
        for (key, is_stored) in [("deleted", false), ("refused", true), ("put", false)] {
            let line = &lines(&gateway, &at, key, 1)[0];
            assert_eq!(line.ends_with("stored in the bucket"), is_stored, "{at}: {line}");
            let why = line.contains("a client has written or deleted it");
            assert_eq!(why, !is_stored, "{at}: {line}");
        }
        assert!(store.object("/examplebucket/deleted").is_none(), "{at}");
        let put = store.object("/examplebucket/put").expect("what the client has put");
        assert_eq!(put.body, b"newer", "{at}");
        until(format!("{at}: no upload left open"), || {
            store.open_uploads().is_empty().then_some(())
        });
        // Who asks for it later brings it back, as ever.
        assert_eq!(get(to, "/examplebucket/deleted").status, 200, "{at}");
        let line = &lines(&gateway, &at, "deleted", 2)[1];
        assert!(line.ends_with("stored in the bucket"), "{at}: {line}");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}
