//! Streams on the miss route without a host.

mod proof;

use std::collections::BTreeMap;

use super::*;
use crate::configuration::Configuration;
use crate::metadata::TAG_METADATA;
use crate::reason::MirrorFailure;

const CONFIGURATION: &str = r#"{
    "path": "streaming",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "again": "again-b", "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}},
        {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "f/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorFallThrough": true}},
        {"RuleNumber": 3, "Condition": {"KeyPrefixEquals": "f/e", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"HostName": "h"}},
        {"RuleNumber": 4, "Condition": {"KeyPrefixEquals": "f/f", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://p/", "MirrorAsyncStatus": 303}},
        {"RuleNumber": 5, "Condition": {"KeyPrefixEquals": "f/m", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://p/q/", "MirrorAllowHeadObject": true}},
        {"RuleNumber": 6, "Condition": {"KeyPrefixEquals": "k", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAllowHeadObject": true,
            "MirrorHeaders": {"PassAll": true, "Set": [{"Key": "x-set", "Value": "s"}]}}},
        {"RuleNumber": 7, "Condition": {"KeyPrefixEquals": "slave/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorURLSlave": "http://p/",
            "MirrorURLProbe": "http://o/probe"}},
        {"RuleNumber": 8, "Condition": {"KeyPrefixEquals": "down/", "HttpErrorCodeReturnedEquals": 503},
         "Redirect": {"HostName": "h"}},
        {"RuleNumber": 9, "Condition": {"KeyPrefixEquals": "hidden/"}, "Redirect": {"HostName": "h"}},
        {"RuleNumber": 10, "Condition": {"KeyPrefixEquals": "private/", "HttpErrorCodeReturnedEquals": [403, 404]},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAllowHeadObject": true}},
        {"RuleNumber": 11, "Condition": {"KeyPrefixEquals": "sent/", "HttpErrorCodeReturnedEquals": 403},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAsyncStatus": 302}}]}],
    "origins": {"http://o": "o", "http://p": "p"}
}"#;

const ROOT: u64 = 7;

/// An engine, and one stream after another.
struct Bench {
    engine: Engine,
    miss: MissStream,
    effects: Vec<Effect>,
    now: Moment,
}

fn at(seconds: u64) -> Moment {
    Moment(std::time::Duration::from_secs(seconds))
}

impl Bench {
    fn new() -> Self {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let engine = Engine::new(Rc::new(configuration));
        Self { engine, miss: MissStream::default(), effects: Vec::new(), now: at(1) }
    }

    fn request(&mut self, headers: &[(&str, &str)]) -> RequestDecision {
        self.miss = MissStream::default();
        let headers = Headers::from_pairs(headers.iter().copied());
        let decided =
            self.miss.on_request(&mut self.engine, headers, ROOT, self.now, &mut BTreeMap::new());
        self.effects.extend(decided.effects);
        decided.decision
    }

    /// A miss of the bucket's.
    fn missed(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> RequestDecision {
        self.said("bucket b 404", method, path, more)
    }

    fn said(
        &mut self,
        said: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
    ) -> RequestDecision {
        let url = format!("http://client.example:8080{path}");
        let own = [
            (":authority", miss_route::HOST),
            (":method", method),
            (":scheme", "http"),
            (":path", "/"),
            ("x-forwarded-proto", "https"),
            (miss_route::MISS, said),
            (miss_route::ORIGINAL_URL, &url),
        ];
        self.request(&own.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// The answer to what has been sent comes back.
    fn back(&mut self, sent: &HeaderList, said: &str, location: Option<&str>) -> RequestDecision {
        let attempt = text(sent, miss_route::ATTEMPT).expect("it may come back");
        let gone = self.miss.on_gone(&mut self.engine, || false, || self.now);
        self.effects.extend(gone.effects);
        let mut headers = vec![
            (":authority", miss_route::HOST),
            (":method", "GET"),
            (miss_route::MISS, said),
            (miss_route::ATTEMPT, &attempt),
        ];
        headers.extend(location.map(|location| (miss_route::LOCATION, location)));
        self.request(&headers)
    }

    fn answer(&mut self, answer: &[(&str, &str)]) -> ResponseDecision {
        self.answer_unless(answer, None)
    }

    fn answer_unless(
        &mut self,
        answer: &[(&str, &str)],
        unheard: Option<Unheard>,
    ) -> ResponseDecision {
        // A protocol that tells an end from a break.
        let framing = (miss_route::FRAMING, "HTTP/2 -");
        let answer = Headers::from_pairs(answer.iter().copied().chain([framing]));
        let now = self.now;
        let (source, unheard) = (|| Source::Bucket, || unheard);
        let decided = self.miss.on_response(&mut self.engine, &answer, source, unheard, || now);
        self.effects.extend(decided.effects);
        decided.decision
    }

    fn lines(&mut self) -> Vec<String> {
        let line = |effect| match effect {
            Effect::Log(line) => Some(line),
            Effect::Absent(..) | Effect::Answer(..) => None,
            Effect::Call(..) | Effect::Claim(_) => None,
            Effect::Measure(..) | Effect::Lease(_) | Effect::Record(..) | Effect::Release(_) => {
                None
            }
            Effect::Resume(_) | Effect::Tick(_) | Effect::Wake => None,
            Effect::Send(..) | Effect::Settle(..) => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(line).collect()
    }
}

impl Bench {
    /// Whether an object that nobody comes for is fetched for the bucket, and not before its time.
    fn is_fetched_later(&mut self, path: &str) -> bool {
        let effects = self.engine.on_tick(at(5));
        assert_eq!(claimed(&effects), None, "{effects:?}");
        let effects = self.engine.on_tick(at(6));
        let Some(lease) = claimed(&effects) else { return false };
        let _ = self.engine.on_lease(&lease, true);
        asks(&self.engine.on_wake(at(6)), ":path", path)
    }
}

/// The lease that is asked for.
fn claimed(effects: &[Effect]) -> Option<Lease> {
    effects.iter().find_map(|effect| {
        if let Effect::Claim(lease) = effect { Some(lease.clone()) } else { None }
    })
}

/// Whether a request has such a header.
fn asks(effects: &[Effect], name: &str, value: &str) -> bool {
    effects.iter().any(|effect| {
        let Effect::Call(_, call) = effect else { return false };
        call.headers.get(name) == Some(value.as_bytes())
    })
}

/// Whether a line begins so.
fn tells(effects: &[Effect], start: &str) -> bool {
    effects.iter().any(|effect| {
        let Effect::Log(line) = effect else { return false };
        line.starts_with(start)
    })
}

#[test]
fn behind_a_head_the_get_brings_the_object_and_nobody_else_fetches_it() {
    for is_elsewhere in [false, true] {
        let mut bench = Bench::new();
        sent(bench.missed("HEAD", "/b/k", &[]));
        let answer = [(":status", "200"), ("content-length", "3"), ("content-type", "a/b")];
        assert!(matches!(bench.answer(&answer), ResponseDecision::Stream(_)));
        if is_elsewhere {
            // Another worker has the GET, and the lease with it.
            let lease = claimed(&bench.engine.on_tick(at(9))).unwrap();
            assert!(tells(&bench.engine.on_lease(&lease, false), "HEAD b/k:"));
        } else {
            sent(bench.missed("GET", "/b/k", &[]));
            assert!(matches!(bench.answer(&answer), ResponseDecision::Stream(_)));
            assert!(bench.miss.on_lease(&mut bench.engine, true).is_empty());
            assert!(bench.miss.copy().is_some());
            assert!(tells(&bench.engine.on_tick(at(9)), "HEAD b/k:"));
            bench.engine.on_end(bench.miss.copy().unwrap(), End::Broken);
        }
        let mut effects = bench.engine.on_wake(at(9));
        effects.extend(bench.engine.on_wake(at(9)));
        let is_fetched = asks(&effects, ":method", "GET");
        assert_eq!(is_fetched, !is_elsewhere, "what has broken off is fetched: {effects:?}");
    }
}

fn text(headers: &HeaderList, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn sent(decision: RequestDecision) -> HeaderList {
    let RequestDecision::Send(headers) = decision else { panic!("{decision:?}") };
    headers
}

fn refused(decision: RequestDecision) -> u16 {
    let RequestDecision::Answer(reply) = decision else { panic!("{decision:?}") };
    reply.status
}

#[test]
fn a_miss_is_sent_to_its_origin_by_what_the_client_asked() {
    let mut bench = Bench::new();
    let decision = bench.missed("GET", "/b/k/%41?x", &[("cookie", "c"), ("x-envoy-internal", "t")]);
    let headers = sent(decision);
    let get = |name| text(&headers, name);
    assert_eq!(get(":authority").as_deref(), Some(miss_route::HOST), "the route stays");
    assert_eq!(get(miss_route::SERVER_HOST).as_deref(), Some("o"));
    assert_eq!(get(miss_route::CLUSTER).as_deref(), Some("o"));
    assert_eq!(get(":path").as_deref(), Some("/k/A"));
    assert_eq!(get("cookie").as_deref(), Some("c"));
    assert_eq!(get("x-set").as_deref(), Some("s"));
    assert_eq!(get("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(get(miss_route::TIMEOUT).as_deref(), Some("10000"));
    assert_eq!(get(miss_route::RETURNS).as_deref(), Some("301 302 303 307 308"));
    assert_eq!(
        get(miss_route::MISS).as_deref(),
        Some(miss_route::READ),
        "the route is found again"
    );
    for gone in [miss_route::ORIGINAL_URL, "x-envoy-internal", miss_route::IDLE] {
        assert_eq!(get(gone), None, "{gone}");
    }
    match bench.answer(&[(":status", "200"), ("content-length", "4"), ("content-type", "a/b")]) {
        ResponseDecision::Stream(headers) => {
            assert_eq!(
                text(&headers, "x-oss-tag").as_deref(),
                Some("MIRROR http%3A%2F%2Fo%2Fk%2FA")
            );
            assert_eq!(text(&headers, "content-length").as_deref(), Some("4"));
        }
        other @ (ResponseDecision::Answer(_) | ResponseDecision::Continue) => panic!("{other:?}"),
    }
    assert!(bench.miss.copy().is_none(), "the lease is not ours yet");
    assert!(bench.miss.on_lease(&mut bench.engine, true).is_empty());
    assert!(bench.miss.copy().is_some());
}

#[test]
fn what_no_rule_covers_is_the_buckets_again() {
    for (said, path) in [
        ("bucket b 404", "/b/none"),
        ("bucket b 404", "/c/k"),
        ("bucket c 404", "/b/k"),
        ("bucket b 404 deleted", "/b/k"),
        ("bucket b 403", "/b/k"),
        ("bucket b gateway 503", "/b/k"),
        ("bucket b 404", "/b/../k"),
    ] {
        let mut bench = Bench::new();
        let more = [("authorization", "AWS4"), ("host-like", "\u{e9}")];
        let decision = bench.said(said, "GET", path, &more);
        if said == "bucket c 404" {
            assert_eq!(refused(decision), 404, "nobody knows that bucket's store");
            continue;
        }
        let headers = sent(decision);
        let get = |name| text(&headers, name);
        assert_eq!(get(miss_route::CLUSTER).as_deref(), Some("again-b"), "{said} {path}");
        assert_eq!(get(miss_route::SERVER_HOST).as_deref(), Some("client.example:8080"));
        assert_eq!(get(":path").as_deref(), Some(path));
        assert_eq!(get("authorization").as_deref(), Some("AWS4"));
        assert_eq!(get("host-like").as_deref(), Some("\u{e9}"));
        assert!(matches!(bench.answer(&[(":status", "404")]), ResponseDecision::Continue));
        assert!(bench.lines().is_empty());
    }
}

#[test]
fn signed_reads_are_the_clients_own_to_the_rules_and_the_buckets_own_again() {
    let mut bench = Bench::new();
    let asked = [(miss_route::ORIGINAL_HOST, "g"), (miss_route::ORIGINAL_PATH, "/b/a/x")];
    let headers = sent(bench.missed("GET", "/elsewhere", &asked));
    assert_eq!(text(&headers, ":path").as_deref(), Some("/a/x"));
    let asked = [(miss_route::ORIGINAL_HOST, "g"), (miss_route::ORIGINAL_PATH, "/b/none")];
    let headers = sent(bench.missed("GET", "/elsewhere", &asked));
    assert_eq!(text(&headers, ":path").as_deref(), Some("/elsewhere"));
    assert_eq!(text(&headers, miss_route::SERVER_HOST).as_deref(), Some("client.example:8080"));
}

#[test]
fn a_redirect_rule_answers_at_once() {
    let mut bench = Bench::new();
    assert_eq!(refused(bench.said("bucket b 503", "GET", "/b/down/x", &[])), 301);
    assert_eq!(refused(bench.said("bucket b gateway 503", "GET", "/b/down/x", &[])), 301);
    assert_eq!(bench.lines().len(), 2);
}

#[test]
fn a_rule_about_hits_sees_the_buckets_answer() {
    let mut bench = Bench::new();
    let hit = |path: &'static str| [(":method", "GET"), (":authority", "g"), (":path", path)];
    for (path, redirected) in [("/b/hidden/x", true), ("/b/other", false)] {
        assert!(matches!(bench.request(&hit(path)), RequestDecision::Continue));
        let decision = bench.answer(&[(":status", "200"), (TAG_METADATA, "MIRROR x")]);
        assert_eq!(matches!(decision, ResponseDecision::Answer(_)), redirected, "{path}");
    }
}

#[test]
fn a_head_travels_as_one_and_the_object_comes_later() {
    let mut bench = Bench::new();
    let headers = sent(bench.missed("HEAD", "/b/k", &[("range", "bytes=0-1")]));
    assert_eq!(headers.get(":method"), Some(&b"HEAD"[..]));
    assert_eq!(headers.get("range"), None, "a HEAD has no range");
    let answer = [(":status", "200"), ("content-length", "7"), ("content-type", "a/b")];
    assert!(matches!(bench.answer(&answer), ResponseDecision::Stream(_)));
    assert!(bench.miss.on_lease(&mut bench.engine, true).is_empty(), "it takes no lease yet");
    assert!(bench.is_fetched_later("/k"));
    sent(bench.missed("HEAD", "/b/k", &[]));
    let ResponseDecision::Answer(no) = bench.answer(&[(":status", "404")]) else { panic!() };
    assert_eq!(no.status, 404);
    // The rule of its GET does not allow it.
    let headers = sent(bench.missed("HEAD", "/b/a/k", &[]));
    assert_eq!(text(&headers, miss_route::CLUSTER).as_deref(), Some("again-b"));
}

#[test]
fn whoever_leaves_before_the_answer_leaves_the_object() {
    for left in [true, false] {
        let mut bench = Bench::new();
        sent(bench.missed("GET", "/b/k", &[]));
        let gone = bench.miss.on_gone(&mut bench.engine, || left, || at(2));
        assert_eq!(gone.lease.is_some(), left);
        let begun = bench.miss.on_lease(&mut bench.engine, true);
        assert_eq!(begun.is_empty(), !left);
        // What does not come back is forgotten.
        let _ = bench.engine.on_tick(at(5));
        assert!(bench.engine.is_idle() != left);
    }
}

#[test]
fn a_part_behind_the_end_is_refused_and_the_object_fetched() {
    let answer = [(":status", "416"), ("content-range", "bytes */5")];
    let mut bench = Bench::new();
    sent(bench.missed("GET", "/b/k", &[("range", "bytes=9-")]));
    let ResponseDecision::Answer(reply) = bench.answer(&answer) else { panic!() };
    assert_eq!(reply.status, 416);
    assert!(bench.is_fetched_later("/k"));
    // Who asked for all of it was not told where its end is.
    sent(bench.missed("GET", "/b/k", &[]));
    let ResponseDecision::Answer(reply) = bench.answer(&answer) else { panic!() };
    assert_eq!(reply.status, 424);
}

#[test]
fn a_redirect_is_followed_and_the_object_is_the_mirror_urls() {
    let mut bench = Bench::new();
    let own = [("range", "bytes=0-1"), ("cookie", "c"), ("x-plain", "p")];
    let first = sent(bench.missed("GET", "/b/k", &own));
    let second = sent(bench.back(&first, "origin 302", Some("/there?x")));
    assert_eq!(text(&second, miss_route::CLUSTER).as_deref(), Some("o"));
    assert_eq!(text(&second, ":path").as_deref(), Some("/there?x"));
    assert_eq!(text(&second, "cookie").as_deref(), Some("c"));
    let third = sent(bench.back(&second, "origin 307", Some("http://p/y")));
    assert_eq!(text(&third, miss_route::CLUSTER).as_deref(), Some("p"));
    assert_eq!(text(&third, miss_route::SERVER_HOST).as_deref(), Some("p"));
    for secret in ["cookie", "x-set"] {
        assert_eq!(text(&third, secret), None, "{secret} is not the second server's");
    }
    assert_eq!(text(&third, "x-plain").as_deref(), Some("p"));
    assert_eq!(text(&third, "range").as_deref(), Some("bytes=0-1"));
    match bench.answer(&[(":status", "206"), ("content-range", "bytes 0-1/5")]) {
        ResponseDecision::Stream(headers) => {
            assert_eq!(text(&headers, "x-oss-tag").as_deref(), Some("MIRROR http%3A%2F%2Fo%2Fk"));
        }
        other @ (ResponseDecision::Answer(_) | ResponseDecision::Continue) => panic!("{other:?}"),
    }
    assert!(!bench.miss.on_lease(&mut bench.engine, true).is_empty(), "the whole is fetched later");
}

#[test]
fn a_part_that_is_all_of_the_object_is_copied_on_its_way() {
    let asked = |headers: &[(&str, &str)], range: &str, length: &str| {
        let mut bench = Bench::new();
        sent(bench.missed("GET", "/b/k", headers));
        let answer = [
            (":status", "206"),
            ("content-range", range),
            ("content-length", length),
            ("etag", "\"v\""),
        ];
        assert!(matches!(bench.answer(&answer), ResponseDecision::Stream(_)));
        let effects = bench.miss.on_lease(&mut bench.engine, true);
        let is_copied = bench.miss.copy().is_some();
        assert_ne!(is_copied, !effects.is_empty(), "on its way or by a fetch: {effects:?}");
        is_copied
    };
    let copied = |range: &str, length: &str| asked(&[("range", "bytes=0-99")], range, length);
    assert!(copied("bytes 0-4/5", "5"));
    assert!(!copied("bytes 0-3/5", "4"), "a part");
    assert!(!copied("bytes 1-4/5", "4"), "another one");
    assert!(!copied("bytes 0-4/*", "5"), "nobody knows of what");
    assert!(!copied("bytes 0-4/5", "4"), "two things are said of its length");
    let known = [("range", "bytes=0-99"), ("if-range", "\"v\"")];
    assert!(!asked(&known, "bytes 0-4/5", "5"), "its headers may be left out");
}

#[test]
fn a_redirect_that_leads_nowhere_is_a_failure_in_the_same_words() {
    let mut bench = Bench::new();
    let mut asked = sent(bench.missed("GET", "/b/k", &[]));
    for _ in 0..10 {
        asked = sent(bench.back(&asked, "origin 302", Some("/k")));
    }
    assert_eq!(refused(bench.back(&asked, "origin 302", Some("/k"))), 424);
    let line = bench.lines().pop().unwrap();
    assert!(line.ends_with(&MirrorFailure::Loop.to_string()), "{line}");
    for (to, why) in
        [("http://internal.example/x", "http://internal.example,"), ("ftp://o/", "URL")]
    {
        let asked = sent(bench.missed("GET", "/b/k", &[]));
        assert_eq!(refused(bench.back(&asked, "origin 302", Some(to))), 424);
        let line = bench.lines().pop().unwrap();
        assert!(line.contains(why), "{line}");
    }
    let asked = sent(bench.missed("GET", "/b/k", &[]));
    bench.now = at(22);
    assert_eq!(refused(bench.back(&asked, "origin 302", Some("/k"))), 424);
    let line = bench.lines().pop().unwrap();
    assert!(line.ends_with(&MirrorFailure::TimedOut.to_string()), "{line}");
}

#[test]
fn where_an_origin_has_nothing_the_next_rule_is_tried() {
    let mut bench = Bench::new();
    let mut fallen = |path| {
        let asked = sent(bench.missed("GET", path, &[]));
        let decision = bench.back(&asked, "origin 404", None);
        let lines = bench.lines();
        let fell = lines.iter().any(|line| line.ends_with("the next rule is tried"));
        (decision, fell, lines)
    };
    let (decision, fell, _) = fallen("/b/f/none");
    assert!(refused(decision) == 404 && !fell);
    let (decision, fell, lines) = fallen("/b/f/e");
    assert!(refused(decision) == 301 && fell && lines[1].contains("rule 3 External"), "{lines:?}");
    let (decision, fell, _) = fallen("/b/f/f");
    assert!(refused(decision) == 303 && fell);
    let (decision, fell, _) = fallen("/b/f/m");
    let headers = sent(decision);
    assert!(fell && text(&headers, ":path").as_deref() == Some("/q/f/m"), "{headers:?}");
    let ResponseDecision::Stream(headers) = bench.answer(&[(":status", "200")]) else { panic!() };
    assert_eq!(text(&headers, "x-oss-tag").as_deref(), Some("MIRROR http%3A%2F%2Fp%2Fq%2Ff%2Fm"));
}

#[test]
fn a_slave_is_asked_where_its_master_fails_or_is_known_to() {
    for said in ["origin 500", "gateway 503 UF connect", "gateway 504 UT late"] {
        let mut bench = Bench::new();
        let first = sent(bench.missed("GET", "/b/slave/x", &[]));
        assert_eq!(text(&first, miss_route::CLUSTER).as_deref(), Some(miss_route::ATTEMPTS));
        assert_eq!(text(&first, miss_route::SERVER).as_deref(), Some("o"));
        let second = sent(bench.back(&first, said, None));
        assert_eq!(text(&second, miss_route::CLUSTER).as_deref(), Some("p"), "{said}");
        let ResponseDecision::Stream(headers) = bench.answer(&[(":status", "200")]) else {
            panic!()
        };
        assert_eq!(
            text(&headers, "x-oss-tag").as_deref(),
            Some("MIRROR http%3A%2F%2Fp%2Fslave%2Fx")
        );
        // For a while the master comes last.
        let next = sent(bench.missed("GET", "/b/slave/y", &[]));
        assert_eq!(text(&next, miss_route::SERVER).as_deref(), Some("p"));
        let effects = bench.engine.on_wake(at(2));
        let probe = effects.iter().any(|effect| matches!(effect, Effect::Call(_, call) if call.headers.get(":path") == Some(&b"/probe"[..])));
        assert!(probe, "{effects:?}");
    }
}

#[test]
fn an_origin_that_is_not_heard_is_a_failure_that_is_counted_and_told() {
    for (unheard, why) in [
        (Unheard::Unreachable, MirrorFailure::Unreachable),
        (Unheard::Late, MirrorFailure::TimedOut),
        (Unheard::NoCluster, MirrorFailure::NoCluster),
        (Unheard::Busy, MirrorFailure::Overloaded),
        (Unheard::Malformed, MirrorFailure::Malformed),
        (Unheard::of(403, miss_route::REFUSED_DETAILS), MirrorFailure::Inside),
    ] {
        let mut bench = Bench::new();
        sent(bench.missed("GET", "/b/k", &[]));
        let decision = bench.answer_unless(&[(":status", "503")], Some(unheard));
        let ResponseDecision::Answer(reply) = decision else { panic!("{decision:?}") };
        assert_eq!(reply.status, 424);
        let is_counted = |effect: &Effect| {
            matches!(effect, Effect::Measure(series, 1)
                if series.word == "mirror_failed" && series.reason == why.label())
        };
        assert!(bench.effects.iter().any(is_counted), "{:?}", bench.effects);
        let line = bench.lines().pop().unwrap();
        assert!(line.ends_with(&why.to_string()), "{line}");
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_no_way_in() {
    let mut bench = Bench::new();
    for attempt in ["", "x", "0000000000000007ffffffffffffffff", "00000000000000080000000000000001"]
    {
        let headers = [(miss_route::MISS, "origin 302"), (miss_route::ATTEMPT, attempt)];
        assert_eq!(refused(bench.request(&headers)), 424, "{attempt}");
        assert!(matches!(bench.answer(&[(":status", "200")]), ResponseDecision::Continue));
    }
    let first = sent(bench.missed("GET", "/b/k", &[]));
    sent(bench.back(&first, "origin 302", Some("/x")));
    assert_eq!(refused(bench.back(&first, "origin 302", Some("/x"))), 424, "once only");
}

#[test]
fn an_answer_that_the_gateway_should_have_brought_back_is_a_failure() {
    let mut bench = Bench::new();
    sent(bench.missed("GET", "/b/k", &[]));
    let answer = [(":status", "307"), (miss_route::MISS, "origin 302"), ("location", "http://x/")];
    let ResponseDecision::Answer(reply) = bench.answer(&answer) else { panic!() };
    assert_eq!(reply.status, 424);
}

#[test]
fn a_second_response_takes_nothing_from_the_copy_of_the_first() {
    let mut bench = Bench::new();
    sent(bench.missed("GET", "/b/k", &[]));
    assert!(matches!(bench.answer(&[(":status", "200")]), ResponseDecision::Stream(_)));
    assert!(bench.miss.on_lease(&mut bench.engine, true).is_empty());
    assert!(matches!(bench.answer(&[(":status", "200")]), ResponseDecision::Continue));
    assert!(bench.miss.copy().is_some());
}

#[test]
fn a_part_of_another_version_is_nobodys() {
    let range = ("range", "bytes=0-1");
    let part = [(":status", "206"), ("content-range", "bytes 0-1/5")];
    for (condition, etag, expected) in [
        (("if-range", "\"v\""), Some("\"v\""), 206),
        (("if-range", "\"v\""), Some("\"w\""), 412),
        (("if-range", "\"v\""), None, 412),
        (("if-match", "\"v\""), Some("\"v\""), 206),
        (("if-match", "\"v\""), Some("\"w\""), 412),
        (("if-match", "\"v\""), None, 412),
    ] {
        let mut bench = Bench::new();
        let asked = sent(bench.missed("GET", "/b/k/a", &[range, condition]));
        let travels = condition.0 == "if-range";
        assert_eq!(text(&asked, condition.0).is_some(), travels, "{condition:?}");
        let answer: Vec<_> = part.into_iter().chain(etag.map(|etag| ("etag", etag))).collect();
        let status = match bench.answer(&answer) {
            ResponseDecision::Answer(reply) => reply.status,
            ResponseDecision::Stream(headers) => {
                text(&headers, ":status").unwrap().parse().unwrap()
            }
            ResponseDecision::Continue => panic!("{condition:?} {etag:?}"),
        };
        assert_eq!(status, expected, "{condition:?} {etag:?}");
    }
    // Behind the end there is nothing of a version that the origin does not name.
    let mut bench = Bench::new();
    sent(bench.missed("GET", "/b/k/a", &[range, ("if-match", "\"v\"")]));
    let answer = [(":status", "416"), ("content-range", "bytes */0")];
    let ResponseDecision::Answer(reply) = bench.answer(&answer) else { panic!() };
    assert_eq!(reply.status, 412);
}

#[test]
fn where_there_is_an_access_log_it_is_told_and_the_log_is_not() {
    let text = CONFIGURATION.replacen('{', r#"{"access_log": true,"#, 1);
    let configuration = Configuration::from_json(text.as_bytes()).unwrap();
    let mut bench = Bench { engine: Engine::new(Rc::new(configuration)), ..Bench::new() };
    bench.missed("GET", "/b/a/%22x?X-Amz-Signature=s3cret", &[]);
    bench.answer(&[(":status", "200"), ("etag", "\"1\""), ("content-length", "3")]);
    bench.missed("GET", "/b/a/y", &[]);
    bench.answer(&[(":status", "404")]);
    let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for effect in &bench.effects {
        let Effect::Record(_, record) = effect else { continue };
        for (field, value) in record.fields() {
            told.entry(field.name()).or_default().push(value.to_owned());
        }
    }
    assert_eq!(told["path"], ["/b/a/%22x", "/b/a/y"]);
    assert_eq!(told["outcome"], ["mirrored", "absent"]);
    assert_eq!(told["stored"], ["begun"]);
    assert_eq!(told["rule"], ["1"; 4]);
    // Once where it is sent there, and once where it ends.
    assert_eq!(told["key"], ["a/\"x", "a/\"x", "a/y", "a/y"]);
    assert_eq!(told["message"].len(), 2);
    assert!(!format!("{:?}", bench.effects).contains("s3cret"));
    assert_eq!(bench.lines(), [""; 0]);
}
