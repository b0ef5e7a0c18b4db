//! A 403 that may be a miss: the bucket is asked with the gateway's own keys.

use super::*;

/// What the gateway is told to send, of which the bucket's store is asked.
fn asked(decision: RequestDecision, method: &str) -> HeaderList {
    let headers = sent(decision);
    let get = |name| text(&headers, name);
    assert_eq!(get(miss_route::CLUSTER).as_deref(), Some(miss_route::ATTEMPTS));
    assert_eq!(get(miss_route::SERVER).as_deref(), Some("s"));
    assert_eq!(get(miss_route::SERVER_HOST).as_deref(), Some("s"));
    assert_eq!(get(":method").as_deref(), Some(method));
    let range = (method == "GET").then_some("bytes=0-0");
    assert_eq!(get("range").as_deref(), range, "no more than one byte of an object");
    // Every answer comes back: none is a client's.
    for status in [200, 206, 304, 403, 404, 416, 500, 503] {
        assert!(miss_route::returns(&get(miss_route::RETURNS).unwrap(), status), "{status}");
    }
    headers
}

#[test]
fn a_403_is_a_miss_where_the_bucket_says_to_the_gateway_that_it_lacks_the_object() {
    for (method, said, more) in [
        ("GET", "bucket b 403", &[][..]),
        ("GET", "bucket b 403 denied", &[("authorization", "AWS4")]),
        ("HEAD", "bucket b 403", &[("cookie", "c")]),
    ] {
        let mut bench = Bench::new();
        let sent = asked(bench.said(said, method, "/b/private/%C3%A4?x", more), method);
        assert_eq!(text(&sent, ":path").as_deref(), Some("/b/private/%C3%A4"));
        for gone in ["authorization", "cookie", miss_route::ORIGINAL_URL] {
            assert_eq!(text(&sent, gone), None, "nothing of the client's is told: {gone}");
        }
        let back = super::sent(bench.back(&sent, "origin 404", None));
        assert_eq!(text(&back, miss_route::CLUSTER).as_deref(), Some("o"), "{said}");
        assert_eq!(text(&back, ":path").as_deref(), Some("/private/%C3%A4"));
        assert_eq!(text(&back, ":method").as_deref(), Some(method));
        assert_eq!(text(&back, "range"), None);
        let answer = [(":status", "200"), ("content-length", "4")];
        assert!(matches!(bench.answer(&answer), ResponseDecision::Stream(_)), "{said}");
        assert!(bench.miss.on_lease(&mut bench.engine, true).is_empty() || method == "HEAD");
        assert_eq!(bench.miss.copy().is_some(), method == "GET", "it is stored");
    }
}

#[test]
fn a_403_stays_where_the_object_is_there_or_nobody_knows() {
    for said in [
        "origin 200",
        "origin 206",
        "origin 416",
        "origin 403",
        "origin 404 deleted",
        "origin 500",
        "origin 503",
        "gateway 503 UF",
        "gateway 504 UT",
    ] {
        let mut bench = Bench::new();
        let own = [("x-own", "1")];
        let sent = asked(bench.said("bucket b 403", "GET", "/b/private/k?x=1", &own), "GET");
        // The bucket is asked once more for its own answer, in the client's own words.
        let again = super::sent(bench.back(&sent, said, None));
        let get = |name| text(&again, name);
        assert_eq!(get(miss_route::CLUSTER).as_deref(), Some("again-b"), "{said}");
        assert_eq!(get(":path").as_deref(), Some("/b/private/k?x=1"), "{said}");
        assert_eq!(get("x-own").as_deref(), Some("1"), "{said}");
        assert!(matches!(bench.answer(&[(":status", "403")]), ResponseDecision::Continue));
        assert!(bench.lines().is_empty() && bench.engine.is_idle(), "{said}");
    }
}

#[test]
fn a_403_about_a_signature_or_of_a_rule_on_404_is_not_looked_into() {
    for (said, path, more) in [
        ("bucket b 403", "/b/private/k", &[("authorization", "AWS4")][..]),
        ("bucket b 403", "/b/private/k?X-Amz-Signature=s", &[]),
        ("bucket b 403 denied", "/b/k", &[]),
        ("bucket b gateway 403", "/b/private/k", &[]),
    ] {
        let mut bench = Bench::new();
        let again = sent(bench.said(said, "GET", path, more));
        assert_eq!(text(&again, miss_route::CLUSTER).as_deref(), Some("again-b"), "{said} {path}");
    }
    // A 404 needs no proof.
    let mut bench = Bench::new();
    let headers = sent(bench.missed("GET", "/b/private/k", &[]));
    assert_eq!(text(&headers, miss_route::CLUSTER).as_deref(), Some("o"));
}

#[test]
fn nobody_is_sent_to_an_origin_before_the_object_is_known_to_be_missing() {
    let mut bench = Bench::new();
    let sent = asked(bench.said("bucket b 403", "GET", "/b/sent/k", &[]), "GET");
    assert_eq!(refused(bench.back(&sent, "origin 404", None)), 302);
    let sent = asked(bench.said("bucket b 403", "GET", "/b/sent/k", &[]), "GET");
    let again = super::sent(bench.back(&sent, "origin 206", None));
    assert_eq!(text(&again, miss_route::CLUSTER).as_deref(), Some("again-b"));
}

#[test]
fn a_proof_that_does_not_come_back_is_forgotten() {
    // The gateway has let it through.
    let mut bench = Bench::new();
    asked(bench.said("bucket b 403", "GET", "/b/private/k", &[]), "GET");
    match bench.answer(&[(":status", "206")]) {
        ResponseDecision::Answer(reply) => assert_eq!(reply.status, 403),
        other @ (ResponseDecision::Continue | ResponseDecision::Stream(_)) => panic!("{other:?}"),
    }
    assert!(bench.engine.is_idle());
    // The client has left.
    asked(bench.said("bucket b 403", "GET", "/b/private/k", &[]), "GET");
    let decided = bench.miss.on_gone(&mut bench.engine, || true, || at(2));
    assert!(decided.lease.is_none(), "nobody knows whether it is missing");
    assert!(bench.engine.is_idle());
    // The stream is gone, and nothing has come in time.
    asked(bench.said("bucket b 403", "GET", "/b/private/k", &[]), "GET");
    bench.miss.on_gone(&mut bench.engine, || false, || at(2));
    assert!(!bench.engine.is_idle());
    bench.engine.on_tick(at(5));
    assert!(bench.engine.is_idle());
}
