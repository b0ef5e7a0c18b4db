//! What holds whatever origins and stores answer.
//!
//! An input is a row of records with a zero byte between them. The first byte of each says what
//! happens:
//!
//! | Byte | What |
//! |---|---|
//! | `g`, `h` | a GET, or a HEAD, of the key that follows is a miss |
//! | `r` | a GET of the range that follows is one |
//! | `o`, `O` | the origin's answer to the latest of them; with `O` its body breaks off |
//! | `b` | that answer comes back as a request: what the gateway says of it, a blank, a Location |
//! | `c` | the oldest request of the filter's own is answered |
//! | `x` | that request fails |
//! | `l` | the latest client leaves |
//! | anything else | ten seconds pass |
//!
//! An answer is a status, then lines of headers, an empty line, and the body.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::decision::{Decision, Exchange};
use back_to_origin::engine::Engine;
use back_to_origin::host::{Call, CallAnswer, CallId, Effect, StreamId};
use back_to_origin::http::headers::Headers;
use back_to_origin::matching::Source;
use back_to_origin::miss_route;
use back_to_origin::streaming::{Decided, MissStream, RequestDecision, ResponseDecision};
use back_to_origin::time::Moment;

const CONFIGURATION: &str = r#"{
    "path": "PATH",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, AGAIN "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorURLSlave": "http://q/",
                      "MirrorAllowHeadObject": true, "MirrorFollowRedirect": true,
                      "MirrorUserLastModified": true}}]}],
    "origins": {"http://o": "o", "http://q": "q"},
    "limits": {"object_bytes": 64, "part_bytes": 5, "memory_bytes": 200, "fetches": 2}
}"#;

/// The number of the engine's root.
const ROOT: u64 = 7;

/// An answer, as far as a host reads it.
struct Answer {
    headers: Headers,
    body: Vec<u8>,
}

impl Answer {
    fn read(record: &[u8]) -> Self {
        let end = record.windows(2).position(|two| two == b"\n\n");
        let (head, body) = match end {
            Some(end) => (&record[..end], &record[end + 2..]),
            None => (record, &record[record.len()..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = lines.next().unwrap_or_default();
        // A host gives out statuses, and names in lower case; whatever else is its server's affair.
        let is_status = status.len() == 3 && status.iter().all(u8::is_ascii_digit);
        let status = if is_status { status } else { b"200" };
        let pairs = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = line[..colon].to_ascii_lowercase();
            let value = line[colon + 1..].trim_ascii().to_vec();
            (!name.is_empty() && !name.contains(&b':')).then_some((name, value))
        });
        let own = (b":status".to_vec(), status.to_vec());
        let headers = Headers::from_pairs(std::iter::once(own).chain(pairs));
        Self { headers, body: body.to_vec() }
    }
}

/// A gateway, its clients, an origin and a store, all as an input says.
struct World {
    engine: Engine,
    by_callout: bool,
    stream: MissStream,
    attempt: Option<String>,
    key: String,
    held: Vec<StreamId>,
    streams: u32,
    calls: Vec<(CallId, Call)>,
    /// The parts that were sent, by upload and number.
    parts: BTreeMap<(String, u32), Vec<u8>>,
    /// Bodies that arrived whole, by key.
    whole: Vec<(String, Vec<u8>)>,
    /// Whether anything was fetched by the filter itself.
    fetched: bool,
    ticking: bool,
    now: Duration,
}

/// Has everything happen that an input says, on either path.
pub fn happen(bytes: &[u8]) {
    for by_callout in [false, true] {
        let mut world = World::new(by_callout);
        // More would only take more time.
        for record in bytes.split(|byte| *byte == 0).take(64) {
            world.record(record);
        }
        world.come_to_rest();
    }
}

impl World {
    fn new(by_callout: bool) -> Self {
        let (path, again) = match by_callout {
            true => ("callout", ""),
            false => ("streaming", r#""again": "again-b","#),
        };
        let text = CONFIGURATION.replace("PATH", path).replace("AGAIN", again);
        let configuration = Configuration::from_json(text.as_bytes()).expect("it is right");
        Self {
            engine: Engine::new(Rc::new(configuration)),
            by_callout,
            stream: MissStream::default(),
            attempt: None,
            key: String::new(),
            held: Vec::new(),
            streams: 0,
            calls: Vec::new(),
            parts: BTreeMap::new(),
            whole: Vec::new(),
            fetched: false,
            ticking: false,
            now: Duration::from_secs(1),
        }
    }

    fn record(&mut self, record: &[u8]) {
        let Some((what, rest)) = record.split_first() else { return };
        match what {
            b'g' => self.miss("GET", rest, None),
            b'h' => self.miss("HEAD", rest, None),
            b'r' => self.miss("GET", b"k", Some(rest)),
            b'o' => self.answer(&Answer::read(rest), true),
            b'O' => self.answer(&Answer::read(rest), false),
            b'b' => self.returned(rest),
            b'c' => self.called(Answer::read(rest)),
            b'x' => self.failed(),
            b'l' => self.gone(true),
            _ => self.wait(),
        }
    }

    fn miss(&mut self, method: &str, key: &[u8], range: Option<&[u8]>) {
        self.gone(false);
        // Few keys, so that they meet.
        let key: String = key.iter().take(2).map(|byte| char::from(b'a' + byte % 4)).collect();
        self.key = format!("k{key}");
        let path = format!("/b/{}", self.key);
        let url = format!("http://g{path}");
        let mut pairs: Vec<(&str, &[u8])> = vec![(":method", method.as_bytes())];
        pairs.extend(range.map(|range| ("range", range)));
        if self.by_callout {
            pairs.extend([
                (":scheme", &b"http"[..]),
                (":authority", b"g"),
                (":path", path.as_bytes()),
            ]);
            self.ask(Headers::from_pairs(pairs));
        } else {
            pairs.extend([
                (miss_route::MISS, &b"bucket b 404"[..]),
                (miss_route::ORIGINAL_URL, url.as_bytes()),
            ]);
            self.request(Headers::from_pairs(pairs));
        }
    }

    /// By callouts: the bucket's 404 is held.
    fn ask(&mut self, headers: Headers) {
        let sequence = self.engine.sequence();
        let mut exchange = Exchange::new(headers, sequence);
        let answer = Headers::from_pairs([(":status", "404")]);
        let configuration = self.engine.configuration();
        match exchange.on_answer(&configuration, &answer, || Source::Bucket) {
            Decision::Mirror(miss) => {
                self.streams += 1;
                let stream = StreamId(self.streams);
                self.held.push(stream);
                let effects = self.engine.on_miss(stream, *miss);
                self.perform(effects);
            }
            Decision::Answer(_)
            | Decision::Fetch(..)
            | Decision::Pass(_)
            | Decision::Prove(_)
            | Decision::Tell(_) => {}
        }
    }

    /// Streaming: a request on the miss route.
    fn request(&mut self, headers: Headers) {
        self.stream = MissStream::default();
        let now = Moment(self.now);
        let decided =
            self.stream.on_request(&mut self.engine, headers, ROOT, now, &mut BTreeMap::new());
        self.attempt = match self.decide(decided) {
            RequestDecision::Send(sent) => {
                let name = sent.get(miss_route::ATTEMPT);
                name.map(|name| String::from_utf8_lossy(name).into_owned())
            }
            RequestDecision::Answer(_) | RequestDecision::Continue | RequestDecision::Wait => None,
        };
    }

    fn returned(&mut self, rest: &[u8]) {
        let Some(attempt) = self.attempt.take() else { return };
        let mut words = rest.splitn(2, |byte| *byte == b' ');
        let (said, location) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let said = [b"origin ", said].concat();
        self.gone(false);
        self.request(Headers::from_pairs([
            (":method", &b"GET"[..]),
            (miss_route::MISS, &said),
            (miss_route::ATTEMPT, attempt.as_bytes()),
            (miss_route::LOCATION, location),
        ]));
    }

    fn answer(&mut self, answer: &Answer, is_whole: bool) {
        self.attempt = None;
        let decided = self.stream.on_response(
            &mut self.engine,
            &answer.headers,
            || Source::Bucket,
            || None,
            Moment::default,
        );
        match self.decide(decided) {
            ResponseDecision::Stream(_) => {}
            ResponseDecision::Answer(_) | ResponseDecision::Continue => return,
        }
        for piece in answer.body.chunks(3) {
            let Some(copy) = self.stream.copy() else { break };
            if self.engine.wants_bytes(copy, piece.len()) {
                let effects = self.engine.on_bytes(copy, piece);
                self.perform(effects);
            }
        }
        // Whoever breaks off behind the last byte takes nothing from the object.
        let has_all = answer.headers.content_length() == Some(answer.body.len() as u64);
        if is_whole || has_all {
            self.whole.push((self.key.clone(), answer.body.clone()));
        }
        if is_whole {
            let effects = self.stream.on_end(&mut self.engine);
            self.perform(effects);
        } else {
            self.gone(false);
        }
    }

    fn gone(&mut self, client_left: bool) {
        let now = Moment(self.now);
        let decided = self.stream.on_gone(&mut self.engine, || client_left, || now);
        self.decide(decided);
        self.stream = MissStream::default();
        if let Some(stream) = self.held.pop().filter(|_| client_left) {
            let effects = self.engine.on_stream_end(stream);
            self.perform(effects);
        }
    }

    fn called(&mut self, answer: Answer) {
        if self.calls.is_empty() {
            return;
        }
        let (id, call) = self.calls.remove(0);
        let Answer { headers, body } = answer;
        if call.cluster != "s" {
            self.fetched = true;
        }
        let body_bytes = body.len() as u64;
        let body = if self.engine.wants_body(id, body_bytes) { body } else { Vec::new() };
        let answer = CallAnswer { headers, body_bytes, body };
        let effects = self.engine.on_call_answer(id, answer, Moment(self.now));
        self.perform(effects);
    }

    fn failed(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let (id, _) = self.calls.remove(0);
        let effects = self.engine.on_call_answer(id, CallAnswer::default(), Moment(self.now));
        self.perform(effects);
    }

    fn wait(&mut self) {
        self.now += Duration::from_secs(10);
        if self.ticking {
            let effects = self.engine.on_tick(Moment(self.now));
            self.perform(effects);
        }
    }

    fn decide<D>(&mut self, decided: Decided<D>) -> D {
        self.perform(decided.effects);
        if decided.lease.is_some() {
            let effects = self.stream.on_lease(&mut self.engine, true);
            self.perform(effects);
        }
        decided.decision
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut is_woken = false;
        // What one of them leads to is performed behind the others, as the module does it.
        let mut pending = VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Answer(stream, _) => {
                    let at = self.held.iter().position(|held| *held == stream);
                    // One whose client has left is not known here any more.
                    at.map(|at| self.held.remove(at));
                    pending.extend(self.engine.on_stream_end(stream));
                }
                Effect::Call(id, call) => {
                    self.check(&call);
                    self.calls.push((id, call));
                }
                Effect::Tick(period) => self.ticking = period.is_some(),
                Effect::Wake => is_woken = true,
                Effect::Claim(lease) => {
                    pending.extend(self.engine.on_lease(&lease, true));
                }
                Effect::Measure(..)
                | Effect::Lease(_)
                | Effect::Log(_)
                | Effect::Record(..) | Effect::Release(_)
                | Effect::Resume(_)
                | Effect::Send(..)
                | Effect::Absent(..)
                | Effect::Settle(..) => {}
            }
        }
        if is_woken {
            let effects = self.engine.on_wake(Moment(self.now));
            self.perform(effects);
        }
    }

    /// Nothing becomes visible that did not come whole, and nothing takes an object's place.
    fn check(&mut self, call: &Call) {
        let text = |name| String::from_utf8_lossy(call.headers.get(name).unwrap_or_default());
        let (method, path) = (text(":method"), text(":path"));
        if call.cluster != "s" {
            assert!(["o", "q"].contains(&call.cluster.as_str()), "{call:?}");
            return;
        }
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let field = |name: &str| {
            query.split('&').find_map(|field| field.split_once('=').filter(|(n, _)| *n == name))
        };
        let body = call.body.as_ref().map(|body| body.to_vec()).unwrap_or_default();
        let upload = field("uploadId").map(|(_, id)| id.to_owned());
        let number = field("partNumber").and_then(|(_, number)| number.parse::<u32>().ok());
        let published = match (method.as_ref(), upload, number) {
            ("PUT", Some(upload), Some(number)) => {
                self.parts.insert((upload, number), body);
                return;
            }
            ("PUT", None, None) => body,
            ("POST", Some(upload), None) => {
                let own = self.parts.range((upload.clone(), 0)..=(upload, u32::MAX));
                own.flat_map(|(_, part)| part.iter().copied()).collect()
            }
            _ => return,
        };
        assert_eq!(text("if-none-match"), "*", "{call:?}");
        let key = path.trim_start_matches("/b/");
        let came = self.whole.iter().any(|(own, body)| own == key && *body == published);
        assert!(came || self.fetched, "{path} is to have {} bytes", published.len());
    }

    /// Everything that has begun comes to its end, whoever never answers.
    fn come_to_rest(&mut self) {
        self.gone(false);
        for _ in 0..400 {
            if !self.ticking && self.calls.is_empty() {
                break;
            }
            while !self.calls.is_empty() {
                self.failed();
            }
            self.wait();
        }
        assert!(self.engine.is_idle(), "it is never done");
        assert!(self.calls.is_empty() && !self.ticking, "it waits for nothing");
    }
}
