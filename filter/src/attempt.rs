//! One request that is made again where it fails: a few times, each wait longer than the last.

use std::time::Duration;

use crate::host::CallId;
use crate::reason::NotStored;
use crate::time::Moment;

/// How often a request is made again, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patience {
    /// A write into a bucket: a store that fails is left alone, and the next miss brings the object
    /// back. The pauses are long enough for a server that is started anew.
    Write,
    /// Anything else: what is asked of an origin, what is taken back from a store.
    Other,
}

impl Patience {
    const fn attempts(self) -> u32 {
        match self {
            Self::Other => 6,
            Self::Write => 3,
        }
    }

    /// The wait after so many failures.
    const fn wait(self, failures: u32) -> Duration {
        let (first, times) = match self {
            Self::Other => (Duration::from_millis(200), 2_u32),
            Self::Write => (Duration::from_secs(1), 4),
        };
        let exponent = failures.saturating_sub(1);
        first.saturating_mul(times.saturating_pow(if exponent < 10 { exponent } else { 10 }))
    }

    /// When the next attempt is due after so many; `None` when there is none.
    pub(crate) fn next(self, attempts: u32, now: Moment) -> Option<Moment> {
        (attempts < self.attempts()).then(|| now.after(self.wait(attempts)))
    }
}

/// One request, as often as it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    made: u32,
    patience: Patience,
    /// Whether one of them may have been done unheard.
    is_doubtful: bool,
    /// Whether somebody has looked what the last one has done.
    has_looked: bool,
    state: AttemptState,
}

#[derive(Clone, Copy, Debug)]
enum AttemptState {
    Due(Moment),
    UnderWay(CallId),
}

impl Attempt {
    /// The first attempt at a write.
    pub(crate) const WRITE: Self = Self::first(Patience::Write);

    /// The first attempt at anything else.
    pub(crate) const OTHER: Self = Self::first(Patience::Other);

    const fn first(patience: Patience) -> Self {
        let state = AttemptState::Due(Moment(Duration::ZERO));
        Self { made: 0, patience, is_doubtful: false, has_looked: false, state }
    }

    /// Whether it is due.
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.due().is_some_and(|at| now >= at)
    }

    /// When it is due, unless it is under way.
    pub(crate) const fn due(&self) -> Option<Moment> {
        match self.state {
            AttemptState::Due(at) => Some(at),
            AttemptState::UnderWay(_) => None,
        }
    }

    pub(crate) fn begin(&mut self, now: Moment, call: impl FnOnce() -> CallId) -> Option<CallId> {
        match self.state {
            AttemptState::Due(at) if now >= at => {
                let id = call();
                self.made += 1;
                self.has_looked = false;
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

    /// Whether it is not the first.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.made > 1
    }

    /// Whether it is made once more, and nobody has looked what the last one has done.
    pub(crate) const fn is_to_repeat(&self) -> bool {
        self.made > 0 && self.waits() && !self.has_looked
    }

    /// Somebody has looked what the last one has done: nothing.
    pub(crate) const fn look(&mut self) {
        self.has_looked = true;
    }

    /// Whether one of them may have been done unheard: then a refusal says nothing.
    pub(crate) const fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    /// The one under way may have been done.
    pub(crate) const fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// Makes the next attempt due then.
    pub(crate) const fn wait_until(&mut self, at: Moment) {
        self.state = AttemptState::Due(at);
    }

    /// Another attempt, or the reason why there is none.
    pub(crate) fn again(&mut self, status: Option<u16>, now: Moment) -> Result<(), NotStored> {
        match self.patience.next(self.made, now) {
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
