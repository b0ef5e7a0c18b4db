//! All buckets.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Reply, Section, View, bucket_path, command, layout, problem, time};
use crate::admin::Keeper;
use crate::console::figures::Figures;
use crate::console::recent::{Recent, is_failure};
use crate::deployment::{self, LoadError, Loaded};

/// How many of the last failures are shown.
const FAILURES: usize = 10;

/// The page.
pub(in crate::console) fn page(
    view: &View,
    keeper: &Keeper,
    figures: Option<&BTreeMap<String, Figures>>,
    recent: Option<&Recent>,
) -> Reply {
    let s = view.s;
    let content = match deployment::load(&keeper.deployment) {
        Ok(loaded) => html! {
            div #live data-live=[figures.map(|_| "")] {
                (failing(view, figures))
                (table(view, &loaded, figures))
                @if let Some(recent) = recent { (failures(view, recent)) }
            }
            (beside(view, keeper))
        },
        Err(error) => html! {
            div.banner.bad role="alert" {
                h2 { (s.deployment_refused) }
                p { (s.deployment_refused_help) }
                @if let LoadError::Refused(reports) = &error { (problem::reports(reports)) }
                @else { p { (error) } }
            }
        },
    };
    let content = html! { h1 { (s.buckets) } (content) };
    Reply::ok(layout(view, s.buckets, Section::Buckets, &content))
}

/// A banner where clients are being failed.
fn failing(view: &View, figures: Option<&BTreeMap<String, Figures>>) -> Markup {
    let s = view.s;
    let failing = figures.into_iter().flatten().filter(|(_, figures)| figures.failed() > 0);
    let failing: Vec<_> = failing.collect();
    html! {
        @if !failing.is_empty() {
            div.banner.bad role="status" {
                h2 { (s.clients_are_failed) }
                ul {
                    @for (bucket, figures) in failing {
                        li {
                            a href=(bucket_path(bucket)) { (bucket) } ": "
                            @for (place, (reason, count)) in figures.failures.iter().enumerate() {
                                @if place > 0 { ", " }
                                (count) " × " code { (reason) }
                            }
                        }
                    }
                }
                p.help { (s.since_start) }
            }
        }
    }
}

fn table(view: &View, loaded: &Loaded, figures: Option<&BTreeMap<String, Figures>>) -> Markup {
    let s = view.s;
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    let unknown = || html! { span.help { (s.unknown) } };
    let none = Figures::default();
    html! {
        table.cards {
            thead { tr {
                th scope="col" { (s.bucket) }
                th scope="col" { (s.rules) }
                th scope="col" { (s.store) }
                th scope="col" { (s.decided) }
                th scope="col" { (s.failed) }
                th scope="col" { (s.stored) }
                th scope="col" { (s.not_stored) }
                th scope="col" { (s.last_miss) }
            } }
            tbody {
                @for (bucket, rules) in buckets {
                    @let name = &bucket.name.value.0;
                    @let count = rules.set.iter().count();
                    @let own = figures.map(|all| all.get(name).unwrap_or(&none));
                    @let number = |of: fn(&Figures) -> u64| match own {
                        Some(own) => html! { (of(own)) },
                        None => unknown(),
                    };
                    tr {
                        th scope="row" { a href=(bucket_path(name)) { (name) } }
                        td data-label=(s.rules) { ((s.of_twenty)(count)) }
                        td data-label=(s.store) { code { (bucket.endpoint.first) } }
                        td data-label=(s.decided) { (number(Figures::requests)) }
                        td data-label=(s.failed) { (number(Figures::failed)) }
                        td data-label=(s.stored) { (number(|own| own.stored)) }
                        td data-label=(s.not_stored) { (number(Figures::not_stored)) }
                        td data-label=(s.last_miss) {
                            @match own.map(|own| own.last_miss) {
                                Some(Some(at)) => (time(at.saturating_mul(1000))),
                                Some(None) => (s.none_yet),
                                None => (unknown()),
                            }
                        }
                    }
                }
            }
        }
        @if figures.is_some() { p.help { (s.since_start) } } @else { p.help { (s.no_figures) } }
    }
}

/// What can be asked of the servers, here and by a command.
fn beside(view: &View, keeper: &Keeper) -> Markup {
    let s = view.s;
    let file = keeper.deployment.display().to_string();
    html! {
        @if view.is_editor() {
            form.test method="post" action="/test" {
                (view.csrf())
                div.actions {
                    button { (s.test) }
                    label.inline { input type="checkbox" name="write" value="true"; (s.test_writes) }
                }
                p.help { (s.test_help) }
            }
        }
        (command(view, s.same_by_command, &format!("b2o check {file}\nb2o doctor {file} --read-only")))
    }
}

/// The last failures, with their keys and reasons.
fn failures(view: &View, recent: &Recent) -> Markup {
    let s = view.s;
    let lines = recent.find("", usize::MAX);
    let lines: Vec<_> = lines.iter().filter(|told| is_failure(&told.line)).take(FAILURES).collect();
    html! {
        h2 { (s.last_failures) }
        @if lines.is_empty() { p.help { (s.no_failures) } }
        @else {
            ol.lines {
                @for told in lines { li { (time(told.at)) " " code lang="en" { (told.line) } } }
            }
        }
    }
}
