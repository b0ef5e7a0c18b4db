//! What ARCHITECTURE.md says of the repository, and that the filter's modules read from the bottom
//! up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");

/// The filter's modules, each behind all that it uses: `crate::` never names one that stands later.
const ORDER: &str = "
    finding http json digest reason metric miss_route
    request rule configuration reply report matching explain
    shell";

#[test]
fn every_path_in_the_architecture_is_there() {
    let files = files(&repository());
    let is_there = |path: &str| {
        let tail = path.trim_end_matches('/');
        files.iter().any(|file| file.ends_with(tail))
    };
    let looks_like_one = |word: &&str| {
        let is_word = word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        is_word && (word.ends_with(".rs") || (word.ends_with('/') && !word.starts_with('/')))
    };
    let missing: Vec<&str> =
        quoted(ARCHITECTURE).filter(looks_like_one).filter(|path| !is_there(path)).collect();
    assert_eq!(missing, [""; 0], "ARCHITECTURE.md names what is not there");
}

#[test]
fn every_row_of_the_code_map_is_there() {
    let mut missing = Vec::new();
    let mut rows = 0;
    for line in ARCHITECTURE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, places, what, ..] = cells.as_slice() else { continue };
        let places: Vec<&str> = quoted(places).collect();
        let Some(first) = places.first().filter(|place| place.contains(['/', '.'])) else {
            continue;
        };
        rows += 1;
        let first = repository().join(first);
        // What follows the first path stands beside it.
        let beside = first.parent().unwrap_or(&first);
        let others = places.iter().skip(1).map(|place| beside.join(place));
        let inside = quoted(what).filter(|_| first.is_dir() && first.join("mod.rs").exists());
        let inside = inside.map(|module| match module.strip_suffix('/') {
            Some(folder) => first.join(folder),
            None => module_of(&first, module),
        });
        let paths = [first.clone()].into_iter().chain(others).chain(inside);
        missing.extend(paths.filter(|path| !path.exists()));
    }
    assert!(rows > 10, "the code map has {rows} rows");
    assert_eq!(missing, Vec::<PathBuf>::new(), "the code map names what is not there");
}

#[test]
fn modules_of_the_filter_use_only_what_stands_below_them() {
    let order: Vec<&str> = ORDER.split_whitespace().collect();
    let uses = uses();
    let known: BTreeSet<&str> = order.iter().copied().collect();
    let there: BTreeSet<&str> = uses.keys().map(String::as_str).collect();
    assert_eq!(known, there, "the order has all modules, and no others");
    let height = |module: &str| order.iter().position(|found| *found == module);
    let mut upward = Vec::new();
    for (module, used) in &uses {
        for (other, file) in used {
            if height(other) > height(module) {
                upward.push(format!("{module} uses {other} ({file})"));
            }
        }
    }
    assert_eq!(upward, Vec::<String>::new(), "these point up the order");
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The file of a module in a folder, or the module's own folder.
fn module_of(folder: &Path, module: &str) -> PathBuf {
    let own = folder.join(module);
    if own.exists() { own } else { folder.join(format!("{module}.rs")) }
}

/// Every file and folder, but for what is built and what is hidden.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found
}

/// Which other modules each of the filter's uses, and where; tests are not counted.
fn uses() -> BTreeMap<String, BTreeMap<String, String>> {
    let source = repository().join("filter/src");
    let mut uses: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for path in files(&source) {
        let inner = path.strip_prefix(&source).expect("it is below");
        let names: Vec<String> =
            inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let [top, ..] = names.as_slice() else { continue };
        let module = top.trim_end_matches(".rs");
        let is_test = names.iter().any(|name| name == "tests" || name == "tests.rs");
        if module == "lib" || is_test || path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let used = uses.entry(module.to_owned()).or_default();
        for other in modules_named(&text).into_iter().filter(|other| other != module) {
            used.entry(other).or_insert_with(|| inner.display().to_string());
        }
    }
    uses
}

/// The modules that a file names after `crate::`, above its tests.
fn modules_named(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.map(|line| format!("{line}\n")).collect();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(list.split(',').map(|item| word(item.trim())));
            }
            None => {
                found.insert(word(rest));
            }
        }
    }
    found.remove("");
    found
}
