//! The HTTP this project speaks: headers, encodings, queries, ranges and error documents.
//!
//! Pure data and functions. Nothing here knows a rule, a bucket or a host.

pub mod date;
pub mod error_document;
pub mod field;
pub mod headers;
pub mod host;
pub mod location;
pub mod percent;
pub mod precondition;
pub mod query;
pub mod range;
pub mod trace;
pub(crate) mod xml;

/// The scheme of a URL, an origin or a store.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that need not be named.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Reads `http` or `https`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else {
            None
        }
    }
}
