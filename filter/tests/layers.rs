//! The modules of the filter stand in an order, and each uses only those below it.
//!
//! The order is the list in the documentation of the crate. Comments and tests may speak of whatever
//! they like.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const LIB: &str = include_str!("../src/lib.rs");

/// The modules by the list, bottom to top.
fn layers() -> Vec<&'static str> {
    let named = |line: &'static str| line.strip_prefix("//! - `")?.split_once("`: ");
    LIB.lines().filter_map(named).map(|(name, _)| name).collect()
}

/// A file without its comments, and without its tests, which stand at its end.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The words that follow `crate::` in some code.
fn used(code: &str) -> impl Iterator<Item = &str> {
    let is_of_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    code.split("crate::").skip(1).map(move |rest| match rest.split_once(|c| !is_of_word(c)) {
        Some((word, _)) => word,
        None => rest,
    })
}

/// Every file that is compiled into the crate, with its path below `src`.
fn files(folder: &Path, below: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("the sources can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are ASCII");
        let place = format!("{below}{name}");
        if path.is_dir() {
            if name != "tests" {
                files(&path, &format!("{place}/"), found);
            }
        } else if name != "lib.rs" && name != "tests.rs" {
            found.push((place, fs::read_to_string(&path).expect("a source can be read")));
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    assert!(found.len() > 40, "{} files are not all", found.len());
    found
}

#[test]
fn each_module_has_its_place() {
    let listed = layers();
    let declared = LIB
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    let declared: BTreeSet<_> = declared.collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), declared);
    assert_eq!(listed.len(), declared.len(), "one stands in the list twice: {listed:?}");
}

#[test]
fn each_module_uses_only_those_below_it() {
    let layers = layers();
    let place = |module: &str| layers.iter().position(|layer| *layer == module);
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = file.split(['/', '.']).next().unwrap_or_default();
        let code = code(&text);
        // Nothing leaves its folder but by `crate::`.
        let depth = file.trim_end_matches("/mod.rs").matches('/').count() + 1;
        if code.contains(&"super::".repeat(depth)) {
            wrong.push(format!("{file}: `super` leads out of {module}, say `crate`"));
        }
        for used in used(&code) {
            match place(used) {
                None => wrong.push(format!("{file}: `crate::{used}` is no module of the list")),
                Some(_) if used == module => {}
                Some(at) if Some(at) < place(module) => {}
                Some(_) => wrong.push(format!("{file}: {module} is below {used}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
