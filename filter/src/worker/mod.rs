//! The work of one VM: each missed object fetched once, given to all who wait for it, stored once.
//!
//! ```text
//!              miss                   200                    200, or given up
//! (nothing) ─────────▶ Fetch ───────────────────▶ Copy ─────────────────────▶ (lingers, gone)
//!                      Queued → Calling           Sending ⇄ Backoff → Settled
//!                               → AskingSize      │
//!                      │ 404, failure, too large  │ clients are answered as memory allows,
//!                      ▼                          ▼ whatever the store does
//!                   clients are answered
//! ```
//!
//! Streams only report here; every callout leaves from the VM's root, so that its result is known
//! even when the client that caused it has gone. The worker performs nothing: events and the time
//! come in, [`Effect`]s go out.

mod copy;
mod fetch;
mod health;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use self::copy::Copy;
use self::fetch::Fetch;
use self::health::Health;
use crate::configuration::Configuration;
use crate::exchange::Miss;
use crate::http::headers::{HeaderList, Headers};
use crate::lease::Lease;
use crate::metric::Metric;
use crate::reply::{Body, Reply};

/// How often time is looked at while something waits for it.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Clients that are answered in one turn. A host nests each answer's callbacks in the last one's,
/// so that hundreds at once would exhaust its stack.
const ANSWERS_PER_TURN: usize = 16;

/// A stream of the host: one client's request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u32);

/// A callout.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CallId(u64);

impl CallId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A place in the order of a worker's events.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

/// Time since any fixed moment.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(pub Duration);

impl Moment {
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}

/// Something for the host to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Answer a client whose response is held.
    Answer(StreamId, Reply),
    /// Send a request; what comes of it is [`Worker::on_call_answer`] or
    /// [`Worker::on_call_refused`].
    Call(CallId, Call),
    /// Count.
    Count(Metric),
    /// Keep a lease, if it is still ours.
    Lease(Lease),
    /// Tell.
    Log(String),
    /// Call [`Worker::on_tick`] this often, or no more.
    Tick(Option<Duration>),
    /// Call [`Worker::on_wake`] from the root, soon.
    Wake,
}

/// A request to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The cluster it goes through.
    pub cluster: String,
    /// Its headers.
    pub headers: HeaderList,
    /// Its body, where it has one.
    pub body: Option<Rc<Vec<u8>>>,
    /// How long its answer may take.
    pub timeout: Duration,
}

/// The answer to a callout, as far as the host kept it.
#[derive(Clone, Debug, Default)]
pub struct CallAnswer {
    /// The headers; none at all where the answer broke off.
    pub headers: Headers,
    /// The size of the body.
    pub body_bytes: u64,
    /// The body, as far as [`Worker::wants_body`] wanted it.
    pub body: Vec<u8>,
}

/// Why a host did not send a callout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// There is no such cluster.
    NoCluster,
    /// The cluster has no host to send to at the moment.
    NoHost,
}

/// Someone who waits for an object.
#[derive(Debug)]
struct Waiter {
    stream: StreamId,
    miss: Miss,
    /// Whether the fetch was begun for this one.
    first: bool,
}

/// The work of one VM.
#[derive(Debug)]
pub struct Worker {
    configuration: Rc<Configuration>,
    next_ticket: u64,
    next_call: u64,
    arrived: Vec<(StreamId, Miss)>,
    /// Objects that nobody waits for.
    wanted: Vec<Miss>,
    health: Health,
    fetches: Vec<Fetch>,
    copies: Vec<Copy>,
    /// Bytes that the host holds for clients that are being answered.
    answering: Vec<(StreamId, usize)>,
    /// Streams whose held answer has given way to an empty object.
    emptied: Vec<StreamId>,
    ticking: bool,
}

impl Worker {
    /// A worker with nothing to do.
    #[must_use]
    pub fn new(configuration: Rc<Configuration>) -> Self {
        Self {
            configuration,
            next_ticket: 0,
            next_call: 0,
            arrived: Vec::new(),
            wanted: Vec::new(),
            health: Health::default(),
            fetches: Vec::new(),
            copies: Vec::new(),
            answering: Vec::new(),
            emptied: Vec::new(),
            ticking: false,
        }
    }

    /// Whether nothing is under way, and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.arrived.is_empty()
            && self.wanted.is_empty()
            && self.fetches.is_empty()
            && self.copies.iter().all(Copy::is_spare)
    }

    /// A ticket for a request that begins now.
    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// A stream's response is held for an object.
    pub fn on_miss(&mut self, stream: StreamId, miss: Miss) -> Vec<Effect> {
        self.arrived.push((stream, miss));
        vec![Effect::Wake]
    }

    /// An object is to be fetched for which nobody waits.
    pub fn on_wanted(&mut self, miss: Miss) -> Vec<Effect> {
        self.wanted.push(miss);
        vec![Effect::Wake]
    }

    /// A stream has ended: its client has everything, or has left.
    pub fn on_stream_end(&mut self, stream: StreamId) -> Vec<Effect> {
        self.emptied.retain(|emptied| *emptied != stream);
        let answering = self.answering.len();
        self.answering.retain(|(answered, _)| *answered != stream);
        let was_answered = self.answering.len() < answering;
        let mut effects = Vec::new();
        // What nobody has begun to fetch, nobody wants any more.
        self.arrived.retain(|(waiting, _)| *waiting != stream);
        for fetch in &mut self.fetches {
            fetch.waiters.retain(|waiter| waiter.stream != stream);
        }
        for copy in &mut self.copies {
            copy.waiters.retain(|waiter| waiter.stream != stream);
        }
        if was_answered && self.copies.iter().any(|copy| !copy.waiters.is_empty()) {
            effects.push(Effect::Wake);
        }
        effects
    }

    /// Whether the body of a stream's held response is to be thrown away.
    #[must_use]
    pub fn discards_body(&self, stream: StreamId) -> bool {
        self.emptied.contains(&stream)
    }

    /// The root has its turn.
    pub fn on_wake(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (stream, miss) in std::mem::take(&mut self.arrived) {
            self.admit(stream, miss, now);
        }
        for miss in std::mem::take(&mut self.wanted) {
            self.admit_wanted(miss, now);
        }
        self.turn(now, &mut effects);
        effects
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.give_up_queued(now, &mut effects);
        self.give_up_waiters(now, &mut effects);
        self.resend(now, &mut effects);
        self.turn(now, &mut effects);
        effects
    }

    /// How much of an answer's body is to be read out of the host: all of it, or nothing.
    #[must_use]
    pub fn wants_body(&self, call: CallId, body_bytes: u64) -> bool {
        self.fetches.iter().any(|fetch| fetch.is_calling(call))
            && body_bytes <= self.configuration.limits.object_bytes
    }

    /// A callout has been answered, or has failed in the host.
    pub fn on_call_answer(&mut self, call: CallId, answer: CallAnswer, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(at) = self.fetches.iter().position(|fetch| fetch.is_calling(call)) {
            self.on_origin_answer(at, answer, now, &mut effects);
        } else if let Some(at) = self.fetches.iter().position(|fetch| fetch.is_heading(call)) {
            self.on_head_answer(at, &answer.headers, now, &mut effects);
        } else if let Some(at) = self.fetches.iter().position(|fetch| fetch.is_asking(call)) {
            self.on_size_answer(at, &answer.headers, now, &mut effects);
        } else if !self.health.on_answer(call, answer.headers.status()) {
            self.on_store_answer(call, answer.headers.status(), now, &mut effects);
        }
        self.turn(now, &mut effects);
        effects
    }

    /// A callout was not sent.
    pub fn on_call_refused(&mut self, call: CallId, why: Refusal, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(at) = self.fetches.iter().position(|fetch| fetch.has(call)) {
            self.on_origin_refused(at, why, now, &mut effects);
        } else if !self.health.on_answer(call, None) {
            self.on_store_refused(call, why, now, &mut effects);
        }
        self.turn(now, &mut effects);
        effects
    }

    /// Puts a miss where its object is, or is on its way.
    fn admit(&mut self, stream: StreamId, miss: Miss, now: Moment) {
        if let Some(copy) = self.copies.iter_mut().find(|copy| copy.serves(&miss)) {
            copy.waiters.push(Waiter { stream, miss, first: false });
        } else if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.is_for(&miss)) {
            fetch.waiters.push(Waiter { stream, miss, first: false });
        } else {
            self.fetches.push(Fetch::new(stream, miss, now));
        }
    }

    /// The same for one that nobody waits for.
    fn admit_wanted(&mut self, miss: Miss, now: Moment) {
        let known = self.copies.iter().any(|copy| copy.serves(&miss))
            || self.fetches.iter().any(|fetch| fetch.is_for(&miss));
        if !known {
            self.fetches.push(Fetch::wanted(miss, now));
        }
    }

    /// What is due after every event.
    fn turn(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.start_fetches(now, effects);
        self.answer_waiters(now, effects);
        self.copies.retain(|copy| !copy.is_over(now));
        let waits = self.fetches.iter().any(Fetch::is_queued) || !self.copies.is_empty();
        if waits != self.ticking {
            self.ticking = waits;
            effects.push(Effect::Tick(waits.then_some(TICK)));
        }
    }

    /// Answers a client, or lets it be when it has gone.
    fn answer(&mut self, stream: StreamId, reply: Reply, effects: &mut Vec<Effect>) {
        match &reply.body {
            Body::Headers(_) => {
                self.emptied.push(stream);
            }
            Body::Object(..) => {
                self.answering.push((stream, reply.object_bytes()));
            }
            Body::Absent | Body::Text(_) => {}
        }
        effects.push(Effect::Answer(stream, reply));
    }

    fn call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }
}

/// Whether two misses want the same of the same origin, and of the same bucket, to the same end.
fn same_object(a: &Miss, b: &Miss) -> bool {
    a.rule == b.rule
        && a.origin == b.origin
        && a.storing() == b.storing()
        && a.request.bucket == b.request.bucket
        && a.request.key == b.request.key
}
