//! Rules that an earlier one leaves nothing to.

use super::rule::Rule;
use crate::diagnostics::Problem;
use crate::rule_file::code::Code;

/// Every rule that can never match, with the first that is in its way.
pub(super) fn never_matching(rules: &[Rule<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let earlier = rules[..index].iter().find(|earlier| {
            earlier.number < rule.number
                && rule.condition.is_within(&earlier.condition)
                && !(earlier.is_mirror() && earlier.is_on("MirrorFallThrough"))
        });
        let Some(earlier) = earlier else { continue };
        let message = format!(
            "this rule never applies: rule {} applies to all that rule {} is about",
            earlier.number, rule.number
        );
        problems.push(
            Problem::warning(Code::NeverMatches.as_str(), rule.span.clone(), message)
                .related(earlier.span.clone(), "this condition covers it")
                .at(format!("{}/Condition", rule.pointer))
                .help("give it a smaller number, or remove it"),
        );
    }
    problems
}
