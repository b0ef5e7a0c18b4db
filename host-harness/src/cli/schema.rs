//! `b2o schema`: what a rule file may hold, for editors.

use super::failure::Failure;
use super::print;
use crate::rule_file;

/// Print the JSON Schema of rule files.
///
/// An editor that knows it completes names and explains them. Name it in a file of rules by
/// `"$schema": "rules.schema.json"`.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o schema > rules.schema.json"
)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<(), Failure> {
    print(&rule_file::schema());
    Ok(())
}
