//! The pages: what they have in common, and one module for each.

pub(super) mod activity;
pub(super) mod buckets;
pub(super) mod confirm;
pub(super) mod fields;
pub(super) mod history;
pub(super) mod panel;
pub(super) mod problem;
pub(super) mod raw;
pub(super) mod review;
pub(super) mod rules;
pub(super) mod sign_in;
pub(super) mod test;
pub(super) mod try_it;

use std::time::Duration;

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::account::Role;
use super::assets;
use super::session::Session;
use super::strings::{Language, Strings};
use crate::moment;

/// Which colours a page has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Theme {
    /// Those of the system.
    Auto,
    /// Dark ones.
    Dark,
    /// Light ones.
    Light,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    pub(super) fn of(text: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text).unwrap_or(Self::Auto)
    }
}

/// Who looks, and how.
pub(super) struct View {
    pub(super) s: &'static Strings,
    pub(super) language: Language,
    pub(super) theme: Theme,
    /// Who has signed in; on a console without accounts, everybody.
    pub(super) session: Option<Session>,
    /// Whether nobody has to sign in.
    pub(super) is_open: bool,
    /// The path and query of the page.
    pub(super) here: String,
}

impl View {
    /// Whether rules may be changed.
    pub(super) fn is_editor(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.role == Role::Editor)
    }

    /// What every form carries.
    pub(super) fn csrf(&self) -> Markup {
        let token = self.session.as_ref().map_or("", |session| session.csrf.as_str());
        html! { input type="hidden" name="csrf" value=(token); }
    }
}

/// What is answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// Where the browser goes instead.
    pub(super) location: Option<String>,
    pub(super) cookies: Vec<String>,
    pub(super) retry_after: Option<u64>,
    /// Whether it may be kept for ever.
    pub(super) is_asset: bool,
}

impl Reply {
    pub(super) fn text(status: StatusCode, kind: &'static str, body: String) -> Self {
        let (location, cookies, retry_after, is_asset) = (None, Vec::new(), None, false);
        Self { status, kind, body, location, cookies, retry_after, is_asset }
    }

    pub(super) fn page(status: StatusCode, page: Markup) -> Self {
        Self::text(status, "text/html; charset=utf-8", page.into_string())
    }

    pub(super) fn ok(page: Markup) -> Self {
        Self::page(StatusCode::OK, page)
    }

    pub(super) fn redirect(to: impl Into<String>) -> Self {
        let reply = Self::text(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
        Self { location: Some(to.into()), ..reply }
    }
}

/// Which entry of the menu a page belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Activity,
    Buckets,
    Nowhere,
}

/// Which page of a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tab {
    History,
    Raw,
    Rules,
    Try,
}

/// The address of a bucket's pages.
pub(super) fn bucket_path(bucket: &str) -> String {
    format!("/buckets/{}", percent_encoding::utf8_percent_encode(bucket, ENCODED))
}

const ENCODED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A page around its content.
pub(super) fn layout(view: &View, title: &str, section: Section, content: &Markup) -> Markup {
    let s = view.s;
    html! {
        (DOCTYPE)
        html lang=(view.language.tag()) data-theme=(view.theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (s.brand) }
                link rel="stylesheet" href={ "/assets/" (assets::style().name) };
                link rel="icon" href="data:,";
                script src={ "/assets/" (assets::script().name) } defer {}
            }
            body {
                a.skip href="#main" { (s.skip_to_content) }
                header.top {
                    a.brand href="/" { (s.brand) }
                    @if view.session.is_some() {
                        nav aria-label=(s.main_menu) {
                            (entry("/", s.buckets, section == Section::Buckets))
                            (entry("/activity", s.activity, section == Section::Activity))
                        }
                    }
                    (switches(view))
                }
                main #main tabindex="-1" { (content) }
            }
        }
    }
}

fn entry(to: &str, title: &str, is_current: bool) -> Markup {
    let current = is_current.then_some("page");
    html! { a href=(to) aria-current=[current] { (title) } }
}

/// The switches of language and colours, and the way out.
fn switches(view: &View) -> Markup {
    let s = view.s;
    let themes = [s.theme_auto, s.theme_light, s.theme_dark];
    html! {
        div.switches {
            form method="post" action="/settings" data-autosubmit {
                input type="hidden" name="back" value=(view.here);
                label { span.hidden { (s.language) }
                    select name="language" {
                        @for language in Language::ALL {
                            option value=(language.tag()) selected[language == view.language] {
                                (language.name())
                            }
                        }
                    }
                }
                label { span.hidden { (s.theme) }
                    select name="theme" {
                        @for (theme, name) in Theme::ALL.into_iter().zip(themes) {
                            option value=(theme.as_str()) selected[theme == view.theme] { (name) }
                        }
                    }
                }
                button.quiet data-unscripted { (s.apply) }
            }
            @if let Some(session) = &view.session {
                @if view.is_open {
                    span.who { (s.open_to_this_machine) }
                } @else {
                    form method="post" action="/sign-out" {
                        (view.csrf())
                        span.who { (role(view, session.role)) }
                        button.quiet { (s.sign_out) }
                    }
                }
            }
        }
    }
}

fn role(view: &View, role: Role) -> &'static str {
    match role {
        Role::Editor => view.s.editor,
        Role::Reader => view.s.reader,
    }
}

/// The head of a bucket's page: its name, and its other pages.
pub(super) fn bucket_head(view: &View, bucket: &str, tab: Option<Tab>) -> Markup {
    let s = view.s;
    let base = bucket_path(bucket);
    html! {
        p.crumbs { a href="/" { (s.buckets) } }
        h1 { (bucket) }
        nav.tabs aria-label=(bucket) {
            (entry(&base, s.rules, tab == Some(Tab::Rules)))
            (entry(&format!("{base}/try"), s.try_it, tab == Some(Tab::Try)))
            (entry(&format!("{base}/history"), s.history, tab == Some(Tab::History)))
            (entry(&format!("{base}/raw"), s.raw, tab == Some(Tab::Raw)))
        }
    }
}

/// A command that does the same.
pub(super) fn command(view: &View, title: &str, text: &str) -> Markup {
    html! {
        details.command {
            summary { (title) }
            pre data-copy=(view.s.copy) { code { (text) } }
        }
    }
}

/// A time, which the script shows in the viewer's zone.
pub(super) fn time(milliseconds: u64) -> Markup {
    let text = moment::in_millis(Duration::from_millis(milliseconds));
    html! { time datetime=(text) { (text) } }
}
