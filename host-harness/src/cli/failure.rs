//! Why a command failed, as it is printed once at its end.

use std::fmt;

/// Wrong usage, or a file that cannot be read: what clap exits with too.
pub(super) const USAGE: u8 = 2;

/// A command's failure.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Failure {
    message: String,
    help: Option<String>,
    /// The exit code.
    pub(super) code: u8,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, code: 1 }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => writeln!(f, "  help: {help}"),
            None => Ok(()),
        }
    }
}
