//! A deployment as a directory of files that Envoy runs from.
//!
//! Owns what is in the files and how they replace those of an earlier run. What a deployment means
//! is [`crate::deployment::Plan`]'s.

mod access_log;
mod attempts;
mod bootstrap;
mod clusters;
mod credentials;
mod directory;
mod drain;
mod filter;
mod health;
mod json;
pub mod manifest;
mod misses;
mod rate_limits;
mod renewal;
mod routes;
mod running;
mod scripts;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod way;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};

pub use credentials::CredentialsError;
pub use directory::{Change, WriteError, replace, rewrite};
pub use drain::{Drain, Drained, drain};
pub use renewal::{Running, install};
pub use target::{Prepared, Target};

use crate::deployment::{Loaded, Plan, Reads};
use filter::fingerprint;
use yaml::Map;

pub use crate::gateway::DataPath;

/// The first Envoy that can do what streaming takes.
pub const SINCE: &str = "1.37";

/// The bootstrap; Envoy reads it once.
pub const BOOTSTRAP: &str = "envoy.yaml";
/// The certificate that clients are shown; Envoy watches it, and the files that it names.
const CERTIFICATE: &str = "certificate.yaml";
/// The servers; Envoy watches it.
const CLUSTERS: &str = "clusters.yaml";
/// The keys that stand in the deployment file, for Envoy's signing.
pub const CREDENTIALS: &str = "credentials";
/// The filter and its rules; Envoy watches it.
const FILTER: &str = "filter.yaml";
/// Where attempts at servers come in; Envoy watches it.
const LISTENERS: &str = "listeners.yaml";
/// The module.
const MODULE: &str = "back_to_origin.wasm";
/// What a rate limit service is to be configured with.
const RATE_LIMITS: &str = "rate-limits.yaml";
/// Which request goes to which cluster; Envoy watches it.
const ROUTES: &str = "routes.yaml";

/// Which Envoy files are made for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// A stock one, from [`SINCE`] on.
    #[default]
    Envoy,
    /// One like Istio's proxy, of Envoy 1.36 to 1.39: it lacks some extensions of a stock one.
    Istio,
}

/// What the files are made for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory, as Envoy is to find it.
    pub directory: PathBuf,
    /// How an object reaches the client.
    pub data_path: DataPath,
    /// Which Envoy is to run from them.
    pub form: Form,
    /// The name of the deployment file.
    pub source: String,
    /// The certificates that servers are trusted by, as Envoy is to find them.
    pub trusted: PathBuf,
}

impl Settings {
    /// The certificates of the system, where most systems have them.
    pub const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// How Envoy watches a file: its directory, for a file that is moved into the place of another.
    fn watched(&self, name: &str) -> Map {
        Map::new().with("path", self.path(name)).with(
            "watched_directory",
            Map::new().with("path", self.directory.display().to_string()).shared("directory"),
        )
    }

    /// What stands above each file.
    fn heading(&self, about: &str) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "{about} Written by `b2o envoy` {version} from {}; what is changed here is lost.",
            self.source
        )
    }
}

/// A file to be.
#[derive(Clone, Eq, PartialEq)]
pub struct File {
    /// Its name in the directory.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether only its owner may read it.
    pub private: bool,
}

/// Without the bytes: they may be keys.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, private, .. } = self;
        f.debug_struct("File").field("name", name).field("private", private).finish_non_exhaustive()
    }
}

/// Why there are no files for a deployment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FilesError {
    /// A key cannot stand in a file.
    Credentials(CredentialsError),
    /// A header is gone on the miss route that a rule asks for.
    Header {
        /// The bucket.
        bucket: String,
        /// The header.
        header: String,
    },
}

impl fmt::Display for FilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials(error) => error.fmt(f),
            Self::Header { bucket, header } => write!(
                f,
                "the bucket `{bucket}` has `reads: signed`, which takes `{header}` off its requests, \
                 and a rule with an IncludeHeader for it; by the path `streaming` that rule would \
                 not be found again: use the path `callout`"
            ),
        }
    }
}

impl std::error::Error for FilesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header { .. } => None,
            Self::Credentials(error) => Some(error),
        }
    }
}

/// The files of a deployment, in the order in which they may be replaced under a running Envoy:
/// what is named is there before what names it.
///
/// # Errors
///
/// When the deployment's keys cannot be written so that Envoy reads the same, or the path does not
/// go with the deployment.
pub fn files(loaded: &Loaded, module: &[u8], settings: &Settings) -> Result<Vec<File>, FilesError> {
    let plan = Plan::by(loaded, settings.data_path);
    if let Some((bucket, header)) = lost_header(loaded, settings) {
        return Err(FilesError::Header { bucket, header });
    }
    let public = |name, text: String| File { name, bytes: text.into_bytes(), private: false };
    let mut files = vec![File { name: MODULE, bytes: module.to_vec(), private: false }];
    if let Some(text) = credentials::file(loaded, &plan).map_err(FilesError::Credentials)? {
        files.push(File { name: CREDENTIALS, bytes: text.into_bytes(), private: true });
    }
    if let Some(pair) = &loaded.tls {
        files.push(public(CERTIFICATE, tls::file(pair, settings)));
    }
    if settings.data_path == DataPath::Streaming {
        files.push(public(LISTENERS, attempts::file(loaded, settings)));
    }
    if let Some(text) = rate_limits::file(loaded, settings) {
        files.push(public(RATE_LIMITS, text));
    }
    files.extend([
        public(CLUSTERS, clusters::file(loaded, &plan, settings)),
        public(FILTER, filter::file(&plan, module, settings)),
        public(ROUTES, routes::file(loaded, settings)),
        public(BOOTSTRAP, bootstrap::file(loaded, settings)),
    ]);
    Ok(files)
}

/// A bucket and a header of its rules that is gone on the miss route, with the client's signature.
fn lost_header(loaded: &Loaded, settings: &Settings) -> Option<(String, String)> {
    if settings.data_path == DataPath::Callout {
        return None;
    }
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    let mut signed = buckets.filter(|(bucket, _)| bucket.reads.value == Reads::Signed);
    signed.find_map(|(bucket, rules)| {
        let mut headers = rules.set.iter().flat_map(|rule| &rule.condition.headers);
        let lost = headers.find(|header| way::SIGNATURE.contains(&header.name.as_str()))?;
        Some((bucket.name.value.to_string(), lost.name.clone()))
    })
}

/// Whether anything in a deployment is spoken to with TLS.
#[must_use]
pub fn needs_trust(loaded: &Loaded) -> bool {
    Plan::new(loaded).clusters.iter().any(|cluster| clusters::is_encrypted(&cluster.endpoint))
}

/// The command that runs Envoy on a directory.
#[must_use]
pub fn command(directory: &Path) -> String {
    format!("envoy --config-path {}", directory.join(BOOTSTRAP).display())
}
