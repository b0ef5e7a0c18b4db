//! The parts of one object: filled byte by byte, sent one after the other, let go when stored.
//!
//! A part that the store has no time for is let pass, whole, and fetched later.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::attempt::next_attempt;
use crate::digest::{Check, Mismatch};
use crate::host::{CallAnswer, CallId};
use crate::http::headers::Headers;
use crate::reason::NotStored;
use crate::store::{self, Written};
use crate::time::Moment;

/// The most parts an upload has (S3).
const MAX_PARTS: u64 = 10_000;

/// Full parts of one object held at once, of which the first is on its way, and held by the host
/// once more: a store that falls further behind is not waited for.
const MAX_FULL: usize = 2;

/// The largest range that is fetched at first, for an object may be had by one only: half of what
/// a host holds of an answer.
const MAX_RANGE: usize = 16 * 1024 * 1024;

/// The range that is fetched beside a part on its way to the store.
const RANGE: usize = 2 * 1024 * 1024;

/// The first room of an object whose size nobody announced.
const FIRST_ROOM: usize = 64 * 1024;

/// The parts of one object.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The size of every part but the last.
    size: usize,
    announced: Option<u64>,
    /// Where the next byte belongs.
    at: u64,
    /// Behind the last byte that has come, kept or let pass.
    end: u64,
    /// The parts that were let pass, by number less one, the lowest first.
    missing: VecDeque<u64>,
    /// The check of the bytes received, and as it was at the last full part.
    check: Check,
    checked: Check,
    filling: Vec<u8>,
    /// The room of a part that is stored, for the next one. Given back, it would be cut up by the
    /// chunks that come meanwhile, and the next part would need another place.
    spare: Vec<u8>,
    /// In the order of their numbers.
    full: Vec<Part>,
    /// Those of the parts that are stored, by number less one.
    etags: Vec<Option<String>>,
    /// Whether the object is given up, and only the parts under way are waited for.
    given_up: bool,
}

/// A part that is full, and not yet stored.
#[derive(Debug)]
struct Part {
    number: u32,
    bytes: Rc<Vec<u8>>,
    attempts: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Due(Moment),
    Sending(CallId),
}

impl Parts {
    pub(crate) fn new(part_bytes: u64, announced: Option<u64>, check: Check) -> Self {
        // An object that is announced to be huge has larger parts, so that they are few enough.
        let size = part_bytes.max(announced.unwrap_or_default().div_ceil(MAX_PARTS));
        Self {
            size: usize::try_from(size).unwrap_or(usize::MAX),
            announced,
            at: 0,
            end: 0,
            missing: VecDeque::new(),
            checked: check.clone(),
            check,
            filling: Vec::new(),
            spare: Vec::new(),
            full: Vec::new(),
            etags: Vec::new(),
            given_up: false,
        }
    }

    /// An object that has come whole: one part, whatever its size, shared with whoever else has it.
    pub(crate) fn whole(bytes: Rc<Vec<u8>>) -> Self {
        let size = bytes.len() as u64;
        let mut parts = Self::new(size.max(1), Some(size), Check::default());
        parts.advance(bytes.len());
        parts.slot(0);
        let state = State::Due(Moment::default());
        parts.full.push(Part { number: 1, bytes, attempts: 0, state });
        parts
    }

    /// Takes bytes in. Where they fill a part, and `free` has no place for another, the rest
    /// passes; `None` is a place for all. True when a part has become full.
    pub(crate) fn push(&mut self, bytes: &[u8], free: Option<usize>) -> bool {
        let before = self.full.len();
        let (passing, mut bytes) = bytes.split_at(self.passing().min(bytes.len()));
        self.advance(passing.len());
        while !bytes.is_empty() {
            if self.filling.is_empty() && free.is_some_and(|free| !self.fits(bytes.len(), free)) {
                self.pass(bytes.len());
                break;
            }
            self.reserve(bytes.len());
            let room = self.size - self.filling.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.filling.extend_from_slice(now);
            self.check.update(now);
            self.advance(now.len());
            bytes = later;
            if self.filling.len() == self.size || self.announced == Some(self.at) {
                self.close();
            }
        }
        self.full.len() > before
    }

    /// Takes in bytes that were fetched, without another copy where they are one part.
    pub(crate) fn push_range(&mut self, mut bytes: Vec<u8>) {
        if self.at < self.end {
            // An origin may send more than was asked for, and the next part has come already.
            let rest = self.size as u64 - self.at % self.size as u64;
            bytes.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
        }
        let is_last = self.announced == Some(self.at.saturating_add(bytes.len() as u64));
        if self.filling.is_empty() && !bytes.is_empty() && (bytes.len() == self.size || is_last) {
            self.check.update(&bytes);
            self.advance(bytes.len());
            self.filling = bytes;
            self.close();
        } else {
            self.push(&bytes, None);
        }
    }

    /// Lets bytes pass, and with them the parts that they are of.
    pub(crate) fn pass(&mut self, count: usize) {
        let first = self.begun();
        self.filling = Vec::new();
        self.advance(count);
        for index in first..self.at.div_ceil(self.size as u64) {
            if self.missing.back() != Some(&index) {
                self.missing.push_back(index);
            }
            self.slot(index);
        }
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
        self.at += count as u64;
        self.end = self.end.max(self.at);
    }

    /// The part that the next byte is of, by number less one.
    fn begun(&self) -> u64 {
        (self.at - self.filling.len() as u64) / self.size as u64
    }

    /// The place of the ETag of a part.
    fn slot(&mut self, index: u64) -> Option<&mut Option<String>> {
        let index = usize::try_from(index).ok()?;
        if self.etags.len() <= index {
            self.etags.resize(index + 1, None);
        }
        self.etags.get_mut(index)
    }

    /// Goes to the first byte that is missing, unless one is just before it.
    pub(crate) fn seek(&mut self) {
        if self.filling.is_empty() {
            self.at = match self.missing.front() {
                Some(index) => index * self.size as u64,
                None => self.end,
            };
        }
    }

    /// Whether nothing has come yet.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.end == 0
    }

    /// Whether all bytes of an announced object have come, and none was let pass.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.announced.is_none_or(|size| size == self.end)
    }

    /// The last part is as large as it is; an object of no bytes has one of no bytes.
    pub(crate) fn finish(&mut self) {
        self.spare = Vec::new();
        if !self.filling.is_empty() || self.etags.is_empty() {
            self.close();
        }
    }

    /// The object's size is known by now.
    pub(crate) fn announce(&mut self, size: u64) {
        self.announced = Some(size);
    }

    /// The object comes whole, and this is what is known of its bytes.
    pub(crate) fn expect(&mut self, check: Check) {
        self.check = check;
    }

    /// A range comes next; this is what is said of it, and of the object. Returns what is wrong.
    pub(crate) fn expect_range(&mut self, answer: &Headers, range: &[u8]) -> Option<Mismatch> {
        let is_first = self.is_untouched();
        self.check.on_range(answer, range, is_first)
    }

    /// What is announced of the object, and not true of the bytes received.
    pub(crate) fn mismatch(&self) -> Option<Mismatch> {
        self.check.mismatch()
    }

    /// The most that is fetched at once.
    pub(crate) fn range(&self) -> usize {
        self.size.min(if self.is_untouched() { MAX_RANGE } else { RANGE })
    }

    /// The first and the last byte of the range to be fetched next, within one part.
    pub(crate) fn next_range(&self) -> (u64, u64) {
        let size = self.size as u64;
        let end = (self.at - self.at % size).saturating_add(size);
        let end = end.min(self.at.saturating_add(self.range() as u64));
        (self.at, end.saturating_sub(1))
    }

    /// The memory that a range takes when it comes: the host's copy, the one here, and its place in
    /// a part.
    pub(crate) fn range_in_memory(&self) -> usize {
        let range = self.range();
        let place = if self.is_untouched() { 0 } else { self.growth(range) };
        range.saturating_mul(2).saturating_add(place)
    }

    /// Bytes of parts that are on their way to the store.
    pub(crate) fn under_way(&self) -> usize {
        let sending = |part: &&Part| matches!(part.state, State::Sending(_));
        self.full.iter().filter(sending).map(|part| part.bytes.len()).sum()
    }

    /// Whether more bytes may come: the store keeps up.
    pub(crate) const fn has_room(&self) -> bool {
        self.full.len() < MAX_FULL
    }

    /// Goes back to the last full part, so that what is held is only what the store will take.
    pub(crate) fn rewind(&mut self) {
        let begun = self.begun();
        self.missing.retain(|index| *index < begun);
        self.end = begun * self.size as u64;
        self.at = self.end;
        self.filling = Vec::new();
        self.spare = Vec::new();
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

    /// Bytes of memory in use.
    pub(crate) fn held(&self) -> usize {
        let full: usize = self.full.iter().map(|part| part.bytes.capacity()).sum();
        full + self.filling.capacity() + self.spare.capacity()
    }

    /// Whether bytes that come next are to be kept, be it the last of them.
    pub(crate) fn wants(&self, count: usize, free: usize) -> bool {
        let passing = self.passing();
        !self.filling.is_empty() || (count > passing && self.fits(count - passing, free))
    }

    /// Whether so many more bytes find a place.
    pub(crate) fn fits(&self, more: usize, free: usize) -> bool {
        self.has_room() && self.growth(more) <= free
    }

    /// The memory that so many more bytes take.
    fn growth(&self, more: usize) -> usize {
        let there = self.filling.capacity().max(self.spare.capacity());
        let within = self.room_for(more).saturating_sub(there);
        let beyond = self.filling.len().saturating_add(more).saturating_sub(self.size);
        within.saturating_add(beyond)
    }

    /// Lets all bytes go. Parts under way are still to be answered: one that arrives after an
    /// abort would stay.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
        self.filling = Vec::new();
        self.spare = Vec::new();
        self.full.retain(|part| matches!(part.state, State::Sending(_)));
        for part in &mut self.full {
            part.bytes = Rc::new(Vec::new());
        }
    }

    /// The only part of an object that fits into one.
    pub(crate) fn only(&self) -> Option<Rc<Vec<u8>>> {
        match self.full.as_slice() {
            [only] if self.etags.len() == 1 => Some(Rc::clone(&only.bytes)),
            _ => None,
        }
    }

    /// Whether there is more than one PutObject can take, or may be.
    pub(crate) fn needs_upload(&self) -> bool {
        self.etags.len() > 1 || (self.etags.len() == 1 && !self.filling.is_empty())
    }

    /// The part to be sent now: one after the other, so that the host holds one of them.
    pub(crate) fn due(
        &mut self,
        room: usize,
        now: Moment,
        call: impl FnOnce() -> CallId,
    ) -> Option<(CallId, u32, Rc<Vec<u8>>)> {
        let part = self.full.first_mut()?;
        match part.state {
            State::Due(at) if now >= at && part.bytes.len() <= room => {
                let id = call();
                part.state = State::Sending(id);
                part.attempts += 1;
                Some((id, part.number, Rc::clone(&part.bytes)))
            }
            State::Due(_) | State::Sending(_) => None,
        }
    }

    /// Whether every part so far is stored.
    pub(crate) fn all_stored(&self) -> bool {
        self.full.is_empty() && self.filling.is_empty()
    }

    /// The ETags of all parts, once every part is stored.
    pub(crate) fn etags(&self) -> Option<Vec<String>> {
        self.etags.iter().cloned().collect()
    }

    pub(crate) fn has(&self, call: CallId) -> bool {
        self.full.iter().any(|part| matches!(part.state, State::Sending(own) if own == call))
    }

    /// Whether a part is sent by this call, and not for the first time.
    pub(crate) fn is_repeated(&self, call: CallId) -> bool {
        let sends = |part: &Part| matches!(part.state, State::Sending(own) if own == call);
        self.full.iter().any(|part| part.attempts > 1 && sends(part))
    }

    /// The answer to a part; `None` where the call was none of theirs.
    pub(crate) fn on_answer(
        &mut self,
        call: CallId,
        answer: &CallAnswer,
        now: Moment,
    ) -> Option<Result<(), NotStored>> {
        let at = self
            .full
            .iter()
            .position(|part| matches!(part.state, State::Sending(own) if own == call))?;
        if self.given_up {
            self.full.remove(at);
            return Some(Ok(()));
        }
        let status = answer.headers.status();
        let etag = answer.headers.text("etag");
        let failure = match (store::judge(status), etag) {
            (Written::Done, Some(etag)) => {
                let part = self.full.remove(at);
                if let Some(slot) = self.slot(u64::from(part.number.saturating_sub(1))) {
                    *slot = Some(etag.to_owned());
                }
                self.reuse(part.bytes);
                return Some(Ok(()));
            }
            (Written::Failed | Written::Done, _) => {
                let part = self.full.get_mut(at)?;
                if let Some(due) = next_attempt(part.attempts, now) {
                    part.state = State::Due(due);
                    return Some(Ok(()));
                }
                let status = status.unwrap_or_default();
                NotStored::GaveUp { attempts: part.attempts, status }
            }
            (Written::Refused(status), _) => NotStored::Refused(status),
            // A part has no precondition; whoever answers so did not store it.
            (Written::AlreadyThere, _) => NotStored::Refused(412),
        };
        self.full.remove(at);
        Some(Err(failure))
    }

    /// Keeps the room of a part that is stored, while bytes of another come.
    fn reuse(&mut self, bytes: Rc<Vec<u8>>) {
        let is_within = !self.filling.is_empty() || self.passing() > 0;
        if is_within
            && self.announced != Some(self.at)
            && let Ok(mut bytes) = Rc::try_unwrap(bytes)
        {
            bytes.clear();
            self.spare = bytes;
        }
    }

    /// Makes room for bytes.
    fn reserve(&mut self, more: usize) {
        if self.filling.capacity() == 0 {
            self.filling = std::mem::take(&mut self.spare);
        }
        let room = self.room_for(more);
        self.filling.reserve_exact(room.saturating_sub(self.filling.len()));
    }

    /// The room the part that is being filled should have: all at once where the size is known,
    /// since doubling would hold twice as much for a moment.
    fn room_for(&self, more: usize) -> usize {
        let needed = self.filling.len().saturating_add(more).min(self.size);
        if needed <= self.filling.capacity() {
            return self.filling.capacity();
        }
        let rest = self.announced.map(|size| size.saturating_sub(self.at));
        let rest = rest.map(|rest| usize::try_from(rest).unwrap_or(usize::MAX));
        match rest {
            Some(rest) => self.filling.len().saturating_add(rest).clamp(needed, self.size),
            None if self.etags.is_empty() => {
                (self.filling.capacity() * 2).max(FIRST_ROOM).clamp(needed, self.size)
            }
            None => self.size,
        }
    }

    fn close(&mut self) {
        let index = self.begun();
        self.slot(index);
        self.missing.retain(|missing| *missing != index);
        self.checked = self.check.clone();
        let number = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
        let bytes = Rc::new(std::mem::take(&mut self.filling));
        let state = State::Due(Moment::default());
        self.full.push(Part { number, bytes, attempts: 0, state });
    }
}
