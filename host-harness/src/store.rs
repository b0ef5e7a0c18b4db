//! An S3 store in this process, for local use: the library `s3s` behind a listener, and files.
//!
//! ```text
//! front ─▶ s3s ─▶ service ─▶ object, upload, listing ─▶ bucket ─▶ record, body, checksum
//!           └───▶ subresource
//! ```

use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Uri};
use s3s::{S3Error, S3ErrorCode};

use crate::gateway::Secret;
use crate::server::{self, Server};
use bucket::Buckets;
use front::Front;

pub(crate) use front::{SIGNATURE_PARAMETERS, is_signature};

mod body;
mod bucket;
mod checksum;
mod conditions;
mod front;
mod listing;
mod object;
mod record;
mod service;
mod subresource;
#[cfg(test)]
mod tests;
mod upload;

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
    /// Domains below which a bucket is a subdomain, beside `localhost`.
    pub domains: Vec<String>,
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
    /// A domain is none.
    Domain(String),
    /// A directory cannot be made or read.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another store uses the directory.
    InUse(PathBuf),
    /// What is in the directory is none of this store's.
    Layout(PathBuf),
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
            Self::Domain(name) => write!(f, "`{name}` is no domain"),
            Self::Directory { path, source } => {
                write!(f, "cannot use the directory {}: {source}", path.display())
            }
            Self::InUse(path) => {
                write!(f, "another store is running on the directory {}", path.display())
            }
            Self::Layout(path) => write!(
                f,
                "the directory {} holds files that this store has not written: an earlier version's, \
                 whose layout was another, or somebody else's",
                path.display()
            ),
            Self::Listen { address, source } => {
                write!(f, "the store cannot listen on {address}: {}", server::refused(source))
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BucketName(_) | Self::Domain(_) | Self::InUse(_) | Self::Layout(_) => None,
            Self::Directory { source, .. } | Self::Listen { source, .. } => Some(source),
        }
    }
}

/// A running store. Dropping it stops it at once.
#[derive(Debug)]
pub struct Store {
    server: Server,
    /// Held as long as it runs.
    _lock: File,
}

impl Store {
    /// Starts a store on the current runtime.
    ///
    /// # Errors
    ///
    /// When its directory or its address cannot be used.
    pub async fn start(settings: StoreSettings) -> Result<Self, StoreError> {
        let StoreSettings { directory, listen, keys, buckets, domains, observer } = settings;
        if let Some(bucket) = buckets.iter().find(|name| !s3s::path::check_bucket_name(name)) {
            return Err(StoreError::BucketName(bucket.clone()));
        }
        let is_domain =
            |name: &str| url::Host::parse(name).is_ok_and(|host| host.to_string() == name);
        if let Some(domain) = domains.iter().find(|name| !is_domain(&name.to_ascii_lowercase())) {
            return Err(StoreError::Domain(domain.clone()));
        }
        let (all, lock) = Buckets::open(&directory)?;
        for bucket in buckets {
            let unusable = |source| StoreError::Directory { path: directory.join(&bucket), source };
            all.create(&bucket).map_err(unusable)?;
        }
        let front = Front::new(Arc::new(all), domains, keys, observer);
        let address = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let respond = move |request| front.clone().respond(request);
        let server = Server::start(address, respond).await;
        let server = server.map_err(|source| StoreError::Listen { address, source })?;
        Ok(Self { server, _lock: lock })
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

/// An answer that the library has no code for, or another status.
fn refusal(code: &'static str, status: StatusCode) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::new(code);
    error.set_status_code(status);
    error
}
