//! Rules: what they are once they are checked.
//!
//! [`RuleSet::from_json`] reads and checks a whole set at once; after that nothing about a rule
//! can fail. Which rule applies is [`crate::matching`]'s question; what it then does is answered
//! by [`mirror`] and [`redirect`].

mod condition;
pub mod element;
mod keeping;
mod key;
pub mod mirror;
mod parse;
pub mod redirect;
#[cfg(test)]
mod tests;

pub use condition::{Condition, IncludeHeader, Statuses};
pub use keeping::Keeping;
pub use key::KeyRewrite;
pub use mirror::{
    Alternates, CONNECT, MAX_TIMEOUT, Mirror, MirrorHeaders, MirrorLimits, MirrorUrl, TooLarge,
    never_passed,
};
pub use redirect::External;

use std::sync::Arc;

use crate::finding::{Finding, Severity};
use crate::json::{At, Node};

/// The most rules a bucket can have: as many as S3 takes. OSS takes fewer.
pub const MAX_RULES: usize = 50;

/// The rules of one bucket, checked, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    any_status: bool,
}

/// What came of checking a rule set.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The rules, when no finding is an error.
    pub rules: Option<RuleSet>,
    /// Everything that was found.
    pub findings: Vec<Finding>,
}

impl RuleSet {
    /// Reads a rule file: an object with `RoutingRules`, or the bare array S3's console shows.
    #[must_use]
    pub fn from_json(text: &[u8]) -> Checked {
        let mut findings = Vec::new();
        let rules = match Node::parse(text) {
            Ok(node) => parse::document(&At::root(&node), &mut findings),
            Err(finding) => {
                findings.push(finding);
                Self::default()
            }
        };
        Checked::of(rules, findings)
    }

    /// Reads an array of rules that is part of a larger document.
    pub(crate) fn read(rules: &At<'_>, findings: &mut Vec<Finding>) -> Self {
        parse::routing_rules(rules, findings)
    }

    fn new(rules: Vec<Rule>) -> Self {
        let any_status = rules.iter().any(|rule| rule.condition.statuses.is_empty());
        // Fifty rules at the most: an insertion each is less code in the module than a sort.
        let mut sorted: Vec<Rule> = Vec::with_capacity(rules.len());
        for rule in rules {
            let at = sorted.partition_point(|before| before.number <= rule.number);
            sorted.insert(at, rule);
        }
        let rules = sorted;
        Self { rules, any_status }
    }

    /// The rules in the order they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Whether some rule also applies to answers that are no errors.
    #[must_use]
    pub const fn has_any_status(&self) -> bool {
        self.any_status
    }

    /// The statuses of the bucket's answers that some rule is about. One without a status is not
    /// counted: it is about whatever the bucket answers.
    pub fn statuses(&self) -> impl Iterator<Item = u16> {
        (400..600).filter(move |status| self.iter().any(|rule| rule.condition.names(*status)))
    }

    /// Whether some rule brings objects into the bucket.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.iter().any(|rule| match &rule.action {
            Action::External(_) => false,
            Action::Mirror(mirror) => !mirror.proxy_pass,
        })
    }

    /// The servers the rules fetch from, each once, as [`Mirror::server`] names them.
    pub fn servers(&self) -> impl Iterator<Item = String> {
        let mut servers: Vec<String> = Vec::new();
        for rule in self.iter() {
            match &rule.action {
                Action::Mirror(mirror) => {
                    for server in mirror.servers() {
                        if !servers.contains(&server) {
                            servers.push(server);
                        }
                    }
                }
                Action::External(_) => {}
            }
        }
        servers.into_iter()
    }
}

impl Checked {
    fn of(rules: RuleSet, findings: Vec<Finding>) -> Self {
        let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
        Self { rules: (!refused).then_some(rules), findings }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its `RuleNumber`.
    pub number: u32,
    /// When it applies.
    pub condition: Condition,
    /// What it does then.
    pub action: Action,
}

impl Rule {
    /// Whether it is about HEAD as it is about GET.
    #[must_use]
    pub fn allows_head(&self) -> bool {
        match &self.action {
            Action::External(_) => false,
            Action::Mirror(mirror) => mirror.allow_head,
        }
    }

    /// Whether its origins are told what is to be made of an image for one client.
    #[must_use]
    pub fn passes_process(&self) -> bool {
        match &self.action {
            Action::External(_) => false,
            Action::Mirror(mirror) => {
                mirror.pass_query_string && mirror.urls().all(|url| url.query().is_empty())
            }
        }
    }
}

/// `Redirect`, by its `RedirectType`.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send the client elsewhere.
    External(External),
    /// Fetch the object, answer with it, write it into the bucket.
    Mirror(Arc<Mirror>),
}

impl Action {
    /// The `RedirectType`.
    #[must_use]
    pub const fn redirect_type(&self) -> &'static str {
        match self {
            Self::External(External { ali_cdn: true, .. }) => "AliCDN",
            Self::External(_) => "External",
            Self::Mirror(_) => "Mirror",
        }
    }
}
