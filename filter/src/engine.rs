//! The engine of one VM: events and the time come in, effects go out.
//!
//! It owns what is under way, whichever path its objects take: callouts fetch whole objects,
//! [`MissStream`](crate::streaming::MissStream)s see them stream by, and copies bring either into
//! the bucket.

use std::rc::Rc;

use crate::callout::{Callouts, Parts};
use crate::configuration::Configuration;
use crate::copy::{Copies, CopyId, End, Plan};
use crate::host::{CallAnswer, CallId, Calls, DispatchError, Effect, StreamId, TICK, Turn};
use crate::in_flight::{AttemptId, Returning};
use crate::metric::Metric;
use crate::miss::{Miss, Sequence};
use crate::origin::{Health, Next, Route, Verdict};
use crate::reason::NotStored;
use crate::report::Outcome;
use crate::time::Moment;

/// The engine of one VM.
#[derive(Debug)]
pub struct Engine {
    configuration: Rc<Configuration>,
    calls: Calls,
    callouts: Callouts,
    copies: Copies,
    health: Health,
    returning: Returning,
    /// Routes whose origin is to be probed.
    probing: Vec<Route>,
    ticking: bool,
}

impl Engine {
    /// An engine with nothing to do.
    #[must_use]
    pub fn new(configuration: Rc<Configuration>) -> Self {
        Self {
            configuration,
            calls: Calls::default(),
            callouts: Callouts::default(),
            copies: Copies::default(),
            health: Health::default(),
            returning: Returning::default(),
            probing: Vec::new(),
            ticking: false,
        }
    }

    /// What it was told.
    #[must_use]
    pub fn configuration(&self) -> Rc<Configuration> {
        Rc::clone(&self.configuration)
    }

    /// Whether nothing is under way, and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.callouts.is_idle() && self.copies.is_idle() && self.returning.is_empty()
    }

    /// The place of a request that begins now.
    pub const fn sequence(&mut self) -> Sequence {
        self.callouts.sequence()
    }

    /// A stream's response is held for an object.
    pub fn on_miss(&mut self, stream: StreamId, miss: Miss) -> Vec<Effect> {
        self.callouts.on_miss(stream, miss)
    }

    /// An object is to be fetched by a callout, for which nobody waits.
    pub fn on_wanted(&mut self, miss: Miss) -> Vec<Effect> {
        self.callouts.on_wanted(miss)
    }

    /// A stream has ended: its client has everything, or has left.
    pub fn on_stream_end(&mut self, stream: StreamId) -> Vec<Effect> {
        self.callouts.on_stream_end(stream)
    }

    /// Whether the body of a stream's held response is to be thrown away.
    #[must_use]
    pub fn discards_body(&self, stream: StreamId) -> bool {
        self.callouts.discards_body(stream)
    }

    /// The root has its turn.
    pub fn on_wake(&mut self, now: Moment) -> Vec<Effect> {
        self.turn(now, |callouts, _, turn| callouts.on_wake(turn.now))
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Moment) -> Vec<Effect> {
        self.returning.on_tick(now);
        self.turn(now, Callouts::on_tick)
    }

    /// Whether the body of an answer is to be read out of the host: all of it, or nothing.
    #[must_use]
    pub fn wants_body(&self, call: CallId, body_bytes: u64) -> bool {
        let limit = self.configuration.limits.object_bytes;
        self.callouts.wants_body(call, body_bytes, limit)
            || self.copies.wants_body(call, body_bytes, &self.configuration)
    }

    /// A callout has been answered, or has failed in the host.
    pub fn on_call_answer(&mut self, call: CallId, answer: CallAnswer, now: Moment) -> Vec<Effect> {
        self.turn(now, |callouts, parts, turn| {
            if parts.health.on_answer(call, answer.headers.status()) {
                return;
            }
            if parts.copies.has(call) {
                parts.copies.on_call_answer(call, answer, parts.health, turn);
            } else {
                callouts.on_call_answer(call, answer, parts, turn);
            }
        })
    }

    /// A callout was not sent.
    pub fn on_call_refused(
        &mut self,
        call: CallId,
        why: DispatchError,
        now: Moment,
    ) -> Vec<Effect> {
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
        // What cannot be said to the store as the origin said it is not said differently.
        if plan.headers.texts().count() < plan.headers.iter().count() {
            let outcome = Outcome::Mirrored {
                url: &plan.url,
                bytes: plan.length,
                client: plan.client,
                stored: Some(Err(NotStored::Metadata)),
            };
            let line = plan.report.line(&outcome);
            let lease = plan.lease();
            let counted = Effect::Count(Metric::NotStored);
            return Err(vec![counted, Effect::Log(line), Effect::Release(lease)]);
        }
        let shared = plan.shared();
        let begun = self.copies.begin(plan, route, since, &self.configuration);
        begun.ok_or_else(|| vec![Effect::Log(shared)])
    }

    /// An object is wanted that does not stream whole, by a request that began at `since`; its
    /// lease is ours. It is fetched for itself, in its turn.
    pub fn backfill(&mut self, plan: Plan, route: Route, since: Moment) -> Vec<Effect> {
        self.copies.backfill(plan, route, since)
    }

    /// Whether bytes of a copy that come next are wanted. Where they are not, they pass.
    pub fn wants_bytes(&mut self, copy: CopyId, count: usize) -> bool {
        self.copies.wants_bytes(copy, count, &self.configuration)
    }

    /// Bytes of a copy have arrived that are wanted.
    pub fn on_bytes(&mut self, copy: CopyId, bytes: &[u8]) -> Vec<Effect> {
        wake(self.copies.on_bytes(copy, bytes, &self.configuration))
    }

    /// No more bytes of a copy will come.
    pub fn on_end(&mut self, copy: CopyId, end: End) -> Vec<Effect> {
        wake(self.copies.on_end(copy, end))
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
        let Self { configuration, calls, callouts, copies, health, probing, .. } = self;
        let mut effects = Vec::new();
        let mut turn = Turn { now, configuration, calls, effects: &mut effects };
        let mut parts = Parts { copies, health };
        happen(callouts, &mut parts, &mut turn);
        for route in std::mem::take(probing) {
            parts.health.probe_beside(&route, &mut turn);
        }
        callouts.advance(&mut parts, &mut turn);
        parts.copies.advance(&mut turn);
        callouts.on_copies_ended(parts.copies.take_ended(), &mut turn);
        self.keep_time(&mut effects);
        effects
    }

    /// Has time told while something waits for it.
    fn keep_time(&mut self, effects: &mut Vec<Effect>) {
        let waits = self.callouts.waits() || self.copies.waits() || self.returning.waits();
        if waits != self.ticking {
            self.ticking = waits;
            effects.push(Effect::Tick(waits.then_some(TICK)));
        }
    }
}

fn wake(is_due: bool) -> Vec<Effect> {
    if is_due { vec![Effect::Wake] } else { Vec::new() }
}
