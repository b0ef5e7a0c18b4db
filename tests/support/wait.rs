//! Waiting for a state: asked again until it is there, or until a deadline fails the test.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Two busy cores are slow at times.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Asks until there is an answer.
///
/// # Panics
///
/// When there is none within the deadline.
pub(crate) fn until<T>(what: impl Display, ask: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, ask).unwrap_or_else(|| panic!("{what}: not within {DEADLINE:?}"))
}

/// Asks until there is an answer, or until the time is over.
pub(crate) fn within<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > time {
            return None;
        }
        // The pause between two questions, not a wait for something to be over.
        std::thread::sleep(Duration::from_millis(5));
    }
}
