//! What a request must show before it is looked at: a Host of this console's own, an origin of its
//! own, and patience where signing in failed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// How many times signing in may fail from one address, and from all, within [`WINDOW`].
const FAILURES: usize = 5;
const ALL_FAILURES: usize = 50;
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are remembered.
const MOST: usize = 1_024;

/// Whether a name in `Host` is this machine's alone: a page elsewhere whose name was made to lead
/// here comes under its own.
pub(super) fn is_local(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, _)) => name,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The host that a request names.
pub(super) fn host<'r>(headers: &'r HeaderMap, uri: &'r http::Uri) -> Option<&'r str> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| headers.get(HOST)?.to_str().ok())
}

/// Whether a form may be from a page of this console: browsers say from where it is.
pub(super) fn is_own(headers: &HeaderMap, host: Option<&str>) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        (_, _) => false,
    }
}

/// Where signing in has failed lately.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<BTreeMap<IpAddr, Vec<Instant>>>);

impl Attempts {
    /// How long an address has to wait before it may try again; `None` where it need not.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|_, times| {
            times.retain(|time| now.duration_since(*time) < WINDOW);
            !times.is_empty()
        });
        let all: usize = failed.values().map(Vec::len).sum();
        let own = failed.get(&network(address));
        let first = match own {
            Some(times) if times.len() >= FAILURES => times.first(),
            Some(_) | None if all >= ALL_FAILURES || failed.len() >= MOST => {
                failed.values().filter_map(|times| times.first()).min()
            }
            Some(_) | None => None,
        };
        first.map(|first| WINDOW.saturating_sub(now.duration_since(*first)))
    }

    /// Notes an attempt, before it is known how it ends: many at once are many.
    pub(super) fn note(&self, address: IpAddr, now: Instant) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.entry(network(address)).or_default().push(now);
    }

    /// Forgets the attempts of an address that has signed in.
    pub(super) fn forget(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(address));
    }
}

/// The address, or the network that one has who has an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(own) => match own.to_ipv4_mapped() {
            Some(own) => IpAddr::V4(own),
            None => IpAddr::V6(Ipv6Addr::from_bits(own.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_this_machines_names_are_local() {
        for (host, expected) in [
            ("127.0.0.1:8091", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("[::1]:8091", true),
            ("127.9.9.9", true),
            ("evil.example:8091", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("192.0.2.1:8091", false),
            ("", false),
        ] {
            assert_eq!(is_local(Some(host)), expected, "{host}");
        }
        assert!(!is_local(None));
    }

    #[test]
    fn a_form_of_another_page_is_known() {
        for (name, value, expected) in [
            ("origin", "http://127.0.0.1:8091", true),
            ("origin", "https://127.0.0.1:8091", true),
            ("origin", "http://evil.example", false),
            ("origin", "http://127.0.0.1:8092", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("other", "x", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(is_own(&headers, Some("127.0.0.1:8091")), expected, "{name} {value}");
        }
    }

    #[test]
    fn who_fails_too_often_waits() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..FAILURES {
            assert_eq!(attempts.wait(one, now), None);
            attempts.note(one, now);
        }
        assert_eq!(attempts.wait(neighbour, now), Some(WINDOW));
        assert_eq!(attempts.wait(other, now), None);
        assert_eq!(attempts.wait(one, now + WINDOW), None);
        for _ in 0..FAILURES {
            attempts.note(other, now + WINDOW);
        }
        attempts.forget(other);
        assert_eq!(attempts.wait(other, now + WINDOW), None);
        for last in 0..ALL_FAILURES {
            let address = std::net::Ipv4Addr::new(198, 51, 100, u8::try_from(last).unwrap());
            attempts.note(address.into(), now + WINDOW);
        }
        assert_eq!(attempts.wait(other, now + WINDOW), Some(WINDOW), "all together");
    }
}
