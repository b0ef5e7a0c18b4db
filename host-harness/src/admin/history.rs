//! The sets that a rule file had before, beside it: a bounded number, each whole.
//!
//! Owns the directory `NAME.history` and its names, the times at which the sets were replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::envoy::{WriteError, replace};

/// How many sets are kept; the oldest goes.
pub(super) const MOST: usize = 20;

/// Where the sets before are.
pub(super) fn directory(rules: &Path) -> PathBuf {
    let mut name = rules.as_os_str().to_owned();
    name.push(".history");
    PathBuf::from(name)
}

/// When the sets before were replaced, in milliseconds since 1970: the newest first.
pub(super) fn list(rules: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(directory(rules)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut times = Vec::new();
    for entry in entries {
        // What somebody else has put there is not ours to show, or to remove.
        let name = entry?.file_name();
        let time = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        times.extend(time.and_then(|time| time.parse::<u64>().ok()));
    }
    times.sort_unstable_by(|one, other| other.cmp(one));
    Ok(times)
}

/// Where the set is that was replaced at a time.
pub(super) fn version(rules: &Path, time: u64) -> PathBuf {
    directory(rules).join(time.to_string())
}

/// Adds a set, and removes those that are too many.
pub(super) fn add(rules: &Path, bytes: &[u8], private: bool) -> Result<(), WriteError> {
    let directory = directory(rules);
    let failed = |source| WriteError { path: directory.clone(), source };
    fs::create_dir_all(&directory).map_err(failed)?;
    let known = list(rules).map_err(failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    // Clocks go back; the order does not.
    let time = known.first().map_or(now, |last| now.max(last.saturating_add(1)));
    replace(&version(rules, time), bytes, private)?;
    for old in known.into_iter().skip(MOST - 1) {
        // One too many hurts nobody, and the next change tries again.
        let _ = fs::remove_file(version(rules, old));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sets_are_kept_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules.json");
        assert!(list(&rules).unwrap().is_empty());
        for number in 0..MOST + 5 {
            add(&rules, number.to_string().as_bytes(), true).unwrap();
        }
        fs::write(super::directory(&rules).join("note.txt"), "mine").unwrap();
        let times = list(&rules).unwrap();
        assert_eq!(times.len(), MOST);
        let texts = times.iter().map(|time| fs::read_to_string(version(&rules, *time)).unwrap());
        let expected = (5..MOST + 5).rev().map(|number| number.to_string());
        assert!(texts.eq(expected));
    }
}
