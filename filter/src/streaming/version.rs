//! An object that the bucket has by now, for a client that knows it by its origin's ETag.
//!
//! A client that fetches an object in parts names the version that it wants, by the ETag that the
//! first answer gave: the origin's. Once the bucket has the object, that is another ETag for the very
//! same bytes, and the bucket answers 412. Such a request comes here too. The gateway reads what is
//! wanted with its own keys, and gives it to the client where the object says that it came from that
//! version.

use super::ResponseDecision;
use crate::configuration::Configuration;
use crate::http::headers::{HeaderList, Headers};
use crate::http::precondition::Validators;
use crate::http::trace::Trace;
use crate::in_flight::readdressed;
use crate::metadata::{self, ETAG_METADATA};
use crate::miss_route;
use crate::reply::Reply;
use crate::request::ObjectRequest;
use crate::store;

/// Whether a request names a version.
pub(super) fn is_named(request: &ObjectRequest) -> bool {
    request.headers.get("if-match").is_some()
}

/// What reads the object for a request, whatever version it is.
pub(super) fn ask(
    configuration: &Configuration,
    request: &ObjectRequest,
    forwarded_proto: &str,
) -> Option<HeaderList> {
    let bucket = configuration.bucket(&request.bucket)?;
    let mut headers =
        readdressed(miss_route::HOST, &store::read(bucket, &request.key, request.method.as_str()));
    Trace::of(&request.headers).go_on(&mut headers);
    if let Some(range) = request.range() {
        headers.add("range", range);
    }
    headers.add(miss_route::FORWARDED_PROTO, forwarded_proto);
    headers.add(miss_route::CLUSTER, &bucket.store.cluster);
    headers.add(miss_route::TIMEOUT, configuration.timeouts.store.as_millis().to_string());
    Some(headers)
}

/// What the client gets of the bucket's answer to that.
pub(super) fn answer(request: &ObjectRequest, answer: &Headers) -> ResponseDecision {
    let etag = answer.text(ETAG_METADATA);
    let came_from = Validators { etag: etag.map(str::to_owned), last_modified: None };
    let is_it = matches!(answer.status(), Some(200 | 206));
    match etag.filter(|_| is_it && came_from.unmet(&request.headers).is_none()) {
        Some(etag) => {
            let mut own = metadata::repeated(answer);
            own.add("etag", etag);
            let mut headers = answer.replaced(&own);
            headers.remove(miss_route::FRAMING);
            ResponseDecision::Stream(headers)
        }
        None => ResponseDecision::Answer(Reply::precondition_failed("If-Match", request)),
    }
}
