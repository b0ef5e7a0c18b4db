//! One change of a bucket's rules, as the console makes it: judged, or made.

use crate::admin::{Judged, Keeper, KeeperError, Kept, ListError, Move, RuleList, read_rule};
use crate::rule_file::{self, RuleFile};

/// What is changed.
#[derive(Clone)]
pub(super) enum Change {
    /// All rules go.
    Clear,
    /// A rule goes.
    Delete(u64),
    /// A rule goes elsewhere.
    Move(u64, Move),
    /// A rule, as JSON, comes in the place of another, or at the end.
    Put {
        /// The rule that it replaces.
        number: Option<u64>,
        /// The rule.
        rule: String,
    },
    /// The set that was replaced at a time comes back.
    Restore(u64),
    /// The whole set is another one, in any form.
    Whole(String),
}

/// Why a change is not made.
#[derive(Debug)]
pub(super) enum EditError {
    /// The rules are not those that the editor has seen.
    Conflict,
    /// They cannot be kept.
    Keeper(KeeperError),
    /// The list cannot be changed so.
    List(ListError),
}

impl From<KeeperError> for EditError {
    fn from(error: KeeperError) -> Self {
        Self::Keeper(error)
    }
}

impl From<ListError> for EditError {
    fn from(error: ListError) -> Self {
        Self::List(error)
    }
}

/// Makes a change of what has a tag.
pub(super) fn make(
    keeper: &Keeper,
    bucket: &str,
    tag: &str,
    change: &Change,
) -> Result<(), EditError> {
    // A set of another time is read before anybody is kept from changing.
    let version = version(keeper, bucket, change)?;
    keeper.change(bucket, |kept| {
        if kept.tag() != tag {
            return Err(EditError::Conflict);
        }
        changed(kept, change, version)
    })
}

/// Says what a change would make of what is there.
pub(super) fn judge(keeper: &Keeper, bucket: &str, change: &Change) -> Result<Judged, EditError> {
    let version = version(keeper, bucket, change)?;
    keeper.judge(bucket, |kept| changed(kept, change, version))
}

fn version(keeper: &Keeper, bucket: &str, change: &Change) -> Result<Option<RuleFile>, EditError> {
    match change {
        Change::Restore(time) => Ok(Some(keeper.version(bucket, *time)?)),
        Change::Clear
        | Change::Delete(_)
        | Change::Move(..)
        | Change::Put { .. }
        | Change::Whole(_) => Ok(None),
    }
}

fn changed(
    kept: &Kept,
    change: &Change,
    version: Option<RuleFile>,
) -> Result<Option<RuleFile>, EditError> {
    let path = kept.path.display().to_string();
    let list = || Ok::<_, EditError>(RuleList::new(kept.website()?)?);
    let list = match change {
        Change::Restore(_) => return Ok(version),
        Change::Whole(text) => {
            return Ok(Some(rule_file::read(&path, text.as_bytes(), None)));
        }
        // Whatever the file holds: this is also the way out of one that is broken.
        Change::Clear => {
            let list = kept.website().ok().and_then(|website| RuleList::new(website).ok());
            let mut list = list.unwrap_or_default();
            list.clear();
            list
        }
        Change::Delete(number) => {
            let mut list = list()?;
            list.remove(*number)?;
            list
        }
        Change::Move(number, by) => {
            let mut list = list()?;
            list.shift(*number, *by)?;
            list
        }
        Change::Put { number, rule } => {
            let mut list = list()?;
            let rule = read_rule("rule", rule.as_bytes())?;
            match number {
                Some(number) => list.edit(*number, rule)?,
                None => list.add(rule, None)?,
            }
            list
        }
    };
    Ok(list.finish(&path))
}
