//! Manifests for Kubernetes and what runs there: judged by the schemas that registries have, and run
//! in real Envoy as a cluster would.

mod chart;
mod image;
mod istio;
mod istiod;
mod kubernetes;
mod pod;
mod shipped;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::python;

/// The command, which cargo builds beside the tests.
fn b2o() -> Command {
    let tests = std::env::current_exe().expect("the path of this test");
    let built = tests.parent().and_then(Path::parent).expect("a folder of cargo's").join("b2o");
    assert!(built.is_file(), "no {}: run `cargo test` for the whole workspace", built.display());
    let mut command = Command::new(built);
    command
        .stdin(Stdio::null())
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command has printed, which must have gone well.
fn done(output: &Output) -> String {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{all}");
    all
}

/// A rule that mirrors all that is missing.
fn mirror(url: &str) -> Value {
    json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": url, "MirrorAllowHeadObject": true },
    }])
}

/// A deployment in a folder of its own, and the folder for what is made of it.
struct Case {
    folder: TempDir,
}

impl Case {
    fn new(deployment: &str, rules: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a deployment");
        fs::write(folder.path().join("gateway.yaml"), deployment).expect("a file of our own");
        fs::write(folder.path().join("rules.json"), rules.to_string()).expect("a file of our own");
        Self { folder }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Runs one of the commands that write manifests.
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut run = b2o();
        run.args([command, "gateway.yaml", "--out", "out"]).args(arguments);
        run.current_dir(self.folder.path()).output().expect("the command runs")
    }

    /// Has the command refused, with a finding of this code at this place, and nothing written.
    fn is_refused(&self, command: &str, arguments: &[&str], code: &str, place: &str) {
        let refused = self.run(command, arguments);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{code}: {said}");
        assert!(said.contains(&format!("[{code}]")) && said.contains(place), "{code}: {said}");
        assert!(said.contains("help: "), "{code}: {said}");
        assert!(!self.out().exists(), "{code}");
    }

    /// The files that were written.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.out())
            .map(|files| files.map(|file| file.expect("a file").path()).collect())
            .unwrap_or_default();
        files.sort();
        files
    }
}

/// Has a script of this folder judge files.
fn judge(script: &str, package: (&str, &str), arguments: &[&str], files: &[PathBuf]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let output = Command::new(python::interpreter())
        .env("PYTHONPATH", python::package(package.0, package.1, true))
        .arg(folder.join(script))
        .args(arguments)
        .args(files)
        .output()
        .expect("Python can be started");
    done(&output);
}

/// Ends the clients, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A document of YAML.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

/// What stands in base64, by a tool of somebody else's.
fn decoded(text: &str) -> Vec<u8> {
    let script = "import base64, sys; sys.stdout.buffer.write(base64.b64decode(sys.argv[1]))";
    let output = Command::new(python::interpreter()).args(["-c", script, text]).output();
    let output = output.expect("Python can be started");
    assert!(output.status.success(), "{text}");
    output.stdout
}

/// An image by its digest.
fn pinned() -> String {
    format!("registry.example.com/b2o@sha256:{}", "0a".repeat(32))
}
