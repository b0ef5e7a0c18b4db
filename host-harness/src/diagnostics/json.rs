//! Where in a JSON text a JSON pointer leads.
//!
//! Owns the way from pointers to bytes and nothing else; whether the text is right is the core's.

use std::ops::Range;

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::{Range as Span, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

/// Which side of an element a pointer means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The name; of an element of an array, which has none, the value.
    Name,
    /// The value.
    Value,
}

/// A place in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The element, the last one where its name stands more than once.
    pub span: Range<usize>,
    /// The first one, where its name stands more than once.
    pub earlier: Option<Range<usize>>,
}

/// A JSON text, taken apart with every name where it stands.
pub struct Places<'a> {
    root: Option<Value<'a>>,
    length: usize,
}

impl<'a> Places<'a> {
    /// Takes a text apart. Of a text that is not JSON every place is the whole.
    ///
    /// The parser recurses, so the text must be one that a parser with a depth limit has taken.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let strict = ParseOptions {
            allow_comments: false,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = parse_to_ast(text, &CollectOptions::default(), &strict);
        Self { root: parsed.ok().and_then(|parsed| parsed.value), length: text.len() }
    }

    /// Follows a pointer as far as it leads: of an element that is missing, its parent is found.
    #[must_use]
    pub fn find(&self, pointer: &str, side: Side) -> Found {
        let Some(root) = &self.root else {
            return Found { span: 0..self.length, earlier: None };
        };
        let mut value = root;
        let mut found = Found { span: bytes(root.range()), earlier: None };
        for token in pointer.split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            match value {
                Value::Object(object) => {
                    let mut same = object.properties.iter().filter(|p| p.name.as_str() == name);
                    let Some(first) = same.next() else { break };
                    let last = same.next_back();
                    let earlier = last.map(|_| side_of(first, side));
                    let property = last.unwrap_or(first);
                    found = Found { span: side_of(property, side), earlier };
                    value = &property.value;
                }
                Value::Array(array) => {
                    let element = name.parse().ok().and_then(|at: usize| array.elements.get(at));
                    let Some(element) = element else { break };
                    found = Found { span: bytes(element.range()), earlier: None };
                    value = element;
                }
                Value::StringLit(_)
                | Value::NumberLit(_)
                | Value::BooleanLit(_)
                | Value::NullKeyword(_) => break,
            }
        }
        found
    }
}

fn side_of(property: &ObjectProp<'_>, side: Side) -> Range<usize> {
    bytes(match side {
        Side::Name => property.name.range(),
        Side::Value => property.value.range(),
    })
}

fn bytes(span: Span) -> Range<usize> {
    span.start..span.end
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"a": [1, {"b/c": "x", "~": 2}], "a": [7], "ä": true}"#;

    #[track_caller]
    fn finds(pointer: &str, side: Side, expected: &str) {
        let found = Places::of(TEXT).find(pointer, side);
        assert_eq!(&TEXT[found.span], expected, "{pointer}");
    }

    #[test]
    fn pointers_lead_to_names_and_values() {
        finds("", Side::Value, TEXT);
        finds("/ä", Side::Value, "true");
        finds("/ä", Side::Name, "\"ä\"");
        finds("/a/0", Side::Name, "7");
    }

    #[test]
    fn of_equal_names_the_last_is_meant_and_the_first_is_known() {
        let found = Places::of(TEXT).find("/a", Side::Name);
        assert_eq!((found.span, found.earlier), (33..36, Some(1..4)));
    }

    #[test]
    fn escapes_are_undone() {
        let text = r#"[{"b/c": "x", "~": 2}]"#;
        let places = Places::of(text);
        assert_eq!(&text[places.find("/0/b~1c", Side::Value).span], "\"x\"");
        assert_eq!(&text[places.find("/0/~0", Side::Value).span], "2");
    }

    #[test]
    fn of_a_missing_element_the_parent_is_found() {
        finds("/a/5/x", Side::Value, "[7]");
        finds("/nowhere", Side::Name, TEXT);
        finds("/ä/deeper", Side::Value, "true");
    }

    #[test]
    fn a_text_that_is_not_json_has_one_place() {
        for text in ["", "{,}", "[1,]", "// x\n1", "{'a': 1}"] {
            let found = Places::of(text).find("/a", Side::Name);
            assert_eq!(found.span, 0..text.len(), "{text}");
        }
    }
}
