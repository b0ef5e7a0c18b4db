//! An upload that the store has made and not confirmed: found and aborted, where the store lists it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::pattern;
use super::promises::{HEADERS, everywhere, setup};
use crate::support::client::get;
use crate::support::gateway::{Gateway, Host};
use crate::support::server::{Reply, Server};
use crate::support::store::{Keys, Store, error};
use crate::support::wait::until;
use crate::support::wire::Request;

/// `a b+c&d=e/ü%`, as a path has it.
const PATH: &str = "/examplebucket/a%20b%2Bc%26d%3De/%C3%BC%25";

/// A store that makes the first upload and does not say so.
fn store(
    keys: Option<&Keys>,
    otherwise: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> Store {
    let creations = AtomicUsize::new(0);
    Store::files_signed_behind(&["examplebucket"], keys, move |asked, own| {
        if let Some(reply) = otherwise(asked) {
            return reply;
        }
        let reply = own();
        let is_creation = asked.method == "POST" && asked.target.ends_with(b"?uploads");
        if is_creation && creations.fetch_add(1, Ordering::SeqCst) == 0 {
            assert_eq!(reply.status(), 200, "it is made");
            return Reply::raw("").reset();
        }
        reply
    })
}

/// Has an object of two parts mirrored, and waits for what is told then.
fn mirror(host: Host, store: &Store, keys: Option<&Keys>, path: &str, told: &str) {
    let object = Arc::new(pattern(5, 6 << 20));
    let served = Arc::clone(&object);
    let origin = Server::start(move |request| Reply::object(request, HEADERS, &served));
    let mut setup = setup(store.address(), &origin, keys);
    setup.limits = Some(json!({ "part_bytes": 5 << 20 }));
    setup.timeouts = Some(json!({ "unconfirmed_upload_ms": 100 }));
    let gateway = Gateway::start(host, &setup);
    let miss = get(gateway.address, path);
    assert!(miss.status == 200 && miss.body == *object, "{host:?}: {miss:?}");
    let found = || gateway.log().contains(told).then_some(());
    until(format!("{host:?}: `{told}`"), found);
    until(format!("{host:?}: the object"), || gateway.log().contains(" stored in ").then_some(()));
    let hit = get(gateway.address, path);
    assert!(hit.status == 200 && hit.body == *object, "{host:?}: {hit:?}");
    assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
}

#[test]
fn an_upload_of_any_key_is_found_in_a_store_that_verifies_signatures() {
    everywhere(|host| {
        let keys = Keys { access: "AK".to_owned(), secret: "so/me+secret=".to_owned() };
        let store = store(Some(&keys), |_| None);
        let told = " was not confirmed, had no part, and is aborted";
        mirror(host, &store, Some(&keys), PATH, told);
        assert_eq!(store.open_uploads(), Vec::<String>::new(), "{host:?}");
    });
}

#[test]
fn a_store_that_does_not_list_uploads_is_told_of() {
    everywhere(|host| {
        let store = store(None, |asked| {
            let is_list = asked.method == "GET" && asked.target.ends_with(b"uploads");
            is_list.then(|| error(501, "NotImplemented", "GET"))
        });
        let told = "uploads are not listed: the store refused it with 501; one of examplebucket/key \
                    may stay open until a lifecycle rule ends it (AbortIncompleteMultipartUpload)";
        mirror(host, &store, None, "/examplebucket/key", told);
        assert!(!store.open_uploads().is_empty(), "{host:?}: nobody could abort it");
    });
}
