//! Bytes nobody should send. Each gets a clean answer, and then the same worker mirrors on.

use std::io;
use std::net::SocketAddr;

use serde_json::json;

use crate::support::client::{connect, request};
use crate::support::gateway::{Gateway, Host, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wire::Response;

#[test]
fn the_harness_survives_hostile_clients() {
    hostile_clients(Host::Harness, Path::Callout);
}

#[test]
fn envoy_survives_hostile_clients() {
    hostile_clients(Host::Envoy, Path::Callout);
}

#[test]
fn the_harness_survives_hostile_clients_while_streaming() {
    hostile_clients(Host::Harness, Path::Streaming);
}

#[test]
fn envoy_survives_hostile_clients_while_streaming() {
    hostile_clients(Host::Envoy, Path::Streaming);
}

#[test]
fn the_harness_survives_hostile_origins_while_streaming() {
    hostile_origins(Host::Harness, Path::Streaming);
}

#[test]
fn envoy_survives_hostile_origins_while_streaming() {
    hostile_origins(Host::Envoy, Path::Streaming);
}

#[test]
fn the_harness_survives_hostile_origins() {
    hostile_origins(Host::Harness, Path::Callout);
}

#[test]
fn envoy_survives_hostile_origins() {
    hostile_origins(Host::Envoy, Path::Callout);
}

/// What may come of hostile bytes: one of these statuses, or, where a host refuses to speak on,
/// the end of the connection.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    statuses: &'static [u16],
}

/// Requests as they go over the wire.
fn client_cases() -> Vec<Case> {
    let refused: &[u16] = &[400];
    let too_wide: &[u16] = &[431];
    let path =
        |path: &[u8]| [b"GET /examplebucket/", path, b" HTTP/1.1\r\nhost: h\r\n\r\n"].concat();
    let header = |value: &[u8]| {
        [b"GET /examplebucket/served HTTP/1.1\r\nhost: h\r\nx-passed: ", value, b"\r\n\r\n"]
            .concat()
    };
    let case = |name, bytes, statuses| Case { name, bytes, statuses };
    let wide = b"w".repeat(64 * 1024);
    let many = b"x-many: 1\r\n".repeat(2_000);
    let climbing = [b"../".repeat(200), b"etc/passwd".to_vec()].concat();
    vec![
        case("CR in a path", path(b"a\rb"), refused),
        case("NUL in a path", path(b"a\0b"), refused),
        case("DEL in a path", path(b"a\x7fb"), &[400, 404]),
        case("bytes that are no UTF-8 in a path", path(b"\xff\xfe"), &[200, 400, 404]),
        case("raw UTF-8 in a path", path("\u{e9}".as_bytes()), &[200, 400, 404]),
        case("encoded CR LF in a path", path(b"served%0D%0Ax-evil:%201"), &[404]),
        case("encoded NUL in a path", path(b"served%00"), &[404]),
        case("encoded bytes that are no UTF-8", path(b"%ff%fe"), &[404]),
        case("half an escape", path(b"%"), &[400, 404]),
        case("a key of 8 KiB", path(&b"k".repeat(8 * 1024)), &[400, 404, 414]),
        case("a key of 8 KiB in escapes", path(&b"%25".repeat(8 * 1024)), &[400, 404, 414]),
        case(
            "a query of 32 KiB",
            path(&[b"served?", &b"q".repeat(32 * 1024)[..]].concat()),
            &[200, 400, 404, 414],
        ),
        case("dots without end", path(&climbing), &[400, 404]),
        case("slashes without end", path(&b"/".repeat(4 * 1024)), &[400, 404]),
        case("CR in a header's value", header(b"a\rb"), &[200, 400]),
        case("NUL in a header's value", header(b"a\0b"), refused),
        case("a value that is no UTF-8", header(b"\xff\xfe\xfd"), &[200]),
        case("an empty value", header(b""), &[200]),
        case("64 KiB in a header's value", header(&wide), too_wide),
        case(
            "2,000 headers",
            [&b"GET /examplebucket/served HTTP/1.1\r\nhost: h\r\n"[..], &many, b"\r\n"].concat(),
            too_wide,
        ),
        case(
            "a Range that is no UTF-8",
            b"GET /examplebucket/served HTTP/1.1\r\nhost: h\r\nrange: \xff\r\n\r\n".to_vec(),
            &[200, 400],
        ),
        case(
            "a Host that is no UTF-8",
            b"GET /examplebucket/served HTTP/1.1\r\nhost: \xff\r\n\r\n".to_vec(),
            &[200, 400],
        ),
        case("HTTP/1.0", b"GET /examplebucket/served HTTP/1.0\r\nhost: h\r\n\r\n".to_vec(), &[200]),
        case(
            "HTTP/1.0 without a Host",
            b"GET /examplebucket/served HTTP/1.0\r\n\r\n".to_vec(),
            &[200],
        ),
        case("HTTP/0.9", b"GET /examplebucket/served\r\n\r\n".to_vec(), &[200, 400, 426]),
        case(
            "the host of misses",
            b"GET /examplebucket/served HTTP/1.1\r\nhost: back-to-origin.invalid\r\n\r\n".to_vec(),
            // By callouts it is a host like any other.
            &[200, 404],
        ),
        case("no Host", b"GET /examplebucket/served HTTP/1.1\r\n\r\n".to_vec(), &[200, 400]),
        case(
            "an absolute target",
            b"GET http://h/examplebucket/served HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(),
            &[200, 400],
        ),
        case(
            "an asterisk",
            b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(),
            &[200, 204, 400, 403, 404, 405, 501],
        ),
        case("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n".to_vec(), refused),
        case(
            "a length twice",
            b"GET /examplebucket/served HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\
               content-length: 2\r\n\r\nxx"
                .to_vec(),
            refused,
        ),
        case(
            "a length and chunks",
            b"GET /examplebucket/served HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\
               transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_vec(),
            &[200, 400],
        ),
    ]
}

fn hostile_clients(host: Host, path: Path) {
    let bench = Bench::start(host, path);
    let mut failures = Vec::new();
    for case in client_cases() {
        match exchange(bench.gateway.address, &case.bytes) {
            Ok(answer) if case.statuses.contains(&answer.status) && answer.whole => {
                if answer.header("x-evil").is_some() {
                    failures.push(format!("{}: a header of the key's", case.name));
                }
            }
            // A host may refuse without a word.
            Err(error) if case.statuses.contains(&400) && ended(&error) => {}
            other => failures.push(format!("{}: {other:?}, not {:?}", case.name, case.statuses)),
        }
        bench.still_mirrors(case.name, &mut failures);
    }
    bench.end(failures);
}

/// Answers of an origin, as they go over the wire, and the statuses a client may get.
fn origin_cases() -> Vec<Case> {
    let mirrored: &[u16] = &[200];
    let failed: &[u16] = &[424];
    let either: &[u16] = &[200, 424];
    let header =
        |line: &[u8]| [b"HTTP/1.1 200 OK\r\n", line, b"\r\ncontent-length: 4\r\n\r\nbody"].concat();
    let case = |name, bytes, statuses| Case { name, bytes, statuses };
    let many = b"x-many: 1\r\n".repeat(2_000);
    vec![
        case("a value that is no UTF-8", header(b"x-a: \xff\xfe"), mirrored),
        case("a type that is no UTF-8", header(b"content-type: text/\xff"), mirrored),
        case(
            "a file name that is no UTF-8",
            header(b"content-disposition: attachment; filename=\"\xfc.txt\""),
            mirrored,
        ),
        case("NUL in a value", header(b"content-type: a\0b"), failed),
        case("CR in a value", header(b"content-type: a\rb"), either),
        case("a control character in a value", header(b"content-type: a\x01b"), either),
        case(
            "64 KiB in a value that is not kept",
            header(&[b"x-a: ", &b"w".repeat(64 * 1024)[..]].concat()),
            either,
        ),
        case(
            "64 KiB in a value that is kept",
            header(&[b"content-disposition: ", &b"w".repeat(64 * 1024)[..]].concat()),
            either,
        ),
        case(
            "300 KiB in a value",
            header(&[b"x-a: ", &b"w".repeat(300 * 1024)[..]].concat()),
            either,
        ),
        case("2,000 headers", header(many.strip_suffix(b"\r\n").unwrap_or_default()), either),
        case("a header without a name", header(b": x"), failed),
        case("a header with a blank in its name", header(b"a b: x"), failed),
        case("a status of 99", b"HTTP/1.1 099 x\r\ncontent-length: 0\r\n\r\n".to_vec(), failed),
        case("a status of 999", b"HTTP/1.1 999 x\r\ncontent-length: 0\r\n\r\n".to_vec(), failed),
        case(
            "a length that is no number",
            b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\nbody".to_vec(),
            failed,
        ),
        case(
            "a length below zero",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nbody".to_vec(),
            failed,
        ),
        case(
            "a length beyond all",
            b"HTTP/1.1 200 OK\r\ncontent-length: \
             99999999999999999999999\r\n\r\nbody"
                .to_vec(),
            failed,
        ),
        case(
            "a length twice",
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n\
             body"
                .to_vec(),
            failed,
        ),
        case(
            "a length twice that is the same",
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nbody".to_vec(),
            failed,
        ),
        case(
            "a list of lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 4, 4\r\n\r\nbody".to_vec(),
            failed,
        ),
        case(
            "a length beside chunks",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n\
              4\r\nbody\r\n0\r\n\r\n"
                .to_vec(),
            failed,
        ),
        case(
            "a length behind chunks that is right",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n\
              4\r\nbody\r\n0\r\n\r\n"
                .to_vec(),
            failed,
        ),
        case(
            "chunks in chunks",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n\
              4\r\nbody\r\n0\r\n\r\n"
                .to_vec(),
            failed,
        ),
        case(
            "a length that is of the connection alone",
            b"HTTP/1.1 200 OK\r\nconnection: close, content-length\r\ncontent-length: 4\r\n\r\nbody"
                .to_vec(),
            mirrored,
        ),
        // Envoy refuses it.
        case(
            "a blank before a colon",
            b"HTTP/1.1 200 OK\r\ncontent-length : 4\r\n\r\nbody".to_vec(),
            either,
        ),
        case("a header in two lines", header(b"x-a: a\r\n b"), mirrored),
        case(
            "chunks of no size",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
             zz\r\nbody\r\n0\r\n\r\n"
                .to_vec(),
            failed,
        ),
        case(
            "an upgrade nobody asked for",
            b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nbody".to_vec(),
            failed,
        ),
        case(
            "an encoding nobody knows",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: odd\r\n\r\n\
             body"
                .to_vec(),
            failed,
        ),
    ]
}

fn hostile_origins(host: Host, path: Path) {
    let bench = Bench::start(host, path);
    let mut failures = Vec::new();
    for (index, case) in origin_cases().into_iter().enumerate() {
        let target = format!("/examplebucket/case/{index}");
        match request("GET", &target).send(bench.gateway.address) {
            Ok(answer) if case.statuses.contains(&answer.status) && answer.whole => {
                let text = String::from_utf8_lossy(&answer.body);
                if answer.status == 200 && answer.body != b"body" {
                    failures.push(format!("{}: other bytes: {answer:?}", case.name));
                } else if text.contains("cannot be reached") {
                    failures.push(format!("{}: it was reached: {text}", case.name));
                }
            }
            // What is streamed has begun by then.
            Ok(answer) if path == Path::Streaming && case.is_of_the_body() && !answer.whole => {}
            Err(error) if path == Path::Streaming && case.is_of_the_body() && ended(&error) => {}
            other => failures.push(format!("{}: {other:?}, not {:?}", case.name, case.statuses)),
        }
        bench.still_mirrors(case.name, &mut failures);
    }
    bench.end(failures);
}

impl Case {
    /// Whether an origin's head is right, and only what follows is not.
    fn is_of_the_body(&self) -> bool {
        self.name == "chunks of no size"
    }
}

/// Sends bytes and reads whatever comes.
fn exchange(to: SocketAddr, bytes: &[u8]) -> io::Result<Response> {
    let mut wire = connect(to)?;
    // A host may have refused, and closed, before it has read everything.
    let _ = wire.write(bytes);
    wire.read_response("GET")
}

fn ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
    )
}

/// One worker whose rule passes all headers on, which is the hardest for it.
struct Bench {
    gateway: Gateway,
    store: Store,
    origin: Server,
}

impl Bench {
    fn start(host: Host, path: Path) -> Self {
        let store = Store::memory("s3.localhost");
        // Whatever was stored: the next case is a miss again.
        let missing = error(404, "NoSuchKey", "GET");
        store.script.always("GET", "/examplebucket/served", missing);
        let cases = origin_cases();
        let origin = Server::start(move |request| {
            let path = String::from_utf8_lossy(request.path()).into_owned();
            if path == "/served" || path.starts_with("/normal/") {
                return Reply::new(200, &[], "served");
            }
            let case = path.strip_prefix("/case/").and_then(|index| index.parse::<usize>().ok());
            match case.and_then(|index| cases.get(index)) {
                Some(case) => Reply::raw(case.bytes.clone()),
                None => Reply::new(404, &[], ""),
            }
        });
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror",
                "MirrorURL": format!("{}/", origin.url()),
                "MirrorPassQueryString": true,
                "MirrorHeaders": { "PassAll": true },
            },
        }]);
        let mut setup = Setup::new(rules, store.address(), &[origin.address]);
        setup.path = path;
        setup.domain = Some("s3.localhost".to_owned());
        setup.timeouts = Some(json!({ "origin_ms": 2_000 }));
        Self { gateway: Gateway::start(host, &setup), store, origin }
    }

    fn still_mirrors(&self, after: &str, failures: &mut Vec<String>) {
        let key = format!("/normal/{}", self.origin.requests().len());
        let answer = request("GET", format!("/examplebucket{key}")).send(self.gateway.address);
        let is_normal = answer.as_ref().is_ok_and(|answer| {
            answer.status == 200 && answer.body == b"served" && answer.header("x-oss-tag").is_some()
        });
        if !is_normal {
            failures.push(format!("after {after}: {answer:?}"));
        }
    }

    fn end(self, mut failures: Vec<String>) {
        failures.extend(self.gateway.vm_failures());
        for put in self.store.server.requests() {
            if put.header("x-evil").is_some() {
                failures.push("a key's line break became a header at the store".to_owned());
            }
        }
        assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    }
}
