//! A panic takes a proxy's worker down: nothing that clients, buckets, origins, stores or
//! operators send may cause one, in whatever order it comes.

use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::exchange::{Decision, Exchange};
use back_to_origin::http::headers::Headers;
use back_to_origin::matching::Source;
use back_to_origin::rule::RuleSet;
use back_to_origin::transfer::{End, Transfers};
use back_to_origin::visit::attempt::AttemptId;
use back_to_origin::visit::{Arrival, Departure, Storing, Visit};
use back_to_origin::worker::{CallAnswer, CallId, Effect, Moment, Refusal, StreamId, Worker};
use proptest::prelude::*;

const CONFIGURATION: &str = r#"{
    "domain": "d",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
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

/// Something that happens to a worker.
#[derive(Clone, Debug)]
enum Event {
    Request { headers: Vec<(Vec<u8>, Vec<u8>)>, answer: Vec<(Vec<u8>, Vec<u8>)>, local: bool },
    Wake,
    Tick(u64),
    StreamEnd(usize),
    CallAnswer { call: usize, headers: Vec<(Vec<u8>, Vec<u8>)>, size: u64, body: Vec<u8> },
    CallRefused { call: usize, known: bool },
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "(bytes=)?[0-9]{0,22}-[0-9]{0,22}".prop_map(String::into_bytes),
        "/(b|%62)/(m|[a-z%./\\\\]){0,9}r?(\\?[a-zA-Z=&%-]{0,9})?".prop_map(String::into_bytes),
        "(http:)?(//[oqh])?[/.?a\\\\:]{0,4}".prop_map(String::into_bytes),
        prop_oneof![
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
            "b\\.d"
        ]
        .prop_map(String::into_bytes),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = prop_oneof![
        "[a-z-]{1,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..8),
        prop_oneof![
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
            "repr-digest",
            "x-amz-checksum-crc32"
        ]
        .prop_map(String::into_bytes),
    ];
    proptest::collection::vec((name, value()), 0..8)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (headers(), headers(), any::<bool>(), any::<bool>(), "[mr%.ap]{1,6}r?", any::<bool>())
            .prop_map(|(mut headers, mut answer, local, plain, key, head)| {
                if plain {
                    let method = if head { "HEAD" } else { "GET" };
                    let path = format!("/b/{key}").into_bytes();
                    headers.insert(0, (b":path".to_vec(), path));
                    headers.insert(0, (b":method".to_vec(), method.as_bytes().to_vec()));
                    answer.insert(0, (b":status".to_vec(), b"404".to_vec()));
                }
                Event::Request { headers, answer, local }
            }),
        Just(Event::Wake),
        (0_u64..30_000).prop_map(Event::Tick),
        (0_usize..8).prop_map(Event::StreamEnd),
        (0_usize..8, headers(), any::<bool>(), 0_u64..200, any::<bool>()).prop_map(
            |(call, mut headers, good, size, honest)| {
                if good {
                    headers.insert(0, (b":status".to_vec(), b"200".to_vec()));
                }
                let body = vec![7; if honest { size as usize } else { 3 }];
                Event::CallAnswer { call, headers, size, body }
            }
        ),
        (0_usize..8, any::<bool>()).prop_map(|(call, known)| Event::CallRefused { call, known }),
    ]
}

/// Drives one worker and keeps what a host would: who waits, which calls are under way.
struct Host {
    worker: Worker,
    calls: Vec<CallId>,
    waiting: Vec<StreamId>,
    streams: u32,
    now: Duration,
}

impl Host {
    fn on(&mut self, configuration: &Configuration, event: Event) {
        let now = Moment(self.now);
        let effects = match event {
            Event::Request { headers, answer, local } => {
                let ticket = self.worker.ticket();
                let mut exchange = Exchange::new(Headers::from_pairs(headers), ticket);
                let source = || if local { Source::Gateway } else { Source::Bucket };
                let answer = Headers::from_pairs(answer);
                match exchange.on_answer(configuration, &answer, source) {
                    Decision::Mirror(miss) => {
                        self.streams += 1;
                        let stream = StreamId(self.streams);
                        self.waiting.push(stream);
                        self.worker.on_miss(stream, *miss)
                    }
                    Decision::Fetch { miss, .. } => self.worker.on_wanted(*miss),
                    Decision::Answer { .. } | Decision::Pass(_) | Decision::Tell(_) => Vec::new(),
                }
            }
            Event::Wake => self.worker.on_wake(now),
            Event::Tick(millis) => {
                self.now += Duration::from_millis(millis);
                self.worker.on_tick(Moment(self.now))
            }
            Event::StreamEnd(at) => match self.waiting.get(at).copied() {
                Some(stream) => {
                    self.waiting.remove(at);
                    self.worker.on_stream_end(stream)
                }
                None => self.worker.on_stream_end(StreamId(u32::MAX)),
            },
            Event::CallAnswer { call, headers, size, body } => {
                if call >= self.calls.len() {
                    return;
                }
                let headers = Headers::from_pairs(headers);
                let answer = CallAnswer { headers, body_bytes: size, body };
                let id = self.calls.remove(call);
                let _ = self.worker.wants_body(id, size);
                self.worker.on_call_answer(id, answer, now)
            }
            Event::CallRefused { call, known } => {
                if call >= self.calls.len() {
                    return;
                }
                let why = if known { Refusal::NoHost } else { Refusal::NoCluster };
                let id = self.calls.remove(call);
                self.worker.on_call_refused(id, why, now)
            }
        };
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answer(stream, reply) => {
                    let at = self.waiting.iter().position(|waiting| *waiting == stream);
                    let at = at.expect("only one who waits is answered, and only once");
                    self.waiting.remove(at);
                    for (name, value) in reply.headers.iter() {
                        assert!(!value.contains(&b'\n') && !value.contains(&b'\r'), "{name}");
                    }
                    let effects = self.worker.on_stream_end(stream);
                    self.take(effects);
                }
                Effect::Call(id, call) => {
                    let get = |name| call.headers.get(name).unwrap_or_default().to_vec();
                    assert!(!get(":path").is_empty() && get(":path")[0] == b'/');
                    if call.cluster == "s" {
                        assert!(get(":path").starts_with(b"/b/"), "{:?}", get(":path"));
                        assert_eq!(get("if-none-match"), b"*");
                    } else {
                        // A redirect leads to no server that the configuration does not name.
                        let authority = get(":authority");
                        assert!([&b"h"[..], b"o", b"q"].contains(&&authority[..]), "{authority:?}");
                    }
                    self.calls.push(id);
                }
                Effect::Count(_)
                | Effect::Lease(_)
                | Effect::Log(_)
                | Effect::Tick(_)
                | Effect::Wake => {}
            }
        }
    }
}

/// Something that happens on the origin's side.
#[derive(Clone, Debug)]
enum Way {
    /// A miss comes.
    Request { key: String, head: bool },
    /// An origin answers.
    Answer { visit: usize, status: u16, headers: Vec<(Vec<u8>, Vec<u8>)> },
    /// The gateway makes an attempt that was asked for, or claims one.
    Attempt { at: usize, root: u64 },
    /// The gateway goes on without one: a body comes.
    Body { visit: usize, size: usize, end: bool },
    /// A client leaves.
    Left { visit: usize },
    /// Time passes.
    Tick(u64),
    /// A call is answered.
    CallAnswer { call: usize, status: u16, headers: Vec<(Vec<u8>, Vec<u8>)> },
}

fn way() -> impl Strategy<Value = Way> {
    let status =
        || prop_oneof![Just(200), Just(206), Just(302), Just(308), Just(404), 100_u16..600];
    let answer = || {
        ("(http:)?(//[oqh])?/[a-c]", headers()).prop_map(|(location, mut headers)| {
            headers.push((b"location".to_vec(), location.into_bytes()));
            headers
        })
    };
    prop_oneof![
        ("[map]{1,3}r?", any::<bool>()).prop_map(|(key, head)| Way::Request { key, head }),
        (0_usize..4, status(), answer()).prop_map(|(visit, status, headers)| Way::Answer {
            visit,
            status,
            headers
        }),
        (0_usize..4, 7_u64..9).prop_map(|(at, root)| Way::Attempt { at, root }),
        (0_usize..4, 0_usize..90, any::<bool>()).prop_map(|(visit, size, end)| Way::Body {
            visit,
            size,
            end
        }),
        (0_usize..4).prop_map(|visit| Way::Left { visit }),
        (0_u64..4_000).prop_map(Way::Tick),
        (0_usize..4, status(), answer()).prop_map(|(call, status, headers)| Way::CallAnswer {
            call,
            status,
            headers
        }),
    ]
}

/// A host of the origin's side, and what it knows.
struct Side {
    configuration: Rc<Configuration>,
    transfers: Transfers,
    visits: Vec<Visit>,
    /// The names that attempts wait under, in the root of the number 7.
    names: Vec<[u8; 16]>,
    calls: Vec<CallId>,
    now: Duration,
}

impl Side {
    fn on(&mut self, way: Way) {
        let now = Moment(self.now);
        match way {
            Way::Request { key, head } => {
                let method = if head { "HEAD" } else { "GET" };
                let path = format!("/b/{key}");
                let headers = Headers::from_pairs([(":method", method), (":path", &path)]);
                let mut visit = Visit::new();
                let departure = visit.on_request(&self.configuration, headers, now);
                self.depart(visit, departure);
            }
            Way::Answer { visit, status, mut headers } => {
                if visit >= self.visits.len() {
                    return;
                }
                headers.insert(0, (b":status".to_vec(), status.to_string().into_bytes()));
                let headers = Headers::from_pairs(headers);
                let mut visit = self.visits.remove(visit);
                let arrival = visit.on_answer(&self.configuration, &headers, || now);
                if let Some(arrival) = arrival {
                    self.arrive(visit, arrival);
                }
            }
            Way::Attempt { at, root } => {
                let name = self.names.get(at).copied().unwrap_or_default();
                let id = AttemptId::of(&name, root);
                assert!(id.is_none() || root == 7, "another root's");
                let asked = id.and_then(|id| self.transfers.on_attempt(id)).map(|(asked, _)| asked);
                let mut visit = Visit::new();
                let departure = visit.on_attempt(asked, &Headers::default());
                self.depart(visit, departure);
            }
            Way::Body { visit, size, end } => {
                let Some(visit) = self.visits.get_mut(visit) else { return };
                if let Some((attempt, refusal)) = visit.on_left_behind() {
                    assert_eq!(refusal.reply.status, 424);
                    assert!(visit.is_refused() && visit.transfer().is_none());
                    let _ = self.transfers.on_attempt(attempt);
                }
                let mut effects = Vec::new();
                if let Some(id) = visit.transfer() {
                    effects.extend(self.transfers.on_bytes(id, &vec![7; size]));
                }
                if end && let Some(id) = visit.on_end() {
                    effects.extend(self.transfers.on_end(id, End::Whole));
                }
                self.take(effects);
            }
            Way::Left { visit } => {
                if visit >= self.visits.len() {
                    return;
                }
                let mut visit = self.visits.remove(visit);
                let ended = visit.on_end();
                let mut effects = ended.map(|id| self.transfers.on_end(id, End::Broken));
                if let Some((plan, trail)) = visit.on_abandoned() {
                    effects = Some(self.transfers.backfill(plan, trail, now));
                }
                self.take(effects.unwrap_or_default());
            }
            Way::Tick(millis) => {
                self.now += Duration::from_millis(millis);
                let effects = self.transfers.on_tick(Moment(self.now));
                self.take(effects);
            }
            Way::CallAnswer { call, status, mut headers } => {
                if call >= self.calls.len() {
                    return;
                }
                headers.insert(0, (b":status".to_vec(), status.to_string().into_bytes()));
                let headers = Headers::from_pairs(headers);
                let answer = CallAnswer { headers, body_bytes: 3, body: vec![7; 3] };
                let id = self.calls.remove(call);
                let _ = self.transfers.wants_body(id, 3);
                let effects = self.transfers.on_call_answer(id, answer, now);
                self.take(effects);
            }
        }
    }

    fn depart(&mut self, visit: Visit, departure: Departure) {
        match departure {
            Departure::Send(headers, asked) => {
                let authority = headers.get(":authority").unwrap_or_default();
                assert!([&b"h"[..], b"o", b"q"].contains(&authority), "{authority:?}");
                assert!(["o", "q"].contains(&asked.cluster()), "{}", asked.cluster());
                self.visits.push(visit);
            }
            Departure::Fetch(_, object) => {
                let (plan, trail) = *object;
                let effects = self.transfers.backfill(plan, trail, Moment(self.now));
                self.take(effects);
            }
            Departure::Answer(_) => {}
        }
    }

    fn arrive(&mut self, mut visit: Visit, arrival: Arrival) {
        let now = Moment(self.now);
        match arrival {
            Arrival::Again(next) => {
                let (asked, refusal) = *next;
                let (id, effects) = self.transfers.on_leaving(asked, now, now);
                if let Some(id) = id {
                    self.names.push(id.name(7));
                    visit.leaves_for(id, refusal);
                    self.visits.push(visit);
                }
                self.take(effects);
            }
            Arrival::FellThrough(_, next) => self.arrive(visit, *next),
            Arrival::Backfill(_, object) => {
                let (plan, trail) = *object;
                let effects = self.transfers.backfill(plan, trail, now);
                self.take(effects);
            }
            Arrival::Stream { storing, .. } => {
                match storing.map(|storing| *storing) {
                    Some(Storing::Now(plan, trail)) => {
                        if let Some(id) = self.transfers.begin(plan, trail, now) {
                            visit.copied_by(id);
                        }
                    }
                    Some(Storing::Later(plan, trail)) => {
                        let effects = self.transfers.backfill(plan, trail, now);
                        self.take(effects);
                    }
                    None => {}
                }
                self.visits.push(visit);
            }
            Arrival::Answer(_) => {}
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(id, call) => {
                    let authority = call.headers.get(":authority").unwrap_or_default();
                    let named = [&b"h"[..], b"o", b"q", b"s"];
                    assert!(named.contains(&authority), "{authority:?}");
                    self.calls.push(id);
                }
                Effect::Wake => {
                    let effects = self.transfers.on_wake(Moment(self.now));
                    self.take(effects);
                }
                Effect::Answer(..)
                | Effect::Count(_)
                | Effect::Lease(_)
                | Effect::Log(_)
                | Effect::Tick(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_attempts_panics_and_nothing_waits_for_ever(
        ways in proptest::collection::vec(way(), 0..80)
    ) {
        let configuration = Rc::new(Configuration::from_json(CONFIGURATION.as_bytes()).unwrap());
        let mut side = Side {
            transfers: Transfers::new(Rc::clone(&configuration)),
            configuration,
            visits: Vec::new(),
            names: Vec::new(),
            calls: Vec::new(),
            now: Duration::from_secs(1),
        };
        for way in ways {
            side.on(way);
        }
        side.on(Way::Tick(2_000));
        for name in &side.names {
            let id = AttemptId::of(name, 7).expect("a name of this root");
            prop_assert!(side.transfers.on_attempt(id).is_none(), "it is kept for ever");
        }
    }

    #[test]
    fn no_order_of_events_panics_and_none_leaves_a_client_waiting(
        events in proptest::collection::vec(event(), 0..60)
    ) {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let mut host = Host {
            worker: Worker::new(Rc::new(configuration.clone())),
            calls: Vec::new(),
            waiting: Vec::new(),
            streams: 0,
            now: Duration::from_secs(1),
        };
        for event in events {
            host.on(&configuration, event);
        }
        // Every call comes to an end in a host; then everybody must have an answer.
        for _ in 0..200 {
            host.on(&configuration, Event::Wake);
            while !host.calls.is_empty() {
                let broken = Event::CallAnswer { call: 0, headers: vec![], size: 0, body: vec![] };
                host.on(&configuration, broken);
            }
            host.on(&configuration, Event::Tick(1_000));
        }
        prop_assert!(host.waiting.is_empty(), "{:?} wait for ever", host.waiting);
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
