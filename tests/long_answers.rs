//! Buckets that answer a miss with more than anybody wants to hold: what is dropped takes no memory,
//! and nobody waits for its end.

use serde_json::json;

use crate::support::client::get;
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::until;

const MIB: u64 = 1 << 20;

/// What Envoy may need beside what it has at rest.
const MOST_MEMORY: u64 = 48 * MIB;

/// A 404 with a length, and so many blocks of a mebibyte.
fn announced(blocks: u64) -> Reply {
    let head = format!(
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n",
        blocks * MIB
    );
    Reply::raw(head).then_blocks(vec![b'.'; MIB as usize], blocks)
}

/// A 404 without a length that never ends.
fn endless() -> Reply {
    let chunk = [b"10000\r\n".to_vec(), vec![b'.'; 0x1_0000], b"\r\n".to_vec()].concat();
    let head = "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n";
    Reply::raw(head).then_blocks(chunk, u64::MAX)
}

/// The same, which says that it is an error document.
fn endless_document() -> Reply {
    let chunk = [b"10000\r\n".to_vec(), vec![b'.'; 0x1_0000], b"\r\n".to_vec()].concat();
    let head = "HTTP/1.1 404 Not Found\r\ncontent-type: application/xml\r\n\
                transfer-encoding: chunked\r\n\r\n";
    Reply::raw(head).then_blocks(chunk, u64::MAX)
}

/// A 404 whose body stops coming, and does not end.
fn stalled() -> Reply {
    Reply::raw("HTTP/1.1 404 Not Found\r\ncontent-length: 1000\r\n\r\n<Error>").stall()
}

#[test]
fn what_a_bucket_answers_a_miss_with_is_dropped_however_long_it_is() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files(&["examplebucket"]);
        let answers = [
            ("1-gib", announced(1_024)),
            ("endless", endless()),
            ("endless-document", endless_document()),
            ("stalled", stalled()),
            ("just-drained", Reply::new(404, &[], vec![b'.'; 65_536])),
            ("just-not", Reply::new(404, &[], vec![b'.'; 65_537])),
        ];
        let origin = Server::start(|_| Reply::new(200, &[], "mirrored"));
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "KeyPrefixEquals": "m/", "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) },
        }]);
        let setup = Setup { path, ..Setup::new(rules, store.address(), &[origin.address]) };
        let gateway = Gateway::start(host, &setup);
        assert_eq!(get(gateway.address, "/examplebucket/m/first").body, b"mirrored", "{at}");
        let rest = gateway.process().map(|process| {
            process.forget_peak();
            (process, process.memory())
        });
        for (key, answer) in answers {
            let target = format!("/examplebucket/m/{key}");
            // The next one is from the bucket itself.
            store.script.first("GET", &target, &[answer]);
            let answer = get(gateway.address, &target);
            // A short body that is announced and does not come is waited for, as long as anything
            // may be silent.
            if key == "stalled" && answer.status == 504 {
                continue;
            }
            // Envoy reads an error document that has no length, and holds half a mebibyte of it.
            if key == "endless-document" && answer.status == 500 {
                assert_eq!((host, path), (Host::Envoy, Path::Streaming));
                store.script.first("GET", &target, &[]);
                continue;
            }
            let found = (answer.status, answer.body.as_slice());
            assert_eq!(found, (200, &b"mirrored"[..]), "{at}: {key}: {answer:?}");
            let stored = until(format!("{at}: {key} in the bucket"), || store.object(&target));
            assert_eq!(stored.body, b"mirrored", "{at}: {key}");
        }
        if let Some((process, rest)) = rest {
            let grown = process.peak().saturating_sub(rest);
            assert!(grown <= MOST_MEMORY, "{at}: {} MiB more than at rest", grown / MIB);
        }
        assert_eq!(gateway.hung_requests(), None, "{at}");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

/// The client gets what the bucket says, whole, though it has been asked twice.
#[test]
fn a_long_404_that_no_rule_covers_is_the_clients() {
    const BLOCKS: u64 = 64;
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files(&["examplebucket"]);
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "KeyPrefixEquals": "m/", "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "External", "HostName": "elsewhere.example" },
        }]);
        let setup = Setup { path, ..Setup::new(rules, store.address(), &[]) };
        let gateway = Gateway::start(host, &setup);
        for (key, reply, length) in [
            ("long", announced(BLOCKS), BLOCKS * MIB),
            ("short", error(404, "NoSuchKey", "GET"), 58),
        ] {
            let target = format!("/examplebucket/{key}");
            store.script.always("GET", &target, reply);
            let answer = get(gateway.address, &target);
            let found = (answer.status, answer.whole, answer.body.len() as u64);
            assert_eq!(found, (404, true, length), "{at}: {key}: {answer:?}");
        }
        if path == Path::Streaming {
            let requests = store.server.requests();
            assert_eq!(requests.len(), 4, "{at}: the bucket is asked again");
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}
