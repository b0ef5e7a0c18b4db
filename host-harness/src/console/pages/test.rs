//! What `b2o doctor` finds when it asks the servers.

use maud::{Markup, html};

use super::{Reply, Section, View, layout, problem};
use crate::deployment::LoadError;
use crate::diagnostics::Weight;
use crate::doctor::{Diagnosis, Kind, Unable};

/// What came of it.
pub(in crate::console) enum Tested {
    Done(Diagnosis),
    Refused(LoadError),
    Unable(Unable),
    /// Somebody else has it asked right now.
    Busy,
}

/// The page.
pub(in crate::console) fn page(view: &View, tested: &Tested) -> Reply {
    let s = view.s;
    let content = html! {
        p.crumbs { a href="/" { (s.buckets) } }
        h1 { (s.test) }
        @match tested {
            Tested::Done(diagnosis) => (done(view, diagnosis)),
            Tested::Refused(error) => {
                p.bad role="alert" { (error) }
                @if let LoadError::Refused(reports) = error { (problem::reports(reports)) }
            }
            Tested::Unable(error) => { p.bad role="alert" { (error) } }
            Tested::Busy => { p.warning role="alert" { (s.test_is_running) } }
        }
    };
    Reply::ok(layout(view, s.test, Section::Buckets, &content))
}

fn done(view: &View, diagnosis: &Diagnosis) -> Markup {
    let s = view.s;
    html! {
        @if diagnosis.is_sound() { p.good role="status" { (s.test_is_sound) } }
        @else { p.bad role="alert" { (s.test_is_not_sound) } }
        table.cards {
            thead { tr {
                th scope="col" { (s.server) }
                th scope="col" { (s.bucket) }
                th scope="col" { (s.found_sound) }
                th scope="col" { (s.findings) }
            } }
            tbody {
                @for line in &diagnosis.lines {
                    tr {
                        th scope="row" data-label=(s.server) {
                            @match line.kind {
                                Kind::Origin => (s.origin),
                                Kind::Store => (s.store),
                            }
                            " " code { (line.server) }
                        }
                        td data-label=(s.bucket) { (line.bucket.as_deref().unwrap_or("—")) }
                        td data-label=(s.found_sound) lang="en" { (line.sound.join(", ")) }
                        td data-label=(s.findings) { (line.errors + line.warnings + line.notes) }
                    }
                }
            }
        }
        @for report in &diagnosis.reports {
            @for found in &report.problems {
                @if found.weight != Weight::Info { (problem::finding(found)) }
            }
        }
        details { summary { (s.in_detail) } (problem::reports(&diagnosis.reports)) }
    }
}
