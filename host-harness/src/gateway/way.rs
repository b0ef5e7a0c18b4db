//! The way of a request to its cluster: which one, under which address, signed or not.
//!
//! Owns the making of what is sent. What comes back is the exchange's.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::HOST;
use http::{HeaderValue, Method, Request};
use hyper::body::Incoming;

use super::filtered::Source;
use super::guard::Guards;
use super::message::{self, Target};
use super::misses::Destination;
use super::routing::{Route, address};
use super::settings::{AGAIN, Reads};
use super::signing::{Payload, remove_signature, sign_request, without_signature};
use super::upstream::{Upstream, UpstreamBody};
use super::worker::Worker;
use crate::host::Headers;

/// How a request travels to its cluster.
pub(super) struct Way {
    pub(super) upstream: Rc<Upstream>,
    pub(super) method: Method,
    /// The bucket that the client names.
    pub(super) bucket: Option<String>,
    /// Host and target in place of the client's, for a read the gateway signs.
    pub(super) readdressed: Option<(String, String)>,
    is_signed: bool,
    /// It leads to an origin, and not to a store.
    pub(super) is_origin: bool,
    /// How long the head of the answer may take.
    pub(super) patience: Duration,
    /// How long its body may stand still, where that is not as long as anything.
    pub(super) idle: Option<Duration>,
}

impl Way {
    /// Makes the fields the filter left a request to the cluster. What cannot be one is none.
    pub(super) fn request(
        &self,
        fields: &Headers,
        body: UpstreamBody,
    ) -> Option<Request<UpstreamBody>> {
        let mut request = Request::new(body);
        *request.headers_mut() = message::header_map(fields).0;
        *request.method_mut() = message::pseudo(fields, ":method")?.parse().ok()?;
        let (host, target) = match &self.readdressed {
            Some((host, target)) => (host.as_bytes(), target.as_str()),
            None => (fields.first(b":authority")?, message::pseudo(fields, ":path")?),
        };
        *request.uri_mut() = self.upstream.cluster.endpoint.uri(target).ok()?;
        request.headers_mut().insert(HOST, HeaderValue::from_bytes(host).ok()?);
        if let (true, Some(credentials)) = (self.is_signed, &self.upstream.cluster.signer) {
            remove_signature(&mut request);
            sign_request(&mut request, Payload::Streamed, credentials, SystemTime::now()).ok()?;
        }
        Some(request)
    }

    /// An answer's body, by whose it is.
    pub(super) fn source(&self, body: Incoming) -> Source {
        if self.is_origin { Source::Origin(body) } else { Source::Store(body) }
    }
}

/// Finds the way of a request, if there is one.
pub(super) fn find(worker: &Worker, method: &Method, target: &Target) -> Option<Way> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let (cluster, bucket, signed) = match worker.routes.find(&target.authority, &target.path) {
        Route::Bucket { name, route, rest } => {
            let signed = match route.reads {
                Reads::Signed(addressing) if is_read => Some((addressing, name, rest)),
                Reads::Signed(_) | Reads::Passthrough => None,
            };
            (route.cluster.as_str(), Some(name.to_owned()), signed)
        }
        Route::Default(cluster) => (cluster, None, None),
        Route::None => return None,
    };
    let upstream = worker.upstreams.get(cluster)?;
    let readdressed = signed.map(|(addressing, bucket, rest)| {
        let endpoint = &upstream.cluster.endpoint;
        let (host, target) = address(addressing, endpoint, bucket, rest);
        (host, without_signature(&target))
    });
    Some(Way {
        upstream,
        method: method.clone(),
        bucket,
        is_signed: readdressed.is_some(),
        readdressed,
        is_origin: false,
        patience: if is_read { worker.timeouts.response } else { worker.timeouts.write },
        idle: None,
    })
}

/// The way of a request on the miss route, to where the filter sends it: an origin, or the store of
/// a bucket once more.
pub(super) fn of_miss(worker: &Worker, method: &Method, to: &Destination) -> Option<Way> {
    let named = to.cluster.as_deref()?;
    let bucket = named.strip_prefix(AGAIN).and_then(|name| worker.routes.buckets.get(name));
    let upstream = worker.upstreams.get(bucket.map_or(named, |route| &route.cluster))?;
    let idle = match bucket {
        Some(_) => None,
        None => worker.guards.as_ref().map(Guards::idle),
    };
    Some(Way {
        method: method.clone(),
        bucket: None,
        readdressed: None,
        is_signed: match bucket {
            Some(route) => matches!(route.reads, Reads::Signed(_)),
            None => upstream.cluster.signer.is_some(),
        },
        upstream,
        is_origin: bucket.is_none(),
        patience: to.patience.unwrap_or(worker.timeouts.response),
        idle: to.idle.or(idle),
    })
}
