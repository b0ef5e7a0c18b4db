//! The sets that there were before, and the way back to each.

use maud::html;

use super::{Reply, Section, Tab, View, bucket_head, bucket_path, layout, problem, time};
use crate::admin::Keeper;

/// The page.
pub(in crate::console) fn page(view: &View, keeper: &Keeper, bucket: &str) -> Reply {
    let s = view.s;
    let (times, tag) =
        match keeper.history(bucket).and_then(|times| Ok((times, keeper.kept(bucket)?.tag()))) {
            Ok(found) => found,
            Err(error) => return problem::kept(view, &error),
        };
    let base = bucket_path(bucket);
    let content = html! {
        (bucket_head(view, bucket, Some(Tab::History)))
        @if times.is_empty() {
            div.empty { p { (s.no_history) } p.help { (s.no_history_help) } }
        } @else {
            p.help { (s.history_help) }
            table.cards {
                thead { tr {
                    th scope="col" { (s.replaced_at) }
                    th scope="col" { (s.rules) }
                    @if view.is_editor() { th scope="col" { (s.actions) } }
                } }
                tbody {
                    @for (place, at) in times.iter().enumerate() {
                        @let rules = keeper.version(bucket, *at).ok().and_then(|file| file.rules);
                        tr {
                            th scope="row" data-label=(s.replaced_at) { (time(*at)) }
                            td data-label=(s.rules) {
                                @match rules {
                                    Some(rules) => { ((s.of_twenty)(rules.iter().count())) }
                                    None => { (s.unknown) }
                                }
                            }
                            @if view.is_editor() {
                                td data-label=(s.actions) {
                                    form method="post" action={ (base) "/history" } {
                                        (view.csrf())
                                        input type="hidden" name="tag" value=(tag);
                                        input type="hidden" name="time" value=(at);
                                        button.quiet name="do" value="review" {
                                            @if place == 0 { (s.undo) } @else { (s.restore) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Reply::ok(layout(view, s.history, Section::Buckets, &content))
}
