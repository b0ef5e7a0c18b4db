//! Reading a deployment for a command, and showing what is wrong with it.

use std::io::Write as _;
use std::path::Path;

use super::colour_errors;
use super::failure::{Failure, USAGE};
use crate::deployment::{self, LoadError, Loaded, RuleSource};
use crate::diagnostics::Report;

/// Reads a deployment; its warnings, or all that is wrong with it, go to standard error.
pub(super) fn load(path: &Path) -> Result<Loaded, Failure> {
    load_with(path, &|_, path| std::fs::read(path))
}

/// The same with rule files as `rules` gives them.
pub(super) fn load_with(path: &Path, rules: RuleSource<'_>) -> Result<Loaded, Failure> {
    match deployment::load_with(path, rules) {
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

fn show(reports: &[Report]) {
    for report in reports {
        let _ = std::io::stderr().write_all(report.render(colour_errors()).as_bytes());
    }
}
