//! What goes when a rule is deleted, or all of them.

use maud::html;
use serde_json::Value;

use super::rules::condition;
use super::{Reply, Section, Tab, View, bucket_head, bucket_path, layout, problem};
use crate::admin::{Keeper, RuleList, number};

/// The page before a rule, or every rule, goes.
pub(in crate::console) fn page(
    view: &View,
    keeper: &Keeper,
    bucket: &str,
    only: Option<u64>,
) -> Reply {
    let s = view.s;
    let kept = match keeper.kept(bucket) {
        Ok(kept) => kept,
        Err(error) => return problem::kept(view, &error),
    };
    let list = kept.website().ok().and_then(|website| RuleList::new(website).ok());
    let rules: &[Value] = list.as_ref().map_or(&[], RuleList::rules);
    let gone: Vec<_> =
        rules.iter().filter(|rule| only.is_none_or(|only| number(rule) == only)).collect();
    if only.is_some() && gone.is_empty() {
        return problem::page(view, http::StatusCode::NOT_FOUND, s.no_such_rule);
    }
    let base = bucket_path(bucket);
    let (title, to, verb) = match only {
        Some(only) => ((s.delete_number)(only), format!("{base}/rules/{only}/delete"), s.delete),
        None => (s.clear_all.to_owned(), format!("{base}/clear"), s.clear),
    };
    let content = html! {
        (bucket_head(view, bucket, Some(Tab::Rules)))
        h2 { (title) }
        p { ((s.these_go)(gone.len())) }
        @if !gone.is_empty() {
            ol.gone {
                @for rule in &gone {
                    li value=(number(rule)) {
                        (condition(view, rule))
                        code.long {
                            (super::rules::shown_url(
                                rule["Redirect"]["MirrorURL"].as_str()
                                    .or_else(|| rule["Redirect"]["HostName"].as_str()).unwrap_or_default()
                            ))
                        }
                    }
                }
            }
        } @else { p lang="en" { code { (kept.path.display()) } } }
        p.help { (s.can_be_undone) }
        form.plain method="post" action=(to) {
            (view.csrf())
            input type="hidden" name="tag" value=(kept.tag());
            div.actions {
                button.danger name="do" value="save" { (verb) }
                a.button.quiet href=(base) { (s.cancel) }
            }
        }
    };
    Reply::ok(layout(view, &title, Section::Buckets, &content))
}
