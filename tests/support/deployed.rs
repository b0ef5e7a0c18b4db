//! A deployment file in either host, as `b2o serve` and `b2o envoy` run it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use b2o::deployment::{Loaded, Plan};
use b2o::envoy;
use b2o::launch::{self, Launched};

use super::gateway::{Host, runtime};
use super::generated::Generated;

/// A gateway that runs a deployment, by the path that it names; it ends with this.
pub(crate) struct Deployed {
    pub(crate) address: SocketAddr,
    running: Running,
}

enum Running {
    Harness(Option<Launched>, Arc<Mutex<String>>),
    Envoy(Generated),
}

impl Deployed {
    /// Starts one; `trusted` are the certificates that HTTPS servers are trusted by, where they are
    /// not the system's.
    pub(crate) fn start(host: Host, loaded: &Loaded, trusted: Option<&Path>) -> Self {
        match host {
            Host::Harness => {
                let lines: Arc<Mutex<String>> = Arc::default();
                let kept = Arc::clone(&lines);
                let keep = move |line: &str| {
                    let mut lines = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = writeln!(lines, "{line}");
                };
                let plan = Plan::new(loaded);
                let trusted = trusted.map(Path::to_owned);
                let launched = launch::gateway(&loaded.deployment, &plan, trusted, keep);
                let launched = runtime().block_on(launched).expect("the gateway starts");
                let address = launched.address();
                Self { address, running: Running::Harness(Some(launched), lines) }
            }
            Host::Envoy => {
                let trusted = trusted.unwrap_or(Path::new(envoy::Settings::TRUSTED));
                let generated = Generated::start_trusting(loaded, trusted);
                Self { address: generated.envoy.address(), running: Running::Envoy(generated) }
            }
        }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Harness(_, lines) => {
                lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
            Running::Envoy(generated) => generated.envoy.log(),
        }
    }
}

impl Drop for Deployed {
    fn drop(&mut self) {
        if let Running::Harness(launched, _) = &mut self.running {
            // Dropped on the runtime it was started on.
            let _runtime = runtime().enter();
            drop(launched.take());
        }
        if std::thread::panicking() {
            eprintln!("---- the gateway's log\n{}", self.log());
        }
    }
}
