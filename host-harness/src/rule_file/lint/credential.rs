//! Secrets on their way to an origin in plain http.

use super::origin::{Origin, is_loopback, origins};
use super::rule::Rule;
use crate::diagnostics::Problem;
use crate::rule_file::code::Code;
use crate::rule_file::tree::Node;

/// What the name of a header that carries a secret has in it.
const SECRETS: [&str; 9] =
    ["api-key", "apikey", "auth", "cookie", "credential", "passw", "secret", "session", "token"];

/// The headers of a rule that are likely secrets, where the origin is asked over plain http.
pub(super) fn in_clear(rule: &Rule<'_>) -> Vec<Problem> {
    let origins = origins(rule);
    let in_clear = origins.iter().find(|origin| {
        let is_asked = !origin.pointer.ends_with("Probe");
        is_asked
            && origin.url.scheme() == "http"
            && !origin.url.host().is_some_and(|host| is_loopback(&host))
    });
    let Some(origin) = in_clear else { return Vec::new() };
    let mut problems: Vec<Problem> = signed(rule, origin).into_iter().collect();
    let Some(headers) = rule.redirect.get("MirrorHeaders") else { return problems };
    let pointer = format!("{}/Redirect/MirrorHeaders", rule.pointer);
    let problem = |node: &Node, message: String, pointer: String| {
        Problem::warning(Code::CredentialsInClear.as_str(), node.span.clone(), message)
            .related(origin.node.span.clone(), "to here")
            .at(pointer)
            .help("fetch over https, or do not send it")
    };
    let list = |name| headers.get(name).map_or(&[][..], Node::items);
    if let Some(all) = headers.get("PassAll").filter(|all| all.is_true()) {
        let is_cookie =
            |node: &Node| node.text().is_some_and(|name| name.eq_ignore_ascii_case("cookie"));
        if !list("Remove").iter().any(is_cookie) {
            let message = "`PassAll` sends the client's cookies over plain http".to_owned();
            problems.push(problem(all, message, format!("{pointer}/PassAll")));
        }
    }
    for (index, node) in list("Pass").iter().enumerate() {
        // `authorization` is never passed, which is another finding.
        let is_passed = |name: &str| !name.to_ascii_lowercase().contains("authorization");
        if let Some(name) = node.text().filter(|name| is_passed(name) && is_secret(name)) {
            let message = format!("the client's `{name}` goes over plain http");
            problems.push(problem(node, message, format!("{pointer}/Pass/{index}")));
        }
    }
    for (index, pair) in list("Set").iter().enumerate() {
        let Some(key) = pair.get("Key") else { continue };
        if let Some(name) = key.text().filter(|name| is_secret(name)) {
            let message = format!("`{name}` goes over plain http");
            problems.push(problem(key, message, format!("{pointer}/Set/{index}/Key")));
        }
    }
    problems
}

/// A signature is a secret for as long as it holds, and the object is one too.
fn signed(rule: &Rule<'_>, origin: &Origin<'_>) -> Option<Problem> {
    let auth = rule.redirect.field("MirrorAuth")?;
    let message = "what `MirrorAuth` signs, and the object, go over plain http";
    let problem =
        Problem::warning(Code::CredentialsInClear.as_str(), auth.name_span.clone(), message);
    let problem = problem.related(origin.node.span.clone(), "to here");
    Some(problem.at(format!("{}/Redirect/MirrorAuth", rule.pointer)).help("fetch over https"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}
