//! Reading a deployment for a command, and showing what is wrong with it.

use std::io::Write as _;
use std::path::Path;

use super::colour_errors;
use super::failure::{Failure, USAGE};
use crate::deployment::{self, LoadError, Loaded};
use crate::diagnostics::Report;

/// Reads a deployment; its warnings, or all that is wrong with it, go to standard error.
pub(super) fn load(path: &Path) -> Result<Loaded, Failure> {
    match deployment::load(path) {
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
