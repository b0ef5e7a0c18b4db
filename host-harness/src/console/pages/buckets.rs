//! All buckets.

use maud::{Markup, html};

use super::{Reply, Section, View, bucket_path, command, layout, problem};
use crate::admin::Keeper;
use crate::deployment::{self, LoadError, Loaded};

/// The page.
pub(in crate::console) fn page(view: &View, keeper: &Keeper) -> Reply {
    let s = view.s;
    let content = match deployment::load(&keeper.deployment) {
        Ok(loaded) => table(view, keeper, &loaded),
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

fn table(view: &View, keeper: &Keeper, loaded: &Loaded) -> Markup {
    let s = view.s;
    let file = keeper.deployment.display().to_string();
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    html! {
        table.cards {
            thead { tr {
                th scope="col" { (s.bucket) }
                th scope="col" { (s.rules) }
                th scope="col" { (s.store) }
            } }
            tbody {
                @for (bucket, rules) in buckets {
                    @let name = &bucket.name.value.0;
                    @let count = rules.set.iter().count();
                    tr {
                        th scope="row" { a href=(bucket_path(name)) { (name) } }
                        td data-label=(s.rules) { ((s.of_twenty)(count)) }
                        td data-label=(s.store) { code { (bucket.endpoint.first) } }
                    }
                }
            }
        }
        (command(view, s.same_by_command, &format!("b2o check {file}\nb2o doctor {file}")))
    }
}
