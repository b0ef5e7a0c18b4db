//! A rule file as a tree that knows where each of its parts stands, whatever it was written in.
//!
//! Owns the tree, the way from JSON pointers to bytes, and the tree's form as JSON.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// A value and where it stands, in bytes of the text.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// Without its content: it may be a secret.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("span", &self.span).finish_non_exhaustive()
    }
}

/// What a value is.
#[derive(Clone)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Boolean(bool),
    /// A number that is not whole, or too large to be one, as it was written.
    Fraction(String),
    /// A whole number.
    Integer(i64),
    /// Values in their order.
    List(Vec<Node>),
    /// JSON's `null`: as if it was not there.
    Nothing,
    /// Elements by name, in their order and not yet unique.
    Object(Vec<Field>),
    /// A text.
    Text(String),
}

/// An element of an object.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) name_span: Range<usize>,
    pub(crate) node: Node,
}

impl Field {
    /// An element that the text does not have; findings about it point at what it stands for.
    pub(crate) fn implied(name: &str, kind: Kind, span: &Range<usize>) -> Self {
        let node = Node { kind, span: span.clone() };
        Self { name: name.to_owned(), name_span: span.clone(), node }
    }
}

/// The most elements of one object; none has sixty.
pub(super) const MAX_FIELDS: usize = 256;

/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// The most items of one list; a file of S3's may have fifty rules.
const MAX_ITEMS: usize = 1_024;

/// A place in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    /// The element, the first one where its name stands more than once.
    pub(crate) span: Range<usize>,
    /// The last one, where its name stands more than once.
    pub(crate) again: Option<Range<usize>>,
}

/// Which side of an element is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// The name; of an element of a list, which has none, the value.
    Name,
    /// The value.
    Value,
}

impl Node {
    /// The elements of an object; nothing of anything else.
    pub(crate) fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Object(fields) => fields,
            Kind::Boolean(_)
            | Kind::Fraction(_)
            | Kind::Integer(_)
            | Kind::List(_)
            | Kind::Nothing
            | Kind::Text(_) => &[],
        }
    }

    /// The values of a list; nothing of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Boolean(_)
            | Kind::Fraction(_)
            | Kind::Integer(_)
            | Kind::Nothing
            | Kind::Object(_)
            | Kind::Text(_) => &[],
        }
    }

    /// The field of a name, the first where there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name)
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.field(name).map(|field| &field.node)
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Boolean(_)
            | Kind::Fraction(_)
            | Kind::Integer(_)
            | Kind::List(_)
            | Kind::Nothing
            | Kind::Object(_) => None,
        }
    }

    /// A whole number.
    pub(crate) const fn integer(&self) -> Option<i64> {
        match self.kind {
            Kind::Integer(number) => Some(number),
            Kind::Boolean(_)
            | Kind::Fraction(_)
            | Kind::List(_)
            | Kind::Nothing
            | Kind::Object(_)
            | Kind::Text(_) => None,
        }
    }

    /// Whether it is `true`.
    pub(crate) const fn is_true(&self) -> bool {
        matches!(self.kind, Kind::Boolean(true))
    }

    /// The first object or list that has more in it than any file needs: looking for what stands
    /// twice, or for the name that was meant, would take too long.
    pub(crate) fn overfull(&self) -> Option<&Self> {
        let is_overfull = self.fields().len() > MAX_FIELDS
            || self.items().len() > MAX_ITEMS
            || self.fields().iter().any(|field| field.name.len() > MAX_NAME);
        if is_overfull {
            return Some(self);
        }
        let below = self.fields().iter().map(|field| &field.node).chain(self.items());
        below.into_iter().find_map(Self::overfull)
    }

    /// Follows a pointer as far as it leads: of an element that is missing, its parent is found.
    pub(crate) fn find(&self, pointer: &str, side: Side) -> Found {
        let mut node = self;
        let mut found = Found { span: self.span.clone(), again: None };
        for token in pointer.split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            match &node.kind {
                Kind::Object(fields) => {
                    let mut same = fields.iter().filter(|field| field.name == name);
                    let Some(first) = same.next() else { break };
                    let span = |field: &Field| match side {
                        Side::Name => field.name_span.clone(),
                        Side::Value => field.node.span.clone(),
                    };
                    found = Found { span: span(first), again: same.next_back().map(span) };
                    node = &first.node;
                }
                Kind::List(items) => {
                    let item = name.parse().ok().and_then(|at: usize| items.get(at));
                    let Some(item) = item else { break };
                    found = Found { span: item.span.clone(), again: None };
                    node = item;
                }
                Kind::Boolean(_)
                | Kind::Fraction(_)
                | Kind::Integer(_)
                | Kind::Nothing
                | Kind::Text(_) => break,
            }
        }
        found
    }

    /// The tree as JSON, every name as often as it stands; in lines where an indentation is given.
    pub(crate) fn json(&self, indented: bool) -> String {
        let mut out = String::new();
        self.write(indented.then_some(0), &mut out);
        out
    }

    fn write(&self, depth: Option<usize>, out: &mut String) {
        match &self.kind {
            // Writing into a string cannot fail.
            Kind::Boolean(value) => drop(write!(out, "{value}")),
            Kind::Fraction(digits) => out.push_str(digits),
            Kind::Integer(value) => drop(write!(out, "{value}")),
            Kind::Nothing => out.push_str("null"),
            Kind::Text(text) => out.push_str(&quoted(text)),
            Kind::List(items) => {
                let write = |item: &Self, depth, out: &mut String| item.write(depth, out);
                bracketed(('[', ']'), items, depth, out, write);
            }
            Kind::Object(fields) => {
                let write = |field: &Field, depth: Option<usize>, out: &mut String| {
                    out.push_str(&quoted(&field.name));
                    out.push_str(if depth.is_some() { ": " } else { ":" });
                    field.node.write(depth, out);
                };
                bracketed(('{', '}'), fields, depth, out, write);
            }
        }
    }
}

/// Items between brackets, each on its line where there is a depth.
fn bracketed<T>(
    (open, close): (char, char),
    items: &[T],
    depth: Option<usize>,
    out: &mut String,
    write: impl Fn(&T, Option<usize>, &mut String),
) {
    let new_line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if let Some(depth) = depth {
            new_line(depth + 1, out);
        }
        write(item, depth.map(|depth| depth + 1), out);
    }
    if let (Some(depth), false) = (depth, items.is_empty()) {
        new_line(depth, out);
    }
    out.push(close);
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name as a token of a JSON pointer.
pub(crate) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_file::json;

    const TEXT: &str = r#"{"a": [1, {"b/c": "x", "~": 2}], "a": [7], "ä": true}"#;

    #[track_caller]
    fn finds(pointer: &str, side: Side, expected: &str) {
        let found = json::parse(TEXT).unwrap().find(pointer, side);
        assert_eq!(&TEXT[found.span], expected, "{pointer}");
    }

    #[test]
    fn pointers_lead_to_names_and_values() {
        finds("", Side::Value, TEXT);
        finds("/ä", Side::Value, "true");
        finds("/ä", Side::Name, "\"ä\"");
        finds("/a/0", Side::Name, "1");
    }

    #[test]
    fn of_equal_names_the_first_is_meant_and_the_last_is_known() {
        let found = json::parse(TEXT).unwrap().find("/a", Side::Name);
        assert_eq!((found.span, found.again), (1..4, Some(33..36)));
    }

    #[test]
    fn escapes_are_undone() {
        finds("/a/1/b~1c", Side::Value, "\"x\"");
        finds("/a/1/~0", Side::Value, "2");
    }

    #[test]
    fn of_a_missing_element_the_parent_is_found() {
        finds("/a/5/x", Side::Value, r#"[1, {"b/c": "x", "~": 2}]"#);
        finds("/nowhere", Side::Name, TEXT);
        finds("/ä/deeper", Side::Value, "true");
    }

    #[test]
    fn a_tree_is_written_as_it_was_read() {
        let compact = r#"{"a":[1,{"b":"\"\n"}],"a":[],"c":{},"d":1.50,"e":null,"f":false}"#;
        let tree = json::parse(compact).unwrap();
        assert_eq!(tree.json(false), compact);
        let lines = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"\\\"\\n\"\n    }\n  ],\n  \
                     \"a\": [],\n  \"c\": {},\n  \"d\": 1.50,\n  \"e\": null,\n  \"f\": false\n}";
        assert_eq!(tree.json(true), lines);
    }
}
