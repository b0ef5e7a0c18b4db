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
//! An object becomes visible by one request, Putting or Completing, and neither is sent before its
//! last byte has arrived and the length is the one announced. What the client gets does not depend
//! on any of this. Performs nothing: events and the time in, effects out.

mod part;
#[cfg(test)]
mod tests;
mod upload;

use std::rc::Rc;

use self::part::Parts;
use self::upload::Upload;
use crate::configuration::Configuration;
use crate::http::headers::HeaderList;
use crate::metric::Metric;
use crate::reason::NotStored;
use crate::report::{Outcome, Report};
use crate::store::Target;
use crate::worker::{CallAnswer, CallId, Effect, Moment, Refusal, TICK};

/// What a store may say at most, where its words are wanted.
const MAX_WORDS: u64 = 64 * 1024;

/// A transfer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TransferId(u64);

/// What is known of an object when its first byte arrives.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: Vec<u8>,
    /// The object's own headers.
    pub headers: HeaderList,
    /// Its `x-oss-tag`.
    pub tag: String,
    /// Its URL at the origin.
    pub url: String,
    /// Its announced length.
    pub length: Option<u64>,
    /// What will be told of it.
    pub report: Report,
}

/// How the bytes of a transfer came to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The client left, or the origin broke off.
    Broken,
    /// The last byte has arrived.
    Whole,
}

/// One object on its way.
#[derive(Debug)]
struct Transfer {
    id: TransferId,
    plan: Plan,
    parts: Parts,
    flow: Flow,
    upload: Upload,
}

/// The origin's side of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flow {
    /// More bytes may come.
    Flowing,
    /// It will not be stored.
    Lost(NotStored),
    /// All bytes have come.
    Whole,
}

/// The transfers of one VM.
#[derive(Debug)]
pub struct Transfers {
    configuration: Rc<Configuration>,
    next_id: u64,
    next_call: u64,
    transfers: Vec<Transfer>,
    ticking: bool,
}

impl Transfers {
    /// None yet.
    #[must_use]
    pub const fn new(configuration: Rc<Configuration>) -> Self {
        Self { configuration, next_id: 0, next_call: 0, transfers: Vec::new(), ticking: false }
    }

    /// An object begins to arrive. `None` when it is under way already, or cannot be kept as it
    /// came: then its bytes are the client's alone.
    pub fn begin(&mut self, plan: Plan) -> Option<TransferId> {
        let under_way = |transfer: &Transfer| {
            transfer.plan.bucket == plan.bucket && transfer.plan.key == plan.key
        };
        let kept = plan.headers.texts().count() == plan.headers.iter().count();
        if !kept || self.transfers.iter().any(under_way) {
            return None;
        }
        self.next_id += 1;
        let id = TransferId(self.next_id);
        let parts = Parts::new(self.configuration.limits.part_bytes, plan.length);
        let transfer = Transfer { id, plan, parts, flow: Flow::Flowing, upload: Upload::Absent };
        self.transfers.push(transfer);
        Some(id)
    }

    /// Whether the bytes of a transfer are still wanted.
    #[must_use]
    pub fn wants_bytes(&self, id: TransferId) -> bool {
        self.transfers
            .iter()
            .any(|transfer| transfer.id == id && transfer.flow == Flow::Flowing)
    }

    /// Bytes of a transfer have arrived.
    pub fn on_bytes(&mut self, id: TransferId, bytes: &[u8]) -> Vec<Effect> {
        self.make_room(bytes.len());
        let mut effects = Vec::new();
        if let Some(transfer) = self.flowing(id)
            && transfer.parts.push(bytes)
        {
            effects.push(Effect::Wake);
        }
        effects
    }

    /// No more bytes will come.
    pub fn on_end(&mut self, id: TransferId, end: End) -> Vec<Effect> {
        let Some(transfer) = self.flowing(id) else { return Vec::new() };
        let found = transfer.parts.received();
        match (end, transfer.plan.length) {
            (End::Broken, _) => {
                transfer.lose(NotStored::Broken);
            }
            (End::Whole, Some(expected)) if expected != found => {
                transfer.lose(NotStored::Length { expected, found });
            }
            (End::Whole, _) => {
                transfer.parts.finish();
                transfer.flow = Flow::Whole;
            }
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
        self.on_wake(now)
    }

    /// How much of an answer's body is to be read out of the host: all of it, or nothing.
    #[must_use]
    pub fn wants_body(&self, call: CallId, body_bytes: u64) -> bool {
        body_bytes <= MAX_WORDS
            && self.transfers.iter().any(|transfer| transfer.upload.wants_words(call))
    }

    /// A callout has been answered, or has failed in the host.
    pub fn on_call_answer(
        &mut self,
        call: CallId,
        answer: &CallAnswer,
        now: Moment,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for transfer in &mut self.transfers {
            transfer.on_answer(call, answer, now, &mut effects);
        }
        self.turn(now, &mut effects);
        effects
    }

    /// A callout was not sent.
    pub fn on_call_refused(&mut self, call: CallId, why: Refusal, now: Moment) -> Vec<Effect> {
        match why {
            Refusal::NoCluster => {
                let mut effects = Vec::new();
                for transfer in &mut self.transfers {
                    transfer.on_no_cluster(call);
                }
                self.turn(now, &mut effects);
                effects
            }
            Refusal::NoHost => self.on_call_answer(call, &CallAnswer::default(), now),
        }
    }

    /// Sends what is due, and lets go of what is over.
    fn turn(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let timeout = self.configuration.timeouts.store;
        for transfer in &mut self.transfers {
            let Some(bucket) = self.configuration.bucket(&transfer.plan.bucket) else { continue };
            let target = Target {
                bucket,
                key: &transfer.plan.key,
                headers: &transfer.plan.headers,
                tag: &transfer.plan.tag,
            };
            let calls = transfer.upload.advance(&mut transfer.parts, transfer.flow, now, || {
                self.next_call += 1;
                CallId::new(self.next_call)
            });
            for (id, step) in calls {
                let call = step.call(&target, timeout);
                effects.push(Effect::Call(id, call));
            }
        }
        self.transfers.retain(|transfer| {
            let Some(result) = transfer.upload.is_over(transfer.flow) else { return true };
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
        let waits = self.transfers.iter().any(|transfer| transfer.upload.waits());
        if waits != self.ticking {
            self.ticking = waits;
            effects.push(Effect::Tick(waits.then_some(TICK)));
        }
    }

    /// Gives up the newest transfers until so many more bytes can be held.
    fn make_room(&mut self, more: usize) {
        let limit = usize::try_from(self.configuration.limits.memory_bytes).unwrap_or(usize::MAX);
        let held = |transfers: &[Transfer]| -> usize {
            transfers.iter().map(|transfer| transfer.parts.held()).sum()
        };
        while held(&self.transfers).saturating_add(more) > limit {
            let holding = |transfer: &&mut Transfer| transfer.parts.held() > 0;
            let Some(newest) = self.transfers.iter_mut().rev().find(holding) else { return };
            newest.lose(NotStored::NoMemory);
        }
    }

    fn flowing(&mut self, id: TransferId) -> Option<&mut Transfer> {
        self.transfers
            .iter_mut()
            .find(|transfer| transfer.id == id && transfer.flow == Flow::Flowing)
    }
}

impl Transfer {
    fn on_answer(
        &mut self,
        call: CallId,
        answer: &CallAnswer,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let failed = match self.parts.on_answer(call, answer, now) {
            Some(result) => result.err(),
            None => self.upload.on_answer(call, answer, now, effects),
        };
        if let Some(why) = failed {
            self.lose(why);
        }
    }

    fn on_no_cluster(&mut self, call: CallId) {
        if self.parts.has(call) || self.upload.has(call) {
            self.lose(NotStored::NoCluster);
        }
    }

    /// The object will not be stored: what is held of it is let go, the first reason stays.
    fn lose(&mut self, why: NotStored) {
        if !matches!(self.flow, Flow::Lost(_)) {
            self.flow = Flow::Lost(why);
        }
        self.parts.give_up();
    }
}
