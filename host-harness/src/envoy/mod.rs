//! A deployment as a directory of files that Envoy runs from.
//!
//! Owns what is in the files and how they replace those of an earlier run. What a deployment means
//! is [`crate::deployment::Plan`]'s.

mod bootstrap;
mod clusters;
mod credentials;
mod directory;
mod filter;
mod renewal;
mod routes;
mod running;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::{Path, PathBuf};

pub use credentials::CredentialsError;
pub use directory::{Change, WriteError, replace};
pub use renewal::{Running, install};

use crate::deployment::{Loaded, Plan};
use yaml::Map;

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

/// The files of a deployment, in the order in which they may be replaced under a running Envoy:
/// what is named is there before what names it.
///
/// # Errors
///
/// When the deployment's keys cannot be written so that Envoy reads the same.
pub fn files(
    loaded: &Loaded,
    module: &[u8],
    settings: &Settings,
) -> Result<Vec<File>, CredentialsError> {
    let plan = Plan::new(loaded);
    let public = |name, text: String| File { name, bytes: text.into_bytes(), private: false };
    let mut files = vec![File { name: MODULE, bytes: module.to_vec(), private: false }];
    if let Some(text) = credentials::file(loaded)? {
        files.push(File { name: CREDENTIALS, bytes: text.into_bytes(), private: true });
    }
    files.extend([
        public(CLUSTERS, clusters::file(loaded, &plan, settings)),
        public(FILTER, filter::file(&plan, module, settings)),
        public(ROUTES, routes::file(loaded, settings)),
        public(BOOTSTRAP, bootstrap::file(loaded, settings)),
    ]);
    Ok(files)
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
