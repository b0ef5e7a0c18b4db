//! Whatever streams, stores and origins do, in whatever order, with objects of whatever size: the
//! account is what is held, never more than is allowed, and nothing waits for ever.

use proptest::prelude::*;

use super::*;
use crate::account::Usage;

/// The largest body that is really sent.
const MAX_BODY: u64 = 20_000;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A stream begins, of one of a few objects.
    Begin { key: u8, announced: bool, etag: bool },
    /// An object is wanted that does not stream.
    Backfill { key: u8 },
    /// Bytes of a stream.
    Bytes { stream: usize, count: usize },
    /// The end of a stream.
    End { stream: usize, broken: bool },
    /// An answer to one of the calls under way.
    Answer { call: usize, how: How },
    /// The host cannot send a call.
    Unsent { call: usize },
    /// Time passes.
    Wait { millis: u64 },
}

#[derive(Clone, Copy, Debug)]
enum How {
    Well,
    Status(u16),
    /// No answer comes.
    Lost,
    /// Words that say nothing.
    Silent,
}

fn event() -> impl Strategy<Value = Event> {
    let how = prop_oneof![
        6 => Just(How::Well),
        1 => prop_oneof![Just(400), Just(403), Just(404), Just(412), Just(503)].prop_map(How::Status),
        1 => Just(How::Lost),
        1 => Just(How::Silent),
    ];
    let count = prop_oneof![1 => 1_usize..100, 2 => 100_usize..3_000, 1 => 3_000_usize..70_000];
    prop_oneof![
        3 => (0_u8..12, any::<bool>(), any::<bool>())
            .prop_map(|(key, announced, etag)| Event::Begin { key, announced, etag }),
        1 => (0_u8..12).prop_map(|key| Event::Backfill { key }),
        8 => (0_usize..6, count).prop_map(|(stream, count)| Event::Bytes { stream, count }),
        2 => (0_usize..6, any::<bool>()).prop_map(|(stream, broken)| Event::End { stream, broken }),
        6 => (0_usize..8, how).prop_map(|(call, how)| Event::Answer { call, how }),
        1 => (0_usize..8).prop_map(|call| Event::Unsent { call }),
        2 => (0_u64..40_000).prop_map(|millis| Event::Wait { millis }),
    ]
}

/// The size of an object: within a part, some parts, or anything up to more than S3 takes.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => 0_u64..1_000,
        4 => 1_000_u64..MAX_BODY,
        1 => MAX_BODY..(6 << 40),
        1 => Just(u64::MAX),
    ]
}

struct Call {
    id: CallId,
    /// Method and path.
    line: String,
    range: Option<(u64, u64)>,
    /// What the host holds of its body.
    body: usize,
}

struct World {
    engine: Engine,
    now: Duration,
    ticking: bool,
    sizes: Vec<u64>,
    streams: Vec<(CopyId, u64)>,
    calls: Vec<Call>,
    uploads: u32,
    turns: u32,
}

impl World {
    fn take(&mut self, effects: Vec<Effect>) {
        let mut woken = false;
        // What one leads to comes behind the others, as in the module.
        let mut pending = std::collections::VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Call(id, call) => {
                    let text = |name| {
                        let value = call.headers.get(name).unwrap_or_default();
                        String::from_utf8_lossy(value).into_owned()
                    };
                    let range = text("range");
                    let range = range.strip_prefix("bytes=").and_then(|range| {
                        let (first, last) = range.split_once('-')?;
                        Some((first.parse().unwrap(), last.parse().unwrap()))
                    });
                    let line = format!("{} {}", text(":method"), text(":path"));
                    let body = call.body.as_ref().map_or(0, |body| body.len());
                    self.calls.push(Call { id, line, range, body });
                }
                Effect::Wake => woken = true,
                Effect::Tick(period) => self.ticking = period.is_some(),
                Effect::Absent(..)
                | Effect::Answer(..)
                | Effect::Resume(_)
                | Effect::Send(..)
                | Effect::Settle(..) => {
                    panic!("a copy answers nobody")
                }
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
        self.check();
        if woken {
            self.turns += 1;
            assert!(self.turns < 1_000, "the engine never comes to rest");
            let effects = self.engine.on_wake(Moment(self.now));
            self.take(effects);
        }
    }

    fn check(&self) {
        let (held, booked) = self.engine.held();
        let sum = |of: fn(&Usage) -> usize| booked.iter().map(of).sum::<usize>();
        let found =
            Usage { here: held + sum(|booked| booked.here), there: sum(|booked| booked.there) };
        let account = self.engine.account();
        assert_eq!(account.used(), found);
        let limit = account.limit();
        assert!(found.here <= limit.here && found.there <= limit.there, "{found:?} {limit:?}");
        // The bodies that the host has, and the ranges that it may get, are all among it.
        let ranges = self.calls.iter().filter_map(|call| call.range);
        let ranges: u64 = ranges.map(|(first, last)| last - first + 1).sum();
        let bodies: usize = self.calls.iter().map(|call| call.body).sum();
        assert!(bodies as u64 + ranges <= found.there as u64, "{bodies} {ranges} {found:?}");
    }

    fn on(&mut self, event: Event) {
        self.turns = 0;
        let now = Moment(self.now);
        match event {
            Event::Begin { key, announced, etag } => {
                let size = self.sizes[usize::from(key)];
                let (plan, route) = Bench::plan(&key.to_string(), announced.then_some(size));
                let validator = etag.then(|| "\"v\"".to_owned());
                match self.engine.begin(Plan { validator, ..plan }, route, now) {
                    Ok(id) => self.streams.push((id, size)),
                    Err(effects) => self.take(effects),
                }
            }
            Event::Backfill { key } => {
                let (plan, route) = Bench::plan(&key.to_string(), None);
                let effects = self.engine.backfill(plan, route, now);
                self.take(effects);
            }
            Event::Bytes { stream, count } => {
                let Some((id, left)) = self.streams.get_mut(stream) else { return };
                let count = count.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                let id = *id;
                if self.engine.wants_bytes(id, count) {
                    let effects = self.engine.on_bytes(id, &vec![7; count]);
                    self.take(effects);
                }
            }
            Event::End { stream, broken } => {
                if stream >= self.streams.len() {
                    return;
                }
                let (id, left) = self.streams.remove(stream);
                let end = if broken || left > 0 { End::Broken } else { End::Whole };
                let effects = self.engine.on_end(id, end);
                self.take(effects);
            }
            Event::Answer { call, how } => {
                if !self.calls.is_empty() {
                    let call = self.calls.remove(call % self.calls.len());
                    self.answer(call, how);
                }
            }
            Event::Unsent { call } => {
                if !self.calls.is_empty() {
                    let call = self.calls.remove(call % self.calls.len());
                    let effects = self.engine.on_call_refused(call.id, DispatchError::NoHost, now);
                    self.take(effects);
                }
            }
            Event::Wait { millis } => self.wait(Duration::from_millis(millis)),
        }
        self.check();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.ticking {
            let effects = self.engine.on_tick(Moment(self.now));
            self.take(effects);
        }
    }

    fn answer(&mut self, call: Call, how: How) {
        let took = ("x-envoy-upstream-service-time", "1");
        let status = |status: &str| Headers::from_pairs([(":status", status), took]);
        let (headers, body) = match how {
            How::Lost => (Headers::default(), Vec::new()),
            How::Status(code) => (status(&code.to_string()), Vec::new()),
            How::Silent => (status("200"), b"<html>".to_vec()),
            How::Well => match call.range {
                Some((first, last)) => self.range(&call, first, last),
                None if call.line.starts_with("GET /b?") => {
                    let none = b"<ListMultipartUploadsResult></ListMultipartUploadsResult>";
                    (status("200"), none.to_vec())
                }
                None if call.line.starts_with("GET") => (status("200"), Vec::new()),
                None if call.line.ends_with("?uploads") => {
                    self.uploads += 1;
                    (status("200"), format!("<UploadId>{}</UploadId>", self.uploads).into_bytes())
                }
                None if call.line.starts_with("POST") => {
                    (status("200"), COMPLETED.as_bytes().to_vec())
                }
                None if call.line.starts_with("HEAD") => (status("404"), Vec::new()),
                None => {
                    let headers =
                        Headers::from_pairs([(":status", "200"), ("etag", "\"e\""), took]);
                    (headers, Vec::new())
                }
            },
        };
        let body_bytes = body.len() as u64;
        let body = if self.engine.wants_body(call.id, body_bytes) { body } else { Vec::new() };
        let answer = CallAnswer { headers, body_bytes, body };
        let effects = self.engine.on_call_answer(call.id, answer, Moment(self.now));
        self.take(effects);
    }

    fn range(&self, call: &Call, first: u64, last: u64) -> (Headers, Vec<u8>) {
        let key: usize = call.line.trim_start_matches("GET /").parse().unwrap();
        let size = self.sizes[key];
        let last = last.min(size.saturating_sub(1));
        if first >= size {
            return (Headers::from_pairs([(":status", "416")]), Vec::new());
        }
        // What is too much to be sent here, the origin does not have any more.
        if last - first > MAX_BODY || first > MAX_BODY {
            return (Headers::from_pairs([(":status", "404")]), Vec::new());
        }
        let range = format!("bytes {first}-{last}/{size}");
        let headers = [(":status", "206"), ("content-range", range.as_str()), ("etag", "\"v\"")];
        let count = usize::try_from(last - first + 1).unwrap();
        (Headers::from_pairs(headers), vec![7; count])
    }
}

proptest! {
    // `PROPTEST_CASES` says how many; 256 where it says nothing.
    #[test]
    fn the_account_is_what_is_held_and_nothing_waits_for_ever(
        sizes in proptest::collection::vec(size(), 12),
        memory in prop_oneof![Just(3_000_u64), Just(20_000), Just(300_000), Just(64 << 20)],
        part in prop_oneof![Just(500_u64), Just(5_000), Just(8 << 20)],
        object in prop_oneof![Just(400_u64), Just(8_000)],
        backfills in 1_u64..20,
        events in proptest::collection::vec(event(), 0..150),
    ) {
        let mut configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        configuration.limits = Limits {
            memory_bytes: memory, part_bytes: part, object_bytes: object, backfills,
            ..Limits::default()
        };
        let mut world = World {
            engine: Engine::new(Rc::new(configuration)), now: Duration::from_secs(1_000),
            ticking: false, sizes, streams: Vec::new(), calls: Vec::new(), uploads: 0, turns: 0,
        };
        for event in events {
            world.on(event);
        }
        // From here on all streams end, and everybody behaves.
        while !world.streams.is_empty() {
            world.on(Event::End { stream: 0, broken: false });
        }
        for _ in 0..3_000 {
            if world.engine.is_idle() && world.calls.is_empty() {
                break;
            }
            for _ in 0..world.calls.len() {
                world.on(Event::Answer { call: 0, how: How::Well });
            }
            world.on(Event::Wait { millis: 1_000 });
        }
        prop_assert!(world.engine.is_idle(), "something waits for ever");
        prop_assert_eq!(world.engine.account().used(), Usage::default());
    }
}
