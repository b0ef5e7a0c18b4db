//! The memory that objects take, in one account: whoever holds bytes has booked them, and gives them
//! back by being dropped.
//!
//! ```text
//! here, in the VM                      there, in its host
//! parts that fill, wait, are sent;     bodies on their way to the store, answers on their way
//! objects for clients; ranges          here, answers on their way to clients
//! ```
//!
//! Neither a VM nor its host gives back what it has taken once, so the two must not take turns: each
//! has a share of its own. Bytes that are kept are [`Held`], and only an account hands those out.

use std::cell::Cell;
use std::ops::{Deref, Range};
use std::rc::Rc;

use crate::configuration::{DataPath, Limits};

/// The most that is fetched by one range: half of what a host holds of an answer.
pub(crate) const MAX_RANGE: usize = 16 * 1024 * 1024;

/// The largest range that is fetched beside a part on its way to the store.
const RANGE: usize = 2 * 1024 * 1024;

/// A range of fewer bytes is not worth a request of its own.
const LEAST_RANGE: usize = 100;

/// The account of one VM.
#[derive(Clone, Debug)]
pub struct Account(Rc<Sums>);

#[derive(Debug)]
struct Sums {
    limit: Usage,
    used: Cell<Usage>,
    /// What of it is there for bodies on their way to the store, and how much that may be, where one
    /// alone is no more.
    bodies: Cell<usize>,
    most_bodies: usize,
    /// The range that is fetched beside a part; `None` where memory is too short for both, and a
    /// range is a part.
    range: Option<usize>,
    /// What the oldest of those that wait has to find: here for a range, which streams leave alone;
    /// there for a body, which answers leave alone.
    claimed: Cell<Usage>,
    /// Whether somebody found no room.
    refused: Cell<bool>,
    /// Whether there has been more room since.
    relieved: Cell<bool>,
    /// The size of a part, as far as it can be held and sent.
    part: usize,
    /// The largest part that an object may need.
    largest_part: usize,
}

/// Bytes in the VM and in its host.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// In the VM.
    pub here: usize,
    /// In its host.
    pub there: usize,
}

/// Who takes memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taker {
    /// What goes on with a part that has begun. There is always room for one range of one of these:
    /// else those that have begun could wait for each other.
    Begun,
    /// What waits in its turn.
    InTurn,
    /// What a client's stream brings: it passes where there is no room.
    Stream,
}

impl Account {
    /// An account with nothing in it.
    #[must_use]
    pub fn new(limits: &Limits, path: DataPath) -> Self {
        let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let memory = bytes(limits.memory_bytes);
        let third = memory / 3;
        // A part is held here and there at once, and beside it a range comes.
        let part = bytes(limits.part_bytes).min(third.max((memory / 2).min(MAX_RANGE))).max(1);
        let there = match path {
            // An object is there as the origin's answer, as its clients' answers, and as a body.
            DataPath::Callout => memory / 2,
            DataPath::Streaming => third.max(part.min(memory / 2)),
        };
        let limit = Usage { here: memory.saturating_sub(there), there };
        // A host keeps a body for as long as its store likes. A client that waits for a callout needs
        // room there for two answers, the origin's and its own; one that streams needs none.
        let most_bodies = match path {
            DataPath::Callout => there / 2,
            DataPath::Streaming => there,
        };
        // A range of an object that is new, one of a part that begins beside that part, and one of
        // a part that has begun.
        let range = (part / 4).min(RANGE);
        let is_tight = part.saturating_add(3 * range) > limit.here || range < LEAST_RANGE;
        let range = if is_tight || path == DataPath::Callout { None } else { Some(range) };
        Self(Rc::new(Sums {
            limit,
            range,
            used: Cell::default(),
            bodies: Cell::default(),
            most_bodies,
            claimed: Cell::default(),
            refused: Cell::default(),
            relieved: Cell::default(),
            part,
            largest_part: part.max(third),
        }))
    }

    /// What may be held.
    #[must_use]
    pub fn limit(&self) -> Usage {
        self.0.limit
    }

    /// What is held now.
    #[must_use]
    pub fn used(&self) -> Usage {
        self.0.used.get()
    }

    pub(crate) fn part(&self) -> usize {
        self.0.part
    }

    pub(crate) fn largest_part(&self) -> usize {
        self.0.largest_part
    }

    /// The range that is fetched beside a part; `None` where a range is a part.
    pub(crate) fn range(&self) -> Option<usize> {
        self.0.range
    }

    /// The first range of an object of which nothing is known: many objects are no larger, and it
    /// may be long in coming.
    pub(crate) fn first_range(&self) -> Option<usize> {
        self.0.range.map(|range| (range / 4).max(1))
    }

    /// How many objects may have no more here than their first range. They leave room for one part,
    /// and two ranges: else none of them could go on.
    pub(crate) fn most_new(&self) -> usize {
        let Some((range, first)) = self.0.range.zip(self.first_range()) else { return usize::MAX };
        let kept = (2 * range).saturating_add(self.0.largest_part);
        (self.0.limit.here.saturating_sub(kept) / first).max(1)
    }

    /// What is here for ranges of parts that have begun.
    fn reserve(&self) -> usize {
        self.0.range.unwrap_or_default()
    }

    /// Whether so much can be had, at any time.
    pub(crate) fn can_ever_hold(&self, here: usize, there: usize) -> bool {
        here <= self.0.limit.here.saturating_sub(self.reserve()) && there <= self.0.limit.there
    }

    /// What is left.
    pub(crate) fn left(&self) -> Usage {
        let (limit, used) = (self.0.limit, self.0.used.get());
        Usage {
            here: limit.here.saturating_sub(used.here),
            there: limit.there.saturating_sub(used.there),
        }
    }

    /// Whether so much can be had now.
    pub(crate) fn has_room(&self, here: usize, there: usize, taker: Taker) -> bool {
        let left = self.left();
        // An answer to a client is here already, and nothing is kept from it there.
        if here == 0 {
            return there <= left.there;
        }
        let (reserve, claimed) = (self.reserve(), self.0.claimed.get());
        let kept = match taker {
            Taker::Begun => 0,
            Taker::InTurn => reserve,
            Taker::Stream => reserve.saturating_add(claimed.here),
        };
        let kept_there = if there == 0 { 0 } else { claimed.there };
        here <= left.here.saturating_sub(kept) && there <= left.there.saturating_sub(kept_there)
    }

    /// Takes memory, where there is so much.
    pub(crate) fn book(&self, here: usize, there: usize, taker: Taker) -> Option<Booking> {
        let mut booking = self.empty();
        booking.grow(here, there, taker).then_some(booking)
    }

    /// Whether another body may be on its way to the store, as far as others leave it room.
    pub(crate) fn may_send(&self, bytes: usize) -> bool {
        let under_way = self.0.bodies.get();
        under_way == 0 || under_way.saturating_add(bytes) <= self.0.most_bodies
    }

    /// Takes memory there for a body.
    fn book_body(&self, bytes: usize) -> Option<Booking> {
        if !self.may_send(bytes) {
            self.await_room();
            return None;
        }
        let mut booking = self.book(0, bytes, Taker::InTurn)?;
        booking.is_body = true;
        self.0.bodies.set(self.0.bodies.get().saturating_add(bytes));
        Some(booking)
    }

    /// Somebody waits for room: whoever gives some back is to tell.
    pub(crate) fn await_room(&self) {
        self.0.refused.set(true);
    }

    /// The oldest range that waits needs so much here, and gets it before any stream; the oldest
    /// body so much there, and gets it before any answer.
    pub(crate) fn claim(&self, claimed: Usage) {
        self.0.claimed.set(claimed);
    }

    /// Bytes that are none.
    pub(crate) fn nothing(&self) -> Held {
        Held { bytes: Vec::new(), booking: self.empty() }
    }

    /// The body of a request that is no part of an object, and is here for a moment only.
    pub(crate) fn words(&self, words: String) -> Option<Body> {
        let held = Held { bytes: words.into_bytes(), booking: self.empty() };
        Piece::whole(Rc::new(held)).to_body()
    }

    fn empty(&self) -> Booking {
        self.of(Usage::default())
    }

    /// What has been booked already.
    fn of(&self, size: Usage) -> Booking {
        Booking { account: self.clone(), size, is_body: false }
    }

    /// Keeps bytes, where there is room for them.
    pub(crate) fn hold(&self, bytes: Vec<u8>, taker: Taker) -> Option<Held> {
        self.empty().hold(bytes, taker)
    }

    /// Whether there is more room since somebody found none. True once.
    pub(crate) fn take_relief(&self) -> bool {
        let is_relieved = self.0.relieved.take();
        if is_relieved {
            self.0.refused.set(false);
        }
        is_relieved
    }
}

/// Memory that somebody has.
#[derive(Debug)]
pub(crate) struct Booking {
    account: Account,
    size: Usage,
    /// Whether it is for a body on its way to the store.
    is_body: bool,
}

impl Booking {
    pub(crate) const fn size(&self) -> Usage {
        self.size
    }

    /// Takes so much more. False where there is not so much; then nothing is taken.
    pub(crate) fn grow(&mut self, here: usize, there: usize, taker: Taker) -> bool {
        if !self.account.has_room(here, there, taker) {
            self.account.await_room();
            return false;
        }
        let used = self.account.used();
        self.account.0.used.set(Usage {
            here: used.here.saturating_add(here),
            there: used.there.saturating_add(there),
        });
        self.size.here = self.size.here.saturating_add(here);
        self.size.there = self.size.there.saturating_add(there);
        true
    }

    /// Gives so much back.
    pub(crate) fn shrink(&mut self, here: usize, there: usize) {
        let (here, there) = (here.min(self.size.here), there.min(self.size.there));
        self.size.here -= here;
        self.size.there -= there;
        let sums = &self.account.0;
        if self.is_body {
            sums.bodies.set(sums.bodies.get().saturating_sub(there));
        }
        let used = sums.used.get();
        sums.used.set(Usage {
            here: used.here.saturating_sub(here),
            there: used.there.saturating_sub(there),
        });
        if (here > 0 || there > 0) && sums.refused.get() {
            sums.relieved.set(true);
        }
    }

    /// Keeps bytes that have come for what is booked here, and gives back the rest of that.
    pub(crate) fn hold(mut self, bytes: Vec<u8>, taker: Taker) -> Option<Held> {
        let (capacity, booked) = (bytes.capacity(), self.size.here);
        if capacity > booked && !self.grow(capacity - booked, 0, taker) {
            return None;
        }
        let there = self.size.there;
        self.shrink(booked.saturating_sub(capacity), there);
        Some(Held { bytes, booking: self })
    }

    /// Splits off all of it, as long as its owner is borrowed by others.
    pub(crate) fn take(&mut self) -> Self {
        let size = std::mem::take(&mut self.size);
        self.account.of(size)
    }

    /// Splits off what is booked here.
    pub(crate) fn split_here(&mut self) -> Self {
        let here = std::mem::take(&mut self.size.here);
        self.account.of(Usage { here, there: 0 })
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.shrink(self.size.here, self.size.there);
    }
}

/// Bytes that are booked for as long as they are there.
#[derive(Debug)]
pub struct Held {
    bytes: Vec<u8>,
    booking: Booking,
}

impl Held {
    /// The memory they take.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes in as many bytes as there is room for, which the caller has made.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let room = self.bytes.capacity() - self.bytes.len();
        let (bytes, _) = bytes.split_at(room.min(bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes room for so many bytes in all. False where there is none.
    pub(crate) fn grow(&mut self, capacity: usize, taker: Taker) -> bool {
        if capacity <= self.bytes.capacity() {
            return true;
        }
        // While the bytes move, both places are taken.
        if !self.booking.grow(capacity, 0, taker) {
            return false;
        }
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(&self.bytes);
        let before = std::mem::replace(&mut self.bytes, bytes).capacity();
        self.booking.shrink(before, 0);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Leaves only the first bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Some of the bytes that are held.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    held: Rc<Held>,
    range: Range<usize>,
}

impl Piece {
    pub(crate) fn new(held: Rc<Held>, range: Range<usize>) -> Self {
        Self { held, range }
    }

    /// All of them.
    pub(crate) fn whole(held: Rc<Held>) -> Self {
        let range = 0..held.len();
        Self { held, range }
    }

    /// What it is of, where nobody else has that.
    pub(crate) fn into_held(self) -> Option<Held> {
        Rc::try_unwrap(self.held).ok()
    }

    /// What it is of.
    #[cfg(test)]
    pub(crate) const fn held(&self) -> &Rc<Held> {
        &self.held
    }

    /// The body of a request, of which the host holds another copy until the request is answered.
    pub(crate) fn to_body(&self) -> Option<Body> {
        let booking = self.held.booking.account.book_body(self.len())?;
        Some(Body { piece: self.clone(), there: Rc::new(booking) })
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.held.get(self.range.clone()).unwrap_or_default()
    }
}

/// The body of a request.
#[derive(Clone, Debug)]
pub struct Body {
    piece: Piece,
    there: Rc<Booking>,
}

impl Body {
    /// What the host's copy is booked by.
    pub(crate) fn booking(&self) -> Rc<Booking> {
        Rc::clone(&self.there)
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.piece
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Body {}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(memory_bytes: u64) -> Account {
        let limits = Limits { memory_bytes, part_bytes: 8, object_bytes: 8, ..Limits::default() };
        Account::new(&limits, DataPath::Streaming)
    }

    #[test]
    fn what_is_dropped_is_given_back_and_told_to_whoever_found_no_room() {
        let account = account(30);
        assert_eq!(account.limit(), Usage { here: 20, there: 10 });
        let held = account.hold(vec![0; 20], Taker::InTurn).unwrap();
        assert_eq!(account.used(), Usage { here: 20, there: 0 });
        assert!(!account.take_relief());
        assert!(account.hold(vec![0; 1], Taker::InTurn).is_none());
        let piece = Piece::whole(Rc::new(held));
        assert!(piece.to_body().is_none(), "the host has a share of its own");
        let piece = Piece::new(piece.held, 0..10);
        let body = piece.to_body().unwrap();
        assert_eq!(account.used(), Usage { here: 20, there: 10 });
        let booking = body.booking();
        drop((piece, body));
        assert_eq!(account.used(), Usage { here: 0, there: 10 }, "its call has not ended");
        drop(booking);
        assert_eq!(account.used(), Usage::default());
        assert!(account.take_relief());
        assert!(!account.take_relief(), "once");
    }

    #[test]
    fn while_bytes_move_both_places_are_booked() {
        let account = account(30);
        let mut held = account.hold(vec![0; 8], Taker::InTurn).unwrap();
        assert!(!held.grow(13, Taker::InTurn), "8 and 13 are more than 20");
        assert!(held.grow(12, Taker::InTurn));
        assert_eq!(account.used().here, 12);
        held.extend(&[1; 100]);
        assert_eq!(held.len(), 12, "nothing grows unbooked");
    }

    #[test]
    fn a_stream_leaves_alone_what_the_oldest_waits_for() {
        let account = account(30);
        account.claim(Usage { here: 15, there: 0 });
        assert!(account.has_room(5, 0, Taker::Stream));
        assert!(!account.has_room(6, 0, Taker::Stream));
        assert!(account.has_room(20, 0, Taker::InTurn));
    }

    #[test]
    fn an_answer_keeps_what_was_booked_for_it_and_no_more() {
        let account = account(30);
        let booking = account.book(10, 4, Taker::InTurn).unwrap();
        let held = booking.hold(vec![0; 3], Taker::InTurn).unwrap();
        assert_eq!(account.used(), Usage { here: 3, there: 0 });
        drop(held);
        let booking = account.book(1, 0, Taker::InTurn).unwrap();
        assert!(booking.hold(vec![0; 21], Taker::InTurn).is_none());
        assert_eq!(account.used(), Usage::default());
    }

    #[test]
    fn a_part_can_be_held_and_sent_whatever_is_configured() {
        for memory in [1_u64, 2, 5, 24, 1 << 20, 16 << 20, 64 << 20, 512 << 20] {
            for part in [1_u64, 5, 8 << 20, 64 << 20, 512 << 20] {
                let limits = Limits { memory_bytes: memory, part_bytes: part, ..Limits::default() };
                let account = Account::new(&limits, DataPath::Streaming);
                let limit = account.limit();
                assert_eq!((limit.here + limit.there) as u64, memory);
                let fits = account.can_ever_hold(account.part(), account.part());
                assert!(fits || memory == 1, "{memory} {part}");
            }
        }
    }
}
