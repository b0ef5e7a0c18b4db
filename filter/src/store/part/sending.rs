//! Full parts on their way to the store, a few at a time.

use super::Parts;
use crate::account::Piece;
use crate::attempt::Patience;
use crate::host::{CallAnswer, CallId};
use crate::reason::NotStored;
use crate::store::{self, Written};
use crate::time::Moment;

/// The longest ETag of a part that is kept: there are thousands of them.
const MAX_ETAG: usize = 1_024;

/// Parts of one object that are sent at once, each held by the host once more. A store takes several
/// at once faster than one after the other.
const MAX_SENDING: usize = 4;

/// A part that is full, and not yet stored.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) index: u64,
    pub(super) bytes: Piece,
    pub(super) attempts: u32,
    pub(super) state: State,
}

/// Whether it is on its way.
#[derive(Debug)]
pub(super) enum State {
    Due(Moment),
    Sending(CallId),
}

impl Part {
    pub(super) const fn is_sending(&self) -> bool {
        matches!(self.state, State::Sending(_))
    }
}

/// A part that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) number: u64,
    pub(crate) bytes: Piece,
}

impl Parts {
    /// The part that is to be sent next, and when, by its place.
    fn first_due(&self) -> Option<(usize, Moment)> {
        let sending = self.full.iter().filter(|part| part.is_sending()).count();
        let due = self.full.iter().enumerate().filter_map(|(at, part)| match part.state {
            State::Due(due) => Some((at, due)),
            State::Sending(_) => None,
        });
        due.min_by_key(|(_, due)| *due).filter(|_| sending < MAX_SENDING)
    }

    /// When a part is to be sent.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.first_due().map(|(_, due)| due)
    }

    /// The bytes of the part that is to be sent next.
    pub(crate) fn next(&self) -> Option<&Piece> {
        let (at, _) = self.first_due()?;
        self.full.get(at).map(|part| &part.bytes)
    }

    /// The part that is to be sent now.
    pub(crate) fn due(&self, now: Moment) -> Option<Due> {
        let (at, _) = self.first_due().filter(|(_, due)| now >= *due)?;
        let part = self.full.get(at)?;
        Some(Due { number: part.index.saturating_add(1), bytes: part.bytes.clone() })
    }

    /// The part that is due is sent by this call.
    pub(crate) fn send(&mut self, call: CallId) {
        if let Some((at, _)) = self.first_due()
            && let Some(part) = self.full.get_mut(at)
        {
            part.state = State::Sending(call);
            part.attempts = part.attempts.saturating_add(1);
        }
    }

    /// Whether a part is sent by this call.
    pub(crate) fn has(&self, call: CallId) -> bool {
        self.full.iter().any(|part| matches!(part.state, State::Sending(own) if own == call))
    }

    /// Whether a part is sent by this call, and not for the first time.
    pub(crate) fn is_repeated(&self, call: CallId) -> bool {
        let sends = |part: &Part| matches!(part.state, State::Sending(own) if own == call);
        self.full.iter().any(|part| part.attempts > 1 && sends(part))
    }

    /// The answer to a part; `None` where the call was none of theirs.
    pub(crate) fn on_answer(
        &mut self,
        call: CallId,
        answer: &CallAnswer,
        now: Moment,
    ) -> Option<Result<(), NotStored>> {
        let at = self
            .full
            .iter()
            .position(|part| matches!(part.state, State::Sending(own) if own == call))?;
        if self.given_up {
            self.full.remove(at);
            return Some(Ok(()));
        }
        let status = answer.headers.status();
        let etag = answer.headers.text("etag").filter(|etag| etag.len() <= MAX_ETAG);
        let failure = match (store::judge(status), etag) {
            (Written::Done, Some(etag)) => {
                let part = self.full.remove(at)?;
                let behind = self.etags.partition_point(|(index, _)| *index < part.index);
                self.etags.insert(behind, (part.index, etag.to_owned()));
                self.reuse(part.bytes);
                return Some(Ok(()));
            }
            (Written::Failed | Written::Done, _) => {
                let part = self.full.get_mut(at)?;
                if let Some(due) = Patience::Write.next(part.attempts, now) {
                    part.state = State::Due(due);
                    return Some(Ok(()));
                }
                let status = status.unwrap_or_default();
                NotStored::GaveUp { attempts: part.attempts, status }
            }
            (Written::Refused(status), _) => NotStored::Refused(status),
            // A part has no precondition; whoever answers so did not store it.
            (Written::AlreadyThere, _) => NotStored::Refused(412),
        };
        self.full.remove(at);
        Some(Err(failure))
    }
}
