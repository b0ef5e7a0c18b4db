//! Objects that take more than one request, or that nobody waits for.

use super::*;

const CONFIGURATION: &str = r#"{
    "buckets": [{"name": "b", "store": {"cluster": "store", "authority": "s:9000"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "alt/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorURLSlave": "http://p/s/",
            "MirrorURLProbe": "http://o/ok?x"}},
        {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "async/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAsyncStatus": 303}},
        {"RuleNumber": 3, "Condition": {"KeyPrefixEquals": "fall/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorFallThrough": true}},
        {"RuleNumber": 4, "Condition": {"HttpErrorCodeReturnedEquals": "404,503",
            "IncludeHeader": [{"Key": "x-proxy"}]},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://p/", "MirrorOnServerError": true,
            "MirrorTimeout": 1000, "MirrorMaxSize": 3}},
        {"RuleNumber": 5, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorProxyPass": true,
            "MirrorAllowHeadObject": true}}
    ]}],
    "origins": {"http://o": "o", "http://p": "p"}
}"#;

const GENUINE: (&str, &str) = ("x-envoy-upstream-service-time", "1");

impl Bench {
    /// The cluster and the path of each call under way.
    fn asked(&self) -> Vec<String> {
        let asked = |(_, call): &(CallId, Call)| {
            format!("{} {} {}", header(call, ":method"), call.cluster, header(call, ":path"))
        };
        self.calls.iter().map(asked).collect()
    }

    /// Answers the call for this.
    fn respond_to(&mut self, asked: &str, pairs: &[(&str, &str)], body: &[u8]) {
        let at = self.asked().iter().position(|found| found == asked);
        let at = at.unwrap_or_else(|| panic!("no {asked} in {:?}", self.asked()));
        let (id, _) = self.calls.remove(at);
        self.respond(id, pairs, body);
    }

    fn gone(&mut self, stream: StreamId) {
        self.end(stream);
        self.pass(Duration::from_secs(3));
        assert!(self.calls.is_empty(), "{:?}", self.asked());
    }
}

#[test]
fn redirects_are_followed_as_far_as_time_and_number_allow() {
    let to = |location| [(":status", "302"), GENUINE, ("location", location)];
    let mut bench = Bench::of(CONFIGURATION);
    let stream = bench.get("/b/x");
    bench.respond_to("GET o /x", &to("http://p/y?z"), b"");
    bench.respond_to("GET p /y?z", &to("w"), b"");
    bench.respond_to("GET p /w", &[(":status", "200")], b"body");
    assert_eq!(bench.answer(stream), (200, b"body".to_vec()));
    assert!(bench.calls.is_empty(), "the rule stores nothing: {:?}", bench.asked());
    assert!(
        bench.lines[0].ends_with("client got 200, not stored: the rule says so"),
        "{:?}",
        bench.lines
    );
    bench.gone(stream);

    let stream = bench.get("/b/x");
    for _ in 0..=10 {
        bench.respond_to("GET o /x", &to("http://o/x"), b"");
    }
    let (status, body) = bench.answer(stream);
    assert_eq!(status, 424);
    assert!(String::from_utf8(body).unwrap().contains("more than 10 times"));

    let stream = bench.get("/b/x");
    bench.respond_to("GET o /x", &to("https://o/x"), b"");
    let (status, body) = bench.answer(stream);
    assert_eq!(status, 424);
    assert!(String::from_utf8(body).unwrap().contains("redirected to https://o, which"));

    let stream = bench.get("/b/x");
    bench.pass(Duration::from_secs(20));
    bench.now += Duration::from_secs(20);
    bench.respond_to("GET o /x", &to("/y"), b"");
    assert_eq!(bench.answer(stream).0, 424);
    assert!(bench.lines.last().unwrap().contains("in time"), "{:?}", bench.lines);
}

#[test]
fn a_failing_origin_gives_way_and_comes_last_for_a_while() {
    let mut bench = Bench::of(CONFIGURATION);
    let stream = bench.get("/b/alt/x");
    assert_eq!(bench.asked(), ["GET o /ok?x", "GET o /alt/x"], "a probe goes beside the first");
    bench.respond_to("GET o /ok?x", &[(":status", "200"), GENUINE], b"");
    bench.respond_to("GET o /alt/x", &[(":status", "500"), GENUINE], b"");
    bench.respond_to("GET p /s/alt/x", &[(":status", "200")], b"body");
    assert_eq!(bench.answer(stream), (200, b"body".to_vec()));
    let (_, put) = bench.calls[0].clone();
    assert_eq!(header(&put, TAG), "MIRROR http%3A%2F%2Fp%2Fs%2Falt%2Fx");
    bench.respond_status("200");
    assert!(bench.lines[0].contains("origin http://p/s/alt/x answered 200"), "{:?}", bench.lines);
    bench.end(stream);

    // It comes last, and is asked where the other fails.
    let stream = bench.get("/b/alt/y");
    assert_eq!(bench.asked(), ["GET p /s/alt/y"]);
    bench.respond_to("GET p /s/alt/y", &[(":status", "503")], b"");
    bench.respond_to("GET o /alt/y", &[(":status", "504")], b"");
    assert_eq!(bench.answer(stream).0, 424);
    bench.end(stream);
    bench.pass(Duration::from_secs(1));
    bench.now += Duration::from_secs(10);
    let stream = bench.get("/b/alt/z");
    assert_eq!(bench.asked(), ["GET o /ok?x", "GET o /alt/z"]);
    bench.respond_to("GET o /alt/z", &[(":status", "404")], b"");
    assert_eq!(bench.answer(stream).0, 404, "what one does not have is not looked for elsewhere");
}

#[test]
fn a_probe_that_is_not_200_makes_its_origin_the_last() {
    for (status, first) in [("200", "GET o /alt/y"), ("404", "GET p /s/alt/y")] {
        let mut bench = Bench::of(CONFIGURATION);
        let stream = bench.get("/b/alt/x");
        bench.respond_to("GET o /ok?x", &[(":status", status), GENUINE], b"");
        bench.respond_to("GET o /alt/x", &[(":status", "404"), GENUINE], b"");
        bench.end(stream);
        bench.get("/b/alt/y");
        assert_eq!(bench.asked(), [first], "{status}");
    }
    // A probe that says 200 again takes a failure back.
    let mut bench = Bench::of(CONFIGURATION);
    let stream = bench.get("/b/alt/x");
    bench.respond_to("GET o /alt/x", &[(":status", "500"), GENUINE], b"");
    bench.respond_to("GET p /s/alt/x", &[(":status", "404"), GENUINE], b"");
    bench.respond_to("GET o /ok?x", &[(":status", "200"), GENUINE], b"");
    bench.end(stream);
    bench.get("/b/alt/y");
    assert_eq!(bench.asked(), ["GET o /alt/y"]);
}

#[test]
fn what_nobody_waits_for_is_fetched_once_and_told_of() {
    let mut bench = Bench::of(CONFIGURATION);
    let want = |bench: &mut Bench| {
        let mut exchange = bench.ask("/b/async/x", &[]);
        let answer = Headers::from_pairs([(":status", "404")]);
        let decision = exchange.on_answer(&bench.configuration, &answer, || Source::Bucket);
        let Decision::Fetch(conclusion, miss) = decision else { panic!("{decision:?}") };
        let Conclusion { reply, told: Told::Line(line), .. } = conclusion else {
            panic!("there is no access log")
        };
        assert_eq!(reply.status, 303);
        assert_eq!(reply.headers.get("location"), Some(&b"http://o/async/x"[..]));
        let effects = bench.engine.on_wanted(*miss);
        bench.take(effects);
        bench.turn();
        line
    };
    let line = want(&mut bench);
    assert!(line.ends_with("client got 303 to http://o/async/x, the object is being fetched"));
    want(&mut bench);
    assert_eq!(bench.asked(), ["GET o /async/x"]);
    bench.respond_to("GET o /async/x", &[(":status", "200")], b"body");
    want(&mut bench);
    bench.respond_status("200");
    assert_eq!(bench.lines.len(), 1, "{:?}", bench.lines);
    assert!(bench.lines[0].ends_with("client got 303, stored in the bucket"), "{:?}", bench.lines);

    bench.pass(Duration::from_secs(3));
    want(&mut bench);
    bench.respond_to("GET o /async/x", &[(":status", "403"), GENUINE], b"");
    assert!(
        bench.lines[1].contains(
            "origin http://o/async/x, client got 303, not stored: the origin answered 403"
        )
    );
    assert!(bench.engine.is_idle());
}

#[test]
fn what_an_origin_has_not_the_rules_behind_may_have() {
    let mut bench = Bench::of(CONFIGURATION);
    let plain = bench.get("/b/fall/x");
    let exchange = bench.ask("/b/fall/x", &[("x-proxy", "1")]);
    let other = bench.miss(exchange);
    assert_eq!(bench.asked(), ["GET o /fall/x"], "they share the first fetch");
    bench.respond_to("GET o /fall/x", &[(":status", "404"), GENUINE], b"");
    // Each by its own headers: one by rule 5, one by rule 4.
    assert_eq!(bench.asked(), ["GET o /fall/x", "GET p /fall/x"]);
    bench.respond_to("GET o /fall/x", &[(":status", "404"), GENUINE], b"");
    bench.respond_to("GET p /fall/x", &[(":status", "200")], b"abc");
    assert_eq!(bench.answer(plain).0, 404);
    assert_eq!(bench.answer(other), (200, b"abc".to_vec()));
    assert!(bench.lines[0].ends_with("answered 404, the next rule is tried"), "{:?}", bench.lines);
}

#[test]
fn a_bucket_that_fails_gets_nothing() {
    let mut bench = Bench::of(CONFIGURATION);
    let mut exchange = bench.ask("/b/x", &[("x-proxy", "1")]);
    let answer = Headers::from_pairs([(":status", "503")]);
    let decision = exchange.on_answer(&bench.configuration, &answer, || Source::Gateway);
    let Decision::Mirror(miss) = decision else { panic!("{decision:?}") };
    let effects = bench.engine.on_miss(StreamId(1), *miss);
    bench.take(effects);
    bench.turn();
    assert_eq!(bench.calls[0].1.timeout, Duration::from_secs(1));
    bench.respond_to("GET p /x", &[(":status", "200")], b"abc");
    assert_eq!(bench.answer(StreamId(1)), (200, b"abc".to_vec()));
    assert!(bench.calls.is_empty(), "{:?}", bench.asked());
    assert!(bench.lines[0].contains("not stored: the bucket failed"), "{:?}", bench.lines);
    // And one that only lacks the object, more than the rule wants.
    let exchange = bench.ask("/b/x", &[("x-proxy", "1")]);
    let stream = bench.miss(exchange);
    bench.respond_to("GET p /x", &[(":status", "200")], b"abcd");
    assert_eq!(bench.answer(stream).0, 302);
}

#[test]
fn a_head_of_what_is_not_stored_fetches_nothing() {
    let mut bench = Bench::of(CONFIGURATION);
    let pairs = [(":method", "HEAD"), (":scheme", "http"), (":authority", "g"), (":path", "/b/x")];
    let exchange = Exchange::new(Headers::from_pairs(pairs), bench.engine.sequence());
    let stream = bench.miss(exchange);
    let to = [(":status", "301"), ("location", "http://p/y")];
    bench.respond_to("HEAD o /x", &to, b"");
    bench.respond_to("HEAD p /y", &[(":status", "200"), ("content-length", "5")], b"");
    assert_eq!(bench.answer(stream).0, 200);
    assert!(bench.calls.is_empty(), "{:?}", bench.asked());
}
