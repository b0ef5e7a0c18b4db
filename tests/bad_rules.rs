//! Rule sets that are wrong are refused whole, by Envoy and by the harness alike.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::bootstrap::bootstrap;
use crate::support::envoy;
use crate::support::gateway::Setup;
use crate::support::harness::Harness;

/// Wrong rule sets, and what the log must name.
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    let mirror = |more: Value| rules(&[rule(1, merged(mirror(), more))]);
    let external =
        |more: Value| rules(&[rule(1, merged(json!({ "RedirectType": "External" }), more))]);
    let headers = |more: Value| mirror(json!({ "MirrorHeaders": more }));
    let condition = |condition: Value| json!([{ "RuleNumber": 1, "Condition": condition, "Redirect": self::mirror() }]);
    let one = "/buckets/0/RoutingRules/0";
    vec![
        ("an unknown element", mirror(json!({ "MirrorUrl": "http://o/" })), "MirrorUrl"),
        (
            "an unknown element of a condition",
            condition(json!({ "KeyPrefix": "a", "HttpErrorCodeReturnedEquals": 404 })),
            "KeyPrefix",
        ),
        (
            "51 rules",
            rules(&(1..=51).map(|n| rule(n, self::mirror())).collect::<Vec<_>>()),
            "/buckets/0/RoutingRules",
        ),
        (
            "a RuleNumber twice",
            rules(&[rule(1, self::mirror()), rule(1, self::mirror())]),
            "/buckets/0/RoutingRules/1/RuleNumber",
        ),
        ("RuleNumber 0", rules(&[rule(0, self::mirror())]), "RuleNumber"),
        ("a MirrorURL without a scheme", mirror(json!({ "MirrorURL": "o/" })), "MirrorURL"),
        (
            "a MirrorURL without a slash at its end",
            mirror(json!({ "MirrorURL": "http://o" })),
            "MirrorURL",
        ),
        (
            "a Mirror without a MirrorURL",
            rules(&[rule(1, json!({ "RedirectType": "Mirror" }))]),
            "MirrorURL",
        ),
        ("a header's name out of charset", headers(json!({ "Pass": ["a b"] })), "Pass"),
        (
            "a header's value with a line break",
            headers(json!({ "Set": [{ "Key": "a", "Value": "b\r\nc: d" }] })),
            "Set",
        ),
        (
            "eleven headers",
            headers(json!({ "Pass": ["a", "b", "c", "d", "e", "f", "g", "h",
            "i", "j", "k"] })),
            "Pass",
        ),
        (
            "both replacements",
            external(json!({ "ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b" })),
            "ReplaceKey",
        ),
        (
            "a redirect code of 300",
            external(json!({ "HostName": "h", "HttpRedirectCode": 300 })),
            "HttpRedirectCode",
        ),
        (
            "a redirect code of 200",
            external(json!({ "HostName": "h", "HttpRedirectCode": 200 })),
            "HttpRedirectCode",
        ),
        ("a redirect to nowhere", external(json!({})), one),
        ("a host name with a path", external(json!({ "HostName": "h/p" })), "HostName"),
        (
            "a Mirror on 401",
            condition(json!({ "HttpErrorCodeReturnedEquals": 401 })),
            "HttpErrorCodeReturnedEquals",
        ),
        (
            "a Mirror on 500",
            condition(json!({ "HttpErrorCodeReturnedEquals": 500 })),
            "HttpErrorCodeReturnedEquals",
        ),
        ("a Mirror on any answer", condition(json!({})), one),
        (
            "a rule without a condition",
            json!([{ "RuleNumber": 1, "Redirect": self::mirror() }]),
            "Condition",
        ),
        (
            "an unknown RedirectType",
            rules(&[rule(1, json!({ "RedirectType": "Teleport" }))]),
            "RedirectType",
        ),
        (
            "a text for a boolean",
            mirror(json!({ "PassQueryString": "perhaps" })),
            "PassQueryString",
        ),
        ("rules that are no list", json!({}), "RoutingRules"),
    ]
}

#[test]
fn the_harness_refuses_bad_rule_sets() {
    let mut failures = Vec::new();
    for (name, rules, named) in cases() {
        match Harness::start(&setup(rules)) {
            Ok(_) => failures.push(format!("{name}: taken")),
            Err(log) if log.contains("error[") && log.contains(named) => {}
            Err(log) => failures.push(format!("{name}: {named} is not named in: {log}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn envoy_refuses_bad_rule_sets() {
    let mut failures = Vec::new();
    for (name, rules, named) in cases() {
        if let Err(failure) = refused_by_envoy(rules, named) {
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn refused_by_envoy(rules: Value, named: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    match envoy::validate(&bootstrap(&setup(rules), folder.path()), folder.path()) {
        Ok(()) => Err("taken".to_owned()),
        Err(log) if log.contains("error[") && log.contains(named) => Ok(()),
        Err(log) => Err(format!("{named} is not named in:\n{log}")),
    }
}

#[test]
fn both_take_the_good_rule_set_the_bad_ones_are_made_of() {
    let good = rules(&[rule(1, mirror())]);
    Harness::start(&setup(good.clone())).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let bootstrap = bootstrap(&setup(good), folder.path());
    envoy::validate(&bootstrap, folder.path()).unwrap_or_else(|log| panic!("{log}"));
}

fn setup(rules: Value) -> Setup {
    // Nothing is sent anywhere before a configuration is taken.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    Setup::new(rules, nobody, &[nobody])
}

fn mirror() -> Value {
    json!({ "RedirectType": "Mirror", "MirrorURL": "http://127.0.0.1:9/" })
}

fn rule(number: u32, redirect: Value) -> Value {
    json!({
        "RuleNumber": number,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": redirect,
    })
}

fn rules(rules: &[Value]) -> Value {
    Value::from(rules.to_vec())
}

fn merged(mut into: Value, more: Value) -> Value {
    if let (Value::Object(into), Value::Object(more)) = (&mut into, more) {
        into.extend(more);
    }
    into
}
