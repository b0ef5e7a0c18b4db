//! The memory that all copies of a VM share with their host: it holds a second copy of what is on
//! its way to the store, and of a range that has come.
//!
//! Neither gives back what it has taken once, so the two must not take turns: a third of the limit
//! is the host's.

use super::Copies;
use super::backfill::Backfill;
use crate::configuration::Configuration;

/// What is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    all: usize,
    host: usize,
}

impl Left {
    /// The largest part that may be sent.
    pub(super) fn for_part(self) -> usize {
        self.all.min(self.host)
    }

    /// Whether a range may be asked for, of which the host holds so much, and both so much more.
    pub(super) const fn fits(self, host: usize, all: usize) -> bool {
        host <= self.host && all <= self.all
    }

    pub(super) const fn take(&mut self, host: usize, all: usize) {
        self.host = self.host.saturating_sub(host);
        self.all = self.all.saturating_sub(all);
    }
}

impl Copies {
    pub(super) fn left(&self, limit: usize) -> Left {
        let mut left = Left { all: limit, host: limit / 3 };
        for copy in &self.copies {
            let sending = copy.parts.under_way();
            left.take(sending, copy.parts.held() + sending);
            if copy.backfill.as_ref().is_some_and(Backfill::is_under_way) {
                left.take(copy.parts.range(), copy.parts.range_in_memory());
            }
        }
        left
    }

    /// What bytes that come by themselves may take. The first of them find room, however large the
    /// part is that they need.
    pub(super) fn left_for_streams(&self, limit: usize) -> usize {
        let held: usize = self.copies.iter().map(|copy| copy.parts.held()).sum();
        if held == 0 {
            return limit;
        }
        let here = limit - limit / 3;
        self.left(limit).all.min(here.saturating_sub(held))
    }
}

/// The memory that a configuration allows, as far as this machine can count it.
pub(crate) fn limit(configuration: &Configuration) -> usize {
    usize::try_from(configuration.limits.memory_bytes).unwrap_or(usize::MAX)
}
