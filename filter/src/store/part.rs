//! The parts of one object: filled byte by byte, sent a few at a time, let go when stored.
//!
//! A part that the store has no time for is let pass, whole, and fetched later.

mod ranges;
mod room;
mod sending;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::account::{Account, Held, Piece, Taker};
use crate::digest::{Check, Mismatch};
use crate::reason::NotStored;
use crate::time::Moment;
use room::part_size;
pub(crate) use sending::Due;
use sending::{Part, State};

/// The most parts an upload has (S3).
const MAX_PARTS: u64 = 10_000;

/// The largest object that a bucket takes (S3): 5 TiB.
const MAX_OBJECT: u64 = 5 << 40;

/// Full parts of one object held at once: a store that falls further behind is not waited for. A
/// client's stream may have more, while there is room for a part of another object too.
const MAX_FULL: usize = 2;

/// The parts of one object.
#[derive(Debug)]
pub(crate) struct Parts {
    account: Account,
    /// The size of every part but the last.
    size: usize,
    announced: Option<u64>,
    /// Where the next byte belongs.
    at: u64,
    /// Behind the last byte that has come, kept or let pass.
    end: u64,
    /// The parts that were let pass, by number less one.
    missing: VecDeque<u64>,
    /// The check of the bytes received, and as it was at the last full part.
    check: Check,
    checked: Check,
    filling: Held,
    /// The room of a part that is stored, for the next one. Given back, it would be cut up by the
    /// chunks that come meanwhile, and the next part would need another place.
    spare: Held,
    /// In the order in which they became full.
    full: VecDeque<Part>,
    /// Those of the parts that are stored, by number less one.
    etags: VecDeque<(u64, String)>,
    /// Whether a part has ever been full.
    is_begun: bool,
    /// Whether the object is given up, and only the parts under way are waited for.
    given_up: bool,
}

/// What became of bytes that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushed {
    /// A part has become full.
    Full,
    /// There is no room for all of them.
    NoRoom,
    /// They are kept, or were let pass.
    Taken,
}

impl Parts {
    /// No parts yet.
    ///
    /// # Errors
    ///
    /// An object of the size that is announced cannot be stored.
    pub(crate) fn new(
        account: &Account,
        announced: Option<u64>,
        check: Check,
    ) -> Result<Self, NotStored> {
        let size = part_size(account, announced)?;
        Ok(Self { checked: check.clone(), check, ..Self::of(account, size, announced) })
    }

    /// An object that has come whole: one part, whatever its size, shared with whoever else has it.
    ///
    /// # Errors
    ///
    /// It can never be sent.
    pub(crate) fn whole(account: &Account, bytes: Rc<Held>) -> Result<Self, NotStored> {
        let size = bytes.len();
        if !account.can_ever_hold(0, size) {
            return Err(NotStored::BeyondMemory { part: size as u64 });
        }
        let mut parts = Self::of(account, size.max(1), Some(size as u64));
        parts.advance(size);
        parts.add(0, Piece::whole(bytes));
        Ok(parts)
    }

    fn of(account: &Account, size: usize, announced: Option<u64>) -> Self {
        Self {
            account: account.clone(),
            size,
            announced,
            at: 0,
            end: 0,
            missing: VecDeque::new(),
            check: Check::default(),
            checked: Check::default(),
            filling: account.nothing(),
            spare: account.nothing(),
            full: VecDeque::new(),
            etags: VecDeque::new(),
            is_begun: false,
            given_up: false,
        }
    }

    /// Takes in bytes of a client's stream. Where there is no room for them the rest passes, if it
    /// may.
    pub(crate) fn push(&mut self, bytes: &[u8], may_pass: bool) -> Pushed {
        let before = self.full.len();
        let (passing, mut bytes) = bytes.split_at(self.passing().min(bytes.len()));
        self.advance(passing.len());
        let keeps_up = self.has_place();
        while !bytes.is_empty() {
            let room = self.size.saturating_sub(self.filling.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let has_place = match may_pass {
                // A part that has begun goes on: it is fetched whole or not at all.
                true => self.has_place() || !self.filling.is_empty(),
                false => keeps_up,
            };
            if !has_place || !self.reserve(now.len(), Taker::Stream) {
                if !may_pass {
                    return Pushed::NoRoom;
                }
                self.pass(bytes.len());
                break;
            }
            self.fill(now);
            bytes = later;
        }
        if self.full.len() > before { Pushed::Full } else { Pushed::Taken }
    }

    fn fill(&mut self, bytes: &[u8]) {
        self.filling.extend(bytes);
        self.check.update(bytes);
        self.advance(bytes.len());
        self.close_full();
    }

    /// Takes in all bytes of an object at once.
    pub(crate) fn push_whole(&mut self, bytes: Held) {
        self.check.update(&bytes);
        self.advance(bytes.len());
        let (bytes, mut from) = (Rc::new(bytes), 0);
        for index in 0..self.count() {
            let to = from + self.size.min(bytes.len().saturating_sub(from));
            self.add(index, Piece::new(Rc::clone(&bytes), from..to));
            from = to;
        }
    }

    /// Lets bytes pass, and with them the parts that they are of.
    pub(crate) fn pass(&mut self, count: usize) {
        let first = self.begun();
        self.filling = self.account.nothing();
        self.advance(count);
        let end = self.at.div_ceil(self.size as u64);
        let known = self.missing.back().map_or(0, |last| last.saturating_add(1));
        self.missing.extend(first.max(known)..end.min(MAX_PARTS));
    }

    /// How many of the bytes that come next are of a part that was let pass.
    fn passing(&self) -> usize {
        let size = self.size as u64;
        match self.at % size {
            within if within > 0 && self.filling.is_empty() => {
                usize::try_from(size - within).unwrap_or(usize::MAX)
            }
            _ => 0,
        }
    }

    fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count as u64);
        self.end = self.end.max(self.at);
    }

    /// The part that the next byte is of, by number less one.
    fn begun(&self) -> u64 {
        self.at.saturating_sub(self.filling.len() as u64) / self.size as u64
    }

    /// The number of parts, as far as bytes have come: an object of no bytes has one.
    fn count(&self) -> u64 {
        self.end.div_ceil(self.size as u64).max(1)
    }

    /// Whether nothing has come yet.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.end == 0
    }

    /// Whether all bytes of an announced object have come, and none was let pass.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.announced.is_none_or(|size| size == self.end)
    }

    /// Whether there are more parts than an upload has. An announced object has parts that are
    /// large enough.
    pub(crate) fn are_too_many(&self) -> bool {
        self.count() > MAX_PARTS
    }

    /// The last part is as large as it is; an object of no bytes has one of no bytes.
    pub(crate) fn finish(&mut self) {
        self.spare = self.account.nothing();
        if !self.filling.is_empty() || (self.end == 0 && !self.is_begun) {
            self.close();
        }
    }

    /// The object's size is known by now.
    ///
    /// # Errors
    ///
    /// An object of that size cannot be stored.
    pub(crate) fn announce(&mut self, size: u64) -> Result<(), NotStored> {
        if self.is_untouched() {
            self.size = part_size(&self.account, Some(size))?;
        }
        self.announced = Some(size);
        Ok(())
    }

    /// The object comes whole, and this is what is known of its bytes.
    pub(crate) fn expect(&mut self, check: Check) {
        self.check = check;
    }

    /// What is announced of the object, and not true of the bytes received.
    pub(crate) fn mismatch(&self) -> Option<Mismatch> {
        self.check.mismatch()
    }

    /// Whether a client's stream may bring another part.
    fn has_place(&self) -> bool {
        let two = self.size.saturating_add(self.account.part());
        self.has_room() || self.account.has_room(two, 0, Taker::Stream)
    }

    /// Whether more bytes may come: the store keeps up.
    pub(crate) fn has_room(&self) -> bool {
        self.full.len() < MAX_FULL
    }

    /// Goes back to the last full part, so that what is held is only what the store will take.
    pub(crate) fn rewind(&mut self) {
        let begun = self.begun();
        self.missing.retain(|index| *index < begun);
        self.end = begun.saturating_mul(self.size as u64);
        self.at = self.end;
        self.filling = self.account.nothing();
        self.spare = self.account.nothing();
        self.check = self.checked.clone();
    }

    /// Where the next byte belongs.
    pub(crate) const fn at(&self) -> u64 {
        self.at
    }

    /// The bytes that have come, kept or let pass.
    pub(crate) const fn received(&self) -> u64 {
        self.end
    }

    /// Whether bytes that come next are to be kept, be it the last of them.
    pub(crate) fn wants(&self, count: usize) -> bool {
        let passing = self.passing();
        let has_place = self.has_place() || !self.filling.is_empty();
        count > passing && has_place && {
            let more = (count - passing).min(self.size.saturating_sub(self.filling.len()));
            self.account.has_room(self.growth(more), 0, Taker::Stream)
        }
    }

    /// Lets all bytes go. Parts under way are still to be answered: one that arrives after an
    /// abort would stay.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
        self.filling = self.account.nothing();
        self.spare = self.account.nothing();
        self.full.retain(Part::is_sending);
        let nothing = Rc::new(self.account.nothing());
        for part in &mut self.full {
            part.bytes = Piece::whole(Rc::clone(&nothing));
        }
    }

    /// The only part of an object that fits into one.
    pub(crate) fn only(&self) -> Option<&Piece> {
        let is_one = self.end <= self.size as u64 && self.missing.is_empty();
        self.full
            .front()
            .filter(|part| is_one && self.full.len() == 1 && part.index == 0)
            .map(|part| &part.bytes)
    }

    /// Lets go of the bytes of an object of which the store has all it will get.
    pub(crate) fn let_go(&mut self) {
        self.full.clear();
    }

    /// Whether there is more than one PutObject can take, and some of it is to be sent.
    pub(crate) fn needs_upload(&self) -> bool {
        let size = self.end.max(self.announced.unwrap_or_default());
        !self.full.is_empty() && size > self.size as u64
    }

    /// Whether every part so far is stored.
    pub(crate) fn all_stored(&self) -> bool {
        self.full.is_empty() && self.filling.is_empty()
    }

    /// The ETags of all parts, once every part is stored.
    pub(crate) fn etags(&self) -> Option<impl Iterator<Item = &str>> {
        let are_all = self.etags.len() as u64 == self.count();
        are_all.then(|| self.etags.iter().map(|(_, etag)| etag.as_str()))
    }

    fn close_full(&mut self) {
        if self.filling.len() == self.size || self.announced == Some(self.at) {
            self.close();
        }
    }

    fn close(&mut self) {
        let index = self.begun();
        if let Ok(at) = self.missing.binary_search(&index) {
            self.missing.remove(at);
        }
        self.checked = self.check.clone();
        let bytes = std::mem::replace(&mut self.filling, self.account.nothing());
        self.add(index, Piece::whole(Rc::new(bytes)));
    }

    fn add(&mut self, index: u64, bytes: Piece) {
        self.is_begun = true;
        let state = State::Due(Moment::default());
        self.full.push_back(Part { index, bytes, attempts: 0, state });
    }

    /// What is held, each buffer once, by its address.
    #[cfg(test)]
    pub(crate) fn held(&self, found: &mut std::collections::BTreeMap<usize, usize>) {
        for held in [&self.filling, &self.spare] {
            found.insert(std::ptr::from_ref(held) as usize, held.capacity());
        }
        for part in &self.full {
            let held = part.bytes.held();
            found.insert(Rc::as_ptr(held) as usize, held.capacity());
        }
    }
}
