//! When something that failed is tried again: a few times, each wait twice the last.

use std::time::Duration;

use crate::worker::Moment;

/// How often a request to a store is made before it is given up.
pub(crate) const ATTEMPTS: u32 = 6;

/// The wait after the first failure; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// When the next attempt is due after so many; `None` when there is none.
pub(crate) fn next_attempt(attempts: u32, now: Moment) -> Option<Moment> {
    let wait = FIRST_BACKOFF.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    (attempts < ATTEMPTS).then(|| now.after(wait))
}
