//! Markers without a host: what clients change and what the store answers in, requests to it out.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::engine::Engine;
use crate::http::headers::Headers;
use crate::tombstone::Known;
use crate::written::{Change, Changed};

const CONFIGURATION: &str = r#"{
    "path": "streaming",
    "buckets": [{"name": "b", "store": {"cluster": "store", "authority": "s:9000"},
        "tombstones_ms": 30000, "RoutingRules": []}],
    "origins": {}
}"#;

const LIST: &str = "GET /b?list-type=2&max-keys=1000&prefix=.back-to-origin%2Ftombstones%2F";

type Shared = BTreeMap<String, (Vec<u8>, u32)>;

/// One worker, and the requests that it has under way.
struct Worker {
    engine: Engine,
    calls: Vec<(CallId, String, String)>,
    lines: Vec<String>,
}

/// The workers of a host.
struct Bench {
    workers: Vec<Worker>,
    shared: Shared,
    now: Duration,
}

impl Worker {
    fn take(&mut self, effects: Vec<Effect>, now: Moment) {
        let mut is_woken = false;
        for effect in effects {
            match effect {
                Effect::Call(id, call) => {
                    let get = |name| call.headers.get(name).unwrap_or_default().to_vec();
                    let line = [get(":method"), get(":path")].join(&b' ');
                    let body = call.body.map(|body| body.to_vec()).unwrap_or_default();
                    let text = |bytes| String::from_utf8(bytes).unwrap();
                    self.calls.push((id, text(line), text(body)));
                }
                Effect::Log(line) => self.lines.push(line),
                Effect::Wake => is_woken = true,
                Effect::Measure(..) | Effect::Tick(_) => {}
                Effect::Absent(..)
                | Effect::Answer(..)
                | Effect::Claim(_)
                | Effect::Lease(_)
                | Effect::Record(_, _)
                | Effect::Release(_)
                | Effect::Resume(_)
                | Effect::Send(..)
                | Effect::Settle(..) => panic!("markers are nobody's answer"),
            }
        }
        if is_woken {
            let effects = self.engine.on_wake(now);
            self.take(effects, now);
        }
    }

    fn lines(&self) -> Vec<&str> {
        self.calls.iter().map(|(_, line, _)| line.as_str()).collect()
    }

    /// Answers a request that is under way.
    fn answer(&mut self, line: &str, status: &str, body: &str, now: Moment) {
        let at = self.calls.iter().position(|(_, found, _)| found == line);
        let at = at.unwrap_or_else(|| panic!("{line} is not under way, but {:?}", self.lines()));
        let (id, _, _) = self.calls.remove(at);
        let took = ("x-envoy-upstream-service-time", "1");
        let headers = Headers::from_pairs([(":status", status), took]);
        let is_wanted = self.engine.wants_body(id, body.len() as u64);
        let body = if is_wanted { body.as_bytes().to_vec() } else { Vec::new() };
        let answer = CallAnswer { headers, body_bytes: body.len() as u64, body };
        let effects = self.engine.on_call_answer(id, answer, now);
        self.take(effects, now);
    }
}

impl Bench {
    fn new() -> Self {
        Self::of(1)
    }

    fn of(workers: usize) -> Self {
        let worker = || Worker {
            engine: Engine::new(Rc::new(
                Configuration::from_json(CONFIGURATION.as_bytes()).unwrap(),
            )),
            calls: Vec::new(),
            lines: Vec::new(),
        };
        let workers = std::iter::repeat_with(worker).take(workers).collect();
        Self { workers, shared: Shared::new(), now: Duration::from_secs(1_000) }
    }

    /// One whose first list found these markers.
    fn listed(keys: &[&str]) -> Self {
        let mut bench = Self::new();
        bench.pass(1);
        bench.answer(LIST, "200", &page(keys, None));
        bench.tick();
        bench
    }

    fn at(&mut self, worker: usize, key: &str, change: Change) {
        let changed = Changed { bucket: "b".to_owned(), key: key.as_bytes().to_vec(), change };
        let Self { workers, shared, now } = self;
        let worker = &mut workers[worker];
        let effects = worker.engine.on_changed(&changed, Moment(*now), shared);
        worker.take(effects, Moment(*now));
    }

    fn delete(&mut self, key: &str) {
        self.at(0, key, Change::Deleted);
    }

    fn write(&mut self, key: &str) {
        self.at(0, key, Change::Written);
    }

    fn answer(&mut self, line: &str, status: &str, body: &str) {
        let now = Moment(self.now);
        self.workers[0].answer(line, status, body, now);
    }

    /// Time is told, as each worker's timer does.
    fn tick(&mut self) {
        let Self { workers, shared, now } = self;
        *now += Duration::from_millis(100);
        for worker in workers {
            let effects = worker.engine.on_tick(Moment(*now));
            worker.take(effects, Moment(*now));
            let effects = worker.engine.on_time(shared, Moment(*now));
            worker.take(effects, Moment(*now));
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.tick();
    }

    fn known(&mut self, key: &str) -> Known {
        Tombstone::of("b", key.as_bytes()).known(&mut self.shared)
    }

    fn calls(&self) -> Vec<&str> {
        self.workers[0].lines()
    }

    fn lines(&self) -> &[String] {
        &self.workers[0].lines
    }
}

/// The path of a key's marker.
fn marker(method: &str, key: &str) -> String {
    format!("{method} /b/{}", Tombstone::of("b", key.as_bytes()).marker())
}

/// What the store lists.
fn page(keys: &[&str], next: Option<&str>) -> String {
    let object = |key: &&str| {
        let marker = Tombstone::of("b", key.as_bytes()).marker();
        format!("<Contents><Key>{marker}</Key></Contents>")
    };
    let next = next
        .map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"))
        .unwrap_or_default();
    let is_cut = !next.is_empty();
    let objects: String = keys.iter().map(object).collect();
    format!(
        "<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{next}{objects}</ListBucketResult>"
    )
}

#[test]
fn a_deleted_key_is_marked_at_once_and_then_in_the_bucket() {
    let mut bench = Bench::listed(&[]);
    assert_eq!(bench.known("a b"), Known::NotDeleted);
    bench.delete("a b");
    assert_eq!(bench.known("a b"), Known::Deleted);
    let put = marker("PUT", "a b");
    assert_eq!(bench.calls(), [&put]);
    assert_eq!(bench.workers[0].calls[0].2, "{\"key\":\"a%20b\",\"deleted\":1001}\n");
    bench.answer(&put, "200", "");
    bench.tick();
    assert_eq!(bench.calls(), [""; 0]);
    // It is listed from now on, until somebody clears it.
    bench.pass(30);
    bench.answer(LIST, "200", &page(&["a b"], None));
    bench.tick();
    assert_eq!(bench.known("a b"), Known::Deleted);
    bench.pass(30);
    bench.answer(LIST, "200", &page(&[], None));
    bench.tick();
    assert_eq!(bench.known("a b"), Known::NotDeleted, "it was cleared elsewhere");
    assert_eq!((bench.calls(), bench.lines()), (vec![], &[][..]));
    assert!(bench.workers[0].engine.is_idle());
}

#[test]
fn the_last_word_is_the_clients() {
    // A write that comes while the marker is being written.
    let mut bench = Bench::listed(&[]);
    bench.delete("k");
    bench.write("k");
    assert_eq!(bench.known("k"), Known::NotDeleted);
    assert_eq!(bench.calls(), [&marker("PUT", "k")], "the two do not overtake each other");
    bench.answer(&marker("PUT", "k"), "200", "");
    bench.tick();
    bench.answer(&marker("DELETE", "k"), "204", "");
    bench.tick();
    assert_eq!((bench.known("k"), bench.calls()), (Known::NotDeleted, vec![]));

    // A DELETE that comes while the marker is being cleared.
    let mut bench = Bench::listed(&["k"]);
    bench.write("k");
    bench.delete("k");
    assert_eq!(bench.known("k"), Known::Deleted);
    bench.answer(&marker("DELETE", "k"), "204", "");
    bench.tick();
    bench.answer(&marker("PUT", "k"), "200", "");
    bench.tick();
    assert_eq!((bench.known("k"), bench.calls()), (Known::Deleted, vec![]));

    // What waits for its turn is not sent in vain.
    let mut bench = Bench::listed(&[]);
    for key in ["1", "2", "3", "4", "5", "6", "7", "8", "k"] {
        bench.delete(key);
    }
    assert_eq!(bench.calls().len(), MAX_CALLS);
    bench.write("k");
    bench.answer(&marker("PUT", "1"), "200", "");
    assert!(bench.calls().contains(&marker("DELETE", "k").as_str()), "{:?}", bench.calls());
}

#[test]
fn the_last_word_is_the_clients_by_two_workers_too() {
    let mut bench = Bench::of(2);
    bench.pass(1);
    bench.answer(LIST, "200", &page(&["k"], None));
    bench.tick();
    bench.at(0, "k", Change::Written);
    bench.at(1, "k", Change::Deleted);
    // The marker is written, and then the other worker's DELETE removes it.
    let now = Moment(bench.now);
    bench.workers[1].answer(&marker("PUT", "k"), "200", "", now);
    bench.tick();
    bench.answer(&marker("DELETE", "k"), "204", "");
    bench.tick();
    assert_eq!(bench.calls(), [&marker("PUT", "k")], "it is written again");
    bench.answer(&marker("PUT", "k"), "200", "");
    bench.tick();
    assert_eq!(bench.known("k"), Known::Deleted);
    // One of them lists.
    bench.pass(30);
    assert_eq!(bench.workers.iter().map(|worker| worker.calls.len()).sum::<usize>(), 1);
}

#[test]
fn a_list_from_before_a_write_does_not_undo_it() {
    for answered_first in [true, false] {
        let mut bench = Bench::listed(&["k"]);
        bench.pass(30);
        bench.write("k");
        // The list began before, or between the write and the end of the marker: it has it still.
        if answered_first {
            bench.answer(LIST, "200", &page(&["k"], None));
            bench.tick();
            bench.answer(&marker("DELETE", "k"), "204", "");
        } else {
            bench.answer(&marker("DELETE", "k"), "204", "");
            bench.tick();
            bench.answer(LIST, "200", &page(&["k"], None));
        }
        bench.tick();
        assert_eq!((bench.known("k"), bench.calls()), (Known::NotDeleted, vec![]));
    }
    let mut bench = Bench::listed(&["k"]);
    bench.now += Duration::from_millis(29_950);
    bench.write("k");
    bench.tick();
    bench.answer(LIST, "200", &page(&["k"], None));
    bench.tick();
    bench.answer(&marker("DELETE", "k"), "404", "");
    bench.tick();
    assert_eq!((bench.known("k"), bench.calls()), (Known::NotDeleted, vec![]));
}

#[test]
fn where_no_marker_may_be_memory_holds() {
    let mut bench = Bench::listed(&[]);
    bench.delete("k");
    bench.answer(&marker("PUT", "k"), "403", "");
    let told = "b/k was deleted, and only the memory of this gateway keeps it so: the store answered \
                403 to its marker";
    assert_eq!(bench.lines(), [told]);
    for _ in 0..3 {
        bench.pass(30);
        bench.answer(LIST, "200", &page(&[], None));
        bench.tick();
    }
    assert_eq!((bench.known("k"), bench.calls()), (Known::Deleted, vec![]));
    bench.write("k");
    assert_eq!(bench.known("k"), Known::NotDeleted);
    bench.answer(&marker("DELETE", "k"), "403", "");
    let told = "the marker that b/k was deleted could not be cleared: the store answered 403";
    assert_eq!(bench.lines()[1..], [told]);
}

#[test]
fn a_store_that_fails_is_asked_again() {
    let mut bench = Bench::listed(&[]);
    bench.delete("k");
    for wait in [1, 4] {
        bench.answer(&marker("PUT", "k"), "503", "");
        assert_eq!(bench.calls(), [""; 0]);
        bench.pass(wait);
    }
    assert_eq!(bench.lines(), [""; 0]);
    bench.answer(&marker("PUT", "k"), "503", "");
    assert_eq!(bench.lines().len(), 1, "it is told when it has failed three times");
    assert!(
        bench.lines()[0].starts_with("the marker that b/k was deleted could not be changed yet")
    );
    bench.pass(10);
    assert_eq!((bench.known("k"), bench.calls()), (Known::Deleted, vec![]));
    bench.pass(20);
    bench.answer(&marker("PUT", "k"), "200", "");
    bench.answer(LIST, "200", &page(&["k"], None));
    bench.tick();
    assert!(bench.workers[0].engine.is_idle());
}

#[test]
fn a_list_of_several_pages_is_known_at_its_end() {
    let mut bench = Bench::new();
    bench.pass(1);
    bench.answer(LIST, "200", &page(&["a"], Some("t/1")));
    bench.tick();
    assert_eq!((bench.known("a"), bench.known("x")), (Known::Deleted, Known::Unknown));
    let second = LIST.replace("?", "?continuation-token=t%2F1&");
    bench.answer(&second, "200", &page(&["b"], None));
    bench.tick();
    let known = ["a", "b", "x"].map(|key| bench.known(key));
    assert_eq!(known, [Known::Deleted, Known::Deleted, Known::NotDeleted]);
    bench.pass(29);
    assert_eq!(bench.calls(), [""; 0]);
    bench.pass(1);
    assert_eq!(bench.calls(), [LIST]);
}

#[test]
fn a_list_that_is_not_to_be_had_is_asked_for_again() {
    for (status, body) in [("503", ""), ("200", ""), ("200", "<Error/>")] {
        let mut bench = Bench::new();
        bench.pass(1);
        bench.answer(LIST, status, body);
        bench.tick();
        assert_eq!((bench.known("x"), bench.calls()), (Known::Unknown, vec![]), "{status} {body}");
        bench.pass(1);
        bench.answer(LIST, "200", &page(&[], None));
        bench.tick();
        assert_eq!((bench.known("x"), bench.lines()), (Known::NotDeleted, &[][..]));
    }
}

#[test]
fn where_nobody_may_list_memory_is_all_there_is_and_that_is_told_once() {
    let mut bench = Bench::new();
    bench.pass(1);
    bench.delete("k");
    bench.answer(&marker("PUT", "k"), "200", "");
    for _ in 0..3 {
        bench.answer(LIST, "403", "<Error><Code>AccessDenied</Code></Error>");
        bench.tick();
        assert_eq!((bench.known("k"), bench.known("x")), (Known::Deleted, Known::NotDeleted));
        bench.pass(30);
    }
    assert_eq!(bench.lines().len(), 1, "{:?}", bench.lines());
    assert!(bench.lines()[0].starts_with("the store answered 403 to a list of b/.back-to-origin/"));
}

#[test]
fn a_list_without_an_end_is_cut_and_asked_for_less_often() {
    let mut bench = Bench::new();
    bench.pass(1);
    for number in 0..MAX_PAGES {
        let line = bench.calls()[0].to_owned();
        bench.answer(&line, "200", &page(&[&number.to_string()], Some(&format!("t{number}"))));
        bench.tick();
    }
    assert_eq!(bench.calls(), [""; 0]);
    assert_eq!((bench.known("0"), bench.known("x")), (Known::Deleted, Known::Unknown));
    bench.pass(290);
    assert_eq!(bench.calls(), [""; 0]);
    bench.pass(10);
    assert_eq!(bench.calls(), [LIST]);
}

#[test]
fn ten_thousand_markers_are_listed() {
    let mut bench = Bench::new();
    bench.pass(1);
    let keys: Vec<String> = (0..10_000).map(|number| format!("folder/{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for (at, page_of) in keys.chunks(1_000).enumerate() {
        let line = bench.calls()[0].to_owned();
        let next = (at < 9).then(|| at.to_string());
        bench.answer(&line, "200", &page(page_of, next.as_deref()));
        bench.tick();
    }
    assert!(keys.iter().all(|key| bench.known(key) == Known::Deleted));
    assert_eq!(bench.known("x"), Known::NotDeleted);
    assert!(bench.workers[0].engine.is_idle(), "nothing of it is held here");
    let bytes: usize = bench.shared.iter().map(|(name, (held, _))| name.len() + held.len()).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

#[test]
fn markers_wait_in_a_bounded_number() {
    let mut bench = Bench::listed(&[]);
    for number in 0..=MAX_PENDING {
        bench.delete(&number.to_string());
    }
    let told = "b/4096 was deleted, and only the memory of this gateway keeps it so: too many markers \
                wait";
    assert_eq!(bench.lines(), [told]);
    assert_eq!((bench.calls().len(), bench.known("4096")), (MAX_CALLS, Known::Deleted));
}

#[test]
fn what_is_neither_deleted_nor_written_changes_no_marker() {
    let mut bench = Bench::listed(&["k"]);
    bench.at(0, "k", Change::Touched);
    // Markers have none themselves, whoever deletes them.
    bench.delete(&Tombstone::of("b", b"k").marker());
    bench.write("x");
    assert_eq!((bench.known("k"), bench.calls()), (Known::Deleted, vec![]));
}
