//! Whatever streams, stores and origins do, in whatever order: what becomes visible in the bucket
//! is the whole object, byte for byte, and nothing stays behind.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::engine::Engine;
use back_to_origin::host::{Call, CallAnswer, CallId, Effect};
use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::matching::Source;
use back_to_origin::metadata::TAG_METADATA;
use back_to_origin::miss_route;
use back_to_origin::streaming::{Decided, MissStream, RequestDecision, ResponseDecision};
use back_to_origin::time::Moment;
use md5::{Digest as _, Md5};
use proptest::prelude::*;

/// One with and one without a check of what the origin says.
const CONFIGURATION: &str = r#"{
    "path": "streaming",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorCheckMd5": CHECKS}}]}],
    "origins": {"http://o": "o"},
    "limits": {"object_bytes": 400, "part_bytes": 250, "memory_bytes": 1800}
}"#;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many bytes of the stream.
    Bytes(usize),
    /// The stream ends, as it should or not.
    End { broken: bool },
    /// The host cannot give out so many bytes of the stream.
    Lost(usize),
    /// A call is answered.
    Answer { call: usize, how: How },
    /// Time passes.
    Wait,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Well,
    Status(u16),
    /// By an origin whose object has changed, or a store that talks nonsense.
    Otherwise,
    /// Nothing is done, and no answer comes.
    Broken,
    /// It is done, and the answer is lost.
    Lost,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        6 => Just(How::Well),
        1 => prop_oneof![Just(403), Just(404), Just(409), Just(412), Just(500), Just(503)].prop_map(How::Status),
        1 => Just(How::Otherwise),
        1 => Just(How::Broken),
        1 => Just(How::Lost),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_usize..450).prop_map(Event::Bytes),
        1 => any::<bool>().prop_map(|broken| Event::End { broken }),
        1 => (1_usize..450).prop_map(Event::Lost),
        6 => (0_usize..4, how()).prop_map(|(call, how)| Event::Answer { call, how }),
        1 => Just(Event::Wait),
    ]
}

/// What the origin says of its object's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Says {
    Nothing,
    /// Their digest, beside a range too.
    Whole,
    /// Beside a range, the digest of the range.
    Message,
    /// A digest that is not theirs.
    Falsehood,
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![Just(Says::Nothing), Just(Says::Whole), Just(Says::Message), Just(Says::Falsehood)]
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The object that the origin has: no two of its bytes are alike.
fn object(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect()
}

/// A redirect that is good for a few answers.
#[derive(Clone, Copy, Debug)]
struct Behind {
    answers: u8,
    /// Whether the next one leads to another object, of the same size and called by the same ETag.
    then_elsewhere: bool,
}

fn behind() -> impl Strategy<Value = Behind> {
    (0_u8..4, any::<bool>())
        .prop_map(|(answers, then_elsewhere)| Behind { answers, then_elsewhere })
}

/// The id of another client's upload.
const OTHERS: &str = "others";

/// A store with one key, and an origin with one object.
struct World {
    engine: Engine,
    stream: MissStream,
    /// Whether the engine wants to be told the time.
    ticking: bool,
    object: Vec<u8>,
    /// Whether the origin says how long its object is, and names its version.
    etag: bool,
    /// Bytes behind a range that the origin sends with it.
    beyond: usize,
    /// Whether it is behind a redirect.
    behind: Option<Behind>,
    says: Says,
    now: Duration,
    calls: Vec<(CallId, Call)>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// When another client, which has an upload of the same key open, sends a part of it.
    others: Duration,
    /// How often open uploads were listed. Behind each time another client opens one.
    lists: u32,
    stored: Option<Vec<u8>>,
    created: u32,
    lines: Vec<String>,
}

impl World {
    fn take(&mut self, effects: Vec<Effect>) {
        let mut woken = false;
        // What one leads to comes behind the others, as in the module.
        let mut pending = std::collections::VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Call(id, call) => self.calls.push((id, call)),
                Effect::Wake => woken = true,
                Effect::Log(line) => self.lines.push(line),
                Effect::Tick(period) => self.ticking = period.is_some(),
                Effect::Answer(..) => panic!("nobody's response is held"),
                Effect::Claim(lease) => {
                    pending.extend(self.engine.on_lease(&lease, true));
                }
                Effect::Measure(..)
                | Effect::Lease(_)
                | Effect::Record(..)
                | Effect::Release(_)
                | Effect::Resume(_) => {}
                Effect::Absent(..) | Effect::Send(..) | Effect::Settle(..) => {}
            }
        }
        if woken {
            let effects = self.engine.on_wake(Moment(self.now));
            self.take(effects);
        }
    }

    /// Performs what comes before a decision. Nobody else copies the object.
    fn decide<D>(&mut self, decided: Decided<D>) -> D {
        self.take(decided.effects);
        if decided.lease.is_some() {
            let effects = self.stream.on_lease(&mut self.engine, true);
            self.take(effects);
        }
        decided.decision
    }

    /// A request on the miss route, and what is sent to the origin.
    fn request(&mut self, own: &[(&str, &str)]) -> HeaderList {
        self.stream = MissStream::default();
        let headers = Headers::from_pairs(own.iter().copied());
        let decided = self.stream.on_request(
            &mut self.engine,
            headers,
            7,
            Moment(self.now),
            &mut BTreeMap::new(),
        );
        match self.decide(decided) {
            RequestDecision::Send(headers) => headers,
            other @ (RequestDecision::Answer(_)
            | RequestDecision::Continue
            | RequestDecision::Wait) => {
                panic!("{other:?}")
            }
        }
    }

    /// A request as far as the first byte of the object.
    fn begin(&mut self, announced: bool) {
        let sent = self.request(&[
            (":method", "GET"),
            (miss_route::MISS, "bucket b 404"),
            (miss_route::ORIGINAL_URL, "http://gateway/b/k"),
        ]);
        if self.behind.is_some() {
            let text = |name| String::from_utf8_lossy(sent.get(name).unwrap_or_default());
            assert!(miss_route::returns(&text(miss_route::RETURNS), 302), "{sent:?}");
            self.gone(false);
            self.request(&[
                (":method", "GET"),
                (miss_route::MISS, "origin 302"),
                (miss_route::ATTEMPT, &text(miss_route::ATTEMPT)),
                (miss_route::LOCATION, "/there"),
            ]);
        }
        let length = self.object.len().to_string();
        let mut headers = vec![(":status", "200"), (miss_route::FRAMING, "HTTP/1.1 chunked")];
        if announced {
            headers.push(("content-length", &length));
        }
        if self.etag {
            headers.push(("etag", "\"v\""));
        }
        let digest = self.digest(&self.object, &self.object);
        if let Some(digest) = &digest {
            headers.push(("content-md5", digest));
        }
        let answer = Headers::from_pairs(headers);
        let decided = self.stream.on_response(
            &mut self.engine,
            &answer,
            || Source::Bucket,
            || None,
            Moment::default,
        );
        let decision = self.decide(decided);
        assert!(matches!(decision, ResponseDecision::Stream(_)), "{decision:?}");
        assert!(self.stream.copy().is_some(), "the first of its key is copied");
    }

    /// Whether so many bytes, which come next, are copied.
    fn wants(&mut self, count: usize) -> bool {
        let copy = self.stream.copy();
        copy.is_some_and(|copy| self.engine.wants_bytes(copy, count))
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.wants(bytes.len())
            && let Some(copy) = self.stream.copy()
        {
            let effects = self.engine.on_bytes(copy, bytes);
            self.take(effects);
        }
    }

    fn gone(&mut self, client_left: bool) {
        let now = Moment(self.now);
        let decided = self.stream.on_gone(&mut self.engine, || client_left, || now);
        self.decide(decided);
    }

    fn wait(&mut self) {
        self.now += Duration::from_secs(10);
        if self.ticking {
            let effects = self.engine.on_tick(Moment(self.now));
            self.take(effects);
        }
    }

    fn answer(&mut self, at: usize, how: How) {
        if self.calls.is_empty() {
            return;
        }
        if self.now >= self.others {
            self.uploads.entry(OTHERS.to_owned()).or_default().insert(1, Vec::new());
        }
        let (id, call) = self.calls.remove(at % self.calls.len());
        let answer = match how {
            How::Broken => CallAnswer::default(),
            // A store that denies what it has cannot be told from one that lacks it.
            How::Status(404)
                if ["HEAD", "GET"].contains(&header(&call, ":method").as_str())
                    && call.cluster == "s" =>
            {
                answer(503, &[], b"")
            }
            How::Status(status) => {
                // A store that says so has no such upload.
                if status == 404 && header(&call, ":method") == "DELETE" {
                    self.store(&call);
                }
                answer(status, &[], b"")
            }
            How::Lost => {
                if call.cluster == "s" {
                    self.store(&call);
                }
                CallAnswer::default()
            }
            How::Well | How::Otherwise if call.cluster == "o" => {
                self.origin(&call, matches!(how, How::Otherwise))
            }
            // S3 may begin a completion's 200 before it fails.
            How::Otherwise
                if header(&call, "if-none-match") == "*"
                    && call.body.is_some()
                    && header(&call, ":method") == "POST" =>
            {
                let words = match at % 3 {
                    0 => "<Error xmlns=\"x\"></Error>",
                    1 => "",
                    _ => "<html>ok</html>",
                };
                answer(200, &[], words.as_bytes())
            }
            // Nor is every 200 to a PUT one.
            How::Otherwise if header(&call, "if-none-match") == "*" => {
                answer(200, &[], b"<?xml version=\"1.0\"?><Error/>")
            }
            How::Otherwise => answer(500, &[], b""),
            How::Well => self.store(&call),
        };
        let wanted = self.engine.wants_body(id, answer.body_bytes);
        let answer = if wanted { answer } else { CallAnswer { body: Vec::new(), ..answer } };
        let effects = self.engine.on_call_answer(id, answer, Moment(self.now));
        self.take(effects);
    }

    fn origin(&mut self, call: &Call, changed: bool) -> CallAnswer {
        let path = header(call, ":path");
        if let Some(behind) = &mut self.behind {
            match path.as_str() {
                "/k" => {
                    let to = match (behind.answers, behind.then_elsewhere) {
                        (1.., _) => "/there",
                        (0, false) => "/there?renewed",
                        (0, true) => "/elsewhere",
                    };
                    return answer(302, &[("location", to)], b"");
                }
                "/there" if behind.answers == 0 => return answer(403, &[], b""),
                "/there" => behind.answers -= 1,
                _ => {}
            }
        }
        let is_elsewhere = path == "/elsewhere";
        let range = header(call, "range");
        if range.is_empty() {
            let other = vec![255; self.object.len()];
            return answer(200, &[], if is_elsewhere { &other } else { &self.object });
        }
        let (first, last) = range.trim_start_matches("bytes=").split_once('-').expect("a range");
        let first: usize = first.parse().expect("a number");
        let size = self.object.len();
        let end =
            last.parse::<usize>().expect("a number").saturating_add(1 + self.beyond).min(size);
        let asked = header(call, "if-match");
        if changed && !is_elsewhere && !asked.is_empty() {
            return answer(412, &[], b"");
        }
        if first >= size {
            return answer(416, &[], b"");
        }
        let range = format!("bytes {first}-{}/{size}", end - 1);
        let etag = if changed && !is_elsewhere { "\"w\"" } else { "\"v\"" };
        // A changed object has other bytes everywhere.
        let changed = changed || is_elsewhere;
        let bytes: Vec<u8> =
            self.object[first..end].iter().map(|byte| if changed { 255 } else { *byte }).collect();
        let whole = if changed { vec![255; size] } else { self.object.clone() };
        let digest = self.digest(&whole, &bytes);
        let mut headers = vec![("content-range", range.as_str())];
        if self.etag {
            headers.push(("etag", etag));
        }
        if let Some(digest) = &digest {
            headers.push(("content-md5", digest));
        }
        answer(206, &headers, &bytes)
    }

    fn digest(&self, whole: &[u8], message: &[u8]) -> Option<String> {
        match self.says {
            Says::Nothing => None,
            Says::Whole => Some(md5(whole)),
            Says::Message => Some(md5(message)),
            Says::Falsehood => Some(md5(b"something else")),
        }
    }

    fn store(&mut self, call: &Call) -> CallAnswer {
        let path = header(call, ":path");
        let body = call.body.as_ref().map(|body| body.to_vec()).unwrap_or_default();
        let upload = path.rsplit_once("uploadId=").map(|(_, id)| id.to_owned());
        let conditional = header(call, "if-none-match") == "*";
        if header(call, ":method") == "GET" {
            return self.list(upload);
        }
        match (header(call, ":method").as_str(), upload) {
            ("POST", None) => {
                self.created += 1;
                let id = self.created.to_string();
                self.uploads.insert(id.clone(), BTreeMap::new());
                answer(200, &[], format!("<UploadId>{id}</UploadId>").as_bytes())
            }
            ("PUT", Some(id)) => {
                let number =
                    path.split_once("partNumber=").and_then(|(_, rest)| rest.split('&').next());
                let number = number.expect("a number").parse().expect("a number");
                match self.uploads.get_mut(&id) {
                    Some(parts) => {
                        parts.insert(number, body);
                        answer(200, &[("etag", "e")], b"")
                    }
                    None => answer(404, &[], b""),
                }
            }
            ("POST", Some(id)) => {
                assert!(conditional, "a completion must not replace a newer object");
                match self.uploads.remove(&id) {
                    Some(parts) => self.publish(parts.into_values().flatten().collect()),
                    None => answer(404, &[], b""),
                }
            }
            ("DELETE", Some(id)) => match self.uploads.remove(&id) {
                Some(_) => answer(204, &[], b""),
                None => answer(404, &[], b""),
            },
            ("HEAD", None) => match &self.stored {
                Some(stored) => {
                    let length = stored.len().to_string();
                    let tag = "MIRROR http%3A%2F%2Fo%2Fk";
                    let headers = [("content-length", length.as_str()), (TAG_METADATA, tag)];
                    answer(200, &headers, b"")
                }
                None => answer(404, &[], b""),
            },
            ("PUT", None) => {
                assert!(conditional, "a PUT must not replace a newer object");
                self.publish(body)
            }
            (method, upload) => panic!("{method} {upload:?} is nothing that stores an object"),
        }
    }

    /// The open uploads, or the parts of one.
    fn list(&mut self, upload: Option<String>) -> CallAnswer {
        let xml = match upload {
            None => {
                let uploads = self
                    .uploads
                    .keys()
                    .map(|id| format!("<Upload><Key>k</Key><UploadId>{id}</UploadId></Upload>"));
                let uploads: String = uploads.collect();
                self.lists += 1;
                self.uploads.insert(format!("late{}", self.lists), BTreeMap::new());
                format!("<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>")
            }
            Some(id) => {
                let Some(parts) = self.uploads.get(&id) else { return answer(404, &[], b"") };
                let parts = "<Part></Part>".repeat(parts.len());
                format!("<ListPartsResult><UploadId>{id}</UploadId>{parts}</ListPartsResult>")
            }
        };
        answer(200, &[], xml.as_bytes())
    }

    fn publish(&mut self, bytes: Vec<u8>) -> CallAnswer {
        if self.stored.is_some() {
            return answer(412, &[], b"");
        }
        self.stored = Some(bytes);
        let words = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
        answer(200, &[], words.as_bytes())
    }
}

fn header(call: &Call, name: &str) -> String {
    String::from_utf8(call.headers.get(name).unwrap_or_default().to_vec()).expect("text")
}

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> CallAnswer {
    let status = status.to_string();
    let status = [(":status", status.as_str()), (miss_route::FRAMING, "HTTP/1.1 chunked")];
    CallAnswer {
        headers: Headers::from_pairs(status.iter().chain(headers).copied()),
        body_bytes: body.len() as u64,
        body: body.to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn only_whole_objects_become_visible(
        size in 0_usize..2_000,
        announced in any::<bool>(),
        etag in any::<bool>(),
        beyond in prop_oneof![3 => Just(0_usize), 1 => 1_usize..200],
        behind in proptest::option::of(behind()),
        says in says(),
        // A byte that is another one when it has come, where a digest could tell.
        flipped in proptest::option::of(0_usize..3_000),
        mut lies in any::<bool>(),
        others in 0_u64..600,
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let checks = if says == Says::Nothing { "false" } else { "true" };
        let configuration = CONFIGURATION.replace("CHECKS", checks);
        let configuration = Configuration::from_json(configuration.as_bytes()).unwrap();
        let mut world = World {
            engine: Engine::new(Rc::new(configuration)), stream: MissStream::default(), ticking: false,
            object: object(size), etag, beyond, behind, says,
            now: Duration::from_secs(1), calls: Vec::new(),
            uploads: BTreeMap::from([(OTHERS.to_owned(), BTreeMap::new())]),
            others: Duration::from_secs(others), lists: 0, stored: None, created: 0, lines: Vec::new(),
        };
        world.begin(announced);
        let flipped = flipped.filter(|at| *at < size && says != Says::Nothing);
        let mut sent = 0;
        let mut ended = false;
        for event in events {
            match event {
                Event::Bytes(n) if !ended => {
                    let mut bytes = world.object[sent..(sent + n).min(size)].to_vec();
                    if let Some(byte) = flipped.and_then(|at| bytes.get_mut(at.wrapping_sub(sent))) {
                        *byte ^= 0x55;
                    }
                    sent += bytes.len();
                    world.bytes(&bytes);
                }
                Event::Lost(n) if !ended => {
                    let count = n.min(size - sent);
                    sent += count;
                    if world.wants(count) {
                        ended = true;
                        let effects = world.stream.on_lost_bytes(&mut world.engine);
                        world.take(effects);
                    }
                }
                Event::End { broken } if !ended => {
                    ended = true;
                    // A host ends an unannounced body as it came; an announced one it may cut.
                    lies = lies && announced;
                    let whole = sent == size || lies;
                    if broken || !whole {
                        world.gone(true);
                    } else {
                        let effects = world.stream.on_end(&mut world.engine);
                        world.take(effects);
                    }
                }
                Event::Bytes(_) | Event::Lost(_) | Event::End { .. } => {}
                Event::Answer { call, how } => world.answer(call, how),
                Event::Wait => world.wait(),
            }
        }
        world.gone(false);
        // From here on everybody behaves.
        for _ in 0..300 {
            world.answer(0, How::Well);
            world.wait();
        }
        prop_assert!(world.calls.is_empty(), "still under way: {:?}", world.calls);
        prop_assert!(world.engine.is_idle(), "something is looked for still");
        let (told, left): (Vec<_>, Vec<_>) =
            world.lines.iter().partition(|line| line.starts_with("GET b/k: "));
        // What others have open stays: what they used, and what nobody saw before the grace time.
        let late = format!("late{}", world.lists);
        prop_assert!(world.uploads.remove(OTHERS).is_some(), "in use, and aborted: {:?}", left);
        prop_assert!(world.uploads.remove(&late).is_some() || world.lists == 0, "{:?}", left);
        world.uploads.retain(|id, _| !id.starts_with("late"));
        // A store that refuses six times to take an upload back is told of, by its id; one that
        // does not list them, by the object.
        for id in world.uploads.keys() {
            let is_told = left.iter().any(|line| {
                line.contains(&format!("upload {id} ")) || line.contains("; one of b/k may stay open")
            });
            prop_assert!(is_told, "left open: {:?}", world.uploads);
        }
        prop_assert_eq!(told.len(), 1, "one line tells of the request");
        let is_told = told[0].contains("is not equal to MD5 calculated");
        let is_wrong = flipped.is_some() || says == Says::Falsehood;
        prop_assert!(!is_told || is_wrong, "nothing was wrong: {}", told[0]);
        // A digest of nothing is that of no bytes; an empty object may come as a 416 too.
        prop_assert!(says != Says::Falsehood || size == 0 || world.stored.is_none());
        // What is told is true: nobody else writes into this bucket.
        let is_told_stored = told[0].ends_with("stored in the bucket");
        let is_unknown = told[0].contains("may have it all the same");
        prop_assert!(is_unknown || is_told_stored == world.stored.is_some(), "{}", told[0]);
        if let Some(stored) = &world.stored {
            // Of an object that changed at the origin, the new version is as good; a mixture is none.
            let new = vec![255; size];
            prop_assert!(*stored == world.object || *stored == new, "{:?}", stored);
        }
    }
}
