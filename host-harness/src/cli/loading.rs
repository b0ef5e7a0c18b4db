//! Reading files for a command, and showing what is wrong with a deployment.

use std::io::Write as _;
use std::path::Path;

use super::colour_errors;
use super::failure::{Failure, USAGE};
use crate::deployment::{self, LoadError, Loaded, RuleSource, Variables};
use crate::diagnostics::{Report, Weight};
use crate::rule_file::{self, RuleFile};

/// Reads a rule file; that it is wrong is no failure yet.
pub(super) fn read_rules(path: &Path) -> Result<RuleFile, Failure> {
    let (shown, bytes) = read_bytes(path)?;
    Ok(rule_file::read(&shown, &bytes, None))
}

/// Reads a file of rules, `-` from standard input, and says what it is called.
pub(super) fn read_bytes(path: &Path) -> Result<(String, Vec<u8>), Failure> {
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
    Ok((shown, bytes))
}

/// Reads a deployment; its warnings, or all that is wrong with it, go to standard error.
pub(super) fn load(path: &Path) -> Result<Loaded, Failure> {
    load_with(path, &|_, path| std::fs::read(path))
}

/// The same with rule files as `rules` gives them.
pub(super) fn load_with(path: &Path, rules: RuleSource<'_>) -> Result<Loaded, Failure> {
    load_from(path, rules, &|name| std::env::var_os(name))
}

/// The same with variables from elsewhere than the environment.
pub(super) fn load_from(
    path: &Path,
    rules: RuleSource<'_>,
    variables: Variables<'_>,
) -> Result<Loaded, Failure> {
    match deployment::load_from(path, rules, variables) {
        Ok(loaded) => {
            show(&loaded.warnings);
            Ok(loaded)
        }
        Err(error) => {
            let failure = Failure::new(error.to_string());
            Err(match &error {
                LoadError::Refused(reports) => {
                    show(reports);
                    failure
                }
                LoadError::Unreadable { .. } => failure.code(USAGE),
            })
        }
    }
}

/// Notes are for who checks a file, not for each start of a gateway.
fn show(reports: &[Report]) {
    for report in reports {
        let mut report = report.clone();
        report.problems.retain(|problem| problem.weight != Weight::Info);
        let _ = std::io::stderr().write_all(report.render(colour_errors()).as_bytes());
    }
}
