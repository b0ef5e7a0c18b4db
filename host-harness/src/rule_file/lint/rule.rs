//! A rule as the lints see it: what it says, as far as that can be read.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::rule_file::dialect::rules;
use crate::rule_file::tree::{Kind, Node};

/// A rule of a file.
pub(super) struct Rule<'a> {
    pub(super) number: i64,
    pub(super) pointer: String,
    pub(super) condition: Condition<'a>,
    /// Where its condition stands.
    pub(super) span: Range<usize>,
    /// Where the statuses stand, if it has any.
    pub(super) statuses: Option<Range<usize>>,
    pub(super) redirect: &'a Node,
}

/// When a rule applies.
pub(super) struct Condition<'a> {
    pub(super) prefix: &'a str,
    pub(super) suffix: &'a str,
    /// The statuses; `None` is every answer.
    pub(super) statuses: Option<BTreeSet<u16>>,
    pub(super) headers: Vec<Header<'a>>,
}

/// What a header has to be.
#[derive(Eq, PartialEq)]
pub(super) struct Header<'a> {
    pub(super) name: String,
    pub(super) equals: &'a str,
    pub(super) starts: &'a str,
    pub(super) ends: &'a str,
}

impl<'a> Rule<'a> {
    /// The rules of a file that have all they need, in the order they are tried.
    pub(super) fn all(root: &'a Node) -> Vec<Self> {
        let above = if root.get("RoutingRules").is_some() { "/RoutingRules" } else { "" };
        let rule = |(index, node): (usize, &'a Node)| {
            let condition = node.field("Condition")?;
            let statuses = condition.node.field("HttpErrorCodeReturnedEquals");
            Some(Rule {
                number: node.get("RuleNumber")?.integer()?,
                pointer: format!("{above}/{index}"),
                condition: Condition::of(&condition.node)?,
                span: condition.name_span.clone(),
                statuses: statuses.map(|field| field.name_span.clone()),
                redirect: node.get("Redirect")?,
            })
        };
        let mut rules: Vec<_> = rules(root).iter().enumerate().filter_map(rule).collect();
        rules.sort_by_key(|rule| (rule.number, Reverse(rule.pointer.len())));
        rules
    }

    /// A text of its redirect; empty if it says nothing.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.redirect.get(name).and_then(Node::text).unwrap_or_default()
    }

    /// Whether something is switched on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.redirect.get(name).is_some_and(Node::is_true)
    }

    /// Whether it sends the client elsewhere.
    pub(super) fn is_redirect(&self) -> bool {
        match self.redirect.get("RedirectType").map(|kind| kind.text().unwrap_or_default()) {
            Some(kind) => matches!(kind, "External" | "AliCDN"),
            None => self.redirect.get("MirrorURL").is_none(),
        }
    }

    /// Whether it fetches rather than redirects.
    pub(super) fn is_mirror(&self) -> bool {
        self.text("RedirectType") == "Mirror"
    }
}

impl<'a> Condition<'a> {
    /// `None` where it says something that cannot be read.
    fn of(node: &'a Node) -> Option<Self> {
        let text = |name| node.get(name).and_then(Node::text);
        let statuses = node.get("HttpErrorCodeReturnedEquals");
        let headers = node.get("IncludeHeader").map_or(&[][..], Node::items);
        Some(Self {
            prefix: text("KeyPrefixEquals").unwrap_or_default(),
            suffix: text("KeySuffixEquals").unwrap_or_default(),
            statuses: match statuses.map(self::statuses) {
                Some(known) => Some(known?),
                None => None,
            },
            headers: headers.iter().map(Header::of).collect::<Option<_>>()?,
        })
    }

    /// Whether all that it applies to is covered by another.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.prefix.starts_with(other.prefix)
            && self.suffix.ends_with(other.suffix)
            && self.has_statuses_of(other)
            && other.headers.iter().all(|wide| self.headers.iter().any(|own| own.is_within(wide)))
    }

    /// Whether all of its statuses are another's too.
    pub(super) fn has_statuses_of(&self, other: &Self) -> bool {
        match (&self.statuses, &other.statuses) {
            (_, None) => true,
            (Some(own), Some(wide)) => own.is_subset(wide),
            (None, Some(_)) => false,
        }
    }
}

impl<'a> Header<'a> {
    fn of(node: &'a Node) -> Option<Self> {
        let text = |name| node.get(name).and_then(Node::text).unwrap_or_default();
        Some(Self {
            name: node.get("Key")?.text()?.to_ascii_lowercase(),
            equals: text("Equals"),
            starts: text("StartsWith"),
            ends: text("EndsWith"),
        })
    }

    /// Whether a header that is like this is like another too.
    fn is_within(&self, other: &Self) -> bool {
        let starts = |with: &str| self.equals.starts_with(with) || self.starts.starts_with(with);
        let ends = |with: &str| self.equals.ends_with(with) || self.ends.ends_with(with);
        self.name == other.name
            && (other.equals.is_empty() || self.equals == other.equals)
            && starts(other.starts)
            && ends(other.ends)
    }
}

/// The statuses an element names; `None` if they cannot be read.
fn statuses(node: &Node) -> Option<BTreeSet<u16>> {
    match &node.kind {
        Kind::Integer(number) => Some([u16::try_from(*number).ok()?].into()),
        Kind::Text(class) => match class.trim().to_ascii_uppercase().as_str() {
            // A 403 says that nobody may know.
            "4XX" => Some((400..500).filter(|status| *status != 403).collect()),
            "5XX" => Some((500..600).collect()),
            _ => None,
        },
        Kind::List(items) if !items.is_empty() => {
            let sets: Option<Vec<_>> = items.iter().map(statuses).collect();
            Some(sets?.into_iter().flatten().collect())
        }
        Kind::List(_) | Kind::Boolean(_) | Kind::Fraction(_) | Kind::Nothing | Kind::Object(_) => {
            None
        }
    }
}
