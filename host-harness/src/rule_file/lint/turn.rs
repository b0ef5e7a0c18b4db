//! Redirects that lead back to where the same rule applies again.
//!
//! A redirect to another key is a loop only where every missing key, or every key at all, goes
//! round: a key that is there ends it.

use super::Home;
use super::keys::Keys;
use super::rule::Rule;
use crate::diagnostics::Problem;
use crate::rule_file::code::Code;

/// Every loop, at the first rule of it that is tried.
pub(super) fn loops(rules: &[Rule<'_>], home: Option<&Home>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut told: Vec<i64> = Vec::new();
    for rule in rules {
        let Some(round) = round(rule, rules, home) else { continue };
        if round.iter().any(|number| told.contains(number)) {
            continue;
        }
        told.extend(&round);
        let (place, name) = match rule.redirect.field("HostName") {
            Some(field) => (field.node.span.clone(), "/HostName"),
            None => (rule.redirect.span.clone(), ""),
        };
        let message = match round.as_slice() {
            [_] => "the redirect leads to this gateway, where this rule applies again".to_owned(),
            others => {
                let others: Vec<_> = others.iter().map(ToString::to_string).collect();
                format!("redirects go round between the rules {}", others.join(", "))
            }
        };
        problems.push(
            Problem::warning(Code::RedirectLoop.as_str(), place, message)
                .at(format!("{}/Redirect{name}", rule.pointer))
                .help("name another host, or let the new key be one that no such rule is about"),
        );
    }
    problems
}

/// The rules of a loop that begins with a rule.
fn round(first: &Rule<'_>, rules: &[Rule<'_>], home: Option<&Home>) -> Option<Vec<i64>> {
    let begin = Keys::of(first);
    let mut keys = begin.clone();
    let mut rule = first;
    let mut seen = Vec::new();
    loop {
        seen.push(rule.number);
        keys = comes_back(rule, keys, home)?;
        let next = rules
            .iter()
            .find(|next| keys.may_be_of(next) && may_hold(next, first))
            .filter(|next| keys.are_of(next) && holds(next, first))?;
        if next.number == first.number {
            let is_always = first.condition.statuses.is_none();
            return (is_always || keys == begin).then_some(seen);
        }
        if seen.contains(&next.number) {
            return None;
        }
        rule = next;
    }
}

/// Whether the rest of a rule's condition, but for the key, holds where that of another did.
fn holds(rule: &Rule<'_>, first: &Rule<'_>) -> bool {
    first.condition.has_statuses_of(&rule.condition)
        && rule.condition.headers.iter().all(|header| first.condition.headers.contains(header))
}

fn may_hold(rule: &Rule<'_>, first: &Rule<'_>) -> bool {
    match (&first.condition.statuses, &rule.condition.statuses) {
        (Some(first), Some(own)) => !first.is_disjoint(own),
        (None, _) | (_, None) => true,
    }
}

/// The keys a redirect asks this gateway's bucket for; `None` if it leads elsewhere.
fn comes_back(rule: &Rule<'_>, keys: Keys, home: Option<&Home>) -> Option<Keys> {
    let is_unreadable = rule.redirect.get("HostName").is_some_and(|host| host.text().is_none());
    if !rule.is_redirect() || is_unreadable || !says_where(rule) {
        return None;
    }
    let keys = keys.rewritten(rule);
    let protocol = rule.text("Protocol");
    let host = rule.text("HostName").to_ascii_lowercase();
    if host.is_empty() {
        // To another scheme may be to another server.
        return protocol.is_empty().then_some(keys);
    }
    let home = home?;
    if protocol == "https" {
        return None;
    }
    if home.is_own_name(&host) {
        return Some(keys);
    }
    if home.is_gateway(&host) {
        return keys.behind(&format!("{}/", home.name));
    }
    None
}

/// Whether a redirect says anything of where it leads; if not, that is what is wrong with it.
fn says_where(rule: &Rule<'_>) -> bool {
    let words = ["HostName", "Protocol", "HttpRedirectCode", "EnableReplacePrefix"];
    let others = ["ReplaceKeyPrefixWith", "ReplaceKeyWith"];
    words.iter().chain(&others).any(|name| rule.redirect.get(name).is_some())
}
