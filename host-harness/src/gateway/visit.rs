//! A miss on its way to an origin: past the filter on the origins' side, there and back.
//!
//! Owns what Envoy does when it retries a request on another cluster. The bucket's answer is gone
//! by then; a client that leaves ends the filter's context at once, wherever the body is.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use back_to_origin::reason::MirrorFailure;
use http::header::HOST;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Body as _;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::exchange::{Asked, Draft, Exchange, stood_still, unless_intervened};
use super::filtered::{Filtered, Source};
use super::message;
use super::origin_side::{Miss, OriginSide};
use super::signing::{Payload, sign_request};
use super::upstream::{Failure, Upstream, UpstreamBody, is_framed, peer};
use crate::host::{Headers, Level, Place, RequestFacts, Verdict};

/// How much longer than the filter, which answers for an origin that is late, the gateway waits.
const GRACE: Duration = Duration::from_secs(1);

/// What of an answer that nobody wants is read, so that its connection can be used again.
const WORTH_READING: u64 = 64 * 1024;

/// How long that may take.
const WORTH_WAITING: Duration = Duration::from_secs(1);

/// Reads what is left of an answer, or hangs up where that is too much.
fn spend(asked: Asked) {
    let Asked::Draft(Draft { source: Source::Store(mut body), .. }) = asked else { return };
    if body.size_hint().exact().is_some_and(|length| length > WORTH_READING) {
        return;
    }
    spawn_local(timeout(WORTH_WAITING, async move {
        let mut rest = WORTH_READING;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            let Some(left) = rest.checked_sub(length) else { return };
            rest = left;
        }
    }));
}

/// Makes the fields the filter left a request. What cannot be one is none.
fn request(upstream: &Upstream, fields: &Headers) -> Option<Request<UpstreamBody>> {
    let body = Empty::new().map_err(|never| match never {}).boxed();
    let mut request = Request::new(body);
    *request.headers_mut() = message::header_map(fields).0;
    *request.method_mut() = message::pseudo(fields, ":method")?.parse().ok()?;
    *request.uri_mut() = upstream.uri(message::pseudo(fields, ":path")?).ok()?;
    let authority = HeaderValue::from_bytes(fields.first(b":authority")?).ok()?;
    request.headers_mut().insert(HOST, authority);
    if let Some(credentials) = &upstream.cluster.signer {
        sign_request(&mut request, Payload::Streamed, credentials, SystemTime::now()).ok()?;
    }
    Some(request)
}

impl Exchange {
    /// Sends a miss to its origin. `missing` is the bucket's answer, which is dropped.
    pub(super) async fn visit(
        &mut self,
        side: &OriginSide,
        miss: &Miss,
        facts: RequestFacts,
        fields: Headers,
        missing: Asked,
    ) -> Asked {
        spend(missing);
        self.taken_over();
        let method = miss.method.clone();
        let facts = RequestFacts { place: Place::Upstream, cluster: miss.cluster.clone(), ..facts };
        let stream = match side.plugin.open(facts) {
            Ok(stream) => Rc::new(stream),
            Err(error) => {
                self.warn(&error.to_string());
                return Asked::Failed;
            }
        };
        let Some(upstream) = self.worker().upstreams.get(&miss.cluster) else {
            return self.fail(miss, MirrorFailure::NoCluster, "cluster_not_found");
        };
        // A body has been spent on the bucket, and a GET's means nothing.
        let shown = stream.request_headers(fields, true);
        match timeout(self.worker().timeouts.idle, shown).await {
            Ok(Verdict::Pass) => {}
            Ok(verdict) => return Asked::prevented(verdict, &method),
            Err(_) => return Asked::Draft(Draft::local(stood_still(), &method)),
        }
        let Some(request) = request(&upstream, &stream.request_fields()) else {
            stream.unanswered();
            return self.fail(miss, MirrorFailure::Unreachable, "bad_request_to_upstream");
        };
        let response = timeout(miss.patience + GRACE, upstream.send(request));
        let streams = [Some(&*stream), self.stream()];
        let (failure, details) = match unless_intervened(streams, response).await {
            Ok(Ok(Ok(response))) if is_framed(&response) => {
                let upstream = peer(&response);
                let (mut head, body) = response.into_parts();
                let fields = message::response_fields(head.status, &mut head.headers);
                let end = body.is_end_stream();
                let shown = stream.response_headers(
                    fields,
                    end,
                    head.status.as_u16(),
                    "via_upstream",
                    upstream,
                );
                let Ok(verdict) = timeout(miss.patience, shown).await else {
                    return Asked::Draft(Draft::local(stood_still(), &method));
                };
                if verdict != Verdict::Pass {
                    return Asked::prevented(verdict, &method);
                }
                let fields = stream.response_fields();
                stream.sent();
                let body = Filtered::new(Source::Origin(body), end, Some(stream));
                return Asked::Draft(Draft {
                    fields,
                    end,
                    source: Source::Filtered(Box::new(body)),
                    details: "via_upstream".to_owned(),
                    upstream,
                    patience: Some(miss.patience),
                });
            }
            Ok(Ok(Ok(_) | Err(Failure::Protocol))) => (
                MirrorFailure::Unreachable,
                "upstream_reset_before_response_started{protocol_error}",
            ),
            Ok(Ok(Err(Failure::Connect))) => (
                MirrorFailure::Unreachable,
                "upstream_reset_before_response_started{connection_failure}",
            ),
            Ok(Ok(Err(Failure::Lost))) => (
                MirrorFailure::Unreachable,
                "upstream_reset_before_response_started{connection_termination}",
            ),
            Ok(Err(_)) => (MirrorFailure::TimedOut, "upstream_response_timeout"),
            Err(verdict) => return Asked::prevented(verdict, &method),
        };
        stream.unanswered();
        self.fail(miss, failure, details)
    }

    /// The origin gave no answer: what the filter would say of it is said here.
    fn fail(&self, miss: &Miss, failure: MirrorFailure, details: &str) -> Asked {
        let (reply, line) = miss.failed(failure, details);
        self.log(Level::Info, line);
        Asked::Draft(Draft::local(reply, &miss.method))
    }
}
