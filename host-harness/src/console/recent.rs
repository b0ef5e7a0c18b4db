//! The last lines that a gateway has told of requests, in a ring.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many lines are kept, and how much of each.
const MOST: usize = 1_000;
const LONGEST: usize = 2_000;

/// A line, and when it was told, in milliseconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Told {
    pub(super) at: u64,
    pub(super) line: String,
}

/// The lines that there are.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Told>>);

impl Recent {
    /// Adds a line; the oldest goes.
    pub fn add(&self, line: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let at = u64::try_from(now).unwrap_or(u64::MAX);
        let line = line.chars().take(LONGEST).collect();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MOST {
            lines.pop_front();
        }
        lines.push_back(Told { at, line });
    }

    /// The newest lines first, at most so many, of those that have all these words in them.
    pub(super) fn find(&self, words: &str, most: usize) -> Vec<Told> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_all = |told: &&Told| words.split_whitespace().all(|word| told.line.contains(word));
        lines.iter().rev().filter(has_all).take(most).cloned().collect()
    }
}

/// Whether a line tells of a client that was failed, or of an object that was not stored.
pub(super) fn is_failure(line: &str) -> bool {
    ["client got 424", "not stored", "broken off"].iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let recent = Recent::default();
        for number in 0..MOST + 10 {
            recent.add(&format!("GET b/{number}: bucket 200"));
        }
        let all = recent.find("", usize::MAX);
        assert_eq!(all.len(), MOST);
        assert_eq!(all[0].line, format!("GET b/{}: bucket 200", MOST + 9));
        assert_eq!(recent.find("b/5: 200", 9).len(), 0, "it is gone");
        assert_eq!(recent.find("b/500: bucket", 9).len(), 1);
        recent.add(&"x".repeat(LONGEST * 2));
        assert_eq!(recent.find("xxx", 1)[0].line.len(), LONGEST);
    }
}
