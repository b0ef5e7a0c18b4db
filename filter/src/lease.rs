//! Which worker copies an object: a short lease in the memory that all workers of a host share.
//!
//! It only saves work. Should two workers hold it, or none, the store still takes one object: every
//! write is conditional. Names cannot be deleted there, so there is a fixed number of them.

use std::time::Duration;

use crate::time::Moment;

/// How long a lease lasts; it is renewed for as long as the copy takes.
const DURATION: Duration = Duration::from_secs(15);

/// The number of names in use at most. Objects that share one share nothing worse than work.
const SLOTS: u64 = 4_096;

/// The lease of one object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    slot: String,
    object: u64,
}

impl Lease {
    /// The lease of an object.
    #[must_use]
    pub fn of(bucket: &str, key: &[u8]) -> Self {
        let object = hash(bucket.as_bytes(), key);
        Self { slot: format!("back-to-origin/lease/{}", object % SLOTS), object }
    }

    /// A number for the object, which few others have.
    pub(crate) const fn object(&self) -> u64 {
        self.object
    }

    /// The name it is kept under.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// What is to be kept for the lease to be ours, `None` while it is another's. `held` is what is
    /// kept now.
    #[must_use]
    pub fn claim(&self, held: &[u8], owner: u64, now: Moment) -> Option<Vec<u8>> {
        let [object, other, until] = numbers(held);
        let now = millis(now);
        if object == self.object && other != owner && until > now {
            return None;
        }
        let until = now.saturating_add(millis(Moment(DURATION)));
        Some([self.object, owner, until].map(u64::to_le_bytes).concat())
    }

    /// What is to be kept for the lease to be nobody's, `None` where it is not this owner's.
    #[must_use]
    pub fn release(&self, held: &[u8], owner: u64) -> Option<Vec<u8>> {
        let [object, other, _] = numbers(held);
        (object == self.object && other == owner)
            .then(|| [object, owner, 0].map(u64::to_le_bytes).concat())
    }

    /// The name of what else is kept of the objects of this slot.
    pub(crate) fn named(&self, what: &str) -> String {
        self.slot.replace("/lease/", &format!("/{what}/"))
    }

    /// The name under which it is kept when a client has written the object last.
    #[must_use]
    pub fn written(&self) -> String {
        self.named("written")
    }

    /// What is kept there of a write that has come now.
    #[must_use]
    pub fn write(&self, now: Moment) -> Vec<u8> {
        [self.object, millis(now)].map(u64::to_le_bytes).concat()
    }

    /// Whether a client has written the object since, by what is kept.
    #[must_use]
    pub fn is_written(&self, held: &[u8], since: Moment) -> bool {
        let [object, at, _] = numbers(held);
        object == self.object && at >= millis(since)
    }

    /// When a lease taken now is to be renewed.
    pub(crate) fn renewal(now: Moment) -> Moment {
        now.after(DURATION / 2)
    }
}

/// Three numbers, as they are kept.
pub(crate) fn numbers(held: &[u8]) -> [u64; 3] {
    let number = |at: usize| {
        let bytes = held.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    [number(0), number(8), number(16)]
}

/// A time as it is kept, in milliseconds.
pub(crate) fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_millis()).unwrap_or(u64::MAX)
}

/// FNV-1a, the same in every worker.
fn hash(bucket: &[u8], key: &[u8]) -> u64 {
    let bytes = bucket.iter().chain([&b'/']).chain(key);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_told_of_its_object_and_since_its_time() {
        let (lease, other) = (Lease::of("b", b"k"), Lease::of("b", b"l"));
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let held = lease.write(at(100));
        assert!(lease.is_written(&held, at(99)) && lease.is_written(&held, at(100)));
        assert!(!lease.is_written(&held, at(101)), "what began later is younger");
        assert!(!other.is_written(&held, at(99)), "another object");
        assert!(!lease.is_written(b"", at(99)));
        assert_ne!(lease.written(), lease.slot());
    }

    #[test]
    fn a_lease_is_one_workers_until_it_ends() {
        let lease = Lease::of("b", b"k");
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let held = lease.claim(b"", 1, at(100)).unwrap();
        assert_eq!(lease.claim(&held, 2, at(110)), None);
        assert!(lease.claim(&held, 1, at(110)).is_some(), "its owner renews it");
        assert!(lease.claim(&held, 2, at(115)).is_some(), "it has ended");
        assert!(Lease::of("b", b"l").claim(&held, 2, at(110)).is_some(), "another object");
        assert!(lease.claim(b"short", 2, at(110)).is_some());
        assert_eq!(lease.release(&held, 2), None);
        let released = lease.release(&held, 1).unwrap();
        assert!(lease.claim(&released, 2, at(101)).is_some(), "it has been given back");
        assert_ne!(Lease::of("b", b"k").slot(), Lease::of("b", b"l").slot());
    }
}
