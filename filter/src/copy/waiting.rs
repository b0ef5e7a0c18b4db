//! Objects that wait to be fetched for themselves, in their order; and those that were stored lately.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Plan;
use crate::origin::Route;
use crate::time::Moment;

/// Objects that wait. One more is told and forgotten: the next client that misses it brings it back.
const MAX_WAITING: usize = 1_000;

/// Objects that are remembered as stored.
const MAX_STORED: usize = 1_000;

/// How long after the bucket's answer a request may come here: the host routes it anew first.
const REROUTE_TIME: Duration = Duration::from_secs(1);

/// An object that waits to be fetched for itself.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) plan: Plan,
    pub(super) route: Route,
}

/// Objects that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// The same by the numbers of their objects.
    objects: BTreeSet<(u64, u64)>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    fn place(&self, plan: &Plan) -> Option<u64> {
        let object = plan.lease().object();
        let of_object = self.objects.range((object, 0)..=(object, u64::MAX));
        of_object
            .map(|(_, at)| *at)
            .find(|at| self.waiting.get(at).is_some_and(|waiting| waiting.plan.is_for(plan)))
    }

    pub(super) fn has(&self, plan: &Plan) -> bool {
        self.place(plan).is_some()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.last = self.last.saturating_add(1);
        self.objects.insert((waiting.plan.lease().object(), self.last));
        self.waiting.insert(self.last, waiting);
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let (at, waiting) = self.waiting.pop_first()?;
        self.objects.remove(&(waiting.plan.lease().object(), at));
        Some(waiting)
    }

    /// An object comes another way.
    pub(super) fn forget(&mut self, plan: &Plan) {
        if let Some(at) = self.place(plan) {
            self.waiting.remove(&at);
            self.objects.remove(&(plan.lease().object(), at));
        }
    }
}

/// What came into the bucket lately, and when: requests that began before then missed it, and need
/// not copy it again.
#[derive(Debug, Default)]
pub(super) struct Stored {
    latest: BTreeMap<u64, Moment>,
    order: VecDeque<(u64, Moment)>,
}

impl Stored {
    /// Whether an object has been stored since a request for it began.
    pub(super) fn has(&self, plan: &Plan, since: Moment) -> bool {
        let at = self.latest.get(&plan.lease().object());
        at.is_some_and(|at| since <= at.after(REROUTE_TIME))
    }

    /// An object is in the bucket, for as long as a request that missed it may be answered late.
    pub(super) fn remember(&mut self, plan: &Plan, now: Moment, patience: Duration) {
        while let Some((object, at)) = self.order.front().copied() {
            if self.order.len() < MAX_STORED && now <= at.after(patience) {
                break;
            }
            self.order.pop_front();
            // It may have been stored once more since.
            if self.latest.get(&object) == Some(&at) {
                self.latest.remove(&object);
            }
        }
        let object = plan.lease().object();
        self.latest.insert(object, now);
        self.order.push_back((object, now));
    }
}
