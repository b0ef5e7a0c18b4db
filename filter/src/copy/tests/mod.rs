//! Copies without a host: bytes and answers in, requests to the store out.

mod backfill;
mod bounds;
mod conditions;
mod looking;
mod lost_uploads;
mod memory;

use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::configuration::{Configuration, DataPath, Limits};
use crate::digest::Check;
use crate::engine::Engine;
use crate::http::headers::{HeaderList, Headers};
use crate::origin::OriginRequest;
use crate::report::Report;
use crate::request::ObjectRequest;

const CONFIGURATION: &str = r#"{
    "path": "streaming",
    "buckets": [{"name": "b", "store": {"cluster": "store", "authority": "s:9000"}, "RoutingRules": []}],
    "origins": {"http://o": "origin", "http://p": "other"},
    "limits": {"object_bytes": 4, "part_bytes": 4, "memory_bytes": 3000, "backfills": 2}
}"#;

/// An engine, a clock, and the requests under way.
struct Bench {
    engine: Engine,
    now: Duration,
    calls: Vec<(CallId, String, Vec<u8>)>,
    lines: Vec<String>,
    ticking: bool,
    unkept: usize,
}

impl Bench {
    fn new() -> Self {
        Self::with_memory(3_000)
    }

    fn with_memory(bytes: u64) -> Self {
        let text = CONFIGURATION.replace("3000", &bytes.to_string());
        let configuration = Configuration::from_json(text.as_bytes()).unwrap();
        Self {
            engine: Engine::new(Rc::new(configuration)),
            now: Duration::from_secs(1_000),
            calls: Vec::new(),
            lines: Vec::new(),
            ticking: false,
            unkept: 0,
        }
    }

    /// Others hold all memory here but so much.
    fn leave(&self, bytes: usize) -> Held {
        let account = self.engine.account();
        let others = vec![0; account.left().here - bytes];
        account.hold(others, Taker::InTurn).unwrap()
    }

    fn plan(key: &str, length: Option<u64>) -> (Plan, Route) {
        let request = ObjectRequest {
            method: crate::request::Method::Get,
            bucket: "b".to_owned(),
            bucket_in_path: true,
            key: key.as_bytes().to_vec(),
            query: String::new(),
            scheme: crate::http::Scheme::Http,
            authority: "g".to_owned(),
            headers: Headers::default(),
            id: String::new(),
            is_processed: false,
            is_signed: false,
            is_unmarked: false,
        };
        let plan = Plan {
            bucket: "b".to_owned(),
            key: key.as_bytes().to_vec(),
            headers: HeaderList::new().with("content-type", "a/b"),
            tag: "MIRROR x".to_owned(),
            url: "http://o/k".to_owned(),
            length,
            validator: None,
            check: Check::default(),
            client: Some(200),
            report: Report::new(&request, 404, 1, false),
        };
        (plan, route(key))
    }

    fn begin(&mut self, key: &str, length: Option<u64>) -> Option<CopyId> {
        let (plan, origin) = Self::plan(key, length);
        self.engine.begin(plan, origin, Moment(self.now)).ok()
    }

    fn bytes(&mut self, id: CopyId, bytes: &[u8]) {
        let effects = self.engine.on_bytes(id, bytes);
        self.take(effects);
    }

    fn end(&mut self, id: CopyId, end: End) {
        let effects = self.engine.on_end(id, end);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let mut woken = false;
        // What one leads to comes behind the others, as in the module.
        let mut pending = std::collections::VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Call(id, call) => {
                    let get = |name| call.headers.get(name).unwrap_or_default().to_vec();
                    let line = [get(":method"), get(":path"), get("if-none-match")].join(&b' ');
                    let body = call.body.map(|body| body.to_vec()).unwrap_or_default();
                    self.calls.push((id, String::from_utf8(line).unwrap(), body));
                }
                Effect::Wake => woken = true,
                Effect::Log(line) => self.lines.push(line),
                Effect::Tick(period) => self.ticking = period.is_some(),
                Effect::Claim(lease) => {
                    pending.extend(self.engine.on_lease(&lease, true));
                }
                Effect::Measure(series, _) if series.metric == Metric::HeadersUnkept => {
                    self.unkept += 1;
                }
                Effect::Measure(..)
                | Effect::Lease(_)
                | Effect::Record(..)
                | Effect::Release(_) => {}
                Effect::Absent(..)
                | Effect::Answer(..)
                | Effect::Resume(_)
                | Effect::Send(..)
                | Effect::Settle(..) => {
                    panic!("a copy answers nobody")
                }
            }
        }
        if woken {
            let effects = self.engine.on_wake(Moment(self.now));
            self.take(effects);
        }
    }

    /// Answers the oldest call, which must be this one.
    fn answer(&mut self, line: &str, status: &str, etag: &str, body: &str) {
        let at = self.calls.iter().position(|(_, found, _)| found == line);
        let lines: Vec<_> = self.calls.iter().map(|(_, line, _)| line).collect();
        let at = at.unwrap_or_else(|| panic!("{line:?} is not under way, but {lines:?}"));
        let (id, _, _) = self.calls.remove(at);
        let took = ("x-envoy-upstream-service-time", "1");
        let headers = Headers::from_pairs([(":status", status), ("etag", etag), took]);
        let wanted = self.engine.wants_body(id, body.len() as u64);
        let body = if wanted { body.as_bytes().to_vec() } else { Vec::new() };
        let answer = CallAnswer { headers, body_bytes: body.len() as u64, body };
        let effects = self.engine.on_call_answer(id, answer, Moment(self.now));
        self.take(effects);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.ticking {
            let effects = self.engine.on_tick(Moment(self.now));
            self.take(effects);
        }
    }

    /// The number of requests under way, all of which must be to the origin.
    fn only_fetches(&self) -> usize {
        assert!(self.calls.iter().all(|(_, line, _)| line.starts_with("GET")), "{:?}", self.calls);
        self.calls.len()
    }

    fn body(&self, line: &str) -> &[u8] {
        &self.calls.iter().find(|(_, found, _)| found == line).unwrap().2
    }
}

const CREATED: &str = "<R><UploadId>u</UploadId></R>";

/// What a store says of an upload that it has made an object.
const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";

#[test]
fn an_object_within_one_part_is_put_whole_once_its_end_is_there() {
    for length in [Some(3), None] {
        let mut bench = Bench::new();
        let id = bench.begin("k", length).unwrap();
        bench.bytes(id, b"ab");
        bench.bytes(id, b"c");
        assert!(bench.calls.is_empty(), "nothing is visible before the end");
        bench.end(id, End::Whole);
        assert_eq!(bench.body("PUT /b/k *"), b"abc");
        bench.answer("PUT /b/k *", "200", "e", "");
        assert_eq!(
            bench.lines,
            [
                "GET b/k: bucket 404, rule 1 Mirror, origin http://o/k answered 200 (3 bytes), client got 200, stored in the bucket"
            ]
        );
        assert!(!bench.ticking);
    }
}

#[test]
fn an_object_of_no_bytes_is_stored_too() {
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(0)).unwrap();
    bench.end(id, End::Whole);
    bench.answer("PUT /b/k *", "200", "e", "");
    assert!(bench.lines[0].ends_with("stored in the bucket"), "{:?}", bench.lines);
}

#[test]
fn a_larger_object_goes_up_in_parts() {
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(10)).unwrap();
    bench.bytes(id, b"abcde");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    assert_eq!(bench.body("PUT /b/k?partNumber=1&uploadId=u "), b"abcd");
    bench.bytes(id, b"fghij");
    assert_eq!(bench.body("PUT /b/k?partNumber=2&uploadId=u "), b"efgh", "beside the first one");
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "\"e1\"", "");
    bench.end(id, End::Whole);
    bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "\"e2\"", "");
    assert_eq!(bench.body("PUT /b/k?partNumber=3&uploadId=u "), b"ij");
    bench.answer("PUT /b/k?partNumber=3&uploadId=u ", "200", "\"e3\"", "");
    let completion = String::from_utf8(bench.body("POST /b/k?uploadId=u *").to_vec()).unwrap();
    let order: Vec<_> = ["e1", "e2", "e3"].map(|etag| completion.find(etag).unwrap()).to_vec();
    assert!(order.is_sorted(), "{completion}");
    bench.answer("POST /b/k?uploadId=u *", "200", "", COMPLETED);
    assert!(bench.lines[0].ends_with("stored in the bucket"), "{:?}", bench.lines);
}

#[test]
fn what_breaks_off_never_becomes_visible() {
    // Within the first part: the store never hears of it.
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(3)).unwrap();
    bench.bytes(id, b"ab");
    bench.end(id, End::Broken);
    assert_eq!(bench.only_fetches(), 1);

    // Behind it: parts under way are waited for, then the upload is taken back.
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(10)).unwrap();
    bench.bytes(id, b"abcde");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.end(id, End::Broken);
    assert_eq!(bench.calls.len(), 1, "the part is still under way");
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert_eq!(bench.only_fetches(), 1);
}

#[test]
fn a_length_that_is_not_the_announced_one_is_no_object() {
    for bytes in [&b"ab"[..], b"abcd"] {
        let mut bench = Bench::new();
        let id = bench.begin("k", Some(3)).unwrap();
        bench.bytes(id, bytes);
        bench.end(id, End::Whole);
        let visible = bench.calls.iter().any(|(_, line, _)| line.ends_with('*'));
        assert!(!visible, "{:?}", bench.calls);
    }
}

#[test]
fn an_upload_that_is_being_created_is_aborted_afterwards() {
    let mut bench = Bench::new();
    let id = bench.begin("k", None).unwrap();
    bench.bytes(id, b"abcde");
    bench.end(id, End::Broken);
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("DELETE /b/k?uploadId=u ", "500", "", "");
    bench.pass(Duration::from_secs(1));
    bench.answer("DELETE /b/k?uploadId=u ", "404", "", "");
    assert_eq!(bench.only_fetches(), 1);
}

#[test]
fn an_object_that_came_another_way_stays() {
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(5)).unwrap();
    bench.bytes(id, b"abcde");
    bench.end(id, End::Whole);
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "e", "");
    let words = "<Error><Code>PreconditionFailed</Code></Error>";
    bench.answer("POST /b/k?uploadId=u *", "412", "", words);
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert!(bench.lines[0].contains("keeps what it has"), "{:?}", bench.lines);
}

#[test]
fn a_failing_store_is_asked_again_and_then_given_up() {
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(5)).unwrap();
    bench.bytes(id, b"abcde");
    bench.end(id, End::Whole);
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    for _ in 0..3 {
        bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "503", "", "");
        bench.pass(Duration::from_secs(10));
    }
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert!(bench.lines[0].contains("failed 3 times"), "{:?}", bench.lines);
}

#[test]
fn a_completion_that_turns_into_an_error_is_none() {
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(5)).unwrap();
    bench.bytes(id, b"abcde");
    bench.end(id, End::Whole);
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "e", "");
    bench.answer("POST /b/k?uploadId=u *", "200", "", "<Error><Code>InternalError</Code></Error>");
    assert!(bench.lines.is_empty());
    bench.pass(Duration::from_secs(1));
    bench.answer("POST /b/k?uploadId=u *", "200", "", COMPLETED);
    assert!(bench.lines[0].ends_with("stored in the bucket"), "{:?}", bench.lines);
}

#[test]
fn a_store_that_the_host_does_not_know_ends_the_copy() {
    for calls in 0..4 {
        let mut bench = Bench::completing();
        if calls < 3 {
            bench = Bench::new();
            let id = bench.begin("k", None).unwrap();
            bench.bytes(id, b"abcde");
            for (line, etag, body) in [
                ("POST /b/k?uploads ", "", CREATED),
                ("PUT /b/k?partNumber=1&uploadId=u ", "e", ""),
            ]
            .into_iter()
            .take(calls)
            {
                bench.answer(line, "200", etag, body);
            }
            bench.end(id, End::Whole);
        }
        for _ in 0..20 {
            for (id, _, _) in std::mem::take(&mut bench.calls) {
                let now = Moment(bench.now);
                let effects = bench.engine.on_call_refused(id, DispatchError::NoCluster, now);
                bench.take(effects);
            }
            bench.pass(Duration::from_secs(10));
        }
        assert!(bench.engine.is_idle(), "{calls}: {:?}", bench.calls);
        let unsent = |line: &String| line.contains("did not confirm");
        assert!(!bench.lines.iter().any(unsent), "nothing was sent: {:?}", bench.lines);
        let told = bench.lines.last().unwrap();
        assert!(told.ends_with("the gateway has no cluster for the origin or the store"), "{told}");
    }
}

#[test]
fn what_was_stored_since_a_request_began_is_not_copied_again() {
    let mut bench = Bench::new();
    let since = Moment(bench.now);
    let id = bench.begin("k", Some(3)).unwrap();
    bench.bytes(id, b"abc");
    bench.end(id, End::Whole);
    bench.pass(Duration::from_secs(1));
    bench.now += Duration::from_secs(1);
    bench.answer("PUT /b/k *", "200", "", "");
    let (plan, origin) = Bench::plan("k", Some(3));
    assert!(bench.engine.begin(plan, origin, since).is_err());
    let (plan, origin) = Bench::plan("k", Some(3));
    assert_eq!(bench.engine.backfill(plan, origin, since), []);
    // Who asked later and missed it all the same asked for what has been deleted.
    bench.now += Duration::from_millis(1_001);
    assert!(bench.begin("k", Some(3)).is_some());
}

#[test]
fn a_stream_that_is_not_copied_to_its_end_is_continued_by_ranges() {
    for broken in [true, false] {
        let mut bench = Bench::new();
        let _others = bench.leave(12);
        let (plan, origin) = Bench::plan("k", Some(15));
        let plan = Plan { validator: Some("\"v\"".to_owned()), ..plan };
        let id = bench.engine.begin(plan, origin, Moment(bench.now)).unwrap();
        bench.bytes(id, b"abcdefghij");
        if broken {
            bench.end(id, End::Broken);
        } else {
            bench.bytes(id, b"kl");
            bench.bytes(id, b"mno");
            bench.end(id, End::Whole);
        }
        bench.answer("POST /b/k?uploads ", "200", "", CREATED);
        bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
        if broken {
            // The half part is fetched again with the rest.
            bench.range("206", "bytes 8-11/15", "\"v\"", b"ijkl");
        }
        bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "e", "");
        if !broken {
            bench.range("206", "bytes 8-11/15", "\"v\"", b"ijkl");
        }
        bench.answer("PUT /b/k?partNumber=3&uploadId=u ", "200", "e", "");
        bench.range("206", "bytes 12-14/15", "\"v\"", b"mno");
        assert_eq!(bench.body("PUT /b/k?partNumber=4&uploadId=u "), b"mno");
        bench.answer("PUT /b/k?partNumber=4&uploadId=u ", "200", "e", "");
        bench.answer("POST /b/k?uploadId=u *", "200", "", COMPLETED);
        assert!(
            bench.lines[0].ends_with("(15 bytes), client got 200, stored in the bucket"),
            "{:?}",
            bench.lines
        );
    }
}

#[test]
fn a_store_that_fails_is_left_alone_and_then_tried_once() {
    let mut bench = Bench::new();
    let put = |bench: &mut Bench, key: &str| {
        let id = bench.begin(key, Some(3))?;
        bench.bytes(id, b"abc");
        bench.end(id, End::Whole);
        Some(())
    };
    put(&mut bench, "k").unwrap();
    for attempt in 1..=3 {
        bench.answer("PUT /b/k *", "503", "", "");
        if attempt < 3 {
            bench.pass(Duration::from_secs(4));
        }
    }
    bench.lines.clear();
    // What is wanted in the bucket now is told, and not fetched.
    bench.backfill("l");
    assert!(bench.lines[0].contains("is left alone for a while"), "{:?}", bench.lines);
    // Behind the pause one is tried, and no other beside it.
    bench.now += Duration::from_secs(1);
    put(&mut bench, "m").unwrap();
    assert!(put(&mut bench, "n").is_none());
    bench.answer("PUT /b/m *", "200", "", "");
    put(&mut bench, "n").unwrap();
    put(&mut bench, "o").unwrap();
}

#[test]
fn so_many_objects_are_copied_at_once_and_no_more() {
    let mut bench = Bench::with_memory(64 << 20);
    for n in 0..1_000 {
        assert!(bench.begin(&n.to_string(), Some(3)).is_some(), "{n}");
    }
    let (plan, origin) = Bench::plan("more", Some(3));
    let effects = bench.engine.begin(plan, origin, Moment(bench.now)).unwrap_err();
    bench.take(effects);
    assert!(bench.lines[0].ends_with("too many objects are on their way into buckets already"));
}

#[test]
fn one_copy_of_an_object_is_enough() {
    let mut bench = Bench::new();
    assert!(bench.begin("k", None).is_some());
    assert!(bench.begin("k", None).is_none());
    assert!(bench.begin("l", None).is_some());
}

#[test]
fn a_huge_object_has_larger_parts_not_more() {
    let limits = Limits { part_bytes: 8, memory_bytes: 1_000, ..Limits::default() };
    let account = Account::new(&limits, DataPath::Streaming);
    let mut parts = Parts::new(&account, Some(1_000_000), Check::default()).unwrap();
    assert_eq!(parts.received(), 0);
    assert_eq!(parts.push(&[0; 99], false), Pushed::Taken, "a part has 100 bytes");
    assert_eq!(parts.push(&[0; 1], false), Pushed::Full);
}

/// The request that fetches a key for itself.
fn route(key: &str) -> Route {
    route_from("o", key)
}

/// The same from another origin.
fn route_from(host: &str, key: &str) -> Route {
    route_of(host, key, "")
}

/// By a rule that says more.
fn route_by(key: &str, more: &str) -> Route {
    route_of("o", key, more)
}

fn route_of(host: &str, key: &str, more: &str) -> Route {
    let rules = format!(
        r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
             "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://{host}/"{more}}}}}]"#
    );
    let rules = crate::rule::RuleSet::from_json(rules.as_bytes());
    let rules = rules.rules.unwrap();
    let headers = Headers::from_pairs([(":method", "GET"), (":path", &format!("/b/{key}"))]);
    let request = ObjectRequest::read(headers, None, |name| name == "b").unwrap();
    let rule = rules.iter().next().unwrap();
    let crate::rule::Action::Mirror(mirror) = &rule.action else { panic!("not a mirror") };
    let cluster = if host == "o" { "origin" } else { "other" };
    let origin = OriginRequest::build(mirror, &request, cluster).unwrap();
    Route::new(origin, Vec::new(), Moment::default())
}
