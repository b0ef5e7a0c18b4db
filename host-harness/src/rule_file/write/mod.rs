//! Writing a configuration: as JSON, as OSS's XML, as S3's XML.
//!
//! Owns what each form cannot say. Nothing is dropped unnoticed: what a text is without is listed.

mod s3;
mod xml;

use super::code::Code;
use super::dialect::{CODES_OF_OSS, MOST_OF_OSS, beyond_oss};
use super::tree::{Field, Kind, Node};
use super::vocabulary::{REDIRECT, State, named, state};
use super::website::Written;
use crate::diagnostics::Problem;

/// As JSON, with a line break at its end.
///
/// What only S3's form may have, more rules and other statuses, is written in that form.
pub(super) fn json(root: &Node) -> String {
    let mut root = root.clone();
    if !beyond_oss(&root).is_empty() {
        let mut losses = Vec::new();
        let of_s3 = s3::from_oss(&root, &mut losses);
        if losses.is_empty() {
            root = of_s3;
        }
    }
    // It stands for rules, and the rules would stand for it.
    if root.get("RedirectAllRequestsTo").is_some() {
        keep(&mut root, |field| field.name != "RoutingRules");
    }
    root.json(true) + "\n"
}

/// As OSS's XML, extensions and all.
pub(super) fn oss_xml(root: &Node) -> Written {
    let mut root = root.clone();
    keep(&mut root, |field| field.name != "RedirectAllRequestsTo");
    let mut losses = Vec::new();
    let text = xml::document(&root, None, &mut losses);
    Written { text, losses }
}

/// As XML that OSS takes.
pub(super) fn pure_oss_xml(root: &Node) -> Written {
    let mut root = root.clone();
    let mut losses = Vec::new();
    let rules = root.fields().iter().position(|field| field.name == "RoutingRules");
    if let (Some(at), Kind::Object(fields)) = (rules, &mut root.kind)
        && let Kind::List(rules) = &mut fields[at].node.kind
    {
        let mut index = 0;
        rules.retain_mut(|rule| {
            let pointer = format!("/RoutingRules/{index}");
            index += 1;
            if index > MOST_OF_OSS {
                let message = format!("OSS takes {MOST_OF_OSS} rules: this one is left out");
                losses.push(loss(rule, message).at(pointer));
                return false;
            }
            is_oss(rule, &pointer, &mut losses)
        });
    }
    let written = oss_xml(&root);
    losses.extend(written.losses);
    Written { text: written.text, losses }
}

/// Takes out of a rule what OSS does not have; whether anything of it is left.
fn is_oss(rule: &mut Node, pointer: &str, losses: &mut Vec<Problem>) -> bool {
    let status =
        rule.get("Condition").and_then(|condition| condition.field("HttpErrorCodeReturnedEquals"));
    if let Some(status) = status.filter(|status| status.node.integer().is_none()) {
        let pointer = format!("{pointer}/Condition/HttpErrorCodeReturnedEquals");
        let message = "OSS takes one status here: the rule is left out";
        losses.push(loss(&status.node, message).at(pointer));
        return false;
    }
    let kind = rule.get("Redirect").and_then(|redirect| redirect.get("RedirectType"));
    let is_mirror = kind.and_then(Node::text) == Some("Mirror");
    if let Some(status) = status.filter(|status| is_mirror && status.node.integer() != Some(404)) {
        let pointer = format!("{pointer}/Condition/HttpErrorCodeReturnedEquals");
        let message = "OSS mirrors on 404 alone: the rule is left out";
        losses.push(loss(&status.node, message).at(pointer));
        return false;
    }
    let pointer = format!("{pointer}/Redirect");
    each_field(rule, |field| {
        if field.name == "Redirect" {
            keep(&mut field.node, |field| {
                let element = named(REDIRECT, &field.name);
                let is_ours = element.is_some_and(|known| state(known) == State::Extension);
                let code = field.node.integer().filter(|_| field.name == "HttpRedirectCode");
                if let Some(code) = code.filter(|code| !CODES_OF_OSS.contains(code)) {
                    let message =
                        format!("OSS does not redirect with {code}: the rule does with 301");
                    let pointer = format!("{pointer}/{}", field.name);
                    losses.push(named_loss(field, message).at(pointer));
                    return false;
                }
                if is_ours {
                    let message = format!("OSS has no `{}`", field.name);
                    let pointer = format!("{pointer}/{}", field.name);
                    losses.push(named_loss(field, message).at(pointer));
                }
                !is_ours
            });
        }
    });
    true
}

/// As XML that S3 takes.
pub(super) fn s3_xml(root: &Node) -> Written {
    let mut losses = Vec::new();
    let root = s3::from_oss(root, &mut losses);
    let text = xml::document(&root, Some(super::xml::S3), &mut losses);
    Written { text, losses }
}

/// What a form cannot say, at a value.
fn loss(node: &Node, message: impl Into<String>) -> Problem {
    Problem::error(Code::CannotSay.as_str(), node.span.clone(), message)
}

/// The same, at a name.
fn named_loss(field: &Field, message: impl Into<String>) -> Problem {
    Problem::error(Code::CannotSay.as_str(), field.name_span.clone(), message)
}

/// Keeps some fields of an object.
fn keep(node: &mut Node, is_kept: impl FnMut(&Field) -> bool) {
    if let Kind::Object(fields) = &mut node.kind {
        fields.retain(is_kept);
    }
}

fn each_field(node: &mut Node, change: impl FnMut(&mut Field)) {
    if let Kind::Object(fields) = &mut node.kind {
        fields.iter_mut().for_each(change);
    }
}
