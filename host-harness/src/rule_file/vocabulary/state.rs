//! What is done with an element, as the filter's own tables have it.

use back_to_origin::rule::element::{self, Support};

/// What is done with an element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// It is honoured as OSS honours it.
    Honoured,
    /// It is honoured, and OSS does not have it.
    Extension,
    /// It is kept and not acted on.
    Kept,
    /// Its presence is refused.
    Refused,
    /// Its presence is refused unless it is switched off.
    RefusedWhenOn,
}

/// What is done with an element below a rule, or with one of the whole file.
pub(crate) fn state(name: &str) -> State {
    if let Some(element) = element::REDIRECT.iter().find(|element| element.name == name) {
        return match element.support {
            Support::Honoured => State::Honoured,
            Support::Extension => State::Extension,
            Support::Refused => State::Refused,
            Support::RefusedWhenOn => State::RefusedWhenOn,
        };
    }
    if element::REFUSED_ELSEWHERE.contains(&name) {
        State::Refused
    } else if matches!(name, "IndexDocument" | "ErrorDocument") {
        State::Kept
    } else {
        State::Honoured
    }
}
