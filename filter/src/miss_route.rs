//! The miss route: how a gateway and the filter speak about a request that the bucket could not
//! answer.
//!
//! ```text
//! client ─▶ bucket's route ─▶ bucket: 404
//!              └─ the gateway drops that answer, says what it was in MISS, and routes the request
//!                 once more, as a request for HOST ─▶ miss route, where the filter is
//!                    ├─ the filter answers: a redirect, 404, 424
//!                    └─ or names CLUSTER, SERVER_HOST and a path ─▶ origin
//!                          ├─ its answer goes through the filter to the client
//!                          └─ or is one of RETURNS: the gateway drops it, says so in MISS, and the
//!                             request comes to the miss route again, with its ATTEMPT
//! ```
//!
//! Envoy does the first with its router's internal redirects; `b2o serve` does the same natively.
//! All of these names begin with `x-envoy-`, which no client's request brings past the listener and
//! no request takes to a server.

use crate::http::headers::Headers;

/// The host of a request on the miss route. `invalid` is nobody's (RFC 2606), and there is no port:
/// gateways that ignore ports when they compare hosts would never find it otherwise.
pub const HOST: &str = "back-to-origin.invalid";

/// The host of a request whose answer is paced by the quota of this label.
#[must_use]
pub fn paced_host(label: &str) -> String {
    format!("{label}.{HOST}")
}

/// The label of the quota by which the answer to a request for this host is paced.
#[must_use]
pub fn paced_by(host: &str) -> Option<&str> {
    host.strip_suffix(HOST)?.strip_suffix('.')
}

/// What has been answered so far: see [`Said`].
pub const MISS: &str = "x-envoy-miss";

/// What [`MISS`] says once the filter has read it: without the header the route would not be found
/// again.
pub const READ: &str = "read";

/// Which attempt at an origin it is that has been answered.
pub const ATTEMPT: &str = "x-envoy-miss-attempt";

/// The Location of an origin's answer.
pub const LOCATION: &str = "x-envoy-miss-location";

/// The scheme, host and path of the request as it went to the bucket.
pub const ORIGINAL_URL: &str = "x-envoy-original-url";

/// The Host that the client sent, where the bucket's route has replaced it.
pub const ORIGINAL_HOST: &str = "x-envoy-original-host";

/// The path that the client sent, where the bucket's route has replaced it.
pub const ORIGINAL_PATH: &str = "x-envoy-original-path";

/// The cluster to which the filter sends the request.
pub const CLUSTER: &str = "x-envoy-miss-cluster";

/// The cluster behind [`ATTEMPTS`].
pub const SERVER: &str = "x-envoy-miss-server";

/// The Host that this server is told.
pub const SERVER_HOST: &str = "x-envoy-miss-host";

/// By what an origin's answer has come: its protocol, and behind a blank its transfer coding. Without
/// it the answer's own headers tell.
pub const FRAMING: &str = "x-envoy-miss-framing";

/// Which answers come back to the filter as a request of their own: statuses (`302`) and classes
/// (`5xx`), separated by blanks, but none that stands behind a `!` (`!416`).
pub const RETURNS: &str = "x-envoy-miss-returns";

/// How many milliseconds a body may stand still, where that is not what the deployment says.
pub const IDLE: &str = "x-envoy-miss-idle";

/// The label of the quota that the request is counted by, where a service counts for all gateways. Only
/// requests to origins have it.
pub const QUOTA: &str = "x-envoy-miss-quota";

/// How many milliseconds the answer's headers may take. Envoy's own name.
pub const TIMEOUT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// The same where the request goes by [`ATTEMPTS`]: it becomes [`TIMEOUT`] behind it, so that the time
/// is up there, and the answer to that comes back.
pub const ATTEMPT_TIMEOUT: &str = "x-envoy-miss-timeout";

/// The cluster that leads through the gateway itself, once more, to [`SERVER`]. The gateway's own
/// answers, such as that a server cannot be connected to, come back from it like a server's.
pub const ATTEMPTS: &str = "attempts";

/// What the details of the gateway's answer say where it has asked no origin, since the address of that
/// is on the inside of a network. Envoy's own name for what a script answers; no other script does.
pub const REFUSED_DETAILS: &str = "lua_response";

/// What the details of the gateway's answer say where that service finds no room (Envoy's
/// `source/extensions/filters/http/ratelimit`).
pub const OVER_QUOTA_DETAILS: &str = "request_rate_limited";

/// The same where the service does not answer, and nothing is to pass without it.
pub const QUOTA_UNKNOWN_DETAILS: &str = "rate_limiter_error";

/// A header without which Envoy finds no route.
pub const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What a [`MISS`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said<'a> {
    /// `bucket NAME STATUS`: the bucket has answered; with `deleted` behind it, for a delete marker,
    /// or `denied`, where its words are that the client lacks a right.
    Bucket {
        /// The bucket's name.
        name: &'a str,
        /// Its status.
        status: u16,
        /// Whether the answer is the delete marker of a versioned bucket.
        deleted: bool,
        /// Whether it says `AccessDenied`.
        denied: bool,
    },
    /// `bucket NAME gateway STATUS`: the gateway has answered in the bucket's place.
    BucketUnheard {
        /// The bucket's name.
        name: &'a str,
        /// The gateway's status.
        status: u16,
    },
    /// `origin STATUS`: an origin has answered, and the answer is one of [`RETURNS`]; or the bucket,
    /// asked with the gateway's own keys, with `deleted` behind it for a delete marker.
    Origin {
        /// Its status.
        status: u16,
        /// Whether the answer is a delete marker.
        deleted: bool,
    },
    /// `gateway STATUS`, and whatever else: the gateway has answered in an origin's place.
    OriginUnheard {
        /// The gateway's status.
        status: u16,
        /// What else it says of that.
        details: &'a str,
    },
}

impl<'a> Said<'a> {
    /// What the request says of itself; `None` where it is on no miss route.
    #[must_use]
    pub fn read(headers: &'a Headers) -> Option<Self> {
        Self::parse(headers.text(MISS)?)
    }

    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.split(' ');
        match words.next()? {
            "bucket" => {
                let name = words.next()?;
                match words.next()? {
                    "gateway" => {
                        let status = words.next()?.parse().ok()?;
                        Some(Self::BucketUnheard { name, status })
                    }
                    status => {
                        let status = status.parse().ok()?;
                        let more = words.next();
                        let (deleted, denied) = (more == Some("deleted"), more == Some("denied"));
                        Some(Self::Bucket { name, status, deleted, denied })
                    }
                }
            }
            "origin" => {
                let status = words.next()?.parse().ok()?;
                Some(Self::Origin { status, deleted: words.next() == Some("deleted") })
            }
            "gateway" => {
                let status = words.next()?;
                let details = text.split_once(status).map_or("", |(_, details)| details.trim());
                Some(Self::OriginUnheard { status: status.parse().ok()?, details })
            }
            _ => None,
        }
    }
}

/// Whether an answer with this status comes back to the filter, by a [`RETURNS`].
#[must_use]
pub fn returns(list: &str, status: u16) -> bool {
    let exact = status.to_string();
    let class = format!("{}xx", status / 100);
    let mut back = false;
    for word in list.split(' ') {
        match word.strip_prefix('!') {
            Some(not) if not == exact => return false,
            Some(_) => {}
            None => back |= word == exact || word == class,
        }
    }
    back
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_miss_is_read() {
        let name = "b.c";
        let bucket = |status, deleted| Some(Said::Bucket { name, status, deleted, denied: false });
        let denied = Said::Bucket { name, status: 403, deleted: false, denied: true };
        for (text, expected) in [
            ("bucket b.c 404", bucket(404, false)),
            ("bucket b.c 404 deleted", bucket(404, true)),
            ("bucket b.c 503", bucket(503, false)),
            ("bucket b gateway 503 UF x", Some(Said::BucketUnheard { name: "b", status: 503 })),
            ("bucket b.c 403", bucket(403, false)),
            ("bucket b.c 403 denied", Some(denied)),
            ("origin 302", Some(Said::Origin { status: 302, deleted: false })),
            ("origin 404 deleted", Some(Said::Origin { status: 404, deleted: true })),
            ("gateway 504 UT late", Some(Said::OriginUnheard { status: 504, details: "UT late" })),
            ("", None),
            ("bucket", None),
            ("bucket b", None),
            ("bucket b x", None),
            ("origin", None),
            ("client 404", None),
        ] {
            assert_eq!(Said::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn answers_come_back_by_status_or_class() {
        for (list, status, expected) in [
            ("302 404", 302, true),
            ("302 404", 301, false),
            ("5xx", 503, true),
            ("4xx 5xx !416", 416, false),
            ("!416 4xx", 416, false),
            ("4xx 5xx !416", 404, true),
            ("", 404, false),
        ] {
            assert_eq!(returns(list, status), expected, "{list} {status}");
        }
    }
}
