//! The memory of the part that fills.

use super::{MAX_OBJECT, MAX_PARTS, Parts};
use crate::account::{Account, Piece, Taker};
use crate::reason::NotStored;

/// The first room of a part that fills.
const FIRST_ROOM: usize = 64 * 1024;

/// The most that its room is doubled to. Behind that it has the room of all of it at once: to move
/// more bytes more often costs more than the room.
const MAX_DOUBLED: usize = 1024 * 1024;

impl Parts {
    /// The memory that so many more bytes of the part that fills have to find.
    pub(super) fn growth(&self, more: usize) -> usize {
        let there = self.filling.capacity().max(match self.filling.is_empty() {
            true => self.spare.capacity(),
            false => 0,
        });
        let room = self.room_for(more);
        if room <= there { 0 } else { room }
    }

    /// Keeps the room of a part that is stored, while bytes of another come.
    pub(super) fn reuse(&mut self, bytes: Piece) {
        let is_within = !self.filling.is_empty() || self.passing() > 0;
        if is_within
            && self.announced != Some(self.at)
            && self.filling.capacity() < self.size
            && let Some(mut held) = bytes.into_held()
        {
            held.clear();
            self.spare = held;
        }
    }

    /// Makes room for bytes of the part that fills. False where there is none.
    pub(super) fn reserve(&mut self, more: usize, taker: Taker) -> bool {
        if self.filling.is_empty() && self.filling.capacity() < self.spare.capacity() {
            self.filling = std::mem::replace(&mut self.spare, self.account.nothing());
        }
        let room = self.room_for(more);
        self.filling.grow(room, taker)
    }

    /// The room that the part that fills should have: no more than has come, twice, and behind some
    /// bytes that of the whole part.
    fn room_for(&self, more: usize) -> usize {
        let (there, len) = (self.filling.capacity(), self.filling.len());
        let needed = len.saturating_add(more).min(self.size);
        if needed <= there {
            return there;
        }
        let rest = self.announced.map(|size| size.saturating_sub(self.at));
        let rest = rest.map(|rest| usize::try_from(rest).unwrap_or(usize::MAX));
        let whole = rest.map_or(self.size, |rest| len.saturating_add(rest).min(self.size));
        let doubled = there.saturating_mul(2).max(FIRST_ROOM).max(needed);
        if doubled <= MAX_DOUBLED { doubled.min(whole).max(needed) } else { whole.max(needed) }
    }
}

/// The size of a part. An object that is announced to be huge has larger parts, so that they are few
/// enough.
pub(super) fn part_size(account: &Account, announced: Option<u64>) -> Result<usize, NotStored> {
    let announced = announced.unwrap_or_default();
    if announced > MAX_OBJECT {
        return Err(NotStored::BeyondS3);
    }
    let least = announced.div_ceil(MAX_PARTS);
    let size = usize::try_from(least).unwrap_or(usize::MAX).max(account.part());
    if size > account.largest_part() {
        return Err(NotStored::BeyondMemory { part: least });
    }
    Ok(size)
}
