//! The panel by which a rule is made and changed.

use std::cell::RefCell;

use maud::{Markup, html};
use serde_json::Value;

use super::fields::Asking;
use super::rules::shown_url;
use super::{Reply, Section, Tab, View, bucket_head, bucket_path, layout, problem};
use crate::console::form::Form;
use crate::console::rule_form::{self, TWICE, more};
use crate::console::told::{self, Example};
use crate::diagnostics::Problem;
use back_to_origin::explain::Outcome;
use back_to_origin::rule::never_passed;

/// The headers that the client of the example sends: those of the documents of OSS.
const EXAMPLE_HEADERS: &str = "aaa-header: aaa\nbbb-header: bbb\nccc-header: 111\nrange: bytes=0-9";

/// A rule on the panel.
pub(in crate::console) struct Panel<'a> {
    pub(in crate::console) bucket: &'a str,
    /// The rule that is changed; a new one has none.
    pub(in crate::console) number: Option<u64>,
    /// The rule that a new one was copied from.
    pub(in crate::console) copy: Option<u64>,
    pub(in crate::console) tag: &'a str,
    pub(in crate::console) form: &'a Form,
    pub(in crate::console) found: &'a [(String, Problem)],
    /// What was found about no field.
    pub(in crate::console) others: &'a [Problem],
    /// The rule that the form was made from.
    pub(in crate::console) original: &'a Value,
}

/// The page.
pub(in crate::console) fn page(view: &View, panel: &Panel<'_>) -> Reply {
    let s = view.s;
    let title = match panel.number {
        Some(number) => (s.edit_number)(number),
        None => s.create_rule.to_owned(),
    };
    let base = bucket_path(panel.bucket);
    let to = match panel.number {
        Some(number) => format!("{base}/rules/{number}"),
        None => format!("{base}/rules/new"),
    };
    let told = match panel.number {
        Some(number) => format!("{base}/told?rule={number}"),
        None => format!("{base}/told"),
    };
    let asking = Asking {
        view,
        form: panel.form,
        found: panel.found,
        original: panel.original,
        shown: RefCell::default(),
    };
    let is_wrong = !panel.found.is_empty() || !panel.others.is_empty();
    let fields = html! {
        (mode(&asking))
        (prerequisite(&asking))
        (mirroring(&asking))
        (redirection(&asking))
        (example(view, panel.bucket, panel.form, panel.original))
        (beyond(&asking))
    };
    let content = html! {
        (bucket_head(view, panel.bucket, Some(Tab::Rules)))
        h2 { (title) }
        @if is_wrong { p.bad role="alert" { (s.look_at_the_marks) } }
        @for problem in panel.others { (problem::finding(problem)) }
        (asking.rest())
        form.panel.rule method="post" action=(to) data-told=(told) {
            (view.csrf())
            input type="hidden" name="tag" value=(panel.tag);
            @if let Some(copy) = panel.copy { input type="hidden" name="copy" value=(copy); }
            (fields)
            div.actions.last {
                button.primary name="do" value="review" { (s.review) }
                a.button.quiet href=(base) { (s.cancel) }
            }
        }
    };
    Reply::ok(layout(view, &title, Section::Buckets, &content))
}

fn mode(asking: &Asking<'_>) -> Markup {
    let s = asking.view.s;
    let own = match asking.form.get("Redirect/RedirectType") {
        "" => "External",
        own => own,
    };
    let known = [
        ("Mirror", s.mirroring, s.mirroring_help),
        ("External", s.redirection, s.redirection_help),
    ];
    html! {
        fieldset.field.mode {
            legend { (s.mode) }
            @for (word, label, help) in known {
                label.choice {
                    input type="radio" name="Redirect/RedirectType" value=(word)
                        checked[own == word];
                    span { (label) span.help { (help) } }
                }
            }
            @if own != "Mirror" && own != "External" {
                label.choice {
                    input type="radio" name="Redirect/RedirectType" value=(own) checked;
                    span { (own) }
                }
            }
            (asking.findings("Redirect/RedirectType"))
            (asking.findings("Redirect"))
        }
    }
}

fn prerequisite(asking: &Asking<'_>) -> Markup {
    let s = asking.view.s;
    const HEADERS: &str = "Condition/IncludeHeader";
    html! {
        section {
            h3 { (s.prerequisite) }
            (asking.text("Condition/KeyPrefixEquals", s.file_name_prefix, s.prefix_help))
            (asking.text("Condition/KeySuffixEquals", s.file_name_suffix, ""))
            (asking.text("Condition/HttpErrorCodeReturnedEquals", s.error_code, s.error_code_help))
            (asking.findings("Condition"))
            fieldset.field {
                legend { (s.request_headers) }
                p.help { (s.request_headers_help) }
                (asking.findings(HEADERS))
                @for row in 0..=asking.count(HEADERS) {
                    (asking.findings(&format!("{HEADERS}/{row}")))
                    div.columns {
                        @for (part, label) in [
                            ("Key", s.header_name), ("Equals", s.equals),
                            ("StartsWith", s.starts_with), ("EndsWith", s.ends_with),
                        ] {
                            @let name = format!("{HEADERS}/{row}/{part}");
                            div.wide {
                                span.label aria-hidden="true" { (label) }
                                (asking.input(&name, Some(label)))
                                (asking.findings(&name))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn mirroring(asking: &Asking<'_>) -> Markup {
    let s = asking.view.s;
    const SET: &str = "Redirect/MirrorHeaders/Set";
    html! {
        section.only-mirror {
            h3 { (s.mirroring) }
            (asking.origin())
            (asking.tick("Redirect/MirrorPassQueryString", s.transfer_query, ""))
            (asking.tick("Redirect/MirrorFollowRedirect", s.follow_redirects, s.follow_redirects_help))
            h4 { (s.header_rules) }
            p.help { (s.header_rules_help) }
            (asking.findings("Redirect/MirrorHeaders"))
            (asking.tick("Redirect/MirrorHeaders/PassAll", s.pass_all, ""))
            (asking.text("Redirect/MirrorHeaders/Pass", s.pass_these, s.names_help))
            (asking.text("Redirect/MirrorHeaders/Remove", s.remove_these, s.names_help))
            fieldset.field {
                legend { (s.set_these) }
                (asking.findings(SET))
                @for row in 0..=asking.count(SET) {
                    (asking.findings(&format!("{SET}/{row}")))
                    div.columns {
                        @for (part, label) in [("Key", s.header_name), ("Value", s.header_value)] {
                            @let name = format!("{SET}/{row}/{part}");
                            div.wide {
                                span.label aria-hidden="true" { (label) }
                                (asking.input(&name, Some(label)))
                                (asking.findings(&name))
                            }
                        }
                    }
                }
                p.help { (s.set_these_help) }
            }
            h4 { (s.for_s3_tools) }
            (asking.tick("Redirect/MirrorAllowHeadObject", s.allow_head, s.allow_head_help))
            (asking.tick("Redirect/MirrorUserLastModified", s.keep_last_modified, ""))
        }
    }
}

fn redirection(asking: &Asking<'_>) -> Markup {
    let s = asking.view.s;
    let codes = ["301", "302", "307"].map(|code| (code, code));
    html! {
        section.only-redirect {
            h3 { (s.redirection) }
            div.field {
                label for="Redirect-HttpRedirectCode" { (s.redirection_code) }
                (asking.select("Redirect/HttpRedirectCode", &codes, None))
                (asking.findings("Redirect/HttpRedirectCode"))
            }
            fieldset.field {
                legend { (s.redirect_to) }
                div.columns {
                    div {
                        label for="Redirect-Protocol" { (s.scheme) }
                        (asking.select("Redirect/Protocol",
                            &[("", s.the_requests), ("https", "https"), ("http", "http")], None))
                        (asking.findings("Redirect/Protocol"))
                    }
                    div.wide {
                        label for="Redirect-HostName" { (s.host) }
                        (asking.input("Redirect/HostName", None))
                        (asking.findings("Redirect/HostName"))
                    }
                }
            }
            (asking.text("Redirect/ReplaceKeyWith", s.replace_key, s.replace_key_help))
            (asking.tick("Redirect/PassQueryString", s.transfer_query, ""))
        }
        section {
            h3 { (s.file_prefix) }
            (asking.tick("Redirect/EnableReplacePrefix", s.replace_prefix, s.replace_prefix_help))
            (asking.text("Redirect/ReplaceKeyPrefixWith", s.new_prefix, ""))
            div.only-mirror {
                (asking.tick(TWICE, s.name_folder_twice, s.name_folder_twice_help))
            }
        }
    }
}

/// What the rule does with a request that is typed.
fn example(view: &View, bucket: &str, form: &Form, original: &Value) -> Markup {
    let s = view.s;
    html! {
        section.example {
            h3 { (s.example) }
            div.field {
                label for="example-key" { (s.example_key) }
                input #example-key name="example/key" value=(form.get("example/key"))
                    placeholder=(s.example_key_auto) autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="example-headers" { (s.example_headers) }
                textarea #example-headers name="example/headers" rows="4" spellcheck="false" {
                    @if form.has("example/headers") { (form.get("example/headers")) }
                    @else { (EXAMPLE_HEADERS) }
                }
            }
            div #told aria-live="polite" { (told(view, bucket, form, original)) }
            div.actions data-unscripted { button name="do" value="show" { (s.show) } }
        }
    }
}

/// The example's answer.
pub(in crate::console) fn told(view: &View, bucket: &str, form: &Form, original: &Value) -> Markup {
    let s = view.s;
    let rule = rule_form::rule(form, Some(original));
    let mut example = Example::of(&rule);
    if !form.get("example/key").is_empty() {
        example.key = form.get("example/key").to_owned();
    }
    let sent = match form.has("example/headers") {
        true => form.get("example/headers"),
        false => EXAMPLE_HEADERS,
    };
    let sent = told::headers(sent);
    example.headers.extend(sent.iter().cloned());
    let Some(told) = told::explained(&rule, bucket, &example) else {
        return html! { p.help { (s.example_later) } };
    };
    let (folder, is_once) = folder(form);
    html! {
        @if is_once {
            p.note { (s.folder_is_named_once) " " code { (folder) } }
        }
        div.before-after {
            div {
                h4 { (s.client_asks) }
                pre { code {
                    (example.method) " " (example.key) "\n"
                    @for (name, value) in &sent {
                        @if never_passed(name) {
                            s title=(s.never_passed) { (name) ": " (value) } " — " (s.never_passed) "\n"
                        } @else { (name) ": " (value) "\n" }
                    }
                } }
            }
            div {
                @match &told.outcome {
                    Outcome::Mirror { method, url, headers, .. } => {
                        h4 { (s.origin_is_asked) }
                        pre { code #result {
                            (method) " " (shown_url(url)) "\n"
                            @for (name, value) in headers { (name) ": " (value) "\n" }
                        } }
                    }
                    Outcome::Redirect { code, location } => {
                        h4 { (s.client_is_sent) }
                        pre { code #result { (code) " " (shown_url(location)) } }
                    }
                    Outcome::Fail { reason } | Outcome::Pass { reason } => {
                        h4 { (s.nothing_happens) }
                        p lang="en" { (reason) }
                    }
                }
            }
        }
        details.told { summary { (s.in_detail) } pre lang="en" { code { (told::shown(&told)) } } }
    }
}

/// The folder that prefix and path both name, and whether it is named once because of that.
fn folder(form: &Form) -> (&str, bool) {
    let prefix = form.get("Condition/KeyPrefixEquals");
    let path = form.get(rule_form::PATH);
    let is_off = |name| form.get(name) != "true";
    let is_once = rule_form::names_folder(path, prefix)
        && is_off(TWICE)
        && is_off("Redirect/EnableReplacePrefix")
        && form.get("Redirect/RedirectType") == "Mirror";
    (prefix, is_once)
}

/// Everything else.
fn beyond(asking: &Asking<'_>) -> Markup {
    let s = asking.view.s;
    let is_used =
        asking.found.iter().any(|(path, _)| rule_form::place(path) == rule_form::Place::More);
    html! {
        details.more open[is_used] {
            summary { (s.more) }
            p.help { (s.more_help) }
            @for element in more() {
                (asking.element(element, &format!("Redirect/{}", element.name)))
            }
        }
    }
}
