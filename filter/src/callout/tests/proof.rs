//! A 403 that may be a miss: the bucket is asked with the gateway's own keys.

use super::*;

const PRIVATE: &str = r#"{
    "buckets": [{"name": "b", "store": {"cluster": "store", "authority": "s:9000"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "sent/", "HttpErrorCodeReturnedEquals": 403},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAsyncStatus": 302}},
        {"RuleNumber": 2, "Condition": {"HttpErrorCodeReturnedEquals": [403, 404]},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}}
    ]}],
    "origins": {"http://o": "origin"},
    "limits": {"fetches": 2}
}"#;

impl Bench {
    /// The bucket answers 403, which may be a miss.
    fn doubt(&mut self, path: &str) -> StreamId {
        let mut exchange = self.ask(path, &[]);
        let answer = Headers::from_pairs([(":status", "403")]);
        let decision = exchange.on_answer(&self.configuration, &answer, || Source::Bucket);
        let Decision::Prove(doubt) = decision else { panic!("not a doubt: {decision:?}") };
        self.next_stream += 1;
        let stream = StreamId(self.next_stream);
        let effects = self.engine.on_doubt(stream, doubt);
        self.take(effects);
        self.turn();
        stream
    }

    /// The bucket answers the gateway.
    fn found(&mut self, answer: &[(&str, &str)]) {
        let (id, call) = self.call();
        assert_eq!(call.cluster, "store");
        assert_eq!(call.headers.get(":method"), Some(&b"HEAD"[..]));
        let headers = Headers::from_pairs(answer.iter().copied());
        let answer = CallAnswer { headers, ..CallAnswer::default() };
        let effects = self.engine.on_call_answer(id, answer, Moment(self.now));
        self.take(effects);
        self.turn();
    }
}

#[test]
fn a_403_is_a_miss_where_the_bucket_says_to_the_gateway_that_it_lacks_the_object() {
    let mut bench = Bench::of(PRIVATE);
    bench.doubt("/b/k");
    bench.found(&[(":status", "404")]);
    let (_, call) = bench.call();
    assert_eq!(call.cluster, "origin");
    assert!(bench.resumed.is_empty() && bench.answers.is_empty());
    // One that is sent to the origin at once is so only then.
    bench.calls.clear();
    let stream = bench.doubt("/b/sent/k");
    assert!(bench.answers.is_empty());
    bench.found(&[(":status", "404")]);
    let statuses: Vec<_> = bench.answers.iter().map(|(to, reply)| (*to, reply.status)).collect();
    assert_eq!(statuses, [(stream, 302)]);
}

#[test]
fn a_403_stays_where_the_object_is_there_or_nobody_knows() {
    let answers: [&[(&str, &str)]; 6] = [
        &[(":status", "200")],
        &[(":status", "403")],
        &[(":status", "404"), ("x-amz-delete-marker", "true")],
        &[(":status", "500")],
        &[(":status", "503")],
        &[],
    ];
    for answer in answers {
        let mut bench = Bench::of(PRIVATE);
        for path in ["/b/k", "/b/sent/k"] {
            let stream = bench.doubt(path);
            bench.found(answer);
            assert_eq!(std::mem::take(&mut bench.resumed), [stream], "{path} {answer:?}");
            assert!(bench.calls.is_empty() && bench.answers.is_empty(), "{path} {answer:?}");
        }
        assert!(bench.engine.is_idle());
    }
    // The host did not send it.
    let mut bench = Bench::of(PRIVATE);
    let stream = bench.doubt("/b/k");
    let (id, _) = bench.call();
    let effects = bench.engine.on_call_refused(id, DispatchError::NoHost, Moment(bench.now));
    bench.take(effects);
    assert_eq!(bench.resumed, [stream]);
}

#[test]
fn no_more_are_asked_for_at_once_than_are_fetched() {
    let mut bench = Bench::of(PRIVATE);
    let streams: Vec<_> = (0..3).map(|at| bench.doubt(&format!("/b/{at}"))).collect();
    assert_eq!(bench.calls.len(), 2);
    assert_eq!(bench.resumed, streams[2..]);
    // Who has left waits for nothing.
    bench.engine.on_stream_end(streams[0]);
    bench.found(&[(":status", "404")]);
    assert_eq!(bench.calls.len(), 1);
    bench.found(&[(":status", "404")]);
    assert_eq!(bench.calls.len(), 1, "one is fetched, for the one who waits");
}
