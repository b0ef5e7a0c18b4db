//! A tree as XML.

use std::fmt::Write as _;

use super::loss;
use crate::diagnostics::Problem;
use crate::rule_file::tree::{Kind, Node};
use crate::rule_file::vocabulary::{Content, Element, Shape, WEBSITE, named};

/// A whole document, in lines.
pub(super) fn document(root: &Node, namespace: Option<&str>, losses: &mut Vec<Problem>) -> String {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<WebsiteConfiguration".to_owned();
    if let Some(namespace) = namespace {
        // Writing into a string cannot fail.
        let _ = write!(out, " xmlns=\"{namespace}\"");
    }
    out.push_str(">\n");
    let mut writing = Writing { out, losses };
    writing.fields(root, WEBSITE, "", 1);
    writing.out.push_str("</WebsiteConfiguration>\n");
    writing.out
}

struct Writing<'a> {
    out: String,
    losses: &'a mut Vec<Problem>,
}

impl Writing<'_> {
    fn fields(&mut self, node: &Node, elements: &'static [Element], pointer: &str, depth: usize) {
        for field in node.fields() {
            // The structure is sound: every element is known.
            let Some(element) = named(elements, &field.name) else { continue };
            let pointer = format!("{pointer}/{}", field.name);
            if !element.repeats {
                self.element(element.name, &field.node, &element.shape, &pointer, depth);
                continue;
            }
            for (index, item) in field.node.items().iter().enumerate() {
                let pointer = format!("{pointer}/{index}");
                self.element(element.name, item, &element.shape, &pointer, depth);
            }
        }
    }

    fn element(&mut self, name: &str, node: &Node, shape: &Shape, pointer: &str, depth: usize) {
        let indent = "  ".repeat(depth);
        let _ = write!(self.out, "{indent}<{name}>");
        let is_container = match shape.content() {
            Content::Elements(elements) => {
                self.out.push('\n');
                self.fields(node, elements, pointer, depth + 1);
                true
            }
            Content::Items(item, of) => {
                self.out.push('\n');
                for (index, value) in node.items().iter().enumerate() {
                    self.element(item, value, of, &format!("{pointer}/{index}"), depth + 1);
                }
                true
            }
            Content::Scalar => {
                self.scalar(node, pointer);
                false
            }
        };
        let indent = if is_container { indent.as_str() } else { "" };
        let _ = writeln!(self.out, "{indent}</{name}>");
    }

    fn scalar(&mut self, node: &Node, pointer: &str) {
        match &node.kind {
            Kind::Boolean(value) => drop(write!(self.out, "{value}")),
            Kind::Fraction(digits) => self.out.push_str(digits),
            Kind::Integer(value) => drop(write!(self.out, "{value}")),
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.scalar(item, pointer);
                }
            }
            Kind::Nothing | Kind::Object(_) => {}
            Kind::Text(text) => {
                if !text.chars().all(is_xml) {
                    let message = "XML has no such control characters: they are replaced";
                    self.losses.push(loss(node, message).at(pointer));
                }
                escape(text, &mut self.out);
            }
        }
    }
}

/// Whether XML 1.0 has a character.
const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As it stands it would be read as a line feed.
            '\r' => out.push_str("&#13;"),
            c if is_xml(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}
