//! What is known of keys: how they start and end.

use super::rule::Rule;

/// Keys of which the ends are known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Keys {
    start: String,
    end: String,
    /// Whether there is one key, `start`.
    is_one: bool,
}

impl Keys {
    /// The keys that a rule is about.
    pub(super) fn of(rule: &Rule<'_>) -> Self {
        let (start, end) = (rule.condition.prefix.to_owned(), rule.condition.suffix.to_owned());
        Self { start, end, is_one: false }
    }

    /// What a rule that applies to all of them makes of them.
    pub(super) fn rewritten(self, rule: &Rule<'_>) -> Self {
        let template = rule.text("ReplaceKeyWith");
        let with = rule.text("ReplaceKeyPrefixWith");
        let replaces = rule.is_on("EnableReplacePrefix") || (!with.is_empty() && !rule.is_mirror());
        if !template.is_empty() && !rule.is_mirror() {
            if let Some(path) = path(template) {
                return Self { start: path.to_owned(), end: String::new(), is_one: true };
            }
            return match (template.split_once("${key}"), template.rsplit_once("${key}")) {
                (Some((before, _)), Some((_, behind))) => Self {
                    start: format!("{before}{}", self.start),
                    end: format!("{}{behind}", self.end),
                    is_one: self.is_one,
                },
                _ => Self { start: template.to_owned(), end: String::new(), is_one: true },
            };
        }
        if !replaces {
            return self;
        }
        if let Some(path) = path(with) {
            return Self { start: path.to_owned(), end: String::new(), is_one: true };
        }
        let rest = self.start.strip_prefix(rule.condition.prefix).unwrap_or_default();
        Self { start: format!("{with}{rest}"), ..self }
    }

    /// The keys below a path, as they stand in it.
    pub(super) fn below(self, path: &str) -> Self {
        Self { start: format!("{path}{}", self.start), ..self }
    }

    /// What is left of them behind a start that all of them have.
    pub(super) fn behind(self, start: &str) -> Option<Self> {
        let rest = self.start.strip_prefix(start)?.to_owned();
        Some(Self { start: rest, ..self })
    }

    /// Whether a rule is about all of them.
    pub(super) fn are_of(&self, rule: &Rule<'_>) -> bool {
        let end = if self.is_one { &self.start } else { &self.end };
        self.start.starts_with(rule.condition.prefix) && end.ends_with(rule.condition.suffix)
    }

    /// Whether a rule may be about some of them.
    pub(super) fn may_be_of(&self, rule: &Rule<'_>) -> bool {
        if self.is_one {
            return self.are_of(rule);
        }
        let (prefix, suffix) = (rule.condition.prefix, rule.condition.suffix);
        (self.start.starts_with(prefix) || prefix.starts_with(&self.start))
            && (self.end.ends_with(suffix) || suffix.ends_with(&self.end))
    }
}

/// What stands before a query or a fragment, where a text has one: what follows is no part of a key.
fn path(text: &str) -> Option<&str> {
    text.find(['?', '#']).map(|end| &text[..end]).filter(|path| !path.contains("${key}"))
}
