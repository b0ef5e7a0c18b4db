//! What origins were found to lack, kept for all workers: a missing key that is asked for again costs
//! its origin nothing for a while.
//!
//! What is kept is about one request to origins, whole: a fingerprint of everything that they are
//! asked by. It is found by the object alone too, so that a write to that forgets all of it. There
//! is a fixed number of names, with a fixed number of requests each; the oldest gives way.

use std::time::Duration;

use crate::lease::{Lease, millis, numbers};
use crate::shared::{self, SharedData, TRIES};
use crate::time::Moment;

/// Requests under one name at most. There are 4,096 names, of leases: all that is kept takes 5 MiB.
const MAX_ENTRIES: usize = 40;

/// When a client has last written one of the objects of a name.
const HEAD_BYTES: usize = 8;

const FINGERPRINT_BYTES: usize = 16;

/// A fingerprint, the number of the object, and when it was found missing.
const ENTRY_BYTES: usize = FINGERPRINT_BYTES + 8 + 8;

type Fingerprint = [u8; FINGERPRINT_BYTES];

/// A request whose object no origin has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Absence {
    lease: Lease,
    fingerprint: Fingerprint,
}

/// How much of a name's value is whole.
struct Kept<'k> {
    written: u64,
    entries: std::slice::ChunksExact<'k, u8>,
}

impl<'k> Kept<'k> {
    fn read(held: &'k [u8]) -> Self {
        let (head, entries) = held.split_at_checked(HEAD_BYTES).unwrap_or_default();
        let [written, ..] = numbers(head);
        Self { written, entries: entries.chunks_exact(ENTRY_BYTES) }
    }
}

/// The object's number, in an entry, and when it was found missing.
fn told(entry: &[u8]) -> (u64, u64) {
    let [object, found, _] = numbers(entry.get(FINGERPRINT_BYTES..).unwrap_or_default());
    (object, found)
}

/// The name it is kept under.
fn name(lease: &Lease) -> String {
    lease.named("absent")
}

impl Absence {
    /// `hash` is over everything that origins are asked by; half of it is kept.
    pub(crate) fn new(lease: Lease, hash: [u8; 32]) -> Self {
        let mut fingerprint = Fingerprint::default();
        fingerprint.iter_mut().zip(hash).for_each(|(kept, byte)| *kept = byte);
        Self { lease, fingerprint }
    }

    /// Whether that was found by one of the workers, no longer ago than so.
    pub(crate) fn is_known(
        &self,
        lasts: Duration,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> bool {
        if lasts.is_zero() {
            return false;
        }
        let (held, _) = shared.get(&name(&self.lease));
        let now = millis(now);
        let lasts = millis(Moment(lasts));
        Kept::read(&held).entries.any(|entry| {
            // A clock that has been set back must not keep it for longer.
            entry.starts_with(&self.fingerprint)
                && now.checked_sub(told(entry).1).is_some_and(|age| age < lasts)
        })
    }

    /// Keeps for all workers that it has been found, by a request to the origins that began at
    /// `since`. Where a client has written the object after that, it is not kept.
    pub fn keep(&self, since: Moment, now: Moment, shared: &mut dyn SharedData) {
        replace(&self.lease, shared, |kept| {
            if kept.written != 0 && kept.written >= millis(since) {
                return None;
            }
            let others = kept.entries.filter(|entry| !entry.starts_with(&self.fingerprint));
            let others: Vec<_> = others.collect();
            let excess = (others.len() + 1).saturating_sub(MAX_ENTRIES);
            let mut value = kept.written.to_le_bytes().to_vec();
            others.iter().skip(excess).for_each(|entry| value.extend_from_slice(entry));
            value.extend_from_slice(&self.fingerprint);
            value.extend_from_slice(&self.lease.object().to_le_bytes());
            value.extend_from_slice(&millis(now).to_le_bytes());
            Some(value)
        });
    }
}

/// A client has written or deleted an object: nothing is known of it any more, and what is found by
/// a request under way is not kept.
pub fn forget(lease: &Lease, now: Moment, shared: &mut dyn SharedData) {
    replace(lease, shared, |kept| {
        let mut value = millis(now).max(kept.written).to_le_bytes().to_vec();
        let others = kept.entries.filter(|entry| told(entry).0 != lease.object());
        others.for_each(|entry| value.extend_from_slice(entry));
        Some(value)
    });
}

fn replace(
    lease: &Lease,
    shared: &mut dyn SharedData,
    change: impl Fn(Kept<'_>) -> Option<Vec<u8>>,
) {
    shared::change(shared, &name(lease), TRIES, &mut |held| change(Kept::read(held)));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const LASTS: Duration = Duration::from_secs(30);

    type Table = BTreeMap<String, (Vec<u8>, u32)>;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn absence(key: &str, fingerprint: u64) -> Absence {
        let mut whole = [0; 32];
        whole[..8].copy_from_slice(&fingerprint.to_le_bytes());
        Absence::new(Lease::of("b", key.as_bytes()), whole)
    }

    #[test]
    fn it_is_known_for_its_time_and_of_its_request_alone() {
        let (mut table, one) = (Table::new(), absence("k", 1));
        one.keep(at(99), at(100), &mut table);
        let mut known = |of: &Absence, lasts, now| of.is_known(lasts, at(now), &mut table);
        assert!(known(&one, LASTS, 100) && known(&one, LASTS, 129));
        assert!(!known(&one, LASTS, 130), "its time is over");
        assert!(!known(&one, LASTS, 99), "the clock was set back");
        assert!(!known(&one, Duration::ZERO, 100), "it is switched off");
        assert!(!known(&absence("k", 2), LASTS, 100), "the origins are asked by something else");
    }

    #[test]
    fn a_write_forgets_it_and_what_a_request_under_way_finds() {
        let (mut table, one, two) = (Table::new(), absence("k", 1), absence("k", 2));
        one.keep(at(99), at(100), &mut table);
        forget(&Lease::of("b", b"k"), at(101), &mut table);
        assert!(!one.is_known(LASTS, at(101), &mut table));
        two.keep(at(100), at(102), &mut table);
        assert!(!two.is_known(LASTS, at(102), &mut table), "it was asked before the write");
        two.keep(at(102), at(103), &mut table);
        assert!(two.is_known(LASTS, at(103), &mut table), "it was asked behind the write");
    }

    #[test]
    fn what_a_hundred_thousand_missing_keys_take_is_bounded_and_hardly_any_is_forgotten() {
        let mut table = Table::new();
        let all: Vec<_> = (0..100_000).map(|n| absence(&format!("crawl/{n}.jpg"), n)).collect();
        for _ in 0..2 {
            all.iter().for_each(|one| one.keep(at(1), at(2), &mut table));
        }
        let bytes: usize = table.iter().map(|(name, (value, _))| name.len() + value.len()).sum();
        assert!(bytes < 6 * 1024 * 1024, "{bytes}");
        let known = all.iter().filter(|one| one.is_known(LASTS, at(3), &mut table)).count();
        assert!(known > 99_000, "{known}");
        for n in 100_000..1_000_000 {
            absence(&format!("crawl/{n}.jpg"), n).keep(at(1), at(2), &mut table);
        }
        let bytes: usize = table.iter().map(|(name, (value, _))| name.len() + value.len()).sum();
        assert!(bytes < 6 * 1024 * 1024, "{bytes}");
    }

    #[test]
    fn what_others_left_under_a_name_is_no_absence() {
        let one = absence("k", 0);
        for held in [&b""[..], b"short", &[0; HEAD_BYTES], &[0; HEAD_BYTES + ENTRY_BYTES - 1]] {
            let mut table = Table::from([(name(&one.lease), (held.to_vec(), 1))]);
            assert!(!one.is_known(LASTS, at(1), &mut table));
            one.keep(at(1), at(2), &mut table);
            assert!(one.is_known(LASTS, at(3), &mut table));
        }
    }
}
