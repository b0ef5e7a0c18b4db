//! The memory that all transfers of a VM share.

use super::Transfers;
use super::object::Transfer;

impl Transfers {
    /// Bytes of memory in use, here and in the host: it holds a second copy of what is on its way
    /// to the store, and of a range that has come.
    pub(super) fn used(&self) -> usize {
        let of = |transfer: &Transfer| {
            let pulled = match &transfer.pull {
                Some(pull) if pull.is_under_way() => transfer.parts.range_in_memory(),
                Some(_) | None => 0,
            };
            transfer.parts.held() + transfer.parts.under_way() + pulled
        };
        self.transfers.iter().map(of).sum()
    }

    pub(super) fn free(&self) -> usize {
        self.memory_limit().saturating_sub(self.used())
    }

    /// What bytes that come by themselves may take: the host's copy of a part has its place, once
    /// there is a part.
    pub(super) fn free_for_streams(&self) -> usize {
        let used = self.used();
        let is_sending = self.transfers.iter().any(|transfer| transfer.parts.under_way() > 0);
        let kept = if used == 0 || is_sending { 0 } else { self.part_bytes() };
        self.memory_limit().saturating_sub(used).saturating_sub(kept)
    }

    fn part_bytes(&self) -> usize {
        usize::try_from(self.configuration.limits.part_bytes).unwrap_or(usize::MAX)
    }

    fn memory_limit(&self) -> usize {
        usize::try_from(self.configuration.limits.memory_bytes).unwrap_or(usize::MAX)
    }
}
