//! What of a deployment file may be a secret.
//!
//! Owns where in the tree such a thing can stand. How a name is judged is [`crate::secrecy`]'s.

use std::collections::BTreeSet;

use super::credentials::{Environment, Inline};
use super::node::{Entry, Kind, Node};
use super::section::Section;
use crate::secrecy::{Hidden, is_name, is_near, is_secret_name, is_secret_url, words};

/// What a part of the file is to those below it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Within {
    /// `credentials`: either `none`, or what says where the keys are.
    Credentials,
    /// `environment`: names of variables, unless somebody has put the keys themselves there.
    Environment,
    /// `inline`: the keys.
    Inline,
    /// Anything else.
    Open,
    /// A secret, however it is written.
    Secret,
}

impl Within {
    /// What an entry of it is.
    fn entry(self, key: &str) -> Self {
        match self {
            Self::Open if is_near(key, "credentials") => Self::Credentials,
            Self::Open if is_near(key, "inline") => Self::Inline,
            Self::Credentials if key == "environment" => Self::Environment,
            Self::Credentials => Self::Inline,
            Self::Environment => Self::Environment,
            Self::Inline if key == "access_key_id" => Self::Open,
            Self::Inline | Self::Secret => Self::Secret,
            Self::Open if is_secret_name(key) => Self::Secret,
            Self::Open => Self::Open,
        }
    }

    /// Whether a text there is not shown.
    fn hides(self, text: &str) -> bool {
        match self {
            Self::Credentials => text != "none",
            Self::Environment => !is_variable(text),
            Self::Inline | Self::Secret => true,
            // A key itself, where the name of its file belongs.
            Self::Open => is_secret_url(text) || text.contains("PRIVATE KEY"),
        }
    }

    /// Whether the name of an entry is not shown: it may be a value that has lost its name.
    fn hides_name(self, key: &str) -> bool {
        let fields = |fields: Vec<super::section::Field>| {
            fields.iter().any(|field| is_near(key, field.name))
        };
        match self {
            Self::Credentials => !(is_near(key, "environment") || is_near(key, "inline")),
            Self::Environment => !fields(Environment::fields()),
            Self::Inline => !fields(Inline::fields()),
            Self::Open => !is_name(key),
            Self::Secret => true,
        }
    }
}

/// Whether a text looks like the name of a variable.
fn is_variable(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_part)
}

/// Tells whether a word is one of the file's own.
pub(super) fn known() -> impl Fn(&str) -> bool {
    let sections = super::reference::sections();
    let fields = sections.iter().flat_map(|section| &section.fields).map(|field| field.name);
    let names: BTreeSet<_> = fields.chain(["environment", "inline", "none"]).collect();
    move |word| names.contains(word)
}

/// Everything in a file that may be a secret.
pub(super) fn find(root: &Node, text: &str) -> Hidden {
    let mut keys = Vec::new();
    collect_keys(root, &mut keys);
    keys.sort_unstable();
    let mut search = Search { text, keys, hidden: Hidden::default() };
    search.node(root, Within::Open);
    search.hidden
}

fn collect_keys(node: &Node, keys: &mut Vec<usize>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Kind::Mapping(entries) => {
            for entry in entries {
                keys.push(entry.key_span.start);
                collect_keys(&entry.value, keys);
            }
        }
        Kind::Nothing | Kind::Text(_) => {}
    }
}

struct Search<'t> {
    text: &'t str,
    /// Where keys begin, in their order.
    keys: Vec<usize>,
    hidden: Hidden,
}

impl Search<'_> {
    fn node(&mut self, node: &Node, within: Within) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|item| self.node(item, within)),
            Kind::Mapping(entries) => {
                for entry in entries {
                    self.entry(entry, within);
                }
            }
            Kind::Text(text) if within.hides(text) => self.hidden.hide(node.span.clone()),
            Kind::Nothing | Kind::Text(_) => {}
        }
    }

    fn entry(&mut self, entry: &Entry, within: Within) {
        if within.hides_name(&entry.key) {
            self.hidden.hide(entry.key_span.clone());
        }
        let inner = within.entry(&entry.key);
        self.node(&entry.value, inner);
        let is_hiding = match inner {
            Within::Secret => true,
            Within::Credentials | Within::Inline => {
                !matches!(entry.value.kind, Kind::Mapping(_)) && !is_none(&entry.value)
            }
            Within::Environment | Within::Open => false,
        };
        if is_hiding {
            // An anchor, an alias, a tag or a comment is no part of the value: all is covered up to
            // what comes next.
            let mut below = Vec::new();
            collect_keys(&entry.value, &mut below);
            let last = below.into_iter().max().unwrap_or(entry.key_span.end);
            let next = self.keys.iter().find(|key| **key > last).copied();
            let part = entry.key_span.end..next.unwrap_or(self.text.len());
            self.hidden.cover(words(self.text, part, |_| false));
        }
    }
}

fn is_none(node: &Node) -> bool {
    matches!(&node.kind, Kind::Text(text) if text == "none")
}
