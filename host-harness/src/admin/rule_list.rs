//! The rules of a bucket as a list that is changed rule by rule.
//!
//! Owns places and numbers: a rule is named by its RuleNumber, and after a change the rules are
//! numbered from 1 in their order.

use std::fmt;

use serde_json::{Map, Value};

use crate::diagnostics::Report;
use crate::rule_file::{self, Dialect, RuleFile, Website};

/// Rules, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct RuleList {
    rules: Vec<Value>,
    /// What is beside them.
    documents: Map<String, Value>,
}

/// Where a rule goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    /// One place down: it is tried later.
    Down,
    /// To where another rule is.
    To(u64),
    /// One place up: it is tried earlier.
    Up,
}

/// Why a list cannot be changed so.
#[derive(Debug)]
pub enum ListError {
    /// There is no rule of that number.
    NoSuchRule {
        /// The number.
        number: u64,
        /// Those there are.
        known: Vec<u64>,
    },
    /// It is the first or the last already.
    AtTheEnd(u64),
    /// The file sends every request elsewhere, which excludes rules.
    RedirectsAll,
    /// What was given is no rule.
    NoRule(Box<Report>),
    /// What was given is not one rule.
    NotOne(usize),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchRule { number, known } if known.is_empty() => {
                write!(f, "there is no rule {number}: there are no rules at all")
            }
            Self::NoSuchRule { number, known } => {
                let known: Vec<_> = known.iter().map(u64::to_string).collect();
                write!(f, "there is no rule {number}, but {}", known.join(", "))
            }
            Self::AtTheEnd(number) => {
                write!(f, "rule {number} cannot be moved further in that direction")
            }
            Self::RedirectsAll => f.write_str(
                "the file has `RedirectAllRequestsTo`, beside which there can be no rules",
            ),
            Self::NoRule(report) => write!(f, "{} is no rule", report.document.path),
            Self::NotOne(count) => write!(f, "expected one rule, found {count}"),
        }
    }
}

impl std::error::Error for ListError {}

impl RuleList {
    /// The rules of a configuration.
    ///
    /// # Errors
    ///
    /// When it has something in their place.
    pub fn new(website: Option<&Website>) -> Result<Self, ListError> {
        let Some(website) = website else { return Ok(Self::default()) };
        let whole = serde_json::from_str(&website.to_json()).unwrap_or_default();
        let Value::Object(mut documents) = whole else { return Ok(Self::default()) };
        if documents.contains_key("RedirectAllRequestsTo") {
            return Err(ListError::RedirectsAll);
        }
        documents.remove("RoutingRules");
        let Value::Array(mut rules) = website.routing_rules() else {
            return Ok(Self { rules: Vec::new(), documents });
        };
        rules.sort_by_key(number);
        Ok(Self { rules, documents })
    }

    /// The rules, in the form the filter is given them.
    #[must_use]
    pub fn rules(&self) -> &[Value] {
        &self.rules
    }

    /// Adds a rule at the end, or where another is, which moves down.
    ///
    /// # Errors
    ///
    /// When there is no such other.
    pub fn add(&mut self, rule: Value, at: Option<u64>) -> Result<(), ListError> {
        let place = match at {
            Some(number) => self.find(number)?,
            None => self.rules.len(),
        };
        self.rules.insert(place, rule);
        Ok(())
    }

    /// Puts another rule in the place of one.
    ///
    /// # Errors
    ///
    /// When there is no such rule.
    pub fn edit(&mut self, number: u64, rule: Value) -> Result<(), ListError> {
        let place = self.find(number)?;
        self.rules[place] = rule;
        Ok(())
    }

    /// Removes a rule.
    ///
    /// # Errors
    ///
    /// When there is no such rule.
    pub fn remove(&mut self, number: u64) -> Result<(), ListError> {
        let place = self.find(number)?;
        self.rules.remove(place);
        Ok(())
    }

    /// Moves a rule.
    ///
    /// # Errors
    ///
    /// When there is no such rule, or no such place.
    pub fn shift(&mut self, number: u64, by: Move) -> Result<(), ListError> {
        let from = self.find(number)?;
        let to = match by {
            Move::Down => Some(from + 1).filter(|to| *to < self.rules.len()),
            Move::To(other) => Some(self.find(other)?),
            Move::Up => from.checked_sub(1),
        };
        let to = to.ok_or(ListError::AtTheEnd(number))?;
        let rule = self.rules.remove(from);
        self.rules.insert(to, rule);
        Ok(())
    }

    /// Removes all rules; what is beside them stays.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The list as a file to keep, its rules numbered; nothing where nothing is left. `path` is what
    /// it is called in what is found.
    #[must_use]
    pub fn finish(self, path: &str) -> Option<RuleFile> {
        let Self { rules, mut documents } = self;
        if rules.is_empty() && documents.is_empty() {
            return None;
        }
        let numbered = (1..).zip(rules).map(|(number, mut rule)| {
            if let Value::Object(fields) = &mut rule {
                fields.insert("RuleNumber".to_owned(), Value::from(number));
            }
            rule
        });
        documents.insert("RoutingRules".to_owned(), numbered.collect());
        let text = format!("{:#}\n", Value::Object(documents));
        Some(rule_file::read(path, text.as_bytes(), Some(Dialect::Oss)))
    }

    fn find(&self, number: u64) -> Result<usize, ListError> {
        let known: Vec<_> = self.rules.iter().map(self::number).collect();
        let place = known.iter().position(|known| *known == number);
        place.ok_or(ListError::NoSuchRule { number, known })
    }
}

/// The RuleNumber of a rule.
pub fn number(rule: &Value) -> u64 {
    rule["RuleNumber"].as_u64().unwrap_or_default()
}

/// Reads one rule: a `RoutingRule` by itself, or the only one of a rule file; XML or JSON. It needs
/// no RuleNumber. `path` is what it is called in what is found.
///
/// # Errors
///
/// When it is not one rule, or is refused.
pub fn read_rule(path: &str, bytes: &[u8]) -> Result<Value, ListError> {
    let file = match std::str::from_utf8(bytes) {
        Ok(text) => rule_file::read(path, wrapped(text).as_bytes(), None),
        Err(_) => rule_file::read(path, bytes, None),
    };
    let (Some(website), Some(_)) = (&file.website, &file.rules) else {
        return Err(ListError::NoRule(Box::new(file.report)));
    };
    match website.routing_rules() {
        Value::Array(mut rules) if rules.len() == 1 => Ok(rules.remove(0)),
        Value::Array(rules) => Err(ListError::NotOne(rules.len())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::String(_) => {
            Err(ListError::NotOne(0))
        }
    }
}

/// A rule file around a rule that stands by itself. Lines stay where they are.
fn wrapped(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let start = text.trim_start();
    let declared = start.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let xml = declared.map_or(start, |(_, rest)| rest).trim_start();
    if let Some(rest) = xml.strip_prefix("<RoutingRule>") {
        let number = if rest.contains("<RuleNumber>") { "" } else { "<RuleNumber>1</RuleNumber>" };
        let before = "\n".repeat(text[..text.len() - xml.len()].matches('\n').count());
        return format!(
            "<WebsiteConfiguration><RoutingRules>{before}<RoutingRule>{number}{rest}\
             </RoutingRules></WebsiteConfiguration>"
        );
    }
    match start.strip_prefix('{') {
        Some(rest) if !rest.contains("\"RoutingRules\"") => {
            let number = if rest.contains("\"RuleNumber\"") { "" } else { "\"RuleNumber\":1," };
            let before = "\n".repeat(text[..text.len() - start.len()].matches('\n').count());
            format!("{{\"RoutingRules\":[{before}{{{number}{rest}]}}")
        }
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(number: u64, prefix: &str) -> Value {
        json!({
            "RuleNumber": number,
            "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example.com/" },
        })
    }

    fn website(text: &Value) -> Website {
        rule_file::read("rules", text.to_string().as_bytes(), None).website.unwrap()
    }

    /// Rules 10, 20 and 30, not in this order, beside a document.
    fn three() -> RuleList {
        let rules = [rule(30, "c/"), rule(10, "a/"), rule(20, "b/")];
        let index = json!({ "Suffix": "i" });
        RuleList::new(Some(&website(&json!({ "IndexDocument": index, "RoutingRules": rules }))))
            .unwrap()
    }

    /// The numbers and prefixes of what is kept in the end.
    fn kept(list: RuleList) -> Vec<String> {
        let file = list.finish("rules").unwrap();
        assert!(file.website.as_ref().unwrap().has_index());
        let rules = file.website.unwrap().routing_rules();
        let rules = rules.as_array().unwrap().iter();
        rules
            .map(|rule| {
                let prefix = rule["Condition"]["KeyPrefixEquals"].as_str().unwrap();
                format!("{} {prefix}", number(rule))
            })
            .collect()
    }

    #[test]
    fn rules_are_changed_by_their_numbers_and_numbered_again() {
        type Change = fn(&mut RuleList) -> Result<(), ListError>;
        let cases: [(Change, &[&str]); 10] = [
            (|_| Ok(()), &["1 a/", "2 b/", "3 c/"]),
            (|list| list.add(rule(1, "n/"), None), &["1 a/", "2 b/", "3 c/", "4 n/"]),
            (|list| list.add(rule(1, "n/"), Some(20)), &["1 a/", "2 n/", "3 b/", "4 c/"]),
            (|list| list.edit(20, rule(1, "n/")), &["1 a/", "2 n/", "3 c/"]),
            (|list| list.remove(10), &["1 b/", "2 c/"]),
            (|list| list.shift(20, Move::Up), &["1 b/", "2 a/", "3 c/"]),
            (|list| list.shift(20, Move::Down), &["1 a/", "2 c/", "3 b/"]),
            (|list| list.shift(10, Move::To(30)), &["1 b/", "2 c/", "3 a/"]),
            (|list| list.shift(30, Move::To(10)), &["1 c/", "2 a/", "3 b/"]),
            (
                |list| {
                    list.clear();
                    Ok(())
                },
                &[],
            ),
        ];
        for (index, (change, expected)) in cases.into_iter().enumerate() {
            let mut list = three();
            change(&mut list).unwrap();
            assert_eq!(kept(list), expected, "{index}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_changed() {
        let mut list = three();
        let refused = list.remove(2).unwrap_err().to_string();
        assert_eq!(refused, "there is no rule 2, but 10, 20, 30");
        assert!(list.add(rule(1, "n/"), Some(40)).is_err());
        assert!(list.shift(10, Move::Up).is_err() && list.shift(30, Move::Down).is_err());
        let mut none = RuleList::new(None).unwrap();
        assert!(none.remove(1).unwrap_err().to_string().contains("no rules at all"));
        assert!(none.finish("rules").is_none());
        let all = website(&json!({ "RedirectAllRequestsTo": { "HostName": "a.example" } }));
        assert!(matches!(RuleList::new(Some(&all)), Err(ListError::RedirectsAll)));
    }

    #[test]
    fn a_rule_is_read_in_every_form() {
        let json = json!({
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example.com/" },
        });
        let mut numbered = json.clone();
        numbered["RuleNumber"] = 7.into();
        let xml = "<RoutingRule><Condition><HttpErrorCodeReturnedEquals>404\
            </HttpErrorCodeReturnedEquals></Condition><Redirect><RedirectType>Mirror</RedirectType>\
            <MirrorURL>https://o.example.com/</MirrorURL></Redirect></RoutingRule>";
        for text in [
            json.to_string(),
            format!("\n {json:#}\n"),
            numbered.to_string(),
            json!([numbered]).to_string(),
            json!({ "RoutingRules": [numbered] }).to_string(),
            xml.to_owned(),
            format!("<?xml version=\"1.0\"?>\n{xml}\n"),
        ] {
            let rule = read_rule("rule", text.as_bytes())
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rule["Redirect"]["MirrorURL"], "https://o.example.com/", "{text}");
        }
        for text in ["", "{}", "[]", "<RoutingRule>", "{\n\n\"Condition\": 1 }", "{ \"a\""] {
            assert!(read_rule("rule", text.as_bytes()).is_err(), "{text}");
        }
        let Err(ListError::NoRule(report)) = read_rule("rule", b"\n{\n\"Conditio\": 1 }") else {
            panic!("it is no rule")
        };
        assert!(report.render(false).contains(" --> rule:3:1"), "{}", report.render(false));
    }
}
