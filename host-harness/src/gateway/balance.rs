//! Which of a store's servers a request goes to.
//!
//! Owns the order: each in its turn, but none that failed lately while others are there. A connection
//! that cannot be made is made to another one, so that no request notices a server that is gone.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::servers::{Condition, Server};

/// How long a server that failed is left alone.
const REST: Duration = Duration::from_secs(10);

/// The servers of one cluster, for one worker.
pub(super) struct Balance {
    servers: Arc<[Arc<Server>]>,
    turn: Cell<usize>,
}

impl Server {
    /// Whether it failed lately, and has not answered since.
    pub(super) fn rests(&self) -> bool {
        match self.condition() {
            Condition::Unknown | Condition::Reachable(_) => false,
            Condition::Unreachable(age) => age < REST,
        }
    }

    /// The request, sent here: its Host is the store's, and stays.
    pub(super) fn addressed<B>(&self, mut request: Request<B>) -> Request<B> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        // It has been a target already.
        if let Ok(uri) = self.endpoint.uri(target) {
            *request.uri_mut() = uri;
        }
        request
    }
}

impl Balance {
    /// Among one server at least.
    pub(super) fn new(servers: Vec<Arc<Server>>) -> Self {
        Self { servers: servers.into(), turn: Cell::new(0) }
    }

    pub(super) fn all(&self) -> Arc<[Arc<Server>]> {
        Arc::clone(&self.servers)
    }

    /// The server whose turn it is.
    pub(super) fn next(&self) -> Arc<Server> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let count = self.servers.len();
        let in_turn = || (0..count).map(|step| &self.servers[(turn % count + step) % count]);
        let well = in_turn().find(|server| !server.rests());
        // Where none is well any may be.
        Arc::clone(well.unwrap_or(&self.servers[turn % count]))
    }

    /// One has answered: where there are several, perhaps another one in its place.
    pub(super) fn answered(&self, server: &Server) {
        if self.servers.len() == 1 || !matches!(server.condition(), Condition::Unreachable(_)) {
            server.answers();
        }
    }

    /// No answer came in time, of one of them: of several, nobody knows which.
    pub(super) fn is_late(&self) {
        if let [only] = &*self.servers {
            only.fails();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::Servers;
    use super::*;
    use crate::gateway::{Endpoint, Scheme};

    fn of(ports: &[u16]) -> Balance {
        let servers = Servers::default();
        let endpoint = |port: &u16| Endpoint {
            scheme: Scheme::Http,
            host: "s.example".to_owned(),
            port: *port,
        };
        Balance::new(ports.iter().map(|port| servers.at(&endpoint(port))).collect())
    }

    fn next(balance: &Balance, times: usize) -> Vec<u16> {
        (0..times).map(|_| balance.next().endpoint.port).collect()
    }

    #[test]
    fn each_has_its_turn_and_none_that_failed() {
        let balance = of(&[1, 2, 3]);
        assert_eq!(next(&balance, 4), [1, 2, 3, 1]);
        balance.servers[1].fails();
        let turns = next(&balance, 6);
        assert!(!turns.contains(&2) && turns.contains(&1) && turns.contains(&3), "{turns:?}");
        // What another one answers in its place says nothing of it.
        balance.answered(&balance.servers[1]);
        assert!(!next(&balance, 6).contains(&2));
        balance.servers[1].answers();
        assert!(next(&balance, 6).contains(&2));
    }

    #[test]
    fn where_all_failed_any_is_asked() {
        let balance = of(&[1, 2]);
        balance.servers.iter().for_each(|server| server.fails());
        assert_eq!(next(&balance, 4), [1, 2, 1, 2]);
    }
}
