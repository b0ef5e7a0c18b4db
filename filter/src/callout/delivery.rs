//! Delivering: one object in memory until all who waited have it, and its copy has ended.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::deliveries::DeliveryId;
use super::fetch::{Fetch, Wanted};
use super::{ANSWERS_PER_TURN, Callouts, Parts, Waiter};
use crate::account::Taker;
use crate::conclusion::Told;
use crate::copy::{Copies, CopyId, Ended, Plan};
use crate::digest::Check;
use crate::host::{StreamId, Turn};
use crate::metric;
use crate::miss::{Miss, Sequence};
use crate::origin::Verdict;
use crate::reason::NotStored;
use crate::reply::{Object, Reply};
use crate::report::Outcome;
use crate::store::upload::Late;
use crate::time::Moment;

/// How long an object stays for requests that the bucket answered before it was stored. They are
/// known by their sequence; this only bounds how late they may come.
const LINGER: Duration = Duration::from_secs(2);

/// One object, and those who wait for it.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The miss it was fetched for.
    pub(super) miss: Miss,
    /// The object, unless it has given way to others.
    object: Option<Rc<Object>>,
    url: String,
    bytes: u64,
    pub(super) waiters: VecDeque<Waiter>,
    since: Moment,
    /// What the first client got, once it is known.
    first_client: FirstClient,
    state: State,
}

/// The client for which the object was fetched; the line on storing is about its request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FirstClient {
    Answered(u16),
    Left,
    Reported,
    Waiting,
}

impl FirstClient {
    /// What it got, where that is known.
    pub(super) const fn status(self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(status),
            Self::Left | Self::Reported | Self::Waiting => None,
        }
    }
}

#[derive(Debug)]
enum State {
    /// The object is on its way into the bucket.
    Copied(CopyId),
    /// There is nothing left to do, but to serve those who asked before.
    Settled { sequence: Sequence, until: Moment, result: Result<(), NotStored> },
}

impl Delivery {
    /// Whether this object is the answer to a miss: it is on its way into the bucket, or the bucket
    /// was asked before it had it. What the store does not take goes to nobody else: the origin may
    /// have another by then.
    pub(super) fn serves(&self, miss: &Miss, copies: &Copies) -> bool {
        let in_time = match self.state {
            State::Settled { sequence, result: Ok(()), .. } => miss.sequence < sequence,
            State::Settled { result: Err(_), .. } => false,
            State::Copied(copy) => copies.is_well(copy),
        };
        in_time && self.miss.is_same_object(miss)
    }

    /// Its copy, while it is under way.
    pub(super) const fn copy(&self) -> Option<CopyId> {
        match self.state {
            State::Copied(copy) => Some(copy),
            State::Settled { .. } => None,
        }
    }

    /// Until when it stays, where that is only for requests that may not come.
    pub(super) fn spare_until(&self) -> Option<Moment> {
        let is_spare = self.waiters.is_empty() && self.first_client == FirstClient::Reported;
        match self.state {
            State::Settled { until, .. } => is_spare.then_some(until),
            State::Copied(_) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self, found: &mut std::collections::BTreeMap<usize, usize>) {
        let Some(object) = &self.object else { return };
        found.insert(Rc::as_ptr(&object.body) as usize, object.body.capacity());
    }
}

/// What is to be copied for a miss.
fn plan(miss: &Miss, object: &Object) -> Plan {
    Plan {
        bucket: miss.request.bucket.clone(),
        key: miss.request.key.clone(),
        headers: object.stored.clone(),
        tag: object.tag.clone(),
        url: object.url.clone(),
        length: Some(object.body.len() as u64),
        validator: None,
        check: Check::default(),
        client: None,
        report: miss.report.clone(),
    }
}

impl Callouts {
    /// An object has arrived: its clients get it, and the bucket where it is storable.
    pub(super) fn deliver(
        &mut self,
        fetch: Fetch,
        object: Rc<Object>,
        storable: Result<(), NotStored>,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Fetch { miss, route, waiters, wanted, .. } = fetch;
        let first_client = match wanted {
            Some(Wanted { client }) => client,
            None if waiters.iter().any(|waiter| waiter.first) => FirstClient::Waiting,
            None => FirstClient::Left,
        };
        let begun = storable.and_then(|()| {
            let body = Rc::clone(&object.body);
            parts.copies.begin_whole(plan(&miss, &object), route, body, turn.now)
        });
        let state = match begun {
            Ok(copy) => State::Copied(copy),
            Err(why) => {
                if !why.is_meant() {
                    turn.count(miss.not_stored(why));
                }
                self.settled(Err(why), turn.now)
            }
        };
        let id = self.deliveries.push(Delivery {
            miss,
            url: object.url.clone(),
            bytes: object.body.len() as u64,
            object: Some(object),
            waiters: waiters.into(),
            since: turn.now,
            first_client,
            state,
        });
        self.deliveries.change(id, |delivery| report(delivery, turn));
    }

    /// Lets go of what is held for nobody, until there is so much room.
    pub(super) fn make_room(&mut self, bytes: usize) {
        while self.account.left().here < bytes && self.deliveries.let_one_go() {}
    }

    /// Lets go of what only waits for its store, until there is so much room: a client waits.
    pub(super) fn make_way(&mut self, bytes: usize, copies: &mut Copies, late: Late) {
        while self.account.left().here < bytes {
            let deliveries = &self.deliveries;
            let copy = copies.give_way(late, |copy| deliveries.is_answered(copy));
            let Some(id) = copy.and_then(|copy| self.deliveries.of_copy(copy)) else { return };
            self.deliveries.change(id, |delivery| delivery.object = None);
        }
    }

    /// Copies have ended.
    pub(crate) fn on_copies_ended(&mut self, ended: Vec<Ended>, turn: &mut Turn<'_>) {
        if ended.is_empty() {
            return;
        }
        for Ended { id, result } in ended {
            let state = self.settled(result, turn.now);
            if let Some(own) = self.deliveries.of_copy(id) {
                self.deliveries.change(own, |delivery| {
                    delivery.state = state;
                    report(delivery, turn);
                });
            }
        }
        self.deliveries.let_go(turn.now);
    }

    fn settled(&mut self, result: Result<(), NotStored>, now: Moment) -> State {
        // What the bucket has not got from here answers nobody else.
        let linger = if result.is_ok() { LINGER } else { Duration::ZERO };
        State::Settled { sequence: self.sequence(), until: now.after(linger), result }
    }

    /// Gives the object to as many as one turn and the memory allow, and tells of those settled.
    pub(super) fn answer_waiters(&mut self, turn: &mut Turn<'_>) {
        for id in std::mem::take(&mut self.left) {
            self.deliveries.change(id, |delivery| report(delivery, turn));
        }
        let mut answers = 0;
        // Behind the first one that finds no room, nobody is asked.
        while let Some((id, reply)) = self.next_answer() {
            if !self.may_answer(reply.object_bytes()) {
                break;
            }
            if answers == ANSWERS_PER_TURN {
                turn.wake();
                break;
            }
            answers += 1;
            let stream = self.deliveries.change(id, |delivery| give(delivery, &reply, turn));
            if let Some(stream) = stream.flatten() {
                self.answer(stream, reply, turn);
            }
        }
        self.deliveries.let_go(turn.now);
    }

    /// What the first one gets of those who wait for the oldest object.
    fn next_answer(&self) -> Option<(DeliveryId, Reply)> {
        let id = self.deliveries.first_waited_for()?;
        let Delivery { object, waiters, .. } = self.deliveries.get(id)?;
        Some((id, Reply::object(object.as_ref()?, &waiters.front()?.miss.request)))
    }

    /// Whether the host can hold an answer. It leaves room for the next object, and for one on its
    /// way to the store: clients that read slowly must not keep others waiting. One always goes.
    fn may_answer(&self, bytes: usize) -> bool {
        let limit = self.account.limit().there;
        let fits = bytes == 0
            || self.answering.is_empty()
            || self.account.has_room(0, bytes.saturating_add(limit / 2), Taker::InTurn);
        if !fits {
            self.account.await_room();
        }
        fits
    }

    /// Those for whom memory was short too long go to the origin themselves.
    pub(super) fn give_up_waiters(&mut self, turn: &mut Turn<'_>) {
        let patience = turn.configuration.timeouts.origin;
        let mut late = Vec::new();
        while let Some(id) = self.deliveries.first_waited_for() {
            let is_late = |known: &Delivery| turn.now >= known.since.after(patience);
            if !self.deliveries.get(id).is_some_and(is_late) {
                break;
            }
            late.extend(self.deliveries.change(id, |delivery| {
                let waiters = std::mem::take(&mut delivery.waiters);
                report(delivery, turn);
                waiters
            }));
        }
        for Waiter { stream, miss, .. } in late.into_iter().flatten() {
            let limit = miss.origin.limit(&turn.configuration.limits);
            let verdict = Verdict::TooLarge { limit };
            let reply = turn.conclude(stream, miss.conclude(&miss.origin, &verdict, None));
            self.answer(stream, reply, turn);
        }
    }
}

/// The first one of those who wait gets an answer; returns who that is.
fn give(delivery: &mut Delivery, reply: &Reply, turn: &mut Turn<'_>) -> Option<StreamId> {
    let waiter = delivery.waiters.pop_front()?;
    let counted = waiter.miss.ended(metric::Outcome::Mirrored);
    let (url, bytes, client) = (&*delivery.url, Some(delivery.bytes), reply.status);
    let stored = match delivery.state {
        State::Copied(_) => None,
        State::Settled { result, .. } => Some(result),
    };
    let (own, stream) = (&waiter.miss.report, waiter.stream);
    if waiter.first {
        delivery.first_client = FirstClient::Answered(client);
        // The line comes when all is known; the record must not wait for that.
        let outcome = match stored {
            None => Outcome::Begun { url, bytes, client },
            Some(_) => Outcome::Mirrored { url, bytes, client: Some(client), stored },
        };
        if let Some(told) = Told::early(own, &counted, &outcome) {
            turn.tell(stream, told);
        }
    } else {
        // It has shared another's fetch.
        let outcome = Outcome::Mirrored { url, bytes, client: Some(client), stored: None };
        turn.tell(stream, Told::of(own, &counted, &outcome));
    }
    turn.count(counted);
    report(delivery, turn);
    Some(waiter.stream)
}

/// Tells of the first client's request, once everything about it is known.
fn report(delivery: &mut Delivery, turn: &mut Turn<'_>) {
    let State::Settled { result, .. } = delivery.state else { return };
    let client = match delivery.first_client {
        FirstClient::Answered(status) => Some(status),
        FirstClient::Left => None,
        FirstClient::Waiting if delivery.waiters.iter().any(|waiter| waiter.first) => return,
        FirstClient::Waiting => None,
        FirstClient::Reported => return,
    };
    delivery.first_client = FirstClient::Reported;
    turn.log(delivery.miss.report.line(&Outcome::Mirrored {
        url: &delivery.url,
        bytes: Some(delivery.bytes),
        client,
        stored: Some(result),
    }));
}
