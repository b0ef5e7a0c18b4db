//! `Condition`.

use super::headers::{header_name, pair_value};
use super::{Findings, refuse_others, text};
use crate::finding::{Code, Finding, Place};
use crate::json::{At, Node};
use crate::rule::condition::{Condition, IncludeHeader, MAX_HEADERS, StatusPattern, Statuses};
use crate::rule::element;

pub(super) fn condition(at: &At<'_>, findings: &mut Findings) -> Option<Condition> {
    let fields = at.object(findings)?;
    refuse_others(&fields, element::CONDITION, findings);
    let statuses = fields
        .get("HttpErrorCodeReturnedEquals")
        .map(|at| statuses(at, findings))
        .unwrap_or_default();
    let headers =
        fields.get("IncludeHeader").map(|at| include_headers(at, findings)).unwrap_or_default();
    Some(Condition {
        key_prefix: text(&fields, "KeyPrefixEquals", findings).unwrap_or_default().to_owned(),
        key_suffix: text(&fields, "KeySuffixEquals", findings).unwrap_or_default().to_owned(),
        statuses,
        headers,
    })
}

fn include_headers(at: &At<'_>, findings: &mut Findings) -> Vec<IncludeHeader> {
    let items = at.list(findings).unwrap_or_default();
    if items.len() > MAX_HEADERS {
        let message =
            format!("a condition has at most {MAX_HEADERS} headers, found {}", items.len());
        findings.push(Finding::error(Code::TooMany, Place::name(&at.pointer), message));
    }
    items.iter().filter_map(|item| include_header(item, findings)).collect()
}

fn include_header(at: &At<'_>, findings: &mut Findings) -> Option<IncludeHeader> {
    let fields = at.object(findings)?;
    fields.only(element::INCLUDE_HEADER, findings);
    let name = fields.require("Key", findings).and_then(|at| header_name(at, findings));
    let mut word = |name| {
        // OSS's clients write elements they do not use as empty ones.
        let value = fields.get(name).and_then(|at| pair_value(at, findings));
        value.filter(|value| !value.is_empty())
    };
    let (equals, starts_with, ends_with) = (word("Equals"), word("StartsWith"), word("EndsWith"));
    Some(IncludeHeader { name: name?, equals, starts_with, ends_with })
}

/// Error statuses: a number or, as extensions, a class (`5XX`) and several, in a list or with
/// commas between them.
pub(super) fn statuses(at: &At<'_>, findings: &mut Findings) -> Statuses {
    let mut patterns = Vec::new();
    match at.node {
        Node::List(_) => {
            for item in at.list(findings).unwrap_or_default() {
                patterns.extend(status(&item, findings));
            }
        }
        Node::Text(text) if text.is_empty() => {}
        Node::Text(text) => {
            for word in text.split(',') {
                match pattern(word.trim()) {
                    Some(pattern) => patterns.push(pattern),
                    None => {
                        findings.push(at.wrong(Code::BadStatus, STATUS));
                        break;
                    }
                }
            }
        }
        Node::Bool(_) | Node::Fraction | Node::Integer(_) | Node::Null | Node::Object(_) => {
            patterns.extend(status(at, findings));
        }
    }
    Statuses(patterns)
}

/// What a status can be.
const STATUS: &str = "a status from 400 to 599, 4XX or 5XX";

fn status(at: &At<'_>, findings: &mut Findings) -> Option<StatusPattern> {
    let found = match at.node {
        Node::Text(text) => pattern(text.trim()),
        Node::Integer(number) => u16::try_from(*number).ok().and_then(one),
        Node::Bool(_) | Node::Fraction | Node::List(_) | Node::Null | Node::Object(_) => {
            findings.push(at.wrong(Code::WrongType, STATUS));
            return None;
        }
    };
    if found.is_none() {
        findings.push(at.wrong(Code::BadStatus, STATUS));
    }
    found
}

fn pattern(word: &str) -> Option<StatusPattern> {
    match word {
        "4XX" | "4xx" => Some(StatusPattern::Class(4)),
        "5XX" | "5xx" => Some(StatusPattern::Class(5)),
        digits => digits.parse().ok().and_then(one),
    }
}

fn one(status: u16) -> Option<StatusPattern> {
    (400..600).contains(&status).then_some(StatusPattern::One(status))
}
