//! `Condition`: when a rule applies. All of it must hold.

use std::fmt;

use crate::http::headers::Headers;

/// The most headers a condition can name.
pub(super) const MAX_HEADERS: usize = 10;

/// `Condition`.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// `KeyPrefixEquals`; empty means any key.
    pub key_prefix: String,
    /// `KeySuffixEquals`; empty means any key.
    pub key_suffix: String,
    /// `HttpErrorCodeReturnedEquals`; none means any answer.
    pub statuses: Statuses,
    /// Every `IncludeHeader`.
    pub headers: Vec<IncludeHeader>,
}

impl Condition {
    /// Whether a status is one that it says. A 403 it says only by its own number.
    #[must_use]
    pub fn names(&self, status: u16) -> bool {
        self.statuses.contains(status) && (status != 403 || self.statuses.names(status))
    }
}

/// `IncludeHeader`: the request has this header, and its value is like this.
///
/// Of a header that came several times, some value must be like each of the words; so do routes in
/// Envoy compare them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IncludeHeader {
    /// `Key`, in lower case.
    pub name: String,
    /// `Equals`.
    pub equals: Option<String>,
    /// `StartsWith`.
    pub starts_with: Option<String>,
    /// `EndsWith`.
    pub ends_with: Option<String>,
}

impl IncludeHeader {
    /// The name by which a host hands the header over.
    #[must_use]
    pub fn field(&self) -> &str {
        match self.name.as_str() {
            "host" => ":authority",
            name => name,
        }
    }

    /// Whether a request is so.
    #[must_use]
    pub fn holds(&self, request: &Headers) -> bool {
        let field = self.field().as_bytes();
        let is = |wanted: &str, like: fn(&[u8], &[u8]) -> bool| {
            request.iter().any(|(name, value)| name == field && like(value, wanted.as_bytes()))
        };
        let said =
            |wanted: &Option<String>, like| wanted.as_ref().is_none_or(|wanted| is(wanted, like));
        is("", |_, _| true)
            && said(&self.equals, |value, wanted| value == wanted)
            && said(&self.starts_with, <[u8]>::starts_with)
            && said(&self.ends_with, <[u8]>::ends_with)
    }
}

impl fmt::Display for IncludeHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (word, wanted) in [
            ("equals", &self.equals),
            ("starts with", &self.starts_with),
            ("ends with", &self.ends_with),
        ] {
            words.extend(wanted.as_ref().map(|wanted| format!("{word} {wanted:?}")));
        }
        write!(f, "a header `{}`", self.name)?;
        if words.is_empty() { Ok(()) } else { write!(f, " that {}", words.join(" and ")) }
    }
}

/// Statuses: single ones, and whole classes (an extension).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statuses(pub(super) Vec<StatusPattern>);

/// One entry of [`Statuses`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StatusPattern {
    /// `4XX` or `5XX`: its first digit.
    Class(u16),
    /// This one.
    One(u16),
}

impl Statuses {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a status is among them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|pattern| match pattern {
            StatusPattern::Class(digit) => status / 100 == *digit,
            StatusPattern::One(one) => status == *one,
        })
    }

    /// Whether a status is among them by its own number, not by its class.
    #[must_use]
    pub fn names(&self, status: u16) -> bool {
        self.0.contains(&StatusPattern::One(status))
    }

    /// Whether each of them is one that `allowed` says, classes by their least status.
    pub(super) fn all(&self, allowed: impl Fn(u16) -> bool) -> bool {
        self.0.iter().all(|pattern| match pattern {
            StatusPattern::Class(digit) => allowed(digit * 100),
            StatusPattern::One(one) => allowed(*one),
        })
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " or " })?;
            match pattern {
                StatusPattern::Class(digit) => write!(f, "{digit}XX")?,
                StatusPattern::One(one) => write!(f, "{one}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_compared_whole_at_its_start_and_at_its_end() {
        let request = Headers::from_pairs([
            (":authority", "cdn.example"),
            ("x-client", "web"),
            ("accept", "image/png"),
            ("accept", "text/*"),
            ("x-empty", ""),
        ]);
        // Key, Equals, StartsWith, EndsWith; an empty word stands for none.
        let cases = [
            ("x-client", ["web", "", ""], true),
            ("x-client", ["we", "", ""], false),
            ("x-client", ["Web", "", ""], false),
            ("x-client", ["", "w", "b"], true),
            ("x-client", ["", "w", "c"], false),
            ("x-client", ["", "", ""], true),
            ("x-empty", ["", "", ""], true),
            ("x-empty", ["a", "", ""], false),
            ("x-absent", ["", "", ""], false),
            ("accept", ["image/png,text/*", "", ""], false),
            ("accept", ["image/png", "", ""], true),
            ("accept", ["text/*", "", ""], true),
            ("accept", ["", "image/", "/*"], true),
            ("host", ["cdn.example", "", ""], true),
        ];
        for (name, words, expected) in cases {
            let [equals, starts_with, ends_with] =
                words.map(|word| (!word.is_empty()).then(|| word.to_owned()));
            let name = name.to_owned();
            let header = IncludeHeader { name, equals, starts_with, ends_with };
            assert_eq!(header.holds(&request), expected, "{header}");
        }
    }

    #[test]
    fn a_class_holds_its_statuses_and_names_none() {
        let statuses = Statuses(vec![StatusPattern::One(404), StatusPattern::Class(5)]);
        for (status, contained, named) in
            [(404, true, true), (403, false, false), (500, true, false), (599, true, false)]
        {
            let found = (statuses.contains(status), statuses.names(status));
            assert_eq!(found, (contained, named), "{status}");
        }
        assert_eq!(statuses.to_string(), "404 or 5XX");
    }
}
