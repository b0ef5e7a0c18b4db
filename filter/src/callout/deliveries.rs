//! The deliveries of one VM: found by their copy, their object or whoever waits for them, so that an
//! event costs the same however many there are.

use super::delivery::Delivery;
use super::{Waiter, number};
use crate::copy::{Copies, CopyId};
use crate::host::StreamId;
use crate::index::Index;
use crate::miss::Miss;
use crate::time::Moment;

/// A delivery; one that began later has a higher number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct DeliveryId(u64);

/// All deliveries, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    last: u64,
    /// In the order of their numbers.
    all: Vec<(DeliveryId, Box<Delivery>)>,
    /// By the numbers of their objects, of their copies, and of the streams that wait for them. A
    /// stream may be told there that waits no more.
    objects: Index,
    copies: Index,
    streams: Index,
    /// Those for which somebody waits.
    waited_for: Index,
    /// Those that only stay for requests that may not come, by the time until then in microseconds.
    spare: Index,
}

impl Deliveries {
    /// Whether all of them only stay for requests that may not come.
    pub(super) fn are_spare(&self) -> bool {
        self.all.len() == self.spare.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn place(&self, id: DeliveryId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |(known, _)| *known).ok()
    }

    pub(super) fn get(&self, id: DeliveryId) -> Option<&Delivery> {
        self.all.get(self.place(id)?).map(|(_, delivery)| &**delivery)
    }

    /// The one that serves a miss.
    pub(super) fn serving(&self, miss: &Miss, copies: &Copies) -> Option<DeliveryId> {
        let mut of_object = self.objects.of(number(miss)).map(DeliveryId);
        of_object.find(|id| self.get(*id).is_some_and(|known| known.serves(miss, copies)))
    }

    /// The one that a copy is of.
    pub(super) fn of_copy(&self, copy: CopyId) -> Option<DeliveryId> {
        self.copies.of(copy.number()).next().map(DeliveryId)
    }

    /// The oldest one for which somebody waits.
    pub(super) fn first_waited_for(&self) -> Option<DeliveryId> {
        self.waited_for.first().map(|(id, _)| DeliveryId(id))
    }

    pub(super) fn push(&mut self, delivery: Delivery) -> DeliveryId {
        self.last = self.last.saturating_add(1);
        let id = DeliveryId(self.last);
        self.objects.insert(number(&delivery.miss), id.0);
        if let Some(copy) = delivery.copy() {
            self.copies.insert(copy.number(), id.0);
        }
        for waiter in &delivery.waiters {
            self.streams.insert(waiter.stream.0.into(), id.0);
        }
        self.all.push((id, Box::new(delivery)));
        self.change(id, |_| ());
        id
    }

    /// More who wait for it.
    pub(super) fn join(&mut self, id: DeliveryId, waiters: impl IntoIterator<Item = Waiter>) {
        let streams = &mut self.streams;
        let waiters: Vec<_> = waiters.into_iter().collect();
        for waiter in &waiters {
            streams.insert(waiter.stream.0.into(), id.0);
        }
        self.change(id, |delivery| delivery.waiters.extend(waiters));
    }

    /// Changes one, and finds it by what it is then.
    pub(super) fn change<T>(
        &mut self,
        id: DeliveryId,
        change: impl FnOnce(&mut Delivery) -> T,
    ) -> Option<T> {
        let at = self.place(id)?;
        let (_, delivery) = self.all.get_mut(at)?;
        let (copy, spare) = (delivery.copy(), delivery.spare_until());
        let changed = change(delivery);
        if let Some(until) = spare {
            self.spare.remove(until.micros(), id.0);
        }
        if let Some(until) = delivery.spare_until() {
            self.spare.insert(until.micros(), id.0);
        }
        if let Some(copy) = copy.filter(|_| delivery.copy().is_none()) {
            self.copies.remove(copy.number(), id.0);
        }
        if delivery.waiters.is_empty() {
            self.waited_for.remove(id.0, 0);
        } else {
            self.waited_for.insert(id.0, 0);
        }
        Some(changed)
    }

    fn remove(&mut self, id: DeliveryId) {
        let Some(at) = self.place(id) else { return };
        let (_, delivery) = self.all.remove(at);
        self.objects.remove(number(&delivery.miss), id.0);
        self.waited_for.remove(id.0, 0);
        if let Some(copy) = delivery.copy() {
            self.copies.remove(copy.number(), id.0);
        }
        if let Some(until) = delivery.spare_until() {
            self.spare.remove(until.micros(), id.0);
        }
    }

    /// A stream has ended. Returns those for which it has waited.
    pub(super) fn on_stream_end(&mut self, stream: StreamId) -> Vec<DeliveryId> {
        let mut left = Vec::new();
        while let Some(id) = self.streams.take(stream.0.into()).map(DeliveryId) {
            let waited = self.change(id, |delivery| {
                let before = delivery.waiters.len();
                delivery.waiters.retain(|waiter| waiter.stream != stream);
                delivery.waiters.len() < before
            });
            left.extend(waited.filter(|waited| *waited).map(|_| id));
        }
        left
    }

    /// Lets go of those for which nobody has come in time.
    pub(super) fn let_go(&mut self, now: Moment) {
        while let Some((_, id)) = self.spare.first().filter(|(until, _)| *until <= now.micros()) {
            self.remove(DeliveryId(id));
        }
    }

    /// Lets go of one before its time. False where there is none.
    pub(super) fn let_one_go(&mut self) -> bool {
        let first = self.spare.first();
        if let Some((_, id)) = first {
            self.remove(DeliveryId(id));
        }
        first.is_some()
    }

    /// Whether all who waited for a copy's object have it.
    pub(super) fn is_answered(&self, copy: CopyId) -> bool {
        let delivery = self.of_copy(copy).and_then(|id| self.get(id));
        delivery.is_some_and(|delivery| delivery.waiters.is_empty())
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.all.iter().map(|(_, delivery)| &**delivery)
    }
}
