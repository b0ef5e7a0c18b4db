//! What origins were found to lack: for a while nobody asks them again.
//!
//! All workers of a host share what is known, in a fixed number of short lists. A list that is full
//! loses the oldest it has, so what is forgotten too early is asked once more.

use sha2::{Digest as _, Sha256};

use crate::http::headers::HeaderList;
use crate::lease::{Lease, millis, numbers};
use crate::shared::SharedData;
use crate::time::Moment;

/// Entries of one list at most: with 4,096 lists of 24 bytes each that is 6 MiB in all.
const MAX_ENTRIES: usize = 64;

/// The bytes of an entry: object, request, and until when it holds.
const ENTRY: usize = 24;

/// Attempts at a change, where others change the same list.
const TRIES: usize = 3;

/// A number for an object, which no other has by chance or by intent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ObjectNumber(u64);

impl ObjectNumber {
    /// That of an object.
    #[must_use]
    pub fn of(bucket: &str, key: &[u8]) -> Self {
        Self(hash([bucket.as_bytes(), b"/", key]))
    }
}

/// An object that an origin was found to lack, by what it was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Absence {
    lease: Lease,
    object: ObjectNumber,
    /// Everything that the origin was told, and so all that its answer may depend on.
    request: u64,
    /// When whoever asked it had come.
    since: Moment,
}

impl Absence {
    /// What is known where an origin that was told this has nothing for a request that came at
    /// `since`.
    pub(crate) fn of(
        bucket: &str,
        key: &[u8],
        cluster: &str,
        told: &HeaderList,
        since: Moment,
    ) -> Self {
        let told = told.iter().flat_map(|(name, value)| [name.as_bytes(), b"\0", value, b"\0"]);
        Self {
            lease: Lease::of(bucket, key),
            object: ObjectNumber::of(bucket, key),
            request: hash([cluster.as_bytes(), b"\0"].into_iter().chain(told)),
            since,
        }
    }

    /// Whether it is known.
    pub(crate) fn is_known(&self, shared: &mut dyn SharedData, now: Moment) -> bool {
        let (held, _) = shared.get(&name(&self.lease));
        let is_it = |entry: &[u8]| {
            let [object, request, until] = numbers(entry);
            object == self.object.0 && request == self.request && until > millis(now)
        };
        held.chunks_exact(ENTRY).any(is_it)
    }

    /// Keeps it until then, unless a client has written the object since.
    pub(crate) fn keep(&self, shared: &mut dyn SharedData, until: Moment, now: Moment) {
        let (written, _) = shared.get(&self.lease.written());
        if self.lease.is_written(&written, self.since) {
            return;
        }
        change(shared, &self.lease, |entries| {
            let is_other = |entry: &[u64; 3]| {
                let [object, request, until] = *entry;
                until > millis(now) && (object != self.object.0 || request != self.request)
            };
            entries.retain(is_other);
            if entries.len() >= MAX_ENTRIES {
                entries.remove(0);
            }
            entries.push([self.object.0, self.request, millis(until)]);
            true
        });
    }
}

/// Forgets of an object that origins lack it: a client has written it.
pub fn forget(shared: &mut dyn SharedData, lease: &Lease, object: ObjectNumber) {
    change(shared, lease, |entries| {
        let before = entries.len();
        entries.retain(|[known, ..]| *known != object.0);
        entries.len() < before
    });
}

/// Changes a list. `act` says whether it has changed anything.
fn change(shared: &mut dyn SharedData, lease: &Lease, act: impl Fn(&mut Vec<[u64; 3]>) -> bool) {
    let name = name(lease);
    for _ in 0..TRIES {
        let (held, seen) = shared.get(&name);
        let mut entries: Vec<[u64; 3]> = held.chunks_exact(ENTRY).map(numbers).collect();
        if !act(&mut entries) {
            return;
        }
        let mut value = Vec::with_capacity(entries.len() * ENTRY);
        for number in entries.into_iter().flatten() {
            value.extend_from_slice(&number.to_le_bytes());
        }
        if shared.replace(&name, &value, seen) {
            return;
        }
    }
}

fn name(lease: &Lease) -> String {
    lease.slot().replace("/lease/", "/absent/")
}

/// The first eight bytes of SHA-256. Two of them together are what nobody can meet by intent.
fn hash<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let [first, ..] = numbers(&hash.finalize());
    first
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn absence(key: &str, request: u64) -> Absence {
        Absence {
            lease: Lease::of("b", key.as_bytes()),
            object: ObjectNumber::of("b", key.as_bytes()),
            request,
            since: at(10),
        }
    }

    #[test]
    fn what_an_origin_lacks_is_known_of_that_request_and_for_that_time() {
        let mut shared = BTreeMap::new();
        let lacked = absence("k", 1);
        assert!(!lacked.is_known(&mut shared, at(10)));
        lacked.keep(&mut shared, at(40), at(10));
        assert!(lacked.is_known(&mut shared, at(39)));
        assert!(!lacked.is_known(&mut shared, at(40)), "its time is over");
        assert!(
            !absence("k", 2).is_known(&mut shared, at(39)),
            "the origin was told something else"
        );
        assert!(!absence("l", 1).is_known(&mut shared, at(39)), "another object");
    }

    #[test]
    fn a_write_forgets_it_and_is_not_forgotten_by_an_older_answer() {
        let mut shared = BTreeMap::new();
        let lacked = absence("k", 1);
        lacked.keep(&mut shared, at(40), at(10));
        absence("k", 2).keep(&mut shared, at(40), at(10));
        forget(&mut shared, &lacked.lease, lacked.object);
        assert!(
            !lacked.is_known(&mut shared, at(11)) && !absence("k", 2).is_known(&mut shared, at(11))
        );
        shared.insert(lacked.lease.written(), (lacked.lease.write(at(11)), 1));
        lacked.keep(&mut shared, at(40), at(12));
        assert!(!lacked.is_known(&mut shared, at(12)), "it was asked before the write");
        Absence { since: at(12), ..lacked.clone() }.keep(&mut shared, at(40), at(13));
        assert!(lacked.is_known(&mut shared, at(13)));
    }

    #[test]
    fn a_hundred_thousand_are_kept_within_sixteen_mebibytes_and_no_number_takes_more() {
        let mut shared = BTreeMap::new();
        for key in 0..200_000_u64 {
            absence(&format!("key-{key}"), 1).keep(&mut shared, at(40), at(10));
            if key == 99_999 {
                let known = (0..=key)
                    .filter(|key| absence(&format!("key-{key}"), 1).is_known(&mut shared, at(11)))
                    .count();
                assert_eq!(known, 100_000);
            }
        }
        let bytes: usize = shared.iter().map(|(name, (value, _))| name.len() + value.len()).sum();
        assert!(bytes < 16 << 20, "{bytes}");
        assert!(absence("key-199999", 1).is_known(&mut shared, at(11)), "the latest");
    }
}
