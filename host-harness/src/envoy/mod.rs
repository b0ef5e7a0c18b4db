//! A deployment as a directory of files that Envoy runs from.
//!
//! Owns what is in the files and how they replace those of an earlier run. What a deployment means
//! is [`crate::deployment::Plan`]'s.

mod bootstrap;
mod bucket;
mod clusters;
mod credentials;
mod directory;
mod filter;
mod misses;
mod pattern;
mod renewal;
mod routes;
mod rules;
mod running;
mod target;
#[cfg(test)]
mod tests;
mod virtual_host;
mod way;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};

pub use credentials::CredentialsError;
pub use directory::{Change, WriteError, replace, rewrite};
pub use renewal::{Running, install};
pub use target::{Prepared, Target};

use crate::deployment::{Addressing, Loaded, Plan, Reads};
use yaml::Map;

pub use crate::gateway::DataPath;

/// The first Envoy that can do what streaming takes.
pub const SINCE: &str = "1.39";

/// The bootstrap; Envoy reads it once.
pub const BOOTSTRAP: &str = "envoy.yaml";
/// The servers; Envoy watches it.
const CLUSTERS: &str = "clusters.yaml";
/// The keys that stand in the deployment file, for Envoy's signing.
const CREDENTIALS: &str = "credentials";
/// The filter and its rules; Envoy watches it.
const FILTER: &str = "filter.yaml";
/// The module.
const MODULE: &str = "back_to_origin.wasm";
/// Which request goes to which cluster; Envoy watches it.
const ROUTES: &str = "routes.yaml";

/// What the files are made for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory, as Envoy is to find it.
    pub directory: PathBuf,
    /// How an object reaches the client.
    pub data_path: DataPath,
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
            Map::new().with("path", self.directory.display().to_string()).flow(),
        )
    }

    /// What stands above each file.
    fn heading(&self, about: &str) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "{about}\n\nWritten by `b2o envoy`, version {version}, from {}. Change that and run it \
             again: what is changed here is lost.",
            self.source,
        )
    }
}

/// A file to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Its name in the directory.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether only its owner may read it.
    pub private: bool,
}

/// Why there are no files for a deployment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FilesError {
    /// A bucket's address would be gone where a rule's HEAD comes to the origin.
    Addressing {
        /// The bucket.
        bucket: String,
    },
    /// A key cannot stand in a file.
    Credentials(CredentialsError),
    /// A header would change on its way that a rule asks for.
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
            Self::Addressing { bucket } => write!(
                f,
                "the bucket `{bucket}` has `reads: signed` and `addressing: virtual`, and a rule \
                 with MirrorAllowHeadObject; by the path `streaming` that takes `addressing: path`"
            ),
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
            Self::Addressing { .. } | Self::Header { .. } => None,
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
    if let Some(bucket) = lost_address(loaded, settings) {
        return Err(FilesError::Addressing { bucket });
    }
    if let Some((bucket, header)) = lost_header(loaded, settings) {
        return Err(FilesError::Header { bucket, header });
    }
    let public = |name, text: String| File { name, bytes: text.into_bytes(), private: false };
    let mut files = vec![File { name: MODULE, bytes: module.to_vec(), private: false }];
    if let Some(text) = credentials::file(loaded, &plan).map_err(FilesError::Credentials)? {
        files.push(File { name: CREDENTIALS, bytes: text.into_bytes(), private: true });
    }
    files.extend([
        public(CLUSTERS, clusters::file(loaded, &plan, module, settings)),
        public(FILTER, filter::file(loaded, &plan, module, settings)),
        public(ROUTES, routes::file(loaded, &plan, settings)),
        public(BOOTSTRAP, bootstrap::file(loaded, settings)),
    ]);
    Ok(files)
}

/// A bucket that the filter on the origin's side would not know, where the router tries again with
/// the path that the store was asked for.
fn lost_address(loaded: &Loaded, settings: &Settings) -> Option<String> {
    let mut buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    let (bucket, _) = buckets.find(|(bucket, rules)| {
        settings.data_path == DataPath::Streaming
            && bucket.reads.value == Reads::Signed
            && bucket.addressing == Addressing::Virtual
            && rules::is_any_tried_again(&rules.set, Reads::Signed)
    })?;
    Some(bucket.name.value.to_string())
}

/// A bucket and a header of its rules that is gone where the filter on the origin's side looks.
fn lost_header(loaded: &Loaded, settings: &Settings) -> Option<(String, String)> {
    if settings.data_path == DataPath::Callout {
        return None;
    }
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    let mut signed = buckets.filter(|(bucket, _)| bucket.reads.value == Reads::Signed);
    signed.find_map(|(bucket, rules)| {
        let mut headers = rules.set.iter().flat_map(|rule| &rule.condition.headers);
        let lost = headers.find(|header| {
            header.name == "host" || way::SIGNATURE.contains(&header.name.as_str())
        })?;
        Some((bucket.name.value.to_string(), lost.name.clone()))
    })
}

/// Whether some rule does what only the filter before the buckets can do.
fn needs_front(loaded: &Loaded) -> bool {
    loaded.rules.iter().any(|rules| rules.set.needs_front())
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
