//! What all workers of a host know of an object that one of them fetches.

use crate::lease::{Lease, millis, numbers};
use crate::time::Moment;

/// What is known of an object, until some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Record {
    /// It is being fetched: whoever misses it may wait for that.
    Led(Moment),
    /// To wait for it is of no use: it is not stored, or takes too long.
    Alone,
    /// The bucket has it now.
    Stored,
    /// Nothing.
    Unknown,
}

const LED: u64 = 1;
const ALONE: u64 = 2;
const STORED: u64 = 3;

/// The name it is kept under. Two objects of one name wait for each other now and then, and no
/// longer than for their own.
pub(super) fn name(lease: &Lease) -> String {
    lease.named("fetch")
}

impl Record {
    /// What is kept of an object.
    pub(super) fn read(held: &[u8], lease: &Lease, now: Moment) -> Self {
        let [object, state, until] = numbers(held);
        if object != lease.object() || until <= millis(now) {
            return Self::Unknown;
        }
        match state {
            LED => Self::Led(Moment(std::time::Duration::from_millis(until))),
            ALONE => Self::Alone,
            STORED => Self::Stored,
            _ => Self::Unknown,
        }
    }

    /// What is to be kept until then.
    pub(super) fn keep(self, lease: &Lease, until: Moment) -> Vec<u8> {
        let state = match self {
            Self::Led(_) => LED,
            Self::Alone => ALONE,
            Self::Stored => STORED,
            Self::Unknown => 0,
        };
        [lease.object(), state, millis(until)].map(u64::to_le_bytes).concat()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_record_is_about_its_object_and_until_its_time() {
        let (lease, other) = (Lease::of("b", b"k"), Lease::of("b", b"l"));
        let at = |seconds| Moment(Duration::from_secs(seconds));
        for record in [Record::Led(at(15)), Record::Alone, Record::Stored] {
            let held = record.keep(&lease, at(15));
            assert_eq!(Record::read(&held, &lease, at(14)), record);
            assert_eq!(Record::read(&held, &lease, at(15)), Record::Unknown, "its time is over");
            assert_eq!(Record::read(&held, &other, at(14)), Record::Unknown, "another object");
        }
        assert_eq!(Record::read(b"short", &lease, at(1)), Record::Unknown);
        assert_ne!(name(&lease), lease.slot());
    }
}
