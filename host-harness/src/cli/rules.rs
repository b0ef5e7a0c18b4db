//! `b2o rules`: the rules of a bucket, one by one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use super::failure::{Failure, USAGE};
use super::keeping::{EnvoyFiles, show};
use super::loading::read_bytes;
use super::{print, printable};
use crate::admin::{Keeper, ListError, Move, RuleList, number, read_rule};
use crate::rule_file::MASK;
use crate::secrecy::is_secret_url;

/// List and change the rules of a bucket, one by one.
///
/// Rules are named by their RuleNumber, as `list` shows it; after a change they are numbered from 1
/// in their order. A change is checked with the whole deployment and then written as a whole, in
/// the form the rule file has; what is refused changes nothing. `b2o serve` takes the new rules by
/// itself, and with --envoy the files of an Envoy are renewed too. Comments in a file are not kept.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o rules envoy/deployment.yaml --bucket examplebucket list
  b2o rules envoy/deployment.yaml --bucket examplebucket add rule.json --at 1
  b2o rules envoy/deployment.yaml --bucket examplebucket move 2 up
  b2o rules envoy/deployment.yaml --bucket examplebucket move 3 to 1
  b2o rules envoy/deployment.yaml --bucket examplebucket remove 2

Exit codes:
  0  done
  1  refused, or there is no such rule or bucket
  2  wrong usage, or a file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    deployment: PathBuf,
    /// The bucket.
    #[arg(long)]
    bucket: String,
    #[command(flatten)]
    envoy: EnvoyFiles,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the rules in their order.
    List {
        /// As JSON, without secret keys and without the values of headers that rules set.
        #[arg(long)]
        json: bool,
    },
    /// Add a rule, at the end or where another is.
    Add {
        /// The rule, JSON or XML, with or without RuleNumber; `-` is standard input.
        #[arg(default_value = "-")]
        rule: PathBuf,
        /// The rule in whose place it comes, which moves down.
        #[arg(long, value_name = "N")]
        at: Option<u64>,
    },
    /// Put another rule in the place of one.
    Edit {
        /// The rule to replace.
        #[arg(value_name = "N")]
        number: u64,
        /// The new one, JSON or XML, with or without RuleNumber; `-` is standard input.
        #[arg(default_value = "-")]
        rule: PathBuf,
    },
    /// Remove a rule.
    Remove {
        /// The rule.
        #[arg(value_name = "N")]
        number: u64,
    },
    /// Move a rule: `up`, `down`, or `to M`, where rule M is.
    Move {
        /// The rule.
        #[arg(value_name = "N")]
        number: u64,
        #[command(subcommand)]
        by: Place,
    },
    /// Remove all rules.
    Clear,
}

#[derive(Debug, Subcommand)]
enum Place {
    /// One place up: it is tried earlier.
    Up,
    /// One place down: it is tried later.
    Down,
    /// To where another rule is.
    To {
        /// That rule.
        #[arg(value_name = "M")]
        number: u64,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { deployment, bucket, envoy, verb } = arguments;
    let keeper = Keeper { deployment: deployment.clone(), envoy: envoy.target() };
    match verb {
        Verb::List { json } => list(&keeper, bucket, *json),
        Verb::Add { rule, at } => {
            let rule = read(rule)?;
            change(&keeper, bucket, |list| list.add(rule, *at))
        }
        Verb::Edit { number, rule } => {
            let rule = read(rule)?;
            change(&keeper, bucket, |list| list.edit(*number, rule))
        }
        Verb::Remove { number } => change(&keeper, bucket, |list| list.remove(*number)),
        Verb::Move { number, by } => {
            let by = match by {
                Place::Up => Move::Up,
                Place::Down => Move::Down,
                Place::To { number } => Move::To(*number),
            };
            change(&keeper, bucket, |list| list.shift(*number, by))
        }
        // Whatever the file holds: this is also the way out of one that is broken.
        Verb::Clear => {
            keeper.change(bucket, |kept| {
                let list = kept.website().ok().and_then(|website| RuleList::new(website).ok());
                let mut list = list.unwrap_or_default();
                list.clear();
                Ok::<_, Failure>(list.finish(&kept.path.display().to_string()))
            })?;
            list(&keeper, bucket, false)
        }
    }
}

/// Changes the list, and shows it.
fn change(
    keeper: &Keeper,
    bucket: &str,
    edit: impl FnOnce(&mut RuleList) -> Result<(), ListError>,
) -> Result<(), Failure> {
    keeper.change(bucket, |kept| {
        let mut list = RuleList::new(kept.website()?)?;
        edit(&mut list)?;
        Ok::<_, Failure>(list.finish(&kept.path.display().to_string()))
    })?;
    list(keeper, bucket, false)
}

fn list(keeper: &Keeper, bucket: &str, json: bool) -> Result<(), Failure> {
    let kept = keeper.kept(bucket)?;
    let list = RuleList::new(kept.website()?)?;
    let rules: Vec<_> = list.rules().iter().map(without_secrets).collect();
    if json {
        print(&format!("{:#}\n", Value::from(rules)));
        return Ok(());
    }
    if rules.is_empty() {
        print(&format!("{bucket} has no rules\n"));
        return Ok(());
    }
    let rows: Vec<_> =
        rules.iter().map(|rule| [number(rule).to_string(), when(rule), then(rule)]).collect();
    print(&table([["N", "WHEN", "THEN"].map(str::to_owned)].iter().chain(&rows)));
    Ok(())
}

fn read(path: &Path) -> Result<Value, Failure> {
    let (shown, bytes) = read_bytes(path)?;
    Ok(read_rule(&shown, &bytes)?)
}

impl From<ListError> for Failure {
    /// What was found goes to standard error at once; the failure sums it up.
    fn from(error: ListError) -> Self {
        let failure = Self::new(error.to_string());
        match &error {
            ListError::NoRule(report) => {
                show(report);
                failure.help("nothing has changed")
            }
            ListError::NotOne(_) => failure.code(USAGE).help("give one rule at a time"),
            ListError::RedirectsAll => failure.help("`clear` takes that away"),
            ListError::AtTheEnd(_) | ListError::NoSuchRule { .. } => failure,
        }
    }
}

/// A rule without what nobody should read over a shoulder. It is left out, not masked, so that a
/// rule that is put back without it is refused.
fn without_secrets(rule: &Value) -> Value {
    without(rule, &["AccessKeySecret"])
}

fn without(rule: &Value, gone: &[&str]) -> Value {
    match rule {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !gone.contains(&name.as_str()))
            .map(|(name, value)| {
                let value = match name.as_str() {
                    "MirrorHeaders" => without(value, &["Value"]),
                    _ => without(value, gone),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| without(item, gone)).collect(),
        Value::String(text) if is_secret_url(text) => MASK.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => rule.clone(),
    }
}

/// When a rule applies, in a few words.
fn when(rule: &Value) -> String {
    let condition = &rule["Condition"];
    let text = |name: &str| condition[name].as_str().unwrap_or_default();
    let (prefix, suffix) = (text("KeyPrefixEquals"), text("KeySuffixEquals"));
    let mut words = Vec::new();
    if !(prefix.is_empty() && suffix.is_empty()) {
        words.push(format!("{prefix}*{suffix}"));
    }
    let statuses = items(&condition["HttpErrorCodeReturnedEquals"]);
    if !statuses.is_empty() {
        words.push(statuses.iter().map(word).collect::<Vec<_>>().join("|"));
    }
    let headers = items(&condition["IncludeHeader"]);
    for header in headers {
        let name = header["Key"].as_str().unwrap_or_default();
        let tests = [("Equals", "="), ("StartsWith", "^="), ("EndsWith", "$=")];
        for (element, sign) in tests {
            if let Some(value) = header[element].as_str() {
                words.push(format!("{name}{sign}{value}"));
            }
        }
    }
    if words.is_empty() { "always".to_owned() } else { words.join(", ") }
}

/// What it does, in a few words.
fn then(rule: &Value) -> String {
    let redirect = &rule["Redirect"];
    let text = |name: &str| redirect[name].as_str();
    let kind = text("RedirectType").unwrap_or("External");
    if let Some(url) = text("MirrorURL") {
        return format!("{kind} {url}");
    }
    let code = redirect["HttpRedirectCode"].as_u64().unwrap_or(301);
    let scheme = text("Protocol").map_or_else(String::new, |scheme| format!("{scheme}:"));
    let host = text("HostName").unwrap_or("(same host)");
    let key = match (text("ReplaceKeyWith"), text("ReplaceKeyPrefixWith")) {
        (Some(key), _) => key.to_owned(),
        (None, Some(prefix)) => format!("{prefix}*"),
        (None, None) => "*".to_owned(),
    };
    format!("{kind} {code} {scheme}//{host}/{key}")
}

/// What may stand once, or several times in an array.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::String(_) => {
            std::slice::from_ref(value)
        }
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Rows with their columns below each other. What would move a terminal's cursor is escaped.
fn table<'r>(rows: impl Iterator<Item = &'r [String; 3]> + Clone) -> String {
    let rows = rows.map(|row| row.each_ref().map(|cell| printable(cell)));
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let line =
        |[number, when, then]: &[String; 3]| format!("{number:>first$}  {when:<second$}  {then}\n");
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_is_told_in_a_line() {
        for (rule, expected_when, expected_then) in [
            (
                json!({ "Condition": { "KeyPrefixEquals": "a/", "KeySuffixEquals": ".jpg",
                    "HttpErrorCodeReturnedEquals": 404 },
                    "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/" } }),
                "a/*.jpg, 404",
                "Mirror https://o.example/",
            ),
            (
                json!({ "Condition": { "HttpErrorCodeReturnedEquals": ["404", "5XX"],
                    "IncludeHeader": [{ "Key": "x", "Equals": "1", "EndsWith": "2" }] },
                    "Redirect": { "HostName": "a.example", "Protocol": "https",
                    "HttpRedirectCode": 302, "ReplaceKeyWith": "k/${key}" } }),
                "404|5XX, x=1, x$=2",
                "External 302 https://a.example/k/${key}",
            ),
            (
                json!({ "Condition": {}, "Redirect": { "ReplaceKeyPrefixWith": "b/" } }),
                "always",
                "External 301 //(same host)/b/*",
            ),
        ] {
            assert_eq!(
                (when(&rule).as_str(), then(&rule).as_str()),
                (expected_when, expected_then)
            );
        }
    }

    #[test]
    fn secrets_are_left_out() {
        let auth = json!({ "AuthType": "S3V4", "AccessKeySecret": "hunter2" });
        let shown = without_secrets(&json!({ "Redirect": { "MirrorAuth": auth } }));
        assert_eq!(shown, json!({ "Redirect": { "MirrorAuth": { "AuthType": "S3V4" } } }));
        let set = json!({ "MirrorHeaders": { "Set": [{ "Key": "x-token", "Value": "hunter2" }] } });
        assert_eq!(
            without_secrets(&set),
            json!({ "MirrorHeaders": { "Set": [{ "Key": "x-token" }] } })
        );
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["N", "WHEN", "THEN"], ["10", "caf\u{e9}/*", "x\u{1b}"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(rows.iter()), " N  WHEN    THEN\n10  caf\u{e9}/*  x\\u{1b}\n");
    }
}
