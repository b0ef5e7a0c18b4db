//! The rules of a bucket, in their order.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use super::{Reply, Section, Tab, View, bucket_head, bucket_path, command, layout, problem};
use crate::admin::{Keeper, KeeperError, Kept, RuleList, number};
use crate::console::figures::Figures;
use crate::console::form::Form;
use crate::console::rule_form::items;
use crate::console::told::{self, Example};
use crate::deployment::{self, LoadError};
use crate::diagnostics::{Problem, Report};
use crate::rule_file::MASK;
use crate::secrecy::is_secret_url;

/// How many rules there may be.
pub(in crate::console) const MOST: usize = 20;

/// The page.
pub(in crate::console) fn page(
    view: &View,
    keeper: &Keeper,
    bucket: &str,
    (query, figures): (&Form, Option<&BTreeMap<String, Figures>>),
) -> Reply {
    let s = view.s;
    let kept = match keeper.kept(bucket) {
        Ok(kept) => kept,
        Err(error) => return problem::kept(view, &error),
    };
    let content = match list(&kept) {
        Ok(list) => {
            let none = Figures::default();
            let counts = figures.map(|all| &all.get(bucket).unwrap_or(&none).rules);
            let counts = counts.cloned();
            table(view, keeper, bucket, &kept, list.rules(), (query, counts.as_ref()))
        }
        Err(error) => broken(view, bucket, &kept, &error),
    };
    let content = html! { (bucket_head(view, bucket, Some(Tab::Rules))) (content) };
    Reply::ok(layout(view, &format!("{bucket} · {}", s.rules), Section::Buckets, &content))
}

/// Why there is no list.
enum NoList {
    Keeper(KeeperError),
    Words(String),
}

fn list(kept: &Kept) -> Result<RuleList, NoList> {
    let website = kept.website().map_err(NoList::Keeper)?;
    RuleList::new(website).map_err(|error| NoList::Words(error.to_string()))
}

/// A file that is no list of rules: it can be cleared, or put right by its text.
fn broken(view: &View, bucket: &str, kept: &Kept, error: &NoList) -> Markup {
    let s = view.s;
    let base = bucket_path(bucket);
    html! {
        div.banner.bad role="alert" {
            h2 { (s.file_is_broken) }
            p { code { (kept.path.display()) } }
            @match error {
                NoList::Keeper(error) => { (problem::reports(problem::reports_of(error))) }
                NoList::Words(words) => { p lang="en" { (words) } }
            }
        }
        @if view.is_editor() {
            div.actions {
                a.button href={ (base) "/raw" } { (s.edit_text) }
                a.button.danger href={ (base) "/clear" } { (s.clear) }
            }
        }
    }
}

fn table(
    view: &View,
    keeper: &Keeper,
    bucket: &str,
    kept: &Kept,
    rules: &[Value],
    (query, counts): (&Form, Option<&BTreeMap<u64, u64>>),
) -> Markup {
    let s = view.s;
    let base = bucket_path(bucket);
    let (found, others) = findings(keeper, kept);
    let tag = kept.tag();
    let count = rules.len();
    html! {
        @if let Some(told) = done(view, query) { p.good role="status" { (told) } }
        div.bar {
            p.count { ((s.of_twenty)(count)) }
            @if view.is_editor() {
                div.actions {
                    @if count < MOST {
                        a.button.primary href={ (base) "/rules/new" } { (s.create_rule) }
                    } @else {
                        span.help { (s.no_more_rules) }
                    }
                    @if count > 0 { a.button.danger href={ (base) "/clear" } { (s.clear) } }
                }
            } @else { span.help { (s.you_only_look) } }
        }
        @for problem in &others { (problem::finding(problem)) }
        @if rules.is_empty() {
            div.empty {
                p { (s.no_rules) }
                p.help { (s.no_rules_help) }
            }
        } @else {
            table.cards.rules data-order={ (base) "/move" } {
                caption.hidden { (s.rules_in_order) }
                thead { tr {
                    th scope="col" { (s.number) }
                    th scope="col" { (s.condition) }
                    th scope="col" { (s.mode) }
                    th scope="col" { (s.leads_to) }
                    th scope="col" title=(s.since_start) { (s.decided) }
                    @if view.is_editor() { th scope="col" { (s.actions) } }
                } }
                tbody {
                    @for rule in rules {
                        @let own = found.get(&number(rule)).map_or(&[][..], Vec::as_slice);
                        (row(view, bucket, rule, own, (&tag, query, counts), count))
                    }
                }
            }
            p.help { (s.first_applies) }
        }
        @if let Some(path) = keeper.deployment.to_str() {
            (command(view, s.same_by_command, &format!("b2o rules {path} --bucket {bucket} list")))
        }
    }
}

/// What has just been done, in words.
fn done(view: &View, query: &Form) -> Option<&'static str> {
    let s = view.s;
    match query.get("done") {
        "cleared" => Some(s.done_cleared),
        "deleted" => Some(s.done_deleted),
        "moved" => Some(s.done_moved),
        "restored" => Some(s.done_restored),
        "saved" => Some(s.done_saved),
        _ => None,
    }
}

fn row(
    view: &View,
    bucket: &str,
    rule: &Value,
    found: &[Problem],
    (tag, query, counts): (&str, &Form, Option<&BTreeMap<u64, u64>>),
    count: usize,
) -> Markup {
    let s = view.s;
    let own = number(rule);
    let example = Example::of(rule);
    let told = told::explained(rule, bucket, &example);
    html! {
        tr id={ "rule-" (own) } data-number=(own) {
            th scope="row" data-label=(s.number) { (own) }
            td data-label=(s.condition) { (condition(view, rule)) }
            td data-label=(s.mode) { (mode(view, rule)) }
            td data-label=(s.leads_to) {
                code.long { (place(rule)) }
                @if let Some(told) = told {
                    details.told {
                        summary {
                            (example.method) " " code { (example.key) }
                            @if let Some(target) = told::target(&told) {
                                " → " code { (shown_url(target)) }
                            }
                        }
                        pre lang="en" { code { (told::shown(&told)) } }
                    }
                }
                @for problem in found { (problem::finding(problem)) }
            }
            td data-label=(s.decided) {
                @match counts {
                    Some(counts) => (counts.get(&own).copied().unwrap_or_default()),
                    None => span.help { (s.unknown) },
                }
            }
            @if view.is_editor() {
                td.verbs data-label=(s.actions) {
                    (verbs(view, bucket, own, (tag, query), count))
                }
            }
        }
    }
}

/// What can be done with a rule.
fn verbs(view: &View, bucket: &str, own: u64, (tag, query): (&str, &Form), count: usize) -> Markup {
    let s = view.s;
    let base = bucket_path(bucket);
    let was_moved = query.number("rule") == Some(own);
    let is_last = own == count as u64;
    // Focus stays with the button by which a rule was moved, while that can go on.
    let focus = |by: &str, can: bool, other: bool| {
        was_moved && (query.get("by") == by && can || query.get("by") != by && other)
    };
    html! {
        div.verbs {
            a.button.quiet href={ (base) "/rules/" (own) } aria-label=((s.edit_number)(own)) {
                (s.edit)
            }
            @if count < MOST {
                a.button.quiet href={ (base) "/rules/new?copy=" (own) }
                    aria-label=((s.duplicate_number)(own)) { (s.duplicate) }
            }
            form method="post" action={ (base) "/move" } {
                (view.csrf())
                input type="hidden" name="tag" value=(tag);
                input type="hidden" name="rule" value=(own);
                button.quiet name="by" value="up" disabled[own == 1]
                    autofocus[focus("up", own > 1, is_last)]
                    aria-label=((s.move_up_number)(own)) { (s.move_up) }
                button.quiet name="by" value="down" disabled[is_last]
                    autofocus[focus("down", !is_last, own == 1)]
                    aria-label=((s.move_down_number)(own)) { (s.move_down) }
            }
            a.button.quiet.danger href={ (base) "/rules/" (own) "/delete" }
                aria-label=((s.delete_number)(own)) { (s.delete) }
        }
    }
}

/// When a rule applies.
pub(in crate::console) fn condition(view: &View, rule: &Value) -> Markup {
    let s = view.s;
    let condition = &rule["Condition"];
    let text = |name: &str| condition[name].as_str().filter(|text| !text.is_empty());
    let list = |name: &str| condition.get(name).map_or(&[][..], items);
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let statuses: Vec<_> = list("HttpErrorCodeReturnedEquals").iter().map(word).collect();
    let headers = list("IncludeHeader");
    let (prefix, suffix) = (text("KeyPrefixEquals"), text("KeySuffixEquals"));
    let is_always =
        prefix.is_none() && suffix.is_none() && statuses.is_empty() && headers.is_empty();
    html! {
        ul.chips {
            @if let Some(prefix) = prefix { li { span { (s.prefix) } " " code { (prefix) } } }
            @if let Some(suffix) = suffix { li { span { (s.suffix) } " " code { (suffix) } } }
            @if !statuses.is_empty() {
                li { span { (s.status) } " " code { (statuses.join(", ")) } }
            }
            @for header in headers {
                li {
                    span { (s.header) } " "
                    code { (header["Key"].as_str().unwrap_or_default()) }
                    @for (name, sign) in [("Equals", "="), ("StartsWith", "^="), ("EndsWith", "$=")] {
                        @if let Some(value) = header[name].as_str() { " " (sign) " " code { (value) } }
                    }
                }
            }
            @if is_always { li { span { (s.always) } } }
        }
    }
}

fn mode(view: &View, rule: &Value) -> Markup {
    let s = view.s;
    let redirect = &rule["Redirect"];
    match redirect["RedirectType"].as_str() {
        Some("Mirror") => html! { span.mode.mirror { (s.mirroring) } },
        other => html! {
            span.mode.redirect {
                (s.redirection) " " (redirect["HttpRedirectCode"].as_u64().unwrap_or(301))
                @if other == Some("AliCDN") { " (AliCDN)" }
            }
        },
    }
}

/// Where a rule leads.
fn place(rule: &Value) -> String {
    let redirect = &rule["Redirect"];
    let text = |name: &str| redirect[name].as_str();
    if let Some(url) = text("MirrorURL") {
        return shown_url(url).to_owned();
    }
    let scheme = text("Protocol").map_or_else(String::new, |scheme| format!("{scheme}:"));
    let host = text("HostName").unwrap_or("…");
    let key = match (text("ReplaceKeyWith"), text("ReplaceKeyPrefixWith")) {
        (Some(key), _) => key.to_owned(),
        (None, Some(prefix)) => format!("{prefix}*"),
        (None, None) => "*".to_owned(),
    };
    format!("{scheme}//{host}/{key}")
}

/// A URL, if there is no secret in it.
pub(in crate::console) fn shown_url(url: &str) -> &str {
    if is_secret_url(url) { MASK } else { url }
}

/// What `check` finds in a bucket's rules: of each rule, and of the file.
fn findings(keeper: &Keeper, kept: &Kept) -> (BTreeMap<u64, Vec<Problem>>, Vec<Problem>) {
    let path = kept.path.display().to_string();
    let (loaded, refused);
    let reports: &[Report] = match deployment::load(&keeper.deployment) {
        Ok(all) => {
            loaded = all;
            &loaded.warnings
        }
        Err(LoadError::Refused(all)) => {
            refused = all;
            &refused
        }
        Err(LoadError::Unreadable { .. }) => &[],
    };
    let own = reports.iter().filter(|report| report.document.path == path);
    let website = kept.file.as_ref().and_then(|file| file.website.as_ref());
    let rules = website.map(crate::rule_file::Website::routing_rules).unwrap_or_default();
    let (mut of_rules, mut of_file) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for problem in own.flat_map(|report| &report.problems) {
        match problem.pointer.as_deref().and_then(at) {
            Some((index, _)) => {
                of_rules.entry(number(&rules[index])).or_default().push(problem.clone());
            }
            None => of_file.push(problem.clone()),
        }
    }
    (of_rules, of_file)
}

/// Which rule a pointer is about, and what in it.
pub(in crate::console) fn at(pointer: &str) -> Option<(usize, &str)> {
    let rest = pointer.strip_prefix("/RoutingRules").unwrap_or(pointer).strip_prefix('/')?;
    let (index, rest) = rest.split_once('/').unwrap_or((rest, ""));
    Some((index.parse().ok()?, rest))
}
