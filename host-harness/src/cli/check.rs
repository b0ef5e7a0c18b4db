//! `b2o check`: is a rule file right, and if not, where.

use std::path::{Path, PathBuf};

use back_to_origin::rule::RuleSet;
use serde::Serialize;

use super::failure::{Failure, USAGE};
use super::{colour_out, print};
use crate::diagnostics::{self, Entry, Report, Weight};
use crate::rule_file;

/// Check a rule file, and point at everything that is wrong with it.
///
/// It says what the filter would say: rules it refuses are refused by Envoy and by `b2o serve`
/// too. A deployment file is no rule file; `b2o serve` checks it with all of its rule files.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o check envoy/rules/mirror.json
  b2o check --json envoy/rules/mirror.json

Exit codes:
  0  no errors; warnings may have been printed
  1  the rules are refused
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The rule file: JSON with `RoutingRules`; `-` is standard input.
    rules: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    accepted: bool,
    findings: Vec<Entry<'a>>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (rules, report) = read_rules(&arguments.rules)?;
    let path = &report.document.path;
    if arguments.json {
        let (accepted, findings) = (rules.is_some(), report.entries());
        let verdict = Verdict { file: path, accepted, findings };
        // Strings, numbers and booleans: nothing JSON cannot say.
        print(&(serde_json::to_string_pretty(&verdict).unwrap_or_default() + "\n"));
    } else {
        print(&report.render(colour_out()));
    }
    let tally = tally(&report);
    match rules {
        Some(rules) if !arguments.json => {
            let count = rules.iter().count();
            let rules = if count == 1 { "1 rule" } else { &format!("{count} rules") };
            let tally = if tally.is_empty() { "nothing to report" } else { &tally };
            print(&format!("{path}: {rules}, {tally}\n"));
            Ok(())
        }
        Some(_) => Ok(()),
        None => Err(refusal(path, &tally)),
    }
}

/// Reads a rule file; that it is wrong is no failure yet.
pub(super) fn read_rules(path: &Path) -> Result<(Option<RuleSet>, Report), Failure> {
    let (shown, bytes) = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes);
        ("<stdin>".to_owned(), read.map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let bytes = bytes.map_err(|error| {
        Failure::new(format!("cannot read the rule file {shown}: {error}")).code(USAGE)
    })?;
    let file = rule_file::read(&shown, &bytes, None);
    Ok((file.rules, file.report))
}

/// The failure of a command whose rules are refused.
pub(super) fn refusal(path: &str, tally: &str) -> Failure {
    Failure::new(format!("{path}: {tally}; the filter would refuse these rules"))
}

/// How many errors and warnings a report has.
pub(super) fn tally(report: &Report) -> String {
    diagnostics::tally(report.count(Weight::Error), report.count(Weight::Warning))
}
