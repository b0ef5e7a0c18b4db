//! `b2o check`: is a file right, and if not, where.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::failure::{Failure, USAGE};
use super::loading::read_rules;
use super::{colour_out, print};
use crate::deployment::{self, LoadError};
use crate::diagnostics::{self, Entry, Report};

/// Check a rule file, or a deployment with all of its rule files, and point at what is wrong.
///
/// Rules are XML or JSON, in OSS's form or in S3's. What is an error is refused by Envoy and by
/// `b2o serve` too; a warning is taken, and hardly means what its author meant; a note (`info`) is
/// something to know. What depends on
/// where the gateway and the bucket are is only found in a deployment.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o check envoy/rules/mirror.json
  b2o check --json website.xml
  b2o check envoy/deployment.yaml

envoy/RULES.md describes every element, and every code of a finding.

Exit codes:
  0  no errors; warnings and notes may have been printed
  1  the file is refused
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The rule file, XML or JSON, `-` for standard input; or a deployment file, `.yaml` or `.yml`.
    file: PathBuf,
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

/// What came of reading a file.
struct Checked {
    file: String,
    /// What it has, in words; `None` when it is refused.
    content: Option<String>,
    reports: Vec<Report>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let is_yaml = |extension| extension == "yaml" || extension == "yml";
    let checked = match arguments.file.extension().is_some_and(is_yaml) {
        true => check_deployment(&arguments.file)?,
        false => check_rules(&arguments.file)?,
    };
    let Checked { file, content, reports } = &checked;
    if arguments.json {
        let findings = reports.iter().flat_map(Report::entries).collect();
        let verdict = Verdict { file, accepted: content.is_some(), findings };
        // Strings, numbers and booleans: nothing JSON cannot say.
        print(&(serde_json::to_string_pretty(&verdict).unwrap_or_default() + "\n"));
    } else {
        reports.iter().for_each(|report| print(&report.render(colour_out())));
    }
    let tally = diagnostics::tally(reports);
    match content {
        Some(content) if !arguments.json => {
            let tally = if tally.is_empty() { "nothing to report" } else { &tally };
            print(&format!("{file}: {content}, {tally}\n"));
            Ok(())
        }
        Some(_) => Ok(()),
        None => Err(refusal(file, &tally)),
    }
}

fn check_rules(path: &Path) -> Result<Checked, Failure> {
    let file = read_rules(path)?;
    let notes = file.noted();
    let content = file.rules.map(|rules| counted(rules.iter().count(), "rule"));
    let (file, mut reports) = (file.report.document.path.clone(), vec![file.report]);
    reports.extend(notes);
    Ok(Checked { file, content, reports })
}

fn check_deployment(path: &Path) -> Result<Checked, Failure> {
    let file = path.display().to_string();
    match deployment::load(path) {
        Ok(loaded) => {
            let rules = loaded.rules.iter().map(|rules| rules.set.iter().count()).sum();
            let buckets = counted(loaded.rules.len(), "bucket");
            let content = Some(format!("{buckets}, {}", counted(rules, "rule")));
            let mut reports = loaded.warnings;
            // A rule file may be that of several buckets.
            for notes in loaded.rules.into_iter().filter_map(|rules| rules.notes) {
                if !reports.contains(&notes) {
                    reports.push(notes);
                }
            }
            Ok(Checked { file, content, reports })
        }
        Err(LoadError::Refused(reports)) => Ok(Checked { file, content: None, reports }),
        Err(error @ LoadError::Unreadable { .. }) => {
            Err(Failure::new(error.to_string()).code(USAGE))
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The failure of a command whose rules are refused.
pub(super) fn refusal(path: &str, tally: &str) -> Failure {
    Failure::new(format!("{path}: {tally}; no gateway takes it"))
}

/// How many errors, warnings and notes a report has.
pub(super) fn tally(report: &Report) -> String {
    diagnostics::tally([report])
}
