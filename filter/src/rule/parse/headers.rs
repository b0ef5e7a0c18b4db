//! `MirrorHeaders`, and whatever else is made of headers or pairs.

use super::{Findings, flag};
use crate::finding::{Code, Finding, Place};
use crate::http::headers;
use crate::json::{At, Fields, Node};
use crate::rule::{KeyRewrite, MirrorHeaders, element, mirror};

/// The most entries of a list of headers or tags.
const MAX_ENTRIES: usize = 10;

/// The longest name and value of a header in a rule, in bytes.
const MAX_HEADER_BYTES: usize = 1_024;

/// The longest key and value of a tag, in characters.
const MAX_TAG: (usize, usize) = (128, 256);

pub(super) fn mirror_headers(at: &At<'_>, findings: &mut Findings) -> Option<MirrorHeaders> {
    let fields = at.object(findings)?;
    fields.only(element::MIRROR_HEADERS, findings);
    let headers = MirrorHeaders {
        pass_all: flag(&fields, "PassAll", findings).unwrap_or_default(),
        pass: header_names(&fields, "Pass", findings),
        remove: header_names(&fields, "Remove", findings),
        set: set_headers(&fields, findings),
    };
    for (name, at) in named_items(&fields, "Pass", &headers.pass) {
        if mirror::never_passed(name) {
            let message = format!("`{name}` is never passed to an origin");
            findings.push(Finding::warning(Code::NoEffect, Place::value(at), message));
        }
    }
    if !headers.remove.is_empty() && !headers.pass_all {
        let place = Place::name(format!("{}/Remove", fields.pointer()));
        let message = "`Remove` only takes from what `PassAll` passes";
        findings.push(Finding::warning(Code::NoEffect, place, message));
    }
    Some(headers)
}

fn named_items<'a>(
    fields: &Fields<'_>,
    list: &str,
    names: &'a [String],
) -> impl Iterator<Item = (&'a str, String)> {
    let pointer = format!("{}/{list}", fields.pointer());
    names.iter().enumerate().map(move |(index, name)| (name.as_str(), format!("{pointer}/{index}")))
}

fn header_names(fields: &Fields<'_>, name: &str, findings: &mut Findings) -> Vec<String> {
    entries(fields, name, findings).iter().filter_map(|item| header_name(item, findings)).collect()
}

fn set_headers(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    entries(fields, "Set", findings)
        .iter()
        .filter_map(|item| {
            let fields = item.object(findings)?;
            fields.only(element::PAIR, findings);
            let key = fields.require("Key", findings).cloned();
            let value = fields.require("Value", findings).cloned();
            let name = key.as_ref().and_then(|key| header_name(key, findings));
            let value = value.and_then(|value| pair_value(&value, findings));
            if let (Some(key), Some(name)) = (&key, &name)
                && !mirror::settable(name)
            {
                let message = format!("`{name}` belongs to the message itself and cannot be set");
                let place = Place::value(&key.pointer);
                findings.push(Finding::error(Code::BadHeaderName, place, message));
            }
            Some((name?, value?))
        })
        .collect()
}

fn entries<'n>(fields: &Fields<'n>, name: &str, findings: &mut Findings) -> Vec<At<'n>> {
    let Some(at) = fields.get(name) else {
        return Vec::new();
    };
    let items = at.list(findings).unwrap_or_default();
    if items.len() > MAX_ENTRIES {
        let message = format!("`{name}` has at most {MAX_ENTRIES} entries, found {}", items.len());
        findings.push(Finding::error(Code::TooMany, Place::name(&at.pointer), message));
    }
    items
}

pub(super) fn header_name(at: &At<'_>, findings: &mut Findings) -> Option<String> {
    let name = at.text(findings)?;
    let valid = !name.is_empty()
        && name.len() <= MAX_HEADER_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !valid {
        let expected = "a header name of 1 to 1,024 characters out of 0-9, A-Z, a-z and -";
        findings.push(at.wrong(Code::BadHeaderName, expected));
        return None;
    }
    Some(name.to_ascii_lowercase())
}

/// The value of a header, which may be a secret.
pub(super) fn pair_value(at: &At<'_>, findings: &mut Findings) -> Option<String> {
    let Node::Text(value) = at.node else {
        findings.push(at.wrong_unseen(Code::WrongType, "a string"));
        return None;
    };
    if value.len() > MAX_HEADER_BYTES || !headers::is_value(value.as_bytes()) {
        let expected = "a header value of up to 1,024 bytes without control characters";
        findings.push(at.wrong_unseen(Code::BadHeaderValue, expected));
        return None;
    }
    Some(value.clone())
}

/// `MirrorReturnHeaders`.
pub(super) fn return_headers(
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> Vec<(String, KeyRewrite)> {
    let Some(fields) = inner(fields, "MirrorReturnHeaders", "ReturnHeader", findings) else {
        return Vec::new();
    };
    let items = entries(&fields, "ReturnHeader", findings);
    let read = |item: &At<'_>| {
        let (key, value) = pair(item, findings)?;
        let name = header_name(&key, findings)?;
        pair_value(&value, findings)?;
        if mirror::never_returned(&name) {
            let message = format!("`{name}` belongs to the message itself and cannot be returned");
            let place = Place::value(&key.pointer);
            findings.push(Finding::error(Code::BadHeaderName, place, message));
        }
        Some((name, template(&value, findings)?))
    };
    items.iter().filter_map(read).collect()
}

/// `MirrorTaggings`.
pub(super) fn taggings(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, KeyRewrite)> {
    let Some(fields) = inner(fields, "MirrorTaggings", "Taggings", findings) else {
        return Vec::new();
    };
    let items = entries(&fields, "Taggings", findings);
    let mut tags: Vec<(String, KeyRewrite)> = Vec::new();
    for item in items {
        let Some((key, value)) = pair(&item, findings) else { continue };
        let (Some(name), Some(said)) = (key.text(findings), value.text(findings)) else { continue };
        let (most_name, most_value) = MAX_TAG;
        if name.is_empty() || name.chars().count() > most_name {
            findings.push(key.wrong(Code::BadTag, "a tag's key of 1 to 128 characters"));
        } else if said.chars().count() > most_value {
            findings.push(value.wrong(Code::BadTag, "a tag's value of up to 256 characters"));
        } else if tags.iter().any(|(known, _)| known == name) {
            let message = format!("there is another tag `{name}`");
            findings.push(Finding::error(Code::DuplicateName, Place::value(&key.pointer), message));
        } else if let Some(value) = template(&value, findings) {
            tags.push((name.to_owned(), value));
        }
    }
    tags
}

/// The fields of an element whose only child is a list.
fn inner<'n>(
    fields: &Fields<'n>,
    name: &str,
    child: &str,
    findings: &mut Findings,
) -> Option<Fields<'n>> {
    let fields = fields.get(name)?.object(findings)?;
    fields.only(&[child], findings);
    Some(fields)
}

/// A `Key` and a `Value`.
fn pair<'n>(at: &At<'n>, findings: &mut Findings) -> Option<(At<'n>, At<'n>)> {
    let fields = at.object(findings)?;
    fields.only(element::PAIR, findings);
    let key = fields.require("Key", findings).cloned();
    let value = fields.require("Value", findings).cloned();
    Some((key?, value?))
}

/// A value that may have the key in it.
fn template(at: &At<'_>, findings: &mut Findings) -> Option<KeyRewrite> {
    let template = KeyRewrite::template(at.text(findings)?);
    if template.is_none() {
        findings.push(at.wrong(Code::BadTemplate, "a text with no variable but ${key}"));
    }
    template
}
