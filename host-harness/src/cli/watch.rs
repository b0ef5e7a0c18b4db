//! Files that are watched for changes, by looking at them now and then.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time between two looks. A change is acted upon when it has rested for one.
const PERIOD: Duration = Duration::from_millis(150);

/// What tells one state of a file from another: a file that is replaced has another number, one
/// that is written to another time or length.
type Stamp = Option<(u64, u64, i64, i64)>;

/// Files and what they were like when last looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    files: Vec<(PathBuf, Stamp)>,
}

impl Watched {
    /// Watches a file too, from what it is like now.
    pub(super) fn watch(&mut self, path: &Path) {
        self.files.push((path.to_owned(), stamp(path)));
    }

    /// Waits until a file has changed, and then for as long as any still changes: an editor may
    /// take several steps.
    pub(super) async fn changed(&mut self) {
        let mut is_changing = false;
        loop {
            tokio::time::sleep(PERIOD).await;
            let changes = self.look();
            if is_changing && !changes {
                return;
            }
            is_changing |= changes;
        }
    }

    /// Whether any file is not as it was when last looked at.
    pub(super) fn look(&mut self) -> bool {
        let mut changes = false;
        for (path, known) in &mut self.files {
            let now = stamp(path);
            changes |= now != *known;
            *known = now;
        }
        changes
    }
}

fn stamp(path: &Path) -> Stamp {
    let of = |data: Metadata| (data.ino(), data.len(), data.mtime(), data.mtime_nsec());
    std::fs::metadata(path).ok().map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.json");
        std::fs::write(&path, "a").unwrap();
        let mut watched = Watched::default();
        watched.watch(&path);
        assert!(!watched.look());
        std::fs::write(&path, "ab").unwrap();
        assert!(watched.look() && !watched.look());
        let other = folder.path().join("other");
        std::fs::write(&other, "cd").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(watched.look() && !watched.look());
        std::fs::remove_file(&path).unwrap();
        assert!(watched.look() && !watched.look());
    }
}
