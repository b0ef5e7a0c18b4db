//! The miss route: a request that its bucket could not answer, shown to the filter as a request of
//! its own, and sent where the filter says.
//!
//! Owns what the headers of [`back_to_origin::miss_route`] mean to a gateway. Envoy's routes, its clusters' filters
//! and its router's internal redirects do the same.

use std::time::Duration;

use back_to_origin::miss_route::{
    ATTEMPT, ATTEMPT_TIMEOUT, ATTEMPTS, CLUSTER, FORWARDED_PROTO, HOST, IDLE, LOCATION, MISS,
    ORIGINAL_HOST, ORIGINAL_PATH, ORIGINAL_URL, RETURNS, SERVER, SERVER_HOST, TIMEOUT, paced_by,
    returns,
};

use super::draft::{By, Draft};
use super::guard;
use super::message;
use super::signing;
use super::way::Way;
use crate::host::Headers;

/// How often one request of a client's may come to the miss route.
pub(super) const MOST_PASSES: u32 = 64;

/// All names by which gateways and the filter speak to each other begin so.
const HELPERS: &[u8] = b"x-envoy-";

/// Whether an authority is that of the miss route, where no client's request may come by itself.
pub(super) fn is_reserved(authority: &str) -> bool {
    let authority = authority.to_ascii_lowercase();
    authority == HOST || paced_by(&authority).is_some()
}

/// Takes off what only a gateway may say.
pub(super) fn strip(fields: &mut Headers) {
    fields.remove_starting_with(HELPERS);
}

/// Takes off what a server says of a miss.
pub(super) fn strip_said(fields: &mut Headers) {
    fields.remove_starting_with(MISS.as_bytes());
}

/// Makes fields those of a request on the miss route, with the words on what was answered.
fn address(fields: &mut Headers, said: &str) {
    let empty = &b""[..];
    let authority = fields.first(b":authority").unwrap_or(empty);
    let path = fields.first(b":path").unwrap_or(empty);
    let url = [b"http://", authority, path].concat();
    fields.set(ORIGINAL_URL.as_bytes(), &url);
    fields.set(b":authority", HOST.as_bytes());
    fields.set(b":path", b"/");
    fields.set(MISS.as_bytes(), said.as_bytes());
}

/// What is said of an answer that comes back.
fn said(answer: &Draft) -> String {
    match answer.by {
        By::Server if guard::is_delete_marker(&answer.fields) => {
            format!("origin {} deleted", answer.status())
        }
        By::Server => format!("origin {}", answer.status()),
        By::Gateway | By::Filter => format!("gateway {} {}", answer.status(), answer.details),
    }
}

/// Has the filter see of an answer that it was to come back, and does not.
pub(super) fn mark(answer: &mut Draft) {
    let said = said(answer);
    answer.fields.set(MISS.as_bytes(), said.as_bytes());
}

/// A request that goes to the miss route, time and again.
pub(super) struct Miss {
    /// What the filter is shown next.
    pub(super) fields: Headers,
    /// By which scheme the client came, where somebody before this gateway has said so.
    proto: Option<Vec<u8>>,
}

impl Miss {
    /// The request that a bucket has answered so. `way` is its way to the bucket.
    pub(super) fn new(mut fields: Headers, way: &Way, said: &str) -> Self {
        if let Some((host, target)) = &way.readdressed {
            for (name, kept) in [(":authority", ORIGINAL_HOST), (":path", ORIGINAL_PATH)] {
                let value = fields.first(name.as_bytes()).unwrap_or_default().to_vec();
                fields.set(kept.as_bytes(), &value);
            }
            fields.set(b":authority", host.as_bytes());
            fields.set(b":path", target.as_bytes());
            signing::remove_signature_fields(&mut fields);
        }
        address(&mut fields, said);
        // The body went to the bucket.
        fields.remove(b"content-length");
        let proto = fields.first(FORWARDED_PROTO.as_bytes()).map(<[u8]>::to_vec);
        if proto.is_none() {
            let scheme = fields.first(b":scheme").unwrap_or(b"http").to_vec();
            fields.add(FORWARDED_PROTO.as_bytes(), &scheme);
        }
        Self { fields, proto }
    }

    /// What a server is told: a store the client's scheme as it was said, an origin nothing of it.
    pub(super) fn sent(&self, fields: &Headers, is_origin: bool) -> Headers {
        let mut sent = fields.clone();
        match &self.proto {
            Some(proto) if !is_origin => sent.set(FORWARDED_PROTO.as_bytes(), proto),
            Some(_) | None => sent.remove(FORWARDED_PROTO.as_bytes()),
        }
        sent
    }

    /// The request comes back, with the words on what was answered. `fields` are those of the server.
    pub(super) fn returned(&mut self, mut fields: Headers, answer: &Draft, to: &Destination) {
        address(&mut fields, &said(answer));
        fields.set(FORWARDED_PROTO.as_bytes(), b"http");
        if let Some(attempt) = &to.attempt {
            fields.set(ATTEMPT.as_bytes(), attempt.as_bytes());
        }
        if let (By::Server, Some(location)) = (answer.by, answer.fields.first(b"location")) {
            fields.set(LOCATION.as_bytes(), location);
        }
        self.fields = fields;
    }
}

/// Where the filter sends a request on the miss route.
pub(super) struct Destination {
    pub(super) cluster: Option<String>,
    /// The gateway's own failures come back too.
    is_attempt: bool,
    attempt: Option<String>,
    returns: Option<String>,
    /// How long the head of the answer may take.
    pub(super) patience: Option<Duration>,
    /// How long its body may stand still.
    pub(super) idle: Option<Duration>,
    /// The label of the quota by which its body is paced.
    pub(super) paced: Option<String>,
}

impl Destination {
    /// Where the filter, which leaves these fields, sends the request. They are the server's then.
    pub(super) fn take(fields: &mut Headers) -> Self {
        let text = |name: &str| message::pseudo(fields, name).map(str::to_owned);
        let time = |name: &str| Some(Duration::from_millis(text(name)?.parse().ok()?));
        let named = text(CLUSTER);
        let is_attempt = named.as_deref() == Some(ATTEMPTS);
        let destination = Self {
            cluster: if is_attempt { text(SERVER) } else { named },
            is_attempt,
            attempt: text(ATTEMPT),
            returns: text(RETURNS),
            patience: time(if is_attempt { ATTEMPT_TIMEOUT } else { TIMEOUT }),
            idle: time(IDLE),
            paced: text(":authority").and_then(|host| paced_by(&host).map(str::to_owned)),
        };
        if let Some(host) = text(SERVER_HOST) {
            fields.set(b":authority", host.as_bytes());
        }
        strip(fields);
        destination
    }

    /// Whether an answer comes back to the filter as a request.
    pub(super) fn is_returned(&self, answer: &Draft) -> bool {
        match answer.by {
            By::Server => {
                let is_known = self.attempt.is_some();
                is_known && self.returns.as_ref().is_some_and(|list| returns(list, answer.status()))
            }
            By::Gateway => self.is_attempt,
            By::Filter => false,
        }
    }
}
