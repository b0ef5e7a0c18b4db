//! What ARCHITECTURE.md and envoy/MISSES.md name is there.

use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");
const MISSES: &str = include_str!("../envoy/MISSES.md");

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
        // What follows the first path stands beside it, or is a path of its own.
        let beside = first.parent().unwrap_or(&first);
        let others = places.iter().skip(1).map(|place| {
            let full = repository().join(place);
            if full.exists() { full } else { beside.join(place) }
        });
        // What is named of a folder of modules is one of them, but for the program.
        let inside = quoted(what).filter(|word| first.join("mod.rs").exists() && *word != "b2o");
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
fn every_test_that_the_table_of_misses_names_is_there() {
    let sources: Vec<(PathBuf, String)> = files(&repository())
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| (file.clone(), fs::read_to_string(&file).expect("a source file")))
        .collect();
    let mut missing = Vec::new();
    let (mut tests, mut rows) = (0, 0);
    for cells in MISSES.lines().filter_map(|line| line.strip_prefix('|')) {
        let mut places = Vec::new();
        for test in quoted(cells).filter(|word| is_test(word)) {
            tests += 1;
            let (module, name) = test.rsplit_once("::").expect("a path");
            let mut found = of_module(&sources, module);
            found.retain(|source| source.contains(&format!("fn {name}()")));
            if found.is_empty() {
                missing.push(test.to_owned());
            }
            places.append(&mut found);
        }
        // What stands in double quotes behind a test is one of its rows.
        let last = cells.trim_end_matches(['|', ' ']).rsplit(" | ").next().unwrap_or_default();
        let words: String = last.split('`').step_by(2).collect();
        for row in words.split('"').skip(1).step_by(2) {
            rows += 1;
            let told = format!("\"{row}\"");
            if !places.iter().any(|source| source.contains(&told)) {
                missing.push(row.to_owned());
            }
        }
    }
    assert!(tests > 30 && rows > 20, "{tests} tests and {rows} rows are named");
    assert_eq!(missing, [""; 0], "envoy/MISSES.md names what is not there");
}

/// Whether a word is the path of a test.
fn is_test(word: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    word.contains("::") && word.split("::").all(is_name)
}

/// The sources of a module, by the path that Rust has for it.
fn of_module<'s>(sources: &'s [(PathBuf, String)], module: &str) -> Vec<&'s str> {
    // Tests may stand in the module that they are of.
    let path: PathBuf = module.trim_end_matches("::tests").split("::").collect();
    let is_it = |file: &Path| {
        let file = file.with_extension("");
        let folder = file.file_name().is_some_and(|name| name == "mod");
        file.ends_with(&path)
            || file.ends_with(path.join("tests"))
            || (folder && file.parent().is_some_and(|folder| folder.ends_with(&path)))
    };
    sources.iter().filter(|(file, _)| is_it(file)).map(|(_, text)| text.as_str()).collect()
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
