//! Signing in.

use std::time::Duration;

use http::StatusCode;
use maud::html;

use super::{Reply, Section, View, layout};

/// Why one is here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::console) enum Why {
    /// Nobody has signed in yet, or not here.
    New,
    /// That was not right.
    Wrong,
    /// That was not right too often.
    Wait(Duration),
}

/// The page; with keys a name is asked for too.
pub(in crate::console) fn page(view: &View, has_keys: bool, next: &str, why: Why) -> Reply {
    let s = view.s;
    let (status, told, wait) = match why {
        Why::New => (StatusCode::OK, None, None),
        Why::Wrong => (StatusCode::FORBIDDEN, Some(s.wrong_password.to_owned()), None),
        Why::Wait(wait) => {
            let seconds = wait.as_secs() + 1;
            (StatusCode::TOO_MANY_REQUESTS, Some((s.wait_seconds)(seconds)), Some(seconds))
        }
    };
    let content = html! {
        section.narrow {
            h1 { (s.sign_in) }
            @if let Some(told) = told { p.bad role="alert" { (told) } }
            form.panel method="post" action="/sign-in" {
                input type="hidden" name="next" value=(next);
                @if has_keys {
                    div.field {
                        label for="name" { (s.access_key_id) }
                        input #name name="name" autocomplete="username" aria-describedby="name-help";
                        p.help #name-help { (s.access_key_id_help) }
                    }
                }
                div.field {
                    label for="password" { (s.password) }
                    input #password name="password" type="password" required autofocus
                        autocomplete="current-password";
                }
                div.actions { button.primary { (s.sign_in) } }
            }
        }
    };
    let mut reply = Reply::page(status, layout(view, s.sign_in, Section::Nowhere, &content));
    reply.retry_after = wait;
    reply
}
