//! The end of a running Envoy in order: by itself it ends at once, with all that is under way.
//!
//! Owns the steps. First those who send clients here are told, by the probe that fails; then
//! connections end with their next answer; and nothing ends before the last request has, and what is
//! on its way into a bucket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::running::{UnderWay, post, under_way};

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Behind the failing probe: until whoever sends clients here sends them elsewhere.
    pub pause: Duration,
    /// For the requests and copies under way then.
    pub within: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { pause: Duration::from_secs(10), within: Duration::from_secs(110) }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drained {
    /// Nothing is under way.
    All,
    /// So much was under way when the time was over.
    Late {
        /// Requests of clients.
        requests: u64,
        /// Objects on their way into a bucket.
        copies: u64,
    },
    /// No Envoy answers there.
    NotRunning,
}

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// For how long nothing may be under way: a client may be between two requests of a connection that
/// it does not know to end.
const QUIET: Duration = Duration::from_secs(2);

/// Ends what the Envoy behind an administration interface does. It runs on, and takes no new
/// connection.
#[must_use]
pub fn drain(admin: SocketAddr, drain: Drain) -> Drained {
    if !post(admin, "/healthcheck/fail") {
        return Drained::NotRunning;
    }
    std::thread::sleep(drain.pause);
    post(admin, "/drain_listeners?graceful&skip_exit");
    let deadline = Instant::now() + drain.within;
    let mut quiet = None;
    loop {
        let Some(UnderWay { requests, copies }) = under_way(admin) else {
            return Drained::NotRunning;
        };
        let now = Instant::now();
        if requests == 0 && copies == 0 {
            if now.duration_since(*quiet.get_or_insert(now)) >= QUIET.min(drain.within) {
                return Drained::All;
            }
        } else {
            quiet = None;
        }
        if now >= deadline {
            return Drained::Late { requests, copies };
        }
        std::thread::sleep(LOOK);
    }
}
