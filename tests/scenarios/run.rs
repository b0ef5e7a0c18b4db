//! Runs a group on both hosts, collects every difference, and names them all at once.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::evidence::{Aspect, Evidence, differences};
use super::{Body, Fetched, Group, Row, Step, StoreKind, Stored};
use crate::support::client::request;
use crate::support::gateway::{Bucket, Counters, Gateway, HOSTS, Host, Path, Setup};
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::{Script, Store};
use crate::support::wait::{DEADLINE, within};
use crate::support::wire::{Request, Response};

/// Headers of an answer that say when, through whom or in which pieces it came.
const OF_THE_HOST: &[&str] =
    &["connection", "date", "last-modified", "server", "transfer-encoding", REQUEST_ID];

/// The name of a request, which no other has.
const REQUEST_ID: &str = "x-amz-request-id";

/// How long what must come of a row is waited for behind its answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// An object that every origin has, for [`Bench::settle`].
const LAST: &str = "/the-very-last";

/// What a store of the tests calls each request.
const OF_THE_STORE: &str = "R1";

/// What the filter calls itself at an origin.
const USER_AGENT: &str = concat!("back-to-origin/", env!("CARGO_PKG_VERSION"));

/// Runs a group.
///
/// # Panics
///
/// With every difference, each with its row and its host.
pub(super) fn run(group: impl Fn(Path) -> Group + Sync) {
    let group = &group;
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let hosts = HOSTS
            .map(|(host, path)| scope.spawn(move || Bench::start(&group(path), host, path).run()));
        let outcomes = hosts.into_iter().map(|host| match host.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        outcomes.collect()
    });
    let Group { name, rows, .. } = group(Path::Callout);
    let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&rows), names(&group(Path::Streaming).rows), "{name}: rows of both paths");
    let (failures, found): (Vec<_>, Vec<_>) =
        outcomes.into_iter().map(|outcome| (outcome.failures, outcome.found)).unzip();
    let mut failures = failures.concat();
    failures.extend(differences(name, &rows, &found));
    let count = failures.len();
    assert!(failures.is_empty(), "{count} failures\n{}", failures.join("\n"));
}

/// What came of a group on one host.
struct Outcome {
    failures: Vec<String>,
    /// Of each row.
    found: Vec<Evidence>,
}

/// Everything a group needs, running.
struct Bench<'g> {
    group: &'g Group,
    host: Host,
    path: Path,
    origin: Server,
    origin_script: Script,
    other: Server,
    other_script: Script,
    store: Option<Store>,
    closed: ClosedPort,
    gateway: Gateway,
    /// How many lines on requests have been read.
    lines_read: usize,
    failures: Vec<String>,
}

impl<'g> Bench<'g> {
    fn start(group: &'g Group, host: Host, path: Path) -> Self {
        let (origin, origin_script) = origin();
        let (other, other_script) = origin_answering("other");
        let closed = ClosedPort::reserve();
        let names: Vec<&str> = group.buckets.iter().map(|(name, _)| *name).collect();
        let store = match group.store {
            StoreKind::Files => Some(Store::files(&names)),
            StoreKind::Memory => Some(Store::memory("s3.localhost")),
            StoreKind::Down => None,
        };
        let fill = Fill::new(&[
            ("origin", origin.address),
            ("other", other.address),
            ("closed", closed.address),
        ]);
        let setup = Setup {
            path,
            domain: group.domain.map(str::to_owned),
            buckets: group
                .buckets
                .iter()
                .map(|(name, rules)| Bucket {
                    name: (*name).to_owned(),
                    rules: fill.json(rules),
                    store: store.as_ref().map_or(closed.address, Store::address),
                })
                .collect(),
            origins: vec![origin.address, other.address, closed.address],
            limits: group.limits.clone(),
            timeouts: group.timeouts.clone(),
            conditional_writes: None,
            keys: None,
            signs_reads: false,
            // Where it paces, Envoy loses what it holds of a body that breaks off.
            is_unlimited: true,
        };
        let gateway = Gateway::start(host, &setup);
        let failures = Vec::new();
        Self {
            group,
            host,
            path,
            origin,
            origin_script,
            other,
            other_script,
            store,
            closed,
            gateway,
            lines_read: 0,
            failures,
        }
    }

    fn run(mut self) -> Outcome {
        let mut found = Vec::new();
        for row in &self.group.rows {
            let before = self.gateway.counters();
            let mut evidence = Evidence::default();
            self.prepare(row);
            for (index, step) in row.steps.iter().enumerate() {
                let name = format!("{} / {} / step {}", self.group.name, row.name, index + 1);
                self.step(&name, step, row.own_words, &mut evidence);
            }
            self.gather(row, &before, &mut evidence);
            found.push(evidence);
        }
        self.settle();
        let failures = std::mem::take(&mut self.failures);
        Outcome { failures, found }
    }

    fn prepare(&self, row: &Row) {
        let fill = self.fill();
        for (script, replies) in
            [(&self.origin_script, &row.origin), (&self.other_script, &row.other)]
        {
            for (path, reply) in replies {
                let reply = reply.clone().filled(|text| fill.text(text));
                script.always("HEAD", path, reply.head());
                script.always("GET", path, reply);
            }
        }
        for (path, reply) in &row.origin_first {
            self.origin_script.always("HEAD", path, reply.head());
            self.origin_script.first("GET", path, std::slice::from_ref(reply));
        }
        for (path, headers, body) in &row.origin_objects {
            self.origin_script.object(path, headers, body.as_slice());
        }
        let Some(store) = &self.store else { return };
        for (path, headers, body) in &row.objects {
            store.put(path, headers, body);
        }
        for (method, path, replies) in &row.store_first {
            store.script.first(method, path, replies);
        }
        for (method, path, reply) in &row.store_always {
            store.script.always(method, path, reply.clone());
        }
    }

    fn step(&mut self, name: &str, step: &Step, own_words: bool, evidence: &mut Evidence) {
        let fill = self.fill();
        let answer = match step.request.send(self.gateway.address) {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(name, "the answer", "one", &error.to_string());
                return;
            }
        };
        let words = if own_words { answer.status.to_string() } else { self.comparable(&answer) };
        evidence.add(Aspect::Answer, &words);
        if answer.status != step.status {
            let found = format!("{} {}", answer.status, text(&answer.body));
            self.fail(name, "the status", &step.status.to_string(), &found);
        }
        if answer.whole != step.whole {
            let word = |whole| if whole { "a whole one" } else { "one that broke off" };
            self.fail(name, "the body", word(step.whole), word(answer.whole));
        }
        self.check_headers(name, &step.headers, &answer);
        if step.lines() > 0 && !own_words {
            self.check_id(name, &answer);
        }
        self.check_body(name, &step.body, &answer.body);
        // Once the object is stored, what was asked for it has been asked.
        for stored in &step.stored {
            self.check_stored(name, stored);
        }
        let expected: Vec<String> =
            step.fetched.iter().map(|fetched| fetched.describe(&fill)).collect();
        let found = self.answered(&self.origin, expected.len());
        if expected != found {
            self.fail(
                name,
                "the origin's requests",
                &format!("{expected:#?}"),
                &format!("{found:#?}"),
            );
        }
        self.note_asked("the origin", &found, evidence);
        let expected: Vec<String> = step
            .asked_of_other
            .iter()
            .map(|fetched| fetched.describe_at(&fill, "{other}"))
            .collect();
        let found = self.answered(&self.other, expected.len());
        if expected != found {
            let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
            self.fail(name, "requests to the other origin", &expected, &found);
        }
        self.note_asked("the other", &found, evidence);
    }

    /// The requests that a server has answered for clients: so many at least, once they have come.
    fn answered(&self, server: &Server, least: usize) -> Vec<String> {
        let mut found = Vec::new();
        within(PATIENCE, || {
            let requests = server.take_requests();
            found.extend(requests.iter().filter(|asked| !self.is_backfill(asked)).map(describe));
            (found.len() >= least).then_some(())
        });
        found
    }

    fn note_asked(&self, server: &str, requests: &[String], evidence: &mut Evidence) {
        for request in requests {
            evidence.add(Aspect::Asked, &format!("{server}: {}", self.nameless(request)));
        }
    }

    /// What a row leaves behind its answers: lines, counters, objects.
    fn gather(&mut self, row: &Row, before: &Counters, evidence: &mut Evidence) {
        let least: usize = row.steps.iter().map(Step::lines).sum();
        let lines = || self.gateway.lines().split_off(self.lines_read);
        within(PATIENCE, || (lines().len() >= least).then_some(()));
        // A line is no longer the last thing there is to see when nothing has changed since.
        let (mut lines_now, mut counters) = (lines(), self.gateway.counters());
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let again = (lines(), self.gateway.counters());
            if again == (lines_now.clone(), counters.clone()) {
                break;
            }
            (lines_now, counters) = again;
        }
        self.lines_read += lines_now.len();
        if lines_now.len() < least {
            let name = format!("{} / {}", self.group.name, row.name);
            let expected = format!("{least} at least");
            self.fail(&name, "the lines in the log", &expected, &format!("{lines_now:#?}"));
        }
        for words in &row.says {
            if !lines_now.iter().any(|line| line.contains(words)) {
                let name = format!("{} / {}", self.group.name, row.name);
                self.fail(&name, "the lines in the log", words, &format!("{lines_now:#?}"));
            }
        }
        for line in &lines_now {
            evidence.add(Aspect::Line, &self.nameless(line));
        }
        for (name, count) in counters {
            let added = count - before.get(&name).copied().unwrap_or_default();
            if added > 0 {
                evidence.add(Aspect::Counters, &format!("{name} {added}"));
            }
        }
        let Some(store) = &self.store else { return };
        let stored = row.steps.iter().flat_map(|step| &step.stored).map(|stored| &stored.path);
        for path in stored.chain(&row.never_stored) {
            let found = store.object(path);
            // What was begun and did not become an object says nothing.
            let written = found.as_ref().and_then(|_| store.write_of(path));
            let object = match found {
                Some(mut object) => {
                    // It says in how many parts the object came.
                    object.headers.retain(|(name, _)| name != "etag");
                    self.comparable(&object)
                }
                None => "nothing".to_owned(),
            };
            let mut written = written.map(|write| write.headers).unwrap_or_default();
            written.retain(|(name, _)| is_of_the_object(name));
            written.sort();
            let written: Vec<String> = written
                .iter()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
                .collect();
            let words = format!("{path}: {object}, written with {written:?}");
            evidence.add(Aspect::Stored, &self.nameless(&words));
        }
    }

    /// Whether the filter asked for itself, for the bucket: a first range, a part or a whole object, at
    /// any time. Of an object without bytes there is no range.
    fn is_backfill(&self, request: &Request) -> bool {
        let limits = self.group.limits.as_ref();
        let limit = |name: &str| limits.and_then(|limits| limits[name].as_u64()).unwrap_or(8 << 20);
        let part = limit("part_bytes");
        let sizes = [part / 16, part, limit("object_bytes")];
        let span = |range: String| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
        };
        let mut objects = self.group.rows.iter().flat_map(|row| &row.origin_objects);
        let is_one = match request.header("range") {
            // No client's condition reaches an origin: it is the rest of what has come in part.
            Some(_) if request.header("if-match").is_some() => true,
            Some(range) => {
                span(range).is_some_and(|(first, last)| sizes.contains(&(last + 1 - first)))
            }
            None => objects
                .any(|(path, _, bytes)| path.as_bytes() == request.path() && bytes.is_empty()),
        };
        self.path == Path::Streaming && is_one
    }

    fn check_headers(&mut self, name: &str, headers: &[(&str, Option<String>)], answer: &Response) {
        let fill = self.fill();
        for (header, expected) in headers {
            let expected = expected.as_ref().map(|value| fill.text(value));
            let found = answer.header(header);
            if expected != found {
                let what = format!("the header {header}");
                self.fail(name, &what, &format!("{expected:?}"), &format!("{found:?}"));
            }
        }
    }

    /// Whatever a rule has made has a name, as all that S3 answers has, and an error tells it too.
    fn check_id(&mut self, name: &str, answer: &Response) {
        let id = answer.header(REQUEST_ID).unwrap_or_default();
        let told = format!("<RequestId>{id}</RequestId>");
        let is_told = !answer.body.starts_with(b"<?xml")
            || String::from_utf8_lossy(&answer.body).contains(&told);
        if id.is_empty() || id == OF_THE_STORE || !is_told {
            self.fail(name, "the request's id", "one", &format!("{answer:?}"));
        }
    }

    fn check_body(&mut self, name: &str, expected: &Body, found: &[u8]) {
        match expected {
            Body::Any => {}
            Body::Bytes(bytes) if bytes == found => {}
            Body::Bytes(bytes) => self.fail(name, "the body", &text(bytes), &text(found)),
            Body::Error(code, message) => {
                let document = String::from_utf8_lossy(found);
                let is_it = document.contains(&format!("<Code>{code}</Code>"))
                    && document.contains("<Message>")
                    && document.contains(message.as_str());
                if !is_it {
                    let expected = format!("an error {code} that says {message:?}");
                    self.fail(name, "the body", &expected, &document);
                }
            }
        }
    }

    fn check_stored(&mut self, name: &str, stored: &Stored) {
        let Some(store) = &self.store else { return };
        let path = &stored.path;
        let Some(object) = within(DEADLINE, || store.object(path)) else {
            let log = self.gateway.log();
            self.fail(name, &format!("the object {path}"), "stored", &format!("none; log:\n{log}"));
            return;
        };
        let sent = store.put_of(path);
        if object.body != stored.bytes {
            let what = format!("the bytes of {path}");
            self.fail(name, &what, &text(&stored.bytes), &text(&object.body));
        }
        let name = format!("{name}: stored {path}");
        self.check_headers(&name, &stored.headers, &object);
        for (header, expected) in &stored.sent {
            let found = sent.as_ref().and_then(|sent| sent.header(header));
            if found.as_deref() != Some(expected) {
                let what = format!("the header {header} of the PUT");
                self.fail(&name, &what, expected, &format!("{found:?}"));
            }
        }
    }

    /// Once an object that is mirrored last has arrived, nothing earlier is still under way.
    fn settle(&mut self) {
        let rows = &self.group.rows;
        let Some(store) = &self.store else { return };
        let (bucket, _) = &self.group.buckets[0];
        let last = format!("/{bucket}{LAST}");
        let expects_nothing =
            rows.iter().any(|row| !row.never_stored.is_empty() || !row.puts.is_empty());
        if !expects_nothing {
            return;
        }
        let answer = request("GET", &last).send(self.gateway.address);
        let arrived = within(DEADLINE, || store.object(&last)).is_some();
        let mut failures = Vec::new();
        if !arrived {
            failures.push((
                "the last row",
                "the very last object",
                "stored".to_owned(),
                format!("{answer:?}"),
            ));
        }
        for row in rows {
            for path in &row.never_stored {
                if let Some(object) = store.object(path) {
                    failures.push((
                        row.name.as_str(),
                        "an object",
                        "none".to_owned(),
                        text(&object.body),
                    ));
                }
            }
            for (path, count) in &row.puts {
                // A retry may still be waiting for its turn; more than the count never come right.
                let _ = within(DEADLINE, || (store.puts(path) >= *count).then_some(()));
                let found = store.puts(path);
                if found != *count {
                    failures.push((
                        row.name.as_str(),
                        "PUTs at the store",
                        count.to_string(),
                        found.to_string(),
                    ));
                }
            }
        }
        for (row, what, expected, found) in failures {
            let name = format!("{} / {row}", self.group.name);
            self.fail(&name, what, &expected, &found);
        }
    }

    fn fill(&self) -> Fill {
        Fill::new(&[
            ("origin", self.origin.address),
            ("other", self.other.address),
            ("closed", self.closed.address),
            ("gateway", self.gateway.address),
        ])
    }

    fn fail(&mut self, name: &str, what: &str, expected: &str, found: &str) {
        let (host, path) = (self.host, self.path);
        self.failures.push(format!(
            "{name} [{host:?} {path:?}]: {what}\n  expected: {expected}\n     found: {found}"
        ));
    }

    /// An answer, or an object, in words that two runs share.
    fn comparable(&self, answer: &Response) -> String {
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| !OF_THE_HOST.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
            .collect();
        headers.sort();
        let whole = if answer.whole { "" } else { ", broken off" };
        let words = format!("{} {headers:?} {}{whole}", answer.status, text(&answer.body));
        let id = answer.header(REQUEST_ID).filter(|id| !id.is_empty());
        let words = id.map_or_else(|| words.clone(), |id| words.replace(&id, "ID"));
        self.nameless(&words)
    }

    /// The same words without the addresses of this run.
    fn nameless(&self, words: &str) -> String {
        let mut words = words.to_owned();
        let addresses = [
            (self.origin.address, "ORIGIN"),
            (self.other.address, "OTHER"),
            (self.gateway.address, "GATEWAY"),
            (self.closed.address, "CLOSED"),
        ];
        for (address, name) in addresses {
            words = words.replace(&address.to_string(), name);
            for colon in ["%3A", "%253A"] {
                words = words.replace(&address.to_string().replace(':', colon), name);
            }
        }
        words
    }
}

/// An origin that has nothing but what a script says.
fn origin() -> (Server, Script) {
    origin_answering("nothing here")
}

fn origin_answering(otherwise: &'static str) -> (Server, Script) {
    let script = Script::default();
    let scripted = script.clone();
    let server = Server::start(move |request| {
        scripted.reply(request).unwrap_or_else(|| {
            let is_last = request.path().ends_with(LAST.as_bytes());
            Reply::new(if is_last { 200 } else { 404 }, &[], otherwise)
        })
    });
    (server, script)
}

/// The addresses of one run, to be filled into texts.
struct Fill(Vec<(&'static str, String)>);

impl Fill {
    fn new(addresses: &[(&'static str, SocketAddr)]) -> Self {
        let words = addresses.iter().map(|(name, address)| (*name, address.to_string()));
        Self(words.collect())
    }

    fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, address)| {
            text.replace(&format!("{{{name}}}"), address)
                .replace(&format!("{{{name}%}}"), &address.replace(':', "%3A"))
        })
    }

    fn json(&self, value: &Value) -> Value {
        serde_json::from_str(&self.text(&value.to_string())).expect("an address needs no escapes")
    }
}

impl Fetched {
    /// The request as [`describe`] shows it.
    fn describe(&self, fill: &Fill) -> String {
        self.describe_at(fill, "{origin}")
    }

    fn describe_at(&self, fill: &Fill, host: &str) -> String {
        let usual = [
            ("accept", "*/*".to_owned()),
            ("host", fill.text(host)),
            ("user-agent", USER_AGENT.to_owned()),
        ];
        let usual = usual
            .into_iter()
            .filter(|(name, _)| !self.headers.iter().any(|(given, _)| given == name));
        let mut headers: Vec<(String, String)> = usual
            .chain(self.headers.iter().map(|(name, value)| (*name, fill.text(value))))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        headers.sort();
        format!("{} {} {headers:?}", self.method, fill.text(&self.target))
    }
}

/// Whether a header of the request that writes an object is about the object.
fn is_of_the_object(name: &str) -> bool {
    let is_signature = matches!(name, "x-amz-content-sha256" | "x-amz-date");
    name == "content-type" || (name.starts_with("x-amz-") && !is_signature)
}

/// A request in words: method, target, headers in the order of their names. Where it has been is told
/// by a name that each deployment has for itself (`breaker.rs`).
fn describe(request: &Request) -> String {
    let mut headers: Vec<(String, String)> = request
        .headers
        .iter()
        .filter(|(name, _)| name != "cdn-loop")
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    headers.sort();
    format!("{} {} {headers:?}", request.method, String::from_utf8_lossy(&request.target))
}

/// Bytes for people: as text, cut where it is long.
fn text(bytes: &[u8]) -> String {
    let shown = bytes.get(..600).unwrap_or(bytes);
    let rest = bytes.len() - shown.len();
    let mut text = String::from_utf8_lossy(shown).into_owned();
    if rest > 0 {
        let _ = write!(text, "... and {rest} bytes more");
    }
    text
}
