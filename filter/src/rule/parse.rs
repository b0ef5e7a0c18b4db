//! From a document to rules: every finding is collected, then the set is taken or refused whole.

use super::element::{self, Kind, Support};
use super::{
    Action, Condition, External, KeyRewrite, MAX_RULES, Mirror, MirrorHeaders, MirrorUrl, Rule,
    RuleSet, TooLarge, mirror,
};
use crate::finding::{Code, Finding, Place};
use crate::http::{Scheme, headers};
use crate::json::{self, At, Fields, Node};

/// The most entries of each of MirrorHeaders' lists.
const MAX_HEADERS: usize = 10;

/// The longest name and value of a header in a rule, in bytes.
const MAX_HEADER_BYTES: usize = 1_024;

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
    if let (Some(Action::Mirror(_)), Some(condition)) = (&action, &condition) {
        mirror_status(condition.status, &status_place, findings);
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

fn condition(at: &At<'_>, findings: &mut Findings) -> Option<Condition> {
    let fields = at.object(findings)?;
    refuse_others(&fields, element::CONDITION, findings);
    let status = fields.get("HttpErrorCodeReturnedEquals").and_then(|at| {
        let given = at.integer(findings)?;
        let status = u16::try_from(given).ok().filter(|status| (400..600).contains(status));
        if status.is_none() {
            findings.push(at.wrong(Code::BadStatus, "a status from 400 to 599"));
        }
        status
    });
    Some(Condition {
        key_prefix: text(&fields, "KeyPrefixEquals", findings).unwrap_or_default().to_owned(),
        key_suffix: text(&fields, "KeySuffixEquals", findings).unwrap_or_default().to_owned(),
        status,
    })
}

fn mirror_status(status: Option<u16>, condition: &str, findings: &mut Findings) {
    let place = Place::value(format!("{condition}/HttpErrorCodeReturnedEquals"));
    match status {
        Some(404) => {}
        Some(other) => findings.push(
            Finding::error(
                Code::MirrorStatus,
                place,
                format!("a Mirror rule applies to 404 alone, found {other}"),
            )
            .help("any other error says nothing about whether the bucket has the object"),
        ),
        None => findings.push(
            Finding::error(
                Code::MirrorStatus,
                Place::name(condition),
                "a Mirror rule needs `HttpErrorCodeReturnedEquals`",
            )
            .help("add \"HttpErrorCodeReturnedEquals\": 404"),
        ),
    }
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
        "External" => Some(Kind::External),
        "AliCDN" | "Internal" => {
            let message = "this RedirectType is OSS's own and not honoured here";
            findings.push(
                Finding::error(Code::UnsupportedElement, Place::value(&at.pointer), message)
                    .help("use Mirror or External"),
            );
            None
        }
        _ => {
            findings.push(at.wrong(Code::BadWord, "Mirror or External"));
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
        Support::Honoured | Support::Extension => false,
        Support::Refused => true,
        Support::RefusedWhenOn => at.boolean(findings) == Some(true),
    };
    if refused {
        let message = format!("`{}` is an element of OSS that is not honoured here", element.name);
        findings.push(
            Finding::error(Code::UnsupportedElement, Place::name(&at.pointer), message)
                .help("take it out: ignoring it would change what the rule means"),
        );
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

fn external(fields: &Fields<'_>, key: KeyRewrite, findings: &mut Findings) -> Option<External> {
    let protocol = word(fields, "Protocol", "http or https", Scheme::parse, findings);
    let host_name = fields
        .get("HostName")
        .and_then(|at| Some((at, at.text(findings)?)))
        .filter(|(_, host)| !host.is_empty())
        .and_then(|(at, host)| host_name(at, host, findings));
    let code = fields.get("HttpRedirectCode").and_then(|at| {
        let code = at.integer(findings)?;
        match code {
            301 => Some(301),
            302 => Some(302),
            307 => Some(307),
            _ => {
                findings.push(at.wrong(Code::BadRedirect, "301, 302 or 307"));
                None
            }
        }
    });
    let says_where = ["HostName", "Protocol", "HttpRedirectCode", "EnableReplacePrefix"]
        .into_iter()
        .chain(["ReplaceKeyPrefixWith", "ReplaceKeyWith"])
        .any(|name| fields.get(name).is_some());
    if !says_where {
        let message = "the rule does not say where to redirect";
        findings.push(
            Finding::error(Code::EmptyRedirect, Place::name(fields.pointer()), message).help(
                "give at least one of HostName, Protocol, ReplaceKeyPrefixWith, ReplaceKeyWith, \
                 HttpRedirectCode",
            ),
        );
        return None;
    }
    let pass_query_string = flag(fields, "PassQueryString", findings).unwrap_or_default();
    Some(External { protocol, host_name, key, pass_query_string, code: code.unwrap_or(301) })
}

/// A domain name or an address, perhaps with a port, in the form a URL has it.
fn host_name(at: &At<'_>, host: &str, findings: &mut Findings) -> Option<String> {
    let plain = !host.contains(['/', '?', '#', '@', '\\'])
        && !host.chars().any(|c| c.is_control() || c.is_whitespace());
    let url = plain.then(|| url::Url::parse(&format!("http://{host}/")).ok()).flatten();
    let Some(url) = url else {
        findings.push(at.wrong(Code::BadHost, "a domain name, perhaps with a port"));
        return None;
    };
    let name = url.host_str()?;
    // Not the URL's own port: it drops 80, which is no default for https.
    let port = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    Some(port.map_or_else(|| name.to_owned(), |(_, port)| format!("{name}:{port}")))
}

fn mirror(fields: &Fields<'_>, key: KeyRewrite, findings: &mut Findings) -> Option<Mirror> {
    let url = fields.require("MirrorURL", findings).and_then(|at| MirrorUrl::read(at, findings));
    let pass = flag(fields, "PassQueryString", findings);
    let mirror_pass = flag(fields, "MirrorPassQueryString", findings);
    let check_md5 = flag(fields, "MirrorCheckMd5", findings);
    let allow_head = flag(fields, "MirrorAllowHeadObject", findings);
    let headers =
        fields.get("MirrorHeaders").and_then(|at| mirror_headers(at, findings)).unwrap_or_default();
    let too_large = word(
        fields,
        "MirrorTooLarge",
        "Redirect or Fail",
        |text| match text {
            "Redirect" => Some(TooLarge::Redirect),
            "Fail" => Some(TooLarge::Fail),
            _ => None,
        },
        findings,
    );
    Some(Mirror {
        url: url?,
        key,
        pass_query_string: mirror_pass.or(pass).unwrap_or_default(),
        check_md5: check_md5.unwrap_or_default(),
        allow_head: allow_head.unwrap_or_default(),
        headers,
        too_large: too_large.unwrap_or_default(),
    })
}

fn mirror_headers(at: &At<'_>, findings: &mut Findings) -> Option<MirrorHeaders> {
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
    header_list(fields, name, findings)
        .iter()
        .filter_map(|item| header_name(item, findings))
        .collect()
}

fn set_headers(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    header_list(fields, "Set", findings)
        .iter()
        .filter_map(|item| {
            let pair = item.object(findings)?;
            pair.only(element::SET, findings);
            let key = pair.require("Key", findings).cloned();
            let value = pair.require("Value", findings).cloned();
            let name = key.as_ref().and_then(|key| header_name(key, findings));
            let value = value.and_then(|value| header_value(&value, findings));
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

fn header_list<'n>(fields: &Fields<'n>, name: &str, findings: &mut Findings) -> Vec<At<'n>> {
    let Some(at) = fields.get(name) else {
        return Vec::new();
    };
    let items = at.list(findings).unwrap_or_default();
    if items.len() > MAX_HEADERS {
        let message = format!("`{name}` has at most {MAX_HEADERS} entries, found {}", items.len());
        findings.push(Finding::error(Code::TooMany, Place::name(&at.pointer), message));
    }
    items
}

fn header_name(at: &At<'_>, findings: &mut Findings) -> Option<String> {
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

fn header_value(at: &At<'_>, findings: &mut Findings) -> Option<String> {
    let value = at.text(findings)?;
    if value.len() > MAX_HEADER_BYTES || !headers::is_value(value.as_bytes()) {
        let expected = "a header value of up to 1,024 bytes without control characters";
        findings.push(at.wrong(Code::BadHeaderValue, expected));
        return None;
    }
    Some(value.to_owned())
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

fn refuse_others(fields: &Fields<'_>, known: &[&str], findings: &mut Findings) {
    for (name, at) in fields.names() {
        if element::REFUSED_ELSEWHERE.contains(&name) {
            let message = format!("`{name}` is an element of OSS that is not honoured here");
            findings.push(Finding::error(
                Code::UnsupportedElement,
                Place::name(&at.pointer),
                message,
            ));
        } else if !known.contains(&name) {
            findings.push(json::unknown(name, at, known));
        }
    }
}
