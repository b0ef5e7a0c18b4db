//! Sessions: who is signed in, from where, until when. They live in memory alone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::account::Role;

/// How many sessions there are at most; the one that was idle longest gives way.
const MOST: usize = 256;

/// How long a session lasts without a request, and at most.
const IDLE: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) role: Role,
    /// The name in audit lines.
    pub(super) name: String,
    /// What every form carries, so that no other page can send one.
    pub(super) csrf: String,
    address: IpAddr,
    begun: Instant,
    seen: Instant,
}

/// All sessions, by the token in their cookies.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Session>>);

impl Sessions {
    /// Begins a session, and gives back its token. `None` where there is no randomness.
    pub(super) fn begin(
        &self,
        role: Role,
        name: String,
        address: IpAddr,
        now: Instant,
    ) -> Option<String> {
        let (token, csrf) = (random()?, random()?);
        let session = Session { role, name, csrf, address, begun: now, seen: now };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.is_alive(now));
        while sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.seen);
            let Some(oldest) = oldest.map(|(token, _)| token.clone()) else { break };
            sessions.remove(&oldest);
        }
        sessions.insert(token.clone(), session);
        Some(token)
    }

    /// The session of a token, from the address at which it began: a cookie that was stolen opens
    /// nothing elsewhere.
    pub(super) fn find(&self, token: &str, address: IpAddr, now: Instant) -> Option<Session> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(token)?;
        if !session.is_alive(now) {
            sessions.remove(token);
            return None;
        }
        if session.address != address {
            return None;
        }
        session.seen = now;
        Some(session.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, token: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

impl Session {
    /// Of a console that nobody has to sign in to.
    pub(super) fn open(csrf: String, address: IpAddr, now: Instant) -> Self {
        let name = "somebody on this machine".to_owned();
        Self { role: Role::Editor, name, csrf, address, begun: now, seen: now }
    }

    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.seen) < IDLE && now.duration_since(self.begun) < LONGEST
    }
}

/// 256 random bits. `None` where the machine has no randomness.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_session_is_for_one_address_and_for_a_time() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.begin(Role::Reader, "reader".to_owned(), HERE, now).unwrap();
        assert!(sessions.find(&token, HERE, now).is_some());
        assert!(sessions.find(&token, THERE, now).is_none());
        assert!(sessions.find("", HERE, now).is_none());
        let mut later = now;
        for _ in 0..13 {
            later += IDLE - Duration::from_secs(1);
            let is_alive = later.duration_since(now) < LONGEST;
            assert_eq!(sessions.find(&token, HERE, later).is_some(), is_alive);
        }
        let token = sessions.begin(Role::Reader, "reader".to_owned(), HERE, now).unwrap();
        assert!(sessions.find(&token, HERE, now + IDLE).is_none(), "idle");
        let token = sessions.begin(Role::Reader, "reader".to_owned(), HERE, now).unwrap();
        sessions.end(&token);
        assert!(sessions.find(&token, HERE, now).is_none(), "ended");
    }

    #[test]
    fn sessions_are_bounded_and_the_idle_one_goes() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let begin = |at| sessions.begin(Role::Editor, "editor".to_owned(), HERE, at).unwrap();
        let first = begin(now);
        let second = begin(now);
        assert!(sessions.find(&first, HERE, now + Duration::from_secs(2)).is_some());
        for _ in 2..=MOST {
            begin(now + Duration::from_secs(1));
        }
        assert!(sessions.find(&first, HERE, now).is_some());
        assert!(sessions.find(&second, HERE, now).is_none());
    }
}
