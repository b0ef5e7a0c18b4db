//! What came of a row, in words that hosts and paths share, and whether they share them.

use std::fmt::Write as _;

use super::Row;
use crate::support::gateway::{HOSTS, Host, Path};

/// What can be seen of a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Aspect {
    /// Status, headers and body, of each step.
    Answer,
    /// The requests that the origins got.
    Asked,
    /// The objects that the row names, with their headers and those of the request that wrote them.
    Stored,
    /// The lines on its requests.
    Line,
    /// What was counted.
    Counters,
}

use Aspect::{Answer, Asked, Counters, Line, Stored};

const ASPECTS: [Aspect; 5] = [Answer, Asked, Stored, Line, Counters];

/// What came of one row on one host and path.
#[derive(Default)]
pub(super) struct Evidence([String; ASPECTS.len()]);

impl Evidence {
    /// Adds a line of words to an aspect.
    pub(super) fn add(&mut self, aspect: Aspect, words: &str) {
        let _ = writeln!(self.0[aspect as usize], "    {words}");
    }

    fn of(&self, aspect: Aspect) -> &str {
        &self.0[aspect as usize]
    }
}

/// The differences between what came of the rows of a group: between the hosts on each path, and
/// between the paths. `found` is in the order of [`HOSTS`], and of the rows.
pub(super) fn differences(group: &str, rows: &[Row], found: &[Vec<Evidence>]) -> Vec<String> {
    let on = |host, path| {
        let index = HOSTS.iter().position(|place| *place == (host, path)).expect("every host");
        &found[index]
    };
    let mut differences = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let name = format!("{group} / {}", row.name);
        let mut agree = [true; ASPECTS.len()];
        for path in [Path::Callout, Path::Streaming] {
            let (harness, envoy) = (&on(Host::Harness, path)[index], &on(Host::Envoy, path)[index]);
            for aspect in ASPECTS {
                let (ours, theirs) = (harness.of(aspect), envoy.of(aspect));
                if ours != theirs {
                    agree[aspect as usize] = false;
                    differences.push(format!(
                        "{name} [{path:?}]: hosts differ in {aspect:?}\n  Harness:\n{ours}  \
                         Envoy:\n{theirs}"
                    ));
                }
            }
        }
        for aspect in ASPECTS {
            let (callout, streaming) = (
                on(Host::Harness, Path::Callout)[index].of(aspect),
                on(Host::Harness, Path::Streaming)[index].of(aspect),
            );
            match (callout == streaming, row.differing.contains(&aspect)) {
                (true, false) | (false, true) => {}
                (false, false) => differences.push(format!(
                    "{name}: paths differ in {aspect:?}\n  Callout:\n{callout}  \
                     Streaming:\n{streaming}"
                )),
                (true, true) if agree[aspect as usize] => differences.push(format!(
                    "{name}: paths are said to differ in {aspect:?}, and do not\n{callout}"
                )),
                (true, true) => {}
            }
        }
    }
    differences
}
