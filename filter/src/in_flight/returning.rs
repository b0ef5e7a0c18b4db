//! Attempts at an origin whose answer may come back as a request of its own.
//!
//! A request cannot carry what is known of it: the origin would see that. It carries the name of its
//! attempt, and the rest waits here. One that does not come back, since its client has left or its
//! answer was the last, is forgotten.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::{InFlight, Proof};
use crate::time::Moment;

/// How long an attempt may take to come back once its stream is gone: a gateway routes a request
/// anew at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// The number of an attempt.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct AttemptId(u64);

impl AttemptId {
    /// The name it has in the root of this number, which no other root has.
    pub(crate) fn name(self, root: u64) -> String {
        format!("{root:016x}{:016x}", self.0)
    }

    /// The attempt of such a name, unless it is one of another root.
    pub(crate) fn of(name: &str, root: u64) -> Option<Self> {
        let id = Self(u64::from_str_radix(name.get(16..)?, 16).ok()?);
        (id.name(root) == name).then_some(id)
    }
}

/// What is known of a request that may come back.
#[derive(Debug)]
pub(crate) enum Expected {
    /// An origin was asked.
    Origin(Rc<InFlight>),
    /// The bucket was asked for an object that another request has brought there.
    Coalesced(Rc<InFlight>),
    /// The bucket was asked whether it lacks the object.
    Proof(Box<Proof>),
}

#[derive(Debug)]
struct Waiting {
    id: AttemptId,
    expected: Expected,
    /// Until when it may come back, once its stream is gone.
    until: Option<Moment>,
}

/// All of one VM that may come back, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Returning {
    last: u64,
    waiting: VecDeque<Waiting>,
}

impl Returning {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether time ends one of them.
    pub(crate) fn waits(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.until.is_some())
    }

    /// The name of the next one.
    pub(crate) const fn next(&self) -> AttemptId {
        AttemptId(self.last + 1)
    }

    pub(crate) fn add(&mut self, expected: Expected) -> AttemptId {
        let id = self.next();
        self.last = id.0;
        self.waiting.push_back(Waiting { id, expected, until: None });
        id
    }

    /// It has come back, or will not; `None` where that is known of it already.
    pub(crate) fn take(&mut self, id: AttemptId) -> Option<Expected> {
        let at = self.waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()?;
        self.waiting.remove(at).map(|waiting| waiting.expected)
    }

    /// Its stream is gone: it comes back now, or never.
    pub(crate) fn expect_soon(&mut self, id: AttemptId, now: Moment) {
        if let Ok(at) = self.waiting.binary_search_by_key(&id, |waiting| waiting.id)
            && let Some(waiting) = self.waiting.get_mut(at)
        {
            waiting.until = Some(now.after(PATIENCE));
        }
    }

    /// Forgets those whose time is up.
    pub(crate) fn on_tick(&mut self, now: Moment) {
        self.waiting.retain(|waiting| waiting.until.is_none_or(|until| now < until));
    }
}
