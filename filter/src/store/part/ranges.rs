//! Parts that are fetched, range by range: which range is next, what it takes, and its bytes.

use super::Parts;
use crate::account::{Held, MAX_RANGE, RANGE, Taker};
use crate::digest::Mismatch;
use crate::http::headers::Headers;

impl Parts {
    /// Takes in a range that was asked for: it is within one part. False where there is no room for
    /// that, which has turned out to be larger than it was thought.
    pub(crate) fn push_range(&mut self, mut bytes: Held) -> bool {
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
        let part = self.part_length();
        if bytes.len() < part && !bytes.grow(part, Taker::Begun) {
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
        let here = self.account.limit().here;
        let is_tight = self.size.saturating_add(2 * RANGE) > here;
        match self.size {
            size @ ..=MAX_RANGE if is_tight || self.is_untouched() => size,
            size if self.is_untouched() => size.min(MAX_RANGE).min(here / 4).max(1),
            size => size.min(RANGE),
        }
    }

    /// The first and the last byte of the range to be fetched next, within one part.
    pub(crate) fn next_range(&self) -> (u64, u64) {
        let size = self.size as u64;
        let end = (self.at - self.at % size).saturating_add(size);
        let end = end.min(self.at.saturating_add(self.range() as u64));
        (self.at, end.saturating_sub(1))
    }

    /// The room that the part takes whose first range comes next, where that is not all of it.
    pub(crate) fn range_growth(&self) -> usize {
        let part = self.part_length();
        if self.filling.is_empty() && self.range() < part { part } else { 0 }
    }

    /// Who takes the memory of the next range.
    pub(crate) fn range_taker(&self) -> Taker {
        if self.filling.is_empty() { Taker::InTurn } else { Taker::Begun }
    }
}
