//! Files that replace others as a whole, never half written.
//!
//! Owns the writing: each file is written beside its place and moved there, so that whoever reads
//! or watches it sees the old one or the new one. What has not changed is left alone.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What became of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// There was none.
    Created,
    /// There was one that nothing needs any more.
    Removed,
    /// There was another.
    Replaced,
    /// It was as it should be.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
        })
    }
}

/// A file could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// The file, or the directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Puts a file in its place, whole.
///
/// # Errors
///
/// When it cannot be written; then what was there is still there.
pub fn replace(path: &Path, bytes: &[u8], private: bool) -> Result<Change, WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    let old = match fs::read(path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(failed(source)),
    };
    let is_open = || fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0);
    if old.as_deref() == Some(bytes) && !(private && is_open()) {
        return Ok(Change::Unchanged);
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mode = Permissions::from_mode(if private { 0o600 } else { 0o644 });
    let mut file = tempfile::Builder::new()
        .prefix(".b2o-")
        .permissions(mode)
        .tempfile_in(parent)
        .map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(if old.is_some() { Change::Replaced } else { Change::Created })
}
