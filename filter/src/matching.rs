//! Which rule applies to an answer of the bucket: the first whose whole condition holds.
//!
//! Nothing here can fail; a rule that does not apply has its reason.

use std::fmt;

use crate::http::query::PROCESS;
use crate::reason::Pass;
use crate::request::{Method, RequestView};
use crate::rule::{Action, IncludeHeader, Rule, RuleSet, Statuses};

/// What is known of the bucket's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BucketResponse {
    /// Its status.
    pub status: u16,
    /// Who made it.
    pub source: Source,
    /// Whether it is the delete marker of a versioned bucket.
    pub deleted: bool,
    /// Whether it says in so many words that the client lacks a right: not that its signature, its
    /// key or its clock is wrong.
    pub denied: bool,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The bucket's store.
    Bucket,
    /// The gateway itself, for want of the store or by another filter.
    Gateway,
}

/// Why a rule does not apply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mismatch<'r> {
    /// A 403, which a class does not name.
    Forbidden,
    /// The request lacks the header of an `IncludeHeader`, or has it otherwise.
    Header(&'r IncludeHeader),
    /// The gateway made the answer itself.
    LocalReply,
    /// A 403 to a signed request, which may be about the signature.
    Signed,
    /// The key does not start with `KeyPrefixEquals`.
    Prefix(&'r str),
    /// The status is not `HttpErrorCodeReturnedEquals`.
    Status(&'r Statuses),
    /// The key does not end with `KeySuffixEquals`.
    Suffix(&'r str),
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("a 403 must be named by the rule"),
            Self::Header(header) => write!(f, "the request does not have {header}"),
            Self::LocalReply => {
                f.write_str("the gateway made this answer, the bucket was not heard")
            }
            Self::Signed => f.write_str("the request is signed, and the 403 may be about that"),
            Self::Prefix(prefix) => write!(f, "the key does not start with {prefix:?}"),
            Self::Status(statuses) => write!(f, "the rule is for status {statuses}"),
            Self::Suffix(suffix) => write!(f, "the key does not end with {suffix:?}"),
        }
    }
}

/// The rule that applies.
///
/// # Errors
///
/// The reason why the bucket's answer stays.
pub fn first_match<'r>(
    rules: &'r RuleSet,
    request: RequestView<'_>,
    answer: BucketResponse,
) -> Result<&'r Rule, Pass> {
    first_match_behind(rules, 0, request, answer)
}

/// The same among the rules behind one.
///
/// # Errors
///
/// The reason why the bucket's answer stays.
pub fn first_match_behind<'r>(
    rules: &'r RuleSet,
    number: u32,
    request: RequestView<'_>,
    answer: BucketResponse,
) -> Result<&'r Rule, Pass> {
    let rule =
        rules.iter().find(|rule| rule.number > number && mismatch(rule, request, answer).is_none());
    match rule {
        // A HEAD meets the rule its GET would meet, or none.
        Some(rule) if request.method == Method::Head && !rule.allows_head() => Err(Pass::Method),
        // What nobody is asked for would be answered by another object.
        Some(rule) if request.is_processed && !rule.passes_process() => {
            Err(Pass::Subresource(PROCESS))
        }
        // The match is made: a later rule must not bring back what was deleted either.
        Some(Rule { action: Action::Mirror(_), .. }) if answer.deleted => Err(Pass::Deleted),
        Some(rule) => Ok(rule),
        None if answer.status < 400 => Err(Pass::BucketHasIt),
        None if answer.status == 403 => Err(Pass::Forbidden),
        None if answer.source == Source::Gateway => Err(Pass::LocalReply),
        None => Err(Pass::NoRule),
    }
}

/// Why a rule does not apply, `None` when it does.
#[must_use]
pub fn mismatch<'r>(
    rule: &'r Rule,
    request: RequestView<'_>,
    answer: BucketResponse,
) -> Option<Mismatch<'r>> {
    let condition = &rule.condition;
    let key = request.key;
    if !key.starts_with(condition.key_prefix.as_bytes()) {
        return Some(Mismatch::Prefix(&condition.key_prefix));
    }
    if !key.ends_with(condition.key_suffix.as_bytes()) {
        return Some(Mismatch::Suffix(&condition.key_suffix));
    }
    let statuses = &condition.statuses;
    if !statuses.is_empty() && !statuses.contains(answer.status) {
        return Some(Mismatch::Status(statuses));
    }
    // A rule without a status is about every request, as in S3. A class speaks of errors in general,
    // and a 403 is hardly meant.
    if answer.status == 403 && !statuses.is_empty() && !statuses.names(403) {
        return Some(Mismatch::Forbidden);
    }
    // Who signs wrongly is told so, and who does not sign at all can only lack a right.
    let is_clear = match &rule.action {
        Action::External(_) => true,
        Action::Mirror(_) => answer.status != 403 || answer.denied || !request.is_signed(),
    };
    if !is_clear {
        return Some(Mismatch::Signed);
    }
    if let Some(header) = condition.headers.iter().find(|header| !header.holds(request.headers)) {
        return Some(Mismatch::Header(header));
    }
    // A gateway that cannot reach the bucket knows that much, and no more: a redirect for 5xx may
    // act on it, and nothing may take it for the bucket's word on an object.
    let heard = match (answer.source, &rule.action) {
        (Source::Bucket, _) => true,
        (Source::Gateway, Action::External(_)) => answer.status >= 500,
        // Such a rule stores nothing.
        (Source::Gateway, Action::Mirror(mirror)) => mirror.on_server_error && answer.status >= 500,
    };
    (!heard).then_some(Mismatch::LocalReply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::headers::Headers;

    fn named<'a>(key: &'a str, headers: &'a Headers) -> RequestView<'a> {
        RequestView {
            method: Method::Get,
            key: key.as_bytes(),
            query: "",
            headers,
            is_processed: false,
        }
    }

    const RULES: &str = r#"{"RoutingRules": [
        {"RuleNumber": 30, "Condition": {"KeySuffixEquals": ".jpg", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "External", "HostName": "h"}},
        {"RuleNumber": 10, "Condition": {"KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}},
        {"RuleNumber": 20, "Condition": {"HttpErrorCodeReturnedEquals": 503},
         "Redirect": {"RedirectType": "External", "HostName": "h"}},
        {"RuleNumber": 40, "Condition": {"KeyPrefixEquals": "hidden/"},
         "Redirect": {"RedirectType": "External", "ReplaceKeyWith": "page.html"}},
        {"RuleNumber": 50, "Condition": {"HttpErrorCodeReturnedEquals": 403},
         "Redirect": {"RedirectType": "External", "ReplaceKeyWith": "login.html"}}
    ]}"#;

    #[test]
    fn the_first_rule_by_number_applies() {
        use Source::{Bucket, Gateway};
        let rules = RuleSet::from_json(RULES.as_bytes()).rules.unwrap();
        let cases = [
            ("a/x.jpg", 404, Bucket, false, Ok(10)),
            ("b/x.jpg", 404, Bucket, false, Ok(30)),
            ("b/x.png", 404, Bucket, false, Err(Pass::NoRule)),
            ("a", 404, Bucket, false, Err(Pass::NoRule)),
            ("a/x.jpg", 404, Bucket, true, Err(Pass::Deleted)),
            ("b/x.jpg", 404, Bucket, true, Ok(30)),
            ("a/x.jpg", 404, Gateway, false, Err(Pass::LocalReply)),
            ("a/x", 503, Bucket, false, Ok(20)),
            ("a/x", 503, Gateway, false, Ok(20)),
            ("a/x", 500, Bucket, false, Err(Pass::NoRule)),
            ("hidden/x", 200, Bucket, false, Ok(40)),
            ("hidden/x", 304, Bucket, false, Ok(40)),
            ("hidden/x", 403, Bucket, false, Ok(40)),
            ("x", 403, Bucket, false, Ok(50)),
            ("a/x", 200, Bucket, false, Err(Pass::BucketHasIt)),
        ];
        let headers = Headers::default();
        for (key, status, source, deleted, expected) in cases {
            let answer = BucketResponse { status, source, deleted, denied: false };
            let found = first_match(&rules, named(key, &headers), answer).map(|rule| rule.number);
            assert_eq!(found, expected, "{key} {answer:?}");
        }
    }

    #[test]
    fn a_403_is_for_rules_that_name_it_or_no_status_at_all() {
        let rules = RuleSet::from_json(
            br#"[{"RuleNumber": 1, "Condition": {}, "Redirect": {"HostName": "h"}}]"#,
        );
        let rules = rules.rules.unwrap();
        let answer = |status| BucketResponse {
            status,
            source: Source::Bucket,
            deleted: false,
            denied: false,
        };
        let headers = Headers::default();
        assert!(first_match(&rules, named("k", &headers), answer(403)).is_ok());
        assert!(first_match(&rules, named("k", &headers), answer(404)).is_ok());
        // A class does not name it.
        let rules = RuleSet::from_json(
            br#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": ["4XX", 500]},
                  "Redirect": {"HostName": "h"}}]"#,
        );
        let rules = rules.rules.unwrap();
        for (status, applies) in [(403, false), (410, true), (500, true), (503, false)] {
            let found = first_match(&rules, named("k", &headers), answer(status));
            assert_eq!(found.is_ok(), applies, "{status}");
        }
    }

    #[test]
    fn a_mirror_rule_takes_a_403_that_is_about_rights_alone() {
        let rules = RuleSet::from_json(
            br#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": [403, 404]},
                  "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}}]"#,
        );
        let rules = rules.rules.unwrap();
        let signed = Headers::from_pairs([("authorization", "AWS4-HMAC-SHA256 x")]);
        let unsigned = Headers::default();
        let presigned = "X-Amz-Credential=c&X-Amz-Signature=s";
        for (headers, query, status, denied, applies) in [
            (&unsigned, "", 403, false, true),
            (&unsigned, "", 403, true, true),
            (&signed, "", 403, false, false),
            (&signed, "", 403, true, true),
            (&unsigned, presigned, 403, false, false),
            (&unsigned, presigned, 403, true, true),
            (&signed, "", 404, false, true),
        ] {
            let answer = BucketResponse { status, source: Source::Bucket, deleted: false, denied };
            let request = RequestView { query, ..named("k", headers) };
            let found = mismatch(rules.iter().next().unwrap(), request, answer);
            assert_eq!(found.is_none(), applies, "{request:?} {answer:?}");
            if !applies {
                assert_eq!(found, Some(Mismatch::Signed));
            }
        }
    }

    #[test]
    fn every_header_of_a_condition_must_be_there() {
        let rules = RuleSet::from_json(
            br#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404, "IncludeHeader": [
                    {"Key": "X-Client", "Equals": "web"}, {"Key": "accept", "StartsWith": "image/"}]},
                  "Redirect": {"HostName": "h"}}]"#,
        );
        let rules = rules.rules.unwrap();
        let rule = rules.iter().next().unwrap();
        let answer =
            BucketResponse { status: 404, source: Source::Bucket, deleted: false, denied: false };
        let cases: [(&[(&str, &str)], Option<&str>); 3] = [
            (&[("x-client", "web"), ("accept", "image/png")], None),
            (
                &[("x-client", "web"), ("accept", "text/plain")],
                Some("the request does not have a header `accept` that starts with \"image/\""),
            ),
            (&[], Some("the request does not have a header `x-client` that equals \"web\"")),
        ];
        for (pairs, expected) in cases {
            let headers = Headers::from_pairs(pairs.iter().copied());
            let found = mismatch(rule, named("k", &headers), answer).map(|why| why.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn a_head_meets_the_rule_of_its_get_if_that_allows_it() {
        let rules = RuleSet::from_json(
            br#"[
            {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404},
             "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}},
            {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "e/"}, "Redirect": {"HostName": "h"}},
            {"RuleNumber": 3, "Condition": {"HttpErrorCodeReturnedEquals": 404}, "Redirect":
             {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAllowHeadObject": true}}]"#,
        );
        let rules = rules.rules.unwrap();
        let cases = [
            ("a/x", 404, false, Err(Pass::Method)),
            ("e/x", 404, false, Err(Pass::Method)),
            ("x", 404, false, Ok(3)),
            ("x", 404, true, Err(Pass::Deleted)),
            ("x", 200, false, Err(Pass::BucketHasIt)),
        ];
        for (key, status, deleted, expected) in cases {
            let (source, denied) = (Source::Bucket, false);
            let answer = BucketResponse { status, source, deleted, denied };
            let headers = Headers::default();
            let request = RequestView { method: Method::Head, ..named(key, &headers) };
            let found = first_match(&rules, request, answer).map(|rule| rule.number);
            assert_eq!(found, expected, "{key} {answer:?}");
        }
    }
}
