//! What a filter's HTTP call is made of, and what it is answered with.
//!
//! Owns the words for both and the answers Envoy makes up itself. Who really sends implements
//! [`Callouts`].

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::headers::Headers;

/// The largest answer a host buffers for a filter.
pub const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// One HTTP call of a filter.
#[derive(Clone, Debug)]
pub struct Callout {
    /// The cluster it goes to.
    pub cluster: String,
    /// Its header fields, `:method`, `:path` and `:authority` among them.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// How long it may take; none for as long as it takes.
    pub timeout: Option<Duration>,
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// There is a whole response, of the upstream or of the host itself.
    Response {
        /// Its header fields, `:status` first.
        headers: Headers,
        /// Its body.
        body: Bytes,
        /// Its trailers.
        trailers: Headers,
    },
    /// The response broke off or was too large: the filter sees no headers and no body.
    Reset,
}

impl Answer {
    /// A response the host makes up, with the three fields Envoy gives such ones.
    #[must_use]
    pub fn local(status: u16, text: &'static str) -> Self {
        let headers = [
            (":status", status.to_string()),
            ("content-length", text.len().to_string()),
            ("content-type", "text/plain".to_owned()),
        ];
        Self::Response {
            headers: headers.into_iter().collect(),
            body: Bytes::from_static(text.as_bytes()),
            trailers: Headers::new(),
        }
    }

    /// No connection could be made.
    #[must_use]
    pub fn no_connection() -> Self {
        Self::local(503, NO_CONNECTION)
    }

    /// The server is on the inside of a network, and was not asked.
    #[must_use]
    pub fn refused() -> Self {
        Self::local(403, REFUSED)
    }

    /// The connection was lost before there was a response.
    #[must_use]
    pub fn connection_lost() -> Self {
        Self::local(503, CONNECTION_LOST)
    }

    /// What came was no HTTP response.
    #[must_use]
    pub fn protocol_error() -> Self {
        Self::local(502, PROTOCOL_ERROR)
    }

    /// The time was up before there was a response.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::local(504, TIMED_OUT)
    }
}

/// The body of a 503 for an upstream that cannot be connected to.
pub(crate) const NO_CONNECTION: &str = "upstream connect error or disconnect/reset before headers. \
     reset reason: remote connection failure";
/// The body of a 403 for an upstream on the inside of a network.
pub(crate) const REFUSED: &str = "the address is on the inside of a network";
/// The body of a 503 for an upstream that hung up.
pub(crate) const CONNECTION_LOST: &str = "upstream connect error or disconnect/reset before headers. \
     reset reason: connection termination";
/// The body of a 502 for an upstream that does not speak HTTP.
pub(crate) const PROTOCOL_ERROR: &str = "upstream connect error or disconnect/reset before headers. \
     reset reason: protocol error";
/// The body of a 504.
pub(crate) const TIMED_OUT: &str = "upstream request timeout";

/// A call under way.
pub type Pending = Pin<Box<dyn Future<Output = Answer>>>;

/// Sends the calls of one worker's filter.
pub trait Callouts {
    /// Whether there is a cluster of that name.
    fn knows(&self, cluster: &str) -> bool;
    /// Sends a call, and watches over its timeout.
    fn send(&self, callout: Callout) -> Pending;
}

/// Whether a call has what every request must have.
pub(crate) fn is_addressed(headers: &Headers) -> bool {
    [&b":method"[..], b":path", b":authority"].iter().all(|name| headers.first(name).is_some())
}

/// Makes a call's headers fit its body, as Envoy does. What Envoy adds for itself (`x-envoy-*`) is
/// left out: its clusters are configured to take that off again before it reaches an origin.
pub(crate) fn complete(callout: &mut Callout) {
    if !callout.body.is_empty() {
        let length = callout.body.len().to_string();
        callout.headers.set(b"content-length", length.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(body: &'static [u8]) -> Headers {
        let headers =
            [(":method", "PUT"), (":path", "/k"), (":authority", "s"), ("content-length", "9")];
        let mut callout = Callout {
            cluster: "store".to_owned(),
            headers: headers.into_iter().collect(),
            body: Bytes::from_static(body),
            timeout: None,
        };
        complete(&mut callout);
        callout.headers
    }

    #[test]
    fn a_body_forces_its_length_and_none_leaves_the_guests() {
        assert_eq!(put(b"abc").first(b"content-length"), Some(&b"3"[..]));
        assert_eq!(put(b"").first(b"content-length"), Some(&b"9"[..]));
    }
}
