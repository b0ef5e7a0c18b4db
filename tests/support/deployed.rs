//! A deployment file in either host, as `b2o serve` and `b2o envoy` run it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use b2o::deployment::{Loaded, Plan};
use b2o::envoy;
use b2o::launch::{self, Launched};

use super::client::get;
use super::gateway::{Host, runtime};
use super::generated::Generated;

/// A gateway that runs a deployment, by the path that it names; it ends with this.
pub(crate) struct Deployed {
    pub(crate) address: SocketAddr,
    running: Running,
}

enum Running {
    Harness(Box<Option<Launched>>, Arc<Mutex<String>>),
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
                let launched = launch::gateway(loaded, &plan, trusted, keep);
                let launched = runtime().block_on(launched).expect("the gateway starts");
                let address = launched.address();
                Self { address, running: Running::Harness(Box::new(Some(launched)), lines) }
            }
            Host::Envoy => {
                let trusted = trusted.unwrap_or_else(|| Path::new(envoy::Settings::TRUSTED));
                let generated = Generated::start_trusting(loaded, trusted);
                Self { address: generated.envoy.address(), running: Running::Envoy(generated) }
            }
        }
    }

    /// Where its administration interface is.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        match &self.running {
            Running::Harness(launched, _) => {
                let launched = launched.as_ref().as_ref().expect("it runs until it is dropped");
                launched.admin_address().expect("the deployment has one")
            }
            Running::Envoy(generated) => generated.envoy.admin_address(),
        }
    }

    /// Where probes ask, if it has that.
    pub(crate) fn health(&self) -> Option<SocketAddr> {
        match &self.running {
            Running::Harness(launched, _) => {
                launched.as_ref().as_ref().and_then(Launched::health_address)
            }
            Running::Envoy(generated) => Some(generated.envoy.listener("health")),
        }
    }

    /// Gives a running one other rules, by a deployment that is else the same.
    pub(crate) fn change(&mut self, loaded: &Loaded) {
        match &mut self.running {
            Running::Harness(launched, _) => {
                let launched = launched.as_mut().as_mut().expect("it runs until it is dropped");
                let changed = runtime().block_on(launched.reconfigure(loaded, &Plan::new(loaded)));
                changed.expect("rules that are right");
            }
            Running::Envoy(generated) => generated.change(loaded),
        }
    }

    /// All that can be seen of it: what is written for it but the file of keys, what its
    /// administration interface shows, and what it has logged. Each with what it is.
    pub(crate) fn shown(&self) -> Vec<(String, String)> {
        let mut shown = vec![("the log".to_owned(), self.log())];
        match &self.running {
            Running::Harness(launched, _) => {
                let admin = launched.as_ref().as_ref().and_then(Launched::admin_address);
                let page = get(admin.expect("it has one"), "/config");
                shown.push(("/config".to_owned(), text(&page.body)));
            }
            Running::Envoy(generated) => {
                for page in ["/config_dump?include_eds", "/clusters", "/stats"] {
                    shown.push((page.to_owned(), generated.envoy.admin(page)));
                }
                let files = fs::read_dir(&generated.directory).expect("its files");
                for file in files {
                    let path = file.expect("a file").path();
                    let mode = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
                    if path.file_name().is_some_and(|name| name == "credentials") {
                        assert_eq!(mode, 0o600, "{}", path.display());
                    } else {
                        let bytes = fs::read(&path).expect("a file");
                        shown.push((path.display().to_string(), text(&bytes)));
                    }
                }
            }
        }
        shown
    }

    /// What its host says of deaths of the module: empty when there was none.
    pub(crate) fn vm_failures(&self) -> Vec<String> {
        match &self.running {
            Running::Harness(..) => {
                let log = self.log();
                let deaths = log.lines().filter(|line| line.contains("critical"));
                deaths.map(str::to_owned).collect()
            }
            Running::Envoy(generated) => generated.envoy.vm_failures(),
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
