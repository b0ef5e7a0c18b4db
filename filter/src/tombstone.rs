//! Keys that were deleted through the gateway: their origin does not bring them back.
//!
//! What all workers of a host know of them stands in shared data, in a bounded table of fingerprints.
//! Behind that each has a marker in the bucket, an object whose name is the digest of the key; so it
//! outlives the host, and other gateways find it. One worker lists the markers now and then
//! (`markers`); a fingerprint that was listed holds until the next list. One that a client has
//! changed here holds until its marker is in the bucket or gone: a list may have seen it before that.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::lease::{Lease, millis, numbers};
use crate::shared::{self, SharedData, TRIES};
use crate::time::Moment;

/// Where markers are, in their bucket.
pub const PREFIX: &str = ".back-to-origin/tombstones/";

/// Keys under one name at most. There are 4,096 names, of leases: all that is kept takes 4 MiB.
const MAX_ENTRIES: usize = 40;

/// When a name has last lost an entry, since it had too many.
const HEAD_BYTES: usize = 8;

const FINGERPRINT_BYTES: usize = 16;

/// A fingerprint, the time it is of, and its [`State`].
const ENTRY_BYTES: usize = FINGERPRINT_BYTES + 8 + 1;

/// How long a worker has for the next page of a list before another one begins anew.
const LISTING: u64 = 60_000;

/// How long a marker may be on its way: the worker that has sent it is gone by then.
const ON_ITS_WAY: u64 = 600_000;

/// One key of a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tombstone {
    bucket: String,
    digest: [u8; 32],
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    /// It was deleted.
    Deleted,
    /// It was not.
    NotDeleted,
    /// Only the bucket knows.
    Unknown,
}

/// What an entry says of its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It was written again, and at that time it had no marker.
    Cleared = 0,
    /// Its marker was in the bucket at that time.
    Listed = 1,
    /// It was deleted at that time, and perhaps its marker is not in the bucket yet.
    Marked = 2,
    /// It was written again at that time, and perhaps its marker is still in the bucket.
    Clearing = 3,
}

impl State {
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Cleared,
            1 => Self::Listed,
            2 => Self::Marked,
            _ => Self::Clearing,
        }
    }
}

/// How far the markers of a bucket have been listed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Listing {
    /// When the next list is due, or the one under way is given up.
    due: u64,
    /// When the last list began that has ended; 0 before there was one.
    began: u64,
    /// What it has told.
    extent: Extent,
}

/// How much a list has told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Extent {
    /// All markers.
    #[default]
    Whole = 0,
    /// Not all of them: there are more than are kept.
    Cut = 1,
    /// None, since nobody may list them: memory is all there is.
    Refused = 2,
}

impl Tombstone {
    /// That of a key.
    #[must_use]
    pub fn of(bucket: &str, key: &[u8]) -> Self {
        Self { bucket: bucket.to_owned(), digest: Sha256::digest(key).into() }
    }

    /// That of a marker, by its name. `None` for what is none.
    #[must_use]
    pub fn of_marker(bucket: &str, name: &str) -> Option<Self> {
        let digits = name.strip_prefix(PREFIX)?.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            // No sign, no upper case: there is one name for each.
            if pair.bytes().any(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self { bucket: bucket.to_owned(), digest })
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of its marker.
    #[must_use]
    pub fn marker(&self) -> String {
        let mut name = PREFIX.to_owned();
        for byte in self.digest {
            // Writing into a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    fn lease(&self) -> Lease {
        Lease::of(&self.bucket, &self.digest)
    }

    fn fingerprint(&self) -> [u8; FINGERPRINT_BYTES] {
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        let bytes = self.lease().object().to_le_bytes().into_iter().chain(self.digest);
        fingerprint.iter_mut().zip(bytes).for_each(|(kept, byte)| *kept = byte);
        fingerprint
    }

    /// What is known of the key.
    pub(crate) fn known(&self, shared: &mut dyn SharedData) -> Known {
        let listing = Listing::of(&self.bucket, shared);
        let (held, _) = shared.get(&name(&self.lease()));
        let kept = Kept::read(&held);
        let holds = |at| at >= listing.began || listing.extent == Extent::Refused;
        match kept.find(self.fingerprint()) {
            Some((_, State::Marked)) => Known::Deleted,
            Some((at, State::Listed)) if holds(at) => Known::Deleted,
            Some((_, State::Cleared | State::Clearing)) => Known::NotDeleted,
            // A list that began since lacks it, or the whole table does.
            Some((_, State::Listed)) | None => match listing.extent {
                Extent::Whole if listing.began > 0 && kept.lost_at < listing.began => {
                    Known::NotDeleted
                }
                Extent::Whole | Extent::Cut => Known::Unknown,
                Extent::Refused => Known::NotDeleted,
            },
        }
    }

    /// Whether its marker belongs into the bucket, as far as this host knows; `None` where it does not.
    pub(crate) fn is_wanted(&self, shared: &mut dyn SharedData) -> Option<bool> {
        let (held, _) = shared.get(&name(&self.lease()));
        let (_, state) = Kept::read(&held).find(self.fingerprint())?;
        Some(match state {
            State::Listed | State::Marked => true,
            State::Cleared | State::Clearing => false,
        })
    }

    /// A client has deleted the key.
    pub(crate) fn mark(&self, now: Moment, shared: &mut dyn SharedData) {
        self.put(millis(now), shared, |_| Some(State::Marked));
    }

    /// A client has written the key. Returns whether it may have a marker, which is to go then.
    pub(crate) fn clear(&self, now: Moment, shared: &mut dyn SharedData) -> bool {
        let may_be_marked = self.known(shared) != Known::NotDeleted;
        let mut is_to_go = may_be_marked;
        self.put(millis(now), shared, |was| {
            is_to_go = may_be_marked || was.is_some_and(|was| was.1 == State::Clearing);
            Some(if is_to_go { State::Clearing } else { State::Cleared })
        });
        is_to_go
    }

    /// Its marker is in the bucket now, or it is gone.
    pub(crate) fn arrive(&self, is_there: bool, now: Moment, shared: &mut dyn SharedData) {
        self.put(millis(now), shared, |was| match (was?.1, is_there) {
            (State::Marked, true) => Some(State::Listed),
            (State::Clearing, false) => Some(State::Cleared),
            (State::Cleared | State::Listed, _)
            | (State::Marked, false)
            | (State::Clearing, true) => None,
        });
    }

    /// Its marker is in a list that began then.
    pub(crate) fn list(&self, began: u64, shared: &mut dyn SharedData) {
        self.put(began, shared, |was| {
            let until = match was {
                None => return Some(State::Listed),
                Some((at, State::Cleared | State::Listed)) => at,
                // The list may have it from before: what a client has done since is on its way.
                Some((at, State::Clearing | State::Marked)) => at.saturating_add(ON_ITS_WAY),
            };
            (until < began).then_some(State::Listed)
        });
    }

    /// Replaces what is kept of it by what it becomes, where it does.
    fn put(
        &self,
        at: u64,
        shared: &mut dyn SharedData,
        mut becomes: impl FnMut(Option<(u64, State)>) -> Option<State>,
    ) {
        let fingerprint = self.fingerprint();
        shared::change(shared, &name(&self.lease()), TRIES, &mut |held| {
            let kept = Kept::read(held);
            let state = becomes(kept.find(fingerprint))?;
            let mut others: Vec<_> =
                kept.entries.filter(|entry| !entry.starts_with(&fingerprint)).collect();
            let mut lost_at = kept.lost_at;
            if others.len() >= MAX_ENTRIES {
                // The bucket itself knows what was written again, and then what was listed.
                let oldest = |state| others.iter().position(|entry| told(entry).1 == state);
                let cleared = oldest(State::Cleared);
                if cleared.is_none() {
                    lost_at = lost_at.max(at);
                }
                let least = cleared.or_else(|| oldest(State::Listed));
                others.remove(least.unwrap_or_default());
            }
            let mut value = lost_at.to_le_bytes().to_vec();
            others.iter().for_each(|entry| value.extend_from_slice(entry));
            value.extend_from_slice(&fingerprint);
            value.extend_from_slice(&at.to_le_bytes());
            value.push(state as u8);
            Some(value)
        });
    }
}

impl Listing {
    /// That of a bucket.
    fn of(bucket: &str, shared: &mut dyn SharedData) -> Self {
        Self::read(&shared.get(&listing_name(bucket)).0)
    }

    fn read(held: &[u8]) -> Self {
        let [due, began, extent] = numbers(held);
        let extent = match extent {
            0 => Extent::Whole,
            1 => Extent::Cut,
            _ => Extent::Refused,
        };
        Self { due, began, extent }
    }

    fn bytes(self) -> Vec<u8> {
        [self.due, self.began, self.extent as u64].map(u64::to_le_bytes).concat()
    }

    /// Begins a list where one is due, and no other worker has begun it. Returns when it began.
    pub(crate) fn claim(bucket: &str, now: Moment, shared: &mut dyn SharedData) -> Option<u64> {
        let now = millis(now);
        let (held, seen) = shared.get(&listing_name(bucket));
        let listing = Self::read(&held);
        // Much later than it could be, the clock was put back.
        if listing.due > now && listing.due < now.saturating_add(24 * 3_600_000) {
            return None;
        }
        let claimed = Self { due: now.saturating_add(LISTING), ..listing };
        shared.replace(&listing_name(bucket), &claimed.bytes(), seen).then_some(now)
    }

    /// It goes on.
    pub(crate) fn renew(bucket: &str, now: Moment, shared: &mut dyn SharedData) {
        let due = millis(now).saturating_add(LISTING);
        shared::change(shared, &listing_name(bucket), TRIES, &mut |held| {
            Some(Self { due, ..Self::read(held) }.bytes())
        });
    }

    /// It has ended: what it has told is in the table. The next one is due at that time.
    pub(crate) fn end(
        bucket: &str,
        began: u64,
        extent: Extent,
        due: Moment,
        shared: &mut dyn SharedData,
    ) {
        let ended = Self { due: millis(due), began, extent };
        shared::change(shared, &listing_name(bucket), TRIES, &mut |_| Some(ended.bytes()));
    }

    /// It was not to be had, and is tried again at that time.
    pub(crate) fn fail(bucket: &str, due: Moment, shared: &mut dyn SharedData) {
        shared::change(shared, &listing_name(bucket), TRIES, &mut |held| {
            Some(Self { due: millis(due), ..Self::read(held) }.bytes())
        });
    }
}

/// What is kept under a name.
struct Kept<'k> {
    lost_at: u64,
    entries: std::slice::ChunksExact<'k, u8>,
}

impl<'k> Kept<'k> {
    fn read(held: &'k [u8]) -> Self {
        let (head, entries) = held.split_at_checked(HEAD_BYTES).unwrap_or_default();
        let [lost_at, ..] = numbers(head);
        Self { lost_at, entries: entries.chunks_exact(ENTRY_BYTES) }
    }

    fn find(&self, fingerprint: [u8; FINGERPRINT_BYTES]) -> Option<(u64, State)> {
        self.entries.clone().find(|entry| entry.starts_with(&fingerprint)).map(told)
    }
}

/// The time of an entry, and what it says.
fn told(entry: &[u8]) -> (u64, State) {
    let [at, _, _] = numbers(entry.get(FINGERPRINT_BYTES..).unwrap_or_default());
    (at, State::of(entry.last().copied().unwrap_or_default()))
}

/// The name it is kept under.
fn name(lease: &Lease) -> String {
    lease.named("deleted")
}

fn listing_name(bucket: &str) -> String {
    format!("back-to-origin/tombstones/{bucket}")
}

#[cfg(test)]
mod tests;
