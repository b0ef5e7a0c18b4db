//! One object on its way: what the client's stream, its own fetch and the store make of it.

use super::part::Parts;
use super::pull::{Pull, Pulled};
use super::upload::Upload;
use super::{Plan, TransferId};
use crate::configuration::Configuration;
use crate::http::headers::Headers;
use crate::origin::Trail;
use crate::reason::NotStored;
use crate::store;
use crate::worker::{CallAnswer, CallId, Effect, Moment};

/// One object on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) id: TransferId,
    pub(super) plan: Plan,
    pub(super) parts: Parts,
    pub(super) flow: Flow,
    /// Where it comes from.
    pub(super) trail: Trail,
    /// The fetch of its own, where there is one.
    pub(super) pull: Option<Pull>,
    pub(super) upload: Upload,
    /// When its lease is to be renewed.
    pub(super) renewal: Moment,
}

/// The origin's side of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flow {
    /// More bytes may come.
    Flowing,
    /// It will not be stored.
    Lost(NotStored),
    /// It is fetched for itself.
    Pulling,
    /// All bytes have come.
    Whole,
}

impl Transfer {
    pub(super) fn on_answer(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        now: Moment,
        configuration: &Configuration,
        effects: &mut Vec<Effect>,
    ) {
        let failed = match self.parts.on_answer(call, &answer, now) {
            Some(result) => result.err(),
            None if self.pulls(call) => self.on_range(answer, configuration, now),
            None => {
                let (size, tag) = (self.parts.received(), &self.plan.tag);
                let patience = configuration.timeouts.store;
                let is_ours = |found: &Headers| store::is_same(found, size, tag);
                self.upload.on_answer(call, &answer, now, patience, is_ours, effects)
            }
        };
        if let Some(why) = failed {
            self.lose(why);
        }
    }

    /// A range of a fetch of its own has arrived; returns why the object is lost, where it is.
    fn on_range(
        &mut self,
        answer: CallAnswer,
        configuration: &Configuration,
        now: Moment,
    ) -> Option<NotStored> {
        if self.flow != Flow::Pulling {
            return None;
        }
        let pull = self.pull.as_mut()?;
        let headers = &mut self.plan.headers;
        match pull.on_answer(answer, configuration, &mut self.parts, headers, now) {
            Pulled::More => None,
            Pulled::Lost(why) => Some(why),
            Pulled::Whole => {
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

    pub(super) fn pulls(&self, call: CallId) -> bool {
        self.pull.as_ref().is_some_and(|pull| pull.has(call))
    }

    /// Whether time brings it on.
    pub(super) fn waits(&self) -> bool {
        self.flow == Flow::Pulling || self.upload.waits()
    }

    /// Whether a call is one of this transfer's.
    pub(super) fn has(&self, call: CallId) -> bool {
        self.parts.has(call) || self.upload.has(call) || self.pulls(call)
    }

    /// Whether what the store has no time for may pass, to be fetched later: the rest must be sure
    /// to be of the same object, and nobody may want a digest of all its bytes in their order.
    pub(super) fn may_pass(&self) -> bool {
        self.plan.validator.is_some() && self.plan.length.is_some() && !self.trail.origin().checks()
    }

    /// The stream has come to its end. What was let pass of it is fetched now.
    pub(super) fn end_stream(&mut self) {
        let fetched = match (&self.plan.validator, self.plan.length) {
            (Some(validator), Some(size)) if !self.parts.is_complete() => {
                Some(Pull::resume(self.trail.clone(), validator.clone(), size))
            }
            (Some(_) | None, _) => None,
        };
        match fetched {
            Some(pull) => {
                self.parts.finish();
                self.pull = Some(pull);
                self.flow = Flow::Pulling;
            }
            None => self.end_whole(),
        }
    }

    /// The stream is not copied any further; the rest is fetched for itself, where it is sure to
    /// be the rest of the same object.
    pub(super) fn suspend(&mut self, why: NotStored) {
        self.parts.rewind();
        let received = self.parts.received();
        let pull = match (&self.plan.validator, self.plan.length) {
            _ if received == 0 => Pull::new(self.trail.clone()),
            (Some(validator), Some(size)) => {
                Pull::resume(self.trail.clone(), validator.clone(), size)
            }
            (None, _) | (_, None) => return self.lose(why),
        };
        self.pull = Some(pull);
        self.flow = Flow::Pulling;
    }

    /// The object will not be stored: what is held of it is let go, the first reason stays.
    pub(super) fn lose(&mut self, why: NotStored) {
        if !matches!(self.flow, Flow::Lost(_)) {
            self.flow = Flow::Lost(why);
        }
        self.parts.give_up();
    }
}
