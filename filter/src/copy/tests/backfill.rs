//! Objects that are fetched for themselves.

use super::*;
use crate::miss_route::FRAMING;

/// The first range of an object, where nobody has changed the bounds.
const FIRST_RANGE: usize = 512 << 10;

impl Bench {
    pub(super) fn backfill(&mut self, key: &str) {
        self.backfill_from("o", key);
    }

    /// One of another origin.
    fn backfill_from(&mut self, host: &str, key: &str) {
        let (plan, _) = Self::plan(key, None);
        let effects = self.engine.backfill(plan, route_from(host, key), Moment(self.now));
        self.take(effects);
    }

    /// The bounds that nobody has changed.
    fn by_default() -> Self {
        let mut configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        configuration.limits = Limits::default();
        Self { engine: Engine::new(Rc::new(configuration)), ..Self::new() }
    }

    /// The paths of what is asked of origins.
    fn fetches(&self) -> Vec<&str> {
        let lines = self.calls.iter().filter_map(|(_, line, _)| line.strip_prefix("GET "));
        lines.map(str::trim_end).collect()
    }

    /// Answers a range of `/k`.
    pub(super) fn range(&mut self, status: &str, range: &str, etag: &str, body: &[u8]) {
        let at = self.calls.iter().position(|(_, line, _)| line == "GET /k ");
        let (id, _, _) = self.calls.remove(at.expect("a range is under way"));
        let range = (!range.is_empty()).then_some(("content-range", range));
        let headers = Headers::from_pairs(range.into_iter().chain([
            (":status", status),
            ("etag", etag),
            ("content-type", "c/d"),
            (FRAMING, "HTTP/1.1 chunked"),
        ]));
        assert!(self.engine.wants_body(id, body.len() as u64));
        let answer = CallAnswer { headers, body_bytes: body.len() as u64, body: body.to_vec() };
        let effects = self.engine.on_call_answer(id, answer, Moment(self.now));
        self.take(effects);
    }
}

/// Answers what is asked of an origin: a path, and the headers of the answer.
fn ask(bench: &mut Bench, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    let line = format!("GET {path} ");
    let at = bench.calls.iter().position(|(_, found, _)| *found == line);
    let at = at.unwrap_or_else(|| panic!("{path} is not asked for, but {:?}", bench.calls));
    let (id, _, _) = bench.calls.remove(at);
    let framing = (FRAMING, "HTTP/1.1 chunked");
    let headers = Headers::from_pairs(headers.iter().copied().chain([framing]));
    let body_bytes = body.len() as u64;
    let body = if bench.engine.wants_body(id, body_bytes) { body.to_vec() } else { Vec::new() };
    let answer = CallAnswer { headers, body_bytes, body };
    let effects = bench.engine.on_call_answer(id, answer, Moment(bench.now));
    bench.take(effects);
}

fn moved(to: &str) -> [(&str, &str); 2] {
    [(":status", "302"), ("location", to)]
}

fn part(range: &str) -> [(&str, &str); 3] {
    [(":status", "206"), ("content-range", range), ("etag", "\"v\"")]
}

#[test]
fn a_header_that_cannot_be_kept_is_told_of_where_no_client_was_answered_with_it() {
    for (is_known, told) in [(false, 1), (true, 0)] {
        for is_ranged in [true, false] {
            let mut bench = Bench::new();
            let (plan, route) = Bench::plan("k", None);
            let headers = if is_known { plan.headers.clone() } else { HeaderList::new() };
            let plan = Plan { headers, ..plan };
            let effects = bench.engine.backfill(plan, route, Moment(bench.now));
            bench.take(effects);
            let (id, _, _) = bench.calls.remove(0);
            let status: &[u8] = if is_ranged { b"206" } else { b"200" };
            let range = is_ranged.then_some((&b"content-range"[..], &b"bytes 0-3/4"[..]));
            let headers = Headers::from_pairs(range.into_iter().chain([
                (&b":status"[..], status),
                (b"content-length", b"4"),
                (b"etag", b"\"v\""),
                (b"content-language", b"\xff"),
            ]));
            assert!(bench.engine.wants_body(id, 4));
            let answer = CallAnswer { headers, body_bytes: 4, body: b"abcd".to_vec() };
            let effects = bench.engine.on_call_answer(id, answer, Moment(bench.now));
            bench.take(effects);
            let line = "left out what is not ASCII in content-language";
            let lines = bench.lines.iter().filter(|known| known.ends_with(line)).count();
            assert_eq!((lines, bench.unkept), (told, told), "{is_ranged}: {:?}", bench.lines);
        }
    }
}

#[test]
fn redirects_are_followed_and_when_their_target_is_gone_followed_again() {
    let mut bench = Bench::new();
    bench.backfill("k");
    ask(&mut bench, "/k", &moved("http://p/x?s=1"), b"");
    ask(&mut bench, "/x?s=1", &part("bytes 0-3/6"), b"abcd");
    // The signature in the query has run out.
    let genuine = ("x-envoy-upstream-service-time", "1");
    ask(&mut bench, "/x?s=1", &[(":status", "403"), genuine], b"");
    bench.pass(Duration::from_secs(1));
    ask(&mut bench, "/k", &moved("http://p/x?s=2"), b"");
    ask(&mut bench, "/x?s=2", &part("bytes 4-5/6"), b"ef");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    assert_eq!(bench.body("PUT /b/k?partNumber=2&uploadId=u "), b"ef");
}

#[test]
fn the_same_etag_elsewhere_is_of_another_object() {
    let mut bench = Bench::new();
    bench.backfill("k");
    ask(&mut bench, "/k", &part("bytes 0-3/6"), b"abcd");
    ask(&mut bench, "/k", &moved("/other"), b"");
    ask(&mut bench, "/other", &part("bytes 4-5/6"), b"ef");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert!(bench.lines[0].contains("may have changed"), "{:?}", bench.lines);
}

#[test]
fn a_backfill_goes_to_no_server_that_nobody_named_and_not_round_for_ever() {
    for (to, why) in [
        ("http://q/x", "the origin redirected to a server that the configuration does not name"),
        ("mailto:x", "the origin redirected to something that is no http or https URL"),
        ("/k", "the origin redirected more than 10 times"),
    ] {
        let mut bench = Bench::new();
        bench.backfill("k");
        let mut hops = 0;
        while bench.lines.is_empty() {
            hops += 1;
            ask(&mut bench, "/k", &moved(to), b"");
        }
        assert_eq!(hops, if to == "/k" { 11 } else { 1 });
        let told = format!("not stored: {why}");
        assert!(bench.lines[0].ends_with(&told), "{:?}", bench.lines);
        assert!(bench.calls.is_empty() && !bench.ticking);
    }
}

#[test]
fn an_origin_that_the_host_does_not_know_is_what_is_told() {
    let mut bench = Bench::new();
    bench.backfill("k");
    let (id, _, _) = bench.calls.remove(0);
    let now = Moment(bench.now);
    let effects = bench.engine.on_call_refused(id, DispatchError::NoCluster, now);
    bench.take(effects);
    let told = bench.lines.last().unwrap();
    assert!(told.ends_with("not stored: the gateway has no cluster for the origin"), "{told}");
}

#[test]
fn what_the_quota_has_no_room_for_waits_however_often_and_is_fetched_then() {
    let mut bench = Bench::new();
    bench.backfill("k");
    // More often than an origin that fails is asked.
    for _ in 0..10 {
        let at = bench.calls.iter().position(|(_, line, _)| line == "GET /k ");
        let (id, _, _) = bench.calls.remove(at.expect("a range is asked for"));
        let wait = Duration::from_secs(5);
        let now = Moment(bench.now);
        let effects = bench.engine.on_call_refused(id, DispatchError::Limited(wait), now);
        bench.take(effects);
        assert!(bench.calls.is_empty() && bench.lines.is_empty(), "{:?}", bench.lines);
        bench.pass(wait - Duration::from_millis(1));
        assert!(bench.calls.is_empty(), "it is not its time yet");
        bench.pass(Duration::from_millis(1));
    }
    bench.range("206", "bytes 0-2/3", "", b"abc");
    bench.answer("PUT /b/k *", "200", "", "");
    assert!(bench.lines[0].ends_with("stored in the bucket"), "{:?}", bench.lines);
}

#[test]
fn what_broke_off_is_fetched_for_itself() {
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(3)).unwrap();
    bench.bytes(id, b"ab");
    bench.end(id, End::Broken);
    bench.range("206", "bytes 0-2/3", "", b"abc");
    assert_eq!(bench.body("PUT /b/k *"), b"abc");
    bench.answer("PUT /b/k *", "200", "", "");
    assert_eq!(bench.lines.len(), 1);
    assert!(
        bench.lines[0].ends_with("(3 bytes), client got 200, stored in the bucket"),
        "{:?}",
        bench.lines
    );
    assert!(!bench.ticking);
}

#[test]
fn ranges_of_one_version_become_one_object() {
    let mut bench = Bench::new();
    bench.backfill("k");
    bench.range("206", "bytes 0-3/6", "\"v\"", b"abcd");
    bench.range("206", "bytes 4-5/6", "\"v\"", b"ef");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    assert_eq!(bench.body("PUT /b/k?partNumber=2&uploadId=u "), b"ef");
}

#[test]
fn ranges_that_may_be_of_two_versions_become_none() {
    for (status, range, etag) in [
        ("206", "bytes 4-5/6", "\"w\""),
        ("206", "bytes 4-5/7", "\"v\""),
        ("206", "bytes 3-4/6", "\"v\""),
        ("206", "bytes 4-9/6", "\"v\""),
        ("200", "", "\"v\""),
        ("412", "", ""),
        ("416", "", ""),
        ("404", "", ""),
    ] {
        let mut bench = Bench::new();
        bench.backfill("k");
        bench.range("206", "bytes 0-3/6", "\"v\"", b"abcd");
        bench.range(status, range, etag, b"ef");
        let visible = bench.calls.iter().any(|(_, line, _)| line.ends_with('*'));
        assert!(!visible, "{status} {range}: {:?}", bench.calls);
    }
    // Without a strong validator nothing says that two ranges belong together.
    for etag in ["", "W/\"v\""] {
        let mut bench = Bench::new();
        bench.backfill("k");
        bench.range("206", "bytes 0-3/6", etag, b"abcd");
        assert!(bench.lines[0].contains("no strong ETag"), "{:?}", bench.lines);
    }
}

#[test]
fn what_can_only_be_had_whole_and_is_too_large_is_named_so() {
    let mut bench = Bench::new();
    bench.backfill("k");
    let (id, _, _) = bench.calls.remove(0);
    assert!(!bench.engine.wants_body(id, 5), "a host holds it, and the limit is 4 bytes");
    let headers = Headers::from_pairs([(":status", "200")]);
    let answer = CallAnswer { headers, body_bytes: 5, body: Vec::new() };
    let effects = bench.engine.on_call_answer(id, answer, Moment(bench.now));
    bench.take(effects);
    assert!(bench.lines[0].contains("gives no ranges"), "{:?}", bench.lines);
}

#[test]
fn an_object_of_no_bytes_has_no_range() {
    let mut bench = Bench::new();
    bench.backfill("k");
    bench.range("416", "bytes */0", "", b"");
    assert_eq!(bench.only_fetches(), 1, "the error's headers are not the object's");
    bench.range("200", "", "", b"");
    assert_eq!(bench.body("PUT /b/k *"), b"");
    // Who has no range of it, nor the whole of it, has nothing.
    let mut bench = Bench::new();
    bench.backfill("k");
    bench.range("416", "bytes */5", "", b"");
    bench.range("416", "bytes */5", "", b"");
    assert!(bench.lines[0].contains("not stored"), "{:?}", bench.lines);
}

#[test]
fn an_origin_without_ranges_gives_all_at_once() {
    let mut bench = Bench::new();
    bench.backfill("k");
    bench.range("200", "", "", b"abcd");
    assert_eq!(bench.body("PUT /b/k *"), b"abcd");
}

#[test]
fn a_failing_origin_is_asked_again_and_then_given_up() {
    let mut bench = Bench::new();
    bench.backfill("k");
    for _ in 0..6 {
        bench.range("503", "", "", b"");
        bench.pass(Duration::from_secs(10));
    }
    assert!(bench.lines[0].contains("the origin failed 6 times"), "{:?}", bench.lines);
    assert!(!bench.ticking);
}

#[test]
fn few_are_fetched_at_once_and_each_only_once() {
    let mut bench = Bench::new();
    for key in ["1", "2", "3", "1", "2"] {
        bench.backfill(key);
    }
    assert_eq!(bench.calls.len(), 2, "{:?}", bench.calls);
}

#[test]
fn an_origin_on_the_inside_is_asked_once_and_told() {
    let mut bench = Bench::new();
    bench.backfill("k");
    ask(&mut bench, "/k", &[(":status", "403")], b"");
    assert!(bench.lines[0].contains("inside of a network"), "{:?}", bench.lines);
    bench.pass(Duration::from_secs(60));
    assert!(bench.calls.is_empty(), "{:?}", bench.calls);
}

#[test]
fn parts_are_as_large_as_the_size_that_the_first_range_tells() {
    let mut bench = Bench::with_memory(3_000);
    bench.backfill("k");
    // Parts of four bytes would be 12,500.
    bench.range("206", "bytes 0-3/50000", "\"v\"", b"abcd");
    let [(_, line, _)] = &bench.calls[..] else { panic!("{:?}", bench.calls) };
    assert_eq!(line, "GET /k ", "the rest of a part of five: {:?}", bench.calls);
    bench.range("206", "bytes 4-4/50000", "\"v\"", b"e");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    assert_eq!(bench.body("PUT /b/k?partNumber=1&uploadId=u "), b"abcde");
}

#[test]
fn a_size_that_can_never_be_stored_ends_it() {
    for (range, told) in [
        ("bytes 0-3/5497558138881", "more than the 5 TiB"),
        ("bytes 0-3/5497558138880", "does not allow for parts of 549755814 bytes"),
        ("bytes 0-3/18446744073709551615", "more than the 5 TiB"),
    ] {
        let mut bench = Bench::new();
        bench.backfill("k");
        bench.range("206", range, "\"v\"", b"abcd");
        assert!(bench.lines[0].contains(told), "{:?}", bench.lines);
        assert!(bench.calls.is_empty() && bench.engine.is_idle());
    }
}

#[test]
fn a_range_takes_what_it_asks_for_and_many_are_fetched_at_once() {
    let mut bench = Bench::by_default();
    for key in 0..40 {
        bench.backfill(&key.to_string());
    }
    assert_eq!(bench.only_fetches(), 16);
    let used = bench.engine.account().used();
    assert_eq!((used.here, used.there), (16 * FIRST_RANGE, 16 * FIRST_RANGE));
    // A small object leaves its place to the next one.
    ask(&mut bench, "/0", &part("bytes 0-2/3"), b"abc");
    assert_eq!(bench.fetches().last(), Some(&"/16"), "{:?}", bench.fetches());
}

#[test]
fn an_origin_that_stands_still_keeps_its_place_for_a_second() {
    let mut bench = Bench::by_default();
    // As many as are fetched at once of an origin that stands still, and then others'.
    for key in 0..40 {
        bench.backfill(&format!("still/{key}"));
    }
    for key in 0..3 {
        bench.backfill_from("p", &format!("well/{key}"));
    }
    let is_well = |bench: &Bench| bench.fetches().iter().any(|path| path.starts_with("/well"));
    assert!(!is_well(&bench));
    bench.pass(Duration::from_millis(1_001));
    bench.pass(Duration::from_millis(1_001));
    assert!(is_well(&bench), "{:?}", bench.fetches());
    let still = bench.fetches().iter().filter(|path| path.starts_with("/still")).count();
    assert_eq!(still, 16, "no more of those that stand still");
    for key in 0..3 {
        ask(&mut bench, &format!("/well/{key}"), &part("bytes 0-2/3"), b"abc");
        bench.answer(&format!("PUT /b/well/{key} *"), "200", "e", "");
    }
}

#[test]
fn who_gives_objects_only_whole_is_asked_for_all_of_one_at_once() {
    let mut bench = Bench::by_default();
    bench.backfill("k");
    // Three mebibytes have come for a range of half of one.
    let body = vec![7; 3 << 20];
    ask(&mut bench, "/k", &[(":status", "200")], &body);
    assert_eq!(bench.body("PUT /b/k *").len(), 3 << 20, "there was room for it");
    for key in ["l", "m", "n"] {
        bench.backfill(key);
    }
    let booked = bench.engine.account().used().there - (3 << 20);
    assert_eq!(booked, 2 * (8 << 20), "two of 8 MiB, by `object_bytes`");
    // Ranges without a strong ETag may be of two objects, and all of it is one.
    let weak = [(":status", "206"), ("content-range", "bytes 0-2/5")];
    ask(&mut bench, "/l", &weak, b"abc");
    assert!(bench.lines.last().unwrap().contains("no strong ETag"), "it was asked for all");
    // One that gives ranges is asked for them again.
    ask(&mut bench, "/m", &part("bytes 0-2/3"), b"abc");
    let mut other = Bench::by_default();
    other.backfill("k");
    ask(&mut other, "/k", &weak, b"abc");
    assert!(other.lines.is_empty(), "it is asked for once more, for all of it");
    ask(&mut other, "/k", &[(":status", "206"), ("content-range", "bytes 0-4/5")], b"abcde");
    assert_eq!(other.body("PUT /b/k *"), b"abcde");
}

#[test]
fn what_one_request_stores_may_come_whole_though_it_is_above_the_limit() {
    let mut bench = Bench::by_default();
    let mut configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
    configuration.limits = Limits { object_bytes: 1 << 20, ..Limits::default() };
    bench.engine = Engine::new(Rc::new(configuration));
    bench.backfill("k");
    let weak = [(":status", "206"), ("content-range", "bytes 0-524287/2097152")];
    ask(&mut bench, "/k", &weak, &[7; FIRST_RANGE]);
    ask(&mut bench, "/k", &[(":status", "200")], &vec![7; 2 << 20]);
    assert_eq!(bench.body("PUT /b/k *").len(), 2 << 20);
}

#[test]
fn what_finds_no_room_when_it_comes_whole_is_asked_for_again() {
    let mut bench = Bench::by_default();
    bench.backfill("k");
    let others = bench.leave(3 << 20);
    let body = vec![7; 3 << 20];
    ask(&mut bench, "/k", &[(":status", "200")], &body);
    assert!(bench.calls.is_empty() && bench.lines.is_empty(), "{:?}", bench.lines);
    drop(others);
    bench.pass(Duration::from_millis(100));
    ask(&mut bench, "/k", &[(":status", "200")], &body);
    assert_eq!(bench.body("PUT /b/k *").len(), 3 << 20);
}
