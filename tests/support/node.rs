//! Packages of npm, fetched once into the target folder.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use super::python::target_folder;

/// The folder with a package, those beside it, and all they need, in `node_modules`.
///
/// # Panics
///
/// When the package cannot be had: a test that needs it cannot pass then.
pub(crate) fn package(name: &str, version: &str, others: &[&str]) -> PathBuf {
    let base = target_folder().join("node");
    fs::create_dir_all(&base).expect("the target folder is writable");
    let called = format!("{}-{version}", name.trim_start_matches('@').replace('/', "-"));
    let folder = base.join(&called);
    let lock = File::create(base.join(format!("{called}.lock"))).expect("a lock file");
    lock.lock().expect("a lock on a file of our own");
    if folder.is_dir() {
        return folder;
    }
    let unfinished = base.join(format!("{called}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).expect("the rest of a broken fetch can be removed");
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&unfinished);
    npm.arg(format!("{name}@{version}")).args(others);
    match npm.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "cannot have {name} {version} from npm: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("npm is missing: apt-get install npm nodejs ({error})"),
    }
    fs::rename(&unfinished, &folder).expect("a finished folder can be named");
    folder
}
