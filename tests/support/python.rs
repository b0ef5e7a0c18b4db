//! Python packages, fetched once into the target folder.
//!
//! Test processes may run at the same time: a lock file lets one of them fetch, and a folder
//! appears under its final name only when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().unwrap_or(scratch).to_owned()
}

/// The folder with a package and all it needs, to stand in PYTHONPATH.
///
/// # Panics
///
/// When the package cannot be had: a test that needs it cannot pass then.
pub(crate) fn package(name: &str, version: &str, dependencies: bool) -> PathBuf {
    let base = target_folder().join("python");
    fs::create_dir_all(&base).expect("the target folder is writable");
    let folder = base.join(format!("{name}-{version}"));
    let lock = File::create(base.join(format!("{name}-{version}.lock"))).expect("a lock file");
    lock.lock().expect("a lock on a file of our own");
    if folder.is_dir() {
        return folder;
    }
    let unfinished = base.join(format!("{name}-{version}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).expect("the rest of a broken fetch can be removed");
    }
    let mut pip = pip(&base);
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]);
    if !dependencies {
        pip.arg("--no-deps");
    }
    pip.arg("--target").arg(&unfinished).arg(format!("{name}=={version}"));
    run(&mut pip, &format!("{name} {version} from PyPI"));
    fs::rename(&unfinished, &folder).expect("a finished folder can be named");
    folder
}

/// The interpreter itself, past whatever chooses one: that may look for it in the user's folder.
pub(crate) fn interpreter() -> PathBuf {
    let mut ask = Command::new("python3");
    ask.args(["-c", "import sys; print(sys.executable)"]);
    let output = ask.output().expect("Python 3 can be started");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// The interpreter of [`pip`].
pub(crate) fn with_pip() -> PathBuf {
    let base = target_folder().join("python");
    fs::create_dir_all(&base).expect("the target folder is writable");
    match pip(&base).get_program().to_str() {
        Some("python3") | None => interpreter(),
        Some(own) => PathBuf::from(own),
    }
}

/// Python's own pip, or that of an environment of ours where Python came without.
fn pip(base: &Path) -> Command {
    let has_pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if has_pip.is_ok_and(|output| output.status.success()) {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip"]);
        return pip;
    }
    let environment = base.join("environment");
    let python = environment.join("bin").join("python3");
    let works = Command::new(&python).args(["-m", "pip", "--version"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(&environment);
        run(&mut create, "pip");
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip"]);
    pip
}

fn run(command: &mut Command, what: &str) {
    let advice = "the tests need Python 3 with pip or venv (Debian: python3-venv) and a way to \
                  PyPI, or a mirror of it set with PIP_INDEX_URL";
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "cannot have {what}: {}\n{}\n{advice}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("cannot have {what}: {command:?}: {error}\n{advice}"),
    }
}
