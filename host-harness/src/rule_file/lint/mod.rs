//! What the filter takes and hardly anybody means: lints over the rules of one file.
//!
//! They only need a tree, so they speak beside whatever else is wrong with a file. Each says only
//! what is certain from the file and what is around it.

mod cover;
mod credential;
mod forbidden;
mod keys;
mod note;
pub(crate) mod origin;
mod private;
mod rule;
mod turn;

use std::net::SocketAddr;
use std::ops::Range;

use super::tree::Node;
use crate::diagnostics::{Problem, Weight};
use rule::Rule;

/// What is around a rule file.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The bucket that the rules are of; unknown where a file is read by itself.
    pub bucket: Option<Home>,
    /// How much an origin on the inside of a network weighs; `None` where it is wanted.
    pub internal_origins: Option<Weight>,
    /// With whose keys the bucket is asked; unknown where a file is read by itself.
    pub asks: Option<Asks>,
}

/// With whose keys a gateway asks a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asks {
    /// Its own are for reads too.
    Reads,
    /// Its own are for what it asks itself: reads are the clients' own.
    Writes,
    /// It has none.
    Nobody,
}

/// Nothing is known, and an origin on the inside deserves a look.
impl Default for Surroundings {
    fn default() -> Self {
        Self { bucket: None, internal_origins: Some(Weight::Warning), asks: None }
    }
}

/// Where a bucket is, and where its gateway.
#[derive(Clone, Debug)]
pub struct Home {
    /// The bucket's name.
    pub name: String,
    /// The host of the store's endpoint.
    pub store_host: String,
    /// Its port.
    pub store_port: u16,
    /// Whether the store expects the name in the host rather than in the path.
    pub is_virtual: bool,
    /// The address the gateway listens on.
    pub listen: SocketAddr,
    /// The domain below which the gateway knows the bucket.
    pub domain: Option<String>,
    /// The addresses by which the gateway is managed.
    pub managed: Vec<SocketAddr>,
}

/// Everything there is to say about the rules of a file.
pub(super) fn lint(root: &Node, surroundings: &Surroundings) -> Vec<Problem> {
    let rules = Rule::all(root);
    let home = surroundings.bucket.as_ref();
    let mut problems = cover::never_matching(&rules);
    problems.extend(turn::loops(&rules, home));
    problems.extend(surroundings.asks.into_iter().flat_map(|asks| forbidden::lint(&rules, asks)));
    for rule in &rules {
        problems.extend(origin::internal(rule, surroundings.internal_origins));
        problems.extend(home.and_then(|home| origin::own_bucket(rule, home)));
        problems.extend(home.into_iter().flat_map(|home| origin::own_interface(rule, home)));
        problems.extend(credential::in_clear(rule));
        problems.extend(private::sends_clients(rule));
    }
    problems
}

/// What is taken as it stands, and worth a word to whoever has the file checked.
pub(super) fn notes(root: &Node) -> Vec<Problem> {
    let rules = Rule::all(root);
    let heads = rules.iter().filter_map(note::without_head);
    heads.chain(rules.iter().filter_map(note::varies_by_client)).collect()
}

/// A URL of a Mirror rule, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginAt {
    /// The rule's number.
    pub rule: i64,
    /// The URL, normalised.
    pub url: String,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
    /// The same as a JSON pointer.
    pub pointer: String,
}

/// Every URL that the Mirror rules of a file ask.
pub(super) fn origins(root: &Node) -> Vec<OriginAt> {
    let mut places = Vec::new();
    for rule in Rule::all(root) {
        places.extend(origin::origins(&rule).into_iter().map(|origin| OriginAt {
            rule: rule.number,
            url: origin.url.into(),
            span: origin.node.span.clone(),
            pointer: origin.pointer,
        }));
    }
    places
}

#[cfg(test)]
mod tests;
