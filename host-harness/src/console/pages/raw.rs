//! The set as text: JSON and XML, and the way to change it as a whole.

use maud::{Markup, html};

use super::{Reply, Section, Tab, View, bucket_head, bucket_path, layout, problem};
use crate::admin::Keeper;
use crate::rule_file::{Website, Written};

/// The page; `typed` is a text that was refused, without its secrets, and why.
pub(in crate::console) fn page(
    view: &View,
    keeper: &Keeper,
    bucket: &str,
    typed: Option<(Option<&str>, Markup)>,
) -> Reply {
    let s = view.s;
    let kept = match keeper.kept(bucket) {
        Ok(kept) => kept,
        Err(error) => return problem::kept(view, &error),
    };
    let website = kept.website().ok().flatten().map(Website::masked);
    let base = bucket_path(bucket);
    let json =
        website.as_ref().map_or_else(|| "{ \"RoutingRules\": [] }\n".to_owned(), Website::to_json);
    let has_secrets = kept.website().ok().flatten().is_some_and(Website::has_secrets);
    let content = html! {
        (bucket_head(view, bucket, Some(Tab::Raw)))
        p.help { (s.raw_help) " " code { (kept.path.display()) } }
        @if has_secrets { p.help { (s.secrets_are_masked) } }
        h2 { "JSON" }
        pre.raw data-copy=(s.copy) { code { (json) } }
        @if let Some(website) = &website {
            @for (name, written) in
                [("XML · OSS", website.to_oss_xml()), ("XML · S3", website.to_s3_xml())]
            {
                details.form { summary { (name) } (self::written(view, &written)) }
            }
        }
        @if view.is_editor() {
            h2 { (s.edit_text) }
            p.help { (s.edit_text_help) }
            @if let Some((_, why)) = &typed { p.bad role="alert" { (s.nothing_has_changed) } (why) }
            form.panel method="post" action={ (base) "/raw" } {
                (view.csrf())
                input type="hidden" name="tag" value=(kept.tag());
                div.field {
                    label for="text" { (s.text_of_the_set) }
                    textarea #text name="text" rows="16" spellcheck="false" {
                        // A browser takes away the first line break.
                        "\n" (typed.as_ref().and_then(|(text, _)| *text).unwrap_or(&json))
                    }
                }
                div.actions { button.primary name="do" value="review" { (s.review) } }
            }
        }
    };
    Reply::ok(layout(view, s.raw, Section::Buckets, &content))
}

/// A form of the set, and what it cannot say.
fn written(view: &View, written: &Written) -> Markup {
    let s = view.s;
    html! {
        @if !written.losses.is_empty() {
            details.losses {
                summary { ((s.cannot_say)(written.losses.len())) }
                ul lang="en" {
                    @for loss in &written.losses { li { (loss.message) } }
                }
            }
        }
        pre.raw data-copy=(s.copy) { code { (written.text) } }
    }
}
