//! What an event costs while many objects wait for their store: `cargo bench -p back-to-origin --bench
//! copies`. It is to be the same for few and for many.
//!
//! So many clients have missed so many objects, before a store that does not answer. A VM copies a
//! thousand of them at most, and as many wait.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::decision::{Decision, Exchange};
use back_to_origin::engine::Engine;
use back_to_origin::host::{CallAnswer, CallId, Effect, StreamId};
use back_to_origin::http::headers::Headers;
use back_to_origin::matching::Source;
use back_to_origin::miss_route;
use back_to_origin::streaming::{MissStream, RequestDecision, ResponseDecision};
use back_to_origin::time::Moment;
use divan::{Bencher, black_box};

const CONFIGURATION: &str = r#"{
    "path": "streaming",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}}]}],
    "origins": {"http://o": "o"}, "limits": {"memory_bytes": 536870912}
}"#;

const NOW: Moment = Moment(Duration::from_secs(1));

fn main() {
    divan::main();
}

struct Bench {
    engine: Engine,
    calls: Vec<CallId>,
    keys: usize,
}

impl Bench {
    fn new(waiting: usize) -> Self {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes());
        let configuration = configuration.expect("nothing is wrong with it");
        let mut bench =
            Self { engine: Engine::new(Rc::new(configuration)), calls: Vec::new(), keys: 0 };
        for _ in 0..waiting {
            bench.store_small();
        }
        bench
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(id, _) => self.calls.push(id),
                Effect::Wake => {
                    let effects = self.engine.on_wake(NOW);
                    self.take(effects);
                }
                Effect::Claim(lease) => {
                    let effects = self.engine.on_lease(&lease, true);
                    self.take(effects);
                }
                Effect::Answer(..) | Effect::Measure(..) | Effect::Lease(_) | Effect::Log(_) => {}
                Effect::Record(..) | Effect::Release(_) | Effect::Resume(_) | Effect::Tick(_) => {}
                Effect::Absent(..) | Effect::Send(..) | Effect::Settle(..) => {}
            }
        }
    }

    /// A miss, as far as the first byte.
    fn begin(&mut self, size: usize) -> MissStream {
        self.keys += 1;
        let url = format!("http://g/b/{}", self.keys);
        let mut stream = MissStream::default();
        let request = Headers::from_pairs([
            (":method", "GET"),
            (miss_route::MISS, "bucket b 404"),
            (miss_route::ORIGINAL_URL, &url),
        ]);
        let decided = stream.on_request(&mut self.engine, request, 7, NOW, &mut BTreeMap::new());
        assert!(matches!(decided.decision, RequestDecision::Send(_)));
        let size = size.to_string();
        let answer = Headers::from_pairs([(":status", "200"), ("content-length", &size)]);
        let decided = stream.on_response(
            &mut self.engine,
            &answer,
            || Source::Bucket,
            || None,
            Moment::default,
        );
        assert!(matches!(decided.decision, ResponseDecision::Stream(_)));
        let effects = stream.on_lease(&mut self.engine, true);
        self.take(effects);
        stream
    }

    fn bytes(&mut self, stream: &MissStream, bytes: &[u8]) {
        if let Some(copy) = stream.copy()
            && self.engine.wants_bytes(copy, bytes.len())
        {
            let effects = self.engine.on_bytes(copy, bytes);
            self.take(effects);
        }
    }

    /// A whole miss of a small object.
    fn store_small(&mut self) {
        let mut stream = self.begin(1_000);
        self.bytes(&stream, &[7; 1_000]);
        let effects = stream.on_end(&mut self.engine);
        self.take(effects);
    }
}

/// 64 KiB of a stream.
#[divan::bench(args = [10, 1_000, 10_000])]
fn a_piece_of_a_stream(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut bench = Bench::new(waiting.min(999));
    let over = waiting.saturating_sub(999);
    let piece = vec![7; 64 * 1024];
    let mut stream = bench.begin(1 << 40);
    for _ in 0..over {
        bench.store_small();
    }
    bencher.bench_local(|| {
        if stream.copy().is_none() {
            stream = bench.begin(1 << 40);
        }
        bench.bytes(black_box(&stream), &piece);
    });
}

/// A miss from its beginning to its PUT.
#[divan::bench(args = [10, 1_000, 10_000])]
fn a_small_miss(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut bench = Bench::new(waiting);
    bencher.bench_local(|| bench.store_small());
}

/// An answer of the store, and what follows from it.
#[divan::bench(args = [10, 1_000, 10_000])]
fn an_answer_of_the_store(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut bench = Bench::new(waiting);
    bencher.bench_local(|| {
        bench.store_small();
        let Some(call) = bench.calls.pop() else { return };
        let took = ("x-envoy-upstream-service-time", "1");
        let headers = Headers::from_pairs([(":status", "200"), took]);
        let answer = CallAnswer { headers, ..CallAnswer::default() };
        let effects = bench.engine.on_call_answer(call, answer, NOW);
        bench.take(effects);
    });
}

/// Time that passes.
#[divan::bench(args = [10, 1_000, 10_000])]
fn a_tick(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut bench = Bench::new(waiting);
    bencher.bench_local(|| {
        let effects = bench.engine.on_tick(NOW);
        bench.take(effects);
    });
}

/// The same by callouts, where each object waits whole for its store, and for clients that do not read.
const BY_CALLOUTS: &str = r#"{
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}}]}],
    "origins": {"http://o": "o"}, "limits": {"memory_bytes": 536870912, "object_bytes": 100000}
}"#;

/// More of these are answered than memory in the host allows for.
const HELD: usize = 20_000;

struct Held {
    engine: Engine,
    configuration: Rc<Configuration>,
    last: u32,
}

impl Held {
    fn new(waiting: usize) -> Self {
        let configuration = Configuration::from_json(BY_CALLOUTS.as_bytes());
        let configuration = Rc::new(configuration.expect("nothing is wrong with it"));
        let engine = Engine::new(Rc::clone(&configuration));
        let mut held = Self { engine, configuration, last: 0 };
        for _ in 0..waiting {
            held.miss(HELD);
        }
        held
    }

    fn take(&mut self, effects: Vec<Effect>, bytes: usize) {
        for effect in effects {
            let effects = match effect {
                Effect::Call(id, call) if call.cluster == "o" => {
                    self.engine.wants_body(id, bytes as u64);
                    let took = ("x-envoy-upstream-service-time", "1");
                    let framing = (miss_route::FRAMING, "HTTP/2 -");
                    let headers = Headers::from_pairs([(":status", "200"), took, framing]);
                    let answer =
                        CallAnswer { headers, body_bytes: bytes as u64, body: vec![7; bytes] };
                    self.engine.on_call_answer(id, answer, NOW)
                }
                Effect::Wake => self.engine.on_wake(NOW),
                Effect::Answer(..) | Effect::Call(..) | Effect::Claim(_) | Effect::Measure(..) => {
                    continue;
                }
                Effect::Lease(_) | Effect::Log(_) | Effect::Record(..) | Effect::Release(_) => {
                    continue;
                }
                Effect::Resume(_) | Effect::Tick(_) => continue,
                Effect::Absent(..) | Effect::Send(..) | Effect::Settle(..) => continue,
            };
            self.take(effects, bytes);
        }
    }

    /// A whole miss; its client does not read.
    fn miss(&mut self, bytes: usize) -> StreamId {
        self.last += 1;
        let path = format!("/b/{}", self.last);
        let asked =
            [(":method", "GET"), (":scheme", "http"), (":authority", "g"), (":path", &path)];
        let mut exchange = Exchange::new(Headers::from_pairs(asked), self.engine.sequence());
        let answer = Headers::from_pairs([(":status", "404")]);
        let decision = exchange.on_answer(&self.configuration, &answer, || Source::Bucket);
        let Decision::Mirror(miss) = decision else { panic!("it is to be mirrored") };
        let stream = StreamId(self.last);
        let effects = self.engine.on_miss(stream, *miss);
        self.take(effects, bytes);
        stream
    }
}

/// A miss by callouts, from its beginning to its client's end.
#[divan::bench(args = [10, 1_000, 10_000])]
fn a_miss_by_callouts(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut held = Held::new(waiting);
    bencher.bench_local(|| {
        let stream = held.miss(10);
        let effects = held.engine.on_stream_end(stream);
        held.take(effects, 10);
    });
}

/// Time that passes, by callouts.
#[divan::bench(args = [10, 1_000, 10_000])]
fn a_tick_by_callouts(bencher: Bencher<'_, '_>, waiting: usize) {
    let mut held = Held::new(waiting);
    bencher.bench_local(|| {
        let effects = held.engine.on_tick(NOW);
        held.take(effects, 10);
    });
}
