//! The deployment file as a tree that knows where each of its parts stands.
//!
//! Owns the step from text to tree; what the parts mean is [`mod@super::section`]'s and
//! [`super::value`]'s.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A part of the file and where it stands, in bytes.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// Without its content: it may be a secret.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("span", &self.span).finish_non_exhaustive()
    }
}

/// What a part is.
#[derive(Clone)]
pub(super) enum Kind {
    List(Vec<Node>),
    Mapping(Vec<Entry>),
    Nothing,
    /// A scalar as it was written, without its quotes.
    Text(String),
}

/// A key and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: usize,
}

impl Node {
    /// A scalar that no file has: a default.
    pub(super) fn default_text(text: &str) -> Self {
        Self { kind: Kind::Text(text.to_owned()), span: 0..0 }
    }

    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let options = serde_saphyr::options! { with_snippet: false };
        match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
            Ok(raw) => Ok(Self::from_raw(raw, text)),
            Err(error) => {
                let location = error.location();
                let message = error.to_string();
                // The place is drawn, so the sentence need not name it again.
                let message = message.split(" at line ").next().unwrap_or_default();
                let message = message.lines().next().unwrap_or_default().to_owned();
                let at = location.map_or(0, |location| start(location, text));
                Err(SyntaxError { message, at })
            }
        }
    }

    fn from_raw(raw: Spanned<Raw>, text: &str) -> Self {
        let span = bytes(raw.defined, text);
        let kind = match raw.value {
            Raw::List(items) => {
                Kind::List(items.into_iter().map(|item| Self::from_raw(item, text)).collect())
            }
            Raw::Mapping(entries) => Kind::Mapping(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key_span: bytes(key.defined, text),
                        key: key.value,
                        value: Self::from_raw(value, text),
                    })
                    .collect(),
            ),
            Raw::Nothing => Kind::Nothing,
            Raw::Plain => Kind::Text(text[span.clone()].trim().to_owned()),
            Raw::Text(text) => Kind::Text(text),
        };
        Self { kind, span }
    }

    /// The value of a key in a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            Kind::List(_) | Kind::Nothing | Kind::Text(_) => None,
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::List(_) | Kind::Mapping(_) | Kind::Nothing => None,
        }
    }

    /// What stands there, in words; never the text itself, which may be a secret.
    pub(super) const fn words(&self) -> &'static str {
        match self.kind {
            Kind::List(_) => "a list",
            Kind::Mapping(_) => "a mapping",
            Kind::Nothing => "nothing",
            Kind::Text(_) => "a text",
        }
    }
}

fn bytes(location: Location, text: &str) -> Range<usize> {
    let start = start(location, text);
    let length = location.span().byte_len().and_then(|length| usize::try_from(length).ok());
    start..text.floor_char_boundary(start + length.unwrap_or_default()).max(start)
}

/// Where a location starts; some errors of the parser know it only in characters.
fn start(location: Location, text: &str) -> usize {
    let span = location.span();
    let bytes = span.byte_offset().and_then(|bytes| usize::try_from(bytes).ok());
    let characters = usize::try_from(span.offset()).unwrap_or(usize::MAX);
    let counted = || text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    text.floor_char_boundary(bytes.unwrap_or_else(counted))
}

/// The tree as the parser hands it over. A number or a boolean is only noted: which text it was is
/// read from the file, so that a name made of digits keeps its zeros.
enum Raw {
    List(Vec<Spanned<Self>>),
    Mapping(Vec<(Spanned<String>, Spanned<Self>)>),
    Nothing,
    Plain,
    Text(String),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        match Node::parse(text).unwrap().kind {
            Kind::Mapping(entries) => entries,
            Kind::List(_) | Kind::Nothing | Kind::Text(_) => panic!("no mapping: {text}"),
        }
    }

    #[test]
    fn scalars_keep_the_text_they_were_written_with() {
        let text =
            "a: 0012\nb: 1e5\nc: true\nd: \"x y\"\ne: 12345678901234567890123\nf: 2026-01-01\n";
        let texts: Vec<_> = entries(text)
            .into_iter()
            .map(|entry| match entry.value.kind {
                Kind::Text(text) => text,
                Kind::List(_) | Kind::Mapping(_) | Kind::Nothing => panic!("{}", entry.key),
            })
            .collect();
        assert_eq!(texts, ["0012", "1e5", "true", "x y", "12345678901234567890123", "2026-01-01"]);
    }

    #[test]
    fn places_are_bytes_of_the_file() {
        let text = "ä: 1\nlist:\n  - key: value\n";
        let entries = entries(text);
        assert_eq!(&text[entries[0].key_span.clone()], "ä");
        assert_eq!(&text[entries[1].key_span.clone()], "list");
        let Kind::List(items) = &entries[1].value.kind else { panic!("no list") };
        let Kind::Mapping(inner) = &items[0].kind else { panic!("no mapping") };
        assert_eq!(&text[inner[0].key_span.clone()], "key");
        assert_eq!(&text[inner[0].value.span.clone()], "value");
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        let text = "a: 1\nb: [1, 2\n";
        let error = Node::parse(text).unwrap_err();
        assert!(error.at >= 5, "{error:?}");
        assert!(!error.message.is_empty());
    }

    #[test]
    fn a_key_twice_is_refused_where_it_stands() {
        let error = Node::parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.at, 10, "{error:?}");
    }
}
