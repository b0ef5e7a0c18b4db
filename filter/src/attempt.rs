//! One request that is made again where it fails: a few times, each wait twice the last.

use std::time::Duration;

use crate::host::CallId;
use crate::reason::NotStored;
use crate::time::Moment;

/// How often a request to a store is made before it is given up.
pub(crate) const ATTEMPTS: u32 = 6;

/// The wait after the first failure; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// When the next attempt is due after so many; `None` when there is none.
pub(crate) fn next_attempt(attempts: u32, now: Moment) -> Option<Moment> {
    let wait = FIRST_BACKOFF.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    (attempts < ATTEMPTS).then(|| now.after(wait))
}

/// One request, as often as it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    made: u32,
    state: AttemptState,
}

#[derive(Clone, Copy, Debug)]
enum AttemptState {
    Due(Moment),
    UnderWay(CallId),
}

impl Attempt {
    pub(crate) const FIRST: Self =
        Self { made: 0, state: AttemptState::Due(Moment(Duration::ZERO)) };

    pub(crate) fn begin(&mut self, now: Moment, call: impl FnOnce() -> CallId) -> Option<CallId> {
        match self.state {
            AttemptState::Due(at) if now >= at => {
                let id = call();
                self.made += 1;
                self.state = AttemptState::UnderWay(id);
                Some(id)
            }
            AttemptState::Due(_) | AttemptState::UnderWay(_) => None,
        }
    }

    pub(crate) fn is(&self, call: CallId) -> bool {
        matches!(self.state, AttemptState::UnderWay(own) if own == call)
    }

    pub(crate) const fn waits(&self) -> bool {
        matches!(self.state, AttemptState::Due(_))
    }

    /// Whether an earlier one may have done what this one was refused.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.made > 1
    }

    /// Makes the next attempt due then.
    pub(crate) const fn wait_until(&mut self, at: Moment) {
        self.state = AttemptState::Due(at);
    }

    /// Another attempt, or the reason why there is none.
    pub(crate) fn again(&mut self, status: Option<u16>, now: Moment) -> Result<(), NotStored> {
        match next_attempt(self.made, now) {
            Some(due) => {
                self.wait_until(due);
                Ok(())
            }
            None => {
                Err(NotStored::GaveUp { attempts: self.made, status: status.unwrap_or_default() })
            }
        }
    }
}
