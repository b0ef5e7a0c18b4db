//! A turn of all copies: what is due is sent, and what is over is told.
//!
//! Memory goes to the oldest of those that wait for it. Behind the first one that finds none, nobody
//! is asked: so nothing waits for ever, and a turn costs what it does, not what waits.

use std::collections::BTreeSet;

use super::backfill::{Asks, Backfill};
use super::object::Copied;
use super::waiting::Waiting;
use super::{Asked, Copies, CopyId, Ended, Plan, UnderWay, not_fetched};
use crate::account::{Taker, Usage};
use crate::configuration::ConditionalWrites;
use crate::host::{Call, CallId, Effect, Turn};
use crate::lease::Lease;
use crate::metric::{Metric, Series};
use crate::quota::{Quotas, Whose};
use crate::reason::NotStored;
use crate::store::Target;
use crate::store::part::Parts;
use crate::store::upload::{self, Flow, Sending};

/// What has been sent to a store.
#[derive(Clone, Copy, Debug)]
enum Stored {
    /// All that is due.
    Everything,
    /// What there is memory for.
    NoRoom,
    /// A request; there may be more.
    One,
}

impl Copies {
    /// Sends what is due, and lets go of what is over.
    pub(crate) fn advance(&mut self, turn: &mut Turn<'_>) {
        let forgotten = std::mem::take(&mut self.forgotten);
        turn.effects.extend(forgotten.into_iter().map(Effect::Log));
        while let Some(lease) = self.waiting.take_late(turn.now) {
            turn.effects.push(Effect::Claim(lease));
        }
        self.start_backfills(turn);
        while let Some((at, id)) = self.timers.first().filter(|(at, _)| *at <= turn.now.micros()) {
            self.timers.remove(at, id);
            self.touched.insert(CopyId(id));
        }
        // Whoever is visited now may have more to do in the next turn only.
        for id in std::mem::take(&mut self.touched) {
            self.visit(id, turn);
        }
        self.serve(turn, |copies| &copies.to_send, Self::store);
        self.claim();
        self.serve(turn, |copies| &copies.to_go_on, Self::fetch);
        self.serve(turn, |copies| &copies.to_fetch, Self::fetch);
        self.claim();
        let mut lost = std::mem::take(&mut self.lost_uploads);
        let is_creating = |plan: &Plan| self.of_object(plan).any(|own| own.upload.is_creating());
        let is_copied = |plan: &Plan| self.of_object(plan).next().is_some();
        let calls = &mut *turn.calls;
        let (configuration, now) = (turn.configuration, turn.now);
        let search = lost.advance(is_creating, is_copied, configuration, now, || calls.next());
        self.lost_uploads = lost;
        turn.effects.append(&mut self.measured);
        turn.effects.extend(self.waiting.take_measured());
        if let Some((id, call)) = search {
            turn.send(id, call, None);
        }
        // What has ended in this turn has left its place to another.
        if self.has_place(turn) && self.waiting.has_due(|server| may_ask(&self.aside, server, turn))
        {
            turn.wake();
        }
    }

    /// Whether one more may begin to fetch for itself.
    fn has_place(&self, turn: &Turn<'_>) -> bool {
        let aside = self.aside.iter().map(|(_, aside)| aside).sum();
        let in_place = self.backfilling.len().saturating_sub(aside);
        in_place < most(turn) && self.new.len() < self.account.most_new()
    }

    /// Notes whether a copy stands aside: its origin keeps it waiting, and others go on meanwhile.
    fn stand_aside(&mut self, id: CopyId, turn: &Turn<'_>) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        let fetching = copy.fetching();
        let aside = fetching.filter(|backfill| backfill.stands_aside(turn.now));
        if aside.is_none() == copy.aside.is_none() {
            return;
        }
        let range = aside.and_then(Backfill::call);
        match aside.map(|backfill| backfill.cluster().to_owned()) {
            Some(server) => {
                match self.aside.iter_mut().find(|(known, _)| *known == server) {
                    Some((_, count)) => *count = count.saturating_add(1),
                    None => self.aside.push((server.clone(), 1)),
                }
                copy.aside = Some(server);
            }
            None => {
                if let Some(server) = copy.aside.take() {
                    self.leave_aside(&server);
                }
            }
        }
        self.let_go_place(range);
    }

    fn leave_aside(&mut self, server: &str) {
        if let Some((_, count)) = self.aside.iter_mut().find(|(known, _)| known == server) {
            *count = count.saturating_sub(1);
        }
        self.aside.retain(|(_, count)| *count > 0);
    }

    /// A range keeps its place no longer.
    fn let_go_place(&mut self, range: Option<CallId>) {
        if let Some(call) = range.and_then(|range| self.calls.get_mut(&range))
            && call.asks == Asked::Range
        {
            call.asks = Asked::LateRange;
            self.ranges = self.ranges.saturating_sub(1);
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
            for set in [&mut self.backfilling, &mut self.to_fetch, &mut self.to_go_on] {
                set.remove(&id);
            }
        }
        let unwanted = copy.backfill.as_ref().filter(|_| copy.flow != Flow::Backfilling);
        let unwanted = unwanted.and_then(Backfill::call);
        if copy.flow == Flow::Backfilling && copy.parts.is_new() {
            self.new.insert(id);
        } else {
            self.new.remove(&id);
        }
        self.let_go_place(unwanted);
        self.stand_aside(id, turn);
        self.fetch(id, turn);
        self.store(id, turn);
        self.file(id, turn);
    }

    /// Asks for the range that is due. False where it has to wait for its turn.
    fn fetch(&mut self, id: CopyId, turn: &mut Turn<'_>) -> bool {
        let Self { account, copies, calls, to_fetch, to_go_on, ranges, give_whole, .. } = self;
        let Some(copy) = copies.get_mut(&id).filter(|copy| copy.flow == Flow::Backfilling) else {
            to_fetch.remove(&id);
            to_go_on.remove(&id);
            return true;
        };
        let Copied { backfill: Some(backfill), parts, .. } = copy else { return true };
        if give_whole.iter().any(|known| known == backfill.cluster()) {
            backfill.ask_whole();
        }
        let has_place = *ranges < most(turn);
        let takes_turn = |taker| {
            has_place && is_first(if taker == Taker::Begun { to_go_on } else { to_fetch }, id)
        };
        let object = turn.configuration.limits.object_bytes;
        let calls_of_turn = &mut *turn.calls;
        let asked =
            backfill.advance(parts, account, object, takes_turn, turn.now, || calls_of_turn.next());
        to_fetch.remove(&id);
        to_go_on.remove(&id);
        match asked {
            Asks::Nothing => {}
            Asks::Never => copy.lose(NotStored::NoMemory),
            Asks::NoRoom { here, is_begun } => {
                copy.wanted = here;
                let waiting = if is_begun { to_go_on } else { to_fetch };
                waiting.insert(id);
                return false;
            }
            Asks::Call { id: call, cluster, mut headers, answer } => {
                *ranges = ranges.saturating_add(1);
                calls.insert(call, UnderWay { copy: id, asks: Asked::Range });
                let rule = copy.route.initial().rule();
                let timeout = rule.timeout.unwrap_or(turn.configuration.timeouts.origin);
                let Plan { bucket, report, .. } = &copy.plan;
                let quotas = Quotas::of(turn.configuration, bucket, report.rule(), rule);
                let fare = Some(quotas.fare(Whose::Buckets, answer.size().there as u64));
                report.trace().go_on(&mut headers);
                let origin = backfill.server();
                let counted = Series { origin, ..copy.plan.series(Metric::Fetches) };
                let counted = Some(Box::new(counted));
                let request = Call {
                    cluster,
                    headers,
                    body: None,
                    timeout,
                    fare,
                    counted,
                    unless_written: None,
                };
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

    /// Keeps for the oldest of those that wait what they are to find.
    fn claim(&self) {
        let first = |waiting: &BTreeSet<CopyId>| waiting.first().and_then(|id| self.copies.get(id));
        let here = first(&self.to_fetch).map_or(0, |copy| copy.wanted);
        let there = first(&self.to_send).map_or(0, |copy| copy.upload.body_bytes(&copy.parts));
        // What other bodies keep from it, answers do not.
        let there = if self.account.may_send(there) { there } else { 0 };
        self.account.claim(Usage { here, there });
    }

    /// Sends what is due to the store. False where some of it has to wait for memory.
    fn store(&mut self, id: CopyId, turn: &mut Turn<'_>) -> bool {
        loop {
            match self.store_next(id, turn) {
                Stored::Everything => return true,
                Stored::NoRoom => return false,
                Stored::One => {}
            }
        }
    }

    /// Sends what is due next.
    fn store_next(&mut self, id: CopyId, turn: &mut Turn<'_>) -> Stored {
        let Self { account, copies, calls, to_send, .. } = self;
        let configuration = turn.configuration;
        let copy = copies.get_mut(&id);
        let found = copy.and_then(|copy| Some((configuration.bucket(&copy.plan.bucket)?, copy)));
        let Some((bucket, copy)) = found else {
            to_send.remove(&id);
            return Stored::Everything;
        };
        let may_send = is_first(to_send, id);
        let calls_of_turn = &mut *turn.calls;
        let (parts, flow) = (&mut copy.parts, copy.flow);
        let call = || calls_of_turn.next();
        let looks_first = bucket.store.conditional_writes == ConditionalWrites::Head;
        let sending = Sending { account, may_send, looks_first, now: turn.now };
        match copy.upload.advance(parts, flow, sending, call) {
            upload::Asked::Nothing => {
                to_send.remove(&id);
                Stored::Everything
            }
            upload::Asked::TooLarge => {
                to_send.remove(&id);
                copy.lose(NotStored::NoMemory);
                Stored::One
            }
            upload::Asked::NoRoom => {
                to_send.insert(id);
                Stored::NoRoom
            }
            upload::Asked::Call(call, step) => {
                to_send.remove(&id);
                calls.insert(call, UnderWay { copy: id, asks: Asked::Store });
                if copy.is_repeated(call) {
                    turn.count(copy.plan.series(Metric::StoreRetries));
                }
                let Plan { key, headers, tag, report, .. } = &copy.plan;
                let target = Target { bucket, key, headers, tag };
                let written = (copy.plan.lease(), copy.route.since());
                let unless_written = step.makes_visible().then_some(written);
                let mut request = step.call(&target, configuration.timeouts);
                report.trace().go_on(&mut request.headers);
                turn.send(call, Call { unless_written, ..request }, None);
                Stored::One
            }
        }
    }

    /// Notes when time brings a copy on, or lets go of it.
    fn file(&mut self, id: CopyId, turn: &mut Turn<'_>) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        let is_open = copy.upload.is_open();
        if is_open != std::mem::replace(&mut copy.has_upload, is_open) {
            let series = Series::of(Metric::OpenUploads, &copy.plan.bucket, 0);
            self.measured.push(Effect::Measure(series, if is_open { 1 } else { -1 }));
        }
        if copy.upload.is_over(copy.flow).is_some() {
            return self.end(id, turn);
        }
        self.timers.remove(copy.timer.micros(), id.0);
        // What waits for memory does not wait for a time.
        let sent = copy.upload.due(&copy.parts).filter(|_| !self.to_send.contains(&id));
        let waits = self.to_fetch.contains(&id) || self.to_go_on.contains(&id);
        let fetched = copy.fetch_due().filter(|_| !waits);
        let late = copy.fetching().filter(|_| copy.aside.is_none()).and_then(Backfill::late);
        let due = sent.into_iter().chain(fetched).chain(late);
        copy.timer = due.fold(copy.renewal, Ord::min);
        self.timers.insert(copy.timer.micros(), id.0);
    }

    /// Begins what waits, as far as the number of fetches allows.
    fn start_backfills(&mut self, turn: &mut Turn<'_>) {
        while self.has_place(turn) {
            let aside = &self.aside;
            let may_ask = |server: &str| may_ask(aside, server, turn);
            let Some(Waiting { plan, route, .. }) = self.waiting.pop(may_ask) else { return };
            let parts = Parts::new(&self.account, plan.length, plan.check.clone());
            let begun = parts.and_then(|parts| self.admit(&plan, turn.now).map(|()| parts));
            match begun {
                Ok(parts) => {
                    let backfill = Some(Backfill::new(route.clone()));
                    // Its lease may have ended while it waited.
                    let copy = Copied::new(plan, parts, route, Flow::Backfilling, turn.now);
                    let id = self.add(Copied { backfill, ..copy }, turn.now);
                    self.new.insert(id);
                    self.touched.insert(id);
                }
                Err(why) => turn.effects.extend(not_fetched(&plan, why)),
            }
        }
    }

    /// Tells of a copy that is over, or puts on the list what a fetch of its own can still bring.
    fn end(&mut self, id: CopyId, turn: &mut Turn<'_>) {
        let Some(copy) = self.copies.remove(&id) else { return };
        let under_way = Series::of(Metric::CopiesUnderWay, &copy.plan.bucket, 0);
        self.measured.push(Effect::Measure(under_way, -1));
        self.timers.remove(copy.timer.micros(), id.0);
        self.objects.remove(copy.plan.lease().object(), id.0);
        let Self { backfilling, new, to_fetch, to_go_on, to_send, .. } = self;
        for set in [backfilling, new, to_fetch, to_go_on, to_send] {
            set.remove(&id);
        }
        if let Some(server) = &copy.aside {
            self.leave_aside(server);
        }
        // Nobody wants the range that is under way.
        self.let_go_place(copy.backfill.as_ref().and_then(Backfill::call));
        let Some(result) = copy.upload.is_over(copy.flow) else { return };
        let is_passing = matches!(result, Err(NotStored::Broken | NotStored::NoMemory));
        if is_passing && copy.backfill.is_none() && !copy.told_elsewhere {
            let effects = self.enqueue(copy.plan, copy.route);
            return turn.effects.extend(effects);
        }
        let is_there = matches!(result, Ok(()) | Err(NotStored::AlreadyThere));
        self.over.push((copy.plan.lease(), is_there));
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
        turn.count(copy.plan.ended(result));
        if result.is_ok() {
            let bytes = copy.parts.received();
            turn.measure(copy.plan.series(Metric::StoredBytes), bytes);
            let time = Series::of(Metric::CopyTime, &copy.plan.bucket, 0);
            turn.measure(time, turn.now.millis_since(copy.begun));
        }
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

/// Whether a server is asked for one more object: not while it keeps some waiting that stand aside.
fn may_ask(aside: &[(String, usize)], server: &str, turn: &Turn<'_>) -> bool {
    let own = aside.iter().find(|(known, _)| known == server);
    own.is_none_or(|(_, aside)| *aside < (most(turn) / 4).max(1))
}

/// Whether nobody older waits.
fn is_first(waiting: &BTreeSet<CopyId>, id: CopyId) -> bool {
    waiting.first().is_none_or(|first| id <= *first)
}
