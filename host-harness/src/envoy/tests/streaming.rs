//! Routes of what streams: which requests are misses, and where they go.

use super::*;

/// The files for streaming, by rules.
pub(super) fn streamed(rules: &str, more: &str) -> Vec<File> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.json"), rules).unwrap();
    let text = format!(
        "domain: s3.test\nallow_internal_origins: true\nbuckets: [{{ name: abc, endpoint: \"http://127.0.0.1:9000\", \
         rules: rules.json{more} }}]"
    );
    let document = Document::new("deployment.yaml".to_owned(), text.as_bytes());
    let loaded = parse(document, directory.path(), &environment).unwrap();
    let settings = Settings { data_path: DataPath::Streaming, ..settings() };
    files(&loaded, b"module", &settings).unwrap()
}

/// What a route calls by this name.
pub(super) fn choice(files: &[File], name: &str) -> Value {
    let routes = yaml(files, ROUTES);
    let choices = routes["resources"][0]["cluster_specifier_plugins"].as_array().unwrap().clone();
    let named = choices.into_iter().find(|choice| choice["extension"]["name"] == name);
    named.expect(name)["extension"]["typed_config"]["cluster_matcher"].clone()
}

/// A virtual host.
pub(super) fn virtual_host(files: &[File], name: &str) -> Option<Value> {
    let routes = yaml(files, ROUTES);
    let hosts = routes["resources"][0]["virtual_hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["name"] == name).cloned()
}

/// What becomes of a request for which a bucket has no object.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Miss {
    /// The bucket's answer stands.
    Stands,
    /// It is routed anew.
    Anew,
    /// The router tries again.
    TriedAgain,
}

/// The routes by path, and of each where it goes first and what then.
pub(super) fn ways(files: &[File]) -> Vec<(Value, String, Miss)> {
    let host = virtual_host(files, "path").unwrap();
    let is_on = !host["typed_per_filter_config"][misses::NAME].is_null();
    let way = |route: &Value| {
        let (matching, action) = (route["match"].clone(), &route["route"]);
        let is_off = route["typed_per_filter_config"][misses::NAME]["disabled"] == true;
        match action["cluster_specifier_plugin"].as_str() {
            Some(name) => {
                assert!(is_off || !is_on, "{route}");
                (matching, first(&choice(files, name)), Miss::TriedAgain)
            }
            None => {
                let miss = if is_on && !is_off { Miss::Anew } else { Miss::Stands };
                (matching, action["cluster"].as_str().unwrap().to_owned(), miss)
            }
        }
    };
    host["routes"].as_array().unwrap().iter().map(way).collect()
}

/// The cluster of the first attempt.
pub(super) fn first(choice: &Value) -> String {
    let otherwise = &choice["on_no_match"];
    let first = match otherwise["matcher"].is_null() {
        true => otherwise,
        false => &otherwise["matcher"]["on_no_match"],
    };
    first["action"]["typed_config"]["cluster"].as_str().unwrap().to_owned()
}

/// Where misses go, by path and in order.
pub(super) fn origins(files: &[File]) -> Vec<String> {
    let Some(host) = virtual_host(files, &format!("misses/{}", misses::HOST)) else {
        return Vec::new();
    };
    let routes = host["routes"].as_array().unwrap().iter();
    let ways = routes.filter_map(|route| route["route"].as_object());
    ways.map(|way| match way.get("cluster_specifier_plugin") {
        Some(name) => first(&choice(files, name.as_str().unwrap())),
        None => way["cluster"].as_str().unwrap().to_owned(),
    })
    .collect()
}

const MIXED: &str = r#"[
    {"RuleNumber": 4, "Condition": {"KeyPrefixEquals": "x/", "HttpErrorCodeReturnedEquals": 404},
     "Redirect": {"RedirectType": "External", "HostName": "h.test"}},
    {"RuleNumber": 3, "Condition": {"HttpErrorCodeReturnedEquals": 404},
     "Redirect": {"RedirectType": "Mirror", "MirrorURL": "https://b.test/"}},
    {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "old/", "HttpErrorCodeReturnedEquals": 404},
     "Redirect": {"RedirectType": "External", "HostName": "h.test"}},
    {"RuleNumber": 1, "Condition": {"KeySuffixEquals": ".png", "HttpErrorCodeReturnedEquals": 404},
     "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://a.test/"}},
    {"RuleNumber": 5, "Condition": {"HttpErrorCodeReturnedEquals": 503},
     "Redirect": {"RedirectType": "External", "HostName": "h.test"}}
]"#;

#[test]
fn rules_are_routes_in_their_order() {
    let files = streamed(MIXED, "");
    let ways = ways(&files);
    let misses: Vec<_> = ways.iter().map(|(_, _, miss)| *miss == Miss::Anew).collect();
    // Plain paths: .png, old/ and all else that is mirrored. Then other methods, other operations,
    // keys that climb (twice), the same three in all encodings, and the rest.
    let (is, not) = (true, false);
    assert_eq!(misses, [is, not, is, not, not, not, not, is, not, is, not], "{ways:?}");
    assert!(ways.iter().all(|(_, first, _)| first == "bucket-abc"), "{ways:?}");
    // Keys that climb, the two rules that mirror, and what is no key.
    let origins = origins(&files);
    let starts = ["bucket-abc", "mirror-http-a.test-80-", "mirror-https-b.test-443-", "bucket-abc"];
    assert_eq!(origins.len(), starts.len(), "{origins:?}");
    for (origin, start) in origins.iter().zip(starts) {
        assert!(origin.starts_with(start), "{origins:?}");
    }
}

#[test]
fn only_the_bucket_itself_makes_a_miss() {
    let files = streamed(RULES, "");
    let host = virtual_host(&files, "path").unwrap();
    let policies = &host["typed_per_filter_config"][misses::NAME]["custom_response_matcher"];
    let matchers = policies["matcher_list"]["matchers"].as_array().unwrap();
    assert_eq!(matchers.len(), 1);
    let all = matchers[0]["predicate"]["and_matcher"]["predicate"].as_array().unwrap();
    let wanted = |at: usize| &all[at]["single_predicate"]["value_match"]["exact"];
    // A 404 that Envoy did not make up, and of no delete marker.
    assert_eq!((wanted(0), wanted(1), all.len()), (&"404".into(), &"false".into(), 4));
    let policy = &matchers[0]["on_match"]["action"]["typed_config"];
    let twin = virtual_host(&files, &format!("misses/{}", misses::HOST)).unwrap();
    assert_eq!(twin["domains"][0], policy["redirect_action"]["host_redirect"]);
    let header = &policy["request_headers_to_add"][0]["header"]["key"];
    let closed = &twin["routes"][0];
    assert_eq!(closed["direct_response"]["status"], 404);
    let absent = &closed["match"]["headers"][0];
    assert_eq!((&absent["name"], &absent["invert_match"]), (header, &true.into()));
    // What clients send of that kind is taken off.
    assert!(header.as_str().unwrap().starts_with("x-envoy-"));
    assert!(text(&files, BOOTSTRAP).contains("key_matcher: { prefix: x-envoy- }"));
    // A bucket that its host names is found by it again.
    let host = virtual_host(&files, "misses/abc.s3.test:0").unwrap();
    assert_eq!(host["domains"][0], "abc.s3.test:0");
}

#[test]
fn a_head_has_a_route_to_the_origin_where_its_rule_says_so() {
    let allowed =
        MIXED.replace(r#""http://a.test/""#, r#""http://a.test/", "MirrorAllowHeadObject": true"#);
    let methods = |rules: &str| -> Vec<String> {
        let files = streamed(rules, "");
        let host = virtual_host(&files, "path").unwrap();
        let routes = host["routes"].as_array().unwrap();
        let method = |route: &Value| {
            let headers = route["match"]["headers"].as_array()?;
            let method = headers.iter().find(|header| header["name"] == ":method")?;
            let string = &method["string_match"];
            let value =
                string["exact"].as_str().or_else(|| string["safe_regex"]["regex"].as_str())?;
            let not = if method["invert_match"] == true { "not " } else { "" };
            Some(format!("{not}{value}"))
        };
        routes.iter().map(|route| method(route).unwrap_or_default()).collect()
    };
    // Plain paths, other operations, keys that climb out, the rules, and what no rule covers.
    let plain = ["GET"; 3];
    let not_about = ["not GET", "", "", ""];
    assert_eq!(methods(MIXED), [&plain[..], &not_about, &["", "", ""], &[""]].concat());
    // The first rule has the router try again, that of old/ stands before those behind it, and the
    // last one lets a HEAD be the bucket's.
    let not_about = ["not GET|HEAD", "", "", ""];
    let rules = ["HEAD", "", "", "HEAD", ""];
    assert_eq!(methods(&allowed), [&plain[..], &not_about, &rules, &[""]].concat());
    let files = streamed(&allowed, "");
    let ways = ways(&files);
    let tried: Vec<_> = ways.iter().filter(|(.., miss)| *miss == Miss::TriedAgain).collect();
    assert_eq!(tried.len(), 1, "{ways:?}");
    assert_eq!(tried[0].1, "judged-abc");
    assert!(filter(&cluster(&files, "judged-abc"), "header_mutation").is_some());
    assert!(!text(&streamed(MIXED, ""), CLUSTERS).contains("judged-abc"));
}

#[test]
fn a_rule_that_needs_the_clients_host_is_tried_again_with_it() {
    let headers = r#""IncludeHeader": [{"Key": "Host", "StartsWith": "x"}], "HttpErr"#;
    for rules in [MIXED.replace("\"HttpErr", headers), RULES.replace("\"HttpErr", headers)] {
        let files = streamed(&rules, "");
        let ways = ways(&files);
        assert!(ways.iter().any(|(.., miss)| *miss == Miss::TriedAgain), "{ways:?}");
        assert!(ways.iter().all(|(.., miss)| *miss != Miss::Anew), "{ways:?}");
    }
}

#[test]
fn a_suffix_with_a_slash_is_left_to_patterns_and_so_are_later_rules() {
    let plain = |rules: &str| {
        let ways = ways(&streamed(rules, ""));
        ways.iter().filter(|(matching, ..)| matching["prefix"].is_string()).count()
    };
    assert_eq!(plain(MIXED), 3);
    // `/b/c/k` ends with `c/k`, though the key is `k`.
    assert_eq!(plain(&MIXED.replace(".png", "c/k")), 0);
}

#[test]
fn a_bucket_that_mirrors_nothing_has_one_route() {
    let rules = r#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
        "Redirect": {"RedirectType": "External", "HostName": "h.test"}}]"#;
    assert_eq!(ways(&streamed(rules, "")).len(), 1);
}

#[test]
fn the_module_sees_what_clients_ask_only_where_rules_redirect() {
    let kind = |files: &[File]| {
        let filter = yaml(files, FILTER);
        filter["resources"][0]["typed_config"]["@type"].as_str().unwrap().to_owned()
    };
    // A route turns a filter off on both sides, so the one that copies has another name.
    let is_off = |files: &[File]| {
        let routes = yaml(files, ROUTES);
        let hosts = routes["resources"][0]["virtual_hosts"].as_array().unwrap().clone();
        let off =
            |host: &Value| host["typed_per_filter_config"]["back-to-origin"]["disabled"] == true;
        assert_ne!(filter::NAME, filter::ORIGIN_NAME);
        hosts.iter().all(off)
    };
    let (mirrors, mixed) = (streamed(RULES, ""), streamed(MIXED, ""));
    assert!(!kind(&mirrors).contains("wasm") && is_off(&mirrors));
    assert!(kind(&mixed).contains("wasm") && !is_off(&mixed));
}

#[test]
fn the_filter_is_where_misses_go_and_never_where_it_calls_itself() {
    let files = streamed(RULES, "");
    let clusters = yaml(&files, CLUSTERS);
    let with_module: Vec<_> = clusters["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| cluster["name"].as_str().unwrap())
        .filter(|name| {
            let options = &cluster(&files, name)["typed_extension_protocol_options"]
                ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
            options["http_filters"][0]["name"] == filter::ORIGIN_NAME
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(with_module, origins(&files)[1..2]);
    let filter = &cluster(&files, &with_module[0])["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        ["http_filters"][0];
    let value = &filter["typed_config"]["config"]["configuration"]["value"];
    let told: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
    assert_eq!(told["role"], "origin");
    assert_eq!(told["origins"]["http://127.0.0.1:9100"], "origin-http-127.0.0.1-9100");
}

#[test]
fn other_rules_are_another_cluster() {
    let origin = |rules: &str| origins(&streamed(rules, "")).swap_remove(1);
    assert!(origin(RULES).starts_with("mirror-"));
    assert_ne!(origin(RULES), origin(&RULES.replace("a/", "b/")));
}

#[test]
fn signed_reads_are_signed_on_the_way_to_the_bucket_alone() {
    let keys = ", reads: signed, credentials: { environment: }";
    let ways = ways(&streamed(RULES, keys));
    let firsts: Vec<_> = ways.iter().map(|(_, first, _)| first.as_str()).collect();
    let (plain, signed) = ("bucket-abc", "signed-abc");
    // Writes and presigned requests go as they came.
    assert_eq!(firsts[..3], [signed, plain, plain]);
    assert_eq!(firsts[3..], [signed; 6]);
}

#[test]
fn a_signed_read_that_loses_its_bucket_on_the_way_gets_it_back_behind_a_miss() {
    let keys = ", reads: signed, addressing: virtual, credentials: { environment: }";
    let files = streamed(RULES, keys);
    let anew = |route: &Value| {
        let policies = &route["typed_per_filter_config"][misses::NAME]["custom_response_matcher"];
        let policy = &policies["matcher_list"]["matchers"][0]["on_match"]["action"]["typed_config"];
        policy["redirect_action"]["host_redirect"].as_str().map(str::to_owned)
    };
    let domain = "abc.back-to-origin.invalid:0";
    let twin = virtual_host(&files, &format!("misses/{domain}")).unwrap();
    assert_eq!(twin["domains"][0], domain);
    let routes = twin["routes"].as_array().unwrap();
    let mirrored = routes.iter().find(|route| !route["route"]["regex_rewrite"].is_null()).unwrap();
    assert_eq!(mirrored["route"]["regex_rewrite"]["substitution"], "/abc/");
    let pattern = mirrored["match"]["safe_regex"]["regex"].as_str().unwrap();
    assert!(pattern.starts_with("/(?:a|%61)"), "{pattern}");
    // By path the buckets share a host, by host they have one each.
    let by_path = virtual_host(&files, "path").unwrap();
    let by_path = by_path["routes"].as_array().unwrap().iter().filter_map(anew);
    assert_eq!(by_path.collect::<Vec<_>>(), [domain; 2]);
    assert_eq!(anew(&virtual_host(&files, "abc.s3.test").unwrap()).as_deref(), Some(domain));
    assert!(virtual_host(&files, "misses/abc.s3.test:0").is_none());
}

#[test]
fn a_head_that_loses_its_bucket_on_the_way_does_not_stream() {
    let (directory, mut loaded) = loaded(
        "buckets: [{ name: abc, endpoint: \"http://127.0.0.1\", rules: rules.json, \
         addressing: virtual, reads: signed, credentials: { environment: } }]",
    );
    let streaming = Settings { data_path: DataPath::Streaming, ..settings() };
    assert!(files(&loaded, b"", &streaming).is_ok());
    let heads = RULES.replace("9100/\"", "9100/\", \"MirrorAllowHeadObject\": true");
    let set = back_to_origin::rule::RuleSet::from_json(heads.as_bytes()).rules.unwrap();
    loaded.rules[0].set = set;
    let error = files(&loaded, b"", &streaming).unwrap_err();
    assert_eq!(error, FilesError::Addressing { bucket: "abc".to_owned() });
    assert!(files(&loaded, b"", &settings()).is_ok());
    drop(directory);
}

/// The files of a streaming deployment with these rules.
pub(super) fn attempt(rules: &str, reads: &str) -> Result<Vec<File>, FilesError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.json"), rules).unwrap();
    let text = format!(
        "allow_internal_origins: true\norigins: [\"https://cdn.test\"]\n\
         buckets: [{{ name: abc, endpoint: \"http://127.0.0.1\", \
         rules: rules.json, reads: {reads}, credentials: {{ environment: }} }}]"
    );
    let document = Document::new("deployment.yaml".to_owned(), text.as_bytes());
    let loaded = parse(document, directory.path(), &environment).expect(&text);
    files(&loaded, b"", &Settings { data_path: DataPath::Streaming, ..settings() })
}

#[test]
fn a_rule_by_a_header_that_a_signed_read_loses_does_not_stream() {
    let rules = |header| {
        format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404,
                "IncludeHeader": [{{"Key": "{header}"}}]}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://o/"}}}}]"#
        )
    };
    for header in ["host", "authorization"] {
        let error = attempt(&rules(header), "signed").unwrap_err();
        let expected = FilesError::Header { bucket: "abc".to_owned(), header: header.to_owned() };
        assert_eq!(error, expected);
        assert!(attempt(&rules(header), "passthrough").is_ok());
    }
    assert!(attempt(&rules("x-client"), "signed").is_ok());
}

#[test]
fn what_takes_more_than_one_request_is_fetched_before_the_buckets() {
    let rules = |more| {
        format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://o/" {more}}}}}]"#
        )
    };
    let streamed = |rules: &str| {
        let files = attempt(rules, "passthrough").unwrap();
        let is_streamed = origins(&files).iter().any(|cluster| cluster.starts_with("mirror-"));
        let is_fetched = text(&files, "filter.yaml").contains("RoutingRules");
        assert!(text(&files, "clusters.yaml").contains("origin-https-cdn.test-443"));
        (is_streamed, is_fetched)
    };
    assert_eq!(streamed(&rules("")), (true, false));
    assert_eq!(streamed(&rules(r#", "MirrorURLSlave": "http://p/""#)), (false, true));
    assert_eq!(streamed(&rules(r#", "MirrorFallThrough": true"#)), (true, false));
    let failing = rules(r#", "MirrorOnServerError": true"#)
        .replace(r#"Equals": 404"#, r#"Equals": "404,5XX""#);
    assert_eq!(streamed(&failing), (true, true));
}
