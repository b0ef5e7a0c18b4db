//! Mirror rules and a 403, by which stores hide what is missing from who may not list the bucket.

use std::ops::Range;

use super::Asks;
use super::rule::Rule;
use crate::deployment::code::Code::{MissingCredentials, NoEffect};
use crate::diagnostics::Problem;
use crate::rule_file::code::Code;

/// What there is to say of Mirror rules that name 403, or of none that does.
pub(super) fn lint(rules: &[Rule<'_>], asks: Asks) -> Vec<Problem> {
    let mirrors = || rules.iter().filter(|rule| rule.is_mirror());
    let names = |rule: &&Rule<'_>, status| {
        rule.condition.statuses.as_ref().is_some_and(|statuses| statuses.contains(&status))
    };
    let mut problems: Vec<_> = mirrors()
        .filter(|rule| names(rule, 403))
        .filter_map(|rule| {
            let place = place(rule);
            let problem = match asks {
                Asks::Writes => return None,
                Asks::Nobody => Problem::error(
                    MissingCredentials.as_str(),
                    place,
                    "a Mirror rule on 403 needs `credentials` of the bucket: with them the gateway \
                     asks whether the object is there",
                )
                .help(
                    "add keys that may read and list the bucket (s3:GetObject, s3:ListBucket), or \
                     take 403 out",
                ),
                Asks::Reads => Problem::warning(
                    NoEffect.as_str(),
                    place,
                    "`reads: signed` asks with the keys that would prove that the object is missing",
                )
                .help("take 403 out, and let these keys list the bucket: then it answers 404"),
            };
            Some(problem.at(format!("{}/Condition/HttpErrorCodeReturnedEquals", rule.pointer)))
        })
        .collect();
    if asks == Asks::Writes
        && mirrors().all(|rule| !names(&rule, 403))
        && let Some(rule) = mirrors().find(|rule| names(rule, 404))
    {
        let message = "S3 answers 403, not 404, for a missing key to who may not list the bucket: \
                       that is no miss here";
        problems.push(
            Problem::info(Code::ForbiddenMiss.as_str(), place(rule), message)
                .at(format!("{}/Condition/HttpErrorCodeReturnedEquals", rule.pointer))
                .help(
                    "if your bucket does so, name 403 too (the gateway then asks with the bucket's \
                     `credentials`), set `reads: signed`, or let clients list the bucket",
                ),
        );
    }
    problems
}

/// Where a rule says which statuses it is about.
fn place(rule: &Rule<'_>) -> Range<usize> {
    rule.statuses.as_ref().unwrap_or(&rule.span).clone()
}
