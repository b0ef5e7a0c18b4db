//! The API by which clients of OSS and of S3 manage the rules of a deployment's buckets.
//!
//! It is PutBucketWebsite, GetBucketWebsite and DeleteBucketWebsite, in OSS's manner for OSS's
//! clients and in S3's for S3's; each speaks its own language, and both of the same rule files.
//! [`Keeper`] owns the files, and serves the command line too.

mod body;
mod call;
mod date;
mod digest;
mod history;
mod keeper;
mod keys;
mod oss_signature;
mod refusal;
mod rule_list;
mod s3_signature;
mod service;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use keeper::is_nothing;
pub use keeper::{Judged, Keeper, KeeperError, Kept};
pub use keys::Keys;
pub use rule_list::{ListError, Move, RuleList, number, read_rule};

use crate::server::{self, Server};
use s3_signature::Verifier;
use service::{Guard, Service};

/// What the API is started with.
pub struct Settings {
    /// The address it listens on; with port 0 any free one.
    pub listen: SocketAddr,
    /// The keys that requests must be signed with; without them it only listens on this machine.
    pub keys: Option<Keys>,
    /// The domain below which a host names a bucket.
    pub domain: Option<String>,
    /// What it manages.
    pub keeper: Keeper,
    /// Called with a line about each request, from any thread.
    pub line: Box<dyn Fn(&str) + Send + Sync>,
}

/// Why the API does not start.
#[derive(Debug)]
pub enum StartError {
    /// Others could reach it, and it has no keys.
    NoKeys(SocketAddr),
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys(address) => {
                write!(f, "the API has no keys, and {address} can be reached from other machines")
            }
            Self::Listen { address, source } => {
                write!(f, "the API cannot listen on {address}: {}", server::refused(source))
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoKeys(_) => None,
            Self::Listen { source, .. } => Some(source),
        }
    }
}

/// The running API. Dropping it stops it at once.
#[derive(Debug)]
pub struct Admin {
    server: Server,
}

impl Admin {
    /// Starts it on the current runtime.
    ///
    /// # Errors
    ///
    /// When its address cannot be used, or may not be without keys.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings { listen: address, keys, domain, keeper, line } = settings;
        let guard = match keys {
            Some(keys) => Guard::Signed { verifier: Verifier::new(keys.clone()), keys },
            None if address.ip().is_loopback() => Guard::Local,
            None => return Err(StartError::NoKeys(address)),
        };
        let service = Arc::new(Service { keeper, domain, guard, line });
        let respond = move |request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, Infallible>(service.respond(request).await) }
        };
        let server = Server::start(address, respond).await;
        let server = server.map_err(|source| StartError::Listen { address, source })?;
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
