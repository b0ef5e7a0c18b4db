//! The fetches of one VM: found by their call, their object or whoever waits for them, so that an
//! event costs the same however many there are.

use super::fetch::{Fetch, State};
use super::{Waiter, number};
use crate::host::{CallId, StreamId};
use crate::index::Index;
use crate::miss::Miss;

/// A fetch; one that began later has a higher number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct FetchId(u64);

/// All fetches, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    last: u64,
    /// In the order of their numbers.
    all: Vec<(FetchId, Box<Fetch>)>,
    /// By the numbers of their objects, of their calls, and of the streams that wait for them. A
    /// stream may be told there that waits no more.
    objects: Index,
    calls: Index,
    streams: Index,
    /// Those that have not begun.
    queued: Index,
    /// Those whose cluster the host did not know.
    unknown: Index,
}

impl Fetches {
    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many have begun.
    pub(super) fn under_way(&self) -> usize {
        self.all.len().saturating_sub(self.queued.len())
    }

    /// The oldest one that has not begun.
    pub(super) fn next_queued(&self) -> Option<FetchId> {
        self.queued.first().map(|(id, _)| FetchId(id))
    }

    /// Whether time brings any of them on.
    pub(super) fn wait(&self) -> bool {
        !(self.queued.is_empty() && self.unknown.is_empty())
    }

    /// The oldest one whose cluster the host did not know.
    pub(super) fn next_unknown(&self) -> Option<FetchId> {
        self.unknown.first().map(|(id, _)| FetchId(id))
    }

    fn place(&self, id: FetchId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |(known, _)| *known).ok()
    }

    pub(super) fn get(&self, id: FetchId) -> Option<&Fetch> {
        self.all.get(self.place(id)?).map(|(_, fetch)| &**fetch)
    }

    pub(super) fn get_mut(&mut self, id: FetchId) -> Option<&mut Fetch> {
        let at = self.place(id)?;
        self.all.get_mut(at).map(|(_, fetch)| &mut **fetch)
    }

    /// The one that a call is of.
    pub(super) fn of_call(&self, call: CallId) -> Option<FetchId> {
        self.calls.of(call.number()).next().map(FetchId)
    }

    /// The one that serves a miss.
    pub(super) fn serving(&self, miss: &Miss, serves: impl Fn(&Fetch) -> bool) -> Option<FetchId> {
        let mut of_object = self.objects.of(number(miss)).map(FetchId);
        of_object.find(|id| self.get(*id).is_some_and(&serves))
    }

    pub(super) fn push(&mut self, fetch: Fetch) {
        self.last = self.last.saturating_add(1);
        let id = FetchId(self.last);
        self.objects.insert(number(&fetch.miss), id.0);
        for waiter in &fetch.waiters {
            self.streams.insert(waiter.stream.0.into(), id.0);
        }
        let state = fetch.state;
        self.all.push((id, Box::new(fetch)));
        self.set(id, state);
    }

    /// More who wait for it.
    pub(super) fn join(&mut self, id: FetchId, waiters: impl IntoIterator<Item = Waiter>) {
        for waiter in waiters {
            self.streams.insert(waiter.stream.0.into(), id.0);
            if let Some(fetch) = self.get_mut(id) {
                fetch.waiters.push(waiter);
            }
        }
    }

    pub(super) fn set(&mut self, id: FetchId, state: State) {
        let Some(fetch) = self.get_mut(id) else { return };
        let before = fetch.call();
        fetch.state = state;
        let (call, is_queued, is_unknown) = (fetch.call(), fetch.is_queued(), fetch.is_unknown());
        if let Some(call) = before {
            self.calls.remove(call.number(), id.0);
        }
        if let Some(call) = call {
            self.calls.insert(call.number(), id.0);
        }
        for (index, is_there) in [(&mut self.queued, is_queued), (&mut self.unknown, is_unknown)] {
            if is_there {
                index.insert(id.0, 0);
            } else {
                index.remove(id.0, 0);
            }
        }
    }

    pub(super) fn remove(&mut self, id: FetchId) -> Option<Fetch> {
        let at = self.place(id)?;
        let (_, fetch) = self.all.remove(at);
        self.objects.remove(number(&fetch.miss), id.0);
        self.queued.remove(id.0, 0);
        self.unknown.remove(id.0, 0);
        if let Some(call) = fetch.call() {
            self.calls.remove(call.number(), id.0);
        }
        Some(*fetch)
    }

    /// A stream has ended. What nobody has begun to fetch, nobody wants any more.
    pub(super) fn on_stream_end(&mut self, stream: StreamId) {
        while let Some(id) = self.streams.take(stream.0.into()).map(FetchId) {
            let Some(fetch) = self.get_mut(id) else { continue };
            fetch.waiters.retain(|waiter| waiter.stream != stream);
            if fetch.is_forgotten() {
                self.remove(id);
            }
        }
    }
}
