//! What went wrong, as a page and in a page.

use http::StatusCode;
use maud::{Markup, html};

use super::{Reply, Section, View, layout};
use crate::admin::{KeeperError, ListError};
use crate::console::edit::EditError;
use crate::deployment::LoadError;
use crate::diagnostics::{Problem, Report, Weight};

/// A page that says what is wrong.
pub(in crate::console) fn page(view: &View, status: StatusCode, told: &str) -> Reply {
    let s = view.s;
    let content = html! {
        section.narrow {
            h1 { (status.as_u16()) " · " (s.cannot) }
            p.bad role="alert" { (told) }
            p { a href="/" { (s.back_to_buckets) } }
        }
    };
    Reply::page(status, layout(view, s.cannot, Section::Nowhere, &content))
}

/// The page of what the keeper refuses.
pub(in crate::console) fn kept(view: &View, error: &KeeperError) -> Reply {
    let status = match error {
        KeeperError::NoSuchBucket(_) => StatusCode::NOT_FOUND,
        KeeperError::Refused(_)
        | KeeperError::Broken(_)
        | KeeperError::Unsaid { .. }
        | KeeperError::Shared { .. } => StatusCode::CONFLICT,
        KeeperError::Deployment(_)
        | KeeperError::Envoy(_)
        | KeeperError::Write(_)
        | KeeperError::Read { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let s = view.s;
    let content = html! {
        section {
            h1 { (s.nothing_has_changed) }
            p.bad role="alert" { (error) }
            (reports(reports_of(error)))
            p { a href="/" { (s.back_to_buckets) } }
        }
    };
    Reply::page(status, layout(view, s.cannot, Section::Nowhere, &content))
}

/// The page of a change that is refused.
pub(in crate::console) fn refused(view: &View, error: &EditError) -> Reply {
    match error {
        EditError::Conflict => page(view, StatusCode::CONFLICT, view.s.changed_meanwhile),
        EditError::Keeper(error) => kept(view, error),
        EditError::List(error) => {
            let status = match error {
                ListError::NoSuchRule { .. } => StatusCode::NOT_FOUND,
                ListError::AtTheEnd(_)
                | ListError::RedirectsAll
                | ListError::NoRule(_)
                | ListError::NotOne(_) => StatusCode::CONFLICT,
            };
            page(view, status, &error.to_string())
        }
    }
}

/// What was found, of an error that has found something.
pub(in crate::console) fn reports_of(error: &KeeperError) -> &[Report] {
    match error {
        KeeperError::Refused(reports) | KeeperError::Deployment(LoadError::Refused(reports)) => {
            reports
        }
        KeeperError::Broken(report) => std::slice::from_ref(&**report),
        KeeperError::NoSuchBucket(_)
        | KeeperError::Deployment(LoadError::Unreadable { .. })
        | KeeperError::Shared { .. }
        | KeeperError::Unsaid { .. }
        | KeeperError::Envoy(_)
        | KeeperError::Write(_)
        | KeeperError::Read { .. } => &[],
    }
}

/// Reports as `b2o check` draws them. Their texts are masked where they are made.
pub(in crate::console) fn reports(reports: &[Report]) -> Markup {
    html! {
        @for report in reports {
            pre.report lang="en" { code { (report.render(false)) } }
        }
    }
}

/// One finding, in words.
pub(in crate::console) fn finding(problem: &Problem) -> Markup {
    let class = match problem.weight {
        Weight::Error => "finding bad",
        Weight::Warning => "finding warning",
        Weight::Info => "finding note",
    };
    html! {
        p class=(class) lang="en" {
            (problem.message)
            @if let Some(help) = &problem.help { " — " (help) }
            " " code { (problem.code) }
        }
    }
}
