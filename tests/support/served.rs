//! `b2o serve` as a process of its own, whose memory can be seen.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::client::get;
use super::gateway::Setup;
use super::process::Process;
use super::streaming;
use super::wait::until;

/// A running one; it ends with this.
pub(crate) struct Served {
    process: Child,
    address: SocketAddr,
    admin: SocketAddr,
    lines: Arc<Mutex<String>>,
    _folder: TempDir,
}

impl Served {
    /// Starts one by an executable that takes the arguments of `b2o`.
    pub(crate) fn start(executable: &Path, setup: &Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the deployment");
        let file = folder.path().join("deployment.yaml");
        let document = streaming::document(setup, folder.path());
        std::fs::write(&file, document.to_string()).expect("a file of our own");
        let mut process = Command::new(executable)
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the executable starts");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let lines: Arc<Mutex<String>> = Arc::default();
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let said = |name: &str| {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            let line = lines
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().strip_prefix("http://"));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        };
        let address = until("the gateway's address", || said("gateway"));
        let admin = until("its admin address", || said("admin"));
        Self { process, address, admin, lines, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.process.id())
    }

    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that is counted, in the text form of Prometheus.
    pub(crate) fn metrics(&self) -> String {
        String::from_utf8_lossy(&get(self.admin, "/metrics").body).into_owned()
    }

    /// The lines that say that a virtual machine died.
    pub(crate) fn vm_failures(&self) -> Vec<String> {
        let log = self.log();
        log.lines().filter(|line| line.contains("critical")).map(str::to_owned).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
