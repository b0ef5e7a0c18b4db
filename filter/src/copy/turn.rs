//! A turn of all copies: what is due is sent, and what is over is told.
//!
//! Memory goes to the oldest of those that wait for it. Behind the first one that finds none, nobody
//! is asked: so nothing waits for ever, and a turn costs what it does, not what waits.

use std::collections::BTreeSet;

use super::backfill::{Asks, Backfill};
use super::object::Copied;
use super::waiting::Waiting;
use super::{Copies, CopyId, Ended, Plan, UnderWay, not_fetched};
use crate::host::{Call, Effect, Turn};
use crate::lease::Lease;
use crate::metric::Metric;
use crate::reason::NotStored;
use crate::store::Target;
use crate::store::part::Parts;
use crate::store::upload::{Asked, Flow};

impl Copies {
    /// Sends what is due, and lets go of what is over.
    pub(crate) fn advance(&mut self, turn: &mut Turn<'_>) {
        self.start_backfills(turn);
        while let Some((at, id)) = self.timers.first().copied() {
            if at > turn.now {
                break;
            }
            self.timers.pop_first();
            self.touched.insert(id);
        }
        // Whoever is visited now may have more to do in the next turn only.
        for id in std::mem::take(&mut self.touched) {
            self.visit(id, turn);
        }
        self.serve(turn, |copies| &copies.to_send, Self::store);
        self.serve(turn, |copies| &copies.to_fetch, Self::fetch);
        self.account.claim(self.wanted());
        let mut lost = std::mem::take(&mut self.lost_uploads);
        let is_creating = |plan: &Plan| self.of_object(plan).any(|own| own.upload.is_creating());
        let is_copied = |plan: &Plan| self.of_object(plan).next().is_some();
        let calls = &mut *turn.calls;
        let (configuration, now) = (turn.configuration, turn.now);
        let search = lost.advance(is_creating, is_copied, configuration, now, || calls.next());
        self.lost_uploads = lost;
        if let Some((id, call)) = search {
            turn.send(id, call, None);
        }
        // What has ended in this turn has left its place to another.
        if !self.waiting.is_empty() && self.backfilling.len() < most(turn) {
            turn.wake();
        }
    }

    /// What has happened to one copy leads on.
    fn visit(&mut self, id: CopyId, turn: &mut Turn<'_>) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        if turn.now >= copy.renewal {
            copy.renewal = Lease::renewal(turn.now);
            turn.effects.push(Effect::Lease(copy.plan.lease()));
        }
        if copy.flow == Flow::Backfilling {
            self.backfilling.insert(id);
        } else {
            self.backfilling.remove(&id);
            self.to_fetch.remove(&id);
        }
        self.fetch(id, turn);
        self.store(id, turn);
        self.file(id, turn);
    }

    /// Asks for the range that is due. False where it has to wait for its turn.
    fn fetch(&mut self, id: CopyId, turn: &mut Turn<'_>) -> bool {
        let Self { account, copies, calls, to_fetch, ranges, .. } = self;
        let Some(copy) = copies.get_mut(&id).filter(|copy| copy.flow == Flow::Backfilling) else {
            to_fetch.remove(&id);
            return true;
        };
        let Copied { backfill: Some(backfill), parts, .. } = copy else { return true };
        let is_its_turn = *ranges < most(turn) && is_first(to_fetch, id);
        let object = usize::try_from(turn.configuration.limits.object_bytes).unwrap_or(usize::MAX);
        let calls_of_turn = &mut *turn.calls;
        let asked = backfill
            .advance(parts, account, object, is_its_turn, turn.now, || calls_of_turn.next());
        match asked {
            Asks::Nothing => {
                to_fetch.remove(&id);
            }
            Asks::Never => {
                to_fetch.remove(&id);
                copy.lose(NotStored::NoMemory);
            }
            Asks::NoRoom { here } => {
                copy.wanted = here;
                to_fetch.insert(id);
                return false;
            }
            Asks::Call { id: call, cluster, headers, answer } => {
                to_fetch.remove(&id);
                *ranges = ranges.saturating_add(1);
                calls.insert(call, UnderWay { copy: id, is_range: true });
                let timeout = copy.route.initial().timeout(turn.configuration.timeouts.origin);
                turn.count(Metric::Fetches);
                let request = Call { cluster, headers, body: None, timeout, unless_written: None };
                turn.send(call, request, Some(answer));
            }
        }
        true
    }

    /// Serves those that wait for memory, the oldest first, as far as it goes.
    fn serve(
        &mut self,
        turn: &mut Turn<'_>,
        waiting: impl Fn(&Self) -> &BTreeSet<CopyId>,
        act: impl Fn(&mut Self, CopyId, &mut Turn<'_>) -> bool,
    ) {
        while let Some(id) = waiting(self).first().copied() {
            if !act(self, id, turn) {
                return;
            }
            self.file(id, turn);
        }
    }

    /// The memory here that the oldest of those that wait is to find.
    fn wanted(&self) -> usize {
        let first = self.to_fetch.first().and_then(|id| self.copies.get(id));
        first.map_or(0, |copy| copy.wanted)
    }

    /// Sends what is due to the store. False where it has to wait for memory.
    fn store(&mut self, id: CopyId, turn: &mut Turn<'_>) -> bool {
        let Self { account, copies, calls, to_send, .. } = self;
        let Some(copy) = copies.get_mut(&id) else {
            to_send.remove(&id);
            return true;
        };
        let configuration = turn.configuration;
        let Some(bucket) = configuration.bucket(&copy.plan.bucket) else {
            to_send.remove(&id);
            return true;
        };
        let may_send = is_first(to_send, id);
        let calls_of_turn = &mut *turn.calls;
        let (parts, flow) = (&mut copy.parts, copy.flow);
        let call = || calls_of_turn.next();
        match copy.upload.advance(parts, flow, account, may_send, turn.now, call) {
            Asked::Nothing => {
                to_send.remove(&id);
            }
            Asked::TooLarge => {
                to_send.remove(&id);
                copy.lose(NotStored::NoMemory);
                return self.store(id, turn);
            }
            Asked::NoRoom => {
                to_send.insert(id);
                return false;
            }
            Asked::Call(call, step) => {
                to_send.remove(&id);
                calls.insert(call, UnderWay { copy: id, is_range: false });
                if copy.is_repeated(call) {
                    turn.count(Metric::StoreRetries);
                }
                let Plan { key, headers, tag, .. } = &copy.plan;
                let target = Target { bucket, key, headers, tag };
                let written = (copy.plan.lease(), copy.route.since());
                let unless_written = step.makes_visible().then_some(written);
                let request = step.call(&target, configuration.timeouts);
                turn.send(call, Call { unless_written, ..request }, None);
            }
        }
        true
    }

    /// Notes when time brings a copy on, or lets go of it.
    fn file(&mut self, id: CopyId, turn: &mut Turn<'_>) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        if copy.upload.is_over(copy.flow).is_some() {
            return self.end(id, turn);
        }
        self.timers.remove(&(copy.timer, id));
        // What waits for memory does not wait for a time.
        let sent = copy.upload.due(&copy.parts).filter(|_| !self.to_send.contains(&id));
        let fetched = copy.fetch_due().filter(|_| !self.to_fetch.contains(&id));
        copy.timer = sent.into_iter().chain(fetched).fold(copy.renewal, Ord::min);
        self.timers.insert((copy.timer, id));
    }

    /// Begins what waits, as far as the number of fetches allows.
    fn start_backfills(&mut self, turn: &mut Turn<'_>) {
        while self.backfilling.len() < most(turn) {
            let Some(Waiting { plan, route }) = self.waiting.pop() else { return };
            let parts = Parts::new(&self.account, plan.length, plan.check.clone());
            let begun = parts.and_then(|parts| self.admit(&plan, turn.now).map(|()| parts));
            match begun {
                Ok(parts) => {
                    let backfill = Some(Backfill::new(route.clone()));
                    // Its lease may have ended while it waited.
                    let copy = Copied::new(plan, parts, route, Flow::Backfilling, turn.now);
                    let id = self.add(Copied { backfill, ..copy });
                    self.touched.insert(id);
                }
                Err(why) => turn.effects.extend(not_fetched(&plan, why)),
            }
        }
    }

    /// Tells of a copy that is over, or puts on the list what a fetch of its own can still bring.
    fn end(&mut self, id: CopyId, turn: &mut Turn<'_>) {
        let Some(copy) = self.copies.remove(&id) else { return };
        self.timers.remove(&(copy.timer, id));
        self.objects.remove(&(copy.plan.lease().object(), id));
        for set in [&mut self.backfilling, &mut self.to_fetch, &mut self.to_send] {
            set.remove(&id);
        }
        let Some(result) = copy.upload.is_over(copy.flow) else { return };
        let is_passing = matches!(result, Err(NotStored::Broken | NotStored::NoMemory));
        if is_passing && copy.backfill.is_none() && !copy.told_elsewhere {
            let effects = self.enqueue(copy.plan, copy.route);
            return turn.effects.extend(effects);
        }
        match result {
            Ok(()) | Err(NotStored::AlreadyThere) => {
                let patience = turn.configuration.timeouts.origin;
                self.stored.remember(&copy.plan, turn.now, patience);
            }
            // Whoever misses the object next may copy it, in whatever worker.
            Err(why) => {
                self.rests.on_lost(&copy.plan.bucket, why, turn.now);
                turn.effects.push(Effect::Release(copy.plan.lease()));
            }
        }
        turn.count(match result {
            Ok(()) => Metric::Stored,
            Err(_) => Metric::NotStored,
        });
        if copy.told_elsewhere {
            self.ended.push(Ended { id, result });
        } else {
            turn.log(copy.line(result));
        }
    }
}

/// How many objects are fetched for themselves at once.
fn most(turn: &Turn<'_>) -> usize {
    usize::try_from(turn.configuration.limits.backfills).unwrap_or(usize::MAX)
}

/// Whether nobody older waits.
fn is_first(waiting: &BTreeSet<CopyId>, id: CopyId) -> bool {
    waiting.first().is_none_or(|first| id <= *first)
}
