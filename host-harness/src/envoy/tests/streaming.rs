//! The road of a miss: what its files hold, and what they are held to.

use back_to_origin::miss_route::{ATTEMPTS, CLUSTER, HOST, MISS, SERVER_HOST};

use super::*;

/// Buckets and their rule sets; `more` are fields of each bucket.
fn deployed(rules: &[&str], more: &str, form: Form) -> Vec<File> {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "allow_internal_origins: true\ndomain: s3.test\nbuckets:\n".to_owned();
    for (number, rules) in rules.iter().enumerate() {
        fs::write(directory.path().join(format!("{number}.json")), rules).unwrap();
        text.push_str(&format!(
            "  - {{ name: bucket{number}, endpoint: \"http://127.0.0.1\", rules: {number}.json{more} }}\n"
        ));
    }
    let document = Document::new("deployment.yaml".to_owned(), text.as_bytes());
    let loaded = parse(document, directory.path(), &environment).expect(&text);
    files(&loaded, b"", &Settings { data_path: DataPath::Streaming, form, ..settings() }).unwrap()
}

fn streamed(rules: &str, more: &str) -> Vec<File> {
    deployed(&[rules], more, Form::Envoy)
}

const SIGNED: &str = ", reads: signed, credentials: { environment: }";

/// A rule that mirrors, with a status and more elements.
fn mirror(statuses: &str, more: &str) -> String {
    format!(
        r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": {statuses}}},
            "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://o/"{more}}}}}]"#
    )
}

fn virtual_host(files: &[File], name: &str) -> Value {
    let routes = yaml(files, ROUTES);
    let hosts = routes["resources"][0]["virtual_hosts"].as_array().unwrap().clone();
    hosts.into_iter().find(|host| host["name"] == name).expect(name)
}

/// Method, cluster and what the guard is told, of the routes of a virtual host.
fn ways(files: &[File], host: &str) -> Vec<(String, String, Value)> {
    let host = virtual_host(files, host);
    let routes = host["routes"].as_array().unwrap().iter();
    routes
        .map(|route| {
            let method = &route["match"]["headers"][0]["string_match"]["exact"];
            let follows = !route["route"]["internal_redirect_policy"].is_null();
            let told = route["metadata"]["filter_metadata"]["guard"].clone();
            assert_eq!(follows, told.is_object(), "{route}");
            let cluster = route["route"]["cluster"].as_str().unwrap().to_owned();
            (method.as_str().unwrap_or("any").to_owned(), cluster, told["misses"].clone())
        })
        .collect()
}

fn way(method: &str, cluster: &str, misses: Option<&str>) -> (String, String, Value) {
    (method.to_owned(), cluster.to_owned(), misses.map_or(Value::Null, Value::from))
}

/// The names of a cluster's filters.
fn filters(files: &[File], cluster: &str) -> Vec<String> {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let cluster = self::cluster(files, cluster);
    let filters = cluster["typed_extension_protocol_options"][options]["http_filters"].clone();
    let filters = filters.as_array().cloned().unwrap_or_default();
    let name =
        |filter: &Value| filter["name"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
    filters.iter().map(name).collect()
}

#[test]
fn reads_alone_may_be_misses() {
    let bucket = "bucket-bucket0";
    // Of a 412 the filter knows whether the client means a version that the bucket has.
    let get = way("GET", bucket, Some("404 412"));
    let all = way("any", bucket, None);
    for host in ["path", "bucket0.s3.test"] {
        let files = streamed(&mirror("404", ""), "");
        let hits = way("HEAD", bucket, None);
        assert_eq!(ways(&files, host), [get.clone(), hits, all.clone()]);
        // The filter sees what else there is: a copy must not replace what a client writes.
        let routes = virtual_host(&files, host)["routes"].clone();
        let told: Vec<bool> = routes
            .as_array()
            .unwrap()
            .iter()
            .map(|route| !route["typed_per_filter_config"].is_null())
            .collect();
        assert_eq!(told, [false, false, true]);
        let passed = streamed(&mirror("404", r#", "MirrorProxyPass": true"#), "");
        let alone = way("GET", bucket, Some("404"));
        assert_eq!(ways(&passed, host), [alone, all.clone()], "nothing is copied");
        // A HEAD where a rule is about it.
        let heads = streamed(&mirror("404", r#", "MirrorAllowHeadObject": true"#), "");
        let head = way("HEAD", bucket, Some("404 412"));
        assert_eq!(ways(&heads, host), [get.clone(), head, all.clone()]);
        let plain = streamed("[]", "");
        assert_eq!(ways(&plain, host), std::slice::from_ref(&all));
    }
    assert_eq!(filters(&streamed(&mirror("404", ""), ""), bucket), ["guard", "codec"]);
    assert!(filters(&streamed("[]", ""), bucket).is_empty());
}

#[test]
fn signed_reads_are_signed_on_the_way_to_the_bucket_alone() {
    let files = streamed(&mirror("404", ""), SIGNED);
    let (plain, signed) = ("bucket-bucket0", "signed-bucket0");
    // Writes go as they came.
    let expected =
        [way("GET", signed, Some("404 412")), way("HEAD", signed, None), way("any", plain, None)];
    assert_eq!(ways(&files, "path"), expected);
    let host = virtual_host(&files, "bucket0.s3.test");
    let read = &host["routes"][0];
    assert_eq!(read["route"]["prefix_rewrite"], "/bucket0/");
    // What the client asked is on the miss route, of a request that may come to it.
    let told = |route: &Value| {
        let headers = route["request_headers_to_add"].as_array().cloned().unwrap_or_default();
        headers.iter().map(|h| h["header"]["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(read), ["x-envoy-original-host", "x-envoy-original-path"]);
    assert_eq!(told(&host["routes"][1]), [""; 0]);
    let signing = ["canonical", "aws_request_signing", "codec"];
    assert_eq!(filters(&files, signed), [&["guard"], &signing[..]].concat());
    assert_eq!(filters(&files, "again-bucket0"), [&["handback", "strip"], &signing[..]].concat());
}

#[test]
fn a_bucket_that_is_named_in_the_host_leaves_the_path() {
    let files = streamed(&mirror("404", ""), &format!("{SIGNED}, addressing: virtual"));
    let host = virtual_host(&files, "path");
    let reads: Vec<_> = host["routes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|route| route["route"]["cluster"] == "signed-bucket0")
        .filter(|route| !route["metadata"].is_null())
        .collect();
    assert_eq!(reads[0]["match"]["prefix"], "/bucket0/");
    assert_eq!(reads[1]["match"]["path"], "/bucket0");
    for read in reads {
        assert_eq!(read["route"]["prefix_rewrite"], "/");
        assert_eq!(read["route"]["host_rewrite_literal"], "bucket0.127.0.0.1");
    }
}

#[test]
fn the_guard_is_told_what_the_rules_are_about() {
    let external = |statuses: &str| {
        format!(
            r#"[{{"RuleNumber": 1, "Condition": {{{statuses}}},
                "Redirect": {{"RedirectType": "External", "HostName": "h"}}}}]"#
        )
    };
    let status = |text: &str| external(&format!(r#""HttpErrorCodeReturnedEquals": {text}"#));
    for (rules, misses) in [
        (status("404"), "404"),
        (status("403"), "403"),
        (status("\"404,500\""), "404 500"),
        (status("\"4XX\""), "4xx !403"),
        (status("\"403,4XX\""), "4xx"),
        (status("\"404,5XX\""), "404 5xx"),
    ] {
        assert_eq!(ways(&streamed(&rules, ""), "path")[0].2, misses, "{rules}");
    }
    // A rule without a status is about hits as well: the filter is on the bucket's route too.
    let files = streamed(&external(""), "");
    let host = virtual_host(&files, "path");
    assert!(host["routes"][0]["typed_per_filter_config"]["back-to-origin"].is_object());
    let host = virtual_host(&streamed(&mirror("404", ""), ""), "path");
    assert!(host["routes"][0]["typed_per_filter_config"].is_null());
}

#[test]
fn a_bucket_with_rules_about_its_failures_is_heard() {
    let rules = mirror("\"404,5XX\"", r#", "MirrorOnServerError": true"#);
    for (more, server) in [("", "bucket-bucket0"), (SIGNED, "signed-bucket0")] {
        let files = streamed(&rules, more);
        let host = virtual_host(&files, "path");
        let routes = host["routes"].as_array().unwrap().iter();
        let heard: Vec<_> =
            routes.filter(|route| route["route"]["cluster"] == "attempts-at-buckets").collect();
        let read = heard.last().unwrap();
        assert_eq!(read["metadata"]["filter_metadata"]["guard"]["heard"], true);
        let header = &read["request_headers_to_add"][0]["header"];
        assert_eq!(
            (&header["key"], &header["value"]),
            (&"x-envoy-miss-server".into(), &server.into())
        );
        assert_eq!(filters(&files, "attempts-at-buckets"), ["guard", "codec"]);
        assert_eq!(yaml(&files, LISTENERS)["resources"][0]["name"], ATTEMPTS);
    }
}

#[test]
fn attempts_come_in_where_another_server_may_be_asked() {
    let files = streamed(&mirror("404", ""), "");
    assert_eq!(yaml(&files, LISTENERS)["resources"], Value::Array(Vec::new()));
    let files = streamed(&mirror("404", r#", "MirrorURLSlave": "http://p/""#), "");
    assert_eq!(yaml(&files, LISTENERS)["resources"][0]["name"], ATTEMPTS);
    assert_eq!(filters(&files, ATTEMPTS), ["handback", "codec"]);
    for origin in ["origin-http-o-80", "origin-http-p-80"] {
        assert_eq!(filters(&files, origin), ["handback", "strip", "codec"]);
    }
}

#[test]
fn a_miss_has_one_route_whatever_the_rules() {
    let files = streamed(&mirror("404", ""), "");
    let misses = virtual_host(&files, "misses");
    assert_eq!(misses["domains"], serde_json::json!([HOST, format!("*.{HOST}")]));
    assert!(misses["typed_per_filter_config"]["back-to-origin"]["config"].is_object());
    let routes = misses["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0]["route"]["cluster_header"], CLUSTER);
    assert_eq!(routes[0]["route"]["host_rewrite_header"], SERVER_HOST);
    // No client can say that it is one.
    assert_eq!(routes[0]["match"]["headers"][0]["name"], MISS);
    assert!(
        text(&files, BOOTSTRAP).contains("remove_on_match: { key_matcher: { prefix: x-envoy- }")
    );
}

#[test]
fn rules_that_say_how_long_a_body_may_stand_still_have_routes() {
    let rules = r#"[
        {"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404, "KeyPrefixEquals": "a"},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorIdleTimeout": 90000}},
        {"RuleNumber": 2, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorTimeout": 3000}}
    ]"#;
    let files = streamed(rules, "");
    let misses = virtual_host(&files, "misses");
    let routes = misses["routes"].as_array().unwrap().iter();
    let found: Vec<_> = routes
        .map(|route| (route["name"].clone(), route["route"]["idle_timeout"].clone()))
        .collect();
    let expected = [
        ("miss-3000".into(), "4s".into()),
        ("miss-90000".into(), "90s".into()),
        ("miss".into(), Value::Null),
    ];
    assert_eq!(found, expected);
    let policy = &virtual_host(&files, "path")["routes"][0]["route"]["internal_redirect_policy"];
    let listed = &policy["predicates"][0]["typed_config"]["allowed_route_names"];
    assert_eq!(*listed, serde_json::json!(["miss", "miss-3000", "miss-90000"]));
}

#[test]
fn a_rule_by_a_header_that_a_signed_read_loses_does_not_stream() {
    let rules = |header: &str| {
        let rule = mirror("404", "");
        rule.replace("404}", &format!(r#"404, "IncludeHeader": [{{"Key": "{header}"}}]}}"#))
    };
    let (_directory, mut loaded) = loaded(KEYS);
    let set =
        |header| back_to_origin::rule::RuleSet::from_json(rules(header).as_bytes()).rules.unwrap();
    let streaming = Settings { data_path: DataPath::Streaming, ..settings() };
    for (header, is_lost) in [("authorization", true), ("host", false), ("x-client", false)] {
        // The third bucket's reads are signed.
        loaded.rules[2].set = set(header);
        assert_eq!(files(&loaded, b"", &streaming).is_err(), is_lost, "{header}");
        assert!(files(&loaded, b"", &settings()).is_ok(), "{header}");
    }
}

#[test]
fn each_form_takes_what_its_envoy_has() {
    let rules =
        mirror("\"404,5XX\"", r#", "MirrorOnServerError": true, "MirrorURLSlave": "http://p/""#);
    let all = |form| {
        let files = deployed(&[&rules], SIGNED, form);
        let texts = files.iter().filter(|file| file.name != MODULE);
        texts.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).collect::<String>()
    };
    let (stock, istio) = (all(Form::Envoy), all(Form::Istio));
    // Istio's proxy has no filter by that name, and 1.36 dies where a body is read to its end.
    for word in ["ExtensionWithMatcher", ":body()", "reject_connect_request_early_data"] {
        assert!(stock.contains(word) && !istio.contains(word), "{word}");
    }
    for text in [stock, istio].map(|text| without_tags(&text)) {
        for word in ["custom_response", "CustomResponse", "regex", "safe_", "cluster_specifier"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

/// Files without the patterns of labels: those are about names of metrics, not about requests.
fn without_tags(text: &str) -> String {
    text.lines().filter(|line| !line.contains("tag_name:")).collect::<Vec<_>>().join("\n")
}

/// The files of the four examples, as they are kept.
fn examples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/generated");
    let directories = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let files = directories.flat_map(|path| fs::read_dir(path).unwrap()).map(|e| e.unwrap().path());
    files
        .filter(|path| !["deployment.yaml", "rules.json"].iter().any(|own| path.ends_with(own)))
        .map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn the_examples_can_be_read() {
    let mut lines = 0;
    for (path, text) in examples() {
        lines += text.lines().count();
        for line in text.lines() {
            assert!(line.chars().count() <= 160, "{path}: {line}");
        }
        assert!(!without_tags(&text).contains("regex"), "{path}");
    }
    assert!(lines < 1_350, "{lines} lines");
}

#[test]
fn twenty_rules_and_three_buckets_can_be_read() {
    let rules: Vec<_> = (1..=20)
        .map(|number| {
            format!(
                r#"{{"RuleNumber": {number},
                    "Condition": {{"KeyPrefixEquals": "folder{number}/", "HttpErrorCodeReturnedEquals": 404}},
                    "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "https://origin{number}.example.com/folder/"}}}}"#
            )
        })
        .collect();
    let (all, none) = (format!("[{}]", rules.join(",")), mirror("404", ""));
    let files = deployed(&[&all, &none, &none], "", Form::Envoy);
    let lines: usize = files
        .iter()
        .map(|file| std::str::from_utf8(&file.bytes).unwrap_or_default().lines().count())
        .sum();
    // Forty of them are the script that asks nobody on the inside of a network.
    assert!(lines < 620, "{lines} lines");
}
