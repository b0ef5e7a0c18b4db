//! Origins that cannot be asked: every client is answered, every request has its line, and each
//! counts.

use std::fs;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::deployed::Deployed;
use crate::support::gateway::{Gateway, HOSTS, Path, Setup};
use crate::support::generated::load;
use crate::support::server::{Busy, ClosedPort, Reply, Server};
use crate::support::store::Store;
use crate::support::tls::{Authority, Encrypted};
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

/// How many origins stand in a row: a MirrorURL and its alternates.
const ROW: usize = 3;

/// One rule for each number of origins in a row, from the first, that cannot be asked: the last has
/// none that can.
fn rules(faults: &[(&str, String)], good: &str) -> Value {
    let mut rules = Vec::new();
    for (fault, bad) in faults {
        for count in 1..=ROW {
            let url = |place: usize| if place < count { bad.as_str() } else { good };
            let alternates: Vec<Value> = (1..ROW)
                .map(|place| {
                    json!({ "MirrorMultiAlternateNumber": place,
                            "MirrorMultiAlternateURL": url(place) })
                })
                .collect();
            rules.push(json!({
                "RuleNumber": rules.len() + 1,
                "Condition": {
                    "KeyPrefixEquals": format!("{fault}/{count}/"),
                    "HttpErrorCodeReturnedEquals": 404,
                },
                "Redirect": {
                    "RedirectType": "Mirror", "MirrorURL": url(0), "MirrorConnectTimeout": 400,
                    "MirrorMultiAlternates": { "MirrorMultiAlternate": alternates },
                },
            }));
        }
    }
    rules.into()
}

#[test]
fn whatever_keeps_an_origin_from_being_asked_the_next_in_its_row_is() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let (closed, busy) = (ClosedPort::reserve(), Busy::start());
    for (host, path) in HOSTS {
        let good = Server::start(|_| Reply::new(200, &[], "good"));
        let encrypted = Encrypted::before(good.address, &unknown);
        let faults = [
            ("refused", format!("http://{}/", closed.address)),
            ("timeout", format!("http://{}/", busy.address)),
            ("tls", format!("https://{}/", encrypted.authority())),
            ("dns", "http://nowhere.invalid/".to_owned()),
        ];
        let store = Store::files(&["examplebucket"]);
        let folder = tempfile::tempdir().expect("a folder for the rules");
        let rules = rules(&faults, &format!("{}/", good.url())).to_string();
        fs::write(folder.path().join("rules.json"), rules).expect("a folder of our own");
        let word = match path {
            Path::Callout => "callout",
            Path::Streaming => "streaming",
        };
        let text = format!(
            "path: {word}\nbuckets:\n- name: examplebucket\n  endpoint: http://{}\n  \
             rules: rules.json\n",
            store.address()
        );
        let loaded = load(&text, folder.path());
        let gateway = Deployed::start(host, &loaded, Some(&known.certificate()));
        for (fault, _) in &faults {
            for count in 1..=ROW {
                let at = format!("{host:?} {path:?}: {fault} {count}");
                let key = format!("/examplebucket/{fault}/{count}/key");
                let answer = get(gateway.address, &key);
                let document = String::from_utf8_lossy(&answer.body);
                if count < ROW {
                    assert_eq!((answer.status, &*document), (200, "good"), "{at}: {answer:?}");
                    let stored = until(&at, || store.object(&key));
                    assert_eq!(stored.body, b"good", "{at}");
                } else {
                    assert_eq!(answer.status, 424, "{at}: {answer:?}");
                    assert!(document.contains("<Code>MirrorFailed</Code>"), "{at}: {document}");
                    let line = format!("GET examplebucket/{fault}/{count}/key: bucket 404, rule");
                    until(format!("{at}: a line"), || gateway.log().contains(&line).then_some(()));
                }
            }
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?} {path:?}");
    }
}
