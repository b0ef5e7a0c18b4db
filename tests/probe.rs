//! `MirrorURLProbe`: an origin that is not well is asked last.
//!
//! A probe goes out beside a request, and what it says counts for those that come after its answer:
//! nobody can say for which of them first.

use serde_json::json;

use crate::support::client::get;
use crate::support::gateway::{Gateway, HOSTS, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::until;

#[test]
fn an_origin_that_is_not_well_is_asked_last() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let ill = Server::start(|request| match request.path() {
            b"/well" => Reply::new(503, &[], "not well"),
            _ => Reply::new(200, &[], "of the ill one"),
        });
        let other = Server::start(|_| Reply::new(200, &[], "of the other"));
        let store = Store::files(&["examplebucket"]);
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror", "MirrorURL": format!("{}/", ill.url()),
                "MirrorURLSlave": format!("{}/", other.url()),
                "MirrorURLProbe": format!("{}/well", ill.url()),
            },
        }]);
        let setup =
            Setup { path, ..Setup::new(rules, store.address(), &[ill.address, other.address]) };
        let gateway = Gateway::start(host, &setup);
        let asked = |key: usize| {
            let answer = get(gateway.address, format!("/examplebucket/{key}"));
            assert_eq!(answer.status, 200, "{at}: {answer:?}");
            answer.body
        };
        // Until a probe has been answered, an origin is well.
        assert_eq!(asked(0), b"of the ill one", "{at}");
        let mut key = 0;
        until(format!("{at}: the other is asked first"), || {
            key += 1;
            (asked(key) == b"of the other").then_some(())
        });
        ill.take_requests();
        assert_eq!(asked(key + 1), b"of the other", "{at}");
        let requests = ill.take_requests();
        assert!(requests.iter().all(|request| request.path() == b"/well"), "{at}: {requests:?}");
        let requests = other.take_requests();
        assert!(requests.iter().all(|request| request.path() != b"/well"), "{at}: {requests:?}");
    }
}
