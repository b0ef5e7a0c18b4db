//! What stands between clients and the library.
//!
//! The library reads more of a request than a store needs, and refuses what it cannot read: a Range
//! of several parts, an odd Expires. What it must not read is set aside, and the store reads it
//! itself. Signatures are about what the client has sent, so that is done behind their check.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::route::S3Route;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::bucket::Buckets;
use super::object::REPLACED;
use super::record::METADATA;
use super::service::Service;
use super::subresource::Subresources;
use super::{Answered, Observer, StoreKeys};

/// The headers that the library does not get to see. Where one comes twice, it would refuse that too.
const SET_ASIDE: [HeaderName; 12] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::EXPIRES,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// What begins the names of others.
const SET_ASIDE_TOO: [&str; 2] = [METADATA, "x-amz-copy-source-if-"];

/// A request as its client sent it.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
}

/// The domains whose subdomains are buckets. Any other host has its bucket in the path.
#[derive(Clone, Debug)]
pub(super) struct Domains(Arc<[String]>);

impl Domains {
    pub(super) fn new(domains: Vec<String>) -> Self {
        let domains = domains.into_iter().map(|domain| domain.to_ascii_lowercase());
        // That is this machine by definition (RFC 6761, section 6.3).
        Self(domains.chain(["localhost".to_owned()]).collect())
    }
}

impl S3Host for Domains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let (name, _port) = host.rsplit_once(':').unwrap_or((host, ""));
        let name = name.to_ascii_lowercase();
        let bucket = self.0.iter().find_map(|domain| {
            name.strip_suffix(domain.as_str())?.strip_suffix('.').map(str::to_owned)
        });
        let host = VirtualHost::new(host);
        Ok(match bucket {
            Some(bucket) => host.with_bucket(bucket),
            None => host,
        })
    }
}

/// The listener's side of a store.
#[derive(Clone)]
pub(super) struct Front {
    service: S3Service,
    signed: bool,
    observer: Option<Observer>,
}

impl Front {
    pub(super) fn new(
        buckets: Arc<Buckets>,
        domains: Vec<String>,
        keys: Option<StoreKeys>,
        observer: Option<Observer>,
    ) -> Self {
        let domains = Domains::new(domains);
        let store = Service(Arc::clone(&buckets));
        let mut builder = S3ServiceBuilder::new(store.clone());
        builder.set_host(domains.clone());
        builder.set_route(Subresources { buckets, domains: domains.clone() });
        let open = builder.build();
        let Some(StoreKeys { access_key, secret_key }) = keys else {
            return Self { service: open, signed: false, observer };
        };
        let mut builder = S3ServiceBuilder::new(store);
        builder.set_host(domains);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key.expose().to_owned()));
        builder.set_route(Checked { open });
        Self { service: builder.build(), signed: true, observer }
    }

    pub(super) async fn respond(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, s3s::HttpError> {
        let seen = self.observer.map(|observer| {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            (observer, method, uri, request.headers().clone())
        });
        let mut request = request.map(Body::from);
        let mut response = if self.signed {
            self.service.call(request).await?
        } else if is_chunked(request.headers()) {
            let refusal = s3_error!(
                NotImplemented,
                "This store was started without keys and takes no body in signed chunks; start it \
                 with --access-key and --secret-key."
            );
            refusal.to_http_response().map_err(|error| s3s::HttpError::new(error.into()))?
        } else {
            drop_signature(&mut request);
            set_aside(&mut request);
            self.service.call(request).await?
        };
        if response.status() == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
        }
        if response.status() == StatusCode::OK
            && response.headers().contains_key(header::CONTENT_RANGE)
        {
            // The library answers a HEAD with 200 always.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if let Some((observer, method, uri, headers)) = seen {
            observer(&Answered { method, uri, headers, status: response.status() });
        }
        Ok(response)
    }
}

/// Whether a body cannot be unpacked without the key of its signature.
fn is_chunked(headers: &HeaderMap) -> bool {
    let digest = headers.get("x-amz-content-sha256");
    digest.is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"))
}

/// Requests whose signature holds.
struct Checked {
    open: S3Service,
}

#[async_trait::async_trait]
impl S3Route for Checked {
    fn is_match(&self, method: &Method, _: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        // A form has been taken apart with its signature.
        !is_form(method, headers)
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let S3Request { input, method, uri, headers, mut extensions, trailing_headers, .. } =
            request;
        if let Some(trailers) = trailing_headers {
            extensions.insert(trailers);
        }
        let mut request = Request::new(input);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        *request.extensions_mut() = extensions;
        drop_signature(&mut request);
        set_aside(&mut request);
        let response = self.open.call(request).await;
        let response = response
            .map_err(|error| S3Error::with_source(S3ErrorCode::InternalError, error.into()))?;
        let (head, body) = response.into_parts();
        Ok(S3Response {
            output: body,
            status: Some(head.status),
            headers: head.headers,
            extensions: head.extensions,
        })
    }
}

fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
    method == Method::POST && kind.is_some_and(|kind| kind.starts_with(b"multipart/form-data"))
}

/// Keeps from the library what it must not read.
fn set_aside<B>(request: &mut Request<B>) {
    if is_form(request.method(), request.headers()) {
        return;
    }
    let (sent, uri) = (request.headers().clone(), request.uri().clone());
    let headers = request.headers_mut();
    let is_aside = |name: &&HeaderName| {
        SET_ASIDE.contains(name)
            || SET_ASIDE_TOO.iter().any(|start| name.as_str().starts_with(start))
    };
    let names: BTreeSet<&str> = sent.keys().filter(is_aside).map(HeaderName::as_str).collect();
    for name in names {
        headers.remove(name);
    }
    without(request, |parameter| parameter.starts_with(REPLACED));
    request.extensions_mut().insert(Unread { headers: sent, uri });
}

/// Takes parameters off a request's query.
fn without<B>(request: &mut Request<B>, is_dropped: impl Fn(&str) -> bool) {
    let Some(query) = request.uri().query() else { return };
    let kept: Vec<_> = query.split('&').filter(|parameter| !is_dropped(parameter)).collect();
    if kept.len() != query.split('&').count() {
        let path = request.uri().path();
        let shorter = match kept.join("&") {
            kept if kept.is_empty() => path.to_owned(),
            kept => format!("{path}?{kept}"),
        };
        // Less of an address that was one; should it be none, the library refuses what is left.
        if let Ok(uri) = shorter.parse() {
            *request.uri_mut() = uri;
        }
    }
}

/// Takes the signature off a request: the library behind cannot check it, and would answer 501.
fn drop_signature<B>(request: &mut Request<B>) {
    let headers = request.headers_mut();
    headers.remove(header::AUTHORIZATION);
    for name in ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
        headers.remove(name);
    }
    without(request, is_signature);
}

/// What a presigned address has in its query, in lower case: OSS's forms and S3's, old and new.
pub(crate) const SIGNATURE_PARAMETERS: [&str; 20] = [
    "awsaccesskeyid",
    "expires",
    "ossaccesskeyid",
    "security-token",
    "signature",
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-oss-additional-headers",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
];

/// Whether a query parameter belongs to a presigned address.
pub(crate) fn is_signature(parameter: &str) -> bool {
    // A server decodes names before it reads them.
    let name = parameter.split('=').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    SIGNATURE_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}
