//! Signatures of S3's clients, version 4: the library `s3s` checks them, and takes bodies in signed
//! chunks apart.
//!
//! Owns what the library leaves open: that the host and every header of S3's is signed, and that
//! the body is read here, within bounds.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::route::S3Route;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result};

use super::call::Manner;
use super::keys::Keys;
use super::refusal::Refusal;
use super::{body, digest};

/// What becomes of a request.
type Outcome = Result<Bytes, Refusal>;

/// Checks requests of S3's clients.
#[derive(Clone)]
pub(super) struct Verifier(S3Service);

impl Verifier {
    pub(super) fn new(keys: Keys) -> Self {
        let mut builder = S3ServiceBuilder::new(Nothing);
        builder.set_auth(keys);
        builder.set_route(Verified);
        Self(builder.build())
    }

    /// The body of a request, once its signature and its digests are found right.
    pub(super) async fn check(&self, request: Request<Incoming>) -> Outcome {
        check_signed_headers(request.headers())?;
        let answer = self.0.call(request.map(Body::from)).await;
        let mut answer = answer.map_err(|error| Refusal::internal(format!("{error:?}")))?;
        match answer.extensions_mut().remove::<Outcome>() {
            Some(outcome) => outcome,
            None => Err(refusal(answer).await),
        }
    }
}

/// The signature must cover which host is meant, and all that S3 goes by.
fn check_signed_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(authorization) = authorization else {
        return Err(Refusal::access_denied("Sign the request: anonymous access is forbidden."));
    };
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
        let message = "The authorization mechanism you have provided is not supported. Please use \
                       AWS4-HMAC-SHA256.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    };
    let listed = fields.split(',').find_map(|field| field.trim().strip_prefix("SignedHeaders="));
    let listed: Vec<_> = listed.unwrap_or_default().split(';').collect();
    let must_be = |name: &&str| *name == "host" || name.starts_with("x-amz-");
    let names = headers.keys().map(http::HeaderName::as_str);
    let forgotten = names.filter(must_be).find(|name| !listed.contains(name));
    match forgotten.or_else(|| (!listed.contains(&"host")).then_some("host")) {
        Some(name) => {
            let message = format!("The header {name} is not signed, and must be.");
            Err(Refusal::access_denied(&message))
        }
        None => Ok(()),
    }
}

/// The library's refusal as one of ours.
async fn refusal(answer: http::Response<Body>) -> Refusal {
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let document = roxmltree::Document::parse(&text).ok();
    let of = |name: &str| {
        let element = document.as_ref()?.descendants().find(|node| node.has_tag_name(name))?;
        element.text().map(str::to_owned)
    };
    let code = of("Code").unwrap_or_else(|| "InternalError".to_owned());
    let message = of("Message").unwrap_or_else(|| said(&code).to_owned());
    Refusal::new(status, code, message)
}

/// What is said of a code that the library says nothing of.
fn said(code: &str) -> &'static str {
    match code {
        "InvalidAccessKeyId" => "The AWS Access Key Id you provided does not exist in our records.",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check \
             your key and signing method."
        }
        _ => "The request is refused.",
    }
}

/// The library's own operations, of which there are none here.
struct Nothing;

impl S3 for Nothing {}

/// Takes every request whose signature is right.
struct Verified;

#[async_trait::async_trait]
impl S3Route for Verified {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut http::Extensions) -> bool {
        true
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let mut response = S3Response::new(Body::empty());
        response.extensions.insert(read(request).await);
        Ok(response)
    }
}

async fn read(mut request: S3Request<Body>) -> Outcome {
    let reading = request.input.store_all_limited(body::MOST);
    let bytes = match tokio::time::timeout(body::PATIENCE, reading).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(broken(&error.to_string())),
        Err(_) => return Err(Refusal::incomplete_body()),
    };
    // The library takes chunks as they come, be they all or not.
    let announced = request.headers.get("x-amz-decoded-content-length");
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length != bytes.len()) {
        return Err(Refusal::incomplete_body());
    }
    let trailers = request.trailing_headers.and_then(|trailers| trailers.take());
    let trailers = trailers.unwrap_or_default();
    digest::check(Manner::S3, &request.headers, &trailers, &bytes)?;
    Ok(bytes)
}

/// Why a body could not be read, by what the library calls it.
fn broken(error: &str) -> Refusal {
    if error.contains("Sha256Mismatch") {
        digest::content_sha256(Manner::S3)
    } else if error.contains("SignatureMismatch") {
        let code = "SignatureDoesNotMatch";
        Refusal::new(StatusCode::FORBIDDEN, code, said(code))
    } else if error.contains("length limit exceeded") {
        Refusal::entity_too_large(body::MOST)
    } else {
        Refusal::incomplete_body()
    }
}
