//! One request, from its head to its answer.
//!
//! Owns the order: what is asked, who asks, whether the body is whole, and only then what it says.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;

use super::call::{self, Call, Manner, Operation};
use super::keeper::{self, Keeper, Kept};
use super::keys::Keys;
use super::refusal::{About, Refusal};
use super::s3_signature::Verifier;
use super::{body, digest, oss_signature};
use crate::rule_file::{self, Dialect, Format, RuleFile};

/// What answers requests.
pub(super) struct Service {
    pub(super) keeper: Keeper,
    pub(super) domain: Option<String>,
    pub(super) guard: Guard,
    pub(super) line: Box<dyn Fn(&str) + Send + Sync>,
}

/// Who may ask.
pub(super) enum Guard {
    /// Whoever reaches the address, which only this machine does.
    Local,
    /// Who has the keys.
    Signed { keys: Keys, verifier: Verifier },
}

/// What a request came to.
struct Answer {
    status: StatusCode,
    /// A document, or nothing.
    xml: Option<String>,
}

impl Service {
    /// Answers a request.
    pub(super) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let manner = call::manner(&head.headers);
        let host = call::host(&head);
        let id = request_id();
        let asked = Call::read(&head, manner, self.domain.as_deref());
        let bucket = asked.as_ref().ok().map(|call| call.bucket.clone());
        let told = match &asked {
            Ok(call) => format!("{} {}?website", head.method, call.bucket),
            Err(_) => format!("{} {}", head.method, head.uri.path()),
        };
        let outcome = match asked {
            Ok(call) => Arc::clone(&self).answer(manner, head, body, call, &host).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = match outcome {
            Ok(answer) => {
                (self.line)(&format!("{told}: {}", answer.status.as_u16()));
                document(answer.status, answer.xml)
            }
            Err(refusal) => {
                let (status, code) = (refusal.status.as_u16(), &refusal.code);
                (self.line)(&format!("{told}: {status} {code}: {}", refusal.message));
                let about = About { bucket: bucket.as_deref(), host: &host, request_id: &id };
                let xml = refusal.to_xml(manner, &about);
                let mut response = document(refusal.status, Some(xml));
                if let (Manner::Oss, Some(ec)) = (manner, refusal.exact()) {
                    response.headers_mut().insert("x-oss-ec", HeaderValue::from_static(ec));
                }
                response
            }
        };
        // Hexadecimal digits: always a header. Who did not sign has no manner; so both have it.
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert("x-amz-request-id", id.clone());
            response.headers_mut().insert("x-oss-request-id", id);
        }
        response
    }

    async fn answer(
        self: Arc<Self>,
        manner: Manner,
        head: Parts,
        body: Incoming,
        call: Call,
        host: &str,
    ) -> Result<Answer, Refusal> {
        if body::is_too_large(&body) {
            body::ignore(body);
            return Err(Refusal::entity_too_large(body::MOST));
        }
        let bytes = self.received(manner, head, body, &call, host).await?;
        // Files are read and written, and Envoy may be waited for.
        let done = tokio::task::spawn_blocking(move || self.perform(manner, &call, &bytes)).await;
        done.unwrap_or_else(|error| Err(Refusal::internal(error.to_string())))
    }

    /// The body of a request that may be made.
    async fn received(
        &self,
        manner: Manner,
        head: Parts,
        body: Incoming,
        call: &Call,
        host: &str,
    ) -> Result<Bytes, Refusal> {
        match (&self.guard, manner) {
            (Guard::Signed { verifier, .. }, Manner::S3) => {
                return verifier.check(Request::from_parts(head, body)).await;
            }
            (Guard::Signed { keys, .. }, Manner::Oss) => {
                oss_signature::check(&head, call, keys, SystemTime::now())?;
            }
            (Guard::Local, _) => self.check_local(&head, host)?,
        }
        let bytes = body::read(body).await?;
        digest::check(manner, &head.headers, &http::HeaderMap::new(), &bytes)?;
        Ok(bytes)
    }

    /// Without keys, no page in a browser may ask under a name of its own, and no body can be
    /// taken out of signed chunks.
    fn check_local(&self, head: &Parts, host: &str) -> Result<(), Refusal> {
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        let address = host.trim_matches(['[', ']']).parse();
        let is_below = |domain: &String| {
            host.strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_ours = host == "localhost"
            || address.is_ok_and(is_loopback)
            || self.domain.as_ref().is_some_and(is_below);
        if !is_ours {
            let message = "Without keys this API is for this machine: use a loopback address.";
            return Err(Refusal::access_denied(message));
        }
        let hash = head.headers.get("x-amz-content-sha256");
        if hash.is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-")) {
            let message = "Without keys this API takes no body in signed chunks: give it \
                           `credentials`.";
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
        }
        Ok(())
    }

    fn perform(&self, manner: Manner, call: &Call, body: &[u8]) -> Result<Answer, Refusal> {
        let bucket = &call.bucket;
        match call.operation {
            Operation::Get => {
                let xml = self.website(manner, bucket)?;
                Ok(Answer { status: StatusCode::OK, xml: Some(xml) })
            }
            Operation::Locate => {
                let xml = location(&self.keeper.region(bucket)?);
                Ok(Answer { status: StatusCode::OK, xml: Some(xml) })
            }
            Operation::Put => {
                // A bucket that is not there is told of before anything that is in the body.
                self.keeper.kept(bucket)?;
                let file = read(manner, body)?;
                self.keeper.change(bucket, |kept| match manner {
                    // It would not know what it replaces: `get` shows such a set to nobody of S3's.
                    Manner::S3 => match unsaid(kept) {
                        Some(why) => Err(why),
                        None => Ok(Some(file)),
                    },
                    Manner::Oss => Ok(Some(file)),
                })?;
                Ok(Answer { status: StatusCode::OK, xml: None })
            }
            Operation::Delete => {
                self.keeper.change(bucket, |_| Ok::<_, Refusal>(None))?;
                Ok(Answer { status: StatusCode::NO_CONTENT, xml: None })
            }
        }
    }

    /// The configuration of a bucket, in the form of who asks.
    fn website(&self, manner: Manner, bucket: &str) -> Result<String, Refusal> {
        let kept = self.keeper.kept(bucket)?;
        let website = kept.website()?.ok_or_else(Refusal::no_such_website)?;
        // Who may change rules need not know the keys in them. The headers that they set are given
        // back as OSS does, to who has signed for it; without keys anybody may ask.
        let website = match self.guard {
            Guard::Local => website.masked(),
            Guard::Signed { .. } => website.without_keys(),
        };
        let written = match manner {
            Manner::Oss => website.to_xml(),
            Manner::S3 => website.to_s3_xml(),
        };
        match written.losses.first() {
            None => Ok(written.text),
            // Who gets a part of it and puts that back would lose the rest.
            Some(loss) => {
                let message = format!(
                    "This configuration says more than this form of it can: {}. A client of OSS \
                     gets all of it.",
                    loss.message
                );
                Err(Refusal::new(StatusCode::CONFLICT, "InvalidBucketState", message))
            }
        }
    }
}

/// Why a client of S3 may not put another configuration in place of one: S3's form cannot say that.
/// One that is not right is nothing to keep.
fn unsaid(kept: &Kept) -> Option<Refusal> {
    let website = kept.file.as_ref()?.website.as_ref()?;
    let loss = website.to_s3_xml().losses.into_iter().next()?;
    let message = format!(
        "The configuration that is there says more than S3's form can, and would be lost: {}. \
         Change it by a client of OSS or by `b2o`, or DELETE it first.",
        loss.message
    );
    Some(Refusal::new(StatusCode::CONFLICT, "InvalidBucketState", message))
}

/// The configuration in a body, once it is found right.
fn read(manner: Manner, body: &[u8]) -> Result<RuleFile, Refusal> {
    let dialect = match manner {
        Manner::Oss => Dialect::Oss,
        Manner::S3 => Dialect::S3,
    };
    let file = rule_file::read("body", body, Some(dialect));
    if file.format == Some(Format::Json) {
        return Err(Refusal::malformed_xml("expected XML, found JSON"));
    }
    match (&file.website, &file.rules) {
        (Some(website), Some(_)) if keeper::is_nothing(website) => Err(Refusal::malformed_xml(
            "expected an IndexDocument, an ErrorDocument or a RoutingRule, found none; DELETE the \
             configuration to have none",
        )),
        (Some(_), Some(_)) => Ok(file),
        (_, _) => Err(Refusal::rules(&file.report)),
    }
}

/// The answer to who asks S3 where a bucket is; its first region is nameless.
fn location(region: &str) -> String {
    let region = if region == "us-east-1" { "" } else { region };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{region}</LocationConstraint>\n"
    )
}

fn document(status: StatusCode, xml: Option<String>) -> Response<Full<Bytes>> {
    let is_document = xml.is_some();
    let mut response = Response::new(Full::from(xml.unwrap_or_default()));
    *response.status_mut() = status;
    if is_document {
        let kind = HeaderValue::from_static("application/xml");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// A number for one request, as OSS writes them.
fn request_id() -> String {
    let mut bytes = [0; 12];
    // Without randomness the number only is less of one.
    let _ = getrandom::fill(&mut bytes);
    hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Upper)
}
