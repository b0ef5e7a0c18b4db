//! A JSON document as it was written, and readers that collect every finding on the way.
//!
//! `serde_json`'s own tree keeps the last of two equal names; a rule set with a name twice is
//! ambiguous and refused, so the tree here keeps them all.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::finding::{Code, Finding, Place};
use crate::http::percent;

/// A JSON value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    /// `true` or `false`.
    Bool(bool),
    /// A number that is not whole, or does not fit; no element takes one.
    Fraction,
    /// A whole number.
    Integer(i64),
    /// An array.
    List(Vec<Self>),
    /// `null`.
    Null,
    /// An object, its names in order and not yet unique.
    Object(Vec<(String, Self)>),
    /// A string.
    Text(String),
}

impl Node {
    /// Reads a document; the finding says where the text stops being JSON.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Finding> {
        serde_json::from_slice(text).map_err(|error| {
            let place = Place::Position { line: error.line(), column: error.column().max(1) };
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Finding::error(Code::Syntax, place, format!("the text is not JSON: {message}"))
        })
    }

    /// Whether it is this string.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Fraction => "a fraction",
            Self::Integer(_) => "a number",
            Self::List(_) => "an array",
            Self::Null => "null",
            Self::Object(_) => "an object",
            Self::Text(_) => "a string",
        }
    }

    /// What was found, for a message: short values as they stand, long ones by their type.
    fn found(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(text) if text.chars().count() <= 60 => {
                format!("\"{}\"", percent::readable(text.as_bytes()))
            }
            Self::Fraction | Self::List(_) | Self::Null | Self::Object(_) | Self::Text(_) => {
                self.kind().to_owned()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Fraction, Node::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Object(fields))
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct At<'n> {
    pub(crate) node: &'n Node,
    pub(crate) pointer: String,
}

impl<'n> At<'n> {
    /// The whole document.
    pub(crate) const fn root(node: &'n Node) -> Self {
        Self { node, pointer: String::new() }
    }

    /// A finding at this value, of the shape "expected, found".
    pub(crate) fn wrong(&self, code: Code, expected: &str) -> Finding {
        let message = format!("expected {expected}, found {}", self.node.found());
        Finding::error(code, Place::value(&self.pointer), message)
    }

    /// The same without what was found: it may be a secret.
    pub(crate) fn wrong_unseen(&self, code: Code, expected: &str) -> Finding {
        let message = format!("expected {expected}, found {} that is not shown", self.node.kind());
        Finding::error(code, Place::value(&self.pointer), message)
    }

    /// The fields of an object, duplicates reported.
    pub(crate) fn object(&self, findings: &mut Vec<Finding>) -> Option<Fields<'n>> {
        let Node::Object(fields) = self.node else {
            findings.push(self.wrong(Code::WrongType, "an object"));
            return None;
        };
        let mut seen: Vec<(&str, At<'n>)> = Vec::with_capacity(fields.len());
        for (name, node) in fields {
            let pointer = format!("{}/{}", self.pointer, escape(name));
            if seen.iter().any(|(known, _)| known == name) {
                let message = format!("`{name}` stands twice in the same object");
                findings.push(
                    Finding::error(Code::DuplicateElement, Place::name(pointer), message)
                        .help("keep one of the two"),
                );
            } else {
                seen.push((name, At { node, pointer }));
            }
        }
        Some(Fields { pointer: self.pointer.clone(), fields: seen })
    }

    /// The items of an array.
    pub(crate) fn list(&self, findings: &mut Vec<Finding>) -> Option<Vec<Self>> {
        let Node::List(items) = self.node else {
            findings.push(self.wrong(Code::WrongType, "an array"));
            return None;
        };
        let place = |(index, node)| Self { node, pointer: format!("{}/{index}", self.pointer) };
        Some(items.iter().enumerate().map(place).collect())
    }

    /// A string.
    pub(crate) fn text(&self, findings: &mut Vec<Finding>) -> Option<&'n str> {
        let Node::Text(text) = self.node else {
            findings.push(self.wrong(Code::WrongType, "a string"));
            return None;
        };
        Some(text)
    }

    /// A boolean, or its word: S3's console writes every value as a string, one SDK `True`.
    pub(crate) fn boolean(&self, findings: &mut Vec<Finding>) -> Option<bool> {
        let word = match self.node {
            Node::Bool(value) => return Some(*value),
            Node::Text(word) => word.as_str(),
            Node::Fraction | Node::Integer(_) | Node::List(_) | Node::Null | Node::Object(_) => "",
        };
        if word.eq_ignore_ascii_case("true") {
            Some(true)
        } else if word.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            findings.push(self.wrong(Code::WrongType, "true or false"));
            None
        }
    }

    /// A whole number, or its digits in a string.
    pub(crate) fn integer(&self, findings: &mut Vec<Finding>) -> Option<i64> {
        let number = match self.node {
            Node::Integer(number) => Some(*number),
            Node::Text(digits) => digits.parse().ok(),
            Node::Bool(_) | Node::Fraction | Node::List(_) | Node::Null | Node::Object(_) => None,
        };
        if number.is_none() {
            findings.push(self.wrong(Code::WrongType, "a whole number"));
        }
        number
    }
}

/// The fields of one object.
pub(crate) struct Fields<'n> {
    pointer: String,
    fields: Vec<(&'n str, At<'n>)>,
}

impl<'n> Fields<'n> {
    /// The object's own place.
    pub(crate) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Every name, in the order of the text.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'n str, &At<'n>)> {
        self.fields.iter().map(|(name, at)| (*name, at))
    }

    /// A field; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&At<'n>> {
        let (_, at) = self.fields.iter().find(|(known, _)| *known == name)?;
        (*at.node != Node::Null).then_some(at)
    }

    /// A field that must be there.
    pub(crate) fn require(&self, name: &str, findings: &mut Vec<Finding>) -> Option<&At<'n>> {
        let found = self.get(name);
        if found.is_none() {
            let message = format!("`{name}` is missing");
            findings.push(Finding::error(
                Code::MissingElement,
                Place::name(&self.pointer),
                message,
            ));
        }
        found
    }

    /// Reports every field that is none of `known`, with the nearest that is.
    pub(crate) fn only(&self, known: &[&str], findings: &mut Vec<Finding>) {
        for (name, at) in self.names() {
            if !known.contains(&name) {
                findings.push(unknown(name, at, known));
            }
        }
    }
}

/// The finding for a name that is none of `known`.
pub(crate) fn unknown(name: &str, at: &At<'_>, known: &[&str]) -> Finding {
    let message = format!("`{name}` is no element of this place");
    let finding = Finding::error(Code::UnknownElement, Place::name(&at.pointer), message);
    match nearest(name, known) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("known here: {}", known.join(", "))),
    }
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |candidate: &str| {
        strsim::levenshtein(&name.to_ascii_lowercase(), &candidate.to_ascii_lowercase())
    };
    let near = known.iter().copied().min_by_key(|candidate| distance(candidate))?;
    (distance(near) <= near.len().min(name.len()) / 3).then_some(near)
}

/// A name as a token of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_found_at_its_place() {
        let node = Node::parse(br#"{"a/b": 1, "a/b": 2}"#).unwrap();
        let mut findings = Vec::new();
        At::root(&node).object(&mut findings);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, Code::DuplicateElement);
        assert_eq!(findings[0].place, Place::name("/a~1b"));
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest() {
        assert_eq!(nearest("mirrorurl", &["MirrorURL", "HostName"]), Some("MirrorURL"));
        assert_eq!(nearest("KeyPrefixEqual", &["KeyPrefixEquals"]), Some("KeyPrefixEquals"));
        assert_eq!(nearest("Zebra", &["MirrorURL", "HostName"]), None);
    }

    #[test]
    fn text_that_is_no_json_is_found_at_its_line() {
        let finding = Node::parse(b"{\n  \"a\": ,\n}").unwrap_err();
        assert_eq!(finding.place, Place::Position { line: 2, column: 8 });
        assert!(Node::parse(&b"[".repeat(100_000)).is_err(), "nesting is bounded");
    }
}
