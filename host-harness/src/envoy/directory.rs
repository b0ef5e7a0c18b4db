//! Files that replace others as a whole, never half written.
//!
//! Owns the writing: each file is written beside its place and moved there, so that whoever reads
//! or watches it sees the old one or the new one. What has not changed is left alone.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
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

/// Puts a file in its place, whole. A private one stays whose it is: Envoy may run as another user.
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
    let mode = Permissions::from_mode(if private { 0o600 } else { 0o644 });
    let owner = fs::metadata(path).ok().filter(|_| private).map(|data| (data.uid(), data.gid()));
    put(path, bytes, mode, owner).map_err(failed)?;
    Ok(if old.is_some() { Change::Replaced } else { Change::Created })
}

/// The same for a file of somebody else's: a link stays a link, and who may read the file stays as
/// it is.
///
/// # Errors
///
/// When it cannot be written; then what was there is still there.
pub fn rewrite(path: &Path, bytes: &[u8]) -> Result<Change, WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return replace(path, bytes, false);
        }
        Err(source) => return Err(failed(source)),
    };
    let data = fs::metadata(&real).map_err(failed)?;
    if fs::read(&real).map_err(failed)? == bytes {
        return Ok(Change::Unchanged);
    }
    let mode = Permissions::from_mode(data.permissions().mode() & 0o7777);
    put(&real, bytes, mode, Some((data.uid(), data.gid()))).map_err(failed)?;
    Ok(Change::Replaced)
}

/// Writes a file beside its place and moves it there.
fn put(path: &Path, bytes: &[u8], mode: Permissions, owner: Option<(u32, u32)>) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".b2o-").tempfile_in(parent)?;
    if let Some((user, group)) = owner {
        // Only the system's administrator may give files away; whoever else writes here keeps them.
        let _ = fchown(file.as_file(), Some(user), Some(group));
    }
    // Not at its creation: there the process's mask takes from it.
    file.as_file().set_permissions(mode)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The name is on the disk only when the directory is.
    fs::File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_somebody_elses_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(rewrite(&link, b"new").unwrap(), Change::Replaced);
        assert_eq!(rewrite(&link, b"new").unwrap(), Change::Unchanged);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o664);
        assert_eq!(rewrite(&folder.path().join("none"), b"x").unwrap(), Change::Created);
        // Nothing is left beside them.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
