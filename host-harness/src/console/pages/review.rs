//! What a change would make of the rules, before it is made.

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::{Reply, Section, Tab, View, bucket_head, bucket_path, layout, problem};
use crate::admin::Judged;
use crate::rule_file::Website;

/// A change that waits for its confirmation.
pub(in crate::console) struct Review<'a> {
    pub(in crate::console) bucket: &'a str,
    pub(in crate::console) title: &'a str,
    /// Where the confirmation goes, and what it carries.
    pub(in crate::console) to: &'a str,
    pub(in crate::console) draft: &'a str,
    /// Whether it is a panel's, which can be gone back to.
    pub(in crate::console) is_panel: bool,
    /// What the rules are by now.
    pub(in crate::console) tag: &'a str,
    /// Whether somebody else has changed them since the form was opened.
    pub(in crate::console) is_conflict: bool,
    pub(in crate::console) judged: &'a Judged,
    /// The button, and whether it takes something away.
    pub(in crate::console) verb: &'a str,
    pub(in crate::console) is_danger: bool,
}

/// The page.
pub(in crate::console) fn page(view: &View, review: &Review<'_>) -> Reply {
    let s = view.s;
    let judged = review.judged;
    let difference = difference(judged.before.as_ref(), &judged.after);
    let is_same = difference.is_none();
    let content = html! {
        (bucket_head(view, review.bucket, Some(Tab::Rules)))
        h2 { (review.title) }
        @if review.is_conflict { p.warning role="alert" { (s.changed_meanwhile_look) } }
        @match &difference {
            Some(difference) => { (difference) p.help { (s.secrets_are_masked) } }
            None => { p { (s.looks_the_same) } }
        }
        (problem::reports(&judged.warnings))
        form.panel method="post" action=(review.to) {
            (view.csrf())
            input type="hidden" name="draft" value=(review.draft);
            input type="hidden" name="tag" value=(review.tag);
            div.actions.last {
                @let class = if review.is_danger { "danger" } else { "primary" };
                button class=(class) name="do" value="save" autofocus { (review.verb) }
                @if review.is_panel {
                    button.quiet name="do" value="back" { (s.back_to_form) }
                }
                a.button.quiet href=(bucket_path(review.bucket)) { (s.cancel) }
            }
        }
        @if is_same { p.help { (s.looks_the_same_help) } }
    };
    let mut reply = Reply::ok(layout(view, review.title, Section::Buckets, &content));
    if review.is_conflict {
        reply.status = http::StatusCode::CONFLICT;
    }
    reply
}

/// Both sets as JSON without their secrets, line by line; `None` where they look the same.
fn difference(before: Option<&Website>, after: &Website) -> Option<Markup> {
    let before = before.map_or_else(String::new, |before| before.masked().to_json());
    let after = after.masked().to_json();
    if before == after {
        return None;
    }
    let diff = TextDiff::from_lines(&before, &after);
    let groups = diff.grouped_ops(4);
    Some(html! {
        pre.diff lang="en" {
            @for (index, group) in groups.iter().enumerate() {
                @if index > 0 { span.gap { "…\n" } }
                @for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                    @match change.tag() {
                        ChangeTag::Delete => { del { "− " (change.value()) } }
                        ChangeTag::Insert => { ins { "+ " (change.value()) } }
                        ChangeTag::Equal => { span { "  " (change.value()) } }
                    }
                }
            }
        }
    })
}
