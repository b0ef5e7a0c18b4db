//! The store's side of a copy: one PutObject, or a multipart upload that is completed or
//! aborted.
//!
//! What makes an object visible may have been done though its answer was lost, and then a second
//! attempt is refused. So once the store was not heard, a refusal says nothing: the object in the
//! bucket is looked at. What the store itself has refused every time needs no look.

mod heard;
mod step;

use std::time::Duration;

use super::part::{Due, Parts};
use super::{Written, words};
use crate::account::{Account, Piece};
use crate::attempt::Attempt;
use crate::host::{CallAnswer, CallId, Effect};
use crate::http::headers::Headers;
use crate::http::percent;
use crate::reason::NotStored;
use crate::store;
use crate::time::Moment;
use heard::{Heard, conclude, created};
pub(crate) use step::Step;

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
    /// Parts that are to be made one, or the whole object: the bucket is looked at first, since it
    /// does not judge a write by itself.
    Checking {
        /// The upload, where there is one.
        id: Option<String>,
        look: Attempt,
        /// What comes next.
        write: Attempt,
    },
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

/// What a request to the store may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) account: &'a Account,
    /// Whether a body is this copy's turn.
    pub(crate) may_send: bool,
    /// Whether the bucket is looked at before the object is made visible.
    pub(crate) looks_first: bool,
    pub(crate) now: Moment,
}

/// When a write is given up, and how long one that nobody heard of may still be under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    pub(crate) now: Moment,
    pub(crate) patience: Duration,
}

/// What a copy asks of its store now.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A request.
    Call(CallId, Step),
    /// A request, once there is memory for it.
    NoRoom,
    /// Nothing.
    Nothing,
    /// What no memory here will ever hold.
    TooLarge,
}

impl Upload {
    /// The request that is due.
    pub(crate) fn advance(
        &mut self,
        parts: &mut Parts,
        flow: Flow,
        sending: Sending<'_>,
        call: impl FnOnce() -> CallId,
    ) -> Asked {
        let Sending { account, may_send, looks_first, now } = sending;
        self.proceed(parts, flow, looks_first);
        let sent = |call, step| Asked::Call(call, step);
        let send = |piece: &Piece| if may_send { piece.to_body() } else { None };
        match self {
            Self::Absent | Self::Over(_) => Asked::Nothing,
            Self::Aborting { id, attempt } => match attempt.begin(now, call) {
                Some(call) => sent(call, Step::Abort { id: id.clone() }),
                None => Asked::Nothing,
            },
            Self::Completing { id, attempt } => {
                let Some(etags) = parts.etags().filter(|_| attempt.is_due(now)) else {
                    return Asked::Nothing;
                };
                let words = store::completion(etags);
                if !account.can_ever_hold(0, words.len()) {
                    return Asked::TooLarge;
                }
                let body = if may_send { account.words(words) } else { None };
                let Some(body) = body else { return Asked::NoRoom };
                match attempt.begin(now, call) {
                    Some(call) => sent(call, Step::Complete { id: id.clone(), body }),
                    None => Asked::Nothing,
                }
            }
            Self::Creating(attempt) => match attempt.begin(now, call) {
                Some(call) => sent(call, Step::Create),
                None => Asked::Nothing,
            },
            Self::Checking { look: attempt, .. } | Self::Looking { attempt, .. } => {
                match attempt.begin(now, call) {
                    Some(call) => sent(call, Step::Look),
                    None => Asked::Nothing,
                }
            }
            Self::Open { id } => {
                let Some(Due { number, bytes }) = parts.due(now) else { return Asked::Nothing };
                let Some(body) = send(&bytes) else { return Asked::NoRoom };
                let call = call();
                parts.send(call);
                sent(call, Step::Part { id: id.clone(), number, body })
            }
            Self::Putting(attempt) => {
                let Some(bytes) = parts.only().filter(|_| attempt.is_due(now)) else {
                    return Asked::Nothing;
                };
                let Some(body) = send(bytes) else { return Asked::NoRoom };
                match attempt.begin(now, call) {
                    Some(call) => sent(call, Step::Put { body }),
                    None => Asked::Nothing,
                }
            }
        }
    }

    /// The size of the body that is due.
    pub(crate) fn body_bytes(&self, parts: &Parts) -> usize {
        match self {
            Self::Open { .. } => parts.next().map_or(0, |piece| piece.len()),
            Self::Putting(_) => parts.only().map_or(0, |piece| piece.len()),
            Self::Completing { .. } => {
                parts.etags().map_or(0, |etags| store::completion(etags).len())
            }
            Self::Absent | Self::Aborting { .. } | Self::Creating(_) => 0,
            Self::Checking { .. } | Self::Looking { .. } | Self::Over(_) => 0,
        }
    }

    /// When the next request is due, where time brings it on.
    pub(crate) fn due(&self, parts: &Parts) -> Option<Moment> {
        match self {
            Self::Aborting { attempt, .. }
            | Self::Checking { look: attempt, .. }
            | Self::Completing { attempt, .. }
            | Self::Creating(attempt)
            | Self::Looking { attempt, .. }
            | Self::Putting(attempt) => attempt.due(),
            Self::Open { .. } => parts.next_due(),
            Self::Absent | Self::Over(_) => None,
        }
    }

    /// Whether a call of this is, or makes part of, a write into the bucket. Of that the answer's body
    /// says more than its status.
    pub(crate) fn is_write(&self, call: CallId) -> bool {
        match self {
            Self::Completing { attempt, .. } | Self::Creating(attempt) | Self::Putting(attempt) => {
                attempt.is(call)
            }
            Self::Aborting { .. } | Self::Checking { .. } | Self::Looking { .. } => false,
            Self::Absent | Self::Open { .. } | Self::Over(_) => false,
        }
    }

    /// Whether a call of this makes the object visible.
    pub(crate) fn makes_visible(&self, call: CallId) -> bool {
        !self.is_creating() && self.is_write(call)
    }

    /// What makes the object visible is due, once the bucket has been looked at where it must be.
    fn finish(id: Option<String>, write: Attempt, looks_first: bool) -> Self {
        match id {
            id if looks_first => {
                let mut look = Attempt::OTHER;
                look.wait_until(write.due().unwrap_or_default());
                Self::Checking { id, look, write }
            }
            Some(id) => Self::Completing { id, attempt: write },
            None => Self::Putting(write),
        }
    }

    /// The next state, where the flow or the parts ask for one.
    fn proceed(&mut self, parts: &Parts, flow: Flow, looks_first: bool) {
        let next = match (&*self, flow) {
            (
                Self::Absent | Self::Putting(_) | Self::Checking { id: None, .. },
                Flow::Lost(why),
            ) => Self::Over(Err(why)),
            (Self::Absent, Flow::Whole) if parts.only().is_some() => {
                Self::finish(None, Attempt::WRITE, looks_first)
            }
            (Self::Absent, Flow::Flowing | Flow::Backfilling | Flow::Whole)
                if parts.needs_upload() =>
            {
                Self::Creating(Attempt::WRITE)
            }
            (
                Self::Open { id }
                | Self::Completing { id, .. }
                | Self::Checking { id: Some(id), .. },
                Flow::Lost(_),
            ) if parts.all_stored() => Self::Aborting { id: id.clone(), attempt: Attempt::OTHER },
            (Self::Open { id }, Flow::Whole) if parts.all_stored() => {
                Self::finish(Some(id.clone()), Attempt::WRITE, looks_first)
            }
            // One more attempt: something may have come meanwhile.
            (Self::Putting(attempt), Flow::Whole) if looks_first && attempt.is_to_repeat() => {
                Self::finish(None, *attempt, looks_first)
            }
            (Self::Completing { id, attempt }, Flow::Whole)
                if looks_first && attempt.is_to_repeat() =>
            {
                Self::finish(Some(id.clone()), *attempt, looks_first)
            }
            // An upload that is being created is answered before it can be aborted.
            (
                Self::Absent
                | Self::Aborting { .. }
                | Self::Checking { .. }
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
            | Self::Checking { look: attempt, .. }
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
            Self::Aborting { .. } | Self::Checking { .. } | Self::Looking { .. } => false,
            Self::Absent | Self::Open { .. } | Self::Over(_) => false,
        }
    }

    /// Whether there is an upload in the store that is neither an object nor gone.
    pub(crate) const fn is_open(&self) -> bool {
        match self {
            Self::Aborting { .. } | Self::Completing { .. } | Self::Open { .. } => true,
            Self::Checking { id, .. } | Self::Looking { id, .. } => id.is_some(),
            Self::Absent | Self::Creating(_) | Self::Over(_) | Self::Putting(_) => false,
        }
    }

    /// The id of an upload that is being filled, or made one.
    pub(crate) const fn id(&self) -> Option<&str> {
        match self {
            Self::Completing { id, .. } | Self::Open { id } => Some(id.as_str()),
            Self::Aborting { .. } | Self::Checking { .. } | Self::Creating(_) => None,
            Self::Absent | Self::Looking { .. } | Self::Over(_) | Self::Putting(_) => None,
        }
    }

    /// Whether an upload may come to be whose id nobody knows yet.
    pub(crate) const fn is_creating(&self) -> bool {
        matches!(self, Self::Creating(_))
    }

    /// Whether an upload may have come to be of which nobody heard: it was not the store that
    /// answered, or the id is unreadable.
    pub(crate) fn is_unconfirmed(&self, call: CallId, answer: &CallAnswer) -> bool {
        let is_lost = match answer.headers.status() {
            Some(200..=299) => created(answer).is_none(),
            Some(_) | None => !store::is_own(&answer.headers),
        };
        is_lost && matches!(self, Self::Creating(attempt) if attempt.is(call))
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
            Self::Putting(attempt) => match Heard::of(attempt, answer, words::on_put, now) {
                Heard::Again => None,
                Heard::Done => {
                    *self = Self::Over(Ok(()));
                    None
                }
                Heard::Refused(why) => {
                    *self = Self::Over(Err(why));
                    None
                }
                Heard::Unsure(why) => {
                    *self = Self::look(None, why, now, patience);
                    None
                }
            },
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
            Self::Completing { id, attempt } => {
                match Heard::of(attempt, answer, words::on_completion, now) {
                    Heard::Again => None,
                    Heard::Done => {
                        *self = Self::Over(Ok(()));
                        None
                    }
                    Heard::Refused(why) => Some(why),
                    Heard::Unsure(why) => {
                        *self = Self::look(Some(std::mem::take(id)), why, now, patience);
                        None
                    }
                }
            }
            Self::Checking { id, look, write } => {
                let why = match (status, written) {
                    (Some(404), _) => {
                        write.look();
                        *self = Self::finish(id.take(), *write, false);
                        return None;
                    }
                    (Some(200), _) if write.is_doubtful() && is_ours(&answer.headers) => {
                        *self = Self::Over(Ok(()));
                        return None;
                    }
                    (_, Written::AlreadyThere | Written::Done) => NotStored::AlreadyThere,
                    (_, Written::Refused(status)) => NotStored::Refused(status),
                    (_, Written::Failed) => match look.again(status, now) {
                        Ok(()) => return None,
                        Err(why) => why,
                    },
                };
                Some(why)
            }
            Self::Looking { id, attempt, until, why } => {
                let failure = match (status, written) {
                    (Some(200), _) if is_ours(&answer.headers) => {
                        *self = Self::Over(Ok(()));
                        return None;
                    }
                    (Some(200), _) => NotStored::AlreadyThere,
                    // Once more, when nothing can be under way any longer.
                    (Some(404), _) | (_, Written::Failed) if now < *until => {
                        attempt.wait_until(*until);
                        return None;
                    }
                    (Some(404), _) => *why,
                    // Who may write an object may not always read it.
                    (_, Written::AlreadyThere | Written::Done) => NotStored::Unknown,
                    (_, Written::Failed | Written::Refused(_)) => NotStored::Unknown,
                };
                *self = match id.take() {
                    Some(id) => Self::Aborting { id, attempt: Attempt::OTHER },
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

    /// It will not be written once more, and this is why. True where it may have been written: then
    /// the bucket is looked at.
    pub(crate) fn give_up_writing(&mut self, why: NotStored, late: Late) -> bool {
        let is_doubtful = matches!(self, Self::Putting(attempt) if attempt.is_doubtful());
        if is_doubtful {
            *self = Self::look(None, why, late.now, late.patience);
        }
        is_doubtful
    }

    fn look(id: Option<String>, why: NotStored, now: Moment, patience: Duration) -> Self {
        Self::Looking { id, attempt: Attempt::OTHER, until: now.after(patience), why }
    }

    /// How it ended, once it has. Of a lost object the reason is the flow's.
    pub(crate) const fn is_over(&self, flow: Flow) -> Option<Result<(), NotStored>> {
        match (self, flow) {
            (Self::Over(_), Flow::Lost(why)) => Some(Err(why)),
            (Self::Over(result), Flow::Flowing | Flow::Backfilling | Flow::Whole) => Some(*result),
            (
                Self::Absent
                | Self::Aborting { .. }
                | Self::Checking { .. }
                | Self::Completing { .. }
                | Self::Creating(_)
                | Self::Looking { .. }
                | Self::Open { .. }
                | Self::Putting(_),
                Flow::Flowing | Flow::Lost(_) | Flow::Backfilling | Flow::Whole,
            ) => None,
        }
    }

    /// Whether a call only looks whether the object is there before it is written.
    pub(crate) fn is_checking(&self, call: CallId) -> bool {
        matches!(self, Self::Checking { look, .. } if look.is(call))
    }

    /// Whether it is only asked what came of it, for which no byte is needed.
    pub(crate) const fn is_looking(&self) -> bool {
        matches!(self, Self::Looking { .. })
    }
}
