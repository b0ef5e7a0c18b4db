//! What is wrong with a rule set or a configuration, and where.
//!
//! The core knows places as JSON pointers (RFC 6901). Whoever has the text draws them in it.

use std::fmt;

/// One thing found in a rule set or a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What kind of finding it is; stable between releases.
    pub code: Code,
    /// Whether it refuses the whole or only deserves a look.
    pub severity: Severity,
    /// Where it stands.
    pub place: Place,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it, where that does not follow from the message.
    pub help: Option<String>,
}

impl Finding {
    /// A finding that refuses the whole.
    pub(crate) fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, place, message: message.into(), help: None }
    }

    /// A finding that refuses nothing.
    pub(crate) fn warning(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, place, message: message.into(), help: None }
    }

    /// Adds what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One line, as a host's log shows it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = self.severity.as_str();
        write!(f, "{severity}[{}] at {}: {}", self.code.as_str(), self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The whole is refused.
    Error,
    /// It is taken, but hardly means what its author meant.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Where a finding stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// At an element of the document.
    Pointer {
        /// The JSON pointer, `""` for the whole document.
        pointer: String,
        /// Which side of the element is meant.
        part: Part,
    },
    /// At a line and a column, both from 1, of a text that is no document at all.
    Position {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl Place {
    /// The element's name.
    pub(crate) fn name(pointer: impl Into<String>) -> Self {
        Self::Pointer { pointer: pointer.into(), part: Part::Name }
    }

    /// The element's value.
    pub(crate) fn value(pointer: impl Into<String>) -> Self {
        Self::Pointer { pointer: pointer.into(), part: Part::Value }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer { pointer, .. } if pointer.is_empty() => f.write_str("/"),
            Self::Pointer { pointer, .. } => f.write_str(pointer),
            Self::Position { line, column } => write!(f, "line {line}, column {column}"),
        }
    }
}

/// A side of an element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Its name.
    Name,
    /// Its value.
    Value,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal;)+) => {
        /// The kinds of findings.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// Every code, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The code as it is printed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text),+ }
            }

            /// What the code means, in a sentence or two.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),+)),+ }
            }
        }
    };
}

codes! {
    /// A header's name has characters outside `0-9A-Za-z-`, or is longer than 1,024 bytes.
    BadHeaderName = "bad-header-name";
    /// A header's value has a line break or a control character, or is longer than 1,024 bytes.
    BadHeaderValue = "bad-header-value";
    /// A host is no domain name or address.
    BadHost = "bad-host";
    /// A limit or a time is outside what the filter can honour.
    BadLimit = "bad-limit";
    /// A MirrorURL is not `http://` or `https://`, a host and a path that ends in `/`.
    BadMirrorUrl = "bad-mirror-url";
    /// A bucket's name is not one S3 allows.
    BadName = "bad-name";
    /// A redirect's status is none that the file's form has: 301, 302 or 307 in OSS's, 301 to 399 in S3's.
    BadRedirect = "bad-redirect-code";
    /// A RuleNumber is not a whole number above 0.
    BadRuleNumber = "bad-rule-number";
    /// A status is not one the bucket can answer with to mean an error.
    BadStatus = "bad-status";
    /// A tag's key or value is longer than S3 allows, or the key is empty.
    BadTag = "bad-tag";
    /// A template has a variable other than `${key}`.
    BadTemplate = "bad-template";
    /// A value is none of the words the element knows.
    BadWord = "bad-word";
    /// A rule says two different things about the key's replacement.
    ConflictingReplacements = "conflicting-replacements";
    /// The same element stands twice where it may stand once.
    DuplicateElement = "duplicate-element";
    /// Two things that must differ have the same name or number.
    DuplicateName = "duplicate-name";
    /// Two rules have the same RuleNumber.
    DuplicateRuleNumber = "duplicate-rule-number";
    /// A redirect would send the client where it already is.
    EmptyRedirect = "empty-redirect";
    /// A Mirror rule for another status than 404, 403 and, where it says so, 5xx.
    MirrorStatus = "mirror-status";
    /// A MirrorURL's origin has no cluster to be reached through.
    MissingCluster = "missing-cluster";
    /// An element that must be there is not.
    MissingElement = "missing-element";
    /// The element has no effect where it stands.
    NoEffect = "no-effect";
    /// The text is not JSON, XML or YAML.
    Syntax = "syntax";
    /// More of something than the rules allow.
    TooMany = "too-many";
    /// An element that no rule set has.
    UnknownElement = "unknown-element";
    /// An element of OSS that is not honoured here.
    UnsupportedElement = "unsupported-element";
    /// A value of another type than the element takes.
    WrongType = "wrong-type";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(texts, sorted);
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding::error(Code::WrongType, Place::value("/a/0"), "expected x, found y")
            .help("write x");
        assert_eq!(finding.to_string(), "error[wrong-type] at /a/0: expected x, found y (write x)");
    }
}
