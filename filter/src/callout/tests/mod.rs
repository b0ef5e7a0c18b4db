//! Exchange and worker together, without a host: each test drives events and reads effects.

mod digest;
mod head;
mod places;
mod proof;

use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::account::Usage;
use crate::conclusion::{Conclusion, Told};
use crate::configuration::Configuration;
use crate::decision::{Decision, Exchange};
use crate::engine::Engine;
use crate::host::{Call, TICK};
use crate::http::headers::Headers;
use crate::matching::Source;
use crate::metric::Metric;

const CONFIGURATION: &str = r#"{
    "buckets": [{"name": "b", "store": {"cluster": "store", "authority": "s:9000"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o:9100/base/"}},
        {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "fail/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o:9100/", "MirrorTooLarge": "Fail"}},
        {"RuleNumber": 3, "Condition": {"KeyPrefixEquals": "head/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o:9100/", "MirrorCheckMd5": true,
            "MirrorAllowHeadObject": true}},
        {"RuleNumber": 9, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "External", "HostName": "h.example"}}
    ]}],
    "origins": {"http://o:9100": "origin"},
    "limits": {"object_bytes": 100, "memory_bytes": 600, "fetches": 2}
}"#;

/// A worker, a clock, and what came out of it.
struct Bench {
    configuration: Rc<Configuration>,
    engine: Engine,
    now: Duration,
    next_stream: u32,
    calls: Vec<(CallId, Call)>,
    answers: Vec<(StreamId, Reply)>,
    resumed: Vec<StreamId>,
    lines: Vec<String>,
    ticking: bool,
    woken: bool,
    not_stored: usize,
}

impl Bench {
    fn new() -> Self {
        Self::of(CONFIGURATION)
    }

    fn of(configuration: &str) -> Self {
        let configuration = Rc::new(Configuration::from_json(configuration.as_bytes()).unwrap());
        Self {
            engine: Engine::new(Rc::clone(&configuration)),
            configuration,
            now: Duration::from_secs(1_000),
            next_stream: 0,
            calls: Vec::new(),
            answers: Vec::new(),
            resumed: Vec::new(),
            lines: Vec::new(),
            ticking: false,
            woken: false,
            not_stored: 0,
        }
    }

    fn request(path: &str, extra: &[(&str, &str)]) -> Headers {
        let own = [(":method", "GET"), (":scheme", "http"), (":authority", "g"), (":path", path)];
        Headers::from_pairs(own.iter().chain(extra).copied())
    }

    /// A request begins; the bucket has not answered yet.
    fn ask(&mut self, path: &str, extra: &[(&str, &str)]) -> Exchange {
        Exchange::new(Self::request(path, extra), self.engine.sequence())
    }

    /// The bucket answers 404, and the root gets its turn.
    fn miss(&mut self, mut exchange: Exchange) -> StreamId {
        let stream = self.miss_without_turn(&mut exchange);
        self.turn();
        stream
    }

    fn miss_without_turn(&mut self, exchange: &mut Exchange) -> StreamId {
        let answer = Headers::from_pairs([(":status", "404")]);
        let decision = exchange.on_answer(&self.configuration, &answer, || Source::Bucket);
        let Decision::Mirror(miss) = decision else { panic!("not a mirror: {decision:?}") };
        self.next_stream += 1;
        let stream = StreamId(self.next_stream);
        let effects = self.engine.on_miss(stream, *miss);
        self.take(effects);
        stream
    }

    fn get(&mut self, path: &str) -> StreamId {
        let exchange = self.ask(path, &[]);
        self.miss(exchange)
    }

    fn turn(&mut self) {
        while std::mem::take(&mut self.woken) {
            let effects = self.engine.on_wake(Moment(self.now));
            self.take(effects);
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answer(stream, reply) => self.answers.push((stream, reply)),
                Effect::Call(id, call) => self.calls.push((id, call)),
                Effect::Measure(series, _) if series.word == "not_stored" => self.not_stored += 1,
                Effect::Absent(..) | Effect::Claim(_) | Effect::Measure(..) => {}
                Effect::Lease(_) | Effect::Record(..) | Effect::Release(_) => {}
                Effect::Log(line) => self.lines.push(line),
                Effect::Resume(stream) => self.resumed.push(stream),
                Effect::Send(..) | Effect::Settle(..) => panic!("nobody waits for another"),
                Effect::Tick(period) => self.ticking = period.is_some(),
                Effect::Wake => self.woken = true,
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            if self.ticking {
                let effects = self.engine.on_tick(Moment(self.now));
                self.take(effects);
                self.turn();
            }
        }
    }

    /// The oldest call under way.
    fn call(&mut self) -> (CallId, Call) {
        assert!(!self.calls.is_empty(), "no call is under way");
        self.calls.remove(0)
    }

    fn respond(&mut self, call: CallId, pairs: &[(&str, &str)], body: &[u8]) {
        // A protocol that tells an end from a break.
        let framing = (crate::miss_route::FRAMING, "HTTP/2 -");
        let headers = Headers::from_pairs(pairs.iter().copied().chain([framing]));
        let body_bytes = body.len() as u64;
        let body =
            if self.engine.wants_body(call, body_bytes) { body.to_vec() } else { Vec::new() };
        let answer = CallAnswer { headers, body_bytes, body };
        let effects = self.engine.on_call_answer(call, answer, Moment(self.now));
        self.take(effects);
        self.turn();
    }

    fn respond_status(&mut self, status: &str) {
        let (id, _) = self.call();
        self.respond(id, &[(":status", status), ("x-envoy-upstream-service-time", "1")], b"");
    }

    fn respond_object(&mut self, body: &[u8]) {
        let (id, _) = self.call();
        self.respond(id, &[(":status", "200"), ("content-type", "a/b")], body);
    }

    fn end(&mut self, stream: StreamId) {
        let effects = self.engine.on_stream_end(stream);
        self.take(effects);
        self.turn();
    }

    /// What a stream got: its status and body.
    fn answer(&mut self, stream: StreamId) -> (u16, Vec<u8>) {
        let at = self.answers.iter().position(|(answered, _)| *answered == stream);
        let Some(at) = at else { panic!("{stream:?} got no answer") };
        let (_, reply) = self.answers.remove(at);
        let body = match reply.body {
            Body::Absent | Body::Headers(_) => Vec::new(),
            Body::Object(object, bytes) => object.body[bytes].to_vec(),
            Body::Text(text) => text.into_bytes(),
        };
        (reply.status, body)
    }
}

fn header<'c>(call: &'c Call, name: &str) -> &'c str {
    std::str::from_utf8(call.headers.get(name).unwrap_or_default()).unwrap()
}

#[test]
fn a_miss_is_fetched_answered_and_stored() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x%20y?q=1");
    let (id, call) = bench.call();
    assert_eq!(call.cluster, "origin");
    assert_eq!(
        [":method", ":scheme", ":authority", ":path"].map(|name| header(&call, name)),
        ["GET", "http", "o:9100", "/base/a/x%20y"]
    );
    bench.respond(id, &[(":status", "200"), ("content-type", "a/b")], b"bytes");
    assert_eq!(bench.answer(stream), (200, b"bytes".to_vec()));

    let (_, put) = bench.calls[0].clone();
    assert_eq!(put.cluster, "store");
    assert_eq!(
        [":method", ":authority", ":path", "if-none-match", "content-type", TAG]
            .map(|name| header(&put, name)),
        [
            "PUT",
            "s:9000",
            "/b/a/x%20y",
            "*",
            "a/b",
            "MIRROR http%3A%2F%2Fo%3A9100%2Fbase%2Fa%2Fx%2520y"
        ]
    );
    assert!(bench.lines.is_empty(), "the line waits for the store: {:?}", bench.lines);
    bench.respond_status("200");
    assert_eq!(
        bench.lines,
        ["GET b/a/x y: bucket 404, rule 1 Mirror, origin http://o:9100/base/a/x%20y answered 200 \
          (5 bytes), client got 200, stored in the bucket"]
    );
    bench.end(stream);
    bench.pass(Duration::from_secs(3));
    assert!(!bench.ticking, "nothing is left to wait for");
}

const TAG: &str = crate::metadata::TAG_METADATA;

#[test]
fn all_who_miss_at_once_share_one_fetch_and_one_copy() {
    let mut bench = Bench::new();
    let streams: Vec<_> = (0..50).map(|_| bench.get("/b/a/x")).collect();
    assert_eq!(bench.calls.len(), 1);
    bench.respond_object(b"bytes");
    for stream in streams {
        assert_eq!(bench.answer(stream), (200, b"bytes".to_vec()));
        bench.end(stream);
    }
    assert_eq!(bench.calls.len(), 1, "one PUT");
}

#[test]
fn a_request_older_than_the_copy_is_answered_from_it() {
    let mut bench = Bench::new();
    let early = bench.ask("/b/a/x", &[]);
    bench.get("/b/a/x");
    bench.respond_object(b"bytes");
    bench.respond_status("200");
    // The bucket said 404 to this one before it had the object.
    let early = bench.miss(early);
    assert_eq!(bench.answer(early), (200, b"bytes".to_vec()));
    assert!(bench.calls.is_empty());
    // And to this one after: the object has been deleted, and is fetched anew.
    bench.get("/b/a/x");
    assert_eq!(header(&bench.calls[0].1, ":method"), "GET");
}

#[test]
fn requests_that_ask_the_origin_differently_share_nothing() {
    let mut bench = Bench::new();
    bench.get("/b/a/x");
    bench.get("/b/a/y");
    assert_eq!(bench.calls.len(), 2);
}

#[test]
fn what_the_origin_has_not_and_what_fails_is_told_apart() {
    let cases: &[(&str, u16, &str)] = &[
        ("404", 404, "<Code>NoSuchKey</Code>"),
        ("500", 424, "the origin answered 500"),
        ("206", 424, "the origin answered 206"),
        ("301", 424, "the origin answered 301"),
    ];
    for (status, expected, text) in cases {
        let mut bench = Bench::new();
        let stream = bench.get("/b/a/x");
        bench.respond_status(status);
        let (got, body) = bench.answer(stream);
        let body = String::from_utf8(body).unwrap();
        assert_eq!(got, *expected, "{status}");
        assert!(body.contains(text), "{status}: {body}");
        assert!(bench.calls.is_empty(), "{status}: nothing is stored");
    }
}

#[test]
fn an_answer_that_broke_off_is_asked_for_its_size() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    let (id, _) = bench.call();
    bench.respond(id, &[], b"");
    let (id, head) = bench.call();
    assert_eq!(header(&head, ":method"), "HEAD");
    bench.respond(id, &[(":status", "200"), ("content-length", "101")], b"");
    assert_eq!(bench.answer(stream).0, 302);

    let stream = bench.get("/b/a/x");
    for _ in 0..2 {
        let (id, _) = bench.call();
        bench.respond(id, &[], b"");
    }
    assert_eq!(bench.answer(stream).0, 424);
}

#[test]
fn a_large_object_is_the_origins_to_give() {
    let mut bench = Bench::new();
    let redirected = bench.get("/b/a/x");
    bench.respond_object(&[7; 101]);
    let failed = bench.get("/b/fail/x");
    bench.respond_object(&[7; 101]);
    let at = bench.answers.iter().position(|(stream, _)| *stream == redirected).unwrap();
    let location = bench.answers[at].1.headers.get("location");
    assert_eq!(location, Some(&b"http://o:9100/base/a/x"[..]));
    assert_eq!(bench.answer(redirected).0, 302);
    assert_eq!(bench.answer(failed).0, 424);
}

#[test]
fn a_failing_store_is_tried_again_and_then_given_up() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    bench.respond_object(b"bytes");
    assert_eq!(bench.answer(stream).0, 200);
    for attempt in 1..=3 {
        assert_eq!(bench.calls.len(), 1, "attempt {attempt}");
        bench.respond_status("503");
        if attempt < 3 {
            assert!(bench.calls.is_empty(), "the next attempt waits");
            bench.pass(Duration::from_secs(8));
        }
    }
    // The store itself has said no each time: there is nothing to look for.
    assert!(bench.calls.is_empty(), "{:?}", bench.calls);
    assert!(bench.lines[0].ends_with("not stored: the store failed 3 times, last with 503"));
    bench.pass(Duration::from_secs(3));
    assert!(!bench.ticking);
}

#[test]
fn a_refusal_of_the_store_is_final() {
    for (status, why) in [
        ("412", "the bucket has the object by now, and keeps what it has"),
        ("403", "the store refused it with 403"),
        ("501", "the store refused it with 501"),
    ] {
        let mut bench = Bench::new();
        bench.get("/b/a/x");
        bench.respond_object(b"bytes");
        bench.respond_status(status);
        bench.pass(Duration::from_secs(60));
        assert!(bench.calls.is_empty(), "{status}");
        let told = bench.lines.iter().any(|line| line.ends_with(why));
        assert!(told, "{status}: {:?}", bench.lines);
    }
}

#[test]
fn the_object_is_stored_though_its_client_left() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    bench.end(stream);
    bench.respond_object(b"bytes");
    assert!(bench.answers.is_empty());
    bench.respond_status("200");
    assert!(bench.lines[0].ends_with("client had left, stored in the bucket"), "{:?}", bench.lines);
}

#[test]
fn a_client_that_leaves_before_its_fetch_begins_causes_none() {
    let mut bench = Bench::new();
    let mut exchange = bench.ask("/b/a/x", &[]);
    let stream = bench.miss_without_turn(&mut exchange);
    bench.end(stream);
    assert!(bench.calls.is_empty());
}

#[test]
fn fetches_have_a_limit_and_those_behind_it_a_patience() {
    let mut bench = Bench::new();
    let streams: Vec<_> = (0..4).map(|n| bench.get(&format!("/b/a/{n}"))).collect();
    assert_eq!(bench.calls.len(), 2);
    bench.respond_status("404");
    assert_eq!(bench.calls.len(), 2, "the next has its turn");
    bench.pass(Duration::from_secs(11));
    let (status, body) = bench.answer(streams[3]);
    assert_eq!(status, 424);
    assert!(String::from_utf8(body).unwrap().contains("too many fetches"));
}

impl Bench {
    /// The origin answers all that it is asked with an object of 100 bytes, and each client reads its
    /// answer; returns the statuses of those.
    fn fetch_all(&mut self) -> Vec<u16> {
        let mut statuses = Vec::new();
        let is_fetch = |(_, call): &(CallId, Call)| header(call, ":method") == "GET";
        while let Some(at) = self.calls.iter().position(is_fetch) {
            let (id, _) = self.calls.remove(at);
            self.respond(id, &[(":status", "200")], &[7; 100]);
            for (stream, reply) in std::mem::take(&mut self.answers) {
                statuses.push(reply.status);
                drop(reply);
                self.end(stream);
            }
            let (used, limit) = (self.engine.account().used(), self.engine.account().limit());
            assert!(used.here <= limit.here && used.there <= limit.there, "{used:?}");
        }
        statuses
    }
}

#[test]
fn memory_bounds_what_is_fetched_stored_and_given_out() {
    let mut bench = Bench::new();
    for n in 0..6 {
        bench.get(&format!("/b/a/{n}"));
    }
    // The store takes nothing yet: 300 bytes here are not enough for all.
    let mut statuses = bench.fetch_all();
    assert_eq!(statuses, [200; 3]);
    assert_eq!(bench.calls.len(), 1, "a second body would take more than half of what is there");
    // What is stored makes room for the others, in their turn.
    for _ in 0..6 {
        bench.pass(Duration::from_millis(200));
        bench.respond_status("200");
        statuses.extend(bench.fetch_all());
    }
    assert_eq!(statuses, [200; 6]);
    let stored = bench.lines.iter().filter(|line| line.ends_with("stored in the bucket"));
    assert_eq!(stored.count(), 6, "{:?}", bench.lines);
}

#[test]
fn what_only_waits_for_its_store_gives_way_to_clients() {
    let mut bench = Bench::new();
    let count = 32;
    for n in 0..count {
        bench.get(&format!("/b/a/{n}"));
    }
    // The store never answers; whoever waits for memory waits for a second.
    let mut statuses = bench.fetch_all();
    for _ in 0..40 {
        bench.pass(Duration::from_millis(100));
        statuses.extend(bench.fetch_all());
    }
    assert_eq!(statuses, vec![200; count]);
    let told = "not stored: too much is waiting to be stored already";
    let given_way = bench.lines.iter().filter(|line| line.contains(told)).count();
    assert_eq!(given_way, count - 3, "{:#?}", bench.lines);
    assert_eq!(bench.not_stored, given_way);
    // Those that stayed are stored in their turn, once the store answers.
    for _ in 0..3 {
        bench.respond_status("200");
    }
    let stored = bench.lines.iter().filter(|line| line.ends_with("stored in the bucket"));
    assert_eq!(stored.count(), 3, "{:#?}", bench.lines);
    assert!(bench.calls.is_empty());
    bench.pass(Duration::from_secs(3));
    assert_eq!(bench.engine.account().used(), Usage::default());
    assert!(!bench.ticking && bench.engine.is_idle());
}

#[test]
fn one_that_may_have_been_written_gives_way_to_a_look() {
    let mut bench = Bench::new();
    for n in 0..3 {
        bench.get(&format!("/b/a/{n}"));
    }
    assert_eq!(bench.fetch_all(), [200; 3]);
    // Nobody has heard of the first PUT, and the second is under way when it is to be made again.
    let (id, _) = bench.call();
    bench.respond(id, &[], b"");
    bench.pass(Duration::from_millis(1_200));
    // Two clients come, and two copies that wait give way.
    for n in 3..5 {
        bench.get(&format!("/b/a/{n}"));
    }
    bench.pass(Duration::from_millis(2_400));
    let look = bench.calls.iter().position(|(_, call)| header(call, ":method") == "HEAD");
    let (look, call) = bench.calls.remove(look.expect("the bucket is looked at"));
    assert_eq!(header(&call, ":path"), "/b/a/0");
    let tag = [("content-length", "100"), (TAG, "MIRROR http%3A%2F%2Fo%3A9100%2Fbase%2Fa%2F0")];
    let found = [(":status", "200"), ("x-envoy-upstream-service-time", "1"), tag[0], tag[1]];
    bench.respond(look, &found, b"");
    let told = |line: &String| line.contains("a/0") && line.ends_with("stored in the bucket");
    assert!(bench.lines.iter().any(told), "{:#?}", bench.lines);
}

#[test]
fn as_much_is_fetched_at_once_as_there_is_room_for_were_all_as_large_as_those_before() {
    let text = CONFIGURATION.replace("\"fetches\": 2", "\"fetches\": 64");
    let mut bench = Bench::of(&text);
    for n in 0..64 {
        bench.get(&format!("/b/a/{n}"));
    }
    assert_eq!(bench.calls.len(), 2, "half of the room is for each of the first");
    // Small ones make room for many: nobody has to wait for long.
    for _ in 0..6 {
        bench.respond_status("404");
    }
    assert!(bench.calls.len() > 30, "{}", bench.calls.len());
    // A large one that did not fit into what was kept for it is its origin's to give.
    let mut statuses = Vec::new();
    while !bench.calls.is_empty() {
        let (id, call) = bench.call();
        if header(&call, ":method") == "GET" {
            bench.respond(id, &[(":status", "200")], &[7; 100]);
        }
        let used = bench.engine.account().used();
        assert!(used.here <= 300 && used.there <= 300, "{used:?}");
    }
    statuses.extend(bench.answers.iter().map(|(_, reply)| reply.status));
    assert!(statuses.contains(&200) && statuses.contains(&302), "{statuses:?}");
}

#[test]
fn what_the_store_does_not_take_goes_to_nobody_else() {
    let mut bench = Bench::new();
    let early = bench.ask("/b/a/x", &[]);
    let first = bench.get("/b/a/x");
    bench.respond_object(b"version 1");
    assert_eq!(bench.answer(first), (200, b"version 1".to_vec()));
    bench.end(first);
    // While it is on its way into the bucket, it is the object.
    let second = bench.get("/b/a/x");
    assert_eq!(bench.answer(second), (200, b"version 1".to_vec()));
    bench.end(second);
    bench.respond_status("503");
    // The origin has another by now, and the bucket may never have this one.
    let third = bench.get("/b/a/x");
    let at = bench.calls.iter().position(|(_, call)| header(call, ":method") == "GET");
    let (id, _) = bench.calls.remove(at.expect("the origin is asked"));
    bench.respond(id, &[(":status", "200")], b"version 2");
    assert_eq!(bench.answer(third), (200, b"version 2".to_vec()));
    // Nor does it when the store has refused it for good.
    bench.calls.clear();
    let fourth = bench.miss(early);
    assert!(bench.answers.iter().all(|(_, reply)| reply.status == 200));
    let (_, body) = bench.answer(fourth);
    assert_eq!(body, b"version 2", "the one that is on its way now");
}

#[test]
fn a_range_is_cut_from_the_whole() {
    let cases: &[(&[(&str, &str)], u16, &[u8])] = &[
        (&[("range", "bytes=1-2")], 206, b"yt"),
        (&[("range", "bytes=-2")], 206, b"es"),
        (&[("range", "bytes=1-2"), ("if-range", "\"x\"")], 200, b"bytes"),
        (&[("range", "bytes=1-2,3-4")], 200, b"bytes"),
    ];
    for (extra, status, body) in cases {
        let mut bench = Bench::new();
        let exchange = bench.ask("/b/a/x", extra);
        let stream = bench.miss(exchange);
        bench.respond_object(b"bytes");
        assert_eq!(bench.answer(stream), (*status, body.to_vec()), "{extra:?}");
        assert_eq!(bench.calls[0].1.body.as_ref().unwrap()[..], *b"bytes", "stored whole");
    }
    let mut bench = Bench::new();
    let exchange = bench.ask("/b/a/x", &[("range", "bytes=9-")]);
    let stream = bench.miss(exchange);
    bench.respond_object(b"bytes");
    let (status, body) = bench.answer(stream);
    assert_eq!(status, 416);
    assert!(String::from_utf8(body).unwrap().contains("InvalidRange"));
}

#[test]
fn an_empty_object_takes_the_held_answers_place() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    bench.respond_object(b"");
    assert!(matches!(bench.answers[0].1.body, Body::Headers(Some(0))));
    assert!(bench.engine.discards_body(stream));
    assert_eq!(header(&bench.calls[0].1, "content-length"), "0");
    bench.end(stream);
    assert!(!bench.engine.discards_body(stream));
}

#[test]
fn a_host_without_the_cluster_is_a_failure_of_its_own() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    // It is waited for: a host takes new servers and new rules one after the other.
    let begun = bench.now;
    while !bench.calls.is_empty() {
        let (id, _) = bench.call();
        let effects = bench.engine.on_call_refused(id, DispatchError::NoCluster, Moment(bench.now));
        bench.take(effects);
        bench.pass(TICK);
    }
    let waited = bench.now.saturating_sub(begun);
    assert!((2..3).contains(&waited.as_secs()), "{waited:?}");
    let (status, body) = bench.answer(stream);
    assert_eq!(status, 424);
    assert!(String::from_utf8(body).unwrap().contains("no cluster for the origin"));
}

#[test]
fn a_cluster_that_comes_late_is_used() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    let (id, _) = bench.call();
    let effects = bench.engine.on_call_refused(id, DispatchError::NoCluster, Moment(bench.now));
    bench.take(effects);
    assert!(bench.calls.is_empty());
    bench.pass(Duration::from_millis(300));
    bench.respond_object(b"late");
    assert_eq!(bench.answer(stream), (200, b"late".to_vec()));
}

#[test]
fn a_header_that_cannot_be_kept_keeps_no_object_out() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/a/x");
    let (id, _) = bench.call();
    let headers = Headers::from_pairs([
        (&b":status"[..], &b"200"[..]),
        (b"content-length", b"1"),
        (b"content-type", b"a/\xff"),
        (b"content-language", b"\xff"),
    ]);
    let answer = CallAnswer { headers, body_bytes: 1, body: b"x".to_vec() };
    let effects = bench.engine.on_call_answer(id, answer, Moment(bench.now));
    let is_count = |effect: &Effect| matches!(effect, Effect::Measure(series, _) if series.metric == Metric::HeadersUnkept);
    assert!(effects.iter().any(is_count));
    bench.take(effects);
    assert_eq!(bench.answer(stream).0, 200);
    let (_, put) = bench.call();
    assert_eq!(put.headers.get("content-type"), Some(&b"application/octet-stream"[..]));
    assert_eq!(put.headers.get("content-language"), None);
    let line = "left out what is not ASCII in content-type, content-language";
    assert!(bench.lines[0].ends_with(line), "{:?}", bench.lines);
}
