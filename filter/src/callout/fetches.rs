//! The fetches of one VM: found by their call, their object or whoever waits for them, so that an
//! event costs the same however many there are.

use std::collections::{BTreeMap, BTreeSet};

use super::fetch::{Fetch, State};
use crate::host::{CallId, StreamId};
use crate::lease::Lease;
use crate::miss::Miss;

/// A fetch; one that began later has a higher number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct FetchId(u64);

/// All fetches, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    last: u64,
    all: BTreeMap<FetchId, Fetch>,
    /// By the numbers of their objects.
    objects: BTreeSet<(u64, FetchId)>,
    calls: BTreeMap<CallId, FetchId>,
    /// Those that have not begun.
    queued: BTreeSet<FetchId>,
    /// What each stream waits for. One may be told here that waits no more.
    streams: BTreeMap<StreamId, FetchId>,
}

impl Fetches {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one has not begun.
    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// How many have begun.
    pub(super) fn under_way(&self) -> usize {
        self.all.len().saturating_sub(self.queued.len())
    }

    /// The oldest one that has not begun.
    pub(super) fn next_queued(&self) -> Option<FetchId> {
        self.queued.first().copied()
    }

    pub(super) fn get(&self, id: FetchId) -> Option<&Fetch> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: FetchId) -> Option<&mut Fetch> {
        self.all.get_mut(&id)
    }

    /// The one that a call is of.
    pub(super) fn of_call(&self, call: CallId) -> Option<FetchId> {
        self.calls.get(&call).copied()
    }

    /// The one whose object answers a miss.
    pub(super) fn serving(&self, miss: &Miss, serves: impl Fn(&Fetch) -> bool) -> Option<FetchId> {
        let object = object(miss);
        let of_object = self.objects.range((object, FetchId(0))..=(object, FetchId(u64::MAX)));
        of_object.map(|(_, id)| *id).find(|id| self.all.get(id).is_some_and(&serves))
    }

    pub(super) fn push(&mut self, fetch: Fetch) {
        self.last = self.last.saturating_add(1);
        let id = FetchId(self.last);
        self.objects.insert((object(&fetch.miss), id));
        for waiter in &fetch.waiters {
            self.streams.insert(waiter.stream, id);
        }
        if fetch.is_queued() {
            self.queued.insert(id);
        }
        self.calls.extend(fetch.call().map(|call| (call, id)));
        self.all.insert(id, fetch);
    }

    /// More who wait for it.
    pub(super) fn join(&mut self, id: FetchId, waiters: impl IntoIterator<Item = super::Waiter>) {
        let Some(fetch) = self.all.get_mut(&id) else { return };
        for waiter in waiters {
            self.streams.insert(waiter.stream, id);
            fetch.waiters.push(waiter);
        }
    }

    pub(super) fn set(&mut self, id: FetchId, state: State) {
        let Some(fetch) = self.all.get_mut(&id) else { return };
        if let Some(call) = fetch.call() {
            self.calls.remove(&call);
        }
        self.queued.remove(&id);
        fetch.state = state;
        if fetch.is_queued() {
            self.queued.insert(id);
        }
        self.calls.extend(fetch.call().map(|call| (call, id)));
    }

    pub(super) fn remove(&mut self, id: FetchId) -> Option<Fetch> {
        let fetch = self.all.remove(&id)?;
        self.objects.remove(&(object(&fetch.miss), id));
        self.queued.remove(&id);
        if let Some(call) = fetch.call() {
            self.calls.remove(&call);
        }
        Some(fetch)
    }

    /// A stream has ended. What nobody has begun to fetch, nobody wants any more.
    pub(super) fn on_stream_end(&mut self, stream: StreamId) {
        let Some(id) = self.streams.remove(&stream) else { return };
        let Some(fetch) = self.all.get_mut(&id) else { return };
        fetch.waiters.retain(|waiter| waiter.stream != stream);
        if fetch.is_forgotten() {
            self.remove(id);
        }
    }
}

/// A number for what a miss wants, which few others have.
fn object(miss: &Miss) -> u64 {
    Lease::of(&miss.request.bucket, &miss.request.key).object()
}
