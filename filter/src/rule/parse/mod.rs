//! From a document to rules: every finding is collected, then the set is taken or refused whole.

mod condition;
mod external;
mod headers;
mod mirror;

use self::condition::condition;
use self::external::external;
use self::mirror::{check_statuses, mirror};
use super::element::{self, Kind, Support};
use super::{Action, KeyRewrite, MAX_RULES, Rule, RuleSet};
use crate::finding::{Code, Finding, Place};
use crate::json::{self, At, Fields, Node};

type Findings = Vec<Finding>;

pub(super) fn document(root: &At<'_>, findings: &mut Findings) -> RuleSet {
    if let Node::List(_) = root.node {
        return routing_rules(root, findings);
    }
    let Some(fields) = root.object(findings) else {
        return RuleSet::default();
    };
    fields.only(&["RoutingRules"], findings);
    match fields.require("RoutingRules", findings) {
        Some(rules) => routing_rules(rules, findings),
        None => RuleSet::default(),
    }
}

pub(super) fn routing_rules(at: &At<'_>, findings: &mut Findings) -> RuleSet {
    let Some(items) = at.list(findings) else {
        return RuleSet::default();
    };
    if items.len() > MAX_RULES {
        let message =
            format!("a bucket has at most {MAX_RULES} rules, and these are {}", items.len());
        findings.push(Finding::error(Code::TooMany, Place::name(&at.pointer), message));
    }
    let mut numbers: Vec<(u32, String)> = Vec::new();
    let rules = items.iter().filter_map(|item| rule(item, &mut numbers, findings)).collect();
    RuleSet::new(rules)
}

fn rule(at: &At<'_>, numbers: &mut Vec<(u32, String)>, findings: &mut Findings) -> Option<Rule> {
    let fields = at.object(findings)?;
    refuse_others(&fields, element::ROUTING_RULE, findings);
    let number = fields
        .require("RuleNumber", findings)
        .and_then(|number| rule_number(number, numbers, findings));
    let condition = fields.require("Condition", findings).and_then(|at| condition(at, findings));
    let status_place = fields
        .get("Condition")
        .map_or_else(|| at.pointer.clone(), |condition| condition.pointer.clone());
    let action = fields.require("Redirect", findings).and_then(|redirect| {
        let prefix = condition.as_ref().map_or("", |condition| condition.key_prefix.as_str());
        action(redirect, prefix, findings)
    });
    if let (Some(Action::Mirror(mirror)), Some(condition)) = (&action, &condition) {
        check_statuses(&condition.statuses, mirror.on_server_error, &status_place, findings);
    }
    Some(Rule { number: number?, condition: condition?, action: action? })
}

fn rule_number(
    at: &At<'_>,
    numbers: &mut Vec<(u32, String)>,
    findings: &mut Findings,
) -> Option<u32> {
    let given = at.integer(findings)?;
    let Some(number) = u32::try_from(given).ok().filter(|number| *number > 0) else {
        findings.push(at.wrong(Code::BadRuleNumber, "a number from 1"));
        return None;
    };
    if let Some((_, first)) = numbers.iter().find(|(known, _)| *known == number) {
        let message = format!("RuleNumber {number} is already that of {first}");
        findings.push(
            Finding::error(Code::DuplicateRuleNumber, Place::value(&at.pointer), message)
                .help("rules are tried in the order of their numbers: give each its own"),
        );
    } else {
        let rule = at.pointer.trim_end_matches("/RuleNumber").to_owned();
        numbers.push((number, rule));
    }
    Some(number)
}

fn action(at: &At<'_>, key_prefix: &str, findings: &mut Findings) -> Option<Action> {
    let fields = at.object(findings)?;
    let known: Vec<&str> = element::REDIRECT.iter().map(|element| element.name).collect();
    fields.only(&known, findings);
    let kind = redirect_type(&fields, findings);
    for element in element::REDIRECT {
        if let Some(at) = fields.get(element.name) {
            check_element(element, at, kind, findings);
        }
    }
    let key = key_rewrite(&fields, key_prefix, kind, findings);
    match kind? {
        Kind::Mirror => mirror(&fields, key, findings).map(Action::Mirror),
        Kind::External | Kind::Both => external(&fields, key, findings).map(Action::External),
    }
}

fn redirect_type(fields: &Fields<'_>, findings: &mut Findings) -> Option<Kind> {
    let Some(at) = fields.get("RedirectType") else {
        if fields.get("MirrorURL").is_none() {
            // S3's rules have no RedirectType: they all redirect.
            return Some(Kind::External);
        }
        let message = "`RedirectType` is missing beside a `MirrorURL`";
        findings.push(
            Finding::error(Code::MissingElement, Place::name(fields.pointer()), message)
                .help("add \"RedirectType\": \"Mirror\""),
        );
        return None;
    };
    match at.text(findings)? {
        "Mirror" => Some(Kind::Mirror),
        "External" | "AliCDN" => Some(Kind::External),
        "Internal" => {
            let message = "OSS names the RedirectType Internal and does not say what it does";
            findings.push(
                Finding::error(Code::UnsupportedElement, Place::value(&at.pointer), message)
                    .help("use Mirror, External or AliCDN"),
            );
            None
        }
        _ => {
            findings.push(at.wrong(Code::BadWord, "Mirror, External or AliCDN"));
            None
        }
    }
}

/// Refuses what is not honoured, and warns of what has no effect in a rule of this kind.
fn check_element(
    element: &element::Element,
    at: &At<'_>,
    kind: Option<Kind>,
    findings: &mut Findings,
) {
    let refused = match element.support {
        Support::Honoured | Support::Extension => None,
        // OSS's clients write elements they do not use as empty ones.
        Support::Refused(_) if at.node.is_text("") => None,
        Support::Refused(why) => Some(why),
        Support::RefusedWhenOn(why) => at.boolean(findings).unwrap_or_default().then_some(why),
    };
    if let Some(why) = refused {
        findings.push(unsupported(element.name, why, Place::name(&at.pointer)));
        return;
    }
    let elsewhere = match (element.kind, kind) {
        (Kind::Mirror, Some(Kind::External)) => Some("Mirror"),
        (Kind::External, Some(Kind::Mirror)) => Some("External"),
        (Kind::Both, _) | (_, None | Some(Kind::Both)) => None,
        (Kind::Mirror, Some(Kind::Mirror)) | (Kind::External, Some(Kind::External)) => None,
    };
    if let Some(other) = elsewhere {
        let message = format!("`{}` only has an effect in a rule of type {other}", element.name);
        findings.push(Finding::warning(Code::NoEffect, Place::name(&at.pointer), message));
    }
}

/// The finding for an element that is not honoured, and why it is not.
fn unsupported(name: &str, why: &str, place: Place) -> Finding {
    let message = format!("`{name}` is an element of OSS that is not honoured here: {why}");
    Finding::error(Code::UnsupportedElement, place, message)
        .help("take it out: ignoring it would change what the rule means")
}

fn key_rewrite(
    fields: &Fields<'_>,
    key_prefix: &str,
    kind: Option<Kind>,
    findings: &mut Findings,
) -> KeyRewrite {
    let enabled =
        fields.get("EnableReplacePrefix").and_then(|at| at.boolean(findings)).unwrap_or_default();
    // OSS's clients write elements they do not use as empty ones.
    let prefix = text(fields, "ReplaceKeyPrefixWith", findings).filter(|with| !with.is_empty());
    let whole = text(fields, "ReplaceKeyWith", findings).filter(|with| !with.is_empty());
    let is_mirror = kind == Some(Kind::Mirror);
    if let (Some(_), true) = (whole, prefix.is_some() || enabled) {
        let other = if prefix.is_some() { "ReplaceKeyPrefixWith" } else { "EnableReplacePrefix" };
        let message = format!("`ReplaceKeyWith` and `{other}` exclude each other");
        let place = Place::name(format!("{}/ReplaceKeyWith", fields.pointer()));
        findings.push(
            Finding::error(Code::ConflictingReplacements, place, message)
                .help("keep the one that says how the new key is made"),
        );
    }
    if let (Some(template), false) = (whole, is_mirror) {
        return KeyRewrite::template(template).unwrap_or_else(|| {
            let place = Place::value(format!("{}/ReplaceKeyWith", fields.pointer()));
            let message = "`ReplaceKeyWith` knows the variable ${key} alone";
            findings.push(Finding::error(Code::BadTemplate, place, message));
            KeyRewrite::Keep
        });
    }
    let cut = key_prefix.len();
    match (prefix, enabled) {
        (Some(with), true) => KeyRewrite::Prefix { cut, with: with.to_owned() },
        (Some(with), false) if !is_mirror => KeyRewrite::Prefix { cut, with: with.to_owned() },
        (Some(_), false) => {
            let place = Place::name(format!("{}/ReplaceKeyPrefixWith", fields.pointer()));
            let message = "without `EnableReplacePrefix` this has no effect in a Mirror rule";
            findings.push(Finding::warning(Code::NoEffect, place, message));
            KeyRewrite::Keep
        }
        (None, true) => KeyRewrite::Prefix { cut, with: String::new() },
        (None, false) => KeyRewrite::Keep,
    }
}

fn text<'n>(fields: &Fields<'n>, name: &str, findings: &mut Findings) -> Option<&'n str> {
    fields.get(name).and_then(|at| at.text(findings))
}

fn flag(fields: &Fields<'_>, name: &str, findings: &mut Findings) -> Option<bool> {
    fields.get(name).and_then(|at| at.boolean(findings))
}

/// A value out of a few words; an empty one counts as absent.
fn word<T>(
    fields: &Fields<'_>,
    name: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
    findings: &mut Findings,
) -> Option<T> {
    let at = fields.get(name)?;
    let text = at.text(findings)?;
    if text.is_empty() {
        return None;
    }
    let value = read(text);
    if value.is_none() {
        findings.push(at.wrong(Code::BadWord, expected));
    }
    value
}

/// A number from 1.
fn number(fields: &Fields<'_>, name: &str, most: u64, findings: &mut Findings) -> Option<u64> {
    number_from(1, fields, name, most, findings)
}

fn number_from(
    least: u64,
    fields: &Fields<'_>,
    name: &str,
    most: u64,
    findings: &mut Findings,
) -> Option<u64> {
    let at = fields.get(name)?;
    let given = at.integer(findings)?;
    let number = u64::try_from(given).ok().filter(|number| (least..=most).contains(number));
    if number.is_none() {
        findings.push(at.wrong(Code::BadLimit, &format!("a number from {least} to {most}")));
    }
    number
}

fn refuse_others(fields: &Fields<'_>, known: &[&str], findings: &mut Findings) {
    for (name, at) in fields.names() {
        let refused = element::REFUSED_ELSEWHERE.iter().find(|(refused, _)| *refused == name);
        if let Some((_, why)) = refused {
            findings.push(unsupported(name, why, Place::name(&at.pointer)));
        } else if !known.contains(&name) {
            findings.push(json::unknown(name, at, known));
        }
    }
}
