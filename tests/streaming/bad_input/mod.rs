//! The table of bad input: every row in one real Envoy, a dozen of them at once.
//!
//! Whatever comes, a client gets as much as can be given honestly, nothing wrong is stored, no
//! upload is left open, no request hangs and no memory is lost. The test prints the table and
//! leaves it in the target folder.

mod rows;
mod stores;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use self::rows::{
    Answer, Client, Gets, Kept, Object, Operation, PART, Row, SILENCE, clients, headers, origins,
};
use self::stores::stores;
use super::pattern;
use crate::boto3::VERSION as BOTO3_VERSION;
use crate::support::client::{connect, get, request};
use crate::support::gateway::{Bucket, Gateway, Host, Path, Setup};
use crate::support::python;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, until, within};
use crate::support::wire::Request;

#[test]
fn bad_input_in_envoy() {
    let rows: Vec<Row> = [origins(), stores(), clients()].into_iter().flatten().collect();
    let bench = Bench::start(rows);
    let outcomes = bench.ask_all();
    let mut failures = Vec::new();
    let mut table =
        String::from("| What goes wrong | The client gets | The bucket has | The log says |\n");
    table.push_str("|---|---|---|---|\n");
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
        let told = bench.told(index);
        table.push_str(&format!("| {} | {gets} | {kept} | {told} |\n", row.name));
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
    /// Uploads that the store has made and not confirmed.
    lost: Arc<AtomicUsize>,
    /// The object and the id of another client's upload, of an object of which one is lost.
    others: (String, String),
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
        let lost: Arc<AtomicUsize> = Arc::default();
        let losing = Arc::clone(&lost);
        // A store that fails is left alone for a while, and with it its bucket: each row has its own.
        let buckets: Vec<String> = (0..rows.len()).map(bucket_of).collect();
        let mut names: Vec<&str> = buckets.iter().map(String::as_str).collect();
        names.push("examplebucket");
        let store = Store::files_behind(&names, move |request, own| {
            let Some(index) = row_of(request.path()) else { return own() };
            let operation = operation(request);
            let answer = (of_store[index].store)(operation, seen.next(index, operation));
            let is_heard = matches!(answer, Answer::Own | Answer::Instead(_));
            if operation == Operation::Create && !is_heard {
                losing.fetch_add(1, Ordering::SeqCst);
            }
            match answer {
                Answer::Own => own(),
                Answer::OwnLate => {
                    own();
                    Reply::raw("").stall()
                }
                Answer::OwnOtherwise(reply) => {
                    own();
                    reply
                }
                Answer::OwnUnheard => {
                    own();
                    Reply::raw("").reset()
                }
                Answer::Instead(reply) => reply,
            }
        });
        let others = others(&rows, store.direct());
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror",
                "MirrorURL": format!("{}/", origin.url()),
                "MirrorCheckMd5": true,
            },
        }]);
        let mut setup = Setup::new(rules, store.address(), &[origin.address]);
        let first = setup.buckets[0].clone();
        let of_row = |name| Bucket { name, ..first.clone() };
        setup.buckets.extend(buckets.into_iter().map(of_row));
        setup.path = Path::Streaming;
        let silence = SILENCE.as_millis();
        setup.timeouts = Some(json!({
            "origin_ms": silence, "store_ms": silence, "unconfirmed_upload_ms": 1_000,
        }));
        setup.limits = Some(json!({
            "part_bytes": PART, "memory_bytes": 256 << 20, "backfills": 16,
        }));
        let gateway = Gateway::start(Host::Envoy, &setup);
        Self { rows, objects, gateway, store, origin, lost, others }
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
        let mut asking = request("GET", path_of(index));
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
        let path = path_of(index);
        let line = format!("GET {}/row/{index}:", bucket_of(index));
        // Its line in the log is the end of it. A miss that ends before the origin's answer has none.
        let time = match self.rows[index].gets {
            Gets::Error(_) if self.rows[index].kept == Kept::Nothing => Duration::ZERO,
            Gets::All | Gets::Cut | Gets::Error(_) | Gets::Gone | Gets::Part => DEADLINE,
        };
        within(time, || self.gateway.log().contains(&line).then_some(()));
        let told = self.told(index);
        let is_told = told == "stored in the bucket";
        match self.store.object(&path) {
            None if is_told => Err("nothing, though it was told to be stored".to_owned()),
            // What the client was refused is not fetched behind its back.
            None if self.rows[index].gets == Gets::Error(424) && told.contains("stored") => {
                Err(told)
            }
            None => Ok(false),
            Some(_) if !is_told && !told.ends_with("may have it all the same") => {
                Err(format!("the object, though this was told: {told}"))
            }
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

    /// What the log says of a row's object in the end.
    fn told(&self, index: usize) -> String {
        let line = format!("GET {}/row/{index}:", bucket_of(index));
        let log = self.gateway.log();
        let last = log.lines().rfind(|found| found.contains(&line)).unwrap_or_default();
        if let Some((_, told)) = last.split_once("client had left, ") {
            return told.to_owned();
        }
        let (_, got) = last.split_once("client got ").unwrap_or_default();
        match got.split_once(", ") {
            Some((status, told)) if status.parse::<u16>().is_ok() => told.to_owned(),
            Some(_) | None => got.to_owned(),
        }
    }

    /// What is wrong once all rows are over.
    fn end(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if let Some(active) = self.gateway.hung_requests() {
            failures.push(format!("requests still under way: {active}"));
        }
        // Those of which the store never told the id are found; another client's stays.
        let (key, id) = &self.others;
        let mut open = Vec::new();
        within(DEADLINE, || {
            open = self.store.open_uploads();
            open.retain(|file| !file.contains(id));
            open.is_empty().then_some(())
        });
        if !open.is_empty() {
            failures.push(format!("uploads left open: {open:?}"));
        }
        let (bucket, _) = key.split_once('/').expect("a bucket and a key");
        let listed: Vec<_> = listed_uploads(self.store.direct(), bucket)
            .iter()
            .map(|listed| format!("{bucket}/{listed}"))
            .collect();
        if listed != [key.as_str()] {
            failures.push(format!("uploads that are listed as open: {listed:?}, not {key}"));
        }
        let (log, lost) = (self.gateway.log(), self.lost.load(Ordering::SeqCst));
        let found = log.matches(" was not confirmed, had no part, and is aborted").count();
        if found != lost || lost == 0 {
            failures.push(format!("{lost} uploads were lost, and {found} found"));
        }
        if !log.contains(&format!("the upload {id} of {key} has parts")) {
            failures.push("another client's upload was not among those found".to_owned());
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
}

/// Opens an upload of an object of which the store loses one, and sends a part of it. Returns the
/// object's name and the upload's id.
fn others(rows: &[Row], store: SocketAddr) -> (String, String) {
    let of = |row: &Row| row.name == "store makes an upload, and its answer is lost";
    let path = path_of(rows.iter().position(of).expect("the row is there"));
    let create = request("POST", format!("{path}?uploads")).with("content-length", "0");
    let created = create.send(store).expect("the store answers");
    let words = String::from_utf8(created.body).expect("XML");
    let (_, id) = words.split_once("<UploadId>").expect("an id");
    let (id, _) = id.split_once('<').expect("an id");
    let part = request("PUT", format!("{path}?partNumber=1&uploadId={id}")).with_body("another's");
    assert_eq!(part.send(store).expect("the store answers").status, 200);
    (path.trim_start_matches('/').to_owned(), id.to_owned())
}

/// The keys of the uploads that a store lists as open in a bucket, asked by boto3.
fn listed_uploads(store: SocketAddr, bucket: &str) -> Vec<String> {
    let output = Command::new("python3")
        .args(["-c", include_str!("../../clients/uploads.py"), &format!("http://{store}"), bucket])
        .env("PYTHONPATH", python::package("boto3", BOTO3_VERSION, true))
        .output()
        .expect("Python 3 can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
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

/// The bucket of a row.
fn bucket_of(index: usize) -> String {
    format!("row-{index}")
}

/// The path of a row's object.
fn path_of(index: usize) -> String {
    format!("/{}/row/{index}", bucket_of(index))
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
