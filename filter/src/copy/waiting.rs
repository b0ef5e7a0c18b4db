//! Objects that wait to be fetched for themselves, in their order; and those that were stored lately.
//!
//! ```text
//!                     its time is over        its lease is ours
//! behind a HEAD ─▶ Awaited ─────▶ Claiming ─────▶ Due ─▶ fetched
//!                   │ the GET has come ▲ another's │
//!                   └─▶ forgotten ◀────┘           └─▶ forgotten: its GET has come
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Plan;
use crate::host::Effect;
use crate::index::Index;
use crate::lease::Lease;
use crate::metric::{Metric, Series};
use crate::origin::Route;
use crate::time::Moment;

/// Objects that wait. One more is told and forgotten: the next client that misses it brings it back.
const MAX_WAITING: usize = 1_000;

/// Objects that are remembered as stored.
const MAX_STORED: usize = 1_000;

/// How long after the bucket's answer a request may come here: the host routes it anew first.
const REROUTE_TIME: Duration = Duration::from_secs(1);

/// An object that waits to be fetched for itself.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) plan: Plan,
    pub(super) route: Route,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A client has asked for its headers, and is likely to fetch it next: until then.
    Awaited(Moment),
    /// The host is asked whether its lease is ours.
    Claiming,
    /// It is fetched in its turn.
    Due,
}

impl Waiting {
    pub(super) const fn new(plan: Plan, route: Route) -> Self {
        Self { plan, route, state: State::Due }
    }

    pub(super) const fn until(plan: Plan, route: Route, until: Moment) -> Self {
        Self { plan, route, state: State::Awaited(until) }
    }

    /// The server that is to be asked.
    fn server(&self) -> &str {
        &self.route.current().cluster
    }
}

fn measured(waiting: &Waiting, by: i64) -> Effect {
    Effect::Measure(Series::of(Metric::WaitingBackfills, &waiting.plan.bucket, 0), by)
}

/// Objects that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// The same by the numbers of their objects.
    objects: Index,
    /// Those that are due, by their servers, in the order in which they became so. Those that have
    /// been forgotten since are left out when it is their turn.
    due: Vec<(String, VecDeque<u64>)>,
    /// Those that are awaited, by their times in microseconds.
    awaited: Index,
    /// What is to be told of how many there are.
    measured: Vec<Effect>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Whether time brings anything on.
    pub(super) fn waits(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// The places of all with the number of an object.
    fn places(&self, object: u64) -> impl Iterator<Item = u64> {
        self.objects.of(object)
    }

    fn place(&self, plan: &Plan) -> Option<u64> {
        self.places(plan.lease().object())
            .find(|at| self.waiting.get(at).is_some_and(|waiting| waiting.plan.is_for(plan)))
    }

    pub(super) fn has(&self, plan: &Plan) -> bool {
        self.place(plan).is_some()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.last = self.last.saturating_add(1);
        self.objects.insert(waiting.plan.lease().object(), self.last);
        match waiting.state {
            State::Awaited(until) => {
                self.awaited.insert(until.micros(), self.last);
            }
            State::Claiming => {}
            State::Due => self.add_due(waiting.server().to_owned(), self.last),
        }
        self.measured.push(measured(&waiting, 1));
        self.waiting.insert(self.last, waiting);
    }

    /// What is to be told of how many there are, since the last time.
    pub(super) fn take_measured(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.measured)
    }

    fn add_due(&mut self, server: String, at: u64) {
        match self.due.iter_mut().find(|(known, _)| *known == server) {
            Some((_, of_server)) => of_server.push_back(at),
            None => self.due.push((server, VecDeque::from([at]))),
        }
    }

    fn remove(&mut self, at: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&at)?;
        self.measured.push(measured(&waiting, -1));
        self.objects.remove(waiting.plan.lease().object(), at);
        if let State::Awaited(until) = waiting.state {
            self.awaited.remove(until.micros(), at);
        }
        Some(waiting)
    }

    /// Whether one is due whose server may be asked.
    pub(super) fn has_due(&self, may_ask: impl Fn(&str) -> bool) -> bool {
        self.due.iter().any(|(server, _)| may_ask(server))
    }

    /// The oldest one that is due, of those whose servers may be asked.
    pub(super) fn pop(&mut self, may_ask: impl Fn(&str) -> bool) -> Option<Waiting> {
        loop {
            let servers = self.due.iter_mut().filter(|(server, _)| may_ask(server));
            let (_, of_server) = servers.min_by_key(|(_, of_server)| of_server.front().copied())?;
            let at = of_server.pop_front();
            self.due.retain(|(_, of_server)| !of_server.is_empty());
            if let Some(waiting) = at.and_then(|at| self.remove(at)) {
                return Some(waiting);
            }
        }
    }

    /// An object comes another way.
    pub(super) fn forget(&mut self, plan: &Plan) -> Option<Plan> {
        let at = self.place(plan)?;
        Some(self.remove(at)?.plan)
    }

    /// The same, where it was only awaited.
    pub(super) fn forget_awaited(&mut self, plan: &Plan) -> Option<Plan> {
        let at = self.place(plan)?;
        let is_awaited = |waiting: &Waiting| matches!(waiting.state, State::Awaited(_));
        self.waiting.get(&at).filter(|waiting| is_awaited(waiting))?;
        Some(self.remove(at)?.plan)
    }

    /// One that nobody has come for, whose lease is to be asked for now.
    pub(super) fn take_late(&mut self, now: Moment) -> Option<Lease> {
        let (until, at) = self.awaited.first().filter(|(until, _)| *until <= now.micros())?;
        self.awaited.remove(until, at);
        let waiting = self.waiting.get_mut(&at)?;
        waiting.state = State::Claiming;
        Some(waiting.plan.lease())
    }

    /// The lease of some is ours: they are due.
    pub(super) fn on_claimed(&mut self, lease: &Lease) {
        for at in self.claiming(lease) {
            let Some(waiting) = self.waiting.get_mut(&at) else { continue };
            waiting.state = State::Due;
            let server = waiting.server().to_owned();
            self.add_due(server, at);
        }
    }

    /// The lease is another worker's, which copies the object.
    pub(super) fn on_refused(&mut self, lease: &Lease) -> Vec<Plan> {
        let refused = self.claiming(lease);
        refused.into_iter().filter_map(|at| Some(self.remove(at)?.plan)).collect()
    }

    fn claiming(&self, lease: &Lease) -> Vec<u64> {
        let is_claiming =
            |at: &u64| self.waiting.get(at).is_some_and(|waiting| waiting.state == State::Claiming);
        self.places(lease.object()).filter(is_claiming).collect()
    }
}

/// What came into the bucket lately, and when: requests that began before then missed it, and need
/// not copy it again.
#[derive(Debug, Default)]
pub(super) struct Stored {
    latest: BTreeMap<u64, Moment>,
    order: VecDeque<(u64, Moment)>,
}

impl Stored {
    /// Whether an object has been stored since a request for it began.
    pub(super) fn has(&self, plan: &Plan, since: Moment) -> bool {
        let at = self.latest.get(&plan.lease().object());
        at.is_some_and(|at| since <= at.after(REROUTE_TIME))
    }

    /// An object is in the bucket, for as long as a request that missed it may be answered late.
    pub(super) fn remember(&mut self, plan: &Plan, now: Moment, patience: Duration) {
        while let Some((object, at)) = self.order.front().copied() {
            if self.order.len() < MAX_STORED && now <= at.after(patience) {
                break;
            }
            self.order.pop_front();
            // It may have been stored once more since.
            if self.latest.get(&object) == Some(&at) {
                self.latest.remove(&object);
            }
        }
        let object = plan.lease().object();
        self.latest.insert(object, now);
        self.order.push_back((object, now));
    }
}
