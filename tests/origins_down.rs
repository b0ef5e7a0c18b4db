//! Origins that cannot be asked: every client is answered, every request has its line, and each
//! counts.

use serde_json::json;

use crate::support::client::get;
use crate::support::gateway::{Gateway, HOSTS, Setup};
use crate::support::server::ClosedPort;
use crate::support::store::Store;
use crate::support::wait::until;

#[test]
fn three_requests_of_an_origin_that_is_down_are_three_lines_and_count_three() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let (store, down) = (Store::files(&["examplebucket"]), ClosedPort::reserve());
        let rules = json!([{
            "RuleNumber": 7,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("http://{}/", down.address) },
        }]);
        let setup = Setup { path, ..Setup::new(rules, store.address(), &[down.address]) };
        let gateway = Gateway::start(host, &setup);
        for key in 0..3 {
            let answer = get(gateway.address, format!("/examplebucket/{key}"));
            assert_eq!(answer.status, 424, "{at}: {answer:?}");
            let document = String::from_utf8_lossy(&answer.body);
            assert!(document.contains("<Code>MirrorFailed</Code>"), "{at}: {document}");
            assert!(document.contains("cannot be reached"), "{at}: {document}");
        }
        let failed = || gateway.counters().get("mirror_failed").copied();
        until(format!("{at}: three lines"), || (gateway.lines().len() >= 3).then_some(()));
        until(format!("{at}: a count of three"), || (failed() >= Some(3)).then_some(()));
        let lines = gateway.lines();
        assert_eq!((lines.len(), failed()), (3, Some(3)), "{at}: {lines:#?}");
        for (key, line) in lines.iter().enumerate() {
            let start = format!("GET examplebucket/{key}: bucket 404, rule 7 Mirror, origin http");
            assert!(line.starts_with(&start), "{at}: {line}");
            assert!(line.contains("client got 424 MirrorFailed"), "{at}: {line}");
            assert!(line.contains("cannot be reached"), "{at}: {line}");
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}
