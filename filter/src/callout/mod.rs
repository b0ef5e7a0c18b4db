//! The callout path: each missed object is fetched once, into memory, and given to all who wait.
//!
//! ```text
//!              miss                   200                    200, or given up
//! (nothing) ─────────▶ Fetch ──────────────────▶ Delivery ───────────────────▶ (lingers, gone)
//!                      Queued → Calling          its copy goes into the bucket
//!                               → AskingSize     │
//!                      │ 404, failure, too large │ clients are answered as memory allows,
//!                      ▼                         ▼ whatever the store does
//!                   clients are answered
//! ```
//!
//! Where the bucket's 403 may mean that, the bucket is asked first (`proof`).
//!
//! Streams only report here; every callout leaves from the VM's root, so that its result is known
//! even when the client that caused it has gone.

mod deliveries;
mod delivery;
mod ending;
mod fetch;
mod fetches;
mod proof;
#[cfg(test)]
mod tests;

use self::deliveries::{Deliveries, DeliveryId};
use self::fetch::Fetch;
use self::fetches::Fetches;
use self::proof::Proof;
use crate::account::{Account, Booking, Taker};
use crate::copy::Copies;
use crate::host::{CallAnswer, CallId, DispatchError, Effect, StreamId, Turn};
use crate::lease::Lease;
use crate::miss::{Miss, Sequence};
use crate::origin::Health;
use crate::reply::{Body, Reply};
use crate::store::upload::Late;
use crate::time::Moment;

/// Clients that are answered in one turn. A host nests each answer's callbacks in the last one's,
/// so that hundreds at once would exhaust its stack.
pub(crate) const ANSWERS_PER_TURN: usize = 16;

/// Someone who waits for an object.
#[derive(Debug)]
struct Waiter {
    stream: StreamId,
    miss: Miss,
    /// Whether the fetch was begun for this one.
    first: bool,
}

/// What a turn of the callout path works with beside its own state.
pub(crate) struct Parts<'p> {
    pub(crate) copies: &'p mut Copies,
    pub(crate) health: &'p mut Health,
}

/// The callout path of one VM.
#[derive(Debug)]
pub(crate) struct Callouts {
    account: Account,
    /// How large the next answer of an origin may be, by those before.
    guess: Guess,
    last_sequence: u64,
    arrived: Vec<(StreamId, Miss)>,
    /// Objects that nobody waits for.
    wanted: Vec<Miss>,
    /// Requests of which the bucket is asked whether it lacks the object.
    proofs: Vec<Proof>,
    fetches: Fetches,
    deliveries: Deliveries,
    /// Those of which somebody has left who waited.
    left: Vec<DeliveryId>,
    /// What the host holds for clients that are being answered.
    answering: Vec<(StreamId, Booking)>,
    /// Streams whose held answer has given way to an empty object.
    emptied: Vec<StreamId>,
}

/// How large an answer may be that is on its way. Nobody knows before it is there, and the host
/// holds all of it: so as many are fetched at once as there is room for, were they all as large as
/// those before. Of a smaller one half of the difference is forgotten, so that a few small ones are
/// enough for many at once.
#[derive(Clone, Copy, Debug)]
struct Guess {
    bytes: usize,
    /// What an answer is thought to take at least.
    least: usize,
}

impl Guess {
    /// Nothing is known yet: half of all is kept for each of the first.
    fn new(account: &Account, largest: u64) -> Self {
        let there = account.limit().there;
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        Self { bytes: largest.max(there / 2), least: there / 512 }
    }

    fn learn(&mut self, found: u64) {
        let found = usize::try_from(found).unwrap_or(usize::MAX);
        self.bytes = found.max(self.bytes / 2).max(self.least);
    }
}

impl Callouts {
    pub(crate) fn new(account: Account, object_bytes: u64) -> Self {
        let guess = Guess::new(&account, object_bytes);
        Self {
            account,
            guess,
            last_sequence: 0,
            arrived: Vec::new(),
            wanted: Vec::new(),
            proofs: Vec::new(),
            fetches: Fetches::default(),
            deliveries: Deliveries::default(),
            left: Vec::new(),
            answering: Vec::new(),
            emptied: Vec::new(),
        }
    }

    /// Whether nothing is under way, and nobody waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.arrived.is_empty()
            && self.wanted.is_empty()
            && self.proofs.is_empty()
            && self.fetches.is_empty()
            && self.deliveries.are_spare()
    }

    /// Requests are counted on from a number.
    pub(crate) const fn count_from(&mut self, number: u64) {
        // So many will never come.
        self.last_sequence = number >> 1;
    }

    /// The place of a request that begins now.
    pub(crate) const fn sequence(&mut self) -> Sequence {
        self.last_sequence += 1;
        Sequence(self.last_sequence)
    }

    /// A stream's response is held for an object.
    pub(crate) fn on_miss(&mut self, stream: StreamId, miss: Miss) -> Vec<Effect> {
        self.arrived.push((stream, miss));
        vec![Effect::Wake]
    }

    /// An object is to be fetched for which nobody waits.
    pub(crate) fn on_wanted(&mut self, miss: Miss) -> Vec<Effect> {
        self.wanted.push(miss);
        vec![Effect::Wake]
    }

    /// A stream has ended: its client has everything, or has left.
    pub(crate) fn on_stream_end(&mut self, stream: StreamId) {
        self.emptied.retain(|emptied| *emptied != stream);
        self.answering.retain(|(answered, _)| *answered != stream);
        self.arrived.retain(|(waiting, _)| *waiting != stream);
        self.proofs.retain(|proof| proof.stream != stream);
        self.fetches.on_stream_end(stream);
        self.left.append(&mut self.deliveries.on_stream_end(stream));
    }

    /// Whether the body of a stream's held response is to be thrown away.
    pub(crate) fn discards_body(&self, stream: StreamId) -> bool {
        self.emptied.contains(&stream)
    }

    /// The root has its turn.
    pub(crate) fn on_wake(&mut self, parts: &Parts<'_>, now: Moment) {
        for (stream, miss) in std::mem::take(&mut self.arrived) {
            self.admit(stream, miss, parts.copies, now);
        }
        for miss in std::mem::take(&mut self.wanted) {
            self.admit_wanted(miss, parts.copies, now);
        }
    }

    /// Time has passed.
    pub(crate) fn on_tick(&mut self, parts: &mut Parts<'_>, turn: &mut Turn<'_>) {
        self.give_up_queued(parts, turn);
        self.give_up_waiters(turn);
        self.ask_unknown(turn.now);
    }

    /// Whether the body of an answer is to be read out of the host: all of it, or nothing. Where it
    /// is, memory is booked for it.
    pub(crate) fn wants_body(
        &mut self,
        call: CallId,
        body_bytes: u64,
        limit: u64,
        booked: Option<&mut Booking>,
        copies: &mut Copies,
        late: Late,
    ) -> bool {
        let Some(booked) = booked else { return false };
        let bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX);
        let fetch = self.fetches.of_call(call).and_then(|id| self.fetches.get(id));
        let is_wanted = body_bytes <= limit && fetch.is_some_and(|fetch| fetch.is_calling(call));
        let is_waited_for = fetch.is_some_and(|fetch| !fetch.waiters.is_empty());
        is_wanted && {
            let more = bytes.saturating_sub(booked.size().here);
            self.make_room(more);
            if is_waited_for {
                self.make_way(more, copies, late);
            }
            booked.grow(more, 0, Taker::InTurn)
        }
    }

    /// A callout has been answered, or has failed in the host. False where it is none of these.
    pub(crate) fn on_call_answer(
        &mut self,
        call: CallId,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(id) = self.fetches.of_call(call) else {
            return self.on_proof(call, Some(&answer.headers), parts, turn);
        };
        let Some(fetch) = self.fetches.get(id) else { return false };
        if fetch.is_calling(call) {
            self.on_origin_answer(id, answer, booked, parts, turn);
        } else if fetch.is_heading(call) {
            self.on_head_answer(id, &answer.headers, parts, turn);
        } else {
            self.on_size_answer(id, &answer.headers, parts, turn);
        }
        true
    }

    /// A callout was not sent. False where it is none of these.
    pub(crate) fn on_call_refused(
        &mut self,
        call: CallId,
        why: DispatchError,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(at) = self.fetches.of_call(call) else {
            return self.on_proof(call, None, parts, turn);
        };
        self.on_origin_refused(at, why, parts, turn);
        true
    }

    /// Puts a miss where its object is, or is on its way.
    fn admit(&mut self, stream: StreamId, miss: Miss, copies: &Copies, now: Moment) {
        if let Some(id) = self.deliveries.serving(&miss, copies) {
            self.deliveries.join(id, [Waiter { stream, miss, first: false }]);
        } else if let Some(id) = self.fetches.serving(&miss, |fetch| fetch.is_for(&miss)) {
            self.fetches.join(id, [Waiter { stream, miss, first: false }]);
        } else {
            self.fetches.push(Fetch::new(stream, miss, now));
        }
    }

    /// The same for one that nobody waits for.
    fn admit_wanted(&mut self, miss: Miss, copies: &Copies, now: Moment) {
        let known = self.deliveries.serving(&miss, copies).is_some()
            || self.fetches.serving(&miss, |fetch| fetch.is_for(&miss)).is_some();
        if !known {
            self.fetches.push(Fetch::wanted(miss, now));
        }
    }

    /// What is due after every event.
    pub(crate) fn advance(&mut self, parts: &mut Parts<'_>, turn: &mut Turn<'_>) {
        self.start_proofs(turn);
        self.start_fetches(parts, turn);
        self.answer_waiters(turn);
    }

    /// Whether time brings anything on.
    pub(crate) fn waits(&self) -> bool {
        self.fetches.wait() || !self.deliveries.is_empty()
    }

    /// Answers a client, or lets it be when it has gone.
    fn answer(&mut self, stream: StreamId, reply: Reply, turn: &mut Turn<'_>) {
        match &reply.body {
            Body::Headers(_) => {
                self.emptied.push(stream);
            }
            Body::Object(..) => {
                // One that is larger than all that is left goes alone, and takes that.
                let bytes = reply.object_bytes().min(self.account.left().there);
                let booking = self.account.book(0, bytes, Taker::InTurn);
                self.answering.extend(booking.map(|booking| (stream, booking)));
            }
            Body::Absent | Body::Text(_) => {}
        }
        turn.effects.push(Effect::Answer(stream, reply));
    }

    /// What objects for clients hold, each once, by its address.
    #[cfg(test)]
    pub(crate) fn held(&self, found: &mut std::collections::BTreeMap<usize, usize>) {
        for delivery in self.deliveries.iter() {
            delivery.held(found);
        }
    }

    /// What the host holds for clients.
    #[cfg(test)]
    pub(crate) fn answering(&self) -> impl Iterator<Item = usize> {
        self.answering.iter().map(|(_, booking)| booking.size().there)
    }
}

/// A number for what a miss wants, which few others have.
fn number(miss: &Miss) -> u64 {
    Lease::of(&miss.request.bucket, &miss.request.key).object()
}
