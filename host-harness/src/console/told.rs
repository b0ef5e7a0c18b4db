//! What a rule does, told of an example: the engine's own explanation, of a request that the rule
//! is about.

use back_to_origin::explain::{Explanation, Outcome, Question, explain};
use serde_json::{Value, json};

use super::rule_form::items;
use crate::rule_file::{self, Dialect, MASK};
use crate::secrecy::is_secret_url;

/// A request to tell of.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) method: String,
    pub(super) key: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) status: u16,
}

impl Example {
    /// One that a rule is about.
    pub(super) fn of(rule: &Value) -> Self {
        let condition = &rule["Condition"];
        let text = |name: &str| condition[name].as_str().unwrap_or_default();
        let (prefix, suffix) = (text("KeyPrefixEquals"), text("KeySuffixEquals"));
        let key = match (prefix.ends_with('/') || prefix.is_empty(), suffix) {
            (true, "") => format!("{prefix}example.txt"),
            (true, _) => format!("{prefix}example{suffix}"),
            (false, _) => format!("{prefix}{suffix}"),
        };
        let headers = condition.get("IncludeHeader").map_or(&[][..], items).iter();
        let headers = headers.filter_map(|header| {
            let word = |name: &str| header[name].as_str();
            let ends = word("StartsWith").unwrap_or_default().to_owned()
                + word("EndsWith").unwrap_or_default();
            Some((word("Key")?.to_owned(), word("Equals").map_or(ends, str::to_owned)))
        });
        let first = condition.get("HttpErrorCodeReturnedEquals").map_or(&[][..], items).first();
        let status = match first {
            Some(Value::Number(status)) => {
                status.as_u64().and_then(|status| status.try_into().ok())
            }
            Some(Value::String(class)) if class.starts_with('5') => Some(503),
            Some(_) | None => None,
        };
        Self {
            method: "GET".to_owned(),
            key,
            query: String::new(),
            headers: headers.collect(),
            status: status.unwrap_or(404),
        }
    }
}

/// What one rule alone does with a request; `None` where it is none.
pub(super) fn explained(rule: &Value, bucket: &str, example: &Example) -> Option<Explanation> {
    let mut rule = rule.clone();
    rule.as_object_mut()?.insert("RuleNumber".to_owned(), 1.into());
    let text = json!({ "RoutingRules": [rule] }).to_string();
    let rules = rule_file::read("rule", text.as_bytes(), Some(Dialect::Oss)).rules?;
    Some(explain(
        &rules,
        &Question {
            bucket: bucket.to_owned(),
            method: example.method.clone(),
            key: example.key.clone().into_bytes(),
            query: example.query.clone(),
            headers: example.headers.clone(),
            status: example.status,
        },
    ))
}

/// Where a request leads: the origin's URL, or the redirect's target.
pub(super) fn target(explanation: &Explanation) -> Option<&str> {
    match &explanation.outcome {
        Outcome::Mirror { url, .. } => Some(url),
        Outcome::Redirect { location, .. } => Some(location),
        Outcome::Fail { .. } | Outcome::Pass { .. } => None,
    }
}

/// The explanation in the engine's own words, without URLs that have a secret in them.
pub(super) fn shown(explanation: &Explanation) -> String {
    let told = explanation.to_string();
    let words = told.split_inclusive([' ', '\n']);
    let hide = |word: &str| match is_secret_url(word) {
        true => format!("{MASK}{}", word.get(word.trim_end().len()..).unwrap_or_default()),
        false => word.to_owned(),
    };
    words.map(hide).collect()
}

/// The headers of a text, as curl has them: a line for each.
pub(super) fn headers(text: &str) -> Vec<(String, String)> {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name: http::HeaderName = name.trim().parse().ok()?;
        let value = value.trim();
        http::HeaderValue::from_str(value).ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    text.lines().filter_map(header).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_one_that_the_rule_is_about() {
        for (condition, key, status) in [
            (
                json!({ "KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404 }),
                "a/example.txt",
                404,
            ),
            (
                json!({ "KeySuffixEquals": ".jpg", "HttpErrorCodeReturnedEquals": 403 }),
                "example.jpg",
                403,
            ),
            (json!({ "KeyPrefixEquals": "ab", "KeySuffixEquals": "c" }), "abc", 404),
            (
                json!({ "HttpErrorCodeReturnedEquals": ["5XX", 404],
                    "IncludeHeader": [{ "Key": "x", "StartsWith": "a", "EndsWith": "b" }] }),
                "example.txt",
                503,
            ),
        ] {
            let rule = json!({ "Condition": condition,
                "Redirect": { "RedirectType": "External", "HostName": "h.example" } });
            let example = Example::of(&rule);
            assert_eq!((example.key.as_str(), example.status), (key, status));
            let told = explained(&rule, "b", &example).unwrap();
            assert!(target(&told).is_some(), "{told}");
        }
        assert!(explained(&json!({}), "b", &Example::of(&json!({}))).is_none());
    }

    #[test]
    fn a_url_with_a_secret_is_not_told() {
        let rule = json!({ "Condition": { "HttpErrorCodeReturnedEquals": 404 }, "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": "https://h.example/",
            "MirrorURLSlave": "https://h.example/" } });
        let mut told = explained(&rule, "b", &Example::of(&rule)).unwrap();
        if let Outcome::Mirror { url, .. } = &mut told.outcome {
            url.push_str("?X-Amz-Signature=hunter2");
        }
        let shown = shown(&told);
        assert!(shown.contains(&format!("GET {MASK}\n")) && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn headers_are_lines() {
        let told = headers("aaa-header: a:b\r\nnone\n : x\nBBB:\n");
        assert_eq!(told, [("aaa-header", "a:b"), ("bbb", "")].map(|(n, v)| (n.into(), v.into())));
    }
}
