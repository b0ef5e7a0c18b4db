//! Who a request is from, where proxies stand before the gateway, and how the next server learns it.
//!
//! Owns X-Forwarded-For and X-Forwarded-Proto, with the meaning that Envoy gives them where it is at
//! the edge (`use_remote_address`, `xff_num_trusted_hops`).

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Adds the peer to who a request has come by, and says whom the last trusted proxy saw.
pub(super) fn note(
    headers: &mut HeaderMap,
    peer: SocketAddr,
    scheme: &'static str,
    trusted: u8,
) -> SocketAddr {
    let client = client(headers, trusted).map_or(peer, |ip| SocketAddr::new(ip, 0));
    let told = headers.get_all(FOR).iter().map(HeaderValue::as_bytes);
    let mut all = told.collect::<Vec<_>>().join(&b","[..]);
    if !all.is_empty() {
        all.push(b',');
    }
    all.extend_from_slice(peer.ip().to_string().as_bytes());
    // It is of the values that came in and of an address.
    if let Ok(all) = HeaderValue::from_bytes(&all) {
        headers.insert(FOR, all);
    }
    let is_said = headers.get(PROTO).is_some_and(|scheme| scheme == "http" || scheme == "https");
    if trusted == 0 || !is_said {
        headers.insert(PROTO, HeaderValue::from_static(scheme));
    }
    client
}

/// The address that the outermost of the trusted proxies has written down.
fn client(headers: &HeaderMap, trusted: u8) -> Option<IpAddr> {
    let nth = usize::from(trusted).checked_sub(1)?;
    let told: Vec<_> = headers.get_all(FOR).iter().filter_map(|told| told.to_str().ok()).collect();
    told.join(",").rsplit(',').nth(nth)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_whom_the_trusted_proxies_saw() {
        for (came, trusted, client, sent) in [
            (&[][..], 0, "192.0.2.1", "192.0.2.1"),
            (&["203.0.113.5"], 0, "192.0.2.1", "203.0.113.5,192.0.2.1"),
            (&["203.0.113.5"], 1, "203.0.113.5", "203.0.113.5,192.0.2.1"),
            (&["8.8.8.8, 203.0.113.5"], 1, "203.0.113.5", "8.8.8.8, 203.0.113.5,192.0.2.1"),
            (&["8.8.8.8", "2001:db8::1"], 2, "8.8.8.8", "8.8.8.8,2001:db8::1,192.0.2.1"),
            (&["8.8.8.8"], 2, "192.0.2.1", "8.8.8.8,192.0.2.1"),
            (&["nobody"], 1, "192.0.2.1", "nobody,192.0.2.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in came {
                headers.append(FOR, value.parse().unwrap());
            }
            let found = note(&mut headers, "192.0.2.1:7".parse().unwrap(), "https", trusted);
            assert_eq!(found.ip().to_string(), client, "{came:?} {trusted}");
            assert_eq!(headers[FOR], sent);
            assert_eq!(headers[PROTO], "https");
        }
    }

    #[test]
    fn a_scheme_is_believed_of_trusted_proxies_alone() {
        for (trusted, said, sent) in
            [(0, "http", "https"), (1, "http", "http"), (1, "ftp", "https")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(PROTO, said.parse().unwrap());
            note(&mut headers, "192.0.2.1:7".parse().unwrap(), "https", trusted);
            assert_eq!(headers[PROTO], sent, "{trusted} {said}");
        }
    }
}
