//! Time, as an argument: the core reads no clock.

use std::time::Duration;

/// Time since any fixed moment.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(pub Duration);

impl Moment {
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }

    /// How long it is since another moment, which is none where that is later.
    pub(crate) fn since(self, other: Self) -> Duration {
        self.0.saturating_sub(other.0)
    }

    /// The same in milliseconds.
    pub(crate) fn millis_since(self, other: Self) -> u64 {
        u64::try_from(self.since(other).as_millis()).unwrap_or(u64::MAX)
    }

    /// The same in seconds.
    pub(crate) const fn seconds(self) -> u64 {
        self.0.as_secs()
    }

    /// The same in microseconds.
    pub(crate) fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}
