//! The table: requests and what comes of them, the same in every host and on every path.
//!
//! A [`Group`] is a gateway's configuration and the rows that share it; a [`Row`] is a name, what
//! the store and the origin are like, and steps. In every text `{origin}` stands for the origin's
//! `host:port`, `{origin%}` for the same percent-encoded, `{other}` for that of a second origin,
//! `{gateway}` for the gateway's own and `{closed}` for a port that refuses connections.
//!
//! A group is made for a data path, and every row is in both. What comes of it is the same on both
//! hosts and on both paths: the answer, what the origins are asked, what is stored, the lines in the
//! log and the counters ([`Aspect`]). Where the paths are meant to differ, the row says in what, and
//! why ([`Row::differs_by_path`]); and there they must.
//!
//! What is expected comes from OSS's documents and the project's own decisions, not from the code.

mod answers;
mod behind;
mod buckets;
mod conditions;
mod digests;
mod elements;
mod evidence;
mod failures;
mod header_rules;
mod heads;
mod keeping;
mod keys;
mod large;
mod mirror;
mod passthrough;
mod places;
mod preconditions;
mod queries;
mod ranges;
mod redirects;
mod run;
mod write_back;

use serde_json::Value;

use self::evidence::Aspect;
use crate::support::client::request;
use crate::support::server::Reply;
use crate::support::wire::Request;

/// Why the paths differ where a client wants a part of an object.
const A_RANGE_TRAVELS: &str = "a Range travels to the origin, and the bucket's object is fetched beside it; by callouts the \
     filter cuts";
/// Why the origin is asked otherwise for what its bucket alone wants.
const IN_RANGES: &str = "for the bucket alone an object is fetched range by range, not whole";
/// Why a failure is not the client's answer.
const HAS_BEGUN: &str = "a stream has reached its client when it fails, a held object has not";
/// Why an object is too large on one of the paths.
const NO_LIMIT: &str = "a stream has no size that is too large, what is held in memory has";

/// Rows that one gateway serves.
struct Group {
    name: &'static str,
    /// Buckets and their `RoutingRules`.
    buckets: Vec<(&'static str, Value)>,
    domain: Option<&'static str>,
    limits: Option<Value>,
    timeouts: Option<Value>,
    store: StoreKind,
    rows: Vec<Row>,
}

/// Which store a group has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StoreKind {
    /// The embedded one.
    Files,
    /// The one that takes a key for exactly the bytes it is.
    Memory,
    /// None: its port refuses connections.
    Down,
}

impl Group {
    /// A bucket `examplebucket` with these rules before the embedded store.
    fn new(name: &'static str, rules: Value, rows: Vec<Row>) -> Self {
        Self {
            name,
            buckets: vec![("examplebucket", rules)],
            domain: None,
            limits: None,
            timeouts: None,
            store: StoreKind::Files,
            rows,
        }
    }
}

/// One row of the table.
#[derive(Clone)]
struct Row {
    name: String,
    /// Objects in the store before: path, headers, bytes.
    objects: Vec<(&'static str, Vec<(&'static str, &'static str)>, Vec<u8>)>,
    origin: Vec<(String, Reply)>,
    origin_first: Vec<(String, Reply)>,
    other: Vec<(String, Reply)>,
    origin_objects: Vec<(String, Vec<(&'static str, &'static str)>, Vec<u8>)>,
    store_first: Vec<(&'static str, String, Vec<Reply>)>,
    store_always: Vec<(&'static str, String, Reply)>,
    steps: Vec<Step>,
    /// Paths below which nothing may be when all rows are over.
    never_stored: Vec<String>,
    /// Whether the answer is the host's, in words of its own.
    own_words: bool,
    /// In what the paths differ.
    differing: Vec<Aspect>,
    /// How often an object may be sent to the store, counted when all rows are over.
    puts: Vec<(String, usize)>,
    /// What its lines say: each of these stands in one.
    says: Vec<&'static str>,
}

/// One request of a row.
#[derive(Clone)]
struct Step {
    request: Request,
    status: u16,
    /// Headers of the answer: `None` for one that must not be there.
    headers: Vec<(&'static str, Option<String>)>,
    body: Body,
    /// Whether the body comes to its end.
    whole: bool,
    fetched: Vec<Fetched>,
    asked_of_other: Vec<Fetched>,
    stored: Vec<Stored>,
    /// How many lines tell of it at least, where that is not as usual.
    told: Option<usize>,
}

/// What the answer's body must be.
#[derive(Clone, Debug)]
enum Body {
    /// Not looked at.
    Any,
    /// These bytes.
    Bytes(Vec<u8>),
    /// An S3 error document with this code and this text in its message.
    Error(&'static str, String),
}

/// A request the origin must have got.
#[derive(Clone)]
struct Fetched {
    method: &'static str,
    target: String,
    /// Beside those that every fetch has.
    headers: Vec<(&'static str, String)>,
}

/// An object the store must hold.
#[derive(Clone)]
struct Stored {
    path: String,
    bytes: Vec<u8>,
    headers: Vec<(&'static str, Option<String>)>,
    /// Headers of the request that stored it.
    sent: Vec<(&'static str, &'static str)>,
}

/// A row without steps.
fn row(name: impl Into<String>) -> Row {
    Row {
        name: name.into(),
        objects: Vec::new(),
        origin: Vec::new(),
        origin_first: Vec::new(),
        other: Vec::new(),
        origin_objects: Vec::new(),
        store_first: Vec::new(),
        store_always: Vec::new(),
        steps: Vec::new(),
        never_stored: Vec::new(),
        own_words: false,
        differing: Vec::new(),
        puts: Vec::new(),
        says: Vec::new(),
    }
}

/// What surrounds the steps.
impl Row {
    /// The store holds an object.
    fn has(
        mut self,
        path: &'static str,
        headers: &[(&'static str, &'static str)],
        body: impl AsRef<[u8]>,
    ) -> Self {
        self.objects.push((path, headers.to_vec(), body.as_ref().to_vec()));
        self
    }

    /// The origin answers a path so.
    fn origin(mut self, path: &str, reply: Reply) -> Self {
        self.origin.push((path.to_owned(), reply));
        self
    }

    /// The origin answers the first GET of a path so, and has nothing there later.
    fn origin_once(mut self, path: &str, reply: Reply) -> Self {
        self.origin_first.push((path.to_owned(), reply));
        self
    }

    /// The other origin answers a path so.
    fn other(mut self, path: &str, reply: Reply) -> Self {
        self.other.push((path.to_owned(), reply));
        self
    }

    /// The origin has an object, and knows ranges.
    fn origin_object(
        mut self,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: impl AsRef<[u8]>,
    ) -> Self {
        self.origin_objects.push((path.to_owned(), headers.to_vec(), body.as_ref().to_vec()));
        self
    }

    /// The store answers the first such requests so.
    fn store_first(mut self, method: &'static str, path: &str, replies: &[Reply]) -> Self {
        self.store_first.push((method, path.to_owned(), replies.to_vec()));
        self
    }

    /// The store answers every such request so.
    fn store_always(mut self, method: &'static str, path: &str, reply: Reply) -> Self {
        self.store_always.push((method, path.to_owned(), reply));
        self
    }

    /// Nothing is stored there in the end.
    fn never_stored(mut self, path: &str) -> Self {
        self.never_stored.push(path.to_owned());
        self
    }

    /// It is the host that answers, and only the status is the same everywhere.
    fn worded_by_the_host(mut self) -> Self {
        self.own_words = true;
        self
    }

    /// The paths differ in this, and are meant to.
    fn differs_by_path(mut self, aspects: &[Aspect], reason: &'static str) -> Self {
        assert!(!reason.is_empty(), "{}: a difference has a reason", self.name);
        self.differing.extend(aspects);
        self
    }

    /// A line in the log says so.
    fn says(mut self, words: &'static str) -> Self {
        self.says.push(words);
        self
    }

    /// So many PUTs have reached the store in the end.
    fn puts(mut self, path: &str, count: usize) -> Self {
        self.puts.push((path.to_owned(), count));
        self
    }
}

/// Steps: a request first, then what is expected of it.
impl Row {
    /// A client's GET.
    fn get(self, target: &str) -> Self {
        self.send(request("GET", target))
    }

    /// A client's request.
    fn send(mut self, request: Request) -> Self {
        self.steps.push(Step {
            request,
            status: 0,
            headers: Vec::new(),
            body: Body::Any,
            whole: true,
            fetched: Vec::new(),
            asked_of_other: Vec::new(),
            stored: Vec::new(),
            told: None,
        });
        self
    }

    /// Adds a header to the request.
    fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let step = self.step();
        step.request = std::mem::take(&mut step.request).with(name, value);
        self
    }

    /// The answer's status.
    fn status(mut self, status: u16) -> Self {
        self.step().status = status;
        self
    }

    /// A header of the answer.
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.step().headers.push((name, Some(value.to_owned())));
        self
    }

    /// A header the answer must not have.
    fn without(mut self, name: &'static str) -> Self {
        self.step().headers.push((name, None));
        self
    }

    /// The answer's bytes.
    fn body(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.step().body = Body::Bytes(bytes.as_ref().to_vec());
        self
    }

    /// The answer breaks off after these bytes: an error that is noticed once bytes are out.
    fn cut_after(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.step().whole = false;
        self.status(200).body(bytes)
    }

    /// The answer is an S3 error document.
    fn error(mut self, status: u16, code: &'static str, message: &str) -> Self {
        self.step().status = status;
        self.step().body = Body::Error(code, message.to_owned());
        self.header("content-type", "application/xml")
    }

    /// The origin got a GET of this target, with no headers but the usual.
    fn fetched(self, target: &str) -> Self {
        self.fetched_with(target, &[])
    }

    /// The same, with these headers beside the usual.
    fn fetched_with(mut self, target: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.step().fetched.push(Fetched { method: "GET", target: target.to_owned(), headers });
        self
    }

    /// The other origin got a GET of this target, with these headers beside the usual.
    fn asked_of_other(mut self, target: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let fetched = Fetched { method: "GET", target: target.to_owned(), headers };
        self.step().asked_of_other.push(fetched);
        self
    }

    /// The origin got a HEAD: a client's, or for the object's size, since a host does not say why it
    /// gave an answer up, and only the size tells whether it was too large or broke off.
    fn probed(mut self, target: &str) -> Self {
        let headers = Vec::new();
        self.step().fetched.push(Fetched { method: "HEAD", target: target.to_owned(), headers });
        self
    }

    /// The store gets an object, which is waited for.
    fn stored(
        mut self,
        path: &str,
        bytes: impl AsRef<[u8]>,
        headers: &[(&'static str, &str)],
    ) -> Self {
        let headers =
            headers.iter().map(|(name, value)| (*name, Some((*value).to_owned()))).collect();
        let bytes = bytes.as_ref().to_vec();
        let sent = Vec::new();
        self.step().stored.push(Stored { path: path.to_owned(), bytes, headers, sent });
        self
    }

    /// The request that stored it had this header.
    fn sent(mut self, name: &'static str, value: &'static str) -> Self {
        let stored = self.step().stored.last_mut();
        stored.expect("what is stored stands before how").sent.push((name, value));
        self
    }

    /// So many lines tell of it.
    fn told(mut self, lines: usize) -> Self {
        self.step().told = Some(lines);
        self
    }

    /// A mirrored object: the answer, the fetch and what is stored, for the common case.
    fn mirrored(self, bucket_key: &str, target: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.status(200).body(bytes.as_ref()).fetched(target).stored(bucket_key, bytes, &[])
    }

    fn step(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a row names its request before what is expected of it")
    }
}

impl Step {
    /// How many lines tell of it at least: one where a rule has acted on it.
    fn lines(&self) -> usize {
        let is_failure = matches!(self.body, Body::Error("MirrorFailed", _));
        let is_sent =
            self.headers.iter().any(|(name, value)| *name == "location" && value.is_some());
        let is_asked = !self.fetched.is_empty() || !self.asked_of_other.is_empty();
        self.told.unwrap_or_else(|| usize::from(is_failure || is_sent || is_asked))
    }
}

/// One Mirror rule, for a prefix, to the origin.
fn mirror_rule(number: u32, prefix: &str, more: Value) -> Value {
    let mut rule = serde_json::json!({
        "RuleNumber": number,
        "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://{origin}/" },
    });
    merge(&mut rule["Redirect"], more);
    rule
}

/// One External rule, for a prefix and a status.
fn redirect_rule(number: u32, prefix: &str, status: u16, more: Value) -> Value {
    let mut rule = serde_json::json!({
        "RuleNumber": number,
        "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": status },
        "Redirect": { "RedirectType": "External" },
    });
    merge(&mut rule["Redirect"], more);
    rule
}

fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else {
        panic!("elements of a rule are an object");
    };
    into.extend(more);
}
