//! Storing: one object in memory until all who waited have it and the store has settled.

use std::rc::Rc;
use std::time::Duration;

use super::fetch::tell;
use super::{
    ANSWERS_PER_TURN, Call, CallId, Effect, Moment, Refusal, Ticket, Waiter, Worker, same_object,
};
use crate::configuration::Bucket;
use crate::exchange::Miss;
use crate::metric::Metric;
use crate::origin::Verdict;
use crate::reason::NotStored;
use crate::reply::{Object, Reply};
use crate::retry;
use crate::store::{self, Target, Written};

/// How long an object stays for requests that the bucket answered before it was stored. They are
/// known by their tickets; this only bounds how late they may come.
const LINGER: Duration = Duration::from_secs(2);

/// One object, on its way into the bucket.
#[derive(Debug)]
pub(super) struct Copy {
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
    /// An attempt failed; the next is due then.
    Backoff { attempts: u32, until: Moment },
    /// An attempt is under way.
    Sending { call: CallId, attempts: u32 },
    /// There is nothing left to do, but to serve those who asked before.
    Settled { ticket: Ticket, until: Moment, result: Result<(), NotStored> },
}

impl Copy {
    /// Whether this object is the answer to a miss: the bucket was asked before it had it.
    pub(super) fn serves(&self, miss: &Miss) -> bool {
        let in_time = match self.state {
            State::Settled { ticket, .. } => miss.ticket < ticket,
            State::Backoff { .. } | State::Sending { .. } => true,
        };
        in_time && same_object(&self.miss, miss)
    }

    /// Whether nobody needs it any more.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        match self.state {
            State::Settled { until, .. } => {
                self.waiters.is_empty()
                    && self.first_client == FirstClient::Reported
                    && now >= until
            }
            State::Backoff { .. } | State::Sending { .. } => false,
        }
    }

    /// Whether it only stays for requests that may not come.
    pub(super) fn is_spare(&self) -> bool {
        matches!(self.state, State::Settled { .. }) && self.waiters.is_empty()
    }

    fn target<'a>(&'a self, bucket: &'a Bucket) -> Target<'a> {
        Target {
            bucket,
            key: &self.miss.request.key,
            headers: &self.object.kept,
            tag: &self.object.tag,
        }
    }

    /// The request that stores the object.
    fn put(&self, bucket: &Bucket, timeout: Duration) -> Call {
        Call {
            cluster: bucket.store.cluster.clone(),
            headers: self.target(bucket).put(self.object.body.len()),
            body: Some(Rc::clone(&self.object.body)),
            timeout,
        }
    }
}

impl Worker {
    /// An object has arrived: its clients get it, and the store.
    pub(super) fn store(
        &mut self,
        miss: Miss,
        waiters: Vec<Waiter>,
        first_client: Option<FirstClient>,
        object: Rc<Object>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let first_client = match first_client {
            Some(client) => client,
            None if waiters.iter().any(|waiter| waiter.first) => FirstClient::Waiting,
            None => FirstClient::Left,
        };
        let result = miss.storing().and_then(|()| self.admission(&object));
        let call = self.call();
        let state = match result {
            Ok(()) => State::Sending { call, attempts: 1 },
            Err(why) => self.settled(Err(why), now, effects),
        };
        let copy = Copy { miss, object, waiters, since: now, first_client, state };
        if result.is_ok()
            && let Some(bucket) = self.configuration.bucket(&copy.miss.request.bucket)
        {
            let put = copy.put(bucket, self.configuration.timeouts.store);
            effects.push(Effect::Call(call, put));
        }
        self.copies.push(copy);
    }

    /// Whether an object can be stored, after those that are held for nobody have made room.
    fn admission(&mut self, object: &Object) -> Result<(), NotStored> {
        // What cannot be said to the store as the origin said it is not said differently.
        if object.kept.texts().count() != object.kept.iter().count() {
            return Err(NotStored::Metadata);
        }
        let held = |copies: &[Copy]| copies.iter().map(|copy| copy.object.body.len()).sum();
        let limit = self.memory_limit();
        while object.body.len().saturating_add(held(&self.copies)) > limit {
            match self
                .copies
                .iter()
                .position(|copy| copy.is_spare() && copy.first_client == FirstClient::Reported)
            {
                Some(spare) => drop(self.copies.remove(spare)),
                None => return Err(NotStored::NoMemory),
            }
        }
        Ok(())
    }

    fn memory_limit(&self) -> usize {
        usize::try_from(self.configuration.limits.memory_bytes).unwrap_or(usize::MAX)
    }

    /// Gives the object to as many as one turn and the memory allow, and tells of those settled.
    pub(super) fn answer_waiters(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let limit = self.memory_limit();
        let mut answers = 0;
        let mut more = false;
        for at in 0..self.copies.len() {
            loop {
                let answering: usize = self.answering.iter().map(|(_, bytes)| bytes).sum();
                let Some(copy) = self.copies.get_mut(at) else { break };
                let Some(waiter) = copy.waiters.first() else { break };
                let reply = Reply::object(&copy.object, &waiter.miss.request);
                let fits = answering == 0 || answering + reply.object_bytes() <= limit;
                more |= fits && answers == ANSWERS_PER_TURN;
                if !fits || answers == ANSWERS_PER_TURN {
                    break;
                }
                let waiter = copy.waiters.remove(0);
                answers += 1;
                effects.push(Effect::Count(Metric::Mirrored));
                if waiter.first {
                    copy.first_client = FirstClient::Answered(reply.status);
                } else {
                    let (url, bytes) = (&copy.object.url, copy.object.body.len() as u64);
                    tell(&waiter.miss, url, bytes, Some(reply.status), None, effects);
                }
                self.answer(waiter.stream, reply, effects);
            }
        }
        if more {
            effects.push(Effect::Wake);
        }
        for copy in &mut self.copies {
            report(copy, effects);
        }
        self.copies.retain(|copy| !copy.is_over(now));
    }

    /// Those for whom memory was short too long go to the origin themselves.
    pub(super) fn give_up_waiters(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let patience = self.configuration.timeouts.origin;
        let mut late = Vec::new();
        for copy in &mut self.copies {
            if now >= copy.since.after(patience) {
                late.append(&mut copy.waiters);
            }
        }
        for waiter in late {
            self.answer_without_object(&waiter, &Verdict::TooLarge, effects);
        }
    }

    /// Sends again what is due.
    pub(super) fn resend(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        for at in 0..self.copies.len() {
            let call = self.call();
            let configuration = Rc::clone(&self.configuration);
            let Some(copy) = self.copies.get_mut(at) else { continue };
            let attempts = match copy.state {
                State::Backoff { attempts, until } if now >= until => attempts,
                State::Backoff { .. } | State::Sending { .. } | State::Settled { .. } => continue,
            };
            if let Some(bucket) = configuration.bucket(&copy.miss.request.bucket) {
                copy.state = State::Sending { call, attempts: attempts + 1 };
                effects.push(Effect::Count(Metric::StoreRetries));
                let put = copy.put(bucket, configuration.timeouts.store);
                effects.push(Effect::Call(call, put));
            }
        }
    }

    pub(super) fn on_store_answer(
        &mut self,
        call: CallId,
        status: Option<u16>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        match store::judge(status) {
            Written::AlreadyThere => {
                self.settle(call, Err(NotStored::AlreadyThere), now, effects);
            }
            Written::Done => self.settle(call, Ok(()), now, effects),
            Written::Failed => self.retry(call, status.unwrap_or_default(), now, effects),
            Written::Refused(status) => {
                self.settle(call, Err(NotStored::Refused(status)), now, effects);
            }
        }
    }

    pub(super) fn on_store_refused(
        &mut self,
        call: CallId,
        why: Refusal,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        match why {
            Refusal::NoCluster => self.settle(call, Err(NotStored::NoCluster), now, effects),
            Refusal::NoHost => self.retry(call, 0, now, effects),
        }
    }

    fn retry(&mut self, call: CallId, status: u16, now: Moment, effects: &mut Vec<Effect>) {
        let Some((copy, attempts)) = self.sending(call) else { return };
        match retry::next_attempt(attempts, now) {
            Some(until) => copy.state = State::Backoff { attempts, until },
            None => self.settle(call, Err(NotStored::GaveUp { attempts, status }), now, effects),
        }
    }

    fn settle(
        &mut self,
        call: CallId,
        result: Result<(), NotStored>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        if self.sending(call).is_none() {
            return;
        }
        let state = self.settled(result, now, effects);
        if let Some((copy, _)) = self.sending(call) {
            copy.state = state;
        }
    }

    fn settled(
        &mut self,
        result: Result<(), NotStored>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) -> State {
        match result {
            Ok(()) => effects.push(Effect::Count(Metric::Stored)),
            Err(NotStored::ByRule) => {}
            Err(_) => effects.push(Effect::Count(Metric::NotStored)),
        }
        // What another way brought into the bucket is not this object.
        let linger = match result {
            Err(NotStored::AlreadyThere) => Duration::ZERO,
            Ok(()) | Err(_) => LINGER,
        };
        State::Settled { ticket: self.ticket(), until: now.after(linger), result }
    }

    fn sending(&mut self, call: CallId) -> Option<(&mut Copy, u32)> {
        self.copies.iter_mut().find_map(|copy| match copy.state {
            State::Sending { call: own, attempts } if own == call => Some((copy, attempts)),
            State::Backoff { .. } | State::Sending { .. } | State::Settled { .. } => None,
        })
    }
}

/// Tells of the first client's request, once everything about it is known.
fn report(copy: &mut Copy, effects: &mut Vec<Effect>) {
    let State::Settled { result, .. } = copy.state else { return };
    let client = match copy.first_client {
        FirstClient::Answered(status) => Some(status),
        FirstClient::Left => None,
        FirstClient::Waiting if copy.waiters.iter().any(|waiter| waiter.first) => return,
        FirstClient::Waiting => None,
        FirstClient::Reported => return,
    };
    copy.first_client = FirstClient::Reported;
    let (url, bytes) = (&copy.object.url, copy.object.body.len() as u64);
    tell(&copy.miss, url, bytes, client, Some(result), effects);
}
