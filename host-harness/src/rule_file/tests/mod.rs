//! Rule files of every form, right and wrong.

mod bad_input;
mod clients;
mod elements;
mod forms;
mod mirror_auth;
mod rendering;

use super::{RuleFile, read};

/// Reads a text.
fn file(text: impl AsRef<[u8]>) -> RuleFile {
    read("rules", text.as_ref(), None)
}

/// What was found, a line each: how bad, what, where.
fn found(file: &RuleFile) -> Vec<String> {
    let problems = file.report.problems.iter();
    let line = |problem: &crate::diagnostics::Problem| {
        let (line, column) = file.report.document.position(problem.span.start);
        let pointer = problem.pointer.as_deref().unwrap_or("-");
        let weight = match problem.weight {
            crate::diagnostics::Weight::Error => "error",
            crate::diagnostics::Weight::Warning => "warning",
            crate::diagnostics::Weight::Info => "info",
        };
        format!("{line}:{column} {weight} {} {pointer}", problem.code)
    };
    problems.map(line).collect()
}

/// Rules of OSS's form around the children of a `RoutingRule`, each rule on its own line.
fn oss(rules: &[&str]) -> String {
    let rules: String =
        rules.iter().map(|rule| format!("<RoutingRule>{rule}</RoutingRule>\n")).collect();
    format!("<WebsiteConfiguration><RoutingRules>\n{rules}</RoutingRules></WebsiteConfiguration>")
}

/// The same in S3's.
fn s3(rules: &[&str]) -> String {
    let root = "<WebsiteConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    oss(rules).replace("<WebsiteConfiguration>", root)
}
