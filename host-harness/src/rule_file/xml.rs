//! XML as a tree: which children are items of a list, and which text is a value's.
//!
//! Names and types are the vocabulary's. Whether the elements are right is not decided here.

use std::ops::Range;

use back_to_origin::finding::Code::{Syntax, UnknownElement};
use roxmltree::{Document, Error, ParsingOptions, TextPos};

use super::Dialect;
use super::code::Code;
use super::tree::{Field, Kind, MAX_FIELDS, Node, token};
use super::vocabulary::{Content, Element, Shape, WEBSITE, named};
use crate::diagnostics::Problem;
use crate::secrecy::Hidden;

/// S3's namespace.
pub(super) const S3: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// OSS's namespace, which most of its clients leave out.
const OSS: &str = "http://doc.oss-cn-hangzhou.aliyuncs.com";

/// Namespaces whose attributes say nothing about rules.
const NEUTRAL: [&str; 2] =
    ["http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2001/XMLSchema-instance"];

/// The most elements, attributes and texts of a file; twenty full rules have two thousand.
const MAX_NODES: u32 = 65_536;

/// The most attributes of a file, `xmlns` among them; the parser compares each to each.
const MAX_ATTRIBUTES: usize = 256;

/// How deep elements may stand in each other where nobody knows them.
const MAX_DEPTH: usize = 16;

/// A file's tree, and its dialect where the namespace tells it.
pub(super) struct Xml {
    pub(super) root: Node,
    pub(super) dialect: Option<Dialect>,
}

/// Reads a text.
pub(super) fn parse(text: &str, problems: &mut Vec<Problem>, hidden: &mut Hidden) -> Option<Xml> {
    if let Some((name, span)) = other_encoding(text) {
        let message = format!("expected UTF-8, and the file says it is {name}");
        problems.push(
            Problem::error(Code::Encoding.as_str(), span, message)
                .help("save the file as UTF-8, and let its first line say so or nothing"),
        );
    }
    if let Some(at) = many_attributes(text) {
        let message = format!("more than {MAX_ATTRIBUTES} attributes");
        problems.push(Problem::error(Code::TooLarge.as_str(), at..at, message));
        return None;
    }
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(error) => {
            problems.push(syntax(&error, text));
            return None;
        }
    };
    let root = document.root_element();
    let mut reading = Reading { text, problems, hidden };
    let name = root.tag_name();
    let is_list = name.name() == "RoutingRules";
    if !is_list && !matches!(name.name(), "WebsiteConfiguration" | "Website") {
        let message =
            format!("expected `WebsiteConfiguration` or `RoutingRules`, found `{}`", name.name());
        let span = reading.name_span(root);
        reading.problems.push(Problem::error(UnknownElement.as_str(), span, message));
        return None;
    }
    let dialect = match name.namespace() {
        None => None,
        Some(S3) => Some(Dialect::S3),
        Some(namespace) if namespace.trim_end_matches('/') == OSS => Some(Dialect::Oss),
        Some(other) => {
            let message = format!("expected OSS's namespace, S3's or none, found `{other}`");
            let span = reading.name_span(root);
            reading.problems.push(
                Problem::error(Code::Namespace.as_str(), span, message)
                    .help("leave the `xmlns` out for OSS"),
            );
            None
        }
    };
    if !is_list {
        reading.attributes(root, "");
        return Some(Xml { root: reading.object(root, WEBSITE, "", 0), dialect });
    }
    // S3's guide and its console show the rules alone.
    let pointer = "/RoutingRules";
    let shape = named(WEBSITE, "RoutingRules").map(|element| &element.shape);
    let node = reading.value(root, shape, pointer, 1);
    reading.attributes(root, pointer);
    let (span, name_span) = (node.span.clone(), reading.name_span(root));
    let rules = Field { name: "RoutingRules".to_owned(), name_span, node };
    Some(Xml { root: Node { kind: Kind::Object(vec![rules]), span }, dialect })
}

struct Reading<'a> {
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    /// Values that are not where a value belongs: nobody knows of what they are.
    hidden: &'a mut Hidden,
}

type Xmlish<'a, 'i> = roxmltree::Node<'a, 'i>;

impl Reading<'_> {
    fn value(
        &mut self,
        node: Xmlish<'_, '_>,
        shape: Option<&'static Shape>,
        pointer: &str,
        depth: usize,
    ) -> Node {
        match shape.copied().map(Shape::content) {
            Some(Content::Elements(elements)) => self.object(node, elements, pointer, depth),
            Some(Content::Items(item, of)) => self.list(node, item, of, pointer, depth),
            Some(Content::Scalar) | None => {
                if node.children().any(|child| child.is_element()) {
                    self.object(node, &[], pointer, depth)
                } else {
                    self.leaf(node)
                }
            }
        }
    }

    fn leaf(&self, node: Xmlish<'_, '_>) -> Node {
        let mut text = String::new();
        let mut span: Option<Range<usize>> = None;
        for child in node.children().filter(|child| child.is_text()) {
            text.push_str(child.text().unwrap_or_default());
            let start = span.map_or_else(|| child.range().start, |span| span.start);
            span = Some(start..child.range().end);
        }
        let span = span.unwrap_or_else(|| node.range());
        let written = &self.text[span.clone()];
        let start = span.start + written.len() - written.trim_start().len();
        Node { kind: Kind::Text(text), span: start..start + written.trim().len() }
    }

    fn object(
        &mut self,
        node: Xmlish<'_, '_>,
        elements: &'static [Element],
        pointer: &str,
        depth: usize,
    ) -> Node {
        let span = node.range();
        let mut fields: Vec<Field> = Vec::new();
        if depth >= MAX_DEPTH {
            let message = format!("elements stand more than {MAX_DEPTH} deep in each other");
            let at = self.name_span(node);
            self.problems.push(Problem::error(Code::UnexpectedText.as_str(), at, message));
            return Node { kind: Kind::Object(fields), span };
        }
        for child in node.children() {
            if !self.is_element(node, child, pointer) {
                continue;
            }
            if fields.len() > MAX_FIELDS {
                break;
            }
            let name = child.tag_name().name();
            let known = named(elements, name);
            let pointer = format!("{pointer}/{}", token(name));
            let name_span = self.name_span(child);
            let repeats = known.is_some_and(|element| element.repeats);
            let shape = known.map(|element| &element.shape);
            if !repeats {
                let node = self.value(child, shape, &pointer, depth + 1);
                self.attributes(child, &pointer);
                fields.push(Field { name: name.to_owned(), name_span, node });
                continue;
            }
            let same = fields.iter().position(|field| field.name == name);
            let index = same.map_or(0, |same| fields[same].node.items().len());
            let pointer = format!("{pointer}/{index}");
            let item = self.value(child, shape, &pointer, depth + 1);
            self.attributes(child, &pointer);
            match same.map(|same| &mut fields[same].node.kind) {
                Some(Kind::List(items)) => items.push(item),
                Some(_) | None => {
                    let span = item.span.clone();
                    let node = Node { kind: Kind::List(vec![item]), span };
                    fields.push(Field { name: name.to_owned(), name_span, node });
                }
            }
        }
        Node { kind: Kind::Object(fields), span }
    }

    fn list(
        &mut self,
        node: Xmlish<'_, '_>,
        item: &str,
        of: &'static Shape,
        pointer: &str,
        depth: usize,
    ) -> Node {
        let mut items = Vec::new();
        for child in node.children() {
            if !self.is_element(node, child, pointer) {
                continue;
            }
            let name = child.tag_name().name();
            if name != item {
                let message = format!("`{name}` is no element of this place");
                self.problems.push(
                    Problem::error(UnknownElement.as_str(), self.name_span(child), message)
                        .at(format!("{pointer}/{}", token(name)))
                        .help(format!("known here: {item}")),
                );
                continue;
            }
            let pointer = format!("{pointer}/{}", items.len());
            items.push(self.value(child, Some(of), &pointer, depth + 1));
            self.attributes(child, &pointer);
        }
        Node { kind: Kind::List(items), span: node.range() }
    }

    /// Whether a child counts; text between elements is noted.
    fn is_element(&mut self, parent: Xmlish<'_, '_>, child: Xmlish<'_, '_>, pointer: &str) -> bool {
        if child.is_text() {
            let text = child.text().unwrap_or_default();
            if !text.trim().is_empty() {
                let written = &self.text[child.range()];
                let start = child.range().start + written.len() - written.trim_start().len();
                let span = start..start + written.trim().len();
                self.hidden.cover([span.clone()]);
                let name = parent.tag_name().name();
                let message = format!("expected elements inside `{name}`, found text");
                self.problems
                    .push(Problem::error(Code::UnexpectedText.as_str(), span, message).at(pointer));
            }
            return false;
        }
        if !child.is_element() {
            return false;
        }
        if child.tag_name().namespace() != parent.tag_name().namespace() {
            let name = child.tag_name().name();
            let message = format!("`{name}` is of another namespace than what it stands in");
            self.problems.push(
                Problem::error(Code::Namespace.as_str(), self.name_span(child), message)
                    .at(format!("{pointer}/{}", token(name)))
                    .help("one `xmlns`, at the first element, is enough"),
            );
        }
        true
    }

    fn attributes(&mut self, node: Xmlish<'_, '_>, pointer: &str) {
        for attribute in node.attributes() {
            if attribute.namespace().is_some_and(|namespace| NEUTRAL.contains(&namespace)) {
                continue;
            }
            let message = format!(
                "`{}` has no attributes, found `{}`",
                node.tag_name().name(),
                attribute.name()
            );
            let span = attribute.range();
            self.hidden.cover([attribute.range_value()]);
            self.problems.push(
                Problem::error(Code::UnexpectedText.as_str(), span, message)
                    .at(pointer)
                    .help("write it as an element"),
            );
        }
    }

    /// Where an element's name stands.
    fn name_span(&self, node: Xmlish<'_, '_>) -> Range<usize> {
        let start = node.range().start + 1;
        let end = self.text[start..]
            .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
            .map_or(self.text.len(), |length| start + length);
        start..end
    }
}

/// Where a text has more attributes than a file may have, as far as that can be seen from outside:
/// by the equals signs in its tags.
fn many_attributes(text: &str) -> Option<usize> {
    let mut count = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find('<') {
        at += open;
        let rest = &text[at..];
        let end =
            |mark: &str| rest.find(mark).map_or(text.len(), |length| at + length + mark.len());
        if rest.starts_with("<!--") {
            at = end("-->");
        } else if rest.starts_with("<![CDATA[") {
            at = end("]]>");
        } else if rest.starts_with("<?") {
            at = end("?>");
        } else {
            let mut quote = None;
            let mut length = rest.len();
            for (offset, byte) in rest.bytes().enumerate() {
                match (quote, byte) {
                    (Some(mark), _) if mark == byte => quote = None,
                    (Some(_), _) => {}
                    (None, b'"' | b'\'') => quote = Some(byte),
                    (None, b'=') => count += 1,
                    (None, b'>') => {
                        length = offset + 1;
                        break;
                    }
                    (None, _) => {}
                }
                if count > MAX_ATTRIBUTES {
                    return Some(at + offset);
                }
            }
            at += length;
        }
    }
    None
}

/// The encoding that a declaration names, if it is not UTF-8.
fn other_encoding(text: &str) -> Option<(&str, Range<usize>)> {
    let text = text.strip_prefix("<?xml")?;
    let declaration = &text[..text.find("?>")?];
    let at = declaration.find("encoding")?;
    let quote = at + declaration[at..].find(['"', '\''])?;
    let start = quote + 1;
    let mark = declaration[quote..].chars().next()?;
    let name = &declaration[start..start + declaration[start..].find(mark)?];
    let same = ["utf-8", "utf8", "us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known));
    let start = start + "<?xml".len();
    (!same).then(|| (name, start..start + name.len()))
}

fn syntax(error: &Error, text: &str) -> Problem {
    if matches!(error, Error::DtdDetected) {
        let at = text.find("<!DOCTYPE").unwrap_or_default();
        let span = at..at + "<!DOCTYPE".len();
        return Problem::error(Code::DocumentType.as_str(), span, "expected no document type")
            .help("remove the `<!DOCTYPE ...>`; rules need no entities of their own");
    }
    if matches!(error, Error::NodesLimitReached) {
        let message = format!("more than {MAX_NODES} elements and texts");
        return Problem::error(Code::TooLarge.as_str(), 0..0, message);
    }
    let at = offset(error.pos(), text);
    if matches!(error, Error::UnknownEntityReference(..)) {
        let message = "the text is not XML: a reference to an entity that there is not";
        return Problem::error(Syntax.as_str(), at..at + 1, message).help("write `&` as `&amp;`");
    }
    // The place is drawn, so the sentence need not name it again.
    let message = error.to_string().replace(&format!(" at {}", error.pos()), "");
    let next = text[at..].chars().next().map_or(0, char::len_utf8);
    Problem::error(Syntax.as_str(), at..at + next, format!("the text is not XML: {message}"))
}

/// The offset of a place that counts lines, and characters in a line, from 1.
fn offset(position: TextPos, text: &str) -> usize {
    let skipped = position.row.saturating_sub(1) as usize;
    let start = match skipped {
        0 => 0,
        _ => text.match_indices('\n').nth(skipped - 1).map_or(text.len(), |(at, _)| at + 1),
    };
    let column = position.col.saturating_sub(1) as usize;
    text[start..].char_indices().nth(column).map_or(text.len(), |(at, _)| start + at)
}
