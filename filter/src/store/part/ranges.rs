//! Parts that are fetched, range by range: which range is next, what it takes, and its bytes.

use super::Parts;
use crate::account::{Held, MAX_RANGE, Taker};
use crate::digest::Mismatch;
use crate::http::headers::Headers;

impl Parts {
    /// Takes in a range that was asked for: it is within one part. False where there is no room for
    /// that, which has turned out to be larger than it was thought.
    pub(crate) fn push_range(&mut self, mut bytes: Held) -> bool {
        let is_first = self.is_untouched();
        // An origin may send more than was asked for: that is asked for in its turn.
        bytes.truncate(self.size.saturating_sub(self.filling.len()));
        if !self.filling.is_empty() {
            let has_room = self.reserve(bytes.len(), Taker::Begun);
            if has_room {
                self.fill(&bytes);
            }
            return has_room;
        }
        // What the host has handed out becomes the part, where it is all of that.
        // Of an object that is new nothing more is taken: the next range makes room for its part.
        let part = self.part_length();
        if bytes.len() < part && !is_first && !bytes.grow(part, Taker::Begun) {
            return false;
        }
        self.check.update(&bytes);
        self.advance(bytes.len());
        self.filling = bytes;
        self.close_full();
        true
    }

    /// The length of the part that the next byte is of, as far as it is known.
    fn part_length(&self) -> usize {
        let size = self.size as u64;
        let begin = self.at - self.at % size;
        let rest = self.announced.map_or(size, |announced| announced.saturating_sub(begin));
        usize::try_from(rest.min(size)).unwrap_or(self.size)
    }

    /// Goes to the first byte that is missing, unless one is just before it.
    pub(crate) fn seek(&mut self) {
        if self.filling.is_empty() {
            self.at = match self.missing.front() {
                Some(index) => index.saturating_mul(self.size as u64),
                None => self.end,
            };
        }
    }

    /// A range comes next; this is what is said of it, and of the object. Returns what is wrong.
    pub(crate) fn expect_range(&mut self, answer: &Headers, range: &[u8]) -> Option<Mismatch> {
        let is_first = self.is_untouched();
        self.check.on_range(answer, range, is_first)
    }

    /// The most that is fetched at once. Where memory is too short for a range beside the part that
    /// it is of, a range is a part.
    pub(crate) fn range(&self) -> usize {
        let range = match self.is_untouched() {
            true => self.account.first_range(),
            false => self.account.range(),
        };
        self.size.min(range.unwrap_or(MAX_RANGE))
    }

    /// The most of an object that comes at once where it only comes whole: as much as one request
    /// stores, or more where so much may come.
    pub(crate) fn whole_bytes(&self, object_bytes: u64) -> usize {
        let object = usize::try_from(object_bytes).unwrap_or(usize::MAX);
        object.max(self.account.part()).min(self.account.largest_part())
    }

    /// The first and the last byte of the range to be fetched next, within one part.
    pub(crate) fn next_range(&self) -> (u64, u64) {
        let size = self.size as u64;
        let end = (self.at - self.at % size).saturating_add(size);
        let end = end.min(self.at.saturating_add(self.range() as u64));
        (self.at, end.saturating_sub(1))
    }

    /// The room that the part takes whose room is made with the next range. Of an object of which
    /// nothing is known, the range is all that is taken.
    pub(crate) fn range_growth(&self) -> usize {
        let part = self.part_length();
        let is_one = self.filling.is_empty() && (self.is_untouched() || self.range() >= part);
        if is_one || self.is_begun_part() { 0 } else { part }
    }

    /// Who takes the memory of the next range.
    pub(crate) fn range_taker(&self) -> Taker {
        if self.is_begun_part() { Taker::Begun } else { Taker::InTurn }
    }

    /// Whether there is no part yet, and at most one range of it.
    pub(crate) fn is_new(&self) -> bool {
        let has_first = self.at == self.filling.len() as u64 && !self.is_begun_part();
        self.is_untouched() || (!self.filling.is_empty() && has_first)
    }

    /// Whether the part that the next byte is of has the room of all of it.
    fn is_begun_part(&self) -> bool {
        !self.filling.is_empty() && self.filling.capacity() >= self.part_length()
    }
}
