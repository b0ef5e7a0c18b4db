//! One object on its way: what the client's stream, its own fetch and the store make of it.

use super::backfill::{Backfill, Fetched};
use super::plan::Plan;
use crate::account::Booking;
use crate::host::{CallAnswer, CallId, Turn};
use crate::http::headers::Headers;
use crate::metric::{Metric, Series};
use crate::origin::{Health, Route};
use crate::reason::NotStored;
use crate::report::Outcome;
use crate::store::part::Parts;
use crate::store::upload::{Flow, Late, Upload};
use crate::store::{self, Written};
use crate::time::Moment;

/// One object on its way.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) plan: Plan,
    pub(super) parts: Parts,
    pub(super) flow: Flow,
    /// When the first of it came, or was asked for.
    pub(super) begun: Moment,
    /// Where it comes from.
    pub(super) route: Route,
    /// The fetch of its own, where there is one.
    pub(super) backfill: Option<Backfill>,
    pub(super) upload: Upload,
    /// Whether that has been told to be open.
    pub(super) has_upload: bool,
    /// When its lease is to be renewed.
    pub(super) renewal: Moment,
    /// When time brings it on.
    pub(super) timer: Moment,
    /// The memory here that it waits for.
    pub(super) wanted: usize,
    /// The server for which it stands aside, while that keeps it waiting.
    pub(super) aside: Option<String>,
    /// Whether its store has failed to take any of it, if only for now.
    pub(super) has_failed: bool,
    /// Whether none of it has come by a client's stream.
    pub(super) is_fetched_alone: bool,
    /// Whether whoever fetched it tells of it.
    pub(super) told_elsewhere: bool,
}

impl Copied {
    pub(super) fn new(plan: Plan, parts: Parts, route: Route, flow: Flow, renewal: Moment) -> Self {
        Self {
            plan,
            parts,
            flow,
            route,
            backfill: None,
            begun: renewal,
            upload: Upload::Absent,
            has_upload: false,
            renewal,
            timer: renewal,
            wanted: 0,
            aside: None,
            has_failed: false,
            is_fetched_alone: flow == Flow::Backfilling,
            told_elsewhere: flow == Flow::Whole,
        }
    }

    /// An answer has come; `booked` is what it takes where it is a range.
    pub(super) fn on_answer(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) {
        if self.backfills(call) {
            if let Some(why) = self.on_range(answer, booked, health, turn) {
                self.lose(why);
            }
            return;
        }
        let is_check = self.upload.is_checking(call);
        self.has_failed |= !is_check && store::judge_write(&answer) != Written::Done;
        let failed = match self.parts.on_answer(call, &answer, turn.now) {
            Some(result) => result.err(),
            None => {
                let (size, tag) = (self.parts.received(), &self.plan.tag);
                let patience = turn.configuration.timeouts.store;
                let is_ours = |found: &Headers| store::is_same(found, size, tag);
                self.upload.on_answer(call, &answer, turn.now, patience, is_ours, turn.effects)
            }
        };
        if let Some(why) = failed {
            self.lose(why);
        }
        if self.upload.is_looking() {
            self.has_failed = true;
            self.parts.let_go();
        }
    }

    /// A range of a fetch of its own has arrived; returns why the object is lost, where it is.
    fn on_range(
        &mut self,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        health: &mut Health,
        turn: &mut Turn<'_>,
    ) -> Option<NotStored> {
        if self.flow != Flow::Backfilling {
            return None;
        }
        let backfill = self.backfill.as_mut()?;
        let fetched =
            Series { origin: backfill.server(), ..self.plan.series(Metric::FetchedBytes) };
        turn.measure(fetched, answer.body_bytes);
        let (parts, headers) = (&mut self.parts, &mut self.plan.headers);
        let fetched = backfill.on_answer(answer, booked, parts, headers, health, turn);
        let origin = backfill.origin();
        (self.plan.url, self.plan.tag) = (origin.url(), origin.tag());
        let names = backfill.take_unkept();
        if !names.is_empty() {
            let outcome = Outcome::Unkept { url: &self.plan.url, names: &names };
            turn.log(self.plan.report.line(&outcome));
            turn.count(self.plan.series(Metric::HeadersUnkept));
        }
        match fetched {
            Fetched::More => None,
            Fetched::Lost(why) => Some(why),
            Fetched::Whole => {
                self.end_whole();
                None
            }
        }
    }

    /// All bytes have come. They are those of the object if nothing that is known speaks against it.
    pub(super) fn end_whole(&mut self) {
        if let Some(mismatch) = self.parts.mismatch() {
            return self.lose(NotStored::Digest(mismatch));
        }
        self.parts.finish();
        self.flow = Flow::Whole;
    }

    pub(super) fn backfills(&self, call: CallId) -> bool {
        self.backfill.as_ref().is_some_and(|backfill| backfill.has(call))
    }

    /// Its own fetch, while it goes on.
    pub(super) fn fetching(&self) -> Option<&Backfill> {
        self.backfill.as_ref().filter(|_| self.flow == Flow::Backfilling)
    }

    /// When its own fetch goes on, where time brings that on.
    pub(super) fn fetch_due(&self) -> Option<Moment> {
        self.fetching().filter(|_| self.parts.has_room())?.due()
    }

    /// Whether what the store has no time for may pass, to be fetched later: the rest must be sure
    /// to be of the same object, and nobody may want a digest of all its bytes in their order.
    pub(super) fn may_pass(&self) -> bool {
        self.plan.validator.is_some()
            && self.plan.length.is_some()
            && !self.route.initial().checks()
    }

    /// The stream has come to its end. What was let pass of it is fetched now.
    pub(super) fn end_stream(&mut self) {
        let fetched = match (&self.plan.validator, self.plan.length) {
            (Some(validator), Some(size)) if !self.parts.is_complete() => {
                Some(Backfill::resume(self.route.clone(), validator.clone(), size))
            }
            (Some(_) | None, _) => None,
        };
        match fetched {
            Some(backfill) => {
                self.parts.finish();
                self.backfill = Some(backfill);
                self.flow = Flow::Backfilling;
            }
            None => self.end_whole(),
        }
    }

    /// The stream is not copied any further; the rest is fetched for itself, where it is sure to
    /// be the rest of the same object.
    pub(super) fn suspend(&mut self, why: NotStored) {
        self.parts.rewind();
        let received = self.parts.received();
        let backfill = match (&self.plan.validator, self.plan.length) {
            // Of which nothing is there begins anew, in its turn.
            (Some(validator), Some(size)) if received > 0 => {
                Backfill::resume(self.route.clone(), validator.clone(), size)
            }
            (Some(_) | None, _) => return self.lose(why),
        };
        self.backfill = Some(backfill);
        self.flow = Flow::Backfilling;
    }

    /// The object will not be stored: what is held of it is let go, the first reason stays.
    pub(super) fn lose(&mut self, why: NotStored) {
        if !matches!(self.flow, Flow::Lost(_)) {
            self.flow = Flow::Lost(why);
        }
        self.parts.give_up();
    }

    /// Lets go of its bytes before they are sent, or sent again.
    pub(super) fn give_way(&mut self, late: Late) {
        self.has_failed = true;
        if self.upload.give_up_writing(NotStored::NoMemory, late) {
            self.parts.let_go();
        } else {
            self.lose(NotStored::NoMemory);
        }
    }

    /// Whether a request to the store is not its first attempt.
    pub(super) fn is_repeated(&self, call: CallId) -> bool {
        self.parts.is_repeated(call) || self.upload.is_repeated(call)
    }

    /// The line on how it ended.
    pub(super) fn line(&self, result: Result<(), NotStored>) -> String {
        let Plan { url, client, report, .. } = &self.plan;
        let (url, client, bytes) = (url.as_str(), *client, self.parts.received());
        match result {
            Err(why) if self.is_fetched_alone && (bytes == 0 || why.is_origins()) => {
                report.line(&Outcome::NotFetched { url, client, why })
            }
            Ok(()) | Err(_) => {
                let (bytes, stored) = (Some(bytes), Some(result));
                report.line(&Outcome::Mirrored { url, bytes, client, stored })
            }
        }
    }
}
