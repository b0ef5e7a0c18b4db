//! Answers of origins whose end nobody can tell from a break, or that contradict themselves; and
//! bodies that no origin gets.

use serde_json::{Value, json};

use crate::support::client::{get, request};
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup};
use crate::support::rules::on_miss;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, until, within};

const BYTES: &[u8] = b"as many bytes as there are";

/// An answer without a length that ends with its connection.
fn closed(more: &str, bytes: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{more}\r\n");
    Reply::raw([head.as_bytes(), bytes].concat())
}

fn chunked(bytes: &[u8]) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let size = format!("{:x}\r\n", bytes.len());
    Reply::raw([head.as_bytes(), size.as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat()).keep()
}

/// One rule for everything, and one for what has another origin behind the first.
fn rules(origin: &Server) -> Value {
    let url = format!("{}/", origin.url());
    let one = json!({
        "RedirectType": "Mirror", "MirrorURL": url, "MirrorAllowHeadObject": true,
    });
    let mut two = one.clone();
    two["MirrorURLSlave"] = format!("{url}slave/").into();
    json!([on_miss(1, "two/", two), on_miss(2, "", one)])
}

fn gateway(host: Host, path: Path, store: &Store, origin: &Server) -> Gateway {
    let setup = Setup { path, ..Setup::new(rules(origin), store.address(), &[origin.address]) };
    Gateway::start(host, &setup)
}

/// The line on an object, once it is there.
fn line(gateway: &Gateway, at: &str, key: &str) -> String {
    let start = format!(" examplebucket/{key}: ");
    until(format!("{at}: a line on {key}"), || {
        gateway.lines().into_iter().find(|line| line.contains(&start))
    })
}

#[test]
fn what_ends_with_its_connection_is_given_and_not_stored() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|request| {
            let ranges = "accept-ranges: bytes\r\netag: \"v\"\r\n";
            match request.path().rsplit(|byte| *byte == b'/').next().unwrap_or_default() {
                b"closed" => closed("", BYTES),
                b"reset" => closed("", &BYTES[..10]).reset(),
                b"chunked" => chunked(BYTES),
                b"ranges" if request.header("range").is_some() => {
                    Reply::object(request, &[("etag", "\"v\"")], BYTES)
                }
                b"ranges" => closed(ranges, BYTES),
                b"promised" => closed(ranges, BYTES),
                b"forged" => closed("x-envoy-miss-framing: HTTP/2 chunked\r\n", BYTES),
                _ => Reply::new(404, &[], ""),
            }
        });
        let gateway = gateway(host, path, &store, &origin);
        for folder in ["one", "two"] {
            for (name, is_stored) in [
                ("closed", false),
                ("reset", false),
                ("chunked", true),
                // By callouts an object comes whole or not at all.
                ("ranges", path == Path::Streaming),
                ("promised", false),
                ("forged", false),
            ] {
                let key = format!("{folder}/{name}");
                let target = format!("/examplebucket/{key}");
                let answer = request("GET", &target).send(gateway.address);
                if name != "reset" {
                    let answer = answer.expect("an answer");
                    assert_eq!(
                        (answer.status, answer.body.as_slice()),
                        (200, BYTES),
                        "{at}: {key}"
                    );
                }
                let line = line(&gateway, &at, &key);
                assert_eq!(line.ends_with("stored in the bucket"), is_stored, "{at}: {line}");
                assert_eq!(store.object(&target).is_some(), is_stored, "{at}: {key}: {line}");
                if !is_stored && name != "reset" {
                    assert!(line.contains("neither a length nor chunks"), "{at}: {line}");
                }
            }
        }
        let not_stored = || gateway.counters().get("not_stored").copied();
        let counted = within(DEADLINE, || (not_stored() >= Some(6)).then_some(()));
        assert!(counted.is_some(), "{at}: {:?}", gateway.counters());
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn a_200_that_says_it_is_a_part_is_nobodys_object() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|request| {
            let range = match request.path() {
                b"/part" => format!("bytes 0-{}/4000", BYTES.len() - 1),
                b"/untold" => format!("bytes 0-{}/*", BYTES.len() - 1),
                _ => format!("bytes 0-{}/{}", BYTES.len() - 1, BYTES.len()),
            };
            Reply::new(200, &[("content-range", &range)], BYTES)
        });
        let gateway = gateway(host, path, &store, &origin);
        for range in [None, Some("bytes=0-25")] {
            for key in ["part", "untold"] {
                let asking = request("GET", format!("/examplebucket/{key}"));
                let asking =
                    range.into_iter().fold(asking, |asking, range| asking.with("range", range));
                let answer = asking.send(gateway.address).expect("an answer");
                assert_eq!(answer.status, 424, "{at}: {key} {range:?}: {answer:?}");
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(text.contains("Content-Range of a part"), "{at}: {text}");
            }
        }
        let whole = get(gateway.address, "/examplebucket/whole");
        assert_eq!((whole.status, whole.body.as_slice()), (200, BYTES), "{at}");
        assert_eq!(whole.header("content-range"), None, "{at}");
        let stored = until(format!("{at}: the whole one"), || store.object("/examplebucket/whole"));
        assert_eq!(stored.body, BYTES, "{at}");
        for key in ["part", "untold"] {
            assert!(store.object(format!("/examplebucket/{key}")).is_none(), "{at}: {key}");
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn the_body_of_a_read_reaches_no_origin() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|request| match request.path().starts_with(b"/two/") {
            true => Reply::new(503, &[], ""),
            false => Reply::new(200, &[], BYTES),
        });
        let gateway = gateway(host, path, &store, &origin);
        let secret = b"what only the bucket is told".to_vec();
        for method in ["GET", "HEAD"] {
            for folder in ["one", "two"] {
                for coding in ["length", "chunked"] {
                    let target = format!("/examplebucket/{folder}/{method}-{coding}");
                    let asking = request(method, &target);
                    let asking = match coding {
                        "length" => asking.with_body(secret.clone()),
                        _ => {
                            let chunk = format!("{:x}\r\n", secret.len()).into_bytes();
                            let body = [&chunk[..], &secret, b"\r\n0\r\n\r\n"].concat();
                            // The body is written as it is, and no length with it.
                            let mut bytes = asking
                                .with("transfer-encoding", "chunked")
                                .addressed(gateway.address)
                                .to_bytes();
                            bytes.extend_from_slice(&body);
                            let mut wire = crate::support::client::connect(gateway.address)
                                .expect("a connection");
                            wire.write(&bytes).expect("a request");
                            let answer = wire.read_response(method).expect("an answer");
                            assert_eq!(answer.status, 200, "{at}: {target}");
                            continue;
                        }
                    };
                    let answer = asking.send(gateway.address).expect("an answer");
                    assert_eq!(answer.status, 200, "{at}: {target}: {answer:?}");
                }
            }
        }
        let asked = origin.requests();
        assert!(asked.len() >= 12, "{at}: {} requests", asked.len());
        for request in asked {
            assert_eq!(request.body, b"", "{at}: {request:?}");
            assert_eq!(request.header("transfer-encoding"), None, "{at}: {request:?}");
            let length = request.header("content-length").unwrap_or_default();
            assert!(length.is_empty() || length == "0", "{at}: {request:?}");
        }
        assert_eq!(gateway.hung_requests(), None, "{at}");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}
