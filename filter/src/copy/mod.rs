//! Copies: objects on their way into the bucket, whichever way they come.
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
//! on any of this.

pub(crate) mod backfill;
mod lost_uploads;
pub(crate) mod memory;
mod object;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::rc::Rc;

use self::backfill::Backfill;
use self::lost_uploads::LostUploads;
use self::memory::limit;
use self::object::Copied;
pub use self::plan::{CopyId, End, Plan};
use crate::configuration::Configuration;
use crate::host::{Call, CallAnswer, CallId, DispatchError, Effect, Turn};
use crate::lease::Lease;
use crate::metric::Metric;
use crate::origin::{Health, Route};
use crate::reason::NotStored;
use crate::report::Outcome;
use crate::store::Target;
use crate::store::part::Parts;
use crate::store::upload::{Flow, Upload};
use crate::time::Moment;

/// Objects that wait to be fetched for themselves. One more is told and forgotten: the next client
/// that misses it brings it back.
const MAX_WAITING: usize = 1_000;

/// How long after the bucket's answer a request may come here: the host routes it anew first.
const REROUTE_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// Objects that are remembered as stored.
const MAX_STORED: usize = 1_000;

/// What a store may say at most, where its words are wanted.
const MAX_WORDS: u64 = 64 * 1024;

/// An object that waits to be fetched for itself.
#[derive(Debug)]
struct Waiting {
    plan: Plan,
    route: Route,
}

/// How a copy ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The copy.
    pub(crate) id: CopyId,
    /// Whether the bucket has the object now.
    pub(crate) result: Result<(), NotStored>,
}

/// The copies of one VM.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    last_id: u64,
    copies: Vec<Copied>,
    waiting: VecDeque<Waiting>,
    lost_uploads: LostUploads,
    /// What came into the bucket lately, and when: requests that began before then missed it, and
    /// need not copy it again.
    stored: VecDeque<(u64, Moment)>,
    /// Copies of objects that somebody else tells of when they have ended.
    ended: Vec<Ended>,
}

impl Copies {
    /// Whether no object is under way or waits, and no upload is looked for.
    pub(crate) fn is_idle(&self) -> bool {
        self.copies.is_empty() && self.waiting.is_empty() && self.lost_uploads.is_empty()
    }

    /// An object begins to arrive, for a request that began at `since`; its lease is ours. `None`
    /// when it is under way already or stored by now: then its bytes are the client's alone.
    pub(crate) fn begin(
        &mut self,
        plan: Plan,
        route: Route,
        since: Moment,
        configuration: &Configuration,
    ) -> Option<CopyId> {
        if self.is_known(&plan, since) {
            return None;
        }
        // The stream brings what a fetch of its own would have to.
        self.waiting.retain(|waiting| !waiting.plan.is_for(&plan));
        let parts = Parts::new(configuration.limits.part_bytes, plan.length, plan.check.clone());
        Some(self.add(plan, parts, route, Flow::Flowing, None, Lease::renewal(since)))
    }

    /// An object is there whole. Whoever fetched it tells of it, by [`Self::take_ended`].
    pub(crate) fn begin_whole(
        &mut self,
        plan: Plan,
        route: Route,
        bytes: Rc<Vec<u8>>,
        now: Moment,
    ) -> CopyId {
        self.add(plan, Parts::whole(bytes), route, Flow::Whole, None, Lease::renewal(now))
    }

    /// An object is wanted that does not come whole, by a request that began at `since`: it is
    /// fetched for itself, in its turn.
    pub(crate) fn backfill(&mut self, plan: Plan, route: Route, since: Moment) -> Vec<Effect> {
        let waits = self.waiting.iter().any(|waiting| waiting.plan.is_for(&plan));
        if waits || self.is_known(&plan, since) {
            return Vec::new();
        }
        self.enqueue(plan, route)
    }

    /// Whether an object is under way, or has been stored since a request for it began.
    fn is_known(&self, plan: &Plan, since: Moment) -> bool {
        let object = plan.lease().object();
        self.copies.iter().any(|copy| copy.plan.is_for(plan))
            || self
                .stored
                .iter()
                .any(|(stored, at)| *stored == object && since <= at.after(REROUTE_TIME))
    }

    fn enqueue(&mut self, plan: Plan, route: Route) -> Vec<Effect> {
        if self.waiting.len() >= MAX_WAITING {
            let (url, client, why) = (plan.url.as_str(), plan.client, NotStored::Busy);
            let line = plan.report.line(&Outcome::NotFetched { url, client, why });
            let lease = plan.lease();
            let counted = Effect::Count(Metric::NotStored);
            return vec![counted, Effect::Log(line), Effect::Release(lease)];
        }
        self.waiting.push_back(Waiting { plan, route });
        vec![Effect::Wake]
    }

    fn add(
        &mut self,
        plan: Plan,
        parts: Parts,
        route: Route,
        flow: Flow,
        backfill: Option<Backfill>,
        renewal: Moment,
    ) -> CopyId {
        self.last_id += 1;
        let id = CopyId(self.last_id);
        let upload = Upload::Absent;
        let told_elsewhere = flow == Flow::Whole;
        let is_fetched_alone = flow == Flow::Backfilling;
        self.copies.push(Copied {
            id,
            plan,
            parts,
            flow,
            route,
            backfill,
            upload,
            renewal,
            is_fetched_alone,
            told_elsewhere,
        });
        id
    }

    /// Whether bytes of a copy that come next are wanted. Where they are not, they pass.
    pub(crate) fn wants_bytes(
        &mut self,
        id: CopyId,
        count: usize,
        configuration: &Configuration,
    ) -> bool {
        let free = self.left_for_streams(limit(configuration));
        let Some(copy) = self.flowing(id).filter(|_| count > 0) else { return false };
        let wanted = !copy.may_pass() || copy.parts.wants(count, free);
        if !wanted {
            copy.parts.pass(count);
        }
        wanted
    }

    /// Bytes of a copy have arrived that are wanted. True where the root has something to do.
    pub(crate) fn on_bytes(
        &mut self,
        id: CopyId,
        bytes: &[u8],
        configuration: &Configuration,
    ) -> bool {
        let free = self.left_for_streams(limit(configuration));
        let Some(copy) = self.flowing(id) else { return false };
        let may_pass = copy.may_pass();
        // The client is not held up for the store: what it cannot take now is fetched later.
        if !may_pass && !copy.parts.fits(bytes.len(), free) {
            copy.suspend(NotStored::NoMemory);
            return true;
        }
        let is_full = copy.parts.push(bytes, may_pass.then_some(free));
        if let Some(why) = copy.route.initial().excess(copy.parts.received()) {
            copy.lose(why);
            return true;
        }
        is_full
    }

    /// No more bytes will come. True where the root has something to do.
    pub(crate) fn on_end(&mut self, id: CopyId, end: End) -> bool {
        let Some(copy) = self.flowing(id) else { return false };
        let found = copy.parts.received();
        match (end, copy.plan.length) {
            // Whoever breaks off behind the last byte takes nothing from the object.
            (End::Broken | End::Whole, Some(expected)) if expected == found => copy.end_stream(),
            (End::Broken, _) => copy.suspend(NotStored::Broken),
            (End::Whole, Some(expected)) => copy.lose(NotStored::Length { expected, found }),
            (End::Whole, None) => copy.end_stream(),
        }
        true
    }

    /// How much of an answer's body is to be read out of the host: all of it, or nothing.
    pub(crate) fn wants_body(
        &self,
        call: CallId,
        body_bytes: u64,
        configuration: &Configuration,
    ) -> bool {
        let whole = configuration.limits.object_bytes;
        let of_copies = self.copies.iter().any(|copy| {
            let words = body_bytes <= MAX_WORDS && copy.upload.wants_words(call);
            let range = whole.max(copy.parts.range() as u64);
            words || (body_bytes <= range && copy.backfills(call))
        });
        of_copies || self.lost_uploads.wants_body(call, body_bytes)
    }

    /// Whether a callout is one of theirs.
    pub(crate) fn has(&self, call: CallId) -> bool {
        self.copies.iter().any(|copy| copy.has(call)) || self.lost_uploads.has(call)
    }

    /// A callout has been answered, or has failed in the host.
    pub(crate) fn on_call_answer(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        let is_unconfirmed = |copy: &&Copied| copy.upload.is_unconfirmed(call, &answer);
        if let Some(copy) = self.copies.iter().find(is_unconfirmed) {
            let line = self.lost_uploads.add(&copy.plan);
            turn.log(line);
        }
        self.settle(call, answer, health, turn);
    }

    /// A callout was not sent.
    pub(crate) fn on_call_refused(
        &mut self,
        call: CallId,
        why: DispatchError,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        match why {
            DispatchError::NoCluster => {
                if let Some(copy) = self.copies.iter_mut().find(|copy| copy.has(call)) {
                    copy.lose(NotStored::NoCluster);
                }
            }
            DispatchError::NoHost => {
                let is_range = |copy: &&mut Copied| {
                    copy.backfill.as_ref().is_some_and(|backfill| backfill.has(call))
                };
                if let Some(copy) = self.copies.iter_mut().find(is_range) {
                    copy.lose(NotStored::NoAddress);
                }
            }
            DispatchError::Written => {
                if let Some(copy) = self.copies.iter_mut().find(|copy| copy.has(call)) {
                    copy.lose(NotStored::Written);
                }
            }
        }
        self.settle(call, CallAnswer::default(), health, turn);
    }

    fn settle(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        let (now, configuration) = (turn.now, turn.configuration);
        if let Some(copy) = self.copies.iter_mut().find(|copy| copy.has(call)) {
            return copy.on_answer(call, answer, now, configuration, health, turn.effects);
        }
        let told = self.lost_uploads.on_answer(call, &answer, configuration.timeouts, now);
        turn.effects.extend(told.map(Effect::Log));
    }

    /// Sends what is due, and lets go of what is over.
    pub(crate) fn advance(&mut self, turn: &mut Turn<'_>) {
        let (now, configuration) = (turn.now, turn.configuration);
        let most = usize::try_from(configuration.limits.backfills).unwrap_or(usize::MAX);
        self.start_backfills(most, configuration);
        let mut ranges = self.ranges_under_way();
        let mut left = self.left(limit(configuration));
        let mut is_sending = self.copies.iter().any(|copy| copy.parts.under_way() > 0);
        let timeouts = configuration.timeouts;
        for copy in &mut self.copies {
            if now >= copy.renewal {
                copy.renewal = Lease::renewal(now);
                turn.effects.push(Effect::Lease(copy.plan.lease()));
            }
            let (range, memory) = (copy.parts.range(), copy.parts.range_in_memory());
            if let (Flow::Backfilling, Some(backfill)) = (copy.flow, &mut copy.backfill)
                && ranges < most
                // One range may always come, and one part may always go, however large it is: else
                // objects that have begun could wait for each other's memory.
                && (left.fits(range, memory) || (ranges == 0 && !is_sending))
                && let Some((id, cluster, headers)) =
                    backfill.advance(&mut copy.parts, now, || turn.calls.next())
            {
                ranges += 1;
                left.take(range, memory);
                let timeout = copy.route.initial().timeout(timeouts.origin);
                let call = Call { cluster, headers, body: None, timeout, unless_written: None };
                turn.count(Metric::Fetches);
                turn.effects.push(Effect::Call(id, call));
            }
            let Some(bucket) = configuration.bucket(&copy.plan.bucket) else { continue };
            let target = Target {
                bucket,
                key: &copy.plan.key,
                headers: &copy.plan.headers,
                tag: &copy.plan.tag,
            };
            let before = copy.parts.under_way();
            let room = if is_sending { left.for_part() } else { usize::MAX };
            let step =
                copy.upload.advance(&mut copy.parts, copy.flow, room, now, || turn.calls.next());
            let begun = copy.parts.under_way() - before;
            is_sending |= begun > 0;
            left.take(begun, begun);
            if let Some((id, step)) = step {
                if copy.is_repeated(id) {
                    turn.count(Metric::StoreRetries);
                }
                let written = (copy.plan.lease(), copy.route.since());
                let unless_written = step.makes_visible().then_some(written);
                let call = Call { unless_written, ..step.call(&target, timeouts) };
                turn.effects.push(Effect::Call(id, call));
            }
        }
        self.end_copies(turn);
        let search =
            self.lost_uploads.advance(&self.copies, configuration, now, || turn.calls.next());
        turn.effects.extend(search.map(|(id, call)| Effect::Call(id, call)));
    }

    /// Whether time brings anything on.
    pub(crate) fn waits(&self) -> bool {
        !self.lost_uploads.is_empty() || self.copies.iter().any(Copied::waits)
    }

    /// How copies have ended of which somebody else tells.
    pub(crate) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Begins what waits, as far as the number of fetches allows.
    fn start_backfills(&mut self, most: usize, configuration: &Configuration) {
        let is_backfill = |copy: &&Copied| copy.flow == Flow::Backfilling;
        while self.copies.iter().filter(is_backfill).count() < most {
            let Some(Waiting { plan, route }) = self.waiting.pop_front() else { return };
            let backfill = Some(Backfill::new(route.clone()));
            let parts =
                Parts::new(configuration.limits.part_bytes, plan.length, plan.check.clone());
            // Its lease may have ended while it waited.
            self.add(plan, parts, route, Flow::Backfilling, backfill, Moment::default());
        }
    }

    fn ranges_under_way(&self) -> usize {
        let under_way = |copy: &&Copied| copy.backfill.as_ref().is_some_and(Backfill::is_under_way);
        self.copies.iter().filter(under_way).count()
    }

    /// Tells of what is over, and puts on the list what a fetch of its own can still bring.
    fn end_copies(&mut self, turn: &mut Turn<'_>) {
        let mut again = Vec::new();
        let mut stored = Vec::new();
        let ended = &mut self.ended;
        self.copies.retain(|copy| {
            let Some(result) = copy.upload.is_over(copy.flow) else { return true };
            let passing = matches!(result, Err(NotStored::Broken | NotStored::NoMemory));
            if passing && copy.backfill.is_none() && !copy.told_elsewhere {
                again.push((copy.plan.clone(), copy.route.clone()));
                return false;
            }
            match result {
                Ok(()) | Err(NotStored::AlreadyThere) => stored.push(copy.plan.lease().object()),
                // Whoever misses the object next may copy it, in whatever worker.
                Err(_) => turn.effects.push(Effect::Release(copy.plan.lease())),
            }
            turn.count(match result {
                Ok(()) => Metric::Stored,
                Err(_) => Metric::NotStored,
            });
            if copy.told_elsewhere {
                ended.push(Ended { id: copy.id, result });
            } else {
                turn.log(copy.line(result));
            }
            false
        });
        for (plan, route) in again {
            let effects = self.enqueue(plan, route);
            turn.effects.extend(effects);
        }
        for object in stored {
            self.remember(object, turn);
        }
    }

    /// An object is in the bucket, for as long as a request that missed it may be answered late.
    fn remember(&mut self, object: u64, turn: &Turn<'_>) {
        let (now, patience) = (turn.now, turn.configuration.timeouts.origin);
        while self
            .stored
            .front()
            .is_some_and(|(_, at)| self.stored.len() >= MAX_STORED || now > at.after(patience))
        {
            self.stored.pop_front();
        }
        self.stored.push_back((object, now));
    }

    fn flowing(&mut self, id: CopyId) -> Option<&mut Copied> {
        self.copies.iter_mut().find(|copy| copy.id == id && copy.flow == Flow::Flowing)
    }
}
