//! What all virtual machines of one gateway share: data with compare-and-swap, queues, metrics.
//!
//! Owns the locks. It never calls into a machine: a queue that got something posts a notice to the
//! worker that registered it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::metrics::Metrics;
use super::status::Status;

/// Tells a worker that a queue registered by one of its root contexts got an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QueueReady {
    /// The machine that registered; a later one on the same worker must not take its notices.
    pub(crate) machine: u64,
    pub(crate) root: u32,
    pub(crate) queue: u32,
}

/// Where the notices for one machine go.
pub(crate) type Notices = UnboundedSender<QueueReady>;

#[derive(Debug, Default)]
struct Data {
    entries: BTreeMap<(Vec<u8>, Vec<u8>), (Bytes, u32)>,
    last_cas: u32,
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<Bytes>,
    notices: Notices,
    ready: QueueReady,
}

#[derive(Debug, Default)]
struct Queues {
    tokens: BTreeMap<(Vec<u8>, Vec<u8>), u32>,
    queues: BTreeMap<u32, Queue>,
    last_token: u32,
}

/// The state shared by all machines of one gateway.
#[derive(Debug, Default)]
pub struct Shared {
    data: Mutex<Data>,
    queues: Mutex<Queues>,
    metrics: Metrics,
    /// Calls of the host that fail so many times more.
    #[cfg(test)]
    refused: Mutex<BTreeMap<&'static str, u32>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks, so what a poisoned one guards is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tests see what a filter does about a host that fails it.
#[cfg(test)]
impl Shared {
    pub(crate) fn refuse(&self, call: &'static str, times: u32) {
        lock(&self.refused).insert(call, times);
    }

    pub(crate) fn permits(&self, call: &str) -> Result<(), Status> {
        match lock(&self.refused).get_mut(call) {
            Some(left @ 1..) => {
                *left -= 1;
                Err(Status::InternalFailure)
            }
            Some(0) | None => Ok(()),
        }
    }
}

#[cfg(not(test))]
impl Shared {
    /// Whether a call of the host is done.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "in tests it may not be")]
    pub(crate) const fn permits(&self, _: &str) -> Result<(), Status> {
        Ok(())
    }
}

impl Shared {
    /// The metrics of all machines.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn get(&self, vm_id: &[u8], key: &[u8]) -> Result<(Bytes, u32), Status> {
        let data = lock(&self.data);
        data.entries.get(&(vm_id.to_vec(), key.to_vec())).cloned().ok_or(Status::NotFound)
    }

    /// Sets an entry. An entry that is not there is made whatever `cas` says; one that is there is
    /// kept when `cas` is neither 0 nor its own.
    pub(crate) fn set(
        &self,
        vm_id: &[u8],
        key: &[u8],
        value: Bytes,
        cas: u32,
    ) -> Result<(), Status> {
        let mut data = lock(&self.data);
        let key = (vm_id.to_vec(), key.to_vec());
        if data.entries.get(&key).is_some_and(|(_, current)| cas != 0 && cas != *current) {
            return Err(Status::CasMismatch);
        }
        // 0 means "do not compare", so no entry ever has it.
        data.last_cas = data.last_cas.checked_add(1).unwrap_or(1);
        let cas = data.last_cas;
        data.entries.insert(key, (value, cas));
        Ok(())
    }

    /// Registers a queue, or takes over the one of that name with what is in it.
    pub(crate) fn register(
        &self,
        vm_id: &[u8],
        name: &[u8],
        (machine, root): (u64, u32),
        notices: Notices,
    ) -> u32 {
        let mut queues = lock(&self.queues);
        let key = (vm_id.to_vec(), name.to_vec());
        let token = queues.tokens.get(&key).copied().unwrap_or_else(|| queues.last_token + 1);
        queues.last_token = queues.last_token.max(token);
        queues.tokens.insert(key, token);
        let ready = QueueReady { machine, root, queue: token };
        match queues.queues.get_mut(&token) {
            Some(queue) => {
                queue.ready = ready;
                queue.notices = notices;
            }
            None => {
                queues.queues.insert(token, Queue { entries: VecDeque::new(), notices, ready });
            }
        }
        token
    }

    pub(crate) fn resolve(&self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        let queues = lock(&self.queues);
        queues.tokens.get(&(vm_id.to_vec(), name.to_vec())).copied().ok_or(Status::NotFound)
    }

    pub(crate) fn enqueue(&self, token: u32, value: Bytes) -> Result<(), Status> {
        let mut queues = lock(&self.queues);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.entries.push_back(value);
        // A worker that is gone takes no notices; the entry stays for whoever registers next.
        let _ = queue.notices.send(queue.ready);
        Ok(())
    }

    pub(crate) fn dequeue(&self, token: u32) -> Result<Bytes, Status> {
        let mut queues = lock(&self.queues);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.entries.pop_front().ok_or(Status::Empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    #[test]
    fn an_impossible_cas_sets_only_what_is_absent() {
        let shared = Shared::default();
        let set = |value: &'static [u8], cas| shared.set(b"", b"k", Bytes::from_static(value), cas);
        assert_eq!(set(b"first", u32::MAX), Ok(()));
        assert_eq!(set(b"second", u32::MAX), Err(Status::CasMismatch));
        let (value, cas) = shared.get(b"", b"k").unwrap();
        assert_eq!(value, "first");
        assert_eq!(set(b"third", cas), Ok(()));
        assert_eq!(set(b"fourth", cas), Err(Status::CasMismatch));
        assert_eq!(set(b"fifth", 0), Ok(()));
        assert_eq!(shared.get(b"other", b"k"), Err(Status::NotFound));
    }

    #[test]
    fn the_last_to_register_gets_the_notices_and_what_was_queued() {
        let shared = Shared::default();
        let (first, mut first_notices) = unbounded_channel();
        let (last, mut last_notices) = unbounded_channel();
        let token = shared.register(b"", b"q", (1, 10), first);
        shared.enqueue(token, Bytes::from_static(b"a")).unwrap();
        assert_eq!(shared.register(b"", b"q", (2, 20), last), token);
        shared.enqueue(token, Bytes::from_static(b"b")).unwrap();
        assert_eq!(first_notices.try_recv(), Ok(QueueReady { machine: 1, root: 10, queue: token }));
        assert!(first_notices.try_recv().is_err());
        assert_eq!(last_notices.try_recv(), Ok(QueueReady { machine: 2, root: 20, queue: token }));
        assert_eq!(shared.dequeue(token).unwrap(), "a");
        assert_eq!(shared.dequeue(token).unwrap(), "b");
        assert_eq!(shared.dequeue(token), Err(Status::Empty));
        assert_eq!(shared.dequeue(token + 1), Err(Status::NotFound));
        assert_eq!(shared.resolve(b"", b"q"), Ok(token));
        assert_eq!(shared.resolve(b"", b"other"), Err(Status::NotFound));
    }
}
