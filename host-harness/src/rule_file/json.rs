//! JSON as a tree.

use std::ops::Range;

use back_to_origin::finding::Code::Syntax;
use jsonc_parser::ast::Value;
use jsonc_parser::common::{Range as Span, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::tree::{Field, Kind, Node};
use crate::diagnostics::{Document, Problem};

/// Reads a text.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    // This reader has a depth limit, and words what is not JSON.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let document = Document { path: String::new(), text: text.to_owned() };
        let at = document.offset(error.line(), error.column());
        let next = text[at..].chars().next().map_or(0, char::len_utf8);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let message = format!("the text is not JSON: {message}");
        problems.push(Problem::error(Syntax.as_str(), at..at + next, message));
        return None;
    }
    parse(text)
}

/// Reads a text. `None` if it is not JSON.
///
/// The parser recurses, so the text must be one that a parser with a depth limit has taken.
pub(super) fn parse(text: &str) -> Option<Node> {
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
    let parsed = parse_to_ast(text, &CollectOptions::default(), &strict).ok()?;
    Some(node(&parsed.value?))
}

fn node(value: &Value<'_>) -> Node {
    let kind = match value {
        Value::Array(array) => {
            Kind::List(array.elements.iter().map(|element| node(element)).collect())
        }
        Value::BooleanLit(literal) => Kind::Boolean(literal.value),
        Value::NullKeyword(_) => Kind::Nothing,
        Value::NumberLit(literal) => match literal.value.parse() {
            Ok(number) => Kind::Integer(number),
            Err(_) => Kind::Fraction(literal.value.to_owned()),
        },
        Value::Object(object) => {
            let field = |property: &jsonc_parser::ast::ObjectProp<'_>| Field {
                name: property.name.as_str().to_owned(),
                name_span: bytes(property.name.range()),
                node: node(&property.value),
            };
            Kind::Object(object.properties.iter().map(field).collect())
        }
        Value::StringLit(literal) => Kind::Text(literal.value.to_string()),
    };
    Node { kind, span: bytes(value.range()) }
}

const fn bytes(span: Span) -> Range<usize> {
    span.start..span.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_json_is_none() {
        for text in ["", "{,}", "[1,]", "// x\n1", "{'a': 1}"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
