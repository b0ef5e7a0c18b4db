//! What of a rule file may be a secret.
//!
//! Owns where in the tree such a thing can stand: the keys of a `MirrorAuth` and what
//! `MirrorHeaders` sets. How a name is judged is [`crate::secrecy`]'s.

use std::collections::BTreeSet;
use std::ops::Range;

use super::mirror_auth::SECRET;
use super::tree::{Field, Kind, Node};
use super::vocabulary::{Content, Element, ROUTING_RULE, Shape, WEBSITE};
use crate::secrecy::{Hidden, is_name, is_near, is_secret_name, is_secret_url, words};

/// What of a `MirrorAuth` is no secret.
const OF_AUTH: [&str; 3] = ["AuthType", "Region", "AccessKeyId"];

/// What of `MirrorHeaders` is no secret.
const OF_HEADERS: [&str; 4] = ["Key", "Pass", "PassAll", "Remove"];

/// Elements whose `Value` is no secret.
const OPEN_VALUES: [&str; 2] = ["MirrorTaggings", "MirrorReturnHeaders"];

/// What an element is to those in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Within {
    /// `MirrorAuth`.
    Auth,
    /// `MirrorHeaders`, and `Set` in it.
    Headers,
    /// Anything else.
    Open,
    /// What has values that are no secrets.
    Public,
    /// A secret, however it is written.
    Secret,
}

impl Within {
    /// What an element in it is.
    fn element(self, name: &str) -> Self {
        match self {
            Self::Secret => Self::Secret,
            Self::Auth if OF_AUTH.contains(&name) => Self::Public,
            Self::Auth => Self::Secret,
            Self::Headers if OF_HEADERS.contains(&name) => Self::Public,
            Self::Headers if name == "Set" => Self::Headers,
            Self::Headers => Self::Secret,
            Self::Open if OPEN_VALUES.contains(&name) => Self::Public,
            Self::Open | Self::Public => {
                if is_near(name, "MirrorAuth") {
                    Self::Auth
                } else if is_near(name, "MirrorHeaders") || name == "Set" {
                    Self::Headers
                } else if is_near(name, SECRET)
                    || is_secret_name(name)
                    || (self == Self::Open && is_near(name, "Value"))
                {
                    Self::Secret
                } else {
                    self
                }
            }
        }
    }

    /// Whether a value there is not shown.
    fn hides(self, node: &Node) -> bool {
        match self {
            Self::Auth | Self::Headers | Self::Secret => true,
            Self::Open | Self::Public => node.text().is_some_and(is_secret_url),
        }
    }

    /// Whether the name of an element is not shown: it may be a value that has lost its name.
    fn hides_name(self, name: &str) -> bool {
        let near = |names: &[&str]| names.iter().any(|known| is_near(name, known));
        match self {
            Self::Auth => !(near(&OF_AUTH) || is_near(name, SECRET) || is_word(name)),
            Self::Headers => !(near(&OF_HEADERS) || near(&["Set", "Value"]) || is_word(name)),
            Self::Open | Self::Public => !is_name(name),
            Self::Secret => true,
        }
    }
}

/// Whether a name is made of letters alone, as all elements' are.
fn is_word(name: &str) -> bool {
    name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Tells whether a word is one of rule files' own.
pub(super) fn known() -> impl Fn(&str) -> bool {
    let mut names: BTreeSet<&'static str> =
        ["Website", "WebsiteConfiguration", "RoutingRule", "true", "false", "null"].into();
    for elements in [WEBSITE, ROUTING_RULE] {
        collect(elements, &mut names);
    }
    move |word| names.contains(word)
}

fn collect(elements: &'static [Element], names: &mut BTreeSet<&'static str>) {
    for element in elements {
        names.insert(element.name);
        collect_shape(element.shape, names);
    }
}

fn collect_shape(shape: Shape, names: &mut BTreeSet<&'static str>) {
    match shape.content() {
        Content::Items(item, of) => {
            names.insert(item);
            collect_shape(*of, names);
        }
        Content::Elements(inner) => collect(inner, names),
        Content::Scalar => {}
    }
}

/// Everything in a file that may be a secret.
pub(super) fn find(root: &Node, text: &str, hidden: &mut Hidden) {
    Search { text, hidden }.node(root, Within::Open);
}

struct Search<'h> {
    text: &'h str,
    hidden: &'h mut Hidden,
}

impl Search<'_> {
    fn node(&mut self, node: &Node, within: Within) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|item| self.node(item, within)),
            Kind::Object(fields) => fields.iter().for_each(|field| self.field(field, within)),
            Kind::Nothing => {}
            Kind::Boolean(_) | Kind::Fraction(_) | Kind::Integer(_) | Kind::Text(_) => {
                if within.hides(node) {
                    self.hidden.hide(node.span.clone());
                }
            }
        }
    }

    fn field(&mut self, field: &Field, within: Within) {
        let Field { name, name_span, node } = field;
        if within.hides_name(name) {
            self.hidden.hide(name_span.clone());
        }
        let inner = within.element(name);
        self.node(node, inner);
        // Beside values there may be attributes, comments, and text where none belongs.
        let whole = name_span.end..node.span.end.max(name_span.end);
        match inner {
            Within::Secret => self.hidden.cover(words(self.text, whole, |_| false)),
            Within::Auth | Within::Headers => {
                let mut shown = Vec::new();
                collect_shown(node, inner, &mut shown);
                shown.sort_unstable_by_key(|span| span.start);
                let is_shown = |word: &Range<usize>| {
                    let at = shown.partition_point(|span| span.start <= word.start);
                    at.checked_sub(1).is_some_and(|at| word.end <= shown[at].end)
                };
                let hidden = words(self.text, whole, known_of(inner));
                self.hidden.cover(hidden.filter(|word| !is_shown(word)).collect::<Vec<_>>());
            }
            Within::Open | Within::Public => {}
        }
    }
}

/// The names that are shown of an element with secrets.
fn known_of(within: Within) -> impl Fn(&str) -> bool {
    move |word| {
        let own: &[&str] = match within {
            Within::Auth => &["MirrorAuth", SECRET],
            Within::Headers => &["MirrorHeaders", "Set", "Value"],
            Within::Open | Within::Public | Within::Secret => &[],
        };
        own.contains(&word) || OF_AUTH.contains(&word) || OF_HEADERS.contains(&word)
    }
}

/// Where names and values stand that are shown.
fn collect_shown(node: &Node, within: Within, shown: &mut Vec<Range<usize>>) {
    node.items().iter().for_each(|item| collect_shown(item, within, shown));
    for Field { name, name_span, node } in node.fields() {
        if !within.hides_name(name) {
            shown.push(name_span.clone());
        }
        match within.element(name) {
            Within::Public if node.text().is_some_and(is_secret_url) => {}
            Within::Public => shown.push(node.span.clone()),
            inner @ (Within::Auth | Within::Headers) => collect_shown(node, inner, shown),
            Within::Open | Within::Secret => {}
        }
    }
}
