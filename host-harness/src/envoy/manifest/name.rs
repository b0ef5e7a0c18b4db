//! A name that Kubernetes takes for anything: a label of DNS.

use std::fmt;
use std::str::FromStr;

/// At most 63 lower-case letters, digits and `-`, a letter first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name(pub String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Ok(Self(text.to_owned()));
        }
        Err("expected at most 63 lower-case letters, digits and `-`, a letter first".to_owned())
    }
}

/// Whether a text is a label of DNS.
pub(super) fn is_label(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().last()];
    text.len() <= 63
        && ends.into_iter().all(|end| end.is_some_and(is_word))
        && text.bytes().all(|b| is_word(b) || b == b'-')
}
