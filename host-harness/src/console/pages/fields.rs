//! The fields of a rule's form: a label, the input, what it means, and what was found about it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use super::{View, problem};
use crate::console::form::Form;
use crate::console::rule_form::{HOST, ORIGIN, PATH, SCHEME, is_secret, is_secret_field};
use crate::diagnostics::{Problem, Weight};
use crate::rule_file::vocabulary::{Content, Element, Shape, State, state};
use crate::secrecy::is_secret_url;

/// What is asked, and what is known of it.
pub(in crate::console) struct Asking<'a> {
    pub(in crate::console) view: &'a View,
    pub(in crate::console) form: &'a Form,
    /// What was found, each with the path of the value that it is about.
    pub(in crate::console) found: &'a [(String, Problem)],
    /// The rule that the form was made from.
    pub(in crate::console) original: &'a Value,
    /// The paths whose findings stand somewhere.
    pub(in crate::console) shown: RefCell<BTreeSet<String>>,
}

/// The element's id of a field.
pub(in crate::console) fn id(name: &str) -> String {
    name.replace('/', "-")
}

impl Asking<'_> {
    /// What was found about a field.
    pub(in crate::console) fn findings(&self, name: &str) -> Markup {
        self.shown.borrow_mut().insert(name.to_owned());
        html! {
            @for (path, found) in self.found {
                @if path == name { (problem::finding(found)) }
            }
        }
    }

    /// What was found about nothing that has a place of its own.
    pub(in crate::console) fn rest(&self) -> Markup {
        let shown = self.shown.borrow();
        html! {
            @for (path, found) in self.found {
                @if !shown.contains(path) { (problem::finding(found)) }
            }
        }
    }

    fn is_wrong(&self, name: &str) -> bool {
        self.found.iter().any(|(path, found)| path == name && found.weight == Weight::Error)
    }

    /// A label and an input below it.
    pub(in crate::console) fn text(&self, name: &str, label: &str, help: &str) -> Markup {
        let id = id(name);
        html! {
            div.field {
                label for=(id) { (label) }
                (self.input(name, None))
                @if !help.is_empty() { p.help id={ (id) "-help" } { (help) } }
                (self.findings(name))
            }
        }
    }

    /// The input alone. A secret's is empty, whatever it has.
    pub(in crate::console) fn input(&self, name: &str, label: Option<&str>) -> Markup {
        let old = name.split('/').fold(self.original, |value, part| match part.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[part],
        });
        let is_secret = is_secret_field(name) || is_secret(name, old);
        let kept = (is_secret && !old.is_null()).then_some(self.view.s.secret_kept);
        let kind = if is_secret_field(name) { "password" } else { "text" };
        let wrong = self.is_wrong(name).then_some("true");
        let id = id(name);
        let typed = Some(self.form.get(name));
        // What was typed as one is typed once more.
        let typed = typed.filter(|typed| !is_secret_field(name) && !is_secret_url(typed));
        html! {
            input id=(id) name=(name) type=(kind) value=(typed.unwrap_or_default()) placeholder=[kept]
                aria-label=[label] aria-invalid=[wrong] aria-describedby={ (id) "-help" }
                autocomplete=(if is_secret { "new-password" } else { "off" }) spellcheck="false";
        }
    }

    /// A box and its label behind it.
    pub(in crate::console) fn tick(&self, name: &str, label: &str, help: &str) -> Markup {
        let id = id(name);
        html! {
            div.field.tick {
                input id=(id) name=(name) type="checkbox" value="true"
                    checked[self.form.get(name) == "true"] aria-describedby={ (id) "-help" };
                label for=(id) { (label) }
                @if !help.is_empty() { p.help id={ (id) "-help" } { (help) } }
                (self.findings(name))
            }
        }
    }

    /// One of a few words; what a rule has beside them is one of them too.
    pub(in crate::console) fn select(
        &self,
        name: &str,
        words: &[(&str, &str)],
        label: Option<&str>,
    ) -> Markup {
        let own = self.form.get(name);
        let is_known = words.iter().any(|(word, _)| *word == own);
        html! {
            select id=(id(name)) name=(name) aria-label=[label] {
                @for (word, shown) in words {
                    option value=(word) selected[*word == own] { (shown) }
                }
                @if !is_known { option value=(own) selected { (own) } }
            }
        }
    }

    /// The three columns of a URL.
    pub(in crate::console) fn origin(&self) -> Markup {
        let s = self.view.s;
        html! {
            fieldset.field {
                legend { (s.origin_url) }
                div.columns {
                    div {
                        label for=(id(SCHEME)) { (s.scheme) }
                        (self.select(SCHEME, &[("https", "https"), ("http", "http")], None))
                    }
                    div.wide {
                        label for=(id(HOST)) { (s.host) }
                        (self.column(HOST, "www.example.com"))
                    }
                    div.wide {
                        label for=(id(PATH)) { (s.path) }
                        (self.column(PATH, ""))
                    }
                }
                p.help { (s.origin_url_help) }
                (self.findings(ORIGIN))
            }
        }
    }

    fn column(&self, name: &str, shape: &str) -> Markup {
        let url = &self.original["Redirect"]["MirrorURL"];
        let is_kept = is_secret(ORIGIN, url);
        let shown = if is_kept { self.view.s.secret_kept } else { shape };
        let wrong = self.is_wrong(ORIGIN).then_some("true");
        let typed = Some(self.form.get(name));
        let typed = typed.filter(|typed| !is_secret_url(&format!("https://{typed}")));
        html! {
            input id=(id(name)) name=(name) value=(typed.unwrap_or_default()) placeholder=(shown)
                aria-invalid=[wrong] autocomplete="off" spellcheck="false";
        }
    }

    /// An element as the vocabulary has it, and all that stands in it.
    pub(in crate::console) fn element(&self, element: &'static Element, name: &str) -> Markup {
        if let State::Refused(why) = state(element) {
            return html! {
                div.field.refused {
                    span.label aria-disabled="true" { (element.name) }
                    p.help { (self.view.s.not_supported) " " span lang="en" { (why) } }
                    (self.findings(name))
                }
            };
        }
        match element.shape.content() {
            Content::Elements(inner) => html! {
                fieldset.field {
                    legend { (element.name) }
                    (self.meaning(element, name))
                    (self.findings(name))
                    @if element.repeats { (self.rows(inner, name)) }
                    @else {
                        @for inner in inner { (self.element(inner, &format!("{name}/{}", inner.name))) }
                    }
                }
            },
            Content::Items(..) => html! {},
            Content::Scalar => self.scalar(element, name),
        }
    }

    /// Elements that may stand several times: those there are, and room for one more.
    fn rows(&self, inner: &'static [Element], name: &str) -> Markup {
        html! {
            @for row in 0..=self.count(name) {
                div.row {
                    (self.findings(&format!("{name}/{row}")))
                    @for element in inner {
                        (self.element(element, &format!("{name}/{row}/{}", element.name)))
                    }
                }
            }
        }
    }

    /// How many rows the form has of an element.
    pub(in crate::console) fn count(&self, name: &str) -> usize {
        let prefix = format!("{name}/");
        let rows = self.form.iter().filter(|(_, value)| !value.is_empty());
        let rows = rows.filter_map(|(field, _)| {
            field.strip_prefix(&prefix)?.split('/').next()?.parse::<usize>().ok()
        });
        rows.max().map_or(0, |last| last + 1).min(20)
    }

    fn scalar(&self, element: &Element, name: &str) -> Markup {
        let s = self.view.s;
        html! {
            div.field {
                label for=(id(name)) { (element.name) }
                @match element.shape {
                    Shape::Boolean => {
                        (self.select(name, &[("", s.unset), ("true", s.yes), ("false", s.no)], None))
                    }
                    Shape::Word(words) => {
                        @let words: Vec<_> = std::iter::once(("", s.unset))
                            .chain(words.iter().map(|word| (*word, *word))).collect();
                        (self.select(name, &words, None))
                    }
                    Shape::Integer(..) | Shape::List(..) | Shape::Object(_) | Shape::Status
                        | Shape::Text | Shape::Token | Shape::Url => { (self.input(name, None)) }
                }
                (self.meaning(element, name))
                (self.findings(name))
            }
        }
    }

    fn meaning(&self, element: &Element, name: &str) -> Markup {
        let s = self.view.s;
        html! {
            p.help id={ (id(name)) "-help" } {
                span lang="en" { (plain(element.meaning)) }
                @if element.default.starts_with("required") {
                    " " (self.view.s.required)
                } @else if element.default != "none" {
                    " " (s.default_is) " " span lang="en" { (plain(element.default)) } "."
                }
                @if !element.limits.is_empty() {
                    " " (s.limits_are) " " span lang="en" { (plain(element.limits)) } "."
                }
                @if let State::RefusedWhenOn(why) = state(element) {
                    " " (s.only_off) " " span lang="en" { (why) }
                }
            }
        }
    }
}

/// A text of the reference without its marks.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((title, behind)) = after.split_once("](") else { break };
        let Some((_, behind)) = behind.split_once(')') else { break };
        out.push_str(before);
        out.push_str(title);
        rest = behind;
    }
    (out + rest).replace('`', "")
}
