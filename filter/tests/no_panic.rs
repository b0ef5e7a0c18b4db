//! A panic takes a proxy's worker down: nothing that clients, buckets, origins, stores or
//! operators send may cause one, in whatever order it comes.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::decision::{Decision, Exchange};
use back_to_origin::engine::Engine;
use back_to_origin::host::{Call, CallAnswer, CallId, DispatchError, Effect, StreamId};
use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::matching::Source;
use back_to_origin::miss::Miss;
use back_to_origin::miss_route;
use back_to_origin::origin::Unheard;
use back_to_origin::reply::Reply;
use back_to_origin::rule::RuleSet;
use back_to_origin::streaming::{Decided, MissStream, RequestDecision, ResponseDecision};
use back_to_origin::time::Moment;
use proptest::prelude::*;

const CONFIGURATION: &str = r#"{
    "domain": "d",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "again": "again-b", "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "m", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/p/", "MirrorPassQueryString": true,
                      "MirrorCheckMd5": true, "MirrorAllowHeadObject": true,
                      "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "x/",
                      "MirrorURLSlave": "http://q/p/", "MirrorURLProbe": "http://q/probe?x",
                      "MirrorFallThrough": true, "TransparentMirrorResponseCodes": "4XX,503",
                      "MirrorHeaders": {"PassAll": true, "Set": [{"Key": "host", "Value": "h"}]}}},
        {"RuleNumber": 3, "Condition": {"KeyPrefixEquals": "a", "HttpErrorCodeReturnedEquals": "404,503"},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/p/x/", "MirrorAsyncStatus": 303,
                      "MirrorOnServerError": true, "MirrorUserLastModified": true, "MirrorSaveOssMeta": true}},
        {"RuleNumber": 4, "Condition": {"KeyPrefixEquals": "p", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/p/x/", "MirrorProxyPass": true,
                      "MirrorReturnHeaders": {"ReturnHeader": [{"Key": "x-key", "Value": "${key}"}]},
                      "MirrorTaggings": {"Taggings": [{"Key": "k", "Value": "${key}"}]}}},
        {"RuleNumber": 2, "Condition": {"KeySuffixEquals": "r"},
         "Redirect": {"ReplaceKeyWith": "a${key}b", "PassQueryString": true}}
    ]}],
    "origins": {"http://o": "o", "http://q": "q"},
    "limits": {"object_bytes": 64, "memory_bytes": 100, "fetches": 2}
}"#;

/// The number of the engine's root.
const ROOT: u64 = 7;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Something that happens to an engine.
#[derive(Clone, Debug)]
enum Event {
    Wake,
    Tick(u64),
    CallAnswer {
        call: usize,
        headers: Pairs,
        size: u64,
        body: Vec<u8>,
    },
    CallRefused {
        call: usize,
        known: bool,
    },
    /// A request to the bucket, and the bucket's answer.
    Asked {
        headers: Pairs,
        answer: Pairs,
        local: bool,
    },
    AskedEnd(usize),
    /// Something on the miss route.
    Route(OnRoute),
}

/// Something that happens on the miss route. Streams are counted back from the latest; `ours` says
/// whose the lease is that is claimed then.
#[derive(Clone, Debug)]
enum OnRoute {
    /// A request.
    Request {
        headers: Pairs,
        ours: bool,
    },
    /// The gateway brings an answer back, as it was asked to.
    Returned {
        stream: usize,
        said: String,
        location: Vec<u8>,
        gone_first: bool,
    },
    /// An answer comes back by an attempt's name, whoever made that up.
    Claimed {
        attempt: Claim,
        said: String,
        location: Vec<u8>,
    },
    /// A response.
    Response {
        stream: usize,
        headers: Pairs,
        local: bool,
        unheard: Option<&'static str>,
        ours: bool,
    },
    /// A piece of a body.
    Body {
        stream: usize,
        size: usize,
        lost: bool,
        is_end: bool,
    },
    Gone {
        stream: usize,
        client_left: bool,
        ours: bool,
    },
}

/// The name of an attempt.
#[derive(Clone, Debug)]
enum Claim {
    /// One that the engine has given out, in another root.
    Elsewhere(usize),
    /// One that the engine has given out, perhaps for something that is over by now.
    Given(usize),
    /// Anything.
    Wild(Vec<u8>),
}

/// Texts of a pattern, which is read once.
fn text(pattern: &str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(pattern).expect("a pattern")
}

fn bytes(pattern: &str) -> impl Strategy<Value = Vec<u8>> {
    text(pattern).prop_map(String::into_bytes)
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        bytes("(bytes=)?[0-9]{0,22}-[0-9]{0,22}"),
        bytes("/(b|%62)/(m|[a-z%./\\\\]){0,9}r?(\\?[a-zA-Z=&%-]{0,9})?"),
        bytes("(http:)?(//[oqh])?[/.?a\\\\:]{0,4}"),
        word(&[
            "GET",
            "HEAD",
            "md5=:AA:,sha-512=",
            "200",
            "302",
            "400",
            "404",
            "503",
            "true",
            "10",
            "b.d"
        ]),
    ]
}

fn headers() -> impl Strategy<Value = Pairs> {
    let name = prop_oneof![
        bytes("[a-z-]{1,12}"),
        proptest::collection::vec(any::<u8>(), 0..8),
        word(&[
            ":status",
            ":authority",
            ":scheme",
            "range",
            "if-range",
            "content-length",
            "content-type",
            "location",
            "last-modified",
            "x-oss-meta-a",
            "x-amz-delete-marker",
            "x-amz-meta-x-oss-tag",
            "connection",
            "content-md5",
            "content-range",
            "repr-digest",
            "x-amz-checksum-crc32",
            "x-envoy-miss",
            "x-envoy-miss-attempt",
            "x-envoy-original-url"
        ]),
    ];
    proptest::collection::vec((name, value()), 0..8)
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![
        4 => Just(200),
        3 => prop_oneof![Just(206), Just(302), Just(308), Just(404), Just(503)],
        1 => 100_u16..600,
    ]
}

/// The key of an object, which most often some rule mirrors.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => text("[map][ap.]{0,3}"), 1 => text("[mr%.ap]{1,6}r?")]
}

/// An answer with a status, perhaps, and whatever else.
fn answer() -> impl Strategy<Value = Pairs> {
    (proptest::option::weighted(0.9, status()), location(), headers()).prop_map(
        |(status, location, mut headers)| {
            if let Some(status) = status {
                headers.insert(0, (b":status".to_vec(), status.to_string().into_bytes()));
            }
            headers.push((b"location".to_vec(), location));
            headers
        },
    )
}

fn location() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => bytes("(http:)?(//[oqhz])?/[a-c]{0,2}(\\?x)?"),
        1 => value(),
    ]
}

/// A stream, most often the latest.
fn stream() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0), 1 => 0_usize..4]
}

/// Whether a lease is ours.
fn ours() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.8)
}

/// What a gateway says of an answer.
fn said() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop_oneof![Just(302), Just(307), Just(404), Just(503)]
            .prop_map(|status| format!("origin {status}")),
        2 => status().prop_map(|status| format!("origin {status}")),
        1 => (500_u16..506, details()).prop_map(|(status, why)| format!("gateway {status} {why}")),
        1 => text("(origin|gateway)( [0-9]{0,6})?( [a-z]{0,4})?"),
    ]
}

fn details() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("UF"), Just("cluster_not_found"), Just("overflow"), Just("via_upstream")]
}

/// Something that happens wherever the filter stands.
fn of_root() -> BoxedStrategy<Event> {
    prop_oneof![
        1 => Just(Event::Wake),
        1 => (0_u64..30_000).prop_map(Event::Tick),
        3 => call_answer(),
        1 => (0_usize..8, any::<bool>())
            .prop_map(|(call, known)| Event::CallRefused { call, known }),
    ]
    .boxed()
}

fn call_answer() -> impl Strategy<Value = Event> {
    (0_usize..8, answer(), 0_u64..200, any::<bool>()).prop_map(|(call, headers, size, honest)| {
        let body = vec![7; if honest { size as usize } else { 3 }];
        Event::CallAnswer { call, headers, size, body }
    })
}

/// The callout path.
fn on_bucket() -> BoxedStrategy<Event> {
    prop_oneof![3 => asked(), 1 => (0_usize..8).prop_map(Event::AskedEnd)].boxed()
}

fn asked() -> impl Strategy<Value = Event> {
    (headers(), headers(), any::<bool>(), any::<bool>(), key(), any::<bool>()).prop_map(
        |(mut headers, mut answer, local, plain, key, head)| {
            if plain {
                let method = if head { "HEAD" } else { "GET" };
                let path = format!("/b/{key}").into_bytes();
                headers.insert(0, (b":path".to_vec(), path));
                headers.insert(0, (b":method".to_vec(), method.as_bytes().to_vec()));
                answer.insert(0, (b":status".to_vec(), b"404".to_vec()));
            }
            Event::Asked { headers, answer, local }
        },
    )
}

/// The streaming path.
fn on_route() -> BoxedStrategy<Event> {
    prop_oneof![
        4 => request(),
        3 => returned(),
        1 => claimed(),
        3 => response(),
        6 => body(),
        1 => gone(),
    ]
    .prop_map(Event::Route)
    .boxed()
}

fn request() -> impl Strategy<Value = OnRoute> {
    let said = prop_oneof![
        4 => Just("bucket b 404".to_owned()),
        1 => text("(bucket (b|c) )?(gateway )?(404|403|503)?( deleted| denied)?"),
    ];
    let method = prop_oneof![4 => Just("GET"), 1 => Just("HEAD")];
    (headers(), said, method, key(), ours()).prop_map(|(mut headers, said, method, key, ours)| {
        let url = format!("http://g/b/{key}");
        let mut own = vec![(":method", method), (miss_route::ORIGINAL_URL, &url)];
        // Without a word of a miss it goes to the bucket.
        if !said.is_empty() {
            own.push((miss_route::MISS, &said));
        }
        headers.splice(0..0, own.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        OnRoute::Request { headers, ours }
    })
}

fn returned() -> impl Strategy<Value = OnRoute> {
    (stream(), said(), location(), any::<bool>()).prop_map(
        |(stream, said, location, gone_first)| OnRoute::Returned {
            stream,
            said,
            location,
            gone_first,
        },
    )
}

fn claimed() -> impl Strategy<Value = OnRoute> {
    let attempt = prop_oneof![
        (0_usize..8).prop_map(Claim::Elsewhere),
        (0_usize..8).prop_map(Claim::Given),
        value().prop_map(Claim::Wild),
        bytes("0{15}7[0-9a-f]{16}").prop_map(Claim::Wild),
    ];
    (attempt, said(), location()).prop_map(|(attempt, said, location)| OnRoute::Claimed {
        attempt,
        said,
        location,
    })
}

fn response() -> impl Strategy<Value = OnRoute> {
    let unheard = proptest::option::weighted(0.1, details());
    (stream(), answer(), any::<bool>(), unheard, ours()).prop_map(
        |(stream, headers, local, unheard, ours)| OnRoute::Response {
            stream,
            headers,
            local,
            unheard,
            ours,
        },
    )
}

fn body() -> impl Strategy<Value = OnRoute> {
    let (lost, is_end) = (proptest::bool::weighted(0.1), proptest::bool::weighted(0.3));
    (stream(), 0_usize..90, lost, is_end).prop_map(|(stream, size, lost, is_end)| OnRoute::Body {
        stream,
        size,
        lost,
        is_end,
    })
}

fn gone() -> impl Strategy<Value = OnRoute> {
    (stream(), any::<bool>(), ours()).prop_map(|(stream, client_left, ours)| OnRoute::Gone {
        stream,
        client_left,
        ours,
    })
}

/// Drives one engine and keeps what a host would: who waits, what is under way, what is wanted.
struct Host {
    engine: Engine,
    calls: Vec<CallId>,
    waiting: Vec<StreamId>,
    asked: u32,
    /// Streams on the miss route, each with the attempt whose answer may come back.
    streams: Vec<(MissStream, Option<Vec<u8>>, StreamId)>,
    last: u32,
    /// Streams of the miss route that wait for others.
    following: Vec<StreamId>,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    /// The attempts that were ever made.
    attempts: Vec<Vec<u8>>,
    woken: bool,
    ticking: bool,
    now: Duration,
}

impl Host {
    fn new() -> Self {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        Self {
            engine: Engine::new(Rc::new(configuration)),
            calls: Vec::new(),
            waiting: Vec::new(),
            asked: 0,
            streams: Vec::new(),
            last: 1_000_000,
            following: Vec::new(),
            shared: BTreeMap::new(),
            attempts: Vec::new(),
            woken: false,
            ticking: false,
            now: Duration::from_secs(1),
        }
    }

    const fn now(&self) -> Moment {
        Moment(self.now)
    }

    fn on(&mut self, event: Event) {
        let now = self.now();
        let effects = match event {
            Event::Wake => {
                self.woken = false;
                self.engine.on_wake(now)
            }
            Event::Tick(millis) => {
                self.now += Duration::from_millis(millis);
                let mut effects = self.engine.on_tick(Moment(self.now));
                effects.extend(self.engine.on_time(&mut self.shared, Moment(self.now)));
                effects
            }
            Event::CallAnswer { call, headers, size, body } => {
                if self.calls.is_empty() {
                    return;
                }
                let id = self.calls.remove(call % self.calls.len());
                let body = if self.engine.wants_body(id, size) { body } else { Vec::new() };
                let headers = Headers::from_pairs(headers);
                self.engine.on_call_answer(id, CallAnswer { headers, body_bytes: size, body }, now)
            }
            Event::CallRefused { call, known } => {
                if self.calls.is_empty() {
                    return;
                }
                let why = match (known, call % 2) {
                    (true, 0) => DispatchError::Written,
                    (true, _) => DispatchError::NoHost,
                    (false, _) => DispatchError::NoCluster,
                };
                let id = self.calls.remove(call % self.calls.len());
                self.engine.on_call_refused(id, why, now)
            }
            Event::Asked { headers, answer, local } => self.on_asked(headers, answer, local),
            Event::AskedEnd(at) => {
                let waits = at < self.waiting.len();
                let stream = if waits { self.waiting.remove(at) } else { StreamId(u32::MAX) };
                self.engine.on_stream_end(stream)
            }
            Event::Route(event) => return self.on_route(event),
        };
        self.perform(effects);
    }

    fn on_asked(&mut self, headers: Pairs, answer: Pairs, local: bool) -> Vec<Effect> {
        let sequence = self.engine.sequence();
        let mut exchange = Exchange::new(Headers::from_pairs(headers), sequence);
        let source = || if local { Source::Gateway } else { Source::Bucket };
        let answer = Headers::from_pairs(answer);
        match exchange.on_answer(&self.engine.configuration(), &answer, source) {
            Decision::Mirror(miss) => self.on_miss(*miss),
            Decision::Fetch(conclusion, miss) => {
                check_reply(&conclusion.reply);
                self.engine.on_wanted(*miss)
            }
            Decision::Answer(conclusion) => {
                check_reply(&conclusion.reply);
                Vec::new()
            }
            Decision::Prove(doubt) => {
                self.asked += 1;
                let stream = StreamId(self.asked);
                self.waiting.push(stream);
                self.engine.on_doubt(stream, doubt)
            }
            Decision::Pass(_) | Decision::Tell(_) => Vec::new(),
        }
    }

    fn on_miss(&mut self, miss: Miss) -> Vec<Effect> {
        self.asked += 1;
        let stream = StreamId(self.asked);
        self.waiting.push(stream);
        self.engine.on_miss(stream, miss)
    }

    fn on_route(&mut self, event: OnRoute) {
        match event {
            OnRoute::Request { headers, ours } => {
                self.request(&Headers::from_pairs(headers), ours);
            }
            OnRoute::Returned { stream, said, location, gone_first } => {
                let Some(at) = self.place(stream) else { return };
                let Some(attempt) = self.streams[at].1.take() else { return };
                // The gateway may let go of the old stream before or behind the new one.
                let (mut old, _, id) = self.streams.remove(at);
                if gone_first {
                    self.gone(&mut old, id, false, true);
                }
                self.returned(&attempt, &said, &location);
                if !gone_first {
                    self.gone(&mut old, id, false, true);
                }
            }
            OnRoute::Claimed { attempt, said, location } => match attempt {
                Claim::Given(at) => {
                    let Some(name) = self.attempts.get(at).cloned() else { return };
                    self.returned(&name, &said, &location);
                }
                Claim::Elsewhere(at) => {
                    let Some(name) = self.attempts.get(at) else { return };
                    let elsewhere = [&b"0000000000000008"[..], &name[16..]].concat();
                    let decision = self.returned(&elsewhere, &said, &location);
                    assert!(!matches!(decision, RequestDecision::Send(_)), "{decision:?}");
                }
                Claim::Wild(name) => {
                    self.returned(&name, &said, &location);
                }
            },
            OnRoute::Response { stream, headers, local, unheard, ours } => {
                let headers = Headers::from_pairs(headers);
                let source = || if local { Source::Gateway } else { Source::Bucket };
                let why = || unheard.map(|details| Unheard::of(503, details));
                let Some(at) = self.place(stream) else { return };
                let (miss, attempt, _) = &mut self.streams[at];
                *attempt = None;
                let decided =
                    miss.on_response(&mut self.engine, &headers, source, why, Moment::default);
                match self.decide(at, decided, ours) {
                    ResponseDecision::Answer(reply) => check_reply(&reply),
                    ResponseDecision::Stream(headers) => check_values(&headers),
                    ResponseDecision::Continue => {}
                }
            }
            OnRoute::Body { stream, size, lost, is_end } => self.body(stream, size, lost, is_end),
            OnRoute::Gone { stream, client_left, ours } => {
                let Some(at) = self.place(stream) else { return };
                let (mut miss, _, id) = self.streams.remove(at);
                self.gone(&mut miss, id, client_left, ours);
            }
        }
    }

    /// Where a stream is that is counted back from the latest.
    fn place(&self, back: usize) -> Option<usize> {
        self.streams.len().checked_sub(back + 1)
    }

    fn returned(&mut self, attempt: &[u8], said: &str, location: &[u8]) -> RequestDecision {
        let headers = Headers::from_pairs([
            (&b":method"[..], &b"GET"[..]),
            (miss_route::MISS.as_bytes(), said.as_bytes()),
            (miss_route::ATTEMPT.as_bytes(), attempt),
            (miss_route::LOCATION.as_bytes(), location),
        ]);
        self.request(&headers, true)
    }

    fn request(&mut self, headers: &Headers, ours: bool) -> RequestDecision {
        let now = self.now();
        self.last += 1;
        let id = StreamId(self.last);
        self.streams.push((MissStream::new(id), None, id));
        let at = self.streams.len() - 1;
        let (miss, ..) = &mut self.streams[at];
        miss.may_wait();
        let decided =
            miss.on_request(&mut self.engine, headers.clone(), ROOT, now, &mut self.shared);
        let decision = self.decide(at, decided, ours);
        match &decision {
            RequestDecision::Answer(reply) => check_reply(reply),
            RequestDecision::Continue => {}
            RequestDecision::Wait => self.following.push(id),
            RequestDecision::Send(sent) => {
                check_sent(sent);
                if let Some(attempt) = sent.get(miss_route::ATTEMPT) {
                    self.streams[at].1 = Some(attempt.to_vec());
                    self.attempts.push(attempt.to_vec());
                }
            }
        }
        decision
    }

    /// Performs what comes before a decision.
    fn decide<D>(&mut self, at: usize, decided: Decided<D>, ours: bool) -> D {
        self.perform(decided.effects);
        if decided.lease.is_some() {
            let effects = self.streams[at].0.on_lease(&mut self.engine, ours);
            self.perform(effects);
        }
        decided.decision
    }

    fn body(&mut self, stream: usize, size: usize, lost: bool, is_end: bool) {
        let Some(at) = self.place(stream) else { return };
        let (miss, ..) = &mut self.streams[at];
        let mut effects = Vec::new();
        if let Some(copy) = miss.copy()
            && self.engine.wants_bytes(copy, size)
        {
            effects = match lost {
                true => miss.on_lost_bytes(&mut self.engine),
                false => self.engine.on_bytes(copy, &vec![7; size]),
            };
        }
        if is_end {
            effects.extend(miss.on_end(&mut self.engine));
        }
        self.perform(effects);
    }

    fn gone(&mut self, miss: &mut MissStream, id: StreamId, client_left: bool, ours: bool) {
        let now = self.now();
        self.following.retain(|following| *following != id);
        let decided = miss.on_gone(&mut self.engine, || client_left, || now);
        self.perform(decided.effects);
        if decided.lease.is_some() {
            let effects = miss.on_lease(&mut self.engine, ours);
            self.perform(effects);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        // What one leads to comes behind the others, as in the module.
        let mut pending = std::collections::VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Answer(stream, reply) => {
                    let at = self.waiting.iter().position(|waiting| *waiting == stream);
                    let at = at.expect("only one who waits is answered, and only once");
                    self.waiting.remove(at);
                    check_reply(&reply);
                    let effects = self.engine.on_stream_end(stream);
                    self.perform(effects);
                }
                Effect::Resume(stream) => {
                    let at = self.waiting.iter().position(|waiting| *waiting == stream);
                    let at = at.expect("only one who waits is let go, and only once");
                    self.waiting.remove(at);
                    let effects = self.engine.on_stream_end(stream);
                    self.perform(effects);
                }
                Effect::Call(id, call) => {
                    check_call(&call);
                    self.calls.push(id);
                }
                Effect::Send(stream, headers) => {
                    let at = self.following.iter().position(|following| *following == stream);
                    let at = at.expect("only one who waits is sent on, and only once");
                    self.following.remove(at);
                    check_sent(&headers);
                    if let Some(attempt) = headers.get(miss_route::ATTEMPT)
                        && let Some((_, own, _)) =
                            self.streams.iter_mut().find(|(.., known)| *known == stream)
                    {
                        *own = Some(attempt.to_vec());
                        self.attempts.push(attempt.to_vec());
                    }
                }
                Effect::Absent(absence, since) => {
                    absence.keep(since, Moment(self.now), &mut self.shared);
                }
                Effect::Settle(lease, is_stored) => {
                    let now = Moment(self.now);
                    pending.extend(self.engine.keep_settled(
                        &lease,
                        is_stored,
                        &mut self.shared,
                        now,
                    ));
                }
                Effect::Tick(period) => self.ticking = period.is_some(),
                Effect::Wake => self.woken = true,
                Effect::Claim(lease) => {
                    pending.extend(self.engine.on_lease(&lease, true));
                }
                Effect::Measure(..)
                | Effect::Lease(_)
                | Effect::Log(_)
                | Effect::Record(..)
                | Effect::Release(_) => {}
            }
        }
    }

    /// Everything that a host has begun comes to its end, and it does no more than it is asked to.
    fn settle(&mut self) {
        while !self.streams.is_empty() {
            let gone = OnRoute::Gone { stream: 0, client_left: false, ours: true };
            self.on(Event::Route(gone));
        }
        for _ in 0..400 {
            if !self.woken && !self.ticking && self.calls.is_empty() {
                break;
            }
            if self.woken {
                self.on(Event::Wake);
            }
            while !self.calls.is_empty() {
                let broken = Event::CallAnswer { call: 0, headers: vec![], size: 0, body: vec![] };
                self.on(broken);
            }
            if self.ticking {
                self.on(Event::Tick(10_000));
            }
        }
    }
}

fn check_reply(reply: &Reply) {
    check_values(&reply.headers);
}

fn check_values(headers: &HeaderList) {
    for (name, value) in headers.iter() {
        assert!(!value.contains(&b'\n') && !value.contains(&b'\r'), "{name}");
    }
}

fn check_call(call: &Call) {
    let get = |name| call.headers.get(name).unwrap_or_default();
    let path = String::from_utf8_lossy(get(":path"));
    assert!(path.starts_with('/'), "{path}");
    if call.cluster == "s" {
        assert!(path.starts_with("/b/") || path.starts_with("/b?"), "{path}");
        // Nothing becomes visible over something else.
        let publishes = match get(":method") {
            b"PUT" => !path.contains("uploadId="),
            b"POST" => path.contains("uploadId="),
            _ => false,
        };
        assert!(!publishes || get("if-none-match") == b"*", "{call:?}");
    } else {
        check_server(&call.cluster, get(":authority"));
    }
}

/// What the gateway is told to send.
fn check_sent(headers: &HeaderList) {
    let get = |name| headers.get(name).unwrap_or_default();
    assert_eq!(get(":authority"), miss_route::HOST.as_bytes());
    assert_eq!(headers.get(miss_route::MISS), Some(miss_route::READ.as_bytes()));
    check_values(headers);
    let text = |name| String::from_utf8_lossy(get(name)).into_owned();
    match text(miss_route::CLUSTER).as_str() {
        "again-b" => {}
        miss_route::ATTEMPTS => {
            check_server(&text(miss_route::SERVER), get(miss_route::SERVER_HOST));
        }
        cluster => check_server(cluster, get(miss_route::SERVER_HOST)),
    }
}

/// A redirect leads to no server that the configuration does not name.
fn check_server(cluster: &str, authority: &[u8]) {
    assert!(["o", "q"].contains(&cluster), "{cluster}");
    assert!([&b"h"[..], b"o", b"q"].contains(&authority), "{authority:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_callouts_panics_and_none_leaves_a_client_waiting(
        events in proptest::collection::vec(prop_oneof![of_root(), on_bucket()], 0..60)
    ) {
        come_to_rest(events)?;
    }

    #[test]
    fn no_order_on_the_miss_route_panics_and_nothing_is_kept_for_ever(
        events in proptest::collection::vec(prop_oneof![1 => of_root(), 2 => on_route()], 0..80)
    ) {
        come_to_rest(events)?;
    }

    #[test]
    fn no_bytes_panic_as_rules_or_configuration(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = RuleSet::from_json(&bytes);
        let _ = Configuration::from_json(&bytes);
        let _ = Headers::from_wire(bytes).iter().count();
    }

    #[test]
    fn no_rule_set_panics(text in rule_set()) {
        let checked = RuleSet::from_json(text.as_bytes());
        let refused = checked.findings.iter().any(|finding| {
            finding.severity == back_to_origin::finding::Severity::Error
        });
        prop_assert_eq!(checked.rules.is_none(), refused);
    }
}

/// Whatever happens, in the end nobody waits and nothing is under way.
fn come_to_rest(events: Vec<Event>) -> Result<(), TestCaseError> {
    let mut host = Host::new();
    for event in events {
        host.on(event);
    }
    host.settle();
    prop_assert!(host.waiting.is_empty(), "{:?} wait for ever", host.waiting);
    prop_assert!(host.engine.is_idle(), "it is never done");
    prop_assert!(!host.ticking, "it waits for nothing");
    Ok(())
}

/// Rule sets out of the vocabulary, with values of all sorts.
fn rule_set() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("404".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("\"Mirror\"".to_owned()),
        Just("\"http://o/\"".to_owned()),
        Just("1e999".to_owned()),
        Just("\"${key}\"".to_owned()),
        "\"[ -!#-\\[\\]-~]{0,9}\"",
        "-?[0-9]{1,25}",
    ];
    let name = prop_oneof![
        "RuleNumber|Condition|Redirect|KeyPrefixEquals|HttpErrorCodeReturnedEquals|RedirectType",
        "MirrorURL|HostName|MirrorHeaders|Set|Pass|ReplaceKeyWith|ReplaceKeyPrefixWith|Protocol",
        "[a-zA-Z]{1,9}",
    ];
    let leaf = value.boxed();
    let node = leaf.prop_recursive(4, 40, 6, move |inner| {
        let field = (name.clone(), inner.clone()).prop_map(|(n, v)| format!("\"{n}\": {v}"));
        prop_oneof![
            proptest::collection::vec(field, 0..6).prop_map(|f| format!("{{{}}}", f.join(","))),
            proptest::collection::vec(inner, 0..4).prop_map(|i| format!("[{}]", i.join(","))),
        ]
    });
    proptest::collection::vec(node, 0..3)
        .prop_map(|rules| format!("{{\"RoutingRules\": [{}]}}", rules.join(",")))
}
