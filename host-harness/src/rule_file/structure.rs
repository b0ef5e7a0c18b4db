//! Whether a tree has the structure of a rule file: known elements, each once, of their type.
//!
//! Owns the conversion of texts into the values they spell, by the vocabulary. The filter checks
//! the same for what it honours; this covers what it does not, so that any file whose structure is
//! sound can be written in another form, whether or not its rules are honoured here.

use back_to_origin::finding::{Code, Finding, Part, Place, Severity};

use super::mirror_auth::SECRET;
use super::tree::{Field, Kind, Node, token};
use super::vocabulary::{Element, ROUTING_RULE, Shape, WEBSITE, named};

const RULES: &Shape = &Shape::List("RoutingRule", &Shape::Object(ROUTING_RULE));

/// Makes the values of a file what they spell, takes out what counts as absent, and tells
/// everything that is not as it should be.
pub(super) fn settle(root: &mut Node) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shape = match root.kind {
        // S3's console shows the list of rules alone.
        Kind::List(_) => RULES,
        Kind::Boolean(_)
        | Kind::Fraction(_)
        | Kind::Integer(_)
        | Kind::Nothing
        | Kind::Object(_)
        | Kind::Text(_) => &Shape::Object(WEBSITE),
    };
    settle_node(root, shape, "", &mut findings);
    findings
}

fn settle_node(node: &mut Node, shape: &Shape, pointer: &str, findings: &mut Vec<Finding>) {
    match shape {
        Shape::Boolean => {
            let word = node.text().map(str::trim);
            if word.is_some_and(|word| word.eq_ignore_ascii_case("true")) {
                node.kind = Kind::Boolean(true);
            } else if word.is_some_and(|word| word.eq_ignore_ascii_case("false")) {
                node.kind = Kind::Boolean(false);
            }
            if !matches!(node.kind, Kind::Boolean(_)) {
                findings.push(wrong(node, "true or false", pointer));
            }
        }
        Shape::Integer(..) => {
            settle_integer(node);
            if node.integer().is_none() {
                findings.push(wrong(node, "a whole number", pointer));
            }
        }
        Shape::Status => settle_status(node, pointer, findings),
        Shape::Text | Shape::Token | Shape::Url | Shape::Word(_) => {
            let Kind::Text(text) = &mut node.kind else {
                findings.push(wrong(node, "a string", pointer));
                return;
            };
            if !matches!(shape, Shape::Text) {
                *text = text.trim().to_owned();
            }
        }
        Shape::List(_, of) => settle_list(node, of, pointer, findings),
        Shape::Object(elements) => settle_object(node, elements, pointer, findings),
    }
}

fn settle_integer(node: &mut Node) {
    if let Some(number) = node.text().and_then(|digits| digits.trim().parse().ok()) {
        node.kind = Kind::Integer(number);
    }
}

/// A status, a class of them, or several: as a list in JSON, between commas in XML.
fn settle_status(node: &mut Node, pointer: &str, findings: &mut Vec<Finding>) {
    let mut several = Vec::new();
    collect_statuses(node, &mut several, pointer, findings);
    node.kind = match (several.pop(), several.is_empty()) {
        (None, _) => Kind::Text(String::new()),
        (Some(one), true) => one.kind,
        (Some(last), false) => {
            several.push(last);
            Kind::List(several)
        }
    };
}

fn collect_statuses(
    node: &Node,
    several: &mut Vec<Node>,
    pointer: &str,
    findings: &mut Vec<Finding>,
) {
    match &node.kind {
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if item.items().is_empty() {
                    collect_statuses(item, several, &format!("{pointer}/{index}"), findings);
                } else {
                    findings.push(wrong(item, "a status", &format!("{pointer}/{index}")));
                }
            }
        }
        Kind::Text(words) => several.extend(words.split(',').map(|word| {
            let kind = Kind::Text(word.trim().to_owned());
            let mut one = Node { kind, span: node.span.clone() };
            settle_integer(&mut one);
            one
        })),
        Kind::Integer(_) => several.push(node.clone()),
        Kind::Boolean(_) | Kind::Fraction(_) | Kind::Nothing | Kind::Object(_) => {
            findings.push(wrong(node, "a status", pointer));
            several.push(node.clone());
        }
    }
}

fn settle_list(node: &mut Node, of: &Shape, pointer: &str, findings: &mut Vec<Finding>) {
    let Kind::List(items) = &mut node.kind else {
        findings.push(wrong(node, "an array", pointer));
        return;
    };
    for (index, item) in items.iter_mut().enumerate() {
        settle_node(item, of, &format!("{pointer}/{index}"), findings);
    }
}

fn settle_object(
    node: &mut Node,
    elements: &'static [Element],
    pointer: &str,
    findings: &mut Vec<Finding>,
) {
    let Kind::Object(fields) = &mut node.kind else {
        findings.push(wrong(node, "an object", pointer));
        return;
    };
    fields.retain(|field| !matches!(field.node.kind, Kind::Nothing));
    let mut seen: Vec<String> = Vec::new();
    for Field { name, node, .. } in fields {
        let pointer = format!("{pointer}/{}", token(name));
        if seen.contains(name) {
            let message = format!("`{name}` stands twice in the same object");
            let found = finding(Code::DuplicateElement, Part::Name, &pointer, message);
            findings.push(Finding { help: Some("keep one of the two".to_owned()), ..found });
            continue;
        }
        seen.push(name.clone());
        match named(elements, name) {
            Some(Element { shape, repeats: true, .. }) => {
                settle_list(node, shape, &pointer, findings);
            }
            Some(Element { shape, .. }) => settle_node(node, shape, &pointer, findings),
            None => {
                let message = format!("`{name}` is no element of this place");
                let found = finding(Code::UnknownElement, Part::Name, &pointer, message);
                let known: Vec<_> = elements.iter().map(|element| element.name).collect();
                let help = (!known.is_empty()).then(|| format!("known here: {}", known.join(", ")));
                findings.push(Finding { help, ..found });
            }
        }
    }
}

fn wrong(node: &Node, expected: &str, pointer: &str) -> Finding {
    let found = match &node.kind {
        _ if pointer.ends_with(SECRET) => "something else".to_owned(),
        Kind::Boolean(value) => value.to_string(),
        Kind::Fraction(digits) => digits.clone(),
        Kind::Integer(value) => value.to_string(),
        Kind::List(_) => "an array".to_owned(),
        Kind::Nothing => "null".to_owned(),
        Kind::Object(_) => "an object".to_owned(),
        Kind::Text(text) if text.chars().count() <= 60 => format!("\"{}\"", text.escape_debug()),
        Kind::Text(_) => "a string".to_owned(),
    };
    finding(Code::WrongType, Part::Value, pointer, format!("expected {expected}, found {found}"))
}

fn finding(code: Code, part: Part, pointer: &str, message: String) -> Finding {
    let place = Place::Pointer { pointer: pointer.to_owned(), part };
    Finding { code, severity: Severity::Error, place, message, help: None }
}
