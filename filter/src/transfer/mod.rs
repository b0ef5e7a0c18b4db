//! Objects on their way through: streamed to a client by the host, copied into the bucket here.
//!
//! ```text
//!            bytes                 a part is full             all parts are there
//! Flowing ──────────▶ (no upload) ───────────────▶ Creating ─▶ Open ───────────▶ Completing ─▶ gone
//!    │                     │ the end, within one part                                │
//!    │                     └───────────────▶ Putting ─▶ gone                         │
//!    └─ broken off, refused, no memory ─▶ Aborting ─▶ gone ◀─────────────────────────┘
//! ```
//!
//! Where Putting or Completing may have succeeded unheard, Looking at the bucket comes before the
//! end. An upload that Creating may have made unheard is looked for beside all this.
//!
//! An object becomes visible by one request, Putting or Completing, and neither is sent before its
//! last byte has arrived and the length is the one announced. What the client gets does not depend
//! on any of this. Performs nothing: events and the time in, effects out.

mod memory;
mod object;
mod part;
mod plan;
pub(crate) mod pull;
#[cfg(test)]
mod tests;
mod unconfirmed;
mod upload;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use self::object::{Flow, Transfer};
use self::part::Parts;
pub use self::plan::Plan;
use self::pull::Pull;
use self::unconfirmed::Unconfirmed;
use self::upload::Upload;
use crate::configuration::Configuration;
use crate::lease::Lease;
use crate::metric::Metric;
use crate::origin::Trail;
use crate::reason::NotStored;
use crate::report::Outcome;
use crate::store::Target;
use crate::visit::attempt::{AttemptId, Attempts};
use crate::visit::{Asked, Refusal};
use crate::worker::{Call, CallAnswer, CallId, Effect, Moment, Refusal as NotSent, StreamId, TICK};

/// Objects that wait to be fetched for themselves. One more is told and forgotten: the next client
/// that misses it brings it back.
const MAX_WAITING: usize = 1_000;

/// How long after the bucket's answer a request may come here: the host retries it first.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Objects that are remembered as stored.
const MAX_STORED: usize = 1_000;

/// What a store may say at most, where its words are wanted.
const MAX_WORDS: u64 = 64 * 1024;

/// A transfer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TransferId(u64);

/// How the bytes of a transfer came to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The client left, or the origin broke off.
    Broken,
    /// The last byte has arrived.
    Whole,
}

/// An object that waits to be fetched for itself.
#[derive(Debug)]
struct Waiting {
    plan: Plan,
    trail: Trail,
}

/// The transfers of one VM.
#[derive(Debug)]
pub struct Transfers {
    configuration: Rc<Configuration>,
    next_id: u64,
    next_call: u64,
    transfers: Vec<Transfer>,
    waiting: VecDeque<Waiting>,
    unconfirmed: Unconfirmed,
    /// What came into the bucket lately, and when: requests that began before then missed it, and
    /// need not copy it again.
    stored: VecDeque<(u64, Moment)>,
    /// Requests that their origins have not answered yet, and until when they may.
    asked: Vec<(StreamId, Moment, Rc<Asked>)>,
    /// What is to be asked next, as soon as the gateway comes to it.
    attempts: Attempts,
    ticking: bool,
}

impl Transfers {
    /// None yet.
    #[must_use]
    pub const fn new(configuration: Rc<Configuration>) -> Self {
        Self {
            configuration,
            next_id: 0,
            next_call: 0,
            transfers: Vec::new(),
            waiting: VecDeque::new(),
            unconfirmed: Unconfirmed::new(),
            stored: VecDeque::new(),
            asked: Vec::new(),
            attempts: Attempts::new(),
            ticking: false,
        }
    }

    /// A request has been sent to its origin.
    pub fn on_asked(&mut self, stream: StreamId, asked: Rc<Asked>, now: Moment) -> Vec<Effect> {
        let until = now.after(asked.patience(self.configuration.timeouts.origin));
        self.asked.push((stream, until, asked));
        let mut effects = Vec::new();
        self.keep_time(&mut effects);
        effects
    }

    /// Its origin answers, or nobody waits for that any more. False where it has been answered
    /// before, by its origin or for it.
    pub fn on_answered(&mut self, stream: StreamId) -> bool {
        let before = self.asked.len();
        self.asked.retain(|(waiting, _, _)| *waiting != stream);
        self.asked.len() < before
    }

    /// The gateway is asked for one more attempt, for a request that began at `since`. `None` where
    /// it must not be.
    pub fn on_leaving(
        &mut self,
        asked: Rc<Asked>,
        since: Moment,
        now: Moment,
    ) -> (Option<AttemptId>, Vec<Effect>) {
        let mut effects = Vec::new();
        let attempt = self.attempts.add(asked, since, now);
        self.keep_time(&mut effects);
        (attempt, effects)
    }

    /// The attempt comes, for a request that began then; or it is known not to come.
    pub fn on_attempt(&mut self, attempt: AttemptId) -> Option<(Rc<Asked>, Moment)> {
        self.attempts.take(attempt)
    }

    /// Whether no object is under way or waits, and no upload is looked for.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.transfers.is_empty() && self.waiting.is_empty() && self.unconfirmed.is_empty()
    }

    /// An object begins to arrive, for a request that began at `since`; its lease is ours. `None`
    /// when it is under way already or stored by now, or cannot be kept as it came: then its bytes
    /// are the client's alone.
    pub fn begin(&mut self, plan: Plan, trail: Trail, since: Moment) -> Option<TransferId> {
        let kept = plan.headers.texts().count() == plan.headers.iter().count();
        if !kept || self.is_known(&plan, since) {
            return None;
        }
        // The stream brings what a fetch of its own would have to.
        self.waiting.retain(|waiting| !waiting.plan.is_for(&plan));
        Some(self.add(plan, trail, Flow::Flowing, None, Lease::renewal(since)))
    }

    /// An object is wanted that does not come whole, by a request that began at `since`: it is
    /// fetched for itself, in its turn.
    pub fn backfill(&mut self, plan: Plan, trail: Trail, since: Moment) -> Vec<Effect> {
        let waits = self.waiting.iter().any(|waiting| waiting.plan.is_for(&plan));
        if waits || self.is_known(&plan, since) {
            return Vec::new();
        }
        self.enqueue(plan, trail)
    }

    /// Whether an object is under way, or has been stored since a request for it began.
    fn is_known(&self, plan: &Plan, since: Moment) -> bool {
        let object = plan.lease().object();
        self.transfers.iter().any(|transfer| transfer.plan.is_for(plan))
            || self
                .stored
                .iter()
                .any(|(stored, at)| *stored == object && since <= at.after(RETRY_TIME))
    }

    fn enqueue(&mut self, plan: Plan, trail: Trail) -> Vec<Effect> {
        if self.waiting.len() >= MAX_WAITING {
            let outcome =
                Outcome::Streamed { url: &plan.url, bytes: 0, stored: Err(NotStored::Busy) };
            return vec![Effect::Count(Metric::NotStored), Effect::Log(plan.report.line(&outcome))];
        }
        self.waiting.push_back(Waiting { plan, trail });
        vec![Effect::Wake]
    }

    fn add(
        &mut self,
        plan: Plan,
        trail: Trail,
        flow: Flow,
        pull: Option<Pull>,
        renewal: Moment,
    ) -> TransferId {
        self.next_id += 1;
        let id = TransferId(self.next_id);
        let parts =
            Parts::new(self.configuration.limits.part_bytes, plan.length, plan.check.clone());
        let upload = Upload::Absent;
        self.transfers.push(Transfer { id, plan, parts, flow, trail, pull, upload, renewal });
        id
    }

    /// Whether bytes of a transfer that come next are wanted. Where they are not, they pass.
    pub fn wants_bytes(&mut self, id: TransferId, count: usize) -> bool {
        let free = self.left_for_streams();
        let Some(transfer) = self.flowing(id).filter(|_| count > 0) else { return false };
        let wanted = !transfer.may_pass() || transfer.parts.wants(count, free);
        if !wanted {
            transfer.parts.pass(count);
        }
        wanted
    }

    /// Bytes of a transfer have arrived that are wanted.
    pub fn on_bytes(&mut self, id: TransferId, bytes: &[u8]) -> Vec<Effect> {
        let free = self.left_for_streams();
        let Some(transfer) = self.flowing(id) else { return Vec::new() };
        let may_pass = transfer.may_pass();
        // The client is not held up for the store: what it cannot take now is fetched later.
        if !may_pass && !transfer.parts.fits(bytes.len(), free) {
            transfer.suspend(NotStored::NoMemory);
            return vec![Effect::Wake];
        }
        let is_full = transfer.parts.push(bytes, may_pass.then_some(free));
        if let Some(why) = transfer.trail.origin().excess(transfer.parts.received()) {
            transfer.lose(why);
            return vec![Effect::Wake];
        }
        match is_full {
            true => vec![Effect::Wake],
            false => Vec::new(),
        }
    }

    /// No more bytes will come.
    pub fn on_end(&mut self, id: TransferId, end: End) -> Vec<Effect> {
        let Some(transfer) = self.flowing(id) else { return Vec::new() };
        let found = transfer.parts.received();
        match (end, transfer.plan.length) {
            // Whoever breaks off behind the last byte takes nothing from the object.
            (End::Broken | End::Whole, Some(expected)) if expected == found => {
                transfer.end_stream()
            }
            (End::Broken, _) => transfer.suspend(NotStored::Broken),
            (End::Whole, Some(expected)) => transfer.lose(NotStored::Length { expected, found }),
            (End::Whole, None) => transfer.end_stream(),
        }
        vec![Effect::Wake]
    }

    /// The root has its turn.
    pub fn on_wake(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.turn(now, &mut effects);
        effects
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(Refusal { metric, line, .. }) = self.attempts.take_late(now) {
            effects.push(Effect::Count(metric));
            effects.push(Effect::Log(line));
        }
        let late = |asked: &mut (StreamId, Moment, Rc<Asked>)| now >= asked.1;
        for (stream, _, asked) in self.asked.extract_if(.., late) {
            let Refusal { reply, metric, line } = asked.timed_out();
            effects.push(Effect::Count(metric));
            effects.push(Effect::Log(line));
            effects.push(Effect::Answer(stream, reply));
        }
        self.turn(now, &mut effects);
        effects
    }

    /// How much of an answer's body is to be read out of the host: all of it, or nothing.
    #[must_use]
    pub fn wants_body(&self, call: CallId, body_bytes: u64) -> bool {
        let whole = self.configuration.limits.object_bytes;
        let of_transfers = self.transfers.iter().any(|transfer| {
            let words = body_bytes <= MAX_WORDS && transfer.upload.wants_words(call);
            let range = whole.max(transfer.parts.range() as u64);
            words || (body_bytes <= range && transfer.pulls(call))
        });
        of_transfers || self.unconfirmed.wants_body(call, body_bytes)
    }

    /// A callout has been answered, or has failed in the host.
    pub fn on_call_answer(&mut self, call: CallId, answer: CallAnswer, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_unconfirmed = |transfer: &&Transfer| transfer.upload.is_unconfirmed(call, &answer);
        if let Some(transfer) = self.transfers.iter().find(is_unconfirmed) {
            effects.push(Effect::Log(self.unconfirmed.add(&transfer.plan)));
        }
        self.settle(call, answer, now, &mut effects);
        effects
    }

    fn settle(&mut self, call: CallId, answer: CallAnswer, now: Moment, effects: &mut Vec<Effect>) {
        if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.has(call)) {
            transfer.on_answer(call, answer, now, &self.configuration, effects);
        } else {
            let timeouts = self.configuration.timeouts;
            let told = self.unconfirmed.on_answer(call, &answer, timeouts, now);
            effects.extend(told.map(Effect::Log));
        }
        self.turn(now, effects);
    }

    /// A callout was not sent.
    pub fn on_call_refused(&mut self, call: CallId, why: NotSent, now: Moment) -> Vec<Effect> {
        match why {
            NotSent::NoCluster => {
                if let Some(transfer) = self.transfers.iter_mut().find(|t| t.has(call)) {
                    transfer.lose(NotStored::NoCluster);
                }
            }
            NotSent::NoHost => {}
        }
        let mut effects = Vec::new();
        self.settle(call, CallAnswer::default(), now, &mut effects);
        effects
    }

    /// Sends what is due, and lets go of what is over.
    fn turn(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.start_backfills();
        let mut pulling = self.pulling();
        let most = self.most_backfills();
        let mut left = self.left();
        let mut is_sending = self.transfers.iter().any(|t| t.parts.under_way() > 0);
        let timeouts = self.configuration.timeouts;
        for transfer in &mut self.transfers {
            if now >= transfer.renewal {
                transfer.renewal = Lease::renewal(now);
                effects.push(Effect::Lease(transfer.plan.lease()));
            }
            let mut next_call = || next(&mut self.next_call);
            let (range, memory) = (transfer.parts.range(), transfer.parts.range_in_memory());
            if let (Flow::Pulling, Some(pull)) = (transfer.flow, &mut transfer.pull)
                && pulling < most
                // One range may always come, and one part may always go, however large it is: else
                // objects that have begun could wait for each other's memory.
                && (left.fits(range, memory) || (pulling == 0 && !is_sending))
                && let Some((id, cluster, headers)) =
                    pull.advance(&mut transfer.parts, now, &mut next_call)
            {
                pulling += 1;
                left.take(range, memory);
                let timeout = transfer.trail.origin().timeout(timeouts.origin);
                let call = Call { cluster, headers, body: None, timeout };
                effects.push(Effect::Call(id, call));
            }
            let Some(bucket) = self.configuration.bucket(&transfer.plan.bucket) else { continue };
            let target = Target {
                bucket,
                key: &transfer.plan.key,
                headers: &transfer.plan.headers,
                tag: &transfer.plan.tag,
            };
            let before = transfer.parts.under_way();
            let room = if is_sending { left.for_part() } else { usize::MAX };
            let call =
                transfer.upload.advance(&mut transfer.parts, transfer.flow, room, now, next_call);
            let begun = transfer.parts.under_way() - before;
            is_sending |= begun > 0;
            left.take(begun, begun);
            if let Some((id, step)) = call {
                effects.push(Effect::Call(id, step.call(&target, timeouts)));
            }
        }
        self.end_transfers(now, effects);
        let next_call = || next(&mut self.next_call);
        let search = self.unconfirmed.advance(&self.transfers, &self.configuration, now, next_call);
        effects.extend(search.map(|(id, call)| Effect::Call(id, call)));
        self.keep_time(effects);
    }

    /// Has time told while something waits for it.
    fn keep_time(&mut self, effects: &mut Vec<Effect>) {
        let waits = !self.asked.is_empty()
            || !self.attempts.is_empty()
            || !self.unconfirmed.is_empty()
            || self.transfers.iter().any(Transfer::waits);
        if waits != self.ticking {
            self.ticking = waits;
            effects.push(Effect::Tick(waits.then_some(TICK)));
        }
    }

    /// Begins what waits, as far as fetches and memory allow.
    fn start_backfills(&mut self) {
        let pulls = |transfer: &&Transfer| transfer.flow == Flow::Pulling;
        while self.transfers.iter().filter(pulls).count() < self.most_backfills() {
            let Some(Waiting { plan, trail }) = self.waiting.pop_front() else { return };
            let pull = Pull::new(trail.clone());
            // Its lease may have ended while it waited.
            self.add(plan, trail, Flow::Pulling, Some(pull), Moment::default());
        }
    }

    /// Ranges under way.
    fn pulling(&self) -> usize {
        let under_way =
            |transfer: &&Transfer| transfer.pull.as_ref().is_some_and(Pull::is_under_way);
        self.transfers.iter().filter(under_way).count()
    }

    fn most_backfills(&self) -> usize {
        usize::try_from(self.configuration.limits.backfills).unwrap_or(usize::MAX)
    }

    /// Tells of what is over, and puts on the list what a fetch of its own can still bring.
    fn end_transfers(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let mut again = Vec::new();
        let mut stored = Vec::new();
        self.transfers.retain(|transfer| {
            let Some(result) = transfer.upload.is_over(transfer.flow) else { return true };
            let passing = matches!(result, Err(NotStored::Broken | NotStored::NoMemory));
            if passing && transfer.pull.is_none() {
                again.push((transfer.plan.clone(), transfer.trail.clone()));
                return false;
            }
            if matches!(result, Ok(()) | Err(NotStored::AlreadyThere)) {
                stored.push(transfer.plan.lease().object());
            }
            effects.push(Effect::Count(match result {
                Ok(()) => Metric::Stored,
                Err(_) => Metric::NotStored,
            }));
            let outcome = Outcome::Streamed {
                url: &transfer.plan.url,
                bytes: transfer.parts.received(),
                stored: result,
            };
            effects.push(Effect::Log(transfer.plan.report.line(&outcome)));
            false
        });
        for (plan, trail) in again {
            effects.append(&mut self.enqueue(plan, trail));
        }
        for object in stored {
            self.remember(object, now);
        }
    }

    /// An object is in the bucket, for as long as a request that missed it may be answered late.
    fn remember(&mut self, object: u64, now: Moment) {
        let patience = self.configuration.timeouts.origin;
        while self
            .stored
            .front()
            .is_some_and(|(_, at)| self.stored.len() >= MAX_STORED || now > at.after(patience))
        {
            self.stored.pop_front();
        }
        self.stored.push_back((object, now));
    }

    fn flowing(&mut self, id: TransferId) -> Option<&mut Transfer> {
        self.transfers
            .iter_mut()
            .find(|transfer| transfer.id == id && transfer.flow == Flow::Flowing)
    }
}

/// The next callout, after so many.
fn next(calls: &mut u64) -> CallId {
    *calls += 1;
    CallId::new(*calls)
}
