//! A real Prometheus, of Debian's package: the configuration of `envoy/observability` with other
//! targets, and its own tool.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::client::request;
use super::server::ClosedPort;
use super::wait::until;

/// What is in the repository for it.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/observability")
}

/// Has `promtool` judge a file of the repository; what it says where it refuses.
pub(crate) fn check(what: &str, file: &str) -> Result<(), String> {
    promtool(&["check", what], file)
}

/// Has it run the tests of a file of the repository.
pub(crate) fn test(file: &str) -> Result<(), String> {
    promtool(&["test", "rules"], file)
}

fn promtool(arguments: &[&str], file: &str) -> Result<(), String> {
    let output = Command::new("promtool")
        .args(arguments)
        .arg(folder().join(file))
        .output()
        .expect("promtool, of the package `prometheus`");
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// A running one; it ends with this.
pub(crate) struct Prometheus {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these every second.
    pub(crate) fn start(targets: &[SocketAddr]) -> Self {
        let data = tempfile::tempdir().expect("a folder for Prometheus");
        let own = fs::read_to_string(folder().join("prometheus.yaml")).expect("its configuration");
        let listed: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let mut configuration = own.clone();
        for (theirs, ours) in [
            ("targets: [\"127.0.0.1:9901\"]", format!("targets: [{}]", listed.join(", "))),
            ("_interval: 15s", "_interval: 1s".to_owned()),
            ("[alerts.yaml]", format!("[{}]", folder().join("alerts.yaml").display())),
        ] {
            assert!(configuration.contains(theirs), "no {theirs} in {own}");
            configuration = configuration.replace(theirs, &ours);
        }
        let file = data.path().join("prometheus.yaml");
        fs::write(&file, configuration).expect("a file of our own");
        let log = fs::File::create(data.path().join("log")).expect("a file of our own");
        let port = ClosedPort::reserve();
        let address = port.address;
        // It cannot be told to take any port that is free, and say which.
        drop(port);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus, of the package of that name");
        let started = Self { process, address, folder: data };
        until("Prometheus is ready", || {
            let answer = request("GET", "/-/ready").send(address).ok()?;
            (answer.status == 200).then_some(())
        });
        started
    }

    /// What an expression gives now: labels and values.
    ///
    /// # Panics
    ///
    /// When Prometheus does not take it.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let encoded = expression.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02X}");
            text
        });
        let path = format!("/api/v1/query?query={encoded}");
        let answer = request("GET", path).send(self.address).expect("Prometheus answers");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(body["status"], "success", "{expression}: {body}\n{}", self.log());
        body["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("---- the log of Prometheus\n{}", self.log());
        }
    }
}
