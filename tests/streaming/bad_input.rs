//! The table of bad input: every row in one real Envoy, a dozen of them at once.
//!
//! Whatever comes, a client gets as much as can be given honestly, nothing wrong is stored, no
//! upload is left open, no request hangs and no memory is lost. The test prints the table and
//! leaves it in the target folder.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::pattern;
use crate::support::client::{connect, get, request};
use crate::support::gateway::{Gateway, Host, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::{DEADLINE, until, within};
use crate::support::wire::Request;

/// A part, as small as S3 takes it.
const PART: usize = 5 << 20;

/// An object of three parts.
const LARGE: usize = 2 * PART + 12_345;

/// An object of one PUT.
const SMALL: usize = 100_000;

/// How long an origin, and a store, may be silent.
const SILENCE: Duration = Duration::from_secs(2);

/// One row.
struct Row {
    name: &'static str,
    size: usize,
    origin: Origin,
    store: Fault,
    client: Client,
    gets: Gets,
    kept: Kept,
}

/// An origin's answer to a request, which is its nth for the object.
type Origin = fn(&Request, usize, &Object) -> Reply;

/// A store's answer in place of its own, to a request that is the nth of its kind.
type Fault = fn(Operation, usize) -> Answer;

/// What an origin has.
struct Object {
    bytes: Vec<u8>,
    /// What it has after a change.
    changed: Vec<u8>,
}

/// A request to the store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Operation {
    Abort,
    Complete,
    Create,
    Part(u32),
    Put,
    Read,
}

/// What the store does.
enum Answer {
    /// What it is asked.
    Own,
    /// What it is asked; and nobody hears of it.
    OwnUnheard,
    /// Something else.
    Instead(Reply),
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// It reads to the end.
    Reads,
    /// It asks for some bytes only.
    Ranges(&'static str),
    /// It leaves once the origin has been asked.
    LeavesBefore,
    /// It leaves after so many bytes of the answer.
    LeavesAfter(usize),
    /// It reads nothing for a while: longer than an origin may be silent.
    Pauses,
}

/// What a client gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gets {
    /// All of the object.
    All,
    /// The part it asked for.
    Part,
    /// A part of the object, and then the end of the connection.
    Cut,
    /// This error, as a document of S3's.
    Error(u16),
    /// Nothing more: it has gone.
    Gone,
}

/// What the bucket has in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kept {
    All,
    Nothing,
    /// All or nothing.
    Whole,
}

impl fmt::Display for Gets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("the whole object"),
            Self::Part => f.write_str("the part it asked for"),
            Self::Cut => f.write_str("a beginning, then a cut connection"),
            Self::Error(status) => write!(f, "{status} as S3 words it"),
            Self::Gone => f.write_str("(it has left)"),
        }
    }
}

fn headers(etag: &'static str) -> [(&'static str, &'static str); 2] {
    [("content-type", "text/plain"), ("etag", etag)]
}

/// An origin without fault, which knows ranges.
fn good(request: &Request, _: usize, object: &Object) -> Reply {
    Reply::object(request, &headers("\"v\""), &object.bytes)
}

/// What an origin says of an object whose bytes are not the ones it means: an MD5 of none.
const FALSE: [(&str, &str); 3] = [
    ("content-type", "text/plain"),
    ("etag", "\"v\""),
    ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
];

/// A head that announces one length, and a body of another.
fn announcing(announced: usize, body: &[u8]) -> Reply {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"v\"\r\n\
         content-length: {announced}\r\n\r\n"
    );
    Reply::raw([head.as_bytes(), body].concat())
}

fn half(object: &Object) -> &[u8] {
    &object.bytes[..object.bytes.len() / 2]
}

fn own(_: Operation, _: usize) -> Answer {
    Answer::Own
}

fn instead(status: u16) -> Answer {
    Answer::Instead(error(status, "Scripted", "PUT"))
}

/// A row about an origin.
fn origin(name: &'static str, size: usize, origin: Origin, gets: Gets, kept: Kept) -> Row {
    Row { name, size, origin, store: own, client: Client::Reads, gets, kept }
}

/// A row about a store; the client never notices.
fn store(name: &'static str, size: usize, store: Fault, kept: Kept) -> Row {
    Row { name, size, origin: good, store, client: Client::Reads, gets: Gets::All, kept }
}

/// A row about a client.
fn client(name: &'static str, size: usize, client: Client, gets: Gets, kept: Kept) -> Row {
    Row { name, size, origin: good, store: own, client, gets, kept }
}

fn origins() -> Vec<Row> {
    vec![
        origin(
            "origin sends too few bytes",
            SMALL,
            |_, _, object| announcing(object.bytes.len(), half(object)),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin sends too few bytes, of many",
            LARGE,
            |_, _, object| announcing(object.bytes.len(), half(object)),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin sends more bytes than it announced",
            SMALL,
            |_, _, object| {
                announcing(object.bytes.len(), &[&object.bytes[..], b"and more"].concat())
            },
            Gets::All,
            Kept::Whole,
        ),
        origin(
            "origin resets half way",
            LARGE,
            |_, _, object| announcing(object.bytes.len(), half(object)).reset(),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin resets half way, once",
            LARGE,
            |request, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).reset(),
                _ => good(request, nth, object),
            },
            Gets::Cut,
            Kept::All,
        ),
        origin(
            "origin resets half way, and has changed then",
            LARGE,
            |request, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).reset(),
                _ => Reply::object(request, &headers("\"w\""), &object.changed),
            },
            Gets::Cut,
            Kept::Whole,
        ),
        origin(
            "origin breaks off a body of chunks",
            SMALL,
            |_, _, _| {
                Reply::raw(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
                )
            },
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin stalls before its answer",
            SMALL,
            |_, _, _| Reply::raw("").stall(),
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin stalls half way",
            LARGE,
            |_, _, object| announcing(object.bytes.len(), half(object)).stall(),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin stalls half way, once",
            LARGE,
            |request, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).stall(),
                _ => good(request, nth, object),
            },
            Gets::Cut,
            Kept::All,
        ),
        origin(
            "origin sends 206 unasked",
            SMALL,
            |_, _, object| {
                Reply::new(206, &[("content-range", "bytes 0-9/100000")], &object.bytes[..10])
            },
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin announces the digest of other bytes",
            SMALL,
            |request, _, object| Reply::object(request, &FALSE, &object.bytes),
            Gets::All,
            Kept::Nothing,
        ),
        origin(
            "origin announces the digest of other bytes, of many",
            LARGE,
            |request, _, object| Reply::object(request, &FALSE, &object.bytes),
            Gets::All,
            Kept::Nothing,
        ),
        Row {
            client: Client::Ranges("bytes=10-19"),
            ..origin(
                "origin announces the digest of other bytes in a backfill",
                LARGE,
                |request, _, object| Reply::object(request, &FALSE, &object.bytes),
                Gets::Part,
                Kept::Nothing,
            )
        },
        origin(
            "origin sends no HTTP",
            SMALL,
            |_, _, _| Reply::raw("SSH-2.0-hello\r\n\r\n"),
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin sends a header with NUL",
            SMALL,
            |_, _, _| Reply::raw("HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 4\r\n\r\nbody"),
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin sends two lengths",
            SMALL,
            |_, _, _| {
                Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbody")
            },
            Gets::Error(424),
            Kept::Nothing,
        ),
        Row {
            client: Client::Ranges("bytes=10-19"),
            ..origin(
                "origin changes its ETag between parts of a backfill",
                LARGE,
                |request, nth, object| match nth {
                    0..3 => good(request, nth, object),
                    // Without preconditions it would be taken for the same.
                    _ => {
                        let mut request = request.clone();
                        request.headers.retain(|(name, _)| name != "if-match");
                        Reply::object(&request, &headers("\"w\""), &object.changed)
                    }
                },
                Gets::Part,
                Kept::Whole,
            )
        },
        Row {
            client: Client::Ranges("bytes=10-19"),
            ..origin(
                "origin changes between parts of a backfill, and has no ETag",
                LARGE,
                |request, nth, object| {
                    let bytes = if nth < 3 { &object.bytes } else { &object.changed };
                    Reply::object(request, &[("content-type", "text/plain")], bytes)
                },
                Gets::Part,
                Kept::Whole,
            )
        },
    ]
}

fn stores() -> Vec<Row> {
    use Operation::{Abort, Complete, Create, Part, Put, Read};
    vec![
        store("store answers 403 to a PUT", SMALL, |of, _| at(of == Put, 403), Kept::Nothing),
        store(
            "store answers 409 to a PUT, once",
            SMALL,
            |of, n| at(of == Put && n < 1, 409),
            Kept::All,
        ),
        store(
            "store answers 409 to a PUT, always",
            SMALL,
            |of, _| at(of == Put, 409),
            Kept::Nothing,
        ),
        store("store answers 412 to a PUT", SMALL, |of, _| at(of == Put, 412), Kept::Nothing),
        store(
            "store answers 500 to a PUT, twice",
            SMALL,
            |of, n| at(of == Put && n < 2, 500),
            Kept::All,
        ),
        store(
            "store answers 503 to a PUT, always",
            SMALL,
            |of, _| at(of == Put, 503),
            Kept::Nothing,
        ),
        store(
            "store takes a PUT, and its answer is lost",
            SMALL,
            |of, n| if of == Put && n == 0 { Answer::OwnUnheard } else { Answer::Own },
            Kept::All,
        ),
        store("store hangs in a PUT, always", SMALL, |of, _| hang(of == Put), Kept::Nothing),
        store("store answers 403 to a create", LARGE, |of, _| at(of == Create, 403), Kept::Nothing),
        store(
            "store answers 503 to a create, twice",
            LARGE,
            |of, n| at(of == Create && n < 2, 503),
            Kept::All,
        ),
        store(
            "store makes an upload, and its answer is lost",
            LARGE,
            |of, n| if of == Create && n == 0 { Answer::OwnUnheard } else { Answer::Own },
            Kept::All,
        ),
        store("store answers 403 to a part", LARGE, |of, _| at(of == Part(2), 403), Kept::Nothing),
        store(
            "store answers 500 to a part, twice",
            LARGE,
            |of, n| at(of == Part(2) && n < 2, 500),
            Kept::All,
        ),
        store(
            "store answers 503 to a part, always",
            LARGE,
            |of, _| at(of == Part(2), 503),
            Kept::Nothing,
        ),
        store(
            "store hangs in a part, once",
            LARGE,
            |of, n| hang(of == Part(2) && n < 1),
            Kept::All,
        ),
        store("store hangs in a part, always", LARGE, |of, _| hang(of == Part(1)), Kept::Nothing),
        store(
            "store answers 403 to a completion",
            LARGE,
            |of, _| at(of == Complete, 403),
            Kept::Nothing,
        ),
        store(
            "store answers 409 to a completion, once",
            LARGE,
            |of, n| at(of == Complete && n < 1, 409),
            Kept::All,
        ),
        store(
            "store answers 412 to a completion",
            LARGE,
            |of, _| at(of == Complete, 412),
            Kept::Nothing,
        ),
        store(
            "store answers 500 to a completion, always",
            LARGE,
            |of, _| at(of == Complete, 500),
            Kept::Nothing,
        ),
        store(
            "store answers 200 with an error to a completion, once",
            LARGE,
            |of, n| match (of, n) {
                (Complete, 0) => Answer::Instead(Reply::new(
                    200,
                    &[("content-type", "application/xml")],
                    "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>",
                )),
                _ => Answer::Own,
            },
            Kept::All,
        ),
        store(
            "store completes, and its answer is lost",
            LARGE,
            |of, n| if of == Complete && n == 0 { Answer::OwnUnheard } else { Answer::Own },
            Kept::All,
        ),
        store(
            "store dies in an upload, and comes back",
            LARGE,
            |of, n| reset(matches!(of, Part(2..) | Complete | Abort) && n < 3),
            Kept::All,
        ),
        store(
            "store dies in an upload, and only aborts",
            LARGE,
            |of, n| reset(matches!(of, Part(2..) | Complete) || (of == Abort && n < 2)),
            Kept::Nothing,
        ),
        store(
            "store answers 503 to everything for a while",
            LARGE,
            |of, n| at(of != Read && n < 2, 503),
            Kept::All,
        ),
    ]
}

fn at(now: bool, status: u16) -> Answer {
    if now { instead(status) } else { Answer::Own }
}

fn hang(now: bool) -> Answer {
    if now { Answer::Instead(Reply::raw("").stall()) } else { Answer::Own }
}

fn reset(now: bool) -> Answer {
    if now { Answer::Instead(Reply::raw("").reset()) } else { Answer::Own }
}

fn clients() -> Vec<Row> {
    vec![
        Row {
            origin: |request, nth, object| match nth {
                0 => Reply::raw("").stall(),
                _ => good(request, nth, object),
            },
            ..client(
                "client leaves before the origin answers",
                SMALL,
                Client::LeavesBefore,
                Gets::Gone,
                Kept::Whole,
            )
        },
        client(
            "client leaves after the first bytes",
            LARGE,
            Client::LeavesAfter(1),
            Gets::Gone,
            Kept::All,
        ),
        client(
            "client leaves half way",
            LARGE,
            Client::LeavesAfter(LARGE / 2),
            Gets::Gone,
            Kept::All,
        ),
        client(
            "client leaves before the last bytes",
            LARGE,
            Client::LeavesAfter(LARGE - 1),
            Gets::Gone,
            Kept::All,
        ),
        client("client pauses", 3 * LARGE, Client::Pauses, Gets::All, Kept::All),
        client(
            "client asks for a part",
            LARGE,
            Client::Ranges("bytes=10-19"),
            Gets::Part,
            Kept::All,
        ),
        Row {
            origin: |_, _, object| Reply::new(200, &headers("\"v\""), &object.bytes),
            ..client(
                "client asks for a part, and the origin knows none",
                SMALL,
                Client::Ranges("bytes=10-19"),
                Gets::All,
                Kept::All,
            )
        },
    ]
}

#[test]
fn bad_input_in_envoy() {
    let rows: Vec<Row> = [origins(), stores(), clients()].into_iter().flatten().collect();
    let bench = Bench::start(rows);
    let outcomes = bench.ask_all();
    let mut failures = Vec::new();
    let mut table =
        String::from("| What goes wrong | The client gets | The bucket has |\n|---|---|---|\n");
    for (index, (row, outcome)) in bench.rows.iter().zip(&outcomes).enumerate() {
        let gets = match outcome {
            Ok(gets) => gets.to_string(),
            Err(error) => error.clone(),
        };
        if *outcome != Ok(row.gets) {
            failures.push(format!("{}: the client got {gets}, not {}", row.name, row.gets));
        }
        let kept = bench.kept(index);
        let right = match row.kept {
            Kept::All => kept == Ok(true),
            Kept::Nothing => kept == Ok(false),
            Kept::Whole => kept.is_ok(),
        };
        let kept = match kept {
            Ok(true) => "the object".to_owned(),
            Ok(false) => "nothing".to_owned(),
            Err(error) => error,
        };
        if !right {
            failures.push(format!("{}: the bucket has {kept}, not {:?}", row.name, row.kept));
        }
        table.push_str(&format!("| {} | {gets} | {kept} |\n", row.name));
    }
    println!("{table}");
    fs::write(FilePath::new(env!("CARGO_TARGET_TMPDIR")).join("bad-input.md"), &table)
        .expect("a table in the target folder");
    failures.extend(bench.end());
    let log = bench.gateway.log();
    assert!(failures.is_empty(), "{} failures\n{}\n{log}", failures.len(), failures.join("\n"));
}

/// One Envoy with one worker, and all rows before and behind it.
struct Bench {
    rows: Arc<Vec<Row>>,
    objects: Arc<Vec<Object>>,
    gateway: Gateway,
    store: Store,
    origin: Server,
}

impl Bench {
    fn start(rows: Vec<Row>) -> Self {
        let objects: Vec<Object> = (0_u64..)
            .zip(&rows)
            .map(|(index, row)| Object {
                bytes: pattern(2 * index + 1, row.size),
                changed: pattern(2 * index + 2, row.size),
            })
            .collect();
        let (rows, objects) = (Arc::new(rows), Arc::new(objects));
        let (of_origin, bytes) = (Arc::clone(&rows), Arc::clone(&objects));
        let asked = Counts::default();
        let origin = Server::start(move |request| match row_of(request.path()) {
            Some(index) => {
                let nth = asked.next(index, Operation::Read);
                (of_origin[index].origin)(request, nth, &bytes[index])
            }
            None => Reply::object(request, &headers("\"after\""), &pattern(0, 5 * PART)),
        });
        let of_store = Arc::clone(&rows);
        let seen = Counts::default();
        let store = Store::files_behind(&["examplebucket"], move |request, own| {
            let Some(index) = row_of(request.path()) else { return own() };
            let operation = operation(request);
            match (of_store[index].store)(operation, seen.next(index, operation)) {
                Answer::Own => own(),
                Answer::OwnUnheard => {
                    own();
                    Reply::raw("").reset()
                }
                Answer::Instead(reply) => reply,
            }
        });
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()), "MirrorCheckMd5": true },
        }]);
        let mut setup = Setup::new(rules, store.address(), &[origin.address]);
        setup.path = Path::Streaming;
        let silence = SILENCE.as_millis();
        setup.timeouts = Some(json!({ "origin_ms": silence, "store_ms": silence }));
        setup.limits = Some(json!({
            "part_bytes": PART, "memory_bytes": 256 << 20, "backfills": 16,
        }));
        let gateway = Gateway::start(Host::Envoy, &setup);
        Self { rows, objects, gateway, store, origin }
    }

    /// Asks for the objects of all rows, a dozen at a time.
    fn ask_all(&self) -> Vec<Result<Gets, String>> {
        let next = AtomicUsize::new(0);
        let outcomes = Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= self.rows.len() {
                            return;
                        }
                        let outcome = self.ask(index);
                        let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                        outcomes.insert(index, outcome);
                    }
                });
            }
        });
        outcomes.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    fn ask(&self, index: usize) -> Result<Gets, String> {
        let (row, object) = (&self.rows[index], &self.objects[index]);
        let address: SocketAddr = self.gateway.address;
        let mut asking = request("GET", format!("/examplebucket/row/{index}"));
        if let Client::Ranges(range) = row.client {
            asking = asking.with("range", range);
        }
        let asking = asking.addressed(address).to_bytes();
        let mut wire = connect(address).map_err(|error| error.to_string())?;
        wire.write(&asking).map_err(|error| error.to_string())?;
        match row.client {
            Client::LeavesBefore => {
                until("the origin's request", || {
                    let requests = self.origin.requests();
                    requests.iter().any(|r| row_of(r.path()) == Some(index)).then_some(())
                });
                return Ok(Gets::Gone);
            }
            Client::LeavesAfter(count) => {
                let mut bytes = vec![0; count];
                wire.stream().read_exact(&mut bytes).map_err(|error| error.to_string())?;
                return Ok(Gets::Gone);
            }
            // The pause is what this client does; nothing is waited for.
            Client::Pauses => std::thread::sleep(2 * SILENCE),
            Client::Reads | Client::Ranges(_) => {}
        }
        let answer = wire.read_response("GET").map_err(|error| error.to_string())?;
        let is_error = answer.header("content-type").as_deref() == Some("application/xml")
            && answer.body.windows(7).any(|bytes| bytes == b"<Error>");
        match (answer.status, answer.whole) {
            (200, true) if answer.body == object.bytes => Ok(Gets::All),
            (206, true) if answer.body == object.bytes[10..20] => Ok(Gets::Part),
            (200, false)
                if object.bytes.starts_with(&answer.body) || answer.body == b"only this" =>
            {
                Ok(Gets::Cut)
            }
            (status @ 400.., true) if is_error => Ok(Gets::Error(status)),
            _ => Err(format!("{answer:?}")),
        }
    }

    /// Whether the bucket has a row's object in the end; an error where it has something else.
    fn kept(&self, index: usize) -> Result<bool, String> {
        let path = format!("/examplebucket/row/{index}");
        let line = format!("GET examplebucket/row/{index}:");
        // Its line in the log is the end of it. A miss that ends before the origin's answer has none.
        let time = match self.rows[index].gets {
            Gets::Error(_) => Duration::ZERO,
            Gets::Gone if self.rows[index].kept == Kept::Whole => DEADLINE / 30,
            Gets::All | Gets::Cut | Gets::Gone | Gets::Part => DEADLINE,
        };
        within(time, || self.gateway.log().contains(&line).then_some(()));
        match self.store.object(&path) {
            None => Ok(false),
            Some(found) => {
                let object = &self.objects[index];
                let type_of = found.header("content-type");
                if found.body != object.bytes && found.body != object.changed {
                    Err(format!("{} bytes that the origin never had", found.body.len()))
                } else if type_of.as_deref() != Some("text/plain") {
                    Err(format!("the object with the type {type_of:?}"))
                } else {
                    Ok(true)
                }
            }
        }
    }

    /// What is wrong once all rows are over.
    fn end(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if let Some(active) = self.gateway.hung_requests() {
            failures.push(format!("requests still under way: {active}"));
        }
        let expected = self.lost_uploads();
        within(DEADLINE / 3, || (self.store.open_uploads().len() <= expected).then_some(()));
        let open = self.store.open_uploads();
        if open.len() > expected {
            failures.push(format!("uploads left open: {open:?}"));
        }
        // All memory is there for one more.
        let after = get(self.gateway.address, "/examplebucket/after");
        if after.body != pattern(0, 5 * PART) {
            failures.push(format!("afterwards: {after:?}"));
        }
        let stored = within(DEADLINE, || self.store.object("/examplebucket/after"));
        if stored.map(|object| object.body) != Some(after.body) {
            failures.push("afterwards a large object is not stored".to_owned());
        }
        failures.extend(self.gateway.vm_failures());
        failures
    }

    /// Uploads that nobody can abort, since the store never told their ids.
    fn lost_uploads(&self) -> usize {
        let untold = |row: &&Row| row.name == "store makes an upload, and its answer is lost";
        self.rows.iter().filter(untold).count()
    }
}

/// How often something has happened.
#[derive(Default)]
struct Counts(Mutex<HashMap<(usize, Operation), usize>>);

impl Counts {
    fn next(&self, row: usize, operation: Operation) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((row, operation)).or_default();
        *count += 1;
        *count - 1
    }
}

/// The row a path belongs to.
fn row_of(path: &[u8]) -> Option<usize> {
    let (_, row) = std::str::from_utf8(path).ok()?.split_once("/row/")?;
    row.parse().ok()
}

fn operation(request: &Request) -> Operation {
    let target = String::from_utf8_lossy(&request.target);
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let part = query.split('&').find_map(|pair| pair.strip_prefix("partNumber=")?.parse().ok());
    match (request.method.as_str(), part) {
        ("PUT", Some(number)) => Operation::Part(number),
        ("PUT", None) => Operation::Put,
        ("POST", _) if query.starts_with("uploads") => Operation::Create,
        ("POST", _) => Operation::Complete,
        ("DELETE", _) => Operation::Abort,
        _ => Operation::Read,
    }
}
