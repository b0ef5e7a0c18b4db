//! An S3 store in this process, for local use: the libraries `s3s` and `s3s-fs` behind a listener.
//!
//! Owns the listener, the buckets made at the start and what is put right between clients and the
//! libraries: signed requests to a store without keys, and keys that are no file names.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::gateway::Secret;
use crate::server::{self, Server};
use files::Files;

mod conditions;
mod files;
#[cfg(test)]
mod tests;
mod uploads;

/// What a store is started with.
#[derive(Clone, Default)]
pub struct StoreSettings {
    /// The directory its buckets are in; it is created where it is missing.
    pub directory: PathBuf,
    /// The address it listens on; with port 0 any free one.
    pub listen: Option<SocketAddr>,
    /// The keys that requests must be signed with; without them everyone may do everything.
    pub keys: Option<StoreKeys>,
    /// Buckets that are created where they are missing.
    pub buckets: Vec<String>,
    /// Who is told of each request once it is answered.
    pub observer: Option<Observer>,
}

/// The one pair of keys a store accepts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreKeys {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: Secret,
}

/// Who is told of each request.
pub type Observer = Arc<dyn Fn(&Answered) + Send + Sync>;

/// A request the store has answered. Its body may still be on the way.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The request's method.
    pub method: Method,
    /// The request's path and query, as they came.
    pub uri: Uri,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The answer's status.
    pub status: StatusCode,
}

/// Why a store did not start.
#[derive(Debug)]
pub enum StoreError {
    /// A bucket's name is not one S3 allows.
    BucketName(String),
    /// A directory cannot be made or read.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BucketName(name) => write!(
                f,
                "`{name}` is no bucket name: use 3 to 63 lower-case letters, digits, `-` and `.`"
            ),
            Self::Directory { path, source } => {
                write!(f, "cannot use the directory {}: {source}", path.display())
            }
            Self::Listen { address, source } => {
                write!(f, "the store cannot listen on {address}: {}", server::refused(source))
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BucketName(_) => None,
            Self::Directory { source, .. } | Self::Listen { source, .. } => Some(source),
        }
    }
}

/// A running store. Dropping it stops it at once.
#[derive(Debug)]
pub struct Store {
    server: Server,
}

impl Store {
    /// Starts a store on the current runtime.
    ///
    /// # Errors
    ///
    /// When its directory or its address cannot be used.
    pub async fn start(settings: StoreSettings) -> Result<Self, StoreError> {
        let StoreSettings { directory, listen, keys, buckets, observer } = settings;
        let unusable = |path: PathBuf| |source| StoreError::Directory { path, source };
        std::fs::create_dir_all(&directory).map_err(unusable(directory.clone()))?;
        for bucket in buckets {
            if !s3s::path::check_bucket_name(&bucket) {
                return Err(StoreError::BucketName(bucket));
            }
            let path = directory.join(bucket);
            std::fs::create_dir_all(&path).map_err(unusable(path))?;
        }
        let files = Files::new(&directory).map_err(|error| {
            let source = io::Error::other(format!("{error:?}"));
            StoreError::Directory { path: directory.clone(), source }
        })?;
        let signed = keys.is_some();
        let mut builder = S3ServiceBuilder::new(files);
        if let Some(StoreKeys { access_key, secret_key }) = keys {
            builder.set_auth(SimpleAuth::from_single(access_key, secret_key.expose().to_owned()));
        }
        let front = Front { service: builder.build(), signed, observer };
        let address = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let respond = move |request| front.clone().respond(request);
        let server = Server::start(address, respond).await;
        let server = server.map_err(|source| StoreError::Listen { address, source })?;
        Ok(Self { server })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stops it once the requests under way are answered.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// What stands between clients and the library.
#[derive(Clone)]
struct Front {
    service: S3Service,
    signed: bool,
    observer: Option<Observer>,
}

impl Front {
    async fn respond(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response<s3s::Body>, s3s::HttpError> {
        let seen = self.observer.map(|observer| {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            (observer, method, uri, request.headers().clone())
        });
        let refused = if self.signed { None } else { drop_signature(&mut request) };
        let response = match refused {
            Some(refusal) => refusal.response(request.uri().path()),
            None => self.service.call(request.map(s3s::Body::from)).await?,
        };
        if let Some((observer, method, uri, headers)) = seen {
            observer(&Answered { method, uri, headers, status: response.status() });
        }
        Ok(response)
    }
}

/// An answer in the store's stead.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    fn response(&self, path: &str) -> Response<s3s::Body> {
        let resource = path.replace('&', "&amp;").replace('<', "&lt;");
        let (code, message) = (self.code, self.message);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
             <Message>{message}</Message><Resource>{resource}</Resource></Error>"
        );
        let mut response = Response::new(s3s::Body::from(body));
        *response.status_mut() = self.status;
        let xml = header::HeaderValue::from_static("application/xml");
        response.headers_mut().insert(header::CONTENT_TYPE, xml);
        response
    }
}

/// Takes the signature off a request to a store that cannot check it; the library would answer
/// 501. A body in signed chunks cannot be unpacked without the signature's key and is refused.
fn drop_signature<B>(request: &mut Request<B>) -> Option<Refusal> {
    let headers = request.headers_mut();
    let chunked = headers
        .get("x-amz-content-sha256")
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    if chunked {
        return Some(Refusal {
            status: StatusCode::NOT_IMPLEMENTED,
            code: "NotImplemented",
            message: "This store was started without keys and takes no body in signed chunks; \
                      start it with --access-key and --secret-key.",
        });
    }
    headers.remove(header::AUTHORIZATION);
    for name in ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
        headers.remove(name);
    }
    let query = request.uri().query()?;
    let kept: Vec<_> = query.split('&').filter(|parameter| !is_signature(parameter)).collect();
    if kept.len() != query.split('&').count() {
        let path = request.uri().path();
        let shorter = match kept.join("&") {
            kept if kept.is_empty() => path.to_owned(),
            kept => format!("{path}?{kept}"),
        };
        // Less of an address that was one; should it be none, the library refuses the signature.
        if let Ok(uri) = shorter.parse() {
            *request.uri_mut() = uri;
        }
    }
    None
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
