//! Routes of objects that take more than one request to an origin.

use super::*;

/// Two rules the first of which may be followed by the second, which says this.
fn falling_through(second: &str) -> String {
    format!(
        r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
            "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorFallThrough": true}}}},
           {{"RuleNumber": 2, "Condition": {{"HttpErrorCodeReturnedEquals": 404}}, "Redirect": {second}}}]"#
    )
}

#[test]
fn a_route_has_as_many_attempts_as_its_rules_may_take() {
    let retries = |rules: &str| {
        let files = attempt(rules, "passthrough").unwrap();
        let text = text(&files, ROUTES);
        let retries = text.lines().filter_map(|line| line.trim().strip_prefix("num_retries: "));
        retries.map(str::to_owned).collect::<Vec<_>>()
    };
    let mirror = |more| format!(r#"{{"RedirectType": "Mirror", "MirrorURL": "http://p/" {more}}}"#);
    // Each rule twice: plain paths, and all others.
    let followed = falling_through(&mirror(""));
    assert_eq!(retries(&followed), ["22", "11", "22", "11"]);
    let passed = falling_through(&mirror(r#", "MirrorFollowRedirect": false"#));
    assert_eq!(retries(&passed), ["12", "1", "12", "1"]);
    assert_eq!(retries(&falling_through(r#"{"HostName": "h"}"#)), ["11", "11"]);
    // A later rule that can fail over is done before the buckets, and so are those before it.
    let other = falling_through(&mirror(r#", "MirrorURLSlave": "http://q/""#));
    assert_eq!(retries(&other), [""; 0]);
}

#[test]
fn a_later_attempt_goes_where_the_filter_says() {
    let rules = falling_through(
        r#"{"RedirectType": "Mirror", "MirrorURL": "http://p/", "MirrorFollowRedirect": false}"#,
    );
    let files = attempt(&rules, "passthrough").unwrap();
    let origins: Vec<_> = ways(&files).into_iter().filter_map(|(.., origin)| origin).collect();
    let named = |name: String| choice(&files, &name)["on_no_match"]["matcher"].clone();
    // After the second rule nothing can follow, and nothing is looked at for it.
    assert_eq!(named(format!("bucket-abc/{}", origins[1])), Value::Null);
    let tree = &named(format!("bucket-abc/{}/on", origins[0]))["matcher_tree"];
    assert_eq!(tree["input"]["typed_config"]["key"], "wasm.back_to_origin.cluster");
    let clusters = tree["exact_match_map"]["map"].as_object().unwrap();
    // Those of both rules, and the one that redirects may lead to.
    assert_eq!(clusters.len(), 3);
    for (name, chosen) in clusters {
        // The filter knows them by the clusters that it fetches from itself.
        cluster(&files, name);
        let mirror = chosen["action"]["typed_config"]["cluster"].as_str().unwrap();
        let end = mirror.strip_prefix("mirror-").and_then(|_| name.strip_prefix("origin-"));
        assert!(end.is_some_and(|end| mirror.contains(end)), "{name}: {mirror}");
        cluster(&files, mirror);
    }
}

#[test]
fn a_later_redirect_to_the_clients_host_is_made_where_that_is_known() {
    let is_retried = |second: &str, reads: &str| {
        let files = attempt(&falling_through(second), reads).unwrap();
        text(&files, ROUTES).contains("retriable_headers")
    };
    let (there, back) = (r#"{"HostName": "h"}"#, r#"{"ReplaceKeyWith": "k"}"#);
    assert!(is_retried(there, "signed") && is_retried(back, "passthrough"));
    assert!(!is_retried(back, "signed"), "by then the host is the store's");
}
