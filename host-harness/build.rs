//! Builds the filter for `wasm32-wasip1`, so that nobody needs a step of their own for it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-wasip1";
const MODULE: &str = "back_to_origin_module.wasm";

/// What an outer cargo, or clippy, sets for its own compiler and must not reach the inner build.
const SCRUBBED: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "MAKEFLAGS",
    "RUSTC",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = own.parent().ok_or("this package must lie beside `filter/`")?;
    let out = PathBuf::from(variable("OUT_DIR")?).join("wasm");
    for path in ["filter/src", "filter/module", "filter/Cargo.toml", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    if !has_target() {
        add_target(root)?;
    }
    build(&root.join("filter/module"), &out)?;
    println!("cargo::rustc-env=MODULE={}", out.join(TARGET).join("release").join(MODULE).display());
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo sets {name}, and it is not set"))
}

/// Whether the compiler in use has a standard library for the target.
fn has_target() -> bool {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(output) = Command::new(compiler).args(["--print", "sysroot"]).output() else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

/// rustup does not add a target named in `rust-toolchain.toml` to a toolchain that is already
/// there, so it is asked to.
fn add_target(root: &Path) -> Result<(), String> {
    let remedy = format!(
        "the compiler has no standard library for {TARGET}, into which the filter is built. \
         With rustup, run `rustup target add {TARGET}`; without it, install that target from where \
         your compiler comes from (a package often called rust-std-{TARGET})"
    );
    match Command::new("rustup").args(["target", "add", TARGET]).current_dir(root).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{remedy}. `rustup target add {TARGET}` was tried: {status}")),
        Err(error) => Err(format!("{remedy}. rustup was tried: {error}")),
    }
}

fn build(module: &Path, out: &Path) -> Result<(), String> {
    let cargo = variable("CARGO")?;
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(out)
        .current_dir(module);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let is_profile = text.starts_with("CARGO_PROFILE_") || text.starts_with("CARGO_CFG_");
        if is_profile || text.starts_with("CARGO_FEATURE_") || SCRUBBED.contains(&text) {
            command.env_remove(&name);
        }
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the filter does not build ({status}); its errors are above")),
        Err(error) => Err(format!("cargo could not be started to build the filter: {error}")),
    }
}
