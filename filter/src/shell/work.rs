//! What a VM's root has to do, by the side of the gateway it stands on.

use std::rc::Rc;

use crate::configuration::{Configuration, Role};
use crate::transfer::Transfers;
use crate::worker::{CallAnswer, CallId, Effect, Moment, Refusal, Worker};

/// The work of one VM.
#[derive(Debug)]
pub(super) enum Work {
    /// On the clients' side.
    Gateway(Worker),
    /// On the origins' side.
    Origin(Transfers),
}

impl Work {
    /// Nothing to do yet, in the configured role.
    pub(super) fn new(configuration: Rc<Configuration>) -> Self {
        match configuration.role {
            Role::Gateway => Self::Gateway(Worker::new(configuration)),
            Role::Origin => Self::Origin(Transfers::new(configuration)),
        }
    }

    /// The work on the clients' side, where this is it.
    pub(super) const fn gateway(&mut self) -> Option<&mut Worker> {
        match self {
            Self::Gateway(worker) => Some(worker),
            Self::Origin(_) => None,
        }
    }

    /// The work on the origins' side, where this is it.
    pub(super) const fn origin(&mut self) -> Option<&mut Transfers> {
        match self {
            Self::Gateway(_) => None,
            Self::Origin(transfers) => Some(transfers),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Gateway(worker) => worker.is_idle(),
            Self::Origin(transfers) => transfers.is_idle(),
        }
    }

    /// The root has its turn.
    pub(super) fn on_wake(&mut self, now: Moment) -> Vec<Effect> {
        match self {
            Self::Gateway(worker) => worker.on_wake(now),
            Self::Origin(transfers) => transfers.on_wake(now),
        }
    }

    /// Time has passed.
    pub(super) fn on_tick(&mut self, now: Moment) -> Vec<Effect> {
        match self {
            Self::Gateway(worker) => worker.on_tick(now),
            Self::Origin(transfers) => transfers.on_tick(now),
        }
    }

    /// Whether an answer's body is to be read out of the host.
    pub(super) fn wants_body(&self, call: CallId, body_bytes: u64) -> bool {
        match self {
            Self::Gateway(worker) => worker.wants_body(call, body_bytes),
            Self::Origin(transfers) => transfers.wants_body(call, body_bytes),
        }
    }

    /// A callout has been answered, or has failed in the host.
    pub(super) fn on_call_answer(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        now: Moment,
    ) -> Vec<Effect> {
        match self {
            Self::Gateway(worker) => worker.on_call_answer(call, answer, now),
            Self::Origin(transfers) => transfers.on_call_answer(call, answer, now),
        }
    }

    /// A callout was not sent.
    pub(super) fn on_call_refused(
        &mut self,
        call: CallId,
        why: Refusal,
        now: Moment,
    ) -> Vec<Effect> {
        match self {
            Self::Gateway(worker) => worker.on_call_refused(call, why, now),
            Self::Origin(transfers) => transfers.on_call_refused(call, why, now),
        }
    }
}
