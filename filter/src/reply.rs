//! What a client gets in place of the bucket's answer.

use std::ops::Range;
use std::rc::Rc;

use crate::account::Held;
use crate::http::error_document::{ErrorCode, error_document};
use crate::http::field;
use crate::http::headers::{HeaderList, Headers};
use crate::http::precondition::{Unmet, Validators};
use crate::http::range::{self, Part};
use crate::reason::MirrorFailure;
use crate::request::{Method, ObjectRequest};

/// An object as it came from its origin.
#[derive(Debug, Eq, PartialEq)]
pub struct Object {
    /// Its bytes, all of them.
    pub body: Rc<Held>,
    /// Its headers for clients: the content's type and the like.
    pub client: HeaderList,
    /// Its headers for the store.
    pub stored: HeaderList,
    /// What the origin says of this version.
    pub validators: Validators,
    /// Its `x-oss-tag`.
    pub tag: String,
    /// Where it was found.
    pub url: String,
}

/// What a client may keep that has this version already (RFC 9110, section 15.4.5).
const OF_THE_VERSION: [&str; 4] = ["cache-control", "etag", "expires", "last-modified"];

/// An answer to a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, without the body's length.
    pub headers: HeaderList,
    /// The body.
    pub body: Body,
}

/// The body of a reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// None, and nothing to be said about it.
    Absent,
    /// None, and yet the headers are an object's: one of no bytes, or one of which a HEAD asks for
    /// the headers alone. Its length, where the origin says it.
    Headers(Option<u64>),
    /// A part of an object, or all of it.
    Object(Rc<Object>, Range<usize>),
    /// A document made here.
    Text(String),
}

impl Reply {
    /// The object, or the part of it that the client asked for: 200, 206 or 416; 304 or 412 where it
    /// wants another version.
    #[must_use]
    pub fn object(object: &Rc<Object>, request: &ObjectRequest) -> Self {
        let size = object.body.len();
        if let Some(reply) = Self::unmet(&object.validators, &object.client, &object.tag, request) {
            return reply;
        }
        if request.method == Method::Head {
            return Self::head(&object.client, &object.tag, Some(size as u64), request);
        }
        let mut headers = described(&object.client, &object.tag, request);
        let range = request.range().filter(|_| object.validators.takes_range(&request.headers));
        match range::part(range, size) {
            Part::Whole if size == 0 => Self { status: 200, headers, body: Body::Headers(Some(0)) },
            Part::Whole => {
                Self { status: 200, headers, body: Body::Object(Rc::clone(object), 0..size) }
            }
            Part::Bytes(bytes) => {
                let last = bytes.end.saturating_sub(1);
                headers.add("content-range", format!("bytes {}-{last}/{size}", bytes.start));
                Self { status: 206, headers, body: Body::Object(Rc::clone(object), bytes) }
            }
            Part::Unsatisfiable => {
                let message = "The requested range is not satisfiable.";
                let mut reply = Self::error(ErrorCode::InvalidRange, message, request);
                reply.headers.add("content-range", format!("bytes */{size}"));
                reply
            }
        }
    }

    /// 304 or 412, where a condition of the client's does not hold of this version.
    #[must_use]
    pub fn unmet(
        validators: &Validators,
        own: &HeaderList,
        tag: &str,
        request: &ObjectRequest,
    ) -> Option<Self> {
        Some(match validators.unmet(&request.headers)? {
            Unmet::Failed(condition) => Self::precondition_failed(condition, request),
            Unmet::NotModified => {
                let mut headers = HeaderList::new();
                let is_told =
                    |name: &str| OF_THE_VERSION.contains(&name) || field::is_of_the_answer(name);
                for (name, value) in own.iter().filter(|(name, _)| is_told(name)) {
                    headers.add(name, value);
                }
                headers.add("x-oss-tag", tag);
                request.sign_off(&mut headers);
                Self { status: 304, headers, body: Body::Absent }
            }
        })
    }

    /// 412 PreconditionFailed, with the condition.
    #[must_use]
    pub fn precondition_failed(condition: &str, request: &ObjectRequest) -> Self {
        let message =
            format!("At least one of the pre-conditions you specified did not hold: {condition}.");
        Self::error(ErrorCode::PreconditionFailed, &message, request)
    }

    /// The headers of an object of this length.
    #[must_use]
    pub fn head(own: &HeaderList, tag: &str, length: Option<u64>, request: &ObjectRequest) -> Self {
        Self { status: 200, headers: described(own, tag, request), body: Body::Headers(length) }
    }

    /// 404 NoSuchKey: the origin does not have the object either.
    #[must_use]
    pub fn absent(rule: u32, request: &ObjectRequest) -> Self {
        let message = format!(
            "The specified key does not exist. Rule {rule}: the origin does not have it either."
        );
        Self::error(ErrorCode::NoSuchKey, &message, request)
    }

    /// 404 NoSuchKey: the object was deleted, and stays so.
    #[must_use]
    pub fn deleted(rule: u32, request: &ObjectRequest) -> Self {
        let message = format!(
            "The specified key does not exist. Rule {rule}: it was deleted through this gateway, and \
             is not mirrored again."
        );
        Self::error(ErrorCode::NoSuchKey, &message, request)
    }

    /// 424 MirrorFailed, with its reason.
    #[must_use]
    pub fn failed(rule: u32, failure: &MirrorFailure, request: &ObjectRequest) -> Self {
        let message = format!("Mirroring failed. Rule {rule}: {failure}.");
        let mut reply = Self::error(ErrorCode::MirrorFailed, &message, request);
        if let Some(seconds) = failure.retry_after() {
            reply.headers.add("retry-after", seconds.to_string());
        }
        reply
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(code: u16, location: &str, request: &ObjectRequest) -> Self {
        let mut headers = HeaderList::new().with("location", location);
        request.sign_off(&mut headers);
        Self { status: code, headers, body: Body::Absent }
    }

    /// 404 NoSuchKey for a request that no rule covers, where the bucket's own answer is lost.
    #[must_use]
    pub fn not_covered(headers: &Headers) -> Self {
        let path = headers.get(":path").unwrap_or_default();
        let id = headers.text("x-request-id");
        let message = "The specified key does not exist.";
        Self::document(ErrorCode::NoSuchKey, message, "", path, id)
    }

    /// 403 AccessDenied for a request whose object may be there, where the bucket's own answer is lost.
    #[must_use]
    pub fn denied(request: &ObjectRequest) -> Self {
        Self::error(ErrorCode::AccessDenied, "Access Denied", request)
    }

    /// 424 MirrorFailed for a request of which nothing is known any more.
    #[must_use]
    pub fn lost(headers: &Headers) -> Self {
        let id = headers.text("x-request-id");
        let message = format!("Mirroring failed: {}.", MirrorFailure::Overloaded);
        Self::document(ErrorCode::MirrorFailed, &message, "", b"", id)
    }

    pub(crate) fn error(code: ErrorCode, message: &str, request: &ObjectRequest) -> Self {
        let id = Some(request.id.as_str()).filter(|id| !id.is_empty());
        Self::document(code, message, &request.bucket, &request.key, id)
    }

    fn document(
        code: ErrorCode,
        message: &str,
        bucket: &str,
        key: &[u8],
        id: Option<&str>,
    ) -> Self {
        let document = error_document(code, message, bucket, key, id);
        let mut headers = HeaderList::new().with("content-type", "application/xml");
        if let Some(id) = id {
            headers.add("x-amz-request-id", id);
        }
        Self { status: code.status(), headers, body: Body::Text(document) }
    }

    /// The bytes of an object that the host has to hold for this reply.
    #[must_use]
    pub fn object_bytes(&self) -> usize {
        match &self.body {
            Body::Object(_, bytes) => bytes.len(),
            Body::Absent | Body::Headers(_) | Body::Text(_) => 0,
        }
    }
}

/// The headers of an object, its length aside.
pub(crate) fn described(own: &HeaderList, tag: &str, request: &ObjectRequest) -> HeaderList {
    let mut headers = own.clone().with("accept-ranges", "bytes").with("x-oss-tag", tag);
    request.override_headers(&mut headers);
    request.sign_off(&mut headers);
    headers
}
