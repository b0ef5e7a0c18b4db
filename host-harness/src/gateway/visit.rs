//! A miss on its way to an origin, or from one to the next: past the filter on the origins' side,
//! there and back.
//!
//! Owns what Envoy does when it retries a request on another cluster. The bucket's answer is gone
//! by then; a client that leaves ends the filter's context at once, wherever the body is.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use back_to_origin::reason::MirrorFailure;
use back_to_origin::visit::attempt::{AGAIN, CLUSTER, JUDGE};
use http::header::HOST;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::exchange::{Asked, Draft, Exchange, stood_still, unless_intervened};
use super::filtered::{Filtered, Source};
use super::message;
use super::origin_side::{Miss, OriginSide};
use super::signing::{Payload, sign_request};
use super::upstream::{Failure, Upstream, UpstreamBody, is_framed, peer};
use crate::host::{FilterStream, Headers, Level, Place, Properties, RequestFacts, Verdict};

/// How much longer than the filter, which answers for an origin that is late, the gateway waits.
const GRACE: Duration = Duration::from_secs(1);

/// What of an answer that nobody wants is read, so that its connection can be used again.
const WORTH_READING: u64 = 64 * 1024;

/// How long that may take.
const WORTH_WAITING: Duration = Duration::from_secs(1);

/// Reads what is left of an answer, or hangs up where that is too much.
fn spend(mut body: Incoming) {
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

/// A request to an origin.
struct Attempt {
    /// Its number, from 1.
    number: u32,
    facts: RequestFacts,
    properties: Properties,
}

/// What came of one.
enum Outcome {
    /// The filter wants another; the answer is left.
    Again(Attempt, Incoming),
    /// It was the last.
    Last(Asked),
}

/// The attempt that the filter wants, if it wants one more.
fn again(stream: &FilterStream, number: u32, facts: RequestFacts) -> Option<Attempt> {
    let fields = stream.response_fields();
    (fields.first(JUDGE.as_bytes()) == Some(AGAIN.as_bytes())).then_some(())?;
    let properties = stream.properties();
    let cluster = String::from_utf8(properties.get(CLUSTER.as_bytes())?.clone()).ok()?;
    Some(Attempt { number: number + 1, facts: RequestFacts { cluster, ..facts }, properties })
}

impl Exchange {
    /// Sends a miss to its origin, and wherever else the filter wants it sent. `missing` is the
    /// bucket's answer, which is dropped.
    pub(super) async fn visit(
        &mut self,
        side: &OriginSide,
        miss: &Miss,
        facts: RequestFacts,
        fields: Headers,
        missing: Asked,
    ) -> Asked {
        if let Asked::Draft(Draft { source: Source::Store(body), .. }) = missing {
            spend(body);
        }
        self.taken_over();
        let mut attempt = Attempt {
            number: 1,
            facts: RequestFacts { place: Place::Upstream, cluster: miss.cluster.clone(), ..facts },
            properties: Properties::default(),
        };
        loop {
            match self.attempt(side, miss, &fields, attempt).await {
                Outcome::Again(next, left) => {
                    spend(left);
                    attempt = next;
                }
                Outcome::Last(asked) => return asked,
            }
        }
    }

    /// One request to an origin.
    async fn attempt(
        &self,
        side: &OriginSide,
        miss: &Miss,
        fields: &Headers,
        attempt: Attempt,
    ) -> Outcome {
        let Attempt { number, facts, properties } = attempt;
        let method = miss.method.clone();
        let stream = match side.plugin.open(facts.clone()) {
            Ok(stream) => Rc::new(stream),
            Err(error) => {
                self.warn(&error.to_string());
                return Outcome::Last(Asked::Failed);
            }
        };
        stream.share(properties);
        let fail = |failure, details| Outcome::Last(self.fail(miss, number, failure, details));
        let Some(upstream) = self.worker().upstreams.get(&facts.cluster) else {
            return fail(MirrorFailure::NoCluster, "cluster_not_found");
        };
        // A body has been spent on the bucket, and a GET's means nothing.
        let shown = stream.request_headers(fields.clone(), true);
        match timeout(self.worker().timeouts.idle, shown).await {
            Ok(Verdict::Pass) => {}
            Ok(verdict) => return Outcome::Last(Asked::prevented(verdict, &method)),
            Err(_) => return Outcome::Last(Asked::Draft(Draft::local(stood_still(), &method))),
        }
        let Some(request) = request(&upstream, &stream.request_fields()) else {
            stream.unanswered();
            return fail(MirrorFailure::Unreachable, "bad_request_to_upstream");
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
                    return Outcome::Last(Asked::Draft(Draft::local(stood_still(), &method)));
                };
                if verdict != Verdict::Pass {
                    return Outcome::Last(Asked::prevented(verdict, &method));
                }
                if number < miss.attempts
                    && let Some(next) = again(&stream, number, facts)
                {
                    return Outcome::Again(next, body);
                }
                let fields = stream.response_fields();
                stream.sent();
                let body = Filtered::new(Source::Origin(body), end, Some(stream));
                return Outcome::Last(Asked::Draft(Draft {
                    fields,
                    end,
                    source: Source::Filtered(Box::new(body)),
                    details: "via_upstream".to_owned(),
                    upstream,
                    patience: Some(miss.idle),
                }));
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
            Err(verdict) => return Outcome::Last(Asked::prevented(verdict, &method)),
        };
        stream.unanswered();
        fail(failure, details)
    }

    /// The origin gave no answer: what the filter would say of it is said here.
    fn fail(&self, miss: &Miss, number: u32, failure: MirrorFailure, details: &str) -> Asked {
        let (reply, line) = miss.failed(number, failure, details);
        self.log(Level::Info, line);
        Asked::Draft(Draft::local(reply, &miss.method))
    }
}
