//! What is found in rule sets, and where: one line one case.

use super::*;
use crate::finding::{Part, Place};

/// A rule with this Condition and this Redirect.
fn rule(condition: &str, redirect: &str) -> String {
    format!(
        r#"{{"RoutingRules": [{{"RuleNumber": 1, "Condition": {condition}, "Redirect": {redirect}}}]}}"#
    )
}

/// Codes and places of all findings; a name's place ends in `=`.
fn findings(text: &str) -> Vec<(&'static str, String)> {
    let checked = RuleSet::from_json(text.as_bytes());
    let refused = checked.findings.iter().any(|f| f.severity == Severity::Error);
    assert_eq!(checked.rules.is_none(), refused, "{text}");
    let place = |finding: &Finding| match &finding.place {
        Place::Pointer { pointer, part: Part::Name } => format!("{pointer}="),
        Place::Pointer { .. } | Place::Position { .. } => finding.place.to_string(),
    };
    checked.findings.iter().map(|finding| (finding.code.as_str(), place(finding))).collect()
}

const C404: &str = r#"{"HttpErrorCodeReturnedEquals": 404}"#;
const MIRROR: &str = r#"{"RedirectType": "Mirror", "MirrorURL": "http://o/"}"#;

fn mirror(more: &str) -> String {
    rule(C404, &format!(r#"{{"RedirectType": "Mirror", "MirrorURL": "http://o/", {more}}}"#))
}

fn external(redirect: &str) -> String {
    rule("{}", redirect)
}

#[test]
fn sound_rules_have_no_findings() {
    let cases = [
        rule(C404, MIRROR),
        rule(r#"{"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": ""}"#, MIRROR),
        mirror(r#""PassQueryString": "True", "MirrorPassQueryString": false"#),
        mirror(
            r#""MirrorHeaders": {"PassAll": true, "Remove": ["a"], "Set": [{"Key": "b", "Value": ""}]}"#,
        ),
        mirror(
            r#""MirrorTooLarge": "Fail", "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "x/""#,
        ),
        mirror(r#""MirrorIsExpressTunnel": false, "ReplaceKeyWith": null"#),
        mirror(
            r#""MirrorFollowRedirect": false, "MirrorSNI": true, "TransparentMirrorResponseCodes": "400,404",
               "MirrorURLSlave": "http://p/", "MirrorURLProbe": "http://p/ok?x", "MirrorSwitchAllErrors": "true",
               "MirrorMultiAlternates": {"MirrorMultiAlternate": [
                 {"MirrorMultiAlternateNumber": "2", "MirrorMultiAlternateURL": "http://q/", "MirrorMultiAlternateVpcId": ""},
                 {"MirrorMultiAlternateNumber": 1, "MirrorMultiAlternateURL": "http://r/"}]}"#,
        ),
        mirror(
            r#""MirrorReturnHeaders": {"ReturnHeader": [{"Key": "cache-control", "Value": "${key}"}]},
               "MirrorTaggings": {"Taggings": [{"Key": "k", "Value": ""}]}, "MirrorProxyPass": true,
               "MirrorAsyncStatus": 303, "StorageClass": "STANDARD_IA", "ServerSideEncryption": "aws:kms",
               "MirrorTimeout": 100, "MirrorMaxSize": "5", "MirrorFallThrough": true,
               "MirrorTunnelId": "", "MirrorDstVpcId": """#,
        ),
        rule(
            r#"{"HttpErrorCodeReturnedEquals": [404, "5XX"]}"#,
            r#"{"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorOnServerError": true}"#,
        ),
        external(r#"{"HostName": "h"}"#),
        external(r#"{"HostName": "127.0.0.1:9100", "Protocol": "http", "HttpRedirectCode": 307}"#),
        external(r#"{"RedirectType": "AliCDN", "HostName": "h", "PassQueryString": "true"}"#),
        rule(
            r#"{"HttpErrorCodeReturnedEquals": "404, 5XX", "IncludeHeader": [{"Key": "a", "Equals": ""}]}"#,
            r#"{"HostName": "h"}"#,
        ),
        rule(r#"{"HttpErrorCodeReturnedEquals": ["404", "5XX", 429]}"#, r#"{"HostName": "h"}"#),
        external(r#"{"HostName": "münchen.example", "ReplaceKeyWith": "${key}.gz"}"#),
        external(
            r#"{"RedirectType": "External", "HttpRedirectCode": "302", "ReplaceKeyPrefixWith": ""}"#,
        ),
        r#"[{"RuleNumber": 1, "Condition": {}, "Redirect": {"HostName": "h"}}]"#.to_owned(),
        r#"{"RoutingRules": []}"#.to_owned(),
    ];
    for text in cases {
        assert_eq!(findings(&text), [], "{text}");
    }
}

#[test]
fn each_mistake_is_found_at_its_place() {
    const R: &str = "/RoutingRules/0";
    let at = |place: &str| format!("{R}{place}");
    let cases = [
        ("{", vec![("syntax", "line 1, column 1".to_owned())]),
        ("7", vec![("wrong-type", "/".to_owned())]),
        ("{}", vec![("missing-element", "=".to_owned())]),
        (r#"{"RoutingRules": {}}"#, vec![("wrong-type", "/RoutingRules".to_owned())]),
        (
            r#"{"RoutingRules": [], "RoutingRule": 1}"#,
            vec![("unknown-element", "/RoutingRule=".to_owned())],
        ),
        (r#"{"RoutingRules": [7]}"#, vec![("wrong-type", at(""))]),
        (r#"{"RoutingRules": [{}]}"#, vec![("missing-element", at("=")); 3]),
        (
            &rule(r#"{"KeyPrefix": "a"}"#, r#"{"HostName": "h"}"#),
            vec![("unknown-element", at("/Condition/KeyPrefix="))],
        ),
        (
            &rule(
                r#"{"IncludeHeader": [{"Key": "a b"}, {"Equals": "x"}, {"Key": "a", "Is": "x"}]}"#,
                r#"{"HostName": "h"}"#,
            ),
            vec![
                ("bad-header-name", at("/Condition/IncludeHeader/0/Key")),
                ("missing-element", at("/Condition/IncludeHeader/1=")),
                ("unknown-element", at("/Condition/IncludeHeader/2/Is=")),
            ],
        ),
        (
            &rule(
                &format!(r#"{{"IncludeHeader": [{}]}}"#, [r#"{"Key": "a"}"#; 11].join(",")),
                r#"{"HostName": "h"}"#,
            ),
            vec![("too-many", at("/Condition/IncludeHeader="))],
        ),
        (
            &rule(r#"{"HttpErrorCodeReturnedEquals": "404,6XX"}"#, r#"{"HostName": "h"}"#),
            vec![("bad-status", at("/Condition/HttpErrorCodeReturnedEquals"))],
        ),
        (
            &rule(r#"{"HttpErrorCodeReturnedEquals": [404, true]}"#, r#"{"HostName": "h"}"#),
            vec![("wrong-type", at("/Condition/HttpErrorCodeReturnedEquals/1"))],
        ),
        (
            &rule(r#"{"HttpErrorCodeReturnedEquals": "4XX"}"#, MIRROR),
            vec![("mirror-status", at("/Condition/HttpErrorCodeReturnedEquals"))],
        ),
        (
            &rule(r#"{"HttpErrorCodeReturnedEquals": 200}"#, r#"{"HostName": "h"}"#),
            vec![("bad-status", at("/Condition/HttpErrorCodeReturnedEquals"))],
        ),
        (
            &rule(r#"{"HttpErrorCodeReturnedEquals": 500}"#, MIRROR),
            vec![("mirror-status", at("/Condition/HttpErrorCodeReturnedEquals"))],
        ),
        (&rule("{}", MIRROR), vec![("mirror-status", at("/Condition="))]),
        (&rule(C404, r#"{"RedirectType": "Mirror"}"#), vec![("missing-element", at("/Redirect="))]),
        (&rule(C404, r#"{"MirrorURL": "http://o/"}"#), vec![("missing-element", at("/Redirect="))]),
        (
            &rule(C404, r#"{"RedirectType": "Mirrors", "MirrorURL": "http://o/"}"#),
            vec![("bad-word", at("/Redirect/RedirectType"))],
        ),
        (
            &rule(C404, r#"{"RedirectType": "Internal", "HostName": "h"}"#),
            vec![("unsupported-element", at("/Redirect/RedirectType"))],
        ),
        (
            &rule(C404, r#"{"RedirectType": "Mirror", "MirrorURL": "o/"}"#),
            vec![("bad-mirror-url", at("/Redirect/MirrorURL"))],
        ),
        (
            &rule(C404, r#"{"RedirectType": "Mirror", "MirrorURL": "http://o"}"#),
            vec![("bad-mirror-url", at("/Redirect/MirrorURL"))],
        ),
        (
            &mirror(r#""MirrorSwitchAllErrors": true, "MirrorURLProbe": "ftp://p/""#),
            vec![
                ("bad-mirror-url", at("/Redirect/MirrorURLProbe")),
                ("no-effect", at("/Redirect/MirrorURLProbe=")),
                ("no-effect", at("/Redirect/MirrorSwitchAllErrors=")),
            ],
        ),
        (
            &mirror(
                r#""MirrorMultiAlternates": {"MirrorMultiAlternate": [
                    {"MirrorMultiAlternateNumber": 1, "MirrorMultiAlternateURL": "http://q/", "MirrorMultiAlternateVpcId": "v"},
                    {"MirrorMultiAlternateNumber": 1, "MirrorMultiAlternateURL": "http://r/"},
                    {"MirrorMultiAlternateURL": "r"}]}"#,
            ),
            vec![
                (
                    "unsupported-element",
                    at(
                        "/Redirect/MirrorMultiAlternates/MirrorMultiAlternate/0/MirrorMultiAlternateVpcId=",
                    ),
                ),
                (
                    "duplicate-name",
                    at(
                        "/Redirect/MirrorMultiAlternates/MirrorMultiAlternate/1/MirrorMultiAlternateNumber",
                    ),
                ),
                ("missing-element", at("/Redirect/MirrorMultiAlternates/MirrorMultiAlternate/2=")),
                (
                    "bad-mirror-url",
                    at(
                        "/Redirect/MirrorMultiAlternates/MirrorMultiAlternate/2/MirrorMultiAlternateURL",
                    ),
                ),
            ],
        ),
        (
            &mirror(
                r#""MirrorReturnHeaders": {"ReturnHeader": [{"Key": "ETag", "Value": "x"}, {"Key": "a", "Value": "${x}"}]},
                   "MirrorTaggings": {"Taggings": [{"Key": "", "Value": "x"}, {"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}]}"#,
            ),
            vec![
                ("bad-header-name", at("/Redirect/MirrorReturnHeaders/ReturnHeader/0/Key")),
                ("bad-template", at("/Redirect/MirrorReturnHeaders/ReturnHeader/1/Value")),
                ("bad-tag", at("/Redirect/MirrorTaggings/Taggings/0/Key")),
                ("duplicate-name", at("/Redirect/MirrorTaggings/Taggings/2/Key")),
            ],
        ),
        (
            &mirror(
                r#""MirrorAsyncStatus": 200, "StorageClass": "cold", "ServerSideEncryption": "DES",
                   "MirrorTimeout": 0, "TransparentMirrorResponseCodes": "200""#,
            ),
            vec![
                ("bad-status", at("/Redirect/TransparentMirrorResponseCodes")),
                ("bad-limit", at("/Redirect/MirrorTimeout")),
                ("bad-redirect-code", at("/Redirect/MirrorAsyncStatus")),
                ("bad-word", at("/Redirect/StorageClass")),
                ("bad-word", at("/Redirect/ServerSideEncryption")),
            ],
        ),
        (
            &mirror(r#""MirrorOnServerError": true"#),
            vec![("no-effect", at("/Condition/HttpErrorCodeReturnedEquals"))],
        ),
        (
            &mirror(r#""MirrorTunnelId": "t", "MirrorUsingRole": true"#),
            vec![
                ("unsupported-element", at("/Redirect/MirrorTunnelId=")),
                ("unsupported-element", at("/Redirect/MirrorUsingRole=")),
            ],
        ),
        (
            &mirror(r#""MirrorURL": "http://p/""#),
            vec![("duplicate-element", at("/Redirect/MirrorURL="))],
        ),
        (
            &mirror(r#""MirrorIsExpressTunnel": true"#),
            vec![("unsupported-element", at("/Redirect/MirrorIsExpressTunnel="))],
        ),
        (&mirror(r#""MirrorTooLarge": "302""#), vec![("bad-word", at("/Redirect/MirrorTooLarge"))]),
        (
            &mirror(r#""PassQueryString": "yes""#),
            vec![("wrong-type", at("/Redirect/PassQueryString"))],
        ),
        (
            &mirror(r#""MirrorHeaders": {"Pass": ["a b"]}"#),
            vec![("bad-header-name", at("/Redirect/MirrorHeaders/Pass/0"))],
        ),
        (
            &mirror(r#""MirrorHeaders": {"Set": [{"Key": "a", "Value": "b\r\nc: d"}]}"#),
            vec![("bad-header-value", at("/Redirect/MirrorHeaders/Set/0/Value"))],
        ),
        (
            &mirror(r#""MirrorHeaders": {"Set": [{"Key": "Content-Length", "Value": "1"}]}"#),
            vec![("bad-header-name", at("/Redirect/MirrorHeaders/Set/0/Key"))],
        ),
        (
            &mirror(r#""MirrorHeaders": {"Pass": ["a","a","a","a","a","a","a","a","a","a","a"]}"#),
            vec![("too-many", at("/Redirect/MirrorHeaders/Pass="))],
        ),
        (
            &mirror(r#""MirrorHeaders": {"Pass": ["Range"]}"#),
            vec![("no-effect", at("/Redirect/MirrorHeaders/Pass/0"))],
        ),
        (
            &mirror(r#""ReplaceKeyPrefixWith": "x/""#),
            vec![("no-effect", at("/Redirect/ReplaceKeyPrefixWith="))],
        ),
        (&mirror(r#""HostName": "h""#), vec![("no-effect", at("/Redirect/HostName="))]),
        (&external("{}"), vec![("empty-redirect", at("/Redirect="))]),
        (&external(r#"{"HostName": "h/x"}"#), vec![("bad-host", at("/Redirect/HostName"))]),
        (
            &external(r#"{"HostName": "h", "Protocol": "ftp"}"#),
            vec![("bad-word", at("/Redirect/Protocol"))],
        ),
        (
            &external(r#"{"HostName": "h", "HttpRedirectCode": 300}"#),
            vec![("bad-redirect-code", at("/Redirect/HttpRedirectCode"))],
        ),
        (
            &external(r#"{"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}"#),
            vec![("conflicting-replacements", at("/Redirect/ReplaceKeyWith="))],
        ),
        (
            &external(r#"{"ReplaceKeyWith": "a", "EnableReplacePrefix": true}"#),
            vec![("conflicting-replacements", at("/Redirect/ReplaceKeyWith="))],
        ),
        (
            &external(r#"{"ReplaceKeyWith": "${k}"}"#),
            vec![("bad-template", at("/Redirect/ReplaceKeyWith"))],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(findings(text), expected, "{text}");
    }
}

#[test]
fn rules_are_counted_and_numbered() {
    let rules = |numbers: &[&str]| {
        let rules: Vec<String> = numbers
            .iter()
            .map(|n| {
                format!(
                    r#"{{"RuleNumber": {n}, "Condition": {{}}, "Redirect": {{"HostName": "h"}}}}"#
                )
            })
            .collect();
        format!("[{}]", rules.join(","))
    };
    let many: Vec<String> = (1..=51).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(findings(&rules(&many[..50])), []);
    assert_eq!(findings(&rules(&many)), [("too-many", "=".to_owned())]);
    assert_eq!(
        findings(&rules(&["7", "3", "7"])),
        [("duplicate-rule-number", "/2/RuleNumber".to_owned())]
    );
    for number in ["0", "-1", "4294967296"] {
        assert_eq!(
            findings(&rules(&[number])),
            [("bad-rule-number", "/0/RuleNumber".to_owned())],
            "{number}"
        );
    }
    let sorted = RuleSet::from_json(rules(&["7", "3", "5"]).as_bytes()).rules.unwrap();
    assert_eq!(sorted.iter().map(|rule| rule.number).collect::<Vec<_>>(), [3, 5, 7]);
}

#[test]
fn all_findings_of_a_file_come_at_once() {
    let text = r#"{"RoutingRules": [
        {"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404}, "Redirect": {"RedirectType": "Mirror", "MirrorURL": "o"}},
        {"RuleNumber": 1, "Condition": {"Prefix": "x"}, "Redirect": {"RedirectType": "External", "HttpRedirectCode": 200}}
    ]}"#;
    let codes: Vec<_> = findings(text).into_iter().map(|(code, _)| code).collect();
    assert_eq!(
        codes,
        ["bad-mirror-url", "duplicate-rule-number", "unknown-element", "bad-redirect-code"]
    );
}

#[test]
fn rules_say_which_answers_they_are_about() {
    let class: Vec<u16> = (400..500).filter(|status| *status != 403).collect();
    for (statuses, expected) in [
        (r#""404""#, &[404][..]),
        (r#""403""#, &[403]),
        (r#""404,503""#, &[404, 503]),
        (r#""4XX""#, &class),
        ("null", &[]),
    ] {
        let condition = format!(r#"{{"HttpErrorCodeReturnedEquals": {statuses}}}"#);
        let rules = rule(&condition, r#"{"HostName": "h"}"#);
        let rules = RuleSet::from_json(rules.as_bytes()).rules.unwrap();
        assert_eq!(rules.statuses().collect::<Vec<_>>(), expected, "{statuses}");
    }
}

#[test]
fn no_finding_shows_a_header_that_a_rule_sets() {
    for value in [r#""canary\n""#, "[\"canary\"]", "{\"canary\": 1}"] {
        let rules = format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "https://o/",
                "MirrorHeaders": {{"Set": [{{"Key": "x-token", "Value": {value}}}]}}}}}}]"#
        );
        let checked = RuleSet::from_json(rules.as_bytes());
        assert!(checked.rules.is_none(), "{value}");
        let told: String = checked.findings.iter().map(ToString::to_string).collect();
        assert!(!told.contains("canary"), "{told}");
    }
}
