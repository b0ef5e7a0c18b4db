//! Time, as an argument: the core reads no clock.

use std::time::Duration;

/// Time since any fixed moment.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(pub Duration);

impl Moment {
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}
