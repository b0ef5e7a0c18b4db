//! Routes of objects that take more than one request to an origin.

use super::streaming::{Miss, attempt, choice, origins, ways};
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
    let followed = falling_through(&mirror(""));
    assert_eq!(retries(&followed), ["21", "10"]);
    let passed = falling_through(&mirror(r#", "MirrorFollowRedirect": false"#));
    assert_eq!(retries(&passed), ["11"]);
    assert_eq!(retries(&falling_through(r#"{"HostName": "h"}"#)), ["10"]);
    // One more where the bucket is among them, for a HEAD.
    let heads = falling_through(&mirror(""))
        .replace(r#""http://o/""#, r#""http://o/", "MirrorAllowHeadObject": true"#);
    assert_eq!(retries(&heads), ["22", "21", "10"]);
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
    let origins = origins(&files);
    // After the second rule nothing can follow, and nothing is looked at for it.
    assert!(!text(&files, ROUTES).contains(&format!("{}/on", origins[2])));
    let tree = &choice(&files, &format!("{}/on", origins[1]))["matcher_tree"];
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
    let mirrored = |second: &str, reads: &str| {
        let files = attempt(&falling_through(second), reads).unwrap();
        ways(&files).into_iter().map(|(.., miss)| miss).find(|miss| *miss != Miss::Stands)
    };
    let (there, back) = (r#"{"HostName": "h"}"#, r#"{"ReplaceKeyWith": "k"}"#);
    assert_eq!(mirrored(there, "signed"), Some(Miss::Anew));
    assert_eq!(mirrored(there, "passthrough"), Some(Miss::Anew));
    assert_eq!(mirrored(back, "passthrough"), Some(Miss::TriedAgain));
    assert_eq!(mirrored(back, "signed"), None, "by then the host is the store's");
}
