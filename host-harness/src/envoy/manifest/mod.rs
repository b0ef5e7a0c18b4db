//! A deployment as manifests: for Kubernetes by itself, and for control planes that run Envoys.
//!
//! Owns what manifests of all kinds have in common, and that each problem is found before anything
//! is written.

pub mod code;
mod crds;
mod findings;
pub mod istio;
pub mod kubernetes;
mod name;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

pub use findings::{CommandLine, Findings};
pub use name::Name;

use super::yaml::{List, Map, Yaml};
use super::{Change, WriteError, replace};

/// The most that a ConfigMap or a Secret may hold, in bytes.
const MOST: usize = 1024 * 1024;

/// A file of manifests.
#[derive(Clone, Eq, PartialEq)]
pub struct Manifest {
    /// Its name.
    pub name: &'static str,
    /// What is in it, YAML.
    pub text: String,
    /// Whether only its owner may read it.
    pub private: bool,
}

/// Without the text: it may have keys.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, private, .. } = self;
        let mut shown = f.debug_struct("Manifest");
        shown.field("name", name).field("private", private).finish_non_exhaustive()
    }
}

impl Manifest {
    /// One file of several resources, with a comment above them.
    fn new(name: &'static str, heading: &str, resources: impl IntoIterator<Item = Map>) -> Self {
        let mut text = String::new();
        for (at, resource) in resources.into_iter().enumerate() {
            if at == 0 {
                text.push_str(&resource.document(heading));
            } else {
                text.push_str("---");
                text.push_str(&resource.document(""));
            }
        }
        Self { name, text, private: false }
    }

    const fn private(mut self) -> Self {
        self.private = true;
        self
    }
}

/// Writes manifests into a directory, and removes those of an earlier run that are no more: of the
/// names `all`, if this program has written them.
///
/// # Errors
///
/// When a file cannot be written; those before it have been.
pub fn write(
    directory: &Path,
    manifests: &[Manifest],
    all: &[&'static str],
) -> Result<Vec<(&'static str, Change)>, WriteError> {
    let failed = |path: &Path, source| WriteError { path: path.to_owned(), source };
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    let mut changes = Vec::new();
    for Manifest { name, text, private } in manifests {
        changes.push((*name, replace(&directory.join(name), text.as_bytes(), *private)?));
    }
    for name in all.iter().filter(|name| manifests.iter().all(|one| one.name != **name)) {
        let path = directory.join(name);
        let is_ours = match fs::read_to_string(&path) {
            Ok(text) => text.contains(WRITTEN),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(&path, source)),
        };
        if is_ours {
            fs::remove_file(&path).map_err(|source| failed(&path, source))?;
            changes.push((*name, Change::Removed));
        }
    }
    Ok(changes)
}

/// What stands in each of our files.
const WRITTEN: &str = "Written by `b2o";

/// What stands above the manifests of a command.
fn heading(about: &str, command: &str, source: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("{about} {WRITTEN} {command}` {version} from {source}; what is changed here is lost.")
}

/// A resource of Kubernetes.
fn resource(api: &str, kind: &str, name: &str, of: &Owner<'_>) -> Map {
    let metadata = Map::new()
        .with("name", name)
        .maybe("namespace", of.namespace)
        .with("labels", of.labels().with("app.kubernetes.io/managed-by", "b2o"));
    Map::new().with("apiVersion", api).with("kind", kind).with("metadata", metadata)
}

/// What all resources of one deployment have in common.
#[derive(Clone, Copy)]
struct Owner<'a> {
    name: &'a str,
    namespace: Option<&'a str>,
}

impl Owner<'_> {
    /// What the pods of one deployment are found by; it never changes.
    fn labels(&self) -> Map {
        Map::new()
            .with("app.kubernetes.io/name", "back-to-origin")
            .with("app.kubernetes.io/instance", self.name)
    }
}

/// A text as a person would write it, where that says the same to its last byte.
fn block(text: &str) -> Yaml {
    let is_plain = text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n', '\t'])
        && text.lines().all(|line| line.trim_end() == line)
        && text.chars().all(|c| c == '\n' || c == '\t' || !is_special(c));
    if is_plain { Yaml::Lines(text.to_owned()) } else { Yaml::Text(text.to_owned()) }
}

/// What YAML does not take in a block, or takes for the end of a line.
fn is_special(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn list<T: Into<Yaml>>(items: impl IntoIterator<Item = T>) -> List {
    items.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_as_they_are_to_the_last_byte() {
        for text in [
            "a: 1\nb: 2\n",
            "no end",
            "two ends\n\n",
            "blanks  \nat the end\n",
            " at the start\n",
            "a\ttab\n",
            "a\r\nb\r\n",
            "line\u{2028}separator\n",
            "",
            "# a comment\n\n- \"x\"\n",
        ] {
            let file = Map::new().with("data", Map::new().with("file", block(text))).document("x");
            let read: serde_json::Value = serde_saphyr::from_str(&file).expect(&file);
            assert_eq!(read["data"]["file"], text, "{file}");
        }
    }

    #[test]
    fn what_is_no_more_is_removed_if_it_was_ours() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |name| Manifest::new(name, &heading("x", "test", "d"), [Map::new()]);
        write(folder.path(), &[manifest("a.yaml"), manifest("b.yaml")], &[]).unwrap();
        fs::write(folder.path().join("c.yaml"), "of somebody else's").unwrap();
        let all = ["a.yaml", "b.yaml", "c.yaml"];
        let changes = write(folder.path(), &[manifest("a.yaml")], &all).unwrap();
        assert_eq!(changes, [("a.yaml", Change::Unchanged), ("b.yaml", Change::Removed)]);
        assert!(folder.path().join("c.yaml").exists());
    }
}
