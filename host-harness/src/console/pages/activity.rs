//! The last lines about requests.

use maud::html;

use super::{Reply, Section, View, layout, time};
use crate::console::form::Form;
use crate::console::recent::{Recent, is_failure};

/// How many lines a page has.
const MOST: usize = 200;

/// The page.
pub(in crate::console) fn page(view: &View, recent: Option<&Recent>, query: &Form) -> Reply {
    let s = view.s;
    let words = query.get("words");
    let content = html! {
        h1 { (s.activity) }
        @match recent {
            None => {
                div.empty { p { (s.no_activity_here) } p.help { (s.no_activity_here_help) } }
            }
            Some(recent) => {
                @let lines = recent.find(words, MOST);
                form.find method="get" action="/activity" role="search" {
                    div.field {
                        label for="words" { (s.find_lines) }
                        input #words name="words" value=(words) type="search" spellcheck="false";
                        p.help { (s.find_lines_help) }
                    }
                    div.actions { button { (s.show) } }
                }
                div #live data-live {
                @if lines.is_empty() { div.empty { p { (s.no_lines) } } }
                @else {
                    ol.lines aria-label=(s.activity) {
                        @for told in &lines {
                            li.failure[is_failure(&told.line)] {
                                (time(told.at)) " " code lang="en" { (told.line) }
                            }
                        }
                    }
                }
                }
            }
        }
    };
    Reply::ok(layout(view, s.activity, Section::Activity, &content))
}
