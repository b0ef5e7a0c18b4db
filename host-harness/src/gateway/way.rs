//! The way of a request to its cluster: which one, under which address, signed or not.
//!
//! Owns the making of what is sent. What comes back is the exchange's.

use std::rc::Rc;
use std::time::SystemTime;

use http::header::HOST;
use http::{HeaderValue, Method, Request};

use super::message::{self, Target};
use super::routing::{Route, address};
use super::settings::Reads;
use super::signing::{Payload, remove_signature, sign_request, without_signature};
use super::upstream::{Upstream, UpstreamBody};
use super::worker::Worker;
use crate::host::Headers;

/// How a request travels to its cluster.
pub(super) struct Way {
    pub(super) upstream: Rc<Upstream>,
    pub(super) method: Method,
    /// Host and target in place of the client's, for a request the gateway signs.
    readdressed: Option<(String, String)>,
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
        let path = message::pseudo(fields, ":path")?;
        let Some((host, target)) = &self.readdressed else {
            *request.uri_mut() = self.upstream.uri(path).ok()?;
            let authority = HeaderValue::from_bytes(fields.first(b":authority")?).ok()?;
            request.headers_mut().insert(HOST, authority);
            return Some(request);
        };
        *request.uri_mut() = self.upstream.uri(target).ok()?;
        request.headers_mut().insert(HOST, HeaderValue::from_str(host).ok()?);
        if let Some(credentials) = &self.upstream.cluster.signer {
            remove_signature(&mut request);
            sign_request(&mut request, Payload::Streamed, credentials, SystemTime::now()).ok()?;
        }
        Some(request)
    }
}

/// Finds the way of a request, if there is one.
pub(super) fn find(worker: &Worker, method: &Method, target: &Target) -> Option<Way> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let (cluster, signed) = match worker.routes.find(&target.authority, &target.path) {
        Route::Bucket { name, route, rest } => {
            let signed = match route.reads {
                Reads::Signed(addressing) if is_read => Some((addressing, name, rest)),
                Reads::Signed(_) | Reads::Passthrough => None,
            };
            (route.cluster.as_str(), signed)
        }
        Route::Default(cluster) => (cluster, None),
        Route::None => return None,
    };
    let upstream = worker.upstreams.get(cluster)?;
    let readdressed = signed.map(|(addressing, bucket, rest)| {
        let endpoint = &upstream.cluster.endpoint;
        let (host, target) = address(addressing, endpoint, bucket, rest);
        (host, without_signature(&target))
    });
    Some(Way { upstream, method: method.clone(), readdressed })
}
