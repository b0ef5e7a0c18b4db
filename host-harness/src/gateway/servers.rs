//! What is known of servers by having asked them, in all workers together.
//!
//! Owns when each was last heard, and when it last failed. Who is asked, and what a failure is, is
//! said by those who ask.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;

use super::settings::Endpoint;

/// One server, by its address as the deployment or a rule names it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(super) endpoint: Endpoint,
    since: Instant,
    /// Milliseconds since then, and one: 0 is never.
    answered: AtomicU64,
    failed: AtomicU64,
}

/// What a server was like when it was last asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Condition {
    /// Nobody has asked it.
    Unknown,
    /// It gave an answer so long ago, whatever that was.
    Reachable(Duration),
    /// It gave none so long ago, and none since.
    Unreachable(Duration),
}

impl Condition {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Reachable(_) => "reachable",
            Self::Unreachable(_) => "unreachable",
        }
    }

    /// How long ago that was.
    pub(super) const fn age(self) -> Option<Duration> {
        match self {
            Self::Unknown => None,
            Self::Reachable(age) | Self::Unreachable(age) => Some(age),
        }
    }
}

impl Server {
    fn now(&self) -> u64 {
        let passed = self.since.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether an address is its own.
    pub(super) fn is_at(&self, uri: &Uri) -> bool {
        uri.authority().is_some_and(|authority| authority.as_str() == self.endpoint.authority())
    }

    /// It has given an answer.
    pub(crate) fn answers(&self) {
        self.answered.store(self.now(), Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
    }

    /// It could not be reached, was lost before its answer, or took too long for it.
    pub(crate) fn fails(&self) {
        self.failed.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn condition(&self) -> Condition {
        let ago = |then: u64| Duration::from_millis(self.now().saturating_sub(then));
        match (self.failed.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed)) {
            (0, 0) => Condition::Unknown,
            (0, answered) => Condition::Reachable(ago(answered)),
            (failed, _) => Condition::Unreachable(ago(failed)),
        }
    }
}

/// All that anybody may ask.
#[derive(Debug)]
pub(super) struct Servers {
    since: Instant,
    known: Mutex<BTreeMap<String, Arc<Server>>>,
}

impl Default for Servers {
    fn default() -> Self {
        Self { since: Instant::now(), known: Mutex::default() }
    }
}

impl Servers {
    /// The server at an address, the same for all who ask; those that nobody asks any more go.
    pub(super) fn at(&self, endpoint: &Endpoint) -> Arc<Server> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = endpoint.to_string();
        if let Some(server) = known.get(&name) {
            return Arc::clone(server);
        }
        known.retain(|_, server| Arc::strong_count(server) > 1);
        let (since, endpoint) = (self.since, endpoint.clone());
        let never = AtomicU64::default;
        let server = Arc::new(Server { endpoint, since, answered: never(), failed: never() });
        known.insert(name, Arc::clone(&server));
        server
    }

    /// What a server is like, of which it may be that nobody knows it.
    pub(super) fn condition(&self, endpoint: &Endpoint) -> Condition {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&endpoint.to_string()).map_or(Condition::Unknown, |server| server.condition())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Scheme;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { scheme: Scheme::Http, host: "s.example".to_owned(), port }
    }

    #[test]
    fn a_server_is_as_it_was_when_last_asked() {
        let servers = Servers::default();
        let server = servers.at(&endpoint(1));
        assert_eq!(servers.condition(&endpoint(1)), Condition::Unknown);
        server.fails();
        assert!(matches!(servers.condition(&endpoint(1)), Condition::Unreachable(_)));
        servers.at(&endpoint(1)).answers();
        assert!(matches!(server.condition(), Condition::Reachable(_)));
    }

    #[test]
    fn a_server_that_nobody_asks_any_more_goes() {
        let servers = Servers::default();
        let kept = servers.at(&endpoint(1));
        servers.at(&endpoint(2)).answers();
        kept.answers();
        servers.at(&endpoint(3));
        assert_eq!(servers.condition(&endpoint(2)), Condition::Unknown);
        assert!(matches!(servers.condition(&endpoint(1)), Condition::Reachable(_)));
    }
}
