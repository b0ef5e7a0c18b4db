//! The engine of one VM: events and the time come in, effects go out.
//!
//! It owns what is under way, whichever path its objects take: callouts fetch whole objects,
//! [`MissStream`](crate::streaming::MissStream)s see them stream by, and copies bring either into
//! the bucket.

use std::rc::Rc;
use std::time::Duration;

use crate::absence;
use crate::account::Account;
use crate::callout::{ANSWERS_PER_TURN, Callouts, Parts};
use crate::coalescing::{self, Coalescing, Follower, Gone, Joined};
use crate::conclusion::Conclusion;
use crate::configuration::{Bucket, Configuration};
use crate::copy::{Copies, CopyId, End, NotBegun, Plan};
use crate::decision::Doubt;
use crate::gauges::Gauges;
use crate::host::{
    Booked, CallAnswer, CallId, Calls, DispatchError, Effect, StreamId, TICK, Turn, conclude,
};
use crate::http::headers::HeaderList;
use crate::in_flight::{AttemptId, Expected, InFlight, Returning, Sent, comes_back};
use crate::lease::Lease;
use crate::markers::Markers;
use crate::metric::Metric;
use crate::miss::{Miss, Sequence};
use crate::origin::{Health, Next, Route, Verdict};
use crate::quota::{Quota, Streamed, Whose};
use crate::reason::MirrorFailure;
use crate::shared::{self, SharedData, TRIES};
use crate::store::upload::Late;
use crate::time::Moment;
use crate::tombstone::{self, Tombstone};
use crate::written::{Change, Changed};

/// What has become of a request that waited for another one's object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Went {
    /// It has been answered.
    Nowhere,
    /// A server is asked.
    On,
}

/// The engine of one VM.
#[derive(Debug)]
pub struct Engine {
    configuration: Rc<Configuration>,
    account: Account,
    calls: Calls,
    callouts: Callouts,
    coalescing: Coalescing,
    copies: Copies,
    markers: Markers,
    gauges: Gauges,
    health: Health,
    returning: Returning,
    streamed: Streamed,
    /// Routes whose origin is to be probed.
    probing: Vec<Route>,
    /// How often time is told.
    ticking: Option<Duration>,
    /// When the last turn was.
    latest: Moment,
}

impl Engine {
    /// An engine with nothing to do.
    #[must_use]
    pub fn new(configuration: Rc<Configuration>) -> Self {
        let account = Account::new(&configuration.limits, configuration.path);
        let largest = configuration.limits.object_bytes;
        let markers = Markers::new(&configuration);
        Self {
            configuration,
            calls: Calls::default(),
            callouts: Callouts::new(account.clone(), largest),
            coalescing: Coalescing::default(),
            copies: Copies::new(account.clone()),
            markers,
            account,
            gauges: Gauges::default(),
            health: Health::default(),
            returning: Returning::default(),
            streamed: Streamed::default(),
            probing: Vec::new(),
            ticking: None,
            latest: Moment::default(),
        }
    }

    /// What it was told.
    #[must_use]
    pub fn configuration(&self) -> Rc<Configuration> {
        Rc::clone(&self.configuration)
    }

    /// The memory that objects take.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// What is held, by looking at whoever holds it; and what the host holds for each callout.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, Vec<crate::account::Usage>) {
        let mut found = self.copies.held();
        self.callouts.held(&mut found);
        let answering = self.callouts.answering();
        let answering = answering.map(|there| crate::account::Usage { here: 0, there });
        (found.values().sum(), self.calls.booked().chain(answering).collect())
    }

    /// Whether nothing is under way, and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let is_idle = self.callouts.is_idle() && self.copies.is_idle() && self.markers.is_idle();
        is_idle && self.returning.is_empty()
    }

    /// It begins: whether time is told of by itself.
    pub fn start(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.keep_time(&mut effects);
        effects
    }

    /// An object has been written or deleted by a client, through this host.
    pub fn on_changed(
        &mut self,
        changed: &Changed,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> Vec<Effect> {
        let Changed { bucket, key, change } = changed;
        let lease = Lease::of(bucket, key);
        absence::forget(&lease, now, shared);
        shared::change(shared, &lease.written(), TRIES, &mut |_| Some(lease.write(now)));
        let mut effects = Vec::new();
        let keeps = |bucket: &Bucket| bucket.tombstones.is_some();
        // Markers have none themselves, whoever writes them.
        let is_marker = key.starts_with(tombstone::PREFIX.as_bytes());
        if is_marker || !self.configuration.bucket(bucket).is_some_and(keeps) {
            return effects;
        }
        let tombstone = Tombstone::of(bucket, key);
        let line = match change {
            Change::Deleted => {
                tombstone.mark(now, shared);
                self.markers.on_changed(tombstone, key, Some(now.0.as_secs()))
            }
            Change::Written => {
                let is_to_go = tombstone.clear(now, shared);
                if is_to_go { self.markers.on_changed(tombstone, key, None) } else { None }
            }
            Change::Touched => None,
        };
        effects.extend(line.map(Effect::Log));
        if !self.markers.is_idle() {
            effects.push(Effect::Wake);
            self.keep_time(&mut effects);
        }
        effects
    }

    /// Counts requests on from a number that no other root has.
    pub const fn count_from(&mut self, number: u64) {
        self.callouts.count_from(number);
    }

    /// The place of a request that begins now.
    pub const fn sequence(&mut self) -> Sequence {
        self.callouts.sequence()
    }

    /// A stream's response is held for an object.
    pub fn on_miss(&mut self, stream: StreamId, miss: Miss) -> Vec<Effect> {
        self.gauges.on_miss(&miss.request.bucket);
        self.callouts.on_miss(stream, miss)
    }

    /// A stream's response is held until it is known whether the bucket lacks the object.
    pub fn on_doubt(&mut self, stream: StreamId, doubt: Box<Doubt>) -> Vec<Effect> {
        self.callouts.on_doubt(stream, doubt)
    }

    /// An object is to be fetched by a callout, for which nobody waits.
    pub fn on_wanted(&mut self, miss: Miss) -> Vec<Effect> {
        self.gauges.on_miss(&miss.request.bucket);
        self.callouts.on_wanted(miss)
    }

    /// A stream has ended: its client has everything, or has left.
    pub fn on_stream_end(&mut self, stream: StreamId) -> Vec<Effect> {
        self.callouts.on_stream_end(stream);
        let mut effects = Vec::new();
        self.gauges.on_held(&self.account, &mut effects);
        self.relieve(&mut effects);
        effects
    }

    /// Whether the body of a stream's held response is to be thrown away.
    #[must_use]
    pub fn discards_body(&self, stream: StreamId) -> bool {
        self.callouts.discards_body(stream)
    }

    /// The root has its turn.
    pub fn on_wake(&mut self, now: Moment) -> Vec<Effect> {
        self.turn(now, |callouts, parts, turn| callouts.on_wake(parts, turn.now))
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Moment) -> Vec<Effect> {
        self.returning.on_tick(now);
        self.turn(now, |callouts, parts, turn| {
            // Where the root could not be woken, nobody else tells it of who has come.
            callouts.on_wake(parts, turn.now);
            callouts.on_tick(parts, turn);
        })
    }

    /// The root could not be woken: time is told until it has had its turn.
    pub fn on_not_woken(&mut self) -> Vec<Effect> {
        if self.ticking.is_some() {
            return Vec::new();
        }
        self.ticking = Some(TICK);
        vec![Effect::Tick(self.ticking)]
    }

    /// Whether the body of an answer is to be read out of the host: all of it, or nothing. Where it
    /// is, there is memory for it.
    pub fn wants_body(&mut self, call: CallId, body_bytes: u64) -> bool {
        let Self { callouts, calls, copies, configuration, latest, .. } = self;
        if let Some(wants) = self.markers.wants_body(call, body_bytes) {
            return wants;
        }
        let booked = calls.answer(call);
        let object_bytes = configuration.limits.object_bytes;
        if copies.has(call) {
            return copies.wants_body(call, body_bytes, object_bytes, booked);
        }
        let late = Late { now: *latest, patience: configuration.timeouts.store };
        callouts.wants_body(call, body_bytes, object_bytes, booked, copies, late)
    }

    /// A callout has been answered, or has failed in the host.
    pub fn on_call_answer(&mut self, call: CallId, answer: CallAnswer, now: Moment) -> Vec<Effect> {
        // The host holds body and answer until it has returned from here.
        let mut booked = self.calls.close(call);
        if self.markers.has(call) {
            return self.on_marker(call, Some(&answer), now);
        }
        let mut effects = self.turn(now, |callouts, parts, turn| {
            if parts.health.on_answer(call, answer.headers.status()) {
                return;
            }
            let booked = match &mut booked {
                Some(Booked::Answer(booking)) => Some(booking),
                Some(Booked::Body(_)) | None => None,
            };
            if parts.copies.has(call) {
                parts.copies.on_call_answer(call, answer, booked, parts.health, turn);
            } else {
                callouts.on_call_answer(call, answer, booked, parts, turn);
            }
        });
        drop(booked);
        self.gauges.on_held(&self.account, &mut effects);
        self.relieve(&mut effects);
        effects
    }

    /// A callout was not sent.
    pub fn on_call_refused(
        &mut self,
        call: CallId,
        why: DispatchError,
        now: Moment,
    ) -> Vec<Effect> {
        drop(self.calls.close(call));
        if self.markers.has(call) {
            return self.on_marker(call, None, now);
        }
        self.turn(now, |callouts, parts, turn| {
            if parts.health.on_answer(call, None) {
                return;
            }
            if parts.copies.has(call) {
                parts.copies.on_call_refused(call, why, parts.health, turn);
            } else {
                callouts.on_call_refused(call, why, parts, turn);
            }
        })
    }

    /// The store has answered to a request about a marker, or was not heard.
    fn on_marker(&mut self, call: CallId, answer: Option<&CallAnswer>, now: Moment) -> Vec<Effect> {
        let line = self.markers.on_answer(call, answer, now);
        let mut effects = self.turn(now, |_, _, _| {});
        effects.extend(line.map(Effect::Log));
        effects
    }

    /// An object begins to stream, for a request that began at `since`; its lease is ours.
    ///
    /// # Errors
    ///
    /// It is not copied; the effects say why.
    pub fn begin(
        &mut self,
        plan: Plan,
        route: Route,
        since: Moment,
    ) -> Result<CopyId, Vec<Effect>> {
        let now = since.max(self.latest);
        match self.copies.admit_stream(&plan, since, now) {
            Ok(parts) => Ok(self.copies.begin(plan, parts, route, now)),
            Err(NotBegun::Because(why)) => {
                let line = Effect::Log(plan.not_stored(why));
                let release = Effect::Release(plan.lease());
                Err(vec![Effect::Measure(plan.ended(Err(why)), 1), line, release])
            }
            Err(NotBegun::Known) => Err(vec![Effect::Log(plan.shared())]),
        }
    }

    /// An object is wanted that does not stream whole, by a request that began at `since`; its
    /// lease is ours. It is fetched for itself, in its turn.
    pub fn backfill(&mut self, plan: Plan, route: Route, since: Moment) -> Vec<Effect> {
        self.copies.backfill(plan, route, since)
    }

    /// An object is wanted whose GET is likely to follow, behind a request that began at `since`.
    pub(crate) fn await_stream(&mut self, plan: Plan, route: Route, since: Moment) -> Vec<Effect> {
        let patience = self.configuration.timeouts.get_after_head;
        let until = since.max(self.latest).after(patience);
        self.copies.await_stream(plan, route, since, until)
    }

    /// Whether a lease is ours that was asked for.
    pub fn on_lease(&mut self, lease: &Lease, is_ours: bool) -> Vec<Effect> {
        self.copies.on_lease(lease, is_ours)
    }

    /// Whether bytes of a copy that come next are wanted. Where they are not, they pass.
    pub fn wants_bytes(&mut self, copy: CopyId, count: usize) -> bool {
        self.copies.wants_bytes(copy, count)
    }

    /// Bytes of a copy have arrived that are wanted.
    pub fn on_bytes(&mut self, copy: CopyId, bytes: &[u8]) -> Vec<Effect> {
        wake(self.copies.on_bytes(copy, bytes) || self.account.take_relief())
    }

    /// No more bytes of a copy will come.
    pub fn on_end(&mut self, copy: CopyId, end: End) -> Vec<Effect> {
        wake(self.copies.on_end(copy, end) || self.account.take_relief())
    }

    /// A request misses an object that others may miss at the same time, and may wait.
    pub(crate) fn join(
        &mut self,
        bucket: &str,
        lease: &Lease,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> Joined {
        let patience = self.configuration.timeouts.coalesce;
        // What will not be stored is worth no waiting.
        if patience.is_zero() || self.copies.rests(bucket, now) {
            return Joined::Alone;
        }
        self.coalescing.join(lease, patience, now, shared)
    }

    /// A request waits for the object of another one.
    pub(crate) fn wait(&mut self, stream: StreamId, follower: Follower) -> Vec<Effect> {
        self.coalescing.wait(stream, follower);
        let mut effects = Vec::new();
        self.keep_time(&mut effects);
        effects
    }

    /// Where a request has gone that waited; `None` where it has not, and does not wait any more.
    pub(crate) fn gone(&mut self, stream: StreamId) -> Option<Gone> {
        self.coalescing.gone(stream)
    }

    /// The object of one who leads is on its way.
    pub(crate) fn on_led_answered(&mut self, lease: &Lease) {
        self.coalescing.on_answered(lease);
    }

    /// The fetch of an object has ended, or nobody need wait for it.
    pub(crate) fn settle(&mut self, lease: Lease, is_stored: bool, effects: &mut Vec<Effect>) {
        if self.coalescing.end(&lease) {
            effects.push(Effect::Settle(lease, is_stored));
        }
    }

    /// The same of one that is not stored, where it was one that others wait for.
    pub(crate) fn settle_alone(&mut self, led: Option<Lease>, effects: &mut Vec<Effect>) {
        if let Some(lease) = led {
            self.settle(lease, false, effects);
        }
    }

    /// Keeps for all workers how the fetch of an object has ended: whether the bucket has it now.
    /// Where it has, those here that wait for it go there; where not, time tells them.
    pub fn keep_settled(
        &mut self,
        lease: &Lease,
        is_stored: bool,
        shared: &mut dyn SharedData,
        now: Moment,
    ) -> Vec<Effect> {
        let patience = self.configuration.timeouts.coalesce;
        coalescing::settle(lease, is_stored, patience, now, shared);
        let mut effects = Vec::new();
        if is_stored {
            for (stream, follower) in self.coalescing.release(lease) {
                self.go(stream, follower, is_stored, now, shared, &mut effects);
            }
        }
        self.keep_time(&mut effects);
        effects
    }

    /// Time has passed for those who wait for others' objects.
    pub fn on_time(&mut self, shared: &mut dyn SharedData, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        for lease in self.coalescing.hopeless(now, |lease| self.copies.progress(lease)) {
            self.settle(lease, false, &mut effects);
        }
        self.markers.on_time(&self.configuration, now, shared, &mut effects);
        let mut answers = 0;
        for (stream, follower, is_stored) in self.coalescing.due(now, shared) {
            if answers >= ANSWERS_PER_TURN {
                self.coalescing.wait(stream, follower);
            } else {
                let went = self.go(stream, follower, is_stored, now, shared, &mut effects);
                answers += usize::from(went == Went::Nowhere);
            }
        }
        self.keep_time(&mut effects);
        effects
    }

    /// A request goes on that has waited: to the bucket, or to the origin, unless that is known to
    /// have nothing either.
    fn go(
        &mut self,
        stream: StreamId,
        follower: Follower,
        is_stored: bool,
        now: Moment,
        shared: &mut dyn SharedData,
        effects: &mut Vec<Effect>,
    ) -> Went {
        let Follower { asked, again, root, .. } = follower;
        let answer = |conclusion, effects: &mut Vec<Effect>| {
            let reply = conclude(stream, conclusion, effects);
            effects.push(Effect::Answer(stream, reply));
            Went::Nowhere
        };
        let (gone, headers) = if is_stored {
            let (asked, attempt, headers) = self.ask_bucket(asked, again, root);
            (Gone::ToBucket(asked, attempt), headers)
        } else {
            if let Some(conclusion) = asked.absent_lately(&self.configuration, now, shared) {
                return answer(conclusion, effects);
            }
            match self.send(asked, root, now, shared, effects) {
                Ok(Sent { asked, attempt, headers }) => (Gone::ToOrigin(asked, attempt), headers),
                Err(conclusion) => return answer(*conclusion, effects),
            }
        };
        self.coalescing.go(stream, gone);
        effects.push(Effect::Send(stream, headers));
        Went::On
    }

    /// Makes a request one to the bucket, which has the object by now. Where it has not, the request
    /// comes back.
    pub(crate) fn ask_bucket(
        &mut self,
        asked: InFlight,
        mut again: HeaderList,
        root: u64,
    ) -> (Rc<InFlight>, AttemptId, HeaderList) {
        let asked = Rc::new(asked);
        let attempt = self.returning.add(Expected::Coalesced(Rc::clone(&asked)));
        comes_back(&mut again, &attempt.name(root), "404");
        (asked, attempt, again)
    }

    /// A request has come to the miss route that its bucket could not answer.
    pub(crate) fn on_missed(&mut self, bucket: &str, now: Moment) -> Option<Effect> {
        self.gauges.on_miss_at(bucket, now)
    }

    /// Makes a request one to its origin.
    ///
    /// # Errors
    ///
    /// It is not sent there: what its client gets.
    pub(crate) fn send(
        &mut self,
        mut asked: InFlight,
        root: u64,
        now: Moment,
        shared: &mut dyn SharedData,
        effects: &mut Vec<Effect>,
    ) -> Result<Sent, Box<Conclusion>> {
        let quotas = asked.quotas(&self.configuration);
        (asked.sent, asked.paced) = (Some(now), quotas.bits.clone());
        asked.counted = quotas.counted(&self.configuration);
        let admitted = asked.route.admit(&mut self.health, now).and_then(|()| {
            let paid = quotas.fare(Whose::Clients, 0).pay(now, shared);
            paid.map_err(MirrorFailure::limited)
        });
        if let Err(failure) = admitted {
            let lease = asked.leads.then(|| asked.lease());
            self.settle_alone(lease, effects);
            return Err(Box::new(asked.last_word(&Verdict::Failed(failure))));
        }
        let fetches = asked.miss.of_origin(Metric::Fetches, asked.route.current());
        effects.push(Effect::Measure(fetches, 1));
        let standard = self.configuration.timeouts.origin;
        Ok(asked.send(&mut self.returning, root, standard))
    }

    /// What an answer that did not come back, or its absence, says of its origin.
    pub(crate) fn on_heard(&mut self, origin: &str, is_well: bool, now: Moment) {
        let breaker = self.configuration.breaker;
        self.health.on_verdict(origin, Some(is_well), breaker, now);
    }

    /// Bytes have streamed from an origin to a client.
    pub fn on_streamed(
        &mut self,
        quota: &Quota,
        bytes: u64,
        now: impl FnOnce() -> Moment,
        shared: &mut dyn SharedData,
    ) {
        self.streamed.add(quota, bytes, now, shared);
    }

    /// The multipart upload by which a copy goes into the bucket, where its id is known.
    pub(crate) fn upload(&self, copy: CopyId) -> Option<&str> {
        self.copies.upload(copy)
    }

    pub(crate) const fn returning(&mut self) -> &mut Returning {
        &mut self.returning
    }

    /// An attempt's stream is gone: it comes back now, or never.
    pub(crate) fn expect_soon(&mut self, attempt: AttemptId, now: Moment) -> Vec<Effect> {
        self.returning.expect_soon(attempt, now);
        let mut effects = Vec::new();
        self.keep_time(&mut effects);
        effects
    }

    /// Puts those of a route's origins first that are well; the root probes the first one.
    pub(crate) fn prefer_well(&mut self, route: &mut Route, now: Moment) -> Vec<Effect> {
        if !route.has_others() {
            return Vec::new();
        }
        self.probing.push(route.clone());
        route.prefer_well(&self.health, now);
        vec![Effect::Wake]
    }

    /// What comes after an origin's answer.
    pub(crate) fn next(&mut self, route: &mut Route, verdict: Verdict, now: Moment) -> Next {
        route.on_verdict(verdict, &self.configuration, &mut self.health, now)
    }

    /// One turn of the root: what has happened, and then whatever is due.
    fn turn(
        &mut self,
        now: Moment,
        happen: impl FnOnce(&mut Callouts, &mut Parts<'_>, &mut Turn<'_>),
    ) -> Vec<Effect> {
        self.latest = self.latest.max(now);
        let Self {
            configuration, calls, callouts, copies, markers, health, probing, account, ..
        } = self;
        let mut effects = Vec::new();
        let mut turn = Turn { now, configuration, calls, effects: &mut effects };
        let mut parts = Parts { copies, health };
        happen(callouts, &mut parts, &mut turn);
        for route in std::mem::take(probing) {
            parts.health.probe_beside(&route, &mut turn);
        }
        callouts.advance(&mut parts, &mut turn);
        parts.copies.advance(&mut turn);
        markers.advance(account, &mut turn);
        callouts.on_copies_ended(parts.copies.take_ended(), &mut turn);
        for (lease, is_stored) in self.copies.take_over() {
            self.settle(lease, is_stored, &mut effects);
        }
        self.gauges.on_turn(now, &self.account, &mut effects);
        self.keep_time(&mut effects);
        self.relieve(&mut effects);
        effects
    }

    /// Memory has come free for which somebody waits: there is another turn.
    fn relieve(&self, effects: &mut Vec<Effect>) {
        if self.account.take_relief() {
            effects.push(Effect::Wake);
        }
    }

    /// Has time told while something waits for it.
    fn keep_time(&mut self, effects: &mut Vec<Effect>) {
        let waits = self.callouts.waits() || self.copies.waits() || self.returning.waits();
        let waits = waits || self.markers.waits();
        let period = if self.coalescing.waits() {
            Some(coalescing::TICK)
        } else if waits {
            Some(TICK)
        } else {
            self.markers.watches()
        };
        if period != self.ticking {
            self.ticking = period;
            effects.push(Effect::Tick(period));
        }
    }
}

fn wake(is_due: bool) -> Vec<Effect> {
    if is_due { vec![Effect::Wake] } else { Vec::new() }
}
