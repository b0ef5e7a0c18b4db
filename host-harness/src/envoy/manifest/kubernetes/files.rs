//! The files of a deployment, as a ConfigMap and a Secret hold them.
//!
//! Owns that no secret is in the ConfigMap: a file in which there is one is in the Secret as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use base64_simd::STANDARD;

use super::super::{Findings, List, MOST, Map, block, list};
use super::{Code, DEPLOYMENT, VARIABLES};
use crate::deployment::Loaded;

/// A file, where it is to be in the volume.
struct File {
    key: String,
    path: String,
    bytes: Vec<u8>,
    is_secret: bool,
}

/// All files of a deployment.
pub(super) struct Files {
    files: Vec<File>,
    /// The variables that hold keys.
    variables: BTreeMap<String, String>,
}

/// Reads them, as they are on the disk.
pub(super) fn read(
    path: &Path,
    loaded: &Loaded,
    findings: &mut Findings<'_>,
) -> Result<Files, (PathBuf, io::Error)> {
    let bytes = |path: &Path| fs::read(path).map_err(|error| (path.to_owned(), error));
    // Where something is hidden, there is a secret.
    let is_secret = |shown: &str, bytes: &[u8]| shown != String::from_utf8_lossy(bytes);
    let own = bytes(path)?;
    let mut files = vec![File {
        key: DEPLOYMENT.to_owned(),
        path: DEPLOYMENT.to_owned(),
        is_secret: is_secret(&loaded.document.text, &own),
        bytes: own,
    }];
    let mut keys = BTreeSet::from([DEPLOYMENT.to_owned()]);
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    for (bucket, rules) in buckets {
        let Some(path) = below(&bucket.rules.value) else {
            let message = format!(
                "the rule file {} is not below the deployment file's directory",
                bucket.rules.value.display()
            );
            let help = "put it beside the deployment file";
            findings.in_file(Code::OutsideFile, &bucket.rules.span, message, help);
            continue;
        };
        if files.iter().any(|file| file.path == path) {
            continue;
        }
        let bytes = bytes(&rules.path)?;
        let mut key = key_of(&path);
        while !keys.insert(key.clone()) {
            key.push('_');
        }
        let is_secret = is_secret(&rules.document.text, &bytes);
        files.push(File { key, path, is_secret, bytes });
    }
    let buckets = loaded.deployment.buckets.value.iter();
    let variables = buckets.flat_map(|bucket| bucket.credentials.variables());
    let variables =
        variables.map(|one| (one.name.clone(), one.value.expose().to_owned())).collect();
    let files = Files { files, variables };
    files.check(loaded, findings);
    Ok(files)
}

/// The path of a file below the directory, without detours.
fn below(path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    (!parts.is_empty() && !parts[0].starts_with("..")).then(|| parts.join("/"))
}

/// A key for a path: it takes letters, digits, `-`, `_` and `.` alone.
fn key_of(path: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    path.chars().map(letter).collect()
}

impl Files {
    fn of(&self, is_secret: bool) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.is_secret == is_secret)
    }

    fn check(&self, loaded: &Loaded, findings: &mut Findings<'_>) {
        for (is_secret, kind) in [(false, "ConfigMap"), (true, "Secret")] {
            let all: usize = self.of(is_secret).map(|file| file.key.len() + file.bytes.len()).sum();
            let Some(largest) = self.of(is_secret).max_by_key(|file| file.bytes.len()) else {
                continue;
            };
            if all > MOST {
                let message = format!(
                    "the files of the deployment are {all} bytes, and a {kind} holds {MOST}; {} alone is {}",
                    largest.path,
                    largest.bytes.len()
                );
                let mut buckets = loaded.deployment.buckets.value.iter();
                let bucket = buckets
                    .find(|bucket| below(&bucket.rules.value).as_deref() == Some(&largest.path));
                let span = bucket.map_or(0..0, |bucket| bucket.rules.span.clone());
                let help = "have fewer buckets in one gateway, or build the files into an image";
                findings.in_file(Code::LargeFiles, &span, message, help);
            }
        }
    }

    pub(super) fn has_secrets(&self) -> bool {
        !self.variables.is_empty() || self.of(true).next().is_some()
    }

    pub(super) const fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The keys that a Secret must have.
    pub(super) fn wanted(&self) -> Vec<String> {
        self.of(true).map(|file| file.key.clone()).chain(self.variables.keys().cloned()).collect()
    }

    pub(super) fn config_map(&self, resource: Map) -> Map {
        let (mut data, mut binary) = (Map::new(), Map::new());
        let mut is_binary = false;
        for file in self.of(false) {
            match std::str::from_utf8(&file.bytes) {
                Ok(text) => data = data.with(&file.key, block(text)),
                Err(_) => {
                    is_binary = true;
                    binary = binary.with(&file.key, STANDARD.encode_to_string(&file.bytes));
                }
            }
        }
        resource.with("data", data).maybe("binaryData", is_binary.then_some(binary))
    }

    pub(super) fn secret(&self, resource: Map) -> Map {
        let mut data = Map::new();
        for (name, value) in &self.variables {
            data = data.with(name, STANDARD.encode_to_string(value.as_bytes()));
        }
        for file in self.of(true) {
            data = data.with(&file.key, STANDARD.encode_to_string(&file.bytes));
        }
        resource.with("type", "Opaque").with("data", data)
    }

    pub(super) fn public_items(&self) -> List {
        list(self.of(false).map(|file| item(&file.key, &file.path)))
    }

    pub(super) fn secret_items(&self) -> List {
        let variables =
            self.variables.keys().map(|name| item(name, &format!("{VARIABLES}/{name}")));
        list(self.of(true).map(|file| item(&file.key, &file.path)).chain(variables))
    }
}

fn item(key: &str, path: &str) -> Map {
    Map::new().with("key", key).with("path", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_the_directory() {
        for (path, found) in [
            ("rules.json", Some("rules.json")),
            ("./a/../b/rules.json", Some("b/rules.json")),
            ("../rules.json", None),
            ("a/../../rules.json", None),
            ("/etc/rules.json", None),
        ] {
            assert_eq!(below(Path::new(path)).as_deref(), found, "{path}");
        }
        assert_eq!(key_of("a b/r\u{fc}les.json"), "a_b_r_les.json");
    }
}
