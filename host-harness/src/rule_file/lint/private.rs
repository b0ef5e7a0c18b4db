//! Clients that are sent by themselves to an origin which only takes signed requests.

use super::rule::Rule;
use crate::diagnostics::Problem;
use crate::rule_file::code::Code;

/// What of a rule sends clients to an origin for which its requests are signed.
pub(super) fn sends_clients(rule: &Rule<'_>) -> Vec<Problem> {
    let Some(auth) = rule.redirect.field("MirrorAuth").filter(|_| rule.is_mirror()) else {
        return Vec::new();
    };
    let at_once = rule.redirect.field("MirrorAsyncStatus");
    let too_large =
        rule.redirect.field("MirrorTooLarge").filter(|field| field.node.text() == Some("Redirect"));
    let sending = [
        (at_once, "leave it out: the object is fetched for the client then"),
        (too_large, "leave it out: beside `MirrorAuth` it is Fail"),
    ];
    let problems = sending.into_iter().filter_map(|(field, help)| {
        let field = field?;
        let message = format!(
            "`{}` sends the client to the origin by itself, which only takes what `MirrorAuth` signs",
            field.name
        );
        let code = Code::SentToPrivateOrigin.as_str();
        let problem = Problem::warning(code, field.name_span.clone(), message)
            .related(auth.name_span.clone(), "signed here")
            .at(format!("{}/Redirect/{}", rule.pointer, field.name))
            .help(help);
        Some(problem)
    });
    problems.collect()
}
