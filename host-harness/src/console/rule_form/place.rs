//! Where the field of an element stands.

use crate::rule_file::vocabulary::{Element, REDIRECT};

/// Where a field stands, and how it asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::console) enum Place {
    /// On the panel itself, as a box that is ticked or not.
    Box,
    /// On the panel itself, in its own way.
    Panel,
    /// Under More, as the vocabulary has it.
    More,
}

/// The elements of `Redirect` that stand on the panel, and which are boxes.
const PANEL: &[(&str, Place)] = &[
    ("RedirectType", Place::Panel),
    ("PassQueryString", Place::Box),
    ("EnableReplacePrefix", Place::Box),
    ("ReplaceKeyPrefixWith", Place::Panel),
    ("ReplaceKeyWith", Place::Panel),
    ("Protocol", Place::Panel),
    ("HostName", Place::Panel),
    ("HttpRedirectCode", Place::Panel),
    ("MirrorURL", Place::Panel),
    ("MirrorPassQueryString", Place::Box),
    ("MirrorFollowRedirect", Place::Box),
    ("MirrorHeaders", Place::Panel),
    ("MirrorHeaders/PassAll", Place::Box),
    ("MirrorAllowHeadObject", Place::Box),
    ("MirrorUserLastModified", Place::Box),
];

/// Where the field of a name stands.
pub(in crate::console) fn place(name: &str) -> Place {
    let Some(element) = name.strip_prefix("Redirect/") else { return Place::Panel };
    let is_own = |known: &str| {
        let rest = element.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // The last one is the nearest.
    let found = PANEL.iter().rev().find(|(known, _)| is_own(known));
    found.map_or(Place::More, |(_, place)| *place)
}

/// The elements under More: all that do not stand on the panel.
pub(in crate::console) fn more() -> impl Iterator<Item = &'static Element> {
    let is_more = |element: &&Element| place(&format!("Redirect/{}", element.name)) == Place::More;
    REDIRECT.iter().filter(is_more)
}
