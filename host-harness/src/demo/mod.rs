//! The demo: a store, a sample origin, rules of both kinds and a gateway, in one process.
//!
//! Owns what the demo consists of and what it suggests to try. It is an ordinary deployment: the
//! file and the rules are written to a directory and read from there.

mod origin;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::admin::Keeper;
use crate::console::{self, Console, Recent, Source};
use crate::deployment::{self, LoadError, Loaded, Plan};
use crate::launch::{self, LaunchError, Launched};
use crate::server::{self, Server};
use crate::store::{Store, StoreError, StoreSettings};

/// The bucket of the demo.
const BUCKET: &str = "examplebucket";

/// How long the demo's gateway waits for an origin.
const PATIENCE_SECONDS: u64 = 2;

/// Its files.
const FILE: &str = "deployment.yaml";
const RULE_FILE: &str = "rules.json";

/// The rules of the demo; `{origin}` is where the sample origin is.
const RULES: &str = include_str!("rules.json");

/// Where the parts of the demo listen; with port 0 on any free one.
#[derive(Clone, Copy, Debug)]
pub struct DemoSettings {
    /// The gateway.
    pub gateway: SocketAddr,
    /// The store.
    pub store: SocketAddr,
    /// The console.
    pub console: SocketAddr,
    /// The origin.
    pub origin: SocketAddr,
}

/// Why the demo did not start.
#[derive(Debug)]
pub enum DemoError {
    /// The console did not start.
    Console(console::StartError),
    /// The demo's own deployment is refused: a defect.
    Deployment(LoadError),
    /// There is no place for its files.
    Directory(io::Error),
    /// The gateway did not start.
    Gateway(LaunchError),
    /// The origin did not start.
    Origin {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The store did not start.
    Store(StoreError),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console(error) => error.fmt(f),
            Self::Deployment(error) => error.fmt(f),
            Self::Directory(error) => {
                write!(f, "cannot make a temporary directory for the demo: {error}")
            }
            Self::Gateway(error) => error.fmt(f),
            Self::Origin { address, source } => {
                write!(f, "the origin cannot listen on {address}: {}", server::refused(source))
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DemoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Console(error) => Some(error),
            Self::Deployment(error) => Some(error),
            Self::Directory(error) => Some(error),
            Self::Gateway(error) => Some(error),
            Self::Origin { source, .. } => Some(source),
            Self::Store(error) => Some(error),
        }
    }
}

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    gateway: Launched,
    console: Console,
    store: Store,
    origin: Server,
    /// Removed with everything in it when the demo ends.
    directory: TempDir,
}

impl Demo {
    /// Starts all parts; `line` is called with each line about a request.
    ///
    /// # Errors
    ///
    /// When a part does not start, normally because its address is taken.
    pub async fn start(
        settings: DemoSettings,
        line: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, DemoError> {
        let line = Arc::new(line);
        let directory = tempfile::Builder::new().prefix("b2o-demo-").tempdir();
        let directory = directory.map_err(DemoError::Directory)?;
        let store = Store::start(StoreSettings {
            directory: directory.path().join("store"),
            listen: Some(settings.store),
            buckets: vec![BUCKET.to_owned()],
            ..StoreSettings::default()
        });
        let store = store.await.map_err(DemoError::Store)?;
        let origin = Server::start(settings.origin, origin::respond).await;
        let address = settings.origin;
        let origin = origin.map_err(|source| DemoError::Origin { address, source })?;
        let loaded =
            deployment(directory.path(), settings.gateway, store.address(), origin.address())?;
        let told = Arc::clone(&line);
        let recent = Arc::new(Recent::default());
        let kept = Arc::clone(&recent);
        let told = move |text: &str| {
            kept.add(text);
            told(text);
        };
        let gateway = launch::gateway(&loaded, &Plan::new(&loaded), None, told).await;
        let gateway = gateway.map_err(DemoError::Gateway)?;
        let keeper = Keeper { deployment: directory.path().join(FILE), envoy: None };
        let tell = Box::new(move |text: &str| line(text));
        let listen = Some(settings.console);
        let mut console = console::Settings::of(&loaded.deployment, listen, keeper, tell);
        console.figures = Source::Here(gateway.metrics());
        console.recent = Some(recent);
        let console = Console::start(console).await.map_err(DemoError::Console)?;
        Ok(Self { gateway, console, store, origin, directory })
    }

    /// Where the gateway listens.
    #[must_use]
    pub const fn gateway(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Where the console listens.
    #[must_use]
    pub const fn console(&self) -> SocketAddr {
        self.console.address()
    }

    /// Where the store listens.
    #[must_use]
    pub const fn store(&self) -> SocketAddr {
        self.store.address()
    }

    /// The rule file.
    #[must_use]
    pub fn rules(&self) -> PathBuf {
        self.directory.path().join(RULE_FILE)
    }

    /// Reads the rules again, as the console has changed them. What is refused changes nothing.
    ///
    /// # Errors
    ///
    /// When the rules are refused.
    pub async fn reload(&mut self) -> Result<(), DemoError> {
        let loaded = deployment::load(&self.directory.path().join(FILE));
        let loaded = loaded.map_err(DemoError::Deployment)?;
        let taken = self.gateway.reconfigure(&loaded, &Plan::new(&loaded)).await;
        taken.map(drop).map_err(DemoError::Gateway)
    }

    /// What is where, and what to try.
    #[must_use]
    pub fn introduction(&self) -> String {
        let (gateway, store, origin) =
            (self.gateway.address(), self.store.address(), self.origin.address());
        let console = self.console.address();
        let files = self.directory.path().display();
        let at = format!("http://{gateway}/{BUCKET}");
        format!(
            "\
console  http://{console}  the rules, in a browser
gateway  http://{gateway}
store    http://{store}  bucket {BUCKET}
origin   http://{origin}
files    {files}  deployment.yaml, rules.json; removed at the end

Mirror: what the bucket lacks comes from the origin and stays in the bucket.
  curl -i {at}/examplefolder/example.txt
    200 with x-oss-tag; again: 200 from the bucket, and the origin is not asked
  curl -i http://{store}/{BUCKET}/examplefolder/example.txt
    200, straight from the store
  curl -i '{at}/examplefolder/with%20space/gr%C3%BC%C3%9Fe.txt'
    200; keys are bytes and stay as they are
  curl -i {at}/examplefolder/missing.txt
    404 NoSuchKey: the origin has none either
  curl -i {at}/examplefolder/broken.txt
    424 MirrorFailed: the origin answers 500
  curl -i {at}/examplefolder/slow.txt
    424 MirrorFailed after {PATIENCE_SECONDS} seconds: the origin takes longer
  curl -i {at}/examplefolder/big.bin
    200: 16 MiB, straight through from the origin, and into the bucket in two parts
  curl -i -H 'aaa-header: aaa' -H 'bbb-header: bbb' '{at}/headers/seen.txt?x=1'
    200: what the origin was sent, with MirrorHeaders at work

External: the client is sent elsewhere.
  curl -i {at}/old/a.txt
    301 to https://www.example.com/new/a.txt
  curl -i {at}/docs/page.html
    302 to https://www.example.com/pages/docs/page.html

Everything else is the bucket's own answer.
  curl -i {at}/elsewhere.txt
    404: no rule applies

"
        )
    }

    /// Stops all parts and removes their files.
    pub async fn stop(self) {
        let Self { gateway, console, store, origin, directory } = self;
        console.stop().await;
        gateway.stop().await;
        store.stop().await;
        origin.stop().await;
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = directory.close();
    }
}

/// Writes the deployment's files and reads them.
fn deployment(
    directory: &Path,
    gateway: SocketAddr,
    store: SocketAddr,
    origin: SocketAddr,
) -> Result<Loaded, DemoError> {
    let text = format!(
        "\
listen: {gateway}
timeouts:
  origin: {PATIENCE_SECONDS}s
allow_internal_origins: true
buckets:
  - name: {BUCKET}
    endpoint: http://{store}
    rules: rules.json
"
    );
    let rules = RULES.replace("{origin}", &format!("http://{origin}"));
    let path = directory.join(FILE);
    std::fs::write(&path, text).map_err(DemoError::Directory)?;
    std::fs::write(directory.join(RULE_FILE), rules).map_err(DemoError::Directory)?;
    deployment::load(&path).map_err(DemoError::Deployment)
}
