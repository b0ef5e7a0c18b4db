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
mod object;
mod plan;
#[cfg(test)]
mod tests;
mod turn;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use self::lost_uploads::LostUploads;
use self::object::Copied;
pub use self::plan::{CopyId, End, Plan};
use self::waiting::{Queue, Stored, Waiting};
use crate::account::{Account, Booking, Held, Taker};
use crate::configuration::ConditionalWrites;
use crate::host::{CallAnswer, CallId, DispatchError, Effect, Turn};
use crate::index::Index;
use crate::lease::Lease;
use crate::metric::{Metric, Series};
use crate::origin::{Health, Route};
use crate::reason::NotStored;
use crate::report::Outcome;
use crate::store;
use crate::store::part::{Parts, Pushed};
use crate::store::rest::{Kind, Rests};
use crate::store::upload::{Flow, Late};
use crate::time::Moment;

/// Objects that are on their way into buckets at once. What is known of each, its headers above all,
/// is no part of the account of memory, and a store that hangs keeps each for minutes.
const MAX_COPIES: usize = 1_000;

/// What a store may say at most, where its words are wanted.
const MAX_WORDS: u64 = 64 * 1024;

/// How a copy ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The copy.
    pub(crate) id: CopyId,
    /// Whether the bucket has the object now.
    pub(crate) result: Result<(), NotStored>,
}

/// Why an object that begins to arrive is not copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotBegun {
    /// It cannot be.
    Because(NotStored),
    /// It is under way already, or stored by now: its bytes are the client's alone.
    Known,
}

impl From<NotStored> for NotBegun {
    fn from(why: NotStored) -> Self {
        Self::Because(why)
    }
}

/// A request under way. Its copy may be over by the time it is answered.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    copy: CopyId,
    asks: Asked,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    /// An origin, for a range that keeps its place from others.
    Range,
    /// An origin, for a range that has stepped aside.
    LateRange,
    Store,
}

/// The copies of one VM. Whatever happens is about one of them, found by its number, its call or its
/// object; what waits for a time, or for memory, waits in an order of its own. So an event costs the
/// same however many there are.
#[derive(Debug)]
pub(crate) struct Copies {
    account: Account,
    last_id: u64,
    /// By their numbers, and so by their age.
    copies: BTreeMap<CopyId, Copied>,
    /// The same by the numbers of their objects.
    objects: Index,
    calls: BTreeMap<CallId, UnderWay>,
    /// Those to which something has happened since the last turn.
    touched: BTreeSet<CopyId>,
    /// When time brings each on, in microseconds.
    timers: Index,
    /// Those that fetch for themselves; those of them that have no part yet; and those that wait for
    /// memory or their turn, to begin a part or to go on with one.
    backfilling: BTreeSet<CopyId>,
    new: BTreeSet<CopyId>,
    to_fetch: BTreeSet<CopyId>,
    to_go_on: BTreeSet<CopyId>,
    /// How many of them stand aside, by the server that keeps them waiting.
    aside: Vec<(String, usize)>,
    /// Ranges under way that are not late.
    ranges: usize,
    /// Servers that give objects only whole.
    give_whole: Vec<String>,
    /// Those that wait for memory to send something.
    to_send: BTreeSet<CopyId>,
    waiting: Queue,
    /// The lines on requests whose objects came another way than they were to.
    forgotten: Vec<String>,
    lost_uploads: LostUploads,
    stored: Stored,
    rests: Rests,
    /// Copies of objects that somebody else tells of when they have ended.
    ended: Vec<Ended>,
    /// Objects whose copies have ended, and whether the bucket has them.
    over: Vec<(Lease, bool)>,
    /// What is to be told of gauges.
    measured: Vec<Effect>,
}

impl Copies {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            last_id: 0,
            copies: BTreeMap::new(),
            objects: Index::default(),
            calls: BTreeMap::new(),
            touched: BTreeSet::new(),
            timers: Index::default(),
            backfilling: BTreeSet::new(),
            new: BTreeSet::new(),
            to_fetch: BTreeSet::new(),
            to_go_on: BTreeSet::new(),
            aside: Vec::new(),
            ranges: 0,
            give_whole: Vec::new(),
            to_send: BTreeSet::new(),
            waiting: Queue::default(),
            forgotten: Vec::new(),
            lost_uploads: LostUploads::default(),
            stored: Stored::default(),
            rests: Rests::default(),
            ended: Vec::new(),
            over: Vec::new(),
            measured: Vec::new(),
        }
    }

    /// Whether no object is under way or waits, and no upload is looked for.
    pub(crate) fn is_idle(&self) -> bool {
        self.copies.is_empty() && self.waiting.is_empty() && self.lost_uploads.is_empty()
    }

    /// Whether an object that begins to arrive is copied, for a request that began at `since`; its
    /// lease is ours. Its parts, where it is.
    ///
    /// # Errors
    ///
    /// It is not copied.
    pub(crate) fn admit_stream(
        &mut self,
        plan: &Plan,
        since: Moment,
        now: Moment,
    ) -> Result<Parts, NotBegun> {
        if self.is_known(plan, since) {
            return Err(NotBegun::Known);
        }
        let parts = Parts::new(&self.account, plan.length, plan.check.clone())?;
        self.admit(plan, now)?;
        Ok(parts)
    }

    /// It begins to arrive.
    pub(crate) fn begin(&mut self, plan: Plan, parts: Parts, route: Route, now: Moment) -> CopyId {
        // The stream brings what a fetch of its own would have to.
        let forgotten = self.waiting.forget(&plan);
        self.forgotten.extend(forgotten.map(|forgotten| forgotten.shared()));
        self.add(Copied::new(plan, parts, route, Flow::Flowing, Lease::renewal(now)), now)
    }

    /// An object is there whole. Whoever fetched it tells of it, by [`Self::take_ended`].
    ///
    /// # Errors
    ///
    /// It is not copied.
    pub(crate) fn begin_whole(
        &mut self,
        plan: Plan,
        route: Route,
        bytes: Rc<Held>,
        now: Moment,
    ) -> Result<CopyId, NotStored> {
        let parts = Parts::whole(&self.account, bytes)?;
        self.admit(&plan, now)?;
        let id = self.add(Copied::new(plan, parts, route, Flow::Whole, Lease::renewal(now)), now);
        self.touched.insert(id);
        Ok(id)
    }

    /// Whether one more may begin.
    fn admit(&mut self, plan: &Plan, now: Moment) -> Result<(), NotStored> {
        if self.copies.len() >= MAX_COPIES {
            return Err(NotStored::TooMany);
        }
        self.rests.admit(&plan.bucket, self.kind(plan), now)
    }

    /// How an object is written, as far as its size is known.
    fn kind(&self, plan: &Plan) -> Kind {
        match plan.length {
            Some(length) if length <= self.account.part() as u64 => Kind::Put,
            Some(_) | None => Kind::Upload,
        }
    }

    /// An object is wanted that does not come whole, by a request that began at `since`: it is
    /// fetched for itself, in its turn.
    pub(crate) fn backfill(&mut self, plan: Plan, route: Route, since: Moment) -> Vec<Effect> {
        // Who asks for a part behind the headers asks for more parts, and not for the whole.
        let forgotten = self.waiting.forget_awaited(&plan);
        self.forgotten.extend(forgotten.map(|forgotten| forgotten.shared()));
        if self.waiting.has(&plan) || self.is_known(&plan, since) {
            return Vec::new();
        }
        self.enqueue(plan, route)
    }

    /// A client has asked for the headers of an object, by a request that began at `since`, and is
    /// likely to fetch it next. Only if that does not happen until then is it fetched for itself.
    pub(crate) fn await_stream(
        &mut self,
        plan: Plan,
        route: Route,
        since: Moment,
        until: Moment,
    ) -> Vec<Effect> {
        if self.waiting.has(&plan) || self.is_known(&plan, since) {
            return Vec::new();
        }
        if self.waiting.is_full() {
            return not_fetched(&plan, NotStored::Busy);
        }
        self.waiting.push(Waiting::until(plan, route, until));
        vec![Effect::Wake]
    }

    /// Whether the lease of an object that nobody came for is ours. Where it is not, another worker
    /// copies it.
    pub(crate) fn on_lease(&mut self, lease: &Lease, is_ours: bool) -> Vec<Effect> {
        if is_ours {
            self.waiting.on_claimed(lease);
            return vec![Effect::Wake];
        }
        let refused = self.waiting.on_refused(lease);
        refused.iter().map(|plan| Effect::Log(plan.shared())).collect()
    }

    /// Whether an object is under way, or has been stored since a request for it began.
    fn is_known(&self, plan: &Plan, since: Moment) -> bool {
        self.of_object(plan).next().is_some() || self.stored.has(plan, since)
    }

    /// The copies of an object.
    fn of_object<'c>(&'c self, plan: &'c Plan) -> impl Iterator<Item = &'c Copied> {
        let object = plan.lease().object();
        let ids = self.objects.of(object);
        ids.filter_map(|id| self.copies.get(&CopyId(id))).filter(|copy| copy.plan.is_for(plan))
    }

    fn enqueue(&mut self, plan: Plan, route: Route) -> Vec<Effect> {
        if self.waiting.is_full() {
            return not_fetched(&plan, NotStored::Busy);
        }
        self.waiting.push(Waiting::new(plan, route));
        vec![Effect::Wake]
    }

    fn add(&mut self, copy: Copied, begun: Moment) -> CopyId {
        let copy = Copied { begun, ..copy };
        let under_way = Series::of(Metric::CopiesUnderWay, &copy.plan.bucket, 0);
        self.measured.push(Effect::Measure(under_way, 1));
        self.last_id = self.last_id.saturating_add(1);
        let id = CopyId(self.last_id);
        self.objects.insert(copy.plan.lease().object(), id.0);
        self.timers.insert(copy.timer.micros(), id.0);
        if copy.flow == Flow::Backfilling {
            self.backfilling.insert(id);
        }
        self.copies.insert(id, copy);
        id
    }

    /// Whether bytes of a copy that come next are wanted. Where they are not, they pass.
    pub(crate) fn wants_bytes(&mut self, id: CopyId, count: usize) -> bool {
        let Some(copy) = flowing(&mut self.copies, id).filter(|_| count > 0) else { return false };
        let wanted = !copy.may_pass() || copy.parts.wants(count);
        if !wanted {
            copy.parts.pass(count);
        }
        wanted
    }

    /// Bytes of a copy have arrived that are wanted. True where the root has something to do.
    pub(crate) fn on_bytes(&mut self, id: CopyId, bytes: &[u8]) -> bool {
        let Some(copy) = flowing(&mut self.copies, id) else { return false };
        let may_pass = copy.may_pass();
        let pushed = copy.parts.push(bytes, may_pass);
        let is_due = if let Some(why) = copy.route.initial().excess(copy.parts.received()) {
            copy.lose(why);
            true
        } else if copy.parts.are_too_many() {
            copy.lose(NotStored::Unannounced);
            true
        } else {
            match pushed {
                Pushed::Full => true,
                // The client is not held up for the store: what it cannot take now is fetched later.
                Pushed::NoRoom => {
                    copy.suspend(NotStored::NoMemory);
                    true
                }
                Pushed::Taken => false,
            }
        };
        if is_due {
            self.touched.insert(id);
        }
        is_due
    }

    /// No more bytes will come. True where the root has something to do.
    pub(crate) fn on_end(&mut self, id: CopyId, end: End) -> bool {
        let Some(copy) = flowing(&mut self.copies, id) else { return false };
        let found = copy.parts.received();
        match (end, copy.plan.length) {
            // Whoever breaks off behind the last byte takes nothing from the object.
            (End::Broken | End::Whole, Some(expected)) if expected == found => copy.end_stream(),
            (End::Broken, _) => copy.suspend(NotStored::Broken),
            (End::Whole, Some(expected)) => copy.lose(NotStored::Length { expected, found }),
            (End::Whole, None) => copy.end_stream(),
        }
        self.touched.insert(id);
        true
    }

    /// Whether the body of an answer is to be read out of the host: all of it, or nothing.
    pub(crate) fn wants_body(
        &self,
        call: CallId,
        body_bytes: u64,
        object_bytes: u64,
        booked: Option<&mut Booking>,
    ) -> bool {
        let Some(copy) = self.calls.get(&call).and_then(|call| self.copies.get(&call.copy)) else {
            return self.lost_uploads.wants_body(call, body_bytes);
        };
        if copy.upload.is_write(call) {
            return body_bytes <= MAX_WORDS;
        }
        let Some(booked) = booked.filter(|_| copy.backfills(call)) else { return false };
        let room = booked.size().there;
        if body_bytes <= room as u64 {
            return true;
        }
        // An origin without ranges has sent all of it.
        let is_first =
            copy.parts.is_untouched() && body_bytes <= copy.parts.whole_bytes(object_bytes) as u64;
        let more = usize::try_from(body_bytes).unwrap_or(usize::MAX).saturating_sub(room);
        is_first && booked.grow(more, more, Taker::InTurn)
    }

    /// Whether a callout is one of theirs.
    pub(crate) fn has(&self, call: CallId) -> bool {
        self.calls.contains_key(&call) || self.lost_uploads.has(call)
    }

    /// Whether a copy goes on as if nothing had failed.
    pub(crate) fn is_well(&self, id: CopyId) -> bool {
        self.copies.get(&id).is_some_and(|copy| !copy.has_failed)
    }

    /// A callout has been answered, or has failed in the host. `booked` is what its answer takes.
    pub(crate) fn on_call_answer(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        if let Some(copy) = self.calls.get(&call).and_then(|call| self.copies.get(&call.copy)) {
            if copy.upload.is_unconfirmed(call, &answer) {
                let line = self.lost_uploads.add(&copy.plan);
                turn.log(line);
            }
            let bucket = &copy.plan.bucket;
            if copy.upload.is_write(call) || copy.parts.has(call) {
                self.rests.on_write(bucket, store::judge_write(&answer), turn.now);
            }
            if copy.upload.makes_visible(call) {
                let kind = if copy.parts.only().is_some() { Kind::Put } else { Kind::Upload };
                let conditions = turn.configuration.bucket(bucket);
                let by_default = conditions.is_some_and(|bucket| {
                    bucket.store.conditional_writes == ConditionalWrites::IfNoneMatch
                });
                if by_default && store::knows_no_condition(&answer) {
                    let status = answer.headers.status().unwrap_or_default();
                    let told = self.rests.on_no_condition(bucket, kind, status, turn.now);
                    turn.effects.extend(told.map(Effect::Log));
                } else {
                    self.rests.on_visible(bucket, kind, store::judge_write(&answer));
                }
            }
        }
        self.settle(call, answer, booked, health, turn);
    }

    /// A callout was not sent.
    pub(crate) fn on_call_refused(
        &mut self,
        call: CallId,
        why: DispatchError,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        if let DispatchError::Limited(wait) = why {
            return self.postpone(call, wait, turn.now);
        }
        if let Some(UnderWay { copy, asks }) = self.calls.get(&call)
            && let Some(copy) = self.copies.get_mut(copy)
        {
            match (why, asks) {
                (DispatchError::Limited(_), _) => {}
                (DispatchError::NoCluster, Asked::Range | Asked::LateRange) => {
                    copy.lose(NotStored::OriginUnknown);
                }
                (DispatchError::NoCluster, Asked::Store) => copy.lose(NotStored::NoCluster),
                (DispatchError::NoHost, Asked::Range | Asked::LateRange) => {
                    copy.lose(NotStored::NoAddress);
                }
                (DispatchError::NoHost, Asked::Store) => {}
                (DispatchError::Written, _) => copy.lose(NotStored::Written),
            }
        }
        self.settle(call, CallAnswer::default(), None, health, turn);
    }

    /// A range is asked for later: the quota of mirroring has no room for it for so long.
    fn postpone(&mut self, call: CallId, wait: Duration, now: Moment) {
        let Some(UnderWay { copy: id, asks }) = self.calls.remove(&call) else { return };
        if asks == Asked::Range {
            self.ranges = self.ranges.saturating_sub(1);
        }
        self.touched.insert(id);
        if let Some(backfill) = self.copies.get_mut(&id).and_then(|copy| copy.backfill.as_mut()) {
            backfill.postpone(wait, now);
        }
    }

    /// Hands an answer to whoever has asked.
    fn settle(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        let Some(UnderWay { copy: id, asks }) = self.calls.remove(&call) else {
            let timeouts = turn.configuration.timeouts;
            let told = self.lost_uploads.on_answer(call, &answer, timeouts, turn.now);
            return turn.effects.extend(told.map(Effect::Log));
        };
        if asks == Asked::Range {
            self.ranges = self.ranges.saturating_sub(1);
        }
        self.touched.insert(id);
        let Some(copy) = self.copies.get_mut(&id) else { return };
        copy.on_answer(call, answer, booked, health, turn);
        if let Some(backfill) = &mut copy.backfill
            && let Some(is_whole) = backfill.take_learned()
        {
            let server = backfill.cluster();
            self.give_whole.retain(|known| known != server);
            self.give_whole.extend(is_whole.then(|| server.to_owned()));
        }
    }

    /// The youngest of those that wait to be sent, of those that may, gives way: what is here of it
    /// is let go. Its end is told as every other's.
    pub(crate) fn give_way(&mut self, late: Late, may: impl Fn(CopyId) -> bool) -> Option<CopyId> {
        let id = self.to_send.iter().rev().copied().find(|id| may(*id))?;
        self.copies.get_mut(&id)?.give_way(late);
        self.to_send.remove(&id);
        self.touched.insert(id);
        Some(id)
    }

    /// Whether time brings anything on.
    pub(crate) fn waits(&self) -> bool {
        !self.lost_uploads.is_empty()
            || !self.timers.is_empty()
            || !self.to_fetch.is_empty()
            || !self.to_go_on.is_empty()
            || self.waiting.waits()
            || !self.to_send.is_empty()
    }

    /// How copies have ended of which somebody else tells.
    pub(crate) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Objects whose copies have ended since the last time, and whether the bucket has them.
    pub(crate) fn take_over(&mut self) -> Vec<(Lease, bool)> {
        std::mem::take(&mut self.over)
    }

    /// Whether nothing of a bucket is stored at the moment.
    pub(crate) fn rests(&self, bucket: &str, now: Moment) -> bool {
        self.rests.rests(bucket, now)
    }

    /// The multipart upload of a copy, where its id is known.
    pub(crate) fn upload(&self, copy: CopyId) -> Option<&str> {
        self.copies.get(&copy)?.upload.id()
    }

    /// How much of an object has come and how much there is, where it is under way.
    pub(crate) fn progress(&self, lease: &Lease) -> Option<(u64, Option<u64>)> {
        let id = self.objects.of(lease.object()).next()?;
        let copy = self.copies.get(&CopyId(id))?;
        Some((copy.parts.received(), copy.plan.length))
    }

    /// What all copies hold here, each buffer once, by its address.
    #[cfg(test)]
    pub(crate) fn held(&self) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::new();
        for copy in self.copies.values() {
            copy.parts.held(&mut found);
        }
        found
    }
}

fn flowing(copies: &mut BTreeMap<CopyId, Copied>, id: CopyId) -> Option<&mut Copied> {
    copies.get_mut(&id).filter(|copy| copy.flow == Flow::Flowing)
}

/// What follows where an object was wanted, and is not fetched.
fn not_fetched(plan: &Plan, why: NotStored) -> Vec<Effect> {
    let (url, client) = (plan.url.as_str(), plan.client);
    let line = plan.report.line(&Outcome::NotFetched { url, client, why });
    let lease = plan.lease();
    let counted = Effect::Measure(plan.ended(Err(why)), 1);
    vec![counted, Effect::Log(line), Effect::Release(lease)]
}
