//! Delivering: one object in memory until all who waited have it, and its copy has ended.

use std::rc::Rc;
use std::time::Duration;

use super::fetch::{Fetch, Wanted};
use super::{ANSWERS_PER_TURN, Callouts, Parts, Waiter};
use crate::account::Taker;
use crate::copy::{Copies, CopyId, Ended, Plan};
use crate::digest::Check;
use crate::host::Turn;
use crate::metric::Metric;
use crate::miss::{Miss, Sequence};
use crate::origin::Verdict;
use crate::reason::NotStored;
use crate::reply::{Object, Reply};
use crate::report::Outcome;
use crate::time::Moment;

/// How long an object stays for requests that the bucket answered before it was stored. They are
/// known by their sequence; this only bounds how late they may come.
const LINGER: Duration = Duration::from_secs(2);

/// One object, and those who wait for it.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The miss it was fetched for.
    miss: Miss,
    object: Rc<Object>,
    pub(super) waiters: Vec<Waiter>,
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

    /// Whether nobody needs it any more.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        match self.state {
            State::Settled { until, .. } => {
                self.waiters.is_empty()
                    && self.first_client == FirstClient::Reported
                    && now >= until
            }
            State::Copied(_) => false,
        }
    }

    /// Whether it only stays for requests that may not come.
    pub(super) fn is_spare(&self) -> bool {
        matches!(self.state, State::Settled { .. }) && self.waiters.is_empty()
    }

    #[cfg(test)]
    pub(super) fn held(&self, found: &mut std::collections::BTreeMap<usize, usize>) {
        let body = &self.object.body;
        found.insert(Rc::as_ptr(body) as usize, body.capacity());
    }

    /// What is to be copied.
    fn plan(&self) -> Plan {
        Plan {
            bucket: self.miss.request.bucket.clone(),
            key: self.miss.request.key.clone(),
            headers: self.object.stored.clone(),
            tag: self.object.tag.clone(),
            url: self.object.url.clone(),
            length: Some(self.object.body.len() as u64),
            validator: None,
            check: Check::default(),
            client: None,
            report: self.miss.report.clone(),
        }
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
        let since = turn.now;
        let state = self.settled(storable, turn.now);
        let mut delivery = Delivery { miss, object, waiters, since, first_client, state };
        let begun = storable.and_then(|()| {
            let body = Rc::clone(&delivery.object.body);
            parts.copies.begin_whole(delivery.plan(), route, body, turn.now)
        });
        delivery.state = match begun {
            Ok(copy) => State::Copied(copy),
            Err(why) if why.is_meant() => delivery.state,
            Err(why) => {
                turn.count(Metric::NotStored);
                self.settled(Err(why), turn.now)
            }
        };
        self.deliveries.push(delivery);
    }

    /// Lets go of what is held for nobody, until there is so much room.
    pub(super) fn make_room(&mut self, bytes: usize) {
        while self.account.left().here < bytes {
            let spare = self.deliveries.iter().position(|delivery| {
                delivery.is_spare() && delivery.first_client == FirstClient::Reported
            });
            let Some(spare) = spare else { return };
            drop(self.deliveries.remove(spare));
        }
    }

    /// Copies have ended.
    pub(crate) fn on_copies_ended(&mut self, ended: Vec<Ended>, turn: &mut Turn<'_>) {
        if ended.is_empty() {
            return;
        }
        for Ended { id, result } in ended {
            let state = self.settled(result, turn.now);
            let is_it =
                |known: &&mut Delivery| matches!(known.state, State::Copied(own) if own == id);
            if let Some(delivery) = self.deliveries.iter_mut().find(is_it) {
                delivery.state = state;
            }
        }
        self.tell_settled(turn);
    }

    fn settled(&mut self, result: Result<(), NotStored>, now: Moment) -> State {
        // What another way brought into the bucket is not this object.
        let linger = match result {
            Err(NotStored::AlreadyThere) => Duration::ZERO,
            Ok(()) | Err(_) => LINGER,
        };
        State::Settled { sequence: self.sequence(), until: now.after(linger), result }
    }

    /// Gives the object to as many as one turn and the memory allow, and tells of those settled.
    pub(super) fn answer_waiters(&mut self, turn: &mut Turn<'_>) {
        let mut answers = 0;
        let mut more = false;
        for at in 0..self.deliveries.len() {
            while let Some(delivery) = self.deliveries.get(at) {
                let Some(waiter) = delivery.waiters.first() else { break };
                let reply = Reply::object(&delivery.object, &waiter.miss.request);
                let fits = self.may_answer(reply.object_bytes());
                let Some(delivery) = self.deliveries.get_mut(at) else { break };
                more |= fits && answers == ANSWERS_PER_TURN;
                if !fits || answers == ANSWERS_PER_TURN {
                    break;
                }
                let waiter = delivery.waiters.remove(0);
                answers += 1;
                turn.count(Metric::Mirrored);
                if waiter.first {
                    delivery.first_client = FirstClient::Answered(reply.status);
                } else {
                    let line = shared(&waiter.miss, &delivery.object, reply.status);
                    turn.log(line);
                }
                self.answer(waiter.stream, reply, turn);
            }
        }
        if more {
            turn.wake();
        }
        self.tell_settled(turn);
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

    fn tell_settled(&mut self, turn: &mut Turn<'_>) {
        for delivery in &mut self.deliveries {
            report(delivery, turn);
        }
        self.deliveries.retain(|delivery| !delivery.is_over(turn.now));
    }

    /// Those for whom memory was short too long go to the origin themselves.
    pub(super) fn give_up_waiters(&mut self, turn: &mut Turn<'_>) {
        let patience = turn.configuration.timeouts.origin;
        let mut late = Vec::new();
        for delivery in &mut self.deliveries {
            if turn.now >= delivery.since.after(patience) {
                late.append(&mut delivery.waiters);
            }
        }
        for Waiter { stream, miss, .. } in late {
            let limit = miss.origin.limit(&turn.configuration.limits);
            let verdict = Verdict::TooLarge { limit };
            let reply = turn.conclude(miss.conclude(&miss.origin, &verdict, None));
            self.answer(stream, reply, turn);
        }
    }
}

/// The line on a client that shared another's fetch.
fn shared(miss: &Miss, object: &Object, status: u16) -> String {
    miss.report.line(&Outcome::Mirrored {
        url: &object.url,
        bytes: Some(object.body.len() as u64),
        client: Some(status),
        stored: None,
    })
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
        url: &delivery.object.url,
        bytes: Some(delivery.object.body.len() as u64),
        client,
        stored: Some(result),
    }));
}
