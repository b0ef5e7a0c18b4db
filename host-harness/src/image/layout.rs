//! The image as a directory, in OCI's layout: what `skopeo`, `crane` and `oras` copy from.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Blob, Image, TITLE};
use crate::envoy::{Change, WriteError, replace};

const INDEX: &str = "index.json";

/// Why there is no image in the directory.
#[derive(Debug)]
pub enum LayoutError {
    /// It has images of somebody else's, which are not to be lost.
    Others(PathBuf),
    /// A file cannot be written.
    Write(WriteError),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others(path) => {
                write!(f, "{} is not of `b2o image`: its images would be lost", path.display())
            }
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LayoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Others(_) => None,
            Self::Write(error) => Some(error),
        }
    }
}

impl From<WriteError> for LayoutError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl Image {
    /// Writes the image into a directory, and says what became of each file. The index, which names
    /// the rest, comes last.
    ///
    /// # Errors
    ///
    /// When the directory has other images, or a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<Vec<(String, Change)>, LayoutError> {
        let index = directory.join(INDEX);
        if !is_ours(&index) {
            return Err(LayoutError::Others(index));
        }
        let blobs = directory.join("blobs").join("sha256");
        fs::create_dir_all(&blobs).map_err(|source| WriteError { path: blobs, source })?;
        let place = |blob: &Blob| format!("blobs/{}", blob.digest.replacen(':', "/", 1));
        let Self { config, layer, manifest } = self;
        let mut descriptor = manifest.descriptor();
        descriptor["annotations"] = json!({
            TITLE.0: TITLE.1, "org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION"),
        });
        let listed = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        let files = [
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            (place(config), config.bytes.clone()),
            (place(layer), layer.bytes.clone()),
            (place(manifest), manifest.bytes.clone()),
            (INDEX.to_owned(), listed.to_string().into_bytes()),
        ];
        let mut changes = Vec::new();
        for (name, bytes) in files {
            let change = replace(&directory.join(&name), &bytes, false)?;
            changes.push((name, change));
        }
        Ok(changes)
    }
}

/// Whether nothing of somebody else's is lost with this index.
fn is_ours(index: &Path) -> bool {
    let bytes = match fs::read(index) {
        Ok(bytes) => bytes,
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
    };
    let index: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let manifests = index["manifests"].as_array();
    manifests.is_some_and(|all| all.iter().all(|one| one["annotations"][TITLE.0] == TITLE.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_whole_and_a_second_run_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let image = Image::of(b"module").unwrap();
        let first = image.write(folder.path()).unwrap();
        assert!(first.iter().all(|(_, change)| *change == Change::Created), "{first:?}");
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let index: Value = serde_json::from_slice(&read(INDEX)).unwrap();
        assert_eq!(index["manifests"][0]["digest"], *image.digest());
        assert_eq!(index["manifests"][0]["size"], image.manifest.bytes.len());
        for blob in [&image.config, &image.layer, &image.manifest] {
            let name = blob.digest.strip_prefix("sha256:").unwrap();
            assert_eq!(read(&format!("blobs/sha256/{name}")), blob.bytes);
        }
        let second = image.write(folder.path()).unwrap();
        assert!(second.iter().all(|(_, change)| *change == Change::Unchanged), "{second:?}");
        // Of another module, beside it.
        Image::of(b"other").unwrap().write(folder.path()).unwrap();
    }

    #[test]
    fn images_of_somebody_elses_stay() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join(INDEX);
        for theirs in [r#"{"manifests":[{"digest":"sha256:0"}]}"#, "{}", "no JSON"] {
            fs::write(&index, theirs).unwrap();
            let refused = Image::of(b"module").unwrap().write(folder.path());
            assert!(matches!(refused, Err(LayoutError::Others(_))), "{refused:?}");
            assert_eq!(fs::read_to_string(&index).unwrap(), theirs);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
