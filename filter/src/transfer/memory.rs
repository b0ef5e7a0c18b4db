//! The memory that all transfers of a VM share with their host: it holds a second copy of what is on
//! its way to the store, and of a range that has come.
//!
//! Neither gives back what it has taken once, so the two must not take turns: a third of the limit
//! is the host's.

use super::Transfers;
use super::pull::Pull;

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

impl Transfers {
    pub(super) fn left(&self) -> Left {
        let mut left = Left { all: self.limit(), host: self.limit() / 3 };
        for transfer in &self.transfers {
            let sending = transfer.parts.under_way();
            left.take(sending, transfer.parts.held() + sending);
            if transfer.pull.as_ref().is_some_and(Pull::is_under_way) {
                left.take(transfer.parts.range(), transfer.parts.range_in_memory());
            }
        }
        left
    }

    /// What bytes that come by themselves may take. The first of them find room, however large the
    /// part is that they need.
    pub(super) fn left_for_streams(&self) -> usize {
        let held: usize = self.transfers.iter().map(|transfer| transfer.parts.held()).sum();
        if held == 0 {
            return self.limit();
        }
        let here = self.limit() - self.limit() / 3;
        self.left().all.min(here.saturating_sub(held))
    }

    fn limit(&self) -> usize {
        usize::try_from(self.configuration.limits.memory_bytes).unwrap_or(usize::MAX)
    }
}
