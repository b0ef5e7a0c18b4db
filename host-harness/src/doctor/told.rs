//! What is said of a finding, whatever it is about.

use std::ops::Range;

use super::Code;
use crate::diagnostics::{Problem, Weight};

/// A finding in words: what was expected and found, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    pub(super) weight: Weight,
    pub(super) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Told {
    pub(super) fn error(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), Some(help.into()));
        Self { weight: Weight::Error, code, message, help }
    }

    pub(super) fn warning(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(code, message, help) }
    }

    pub(super) fn info(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { weight: Weight::Info, ..Self::error(code, message, help) }
    }

    /// The same at its place in a file.
    pub(super) fn at(self, span: Range<usize>, pointer: Option<String>) -> Problem {
        let Self { weight, code, message, help } = self;
        let code = code.as_str();
        Problem { weight, code, message, span, related: None, pointer, help }
    }
}
