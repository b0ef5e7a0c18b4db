//! A HEAD is answered by the origin's HEAD, and brings the object into the bucket.

use super::*;

const OBJECT: &[(&str, &str)] =
    &[(":status", "200"), ("content-type", "a/b"), ("content-length", "5")];

impl Bench {
    fn head(&mut self, path: &str) -> StreamId {
        let pairs =
            [(":method", "HEAD"), (":scheme", "http"), (":authority", "g"), (":path", path)];
        let exchange = Exchange::new(Headers::from_pairs(pairs), self.engine.sequence());
        self.miss(exchange)
    }

    fn reply(&mut self, stream: StreamId) -> Reply {
        let at = self.answers.iter().position(|(answered, _)| *answered == stream);
        self.answers.remove(at.unwrap_or_else(|| panic!("{stream:?} got no answer"))).1
    }

    fn method(&self) -> &str {
        header(&self.calls[0].1, ":method")
    }
}

#[test]
fn a_head_is_answered_at_once_and_the_object_fetched_for_the_bucket() {
    let mut bench = Bench::new();
    let stream = bench.head("/b/head/x");
    let (id, call) = bench.call();
    assert_eq!((header(&call, ":method"), header(&call, ":path")), ("HEAD", "/head/x"));
    bench.respond(id, OBJECT, b"");
    let reply = bench.reply(stream);
    assert_eq!((reply.status, reply.body), (200, Body::Headers(Some(5))));
    assert_eq!(reply.headers.get("content-type"), Some(&b"a/b"[..]));
    assert_eq!(
        reply.headers.get("x-oss-tag"),
        Some(&b"MIRROR http%3A%2F%2Fo%3A9100%2Fhead%2Fx"[..])
    );
    bench.end(stream);
    // Whoever misses it meanwhile waits for that same fetch.
    assert_eq!(bench.method(), "GET");
    let (other, get) = (bench.head("/b/head/x"), bench.get("/b/head/x"));
    assert_eq!(bench.calls.len(), 1);
    bench.respond_object(b"bytes");
    assert_eq!(bench.reply(other).body, Body::Headers(Some(5)));
    assert_eq!(bench.answer(get), (200, b"bytes".to_vec()));
    assert_eq!(bench.method(), "PUT");
    bench.respond_status("200");
    assert_eq!(
        bench.lines.last().unwrap(),
        "HEAD b/head/x: bucket 404, rule 3 Mirror, origin http://o:9100/head/x answered 200 \
         (5 bytes), client got 200, stored in the bucket"
    );
    bench.end(other);
    bench.end(get);
    bench.pass(Duration::from_secs(3));
    assert!(!bench.ticking && bench.engine.is_idle());
}

#[test]
fn a_head_says_what_the_get_would() {
    let long = [(":status", "200"), ("content-length", "101")];
    let cases: [(&[(&str, &str)], u16); 5] = [
        (&[(":status", "404")], 404),
        (&[(":status", "405")], 424),
        (&[(":status", "206")], 424),
        (&[], 424),
        (&long, 302),
    ];
    for (answer, expected) in cases {
        let mut bench = Bench::new();
        let stream = bench.head("/b/head/x");
        let (id, _) = bench.call();
        bench.respond(id, answer, b"");
        assert_eq!(bench.answer(stream).0, expected, "{answer:?}");
        assert!(bench.calls.is_empty(), "{answer:?}: nothing is fetched");
        assert_eq!(bench.lines.len(), 1);
    }
}

#[test]
fn the_fetch_after_a_head_may_fail_and_is_told_of() {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[(":status", "404")], "the origin answered 404 by then"),
        (&[(":status", "503"), ("x-envoy-upstream-service-time", "1")], "answered 503 by then"),
        (&[(":status", "200"), ("content-md5", "AAAA")], "is not equal to MD5 calculated"),
    ];
    for (answer, why) in cases {
        let mut bench = Bench::new();
        let stream = bench.head("/b/head/x");
        let (id, _) = bench.call();
        bench.respond(id, OBJECT, b"");
        assert_eq!(bench.answer(stream).0, 200);
        let (id, _) = bench.call();
        bench.respond(id, answer, b"bytes");
        assert!(bench.calls.is_empty(), "{answer:?}");
        assert_eq!(bench.lines.len(), 1, "{:?}", bench.lines);
        assert!(bench.lines[0].contains("client got 200, not stored: "), "{:?}", bench.lines);
        assert!(bench.lines[0].ends_with(why), "{:?}", bench.lines);
    }
}

#[test]
fn the_object_is_fetched_though_the_client_of_the_head_left() {
    let mut bench = Bench::new();
    let stream = bench.head("/b/head/x");
    bench.end(stream);
    let (id, _) = bench.call();
    bench.respond(id, OBJECT, b"");
    bench.respond_object(b"bytes");
    bench.respond_status("200");
    assert!(bench.lines[0].ends_with("client had left, stored in the bucket"), "{:?}", bench.lines);
}

#[test]
fn many_heads_at_once_are_one_head_and_one_fetch() {
    let mut bench = Bench::new();
    let streams: Vec<_> = (0..40).map(|_| bench.head("/b/head/x")).collect();
    assert_eq!(bench.calls.len(), 1);
    let (id, _) = bench.call();
    bench.respond(id, OBJECT, b"");
    assert_eq!(bench.answers.len(), 16, "no more in one callback");
    bench.respond_object(b"bytes");
    for stream in streams {
        assert_eq!(bench.reply(stream).body, Body::Headers(Some(5)));
    }
    assert_eq!((bench.calls.len(), bench.method()), (1, "PUT"));
}

#[test]
fn a_get_does_not_wait_for_a_head_and_is_not_fetched_twice() {
    let mut bench = Bench::new();
    let head = bench.head("/b/head/x");
    let get = bench.get("/b/head/x");
    assert_eq!(bench.calls.len(), 2);
    let (id, _) = bench.call();
    bench.respond(id, OBJECT, b"");
    assert_eq!(bench.reply(head).body, Body::Headers(Some(5)));
    assert_eq!((bench.calls.len(), bench.method()), (1, "GET"));
    bench.respond_object(b"bytes");
    assert_eq!(bench.answer(get), (200, b"bytes".to_vec()));
    assert_eq!((bench.calls.len(), bench.method()), (1, "PUT"));
}

#[test]
fn a_head_without_leave_is_the_buckets() {
    let bench = Bench::new();
    for path in ["/b/a/x", "/b/else"] {
        let pairs = [(":method", "HEAD"), (":authority", "g"), (":path", path)];
        let mut exchange = Exchange::new(
            Headers::from_pairs(pairs),
            Engine::new(Rc::clone(&bench.configuration)).sequence(),
        );
        let answer = Headers::from_pairs([(":status", "404")]);
        let decision = exchange.on_answer(&bench.configuration, &answer, || Source::Bucket);
        assert!(matches!(decision, Decision::Pass(_)), "{path}: {decision:?}");
    }
}
