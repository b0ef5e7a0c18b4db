//! What is done with an element, as the filter's own tables have it.

use back_to_origin::rule::element::{self, Support};

use super::Element;

/// What is done with an element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// It is honoured as OSS honours it.
    Honoured,
    /// It is honoured, and OSS does not have it.
    Extension,
    /// It is kept and not acted on, for this reason.
    Kept(&'static str),
    /// Its presence is refused, for this reason.
    Refused(&'static str),
    /// Its presence is refused unless it is switched off, for this reason.
    RefusedWhenOn(&'static str),
}

/// What is done with an element.
pub(crate) fn state(element: &Element) -> State {
    if let Some(known) = element::REDIRECT.iter().find(|known| known.name == element.name) {
        return match known.support {
            Support::Honoured => State::Honoured,
            Support::Extension => State::Extension,
            Support::Refused(why) => State::Refused(why),
            Support::RefusedWhenOn(why) => State::RefusedWhenOn(why),
        };
    }
    match element::REFUSED_ELSEWHERE.iter().find(|(name, _)| *name == element.name) {
        Some((_, why)) => State::Refused(why),
        None => element.state,
    }
}
