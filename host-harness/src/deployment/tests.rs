//! Whole deployment files: what they come to, and what is said about the wrong ones.

use std::path::Path;
use std::time::Duration;

use super::section::{Presence, Reading, Section};
use super::*;
use crate::diagnostics::{Document, Report, Weight};
use crate::gateway::Reach;

const RULES: &str = r#"{
  "RoutingRules": [
    {
      "RuleNumber": 1,
      "Condition": { "HttpErrorCodeReturnedEquals": 404 },
      "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://www.example.com/a/" }
    }
  ]
}
"#;

fn read(text: &str) -> Result<Loaded, LoadError> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.json"), RULES).unwrap();
    std::fs::write(directory.path().join("bad.json"), "{").unwrap();
    let environment = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" | "MY_KEY" => Some("key-from-environment".into()),
        "AWS_SECRET_ACCESS_KEY" => Some("secret-from-environment".into()),
        _ => None,
    };
    parse(Document::new("deployment.yaml", text.as_bytes()), directory.path(), &environment)
}

#[track_caller]
fn loaded(text: &str) -> Loaded {
    match read(text) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{}", rendered(&error)),
    }
}

fn rendered(error: &LoadError) -> String {
    match error {
        LoadError::Refused(reports) => reports.iter().map(|report| report.render(false)).collect(),
        LoadError::Unreadable { .. } => error.to_string(),
    }
}

#[track_caller]
fn refused(text: &str) -> String {
    rendered(&read(text).map(|_| ()).unwrap_err())
}

const SMALL: &str = "\
buckets:
  - name: examplebucket
    endpoint: http://127.0.0.1:9000
    rules: rules.json
";

#[test]
fn a_small_file_has_every_default() {
    let Loaded { deployment, rules, warnings, .. } = loaded(SMALL);
    assert_eq!(deployment.listen.to_string(), "127.0.0.1:8080");
    assert!(deployment.admin.is_none() && deployment.domain.is_none());
    assert_eq!(Some(deployment.workers), std::thread::available_parallelism().ok());
    assert_eq!(deployment.limits.object_bytes.value, 8 << 20);
    assert_eq!(deployment.timeouts.origin, Duration::from_secs(10));
    let bucket = &deployment.buckets[0];
    assert_eq!(bucket.region.0, "us-east-1");
    assert_eq!(bucket.addressing, Addressing::Path);
    assert_eq!(bucket.reads.value, Reads::Passthrough);
    assert!(bucket.credentials.keys(&bucket.region).is_none());
    assert_eq!(rules[0].origins, ["https://www.example.com"]);
    assert_eq!(warnings, []);
}

#[test]
fn how_clients_connect_is_bounded_and_a_key_is_not_shown() {
    let Loaded { deployment, tls, .. } = loaded(SMALL);
    assert_eq!((deployment.connections.0, deployment.trusted_hops, tls), (20_000, None, None));
    for (field, expected) in [
        ("connections: 0", "expected a whole number from 1 to 1000000"),
        ("connections: 9223372036854775808", "expected a whole number from 1 to 1000000"),
        ("trusted_hops: 17", "expected a whole number of at most 16"),
        ("trusted_hops: -1", "expected a whole number of at most 16"),
        ("proxy_protocol: v2", "expected true or false"),
        ("tls: { certificate: none.pem }", "tls has no `key`"),
        (
            "tls: { certificate: none.pem, key: k.pem }",
            "error[bad-certificate]: the certificate in",
        ),
        ("tls: { certificate: rules.json, key: k.pem }", "there is no certificate in PEM in"),
    ] {
        let said = refused(&format!("{field}\n{SMALL}"));
        assert!(said.contains(expected), "{field}: {said}");
    }
    let key = "tls: { certificate: [], key: '-----BEGIN PRIVATE KEY----- MIIEv' }";
    let said = refused(&format!("{key}\n{SMALL}"));
    assert!(!said.contains("MIIEv"), "{said}");
}

#[test]
fn a_plan_names_clusters_and_configures_the_filter() {
    let text = format!("domain: S3.localhost\n{SMALL}");
    let text = format!(
        "{text}  - name: other\n    endpoint: https://s3.example.com\n    addressing: virtual\n    \
         rules: rules.json\n"
    );
    let plan = Plan::new(&loaded(&text));
    let names: Vec<_> = plan.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["store-examplebucket", "store-other", "origin-https-www.example.com-443"]);
    let configuration: serde_json::Value = serde_json::from_str(&plan.configuration).unwrap();
    let rules: serde_json::Value = serde_json::from_str(RULES).unwrap();
    let limits =
        serde_json::json!({ "requests_per_second": 2000, "bits_per_second": 2147483648_u64 });
    let expected = serde_json::json!({
        "path": "streaming",
        "domain": "s3.localhost",
        "buckets": [
            {
                "name": "examplebucket",
                "again": "again-examplebucket",
                "negative_cache_ms": 30000,
                "tombstones_ms": 30000,
                "store": {
                    "cluster": "store-examplebucket",
                    "scheme": "http",
                    "authority": "127.0.0.1:9000",
                    "addressing": "path",
                },
                "mirror_limits": limits,
                "RoutingRules": rules["RoutingRules"],
            },
            {
                "name": "other",
                "again": "again-other",
                "negative_cache_ms": 30000,
                "tombstones_ms": 30000,
                "store": {
                    "cluster": "store-other",
                    "scheme": "https",
                    "authority": "s3.example.com",
                    "addressing": "virtual",
                },
                "mirror_limits": limits,
                "RoutingRules": rules["RoutingRules"],
            },
        ],
        "origins": { "https://www.example.com": "origin-https-www.example.com-443" },
        "limits": {
            "object_bytes": 8388608, "memory_bytes": 67108864, "fetches": 64,
            "part_bytes": 8388608, "backfills": 16,
        },
        "timeouts": {
            "origin_ms": 10000, "store_ms": 30000, "unconfirmed_upload_ms": 600000,
            "get_after_head_ms": 5000, "coalesce_ms": 5000,
        },
        "breaker": { "failures": 5, "open_for_ms": 10000 },
        "loop_id": configuration["loop_id"],
    });
    assert_eq!(configuration, expected);
    assert_eq!(configuration["loop_id"].as_str().map(str::len), Some(16));
    assert_eq!(plan.path, crate::gateway::DataPath::Streaming);
    let callout = Plan::new(&loaded(&format!("path: callout\n{SMALL}")));
    assert_eq!(callout.path, crate::gateway::DataPath::Callout);
    for word in ["\"path\":", "\"again\""] {
        assert!(!callout.configuration.contains(word), "{}", callout.configuration);
    }
}

#[test]
fn rules_of_one_origin_with_other_bounds_for_connections_have_other_clusters() {
    let rule = |number: u32, more: &str| {
        format!(
            r#"{{"RuleNumber": {number}, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "https://o.example/"{more}}}}}"#
        )
    };
    let rules = [rule(1, ""), rule(2, r#", "MirrorConnectTimeout": 1500"#)];
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.json"), format!("[{}]", rules.join(","))).unwrap();
    let document = Document::new("deployment.yaml".to_owned(), SMALL.as_bytes());
    let loaded = parse(document, directory.path(), &|_: &str| None).unwrap();
    let plan = Plan::new(&loaded);
    let mut found: Vec<_> = plan.clusters[1..]
        .iter()
        .map(|cluster| (cluster.name.as_str(), cluster.connect_timeout.as_millis()))
        .collect();
    found.sort_unstable();
    let name = "origin-https-o.example-443";
    assert_eq!(found, [(name, 5_000), (&*format!("{name}-connect-1500"), 1_500)]);
    let cluster = plan.origins.get("https://o.example connect-1500").unwrap();
    assert_eq!(*cluster, format!("{name}-connect-1500"));
}

#[test]
fn a_store_says_how_it_is_spoken_to() {
    let plan = Plan::new(&loaded(SMALL));
    let told = |plan: &Plan| (plan.clusters[0].protocol, plan.clusters[0].idle_timeout);
    assert_eq!(told(&plan), (crate::gateway::Protocol::Http1, Duration::from_secs(4)));
    let text = format!("{SMALL}    protocol: http2\n    idle_timeout: 500ms\n");
    let plan = Plan::new(&loaded(&text));
    assert_eq!(told(&plan), (crate::gateway::Protocol::Http2, Duration::from_millis(500)));
    // An origin chooses over TLS, and so does a store of which nothing is said.
    assert_eq!(plan.clusters[1].protocol, crate::gateway::Protocol::Auto);
    let text = SMALL.replace("http://127.0.0.1:9000", "https://s3.example.com");
    assert_eq!(Plan::new(&loaded(&text)).clusters[0].protocol, crate::gateway::Protocol::Auto);
    let refusal = refused(&format!("{SMALL}    protocol: h2\n"));
    assert!(refusal.contains("expected `auto` or `http1` or `http2`, found `h2`"), "{refusal}");
}

#[test]
fn the_module_gets_hosts_in_ascii_and_nothing_else_changed() {
    let rules = serde_json::json!([{
        "RuleNumber": 1,
        "Condition": { "KeyPrefixEquals": "ä/", "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror",
            "MirrorURL": "https://münchen.example:444/ü/",
            "MirrorHeaders": { "Set": [{ "Key": "x", "Value": "http://ö/" }] },
        },
    }, {
        "RuleNumber": 2,
        "Condition": {},
        "Redirect": { "HostName": "münchen.example:81", "ReplaceKeyWith": "ß" },
    }]);
    let given = plan::with_ascii_hosts(&rules);
    let mut expected = rules;
    expected[0]["Redirect"]["MirrorURL"] = "https://xn--mnchen-3ya.example:444/%C3%BC/".into();
    expected[1]["Redirect"]["HostName"] = "xn--mnchen-3ya.example:81".into();
    assert_eq!(given, expected);
}

#[test]
fn objects_may_be_streamed_in_parts_of_any_size_that_memory_holds() {
    let plan = |text: &str| Plan::new(&loaded(&format!("{text}\n{SMALL}")));
    let limits = |plan: &Plan| {
        let configuration: serde_json::Value = serde_json::from_str(&plan.configuration).unwrap();
        (
            configuration["limits"]["part_bytes"].clone(),
            configuration["limits"]["backfills"].clone(),
        )
    };
    let streaming = plan("limits: { part_bytes: 5242880, backfills: 2 }");
    assert_eq!(streaming.path, crate::gateway::DataPath::Streaming);
    assert_eq!(limits(&streaming), (5_242_880.into(), 2.into()));
    let small = plan("limits: { object_bytes: 1, memory_bytes: 1000 }");
    assert_eq!(limits(&small), (1_000.into(), 16.into()));
}

#[test]
fn a_store_is_told_how_a_write_is_kept_from_replacing() {
    let told = |text: &str| {
        let loaded = loaded(&format!("{SMALL}{text}"));
        let plan: serde_json::Value =
            serde_json::from_str(&Plan::new(&loaded).configuration).unwrap();
        (plan["buckets"][0]["store"]["conditional_writes"].clone(), loaded.warnings)
    };
    assert_eq!(told("").0, serde_json::Value::Null, "the filter's own default");
    for word in ["oss", "head", "none"] {
        let (found, warnings) = told(&format!("    conditional_writes: {word}\n"));
        assert_eq!(found, word);
        assert_eq!(warnings.len(), usize::from(word == "none"), "{word}");
        for report in warnings {
            assert_eq!((report.count(Weight::Error), report.count(Weight::Warning)), (0, 1));
            let drawn = report.render(false);
            assert!(drawn.contains("may replace what a client has written"), "{drawn}");
        }
    }
    let refusal = refused(&format!("{SMALL}    conditional_writes: If-None-Match\n"));
    assert!(refusal.contains("`if-none-match` or `oss` or `head` or `none`"), "{refusal}");
}

#[test]
fn callouts_that_may_take_more_than_the_machine_has_are_told() {
    let much = "limits: { object_bytes: 33554431, fetches: 10000 }";
    let warnings = |text: &str| loaded(&format!("{text}\n{SMALL}")).warnings;
    let told = warnings(&format!("path: callout\n{much}"));
    assert_eq!(told.len(), 1);
    let drawn = told[0].render(false);
    assert!(drawn.contains("10000 fetches of 33554431 bytes"), "{drawn}");
    assert_eq!(warnings(&format!("path: streaming\n{much}")), []);
    assert_eq!(warnings("path: callout\nlimits: { fetches: 1 }\nworkers: 1"), []);
}

#[test]
fn keys_come_from_the_file_or_the_environment() {
    let keys = |credentials: &str| {
        let text = format!("{SMALL}    credentials: {credentials}\n");
        let loaded = loaded(&text);
        let bucket = &loaded.deployment.buckets[0];
        let keys = bucket.credentials.keys(&bucket.region);
        keys.map(|keys| (keys.access_key_id, keys.secret_access_key.expose().to_owned()))
    };
    let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    assert_eq!(keys("none"), None);
    assert_eq!(keys("{ inline: { access_key_id: 007, secret_access_key: s } }"), pair("007", "s"));
    let from_environment = pair("key-from-environment", "secret-from-environment");
    assert_eq!(keys("{ environment: }"), from_environment);
    assert_eq!(keys("{ environment: { access_key_id: MY_KEY } }"), from_environment);
}

#[test]
fn every_problem_is_found_and_pointed_at() {
    let text = "\
listen: localhost:8080
lsiten: 127.0.0.1:1
timeouts:
  origin: 10
buckets:
  - name: Example
    endpoint: http://127.0.0.1:9000/path
    rules: rules.json
  - endpoint: http://127.0.0.1:9000
    reads: sigend
    credentials:
      environment:
        secret_access_key: MISSING
    rules: rules.json
";
    let expected = "\
error[wrong-value]: expected an IP address and a port, found `localhost:8080`
 --> deployment.yaml:1:9
  |
1 | listen: localhost:8080
  |         ^^^^^^^^^^^^^^
  |
  = help: for example `127.0.0.1:8080`

error[unknown-field]: `lsiten` is no field of deployment
 --> deployment.yaml:2:1
  |
2 | lsiten: 127.0.0.1:1
  | ^^^^^^
  |
  = help: did you mean `listen`?

error[wrong-value]: expected a duration above 0, and of at most 60m, with its unit, `ms`, `s` or `m`, found `10`
 --> deployment.yaml:4:11
  |
4 |   origin: 10
  |           ^^
  |
  = help: for example `10s`

error[wrong-value]: expected a bucket name: 3 to 63 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends, and no IP address, found `Example`
 --> deployment.yaml:6:11
  |
6 |   - name: Example
  |           ^^^^^^^
  |
  = help: for example `examplebucket`

error[wrong-value]: expected `http://` or `https://`, a host and perhaps a port, without path, found `http://127.0.0.1:9000/path`
 --> deployment.yaml:7:15
  |
7 |     endpoint: http://127.0.0.1:9000/path
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: for example `http://127.0.0.1:9000`

error[missing-field]: bucket has no `name`
 --> deployment.yaml:9:5
  |
9 |   - endpoint: http://127.0.0.1:9000
  |     ^^^^^^^^
  |
  = help: add `name`: bucket name

error[wrong-value]: expected `passthrough` or `signed`, found `sigend`
  --> deployment.yaml:10:12
   |
10 |     reads: sigend
   |            ^^^^^^
   |
   = help: for example `passthrough`

error[unset-variable]: the environment variable `MISSING` is not set
  --> deployment.yaml:13:28
   |
13 |         secret_access_key: MISSING
   |                            ^^^^^^^
   |
   = help: export it before the start

";
    assert_eq!(refused(text), expected);
}

#[test]
fn an_unset_variable_that_is_not_written_is_shown_by_the_word_that_reads_it() {
    let unset = |credentials: &str, place: &str| {
        let text = format!("{SMALL}    credentials:{credentials}\n");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.json"), RULES).unwrap();
        let environment = |name: &str| (name == "MY_KEY").then(|| "key".into());
        let document = Document::new("deployment.yaml", text.as_bytes());
        let refused = parse(document, folder.path(), &environment).map(|_| ()).unwrap_err();
        let shown = rendered(&refused);
        let problems: Vec<_> = shown.split("\n\n").filter(|problem| !problem.is_empty()).collect();
        for problem in &problems {
            assert!(problem.starts_with("error[unset-variable]: the environment "), "{shown}");
            assert!(problem.contains(place), "no {place} in {problem}");
            assert!(problem.contains("| ") && problem.contains("^^^^^^^^^^^\n"), "{problem}");
        }
        problems.len()
    };
    assert_eq!(unset(" { environment: {} }", "--> deployment.yaml:5:20\n"), 2);
    assert_eq!(unset(" { environment: }", "--> deployment.yaml:5:20\n"), 2);
    assert_eq!(unset("\n      environment:", "--> deployment.yaml:6:7\n"), 2);
    assert_eq!(unset("\n      environment: {}", "--> deployment.yaml:6:7\n"), 2);
    let own = "\n      environment:\n        access_key_id: MY_KEY";
    assert_eq!(unset(own, "--> deployment.yaml:6:7\n"), 1);
}

#[test]
fn what_fields_mean_together_is_checked() {
    let bucket = |extra: &str| {
        format!("  - name: abc\n    endpoint: http://a\n    rules: rules.json\n{extra}")
    };
    let cases = [
        (
            format!("listen: 127.0.0.1:1\nadmin: 127.0.0.1:1\nbuckets:\n{}", bucket("")),
            "`admin` and `listen` are both 127.0.0.1:1",
        ),
        (
            format!("health: 127.0.0.1:8090\nadmin: 127.0.0.1:8090\nbuckets:\n{}", bucket("")),
            "`health` and `admin` are both 127.0.0.1:8090",
        ),
        (
            format!("health: 127.0.0.1:8080\nbuckets:\n{}", bucket("")),
            "`health` and `listen` are both 127.0.0.1:8080",
        ),
        (format!("buckets:\n{}{}", bucket(""), bucket("")), "the bucket `abc` is there twice"),
        (
            format!("buckets:\n{}", bucket("    reads: signed\n")),
            "`reads: signed` needs credentials, and `abc` has none",
        ),
        (
            format!("limits: {{ object_bytes: 33554432 }}\nbuckets:\n{}", bucket("")),
            "expected a number from 1 to 33554431, found 33554432",
        ),
        (
            format!("limits: {{ memory_bytes: 1 }}\nbuckets:\n{}", bucket("")),
            "`memory_bytes` (1) cannot hold one object of `object_bytes` (8388608)",
        ),
        (format!("limits: {{ part_bytes: 67108865 }}\nbuckets:\n{}", bucket("")), "bad-limit"),
        (
            format!("limits: {{ part_bytes: 5242879 }}\nbuckets:\n{}", bucket("")),
            "expected at least 5242880 bytes, found 5242879",
        ),
        (
            format!("limits: {{ backfills: 0 }}\nbuckets:\n{}", bucket("")),
            "expected a number from 1 to 1000, found 0",
        ),
        (
            format!("limits: {{ fetches: 0 }}\nbuckets:\n{}", bucket("")),
            "expected a number from 1 to 10000, found 0",
        ),
        ("buckets: []\n".to_owned(), "there is no bucket"),
        ("listen: 127.0.0.1:1\n".to_owned(), "deployment has no `buckets`"),
        ("- a\n".to_owned(), "expected deployment, found a list"),
        (String::new(), "expected deployment, found nothing"),
        ("buckets: [\n".to_owned(), "the text is not YAML: "),
        (format!("buckets:\n{}", bucket("    name: abd\n")), "the text is not YAML: "),
    ];
    for (text, message) in cases {
        let refused = refused(&text);
        assert!(refused.contains(message), "{message} is not in:\n{refused}");
    }
}

#[test]
fn the_servers_of_a_store_go_together() {
    let of = |servers: &str| {
        format!("buckets:\n  - {{ name: abc, endpoint: {servers}, rules: rules.json }}\n")
    };
    for (servers, message) in [
        ("[]", "the list of servers is empty"),
        ("[ 'http://a', 'http://a:80' ]", "the server http://a is there twice"),
        ("[ 'http://a', 'https://b' ]", "http://a and https://b do not go together"),
        ("[ 'http://a', 'b' ]", "expected `http://` or `https://`, a host and perhaps a port"),
    ] {
        let refused = refused(&of(servers));
        assert!(refused.contains(message), "{message} is not in:\n{refused}");
    }
    let plan = Plan::new(&loaded(&of("[ 'http://a', 'http://b:81' ]")));
    let servers = plan.clusters[0].endpoints().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(servers, ["http://a", "http://b:81"]);
    // By the first one's name it is signed for.
    assert!(plan.configuration.contains(r#""authority": "a""#), "{}", plan.configuration);
}

#[test]
fn a_share_is_a_percentage() {
    let of = |share: &str| {
        let tracing = format!("tracing: {{ otlp: 'http://c:4318', sampled: {share} }}\n");
        format!("{tracing}{SMALL}")
    };
    for (share, millionths) in [("1%", 10_000), ("0%", 0), ("0.001%", 10), ("100.0%", 1_000_000)] {
        let tracing = loaded(&of(share)).deployment.tracing.expect("it is written");
        assert_eq!(tracing.sampled.millionths(), millionths, "{share}");
    }
    for share in ["1", "'%'", "101%", "0.0001%", "-1%", "1.%", "one"] {
        let refused = refused(&of(share));
        assert!(refused.contains("expected a percentage of at most 100%"), "{share}: {refused}");
    }
}

#[test]
fn a_rate_limit_service_is_for_streaming() {
    let of = |fields: &str| format!("rate_limit_service: {{ {fields} }}\n{SMALL}");
    let streaming = loaded(&of("endpoint: 'http://r:8081', on_failure: deny"));
    assert!(Plan::new(&streaming).configuration.contains("\"rate_limit_service\": true"));
    assert!(!Plan::new(&loaded(SMALL)).configuration.contains("rate_limit_service"));
    let callout = loaded(&format!("path: callout\n{}", of("endpoint: 'http://r:8081'")));
    let told = format!("{:?}", callout.warnings);
    assert!(told.contains("no gateway asks the rate limit service"), "{told}");
    for (fields, expected) in [
        ("", "`endpoint`"),
        ("endpoint: 'r:8081'", "`http://` or `https://`"),
        ("endpoint: 'http://r:8081', domain: 'a b'", "a name of letters"),
        ("endpoint: 'http://r:8081', on_failure: open", "expected `allow` or `deny`"),
        ("endpoint: 'http://r:8081', timeout: 0s", "found `0s`"),
    ] {
        let refused = refused(&of(fields));
        assert!(refused.contains(expected), "{fields}: {refused}");
    }
}

#[test]
fn an_access_log_has_an_absolute_path_and_says_which_requests() {
    let of = |section: &str| format!("access_log: {section}\n{SMALL}");
    let loaded = loaded(&of("{}"));
    let log = loaded.deployment.access_log.as_ref().expect("it is written");
    assert_eq!(log.path.value.0, Path::new("/dev/stdout"));
    assert_eq!(log.requests, Recorded::Misses);
    assert!(Plan::new(&loaded).configuration.contains(r#""access_log": true"#));
    for (section, line) in [
        ("{ path: access.log }", "expected an absolute path, found `access.log`"),
        ("{ path: /var/log/ }", "expected an absolute path, found `/var/log/`"),
        ("{ requests: hits }", "expected `all` or `misses` or `failures`, found `hits`"),
        ("{ level: info }", "`level` is no field of access_log"),
        ("stdout", "expected access_log"),
    ] {
        let refused = refused(&of(section));
        assert!(refused.contains(line), "{section}: {refused}");
    }
}

#[test]
fn the_filter_itself_judges_the_limits() {
    let name = "abc";
    let bucket =
        format!("buckets:\n  - name: {name}\n    endpoint: http://a\n    rules: rules.json\n");
    for (limits, line) in [
        ("memory_bytes: 1073741824", "expected a number from 1 to 536870912, found 1073741824"),
        ("fetches: 20000", "expected a number from 1 to 10000, found 20000"),
        ("backfills: 1001", "expected a number from 1 to 1000, found 1001"),
        ("object_bytes: 0", "expected a number from 1 to 33554431, found 0"),
    ] {
        let found = refused(&format!("limits: {{ {limits} }}\n{bucket}"));
        assert!(found.contains("[bad-limit]: ") && found.contains(line), "{limits}:\n{found}");
        // At the value, and nowhere else.
        assert!(found.contains("deployment.yaml:1:"), "{limits}:\n{found}");
    }
}

#[test]
fn faults_of_a_deployment_and_of_its_rules_are_told_at_once() {
    let text = "\
timeouts: { origin: 2h }
buckets:
  - { name: abc, endpoint: ftp://a, rules: bad.json }
  - { name: abd, endpoint: http://a, rules: nowhere.json }
  - { name: abe, endpoint: http://a, rules: rules.json }
";
    let refused = refused(text);
    for part in ["found `2h`", "found `ftp://a`", "bad.json:1:1", "nowhere.json: "] {
        assert!(refused.contains(part), "{part} is not in:\n{refused}");
    }
    assert_eq!(refused.matches("error[").count(), 4, "{refused}");
}

#[test]
fn a_server_to_redirect_to_is_where_origins_may_be() {
    let origins = "origins: [\"http://10.0.0.1\", \"https://o.example.com\"]\n";
    let refused = refused(&format!("{origins}{SMALL}"));
    assert!(refused.contains("error[internal-origin]: the server is an address"), "{refused}");
    assert_eq!(refused.matches("internal-origin").count(), 1, "{refused}");
    let allowed = loaded(&format!("allow_internal_origins: true\n{origins}{SMALL}"));
    let reach = |loaded: &Loaded| {
        let origins =
            Plan::new(loaded).clusters.into_iter().filter(|c| c.name.starts_with("origin"));
        origins.map(|cluster| cluster.reach).collect::<Vec<_>>()
    };
    assert!(reach(&allowed).iter().all(|reach| *reach == Reach::Anywhere));
    let outside = loaded(&format!("origins: [\"https://o.example.com\"]\n{SMALL}"));
    assert!(reach(&outside).iter().all(|reach| *reach == Reach::Outside));
    let stores = Plan::new(&outside).clusters.into_iter().filter(|c| c.name.starts_with("store"));
    assert!(stores.into_iter().all(|store| store.reach == Reach::Anywhere));
}

#[test]
fn a_rule_files_problems_are_drawn_in_it() {
    let text = SMALL.replace("rules.json", "bad.json");
    let refused = refused(&text);
    assert!(refused.starts_with("error[syntax]: "), "{refused}");
    assert!(refused.contains("bad.json:1:1"), "{refused}");
}

#[test]
fn a_missing_rule_file_is_pointed_at_where_it_is_named() {
    let refused = refused(&SMALL.replace("rules.json", "nowhere.json"));
    assert!(refused.contains("error[unreadable-rules]: cannot read the rule file "), "{refused}");
    assert!(refused.contains(" --> deployment.yaml:4:12"), "{refused}");
}

#[test]
fn no_problem_shows_a_secret() {
    let cases = [
        "{ inline: { access_key_id: PUBLIC, secret_access_key: hunter2, tokn: hunter2 } }",
        "{ inline: { access_key_id: PUBLIC, secret_acess_key: hunter2 } }",
        "{ inline: hunter2 }",
        "{ inline: [hunter2] }",
        "{ inline: { access_key_id: PUBLIC, secret_access_key: [hunter2] } }",
        "{ inline: { access_key_id: PUBLIC, secret_access_key: hunter2, secret_access_key: x } }",
        "{ inline: { access_key_id: PUBLIC, secret_access_key: hunter2",
        "\n      inline:\n        secret_access_key:\n          hunter2: [",
        "\n      inline:\n        secret_access_key:\n          \"hunter2\n   \t",
    ];
    for credentials in cases {
        let refused = refused(&format!("{SMALL}    credentials: {credentials}\n"));
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let keys = "{ inline: { access_key_id: PUBLIC, secret_access_key: hunter2 } }";
    let loaded = loaded(&format!("{SMALL}    credentials: {keys}\n"));
    let plan = Plan::new(&loaded);
    assert!(!plan.configuration.contains("hunter2"));
    assert!(!format!("{loaded:?} {plan:?}").contains("hunter2"));
}

#[test]
fn every_default_can_be_read() {
    fn all<S: Section>() {
        let nothing = node::Node { kind: node::Kind::Mapping(Vec::new()), span: 0..0 };
        let environment = |_: &str| Some("set".into());
        let mut reading = Reading::new(&environment);
        let read = S::read(&nothing, &mut reading);
        let required =
            S::fields().iter().filter(|field| matches!(field.presence, Presence::Required)).count();
        assert_eq!(reading.problems.len(), required, "{}: {:?}", S::NAME, reading.problems);
        assert_eq!(read.is_some(), required == 0, "{}", S::NAME);
    }
    all::<Deployment>();
    all::<Limits>();
    all::<Timeouts>();
    all::<Bucket>();
    all::<Inline>();
    all::<Environment>();
}

#[test]
fn the_sample_deployment_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/deployment.yaml");
    match load(&path) {
        Ok(loaded) => assert_eq!(loaded.warnings, Vec::<Report>::new()),
        Err(error) => panic!("{}", rendered(&error)),
    }
}

#[test]
fn limits_can_be_lifted_and_are_never_nothing() {
    let configured = |more: &str| -> serde_json::Value {
        let text = format!("{SMALL}    mirror_limits: {more}\nbreaker: none\n");
        serde_json::from_str(&Plan::new(&loaded(&text)).configuration).unwrap()
    };
    let bucket = |more: &str| configured(more)["buckets"][0]["mirror_limits"].clone();
    assert_eq!(bucket("none"), serde_json::Value::Null);
    assert_eq!(
        bucket("{ requests_per_second: none, bits_per_second: none }"),
        serde_json::Value::Null
    );
    let most = i64::MAX;
    for (given, requests, bits) in [
        ("{ requests_per_second: none }".to_owned(), None, Some(2_147_483_648)),
        ("{ bits_per_second: none }".to_owned(), Some(2_000), None),
        (format!("{{ requests_per_second: {most}, bits_per_second: 1 }}"), Some(most), Some(1)),
    ] {
        let limits = bucket(&given);
        assert_eq!(limits["requests_per_second"].as_i64(), requests, "{given}");
        assert_eq!(limits["bits_per_second"].as_i64(), bits, "{given}");
    }
    assert_eq!(configured("none")["breaker"], serde_json::Value::Null);
    for wrong in ["0", "-1", "9223372036854775808", "many"] {
        let text = format!("{SMALL}    mirror_limits: {{ requests_per_second: {wrong} }}\n");
        let document = Document::new("d.yaml".to_owned(), text.as_bytes());
        assert!(parse(document, Path::new(""), &|_| None).is_err(), "{wrong}");
    }
}
