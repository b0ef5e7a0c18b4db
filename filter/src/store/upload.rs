//! The store's side of a copy: one PutObject, or a multipart upload that is completed or
//! aborted.
//!
//! What makes an object visible may have been done though its answer was lost, and then a second
//! attempt is refused. So once there was a second one, a refusal says nothing: the object in the
//! bucket is looked at.

use std::rc::Rc;
use std::time::Duration;

use super::part::Parts;
use super::{Target, Written};
use crate::attempt::Attempt;
use crate::configuration::Timeouts;
use crate::host::{Call, CallAnswer, CallId, Effect};
use crate::http::headers::Headers;
use crate::http::percent;
use crate::reason::NotStored;
use crate::store;
use crate::time::Moment;

/// How often a bucket is looked at that does not have the object yet.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// The origin's side of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    /// More bytes may come.
    Flowing,
    /// It will not be stored.
    Lost(NotStored),
    /// It is fetched for itself.
    Backfilling,
    /// All bytes have come.
    Whole,
}

/// What the store has of an object.
#[derive(Debug)]
pub(crate) enum Upload {
    /// Nothing.
    Absent,
    /// Parts that are being taken back.
    Aborting { id: String, attempt: Attempt },
    /// Parts that are being made one.
    Completing { id: String, attempt: Attempt },
    /// Perhaps an upload.
    Creating(Attempt),
    /// Perhaps the whole object: the bucket is looked at.
    Looking {
        /// The upload, where there is one.
        id: Option<String>,
        attempt: Attempt,
        /// Until when a completion that nobody heard of may still be under way.
        until: Moment,
        /// Why the object is not stored, if it is not there.
        why: NotStored,
    },
    /// Nothing more will be asked.
    Over(Result<(), NotStored>),
    /// An upload and some of its parts.
    Open { id: String },
    /// Perhaps the whole object.
    Putting(Attempt),
}

/// A request to the store.
#[derive(Debug)]
pub(crate) enum Step {
    Abort { id: String },
    Complete { id: String, etags: Vec<String> },
    Create,
    Look,
    Part { id: String, number: u32, bytes: Rc<Vec<u8>> },
    Put { bytes: Rc<Vec<u8>> },
}

impl Step {
    /// Whether the object can be seen once it is done.
    pub(crate) const fn makes_visible(&self) -> bool {
        match self {
            Self::Complete { .. } | Self::Put { .. } => true,
            Self::Abort { .. } | Self::Create | Self::Look | Self::Part { .. } => false,
        }
    }

    pub(crate) fn call(self, target: &Target<'_>, timeouts: Timeouts) -> Call {
        let timeout = match self {
            Self::Complete { .. } | Self::Create => timeouts.multipart(),
            Self::Abort { .. } | Self::Look => timeouts.store,
            Self::Part { .. } | Self::Put { .. } => timeouts.store,
        };
        let (headers, body) = match self {
            Self::Abort { id } => (target.abort_upload(&id), None),
            Self::Complete { id, etags } => {
                let body = store::completion(&etags).into_bytes();
                (target.complete_upload(&id), Some(Rc::new(body)))
            }
            Self::Create => (target.create_upload(), None),
            Self::Look => (target.head(), None),
            Self::Part { id, number, bytes } => (target.upload_part(&id, number), Some(bytes)),
            Self::Put { bytes } => (target.put(bytes.len()), Some(bytes)),
        };
        Call {
            cluster: target.bucket.store.cluster.clone(),
            headers,
            body,
            timeout,
            unless_written: None,
        }
    }
}

impl Upload {
    /// The request that is due.
    pub(crate) fn advance(
        &mut self,
        parts: &mut Parts,
        flow: Flow,
        room: usize,
        now: Moment,
        call: impl FnOnce() -> CallId,
    ) -> Option<(CallId, Step)> {
        self.proceed(parts, flow);
        match self {
            Self::Absent | Self::Over(_) => None,
            Self::Aborting { id, attempt } => {
                let begun = attempt.begin(now, call);
                begun.map(|call| (call, Step::Abort { id: id.clone() }))
            }
            Self::Completing { id, attempt } => {
                let etags = parts.etags()?;
                let begun = attempt.begin(now, call);
                begun.map(|call| (call, Step::Complete { id: id.clone(), etags }))
            }
            Self::Creating(attempt) => attempt.begin(now, call).map(|call| (call, Step::Create)),
            Self::Looking { attempt, .. } => {
                attempt.begin(now, call).map(|call| (call, Step::Look))
            }
            Self::Open { id } => parts
                .due(room, now, call)
                .map(|(call, number, bytes)| (call, Step::Part { id: id.clone(), number, bytes })),
            Self::Putting(attempt) => {
                let bytes = parts.only()?;
                attempt.begin(now, call).map(|call| (call, Step::Put { bytes }))
            }
        }
    }

    /// The next state, where the flow or the parts ask for one.
    fn proceed(&mut self, parts: &Parts, flow: Flow) {
        let next = match (&*self, flow) {
            (Self::Absent | Self::Putting(_), Flow::Lost(why)) => Self::Over(Err(why)),
            (Self::Absent, Flow::Whole) if parts.only().is_some() => Self::Putting(Attempt::FIRST),
            (Self::Absent, Flow::Flowing | Flow::Backfilling | Flow::Whole)
                if parts.needs_upload() =>
            {
                Self::Creating(Attempt::FIRST)
            }
            (Self::Open { id } | Self::Completing { id, .. }, Flow::Lost(_))
                if parts.all_stored() =>
            {
                Self::Aborting { id: id.clone(), attempt: Attempt::FIRST }
            }
            (Self::Open { id }, Flow::Whole) if parts.all_stored() => {
                Self::Completing { id: id.clone(), attempt: Attempt::FIRST }
            }
            // An upload that is being created is answered before it can be aborted.
            (
                Self::Absent
                | Self::Aborting { .. }
                | Self::Completing { .. }
                | Self::Creating(_)
                | Self::Looking { .. }
                | Self::Open { .. }
                | Self::Over(_)
                | Self::Putting(_),
                Flow::Flowing | Flow::Lost(_) | Flow::Backfilling | Flow::Whole,
            ) => return,
        };
        *self = next;
    }

    pub(crate) fn has(&self, call: CallId) -> bool {
        match self {
            Self::Aborting { attempt, .. }
            | Self::Completing { attempt, .. }
            | Self::Creating(attempt)
            | Self::Looking { attempt, .. }
            | Self::Putting(attempt) => attempt.is(call),
            Self::Absent | Self::Open { .. } | Self::Over(_) => false,
        }
    }

    /// Whether this call is one more attempt at what makes the object visible, or at an upload.
    pub(crate) fn is_repeated(&self, call: CallId) -> bool {
        match self {
            Self::Completing { attempt, .. } | Self::Creating(attempt) | Self::Putting(attempt) => {
                attempt.is(call) && attempt.is_repeated()
            }
            Self::Aborting { .. } | Self::Looking { .. } => false,
            Self::Absent | Self::Open { .. } | Self::Over(_) => false,
        }
    }

    /// Whether an upload may come to be whose id nobody knows yet.
    pub(crate) const fn is_creating(&self) -> bool {
        matches!(self, Self::Creating(_))
    }

    /// Whether an upload may have come to be of which nobody heard: the host answered, which lacks
    /// the time that a server took, or somebody before the store did; or the id is unreadable.
    pub(crate) fn is_unconfirmed(&self, call: CallId, answer: &CallAnswer) -> bool {
        let is_lost = match answer.headers.status() {
            Some(502 | 504) | None => true,
            Some(200..=299) => created(answer).is_none(),
            Some(_) => answer.headers.get("x-envoy-upstream-service-time").is_none(),
        };
        is_lost && matches!(self, Self::Creating(attempt) if attempt.is(call))
    }

    /// Whether the body of an answer says more than its status.
    pub(crate) fn wants_words(&self, call: CallId) -> bool {
        match self {
            Self::Completing { attempt, .. } | Self::Creating(attempt) => attempt.is(call),
            Self::Aborting { .. } | Self::Looking { .. } | Self::Putting(_) => false,
            Self::Absent | Self::Open { .. } | Self::Over(_) => false,
        }
    }

    /// Takes an answer; returns why the object is lost, where it is. `is_ours` judges the headers
    /// of an object in the bucket, and `patience` is for what nobody has heard of.
    pub(crate) fn on_answer(
        &mut self,
        call: CallId,
        answer: &CallAnswer,
        now: Moment,
        patience: Duration,
        is_ours: impl FnOnce(&Headers) -> bool,
        effects: &mut Vec<Effect>,
    ) -> Option<NotStored> {
        if !self.has(call) {
            return None;
        }
        let status = answer.headers.status();
        let written = store::judge(status);
        match self {
            Self::Absent | Self::Open { .. } | Self::Over(_) => None,
            Self::Putting(attempt) => {
                let failure = match conclude(written) {
                    Some(Ok(())) => {
                        *self = Self::Over(Ok(()));
                        return None;
                    }
                    Some(Err(why)) => why,
                    None => attempt.again(status, now).err()?,
                };
                *self = if attempt.is_repeated() {
                    Self::look(None, failure, now, patience)
                } else {
                    Self::Over(Err(failure))
                };
                None
            }
            Self::Creating(attempt) => match (conclude(written), created(answer)) {
                (Some(Ok(())), Some(id)) => {
                    *self = Self::Open { id };
                    None
                }
                (Some(Err(why)), _) => {
                    *self = Self::Over(Err(why));
                    None
                }
                (None | Some(Ok(())), _) => match attempt.again(status, now) {
                    Ok(()) => None,
                    Err(why) => {
                        *self = Self::Over(Err(why));
                        None
                    }
                },
            },
            // S3 can begin a 200 before it knows how the completion ends.
            Self::Completing { id, attempt } => {
                let turned = written == Written::Done && words(answer).contains("<Error>");
                let failure = match conclude(if turned { Written::Failed } else { written }) {
                    Some(Ok(())) => {
                        *self = Self::Over(Ok(()));
                        return None;
                    }
                    Some(Err(why)) => why,
                    None => attempt.again(status, now).err()?,
                };
                if attempt.is_repeated() {
                    *self = Self::look(Some(std::mem::take(id)), failure, now, patience);
                    return None;
                }
                Some(failure)
            }
            Self::Looking { id, attempt, until, why } => {
                let failure = match (status, written) {
                    (Some(200), _) if is_ours(&answer.headers) => {
                        *self = Self::Over(Ok(()));
                        return None;
                    }
                    (Some(200), _) => NotStored::AlreadyThere,
                    (Some(404), _) | (_, Written::Failed) if now < *until => {
                        attempt.wait_until(now.after(LOOK_PERIOD));
                        return None;
                    }
                    (Some(404), _) => *why,
                    // Who may write an object may not always read it.
                    (_, Written::AlreadyThere | Written::Done) => NotStored::Unknown,
                    (_, Written::Failed | Written::Refused(_)) => NotStored::Unknown,
                };
                *self = match id.take() {
                    Some(id) => Self::Aborting { id, attempt: Attempt::FIRST },
                    None => Self::Over(Ok(())),
                };
                Some(failure)
            }
            Self::Aborting { id, attempt } => {
                let gone = matches!(written, Written::Done) || status == Some(404);
                let result = if gone { Ok(()) } else { attempt.again(status, now) };
                match (gone, result) {
                    (true, _) => *self = Self::Over(Ok(())),
                    (false, Ok(())) => {}
                    (false, Err(why)) => {
                        effects.push(Effect::Log(format!(
                            "the upload {} could not be aborted and may be open still: {why}",
                            percent::readable(id.as_bytes())
                        )));
                        *self = Self::Over(Ok(()));
                    }
                }
                None
            }
        }
    }

    fn look(id: Option<String>, why: NotStored, now: Moment, patience: Duration) -> Self {
        Self::Looking { id, attempt: Attempt::FIRST, until: now.after(patience), why }
    }

    /// How it ended, once it has. Of a lost object the reason is the flow's.
    pub(crate) const fn is_over(&self, flow: Flow) -> Option<Result<(), NotStored>> {
        match (self, flow) {
            (Self::Over(_), Flow::Lost(why)) => Some(Err(why)),
            (Self::Over(result), Flow::Flowing | Flow::Backfilling | Flow::Whole) => Some(*result),
            (
                Self::Absent
                | Self::Aborting { .. }
                | Self::Completing { .. }
                | Self::Creating(_)
                | Self::Looking { .. }
                | Self::Open { .. }
                | Self::Putting(_),
                Flow::Flowing | Flow::Lost(_) | Flow::Backfilling | Flow::Whole,
            ) => None,
        }
    }

    /// Whether time brings it on.
    pub(crate) const fn waits(&self) -> bool {
        match self {
            Self::Aborting { attempt, .. }
            | Self::Completing { attempt, .. }
            | Self::Creating(attempt)
            | Self::Looking { attempt, .. }
            | Self::Putting(attempt) => attempt.waits(),
            Self::Open { .. } => true,
            Self::Absent | Self::Over(_) => false,
        }
    }
}

fn words(answer: &CallAnswer) -> &str {
    std::str::from_utf8(&answer.body).unwrap_or_default()
}

/// The id of an upload that has been created.
fn created(answer: &CallAnswer) -> Option<String> {
    store::upload_id(words(answer))
}

/// What is final in an answer.
const fn conclude(written: Written) -> Option<Result<(), NotStored>> {
    match written {
        Written::AlreadyThere => Some(Err(NotStored::AlreadyThere)),
        Written::Done => Some(Ok(())),
        Written::Failed => None,
        Written::Refused(status) => Some(Err(NotStored::Refused(status))),
    }
}
