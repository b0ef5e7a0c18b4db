//! Whole directories: what is in them, what is not, and what a second run does.

mod attempts;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::deployment::{Loaded, parse};
use crate::diagnostics::Document;

const ENVIRONMENT: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "PUBLIC-OF-ENVIRONMENT"),
    ("AWS_SECRET_ACCESS_KEY", "secret-of-environment"),
    ("OTHER_KEY", "PUBLIC-OF-OTHER"),
    ("OTHER_SECRET", "secret-of-other"),
];

const RULES: &str = r#"[{
    "RuleNumber": 1,
    "Condition": { "KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404 },
    "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://127.0.0.1:9100/" }
}]"#;

fn environment(name: &str) -> Option<OsString> {
    ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
}

/// A deployment in a directory of its own.
fn loaded(text: &str) -> (tempfile::TempDir, Loaded) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.json"), RULES).unwrap();
    let local = format!("allow_internal_origins: true\n{text}");
    let document = Document::new("deployment.yaml".to_owned(), local.as_bytes());
    let loaded = parse(document, directory.path(), &environment).expect(text);
    (directory, loaded)
}

fn settings() -> Settings {
    Settings {
        directory: PathBuf::from("/etc/gateway"),
        data_path: DataPath::Callout,
        source: "deployment.yaml".to_owned(),
        trusted: PathBuf::from(Settings::TRUSTED),
    }
}

fn written(text: &str) -> Vec<File> {
    let (_directory, loaded) = loaded(text);
    files(&loaded, b"module", &settings()).unwrap()
}

fn text<'f>(files: &'f [File], name: &str) -> &'f str {
    let file = files.iter().find(|file| file.name == name).expect(name);
    std::str::from_utf8(&file.bytes).unwrap()
}

fn yaml(files: &[File], name: &str) -> Value {
    serde_saphyr::from_str(text(files, name)).expect(name)
}

fn cluster(files: &[File], name: &str) -> Value {
    let clusters = yaml(files, CLUSTERS);
    let clusters = clusters["resources"].as_array().unwrap();
    clusters.iter().find(|cluster| cluster["name"] == name).expect(name).clone()
}

/// The filters of a cluster, by name.
fn filter(cluster: &Value, name: &str) -> Option<Value> {
    let options = &cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    let filters = options["http_filters"].as_array()?;
    let name = format!("envoy.filters.http.{name}");
    filters.iter().find(|filter| filter["name"] == name).map(|f| f["typed_config"].clone())
}

const KEYS: &str = "\
buckets:
  - name: inline
    endpoint: http://127.0.0.1:9000
    credentials:
      inline: { access_key_id: PUBLIC-OF-FILE, secret_access_key: 'secret/of=file', session_token: token-of-file }
    rules: rules.json
  - name: usual
    endpoint: http://127.0.0.1:9000
    credentials: { environment: }
    rules: rules.json
  - name: other
    endpoint: http://127.0.0.1:9000
    credentials:
      environment: { access_key_id: OTHER_KEY, secret_access_key: OTHER_SECRET }
    reads: signed
    rules: rules.json
  - name: open
    endpoint: http://127.0.0.1:9000
    rules: rules.json
";

#[test]
fn keys_stand_in_one_private_file_and_nowhere_else() {
    let files = written(KEYS);
    let keys = files.iter().find(|file| file.name == CREDENTIALS).unwrap();
    assert!(keys.private);
    assert_eq!(
        text(&files, CREDENTIALS),
        "[inline]\naws_access_key_id=PUBLIC-OF-FILE\naws_secret_access_key=secret/of=file\n\
         aws_session_token=token-of-file\n\
         [other]\naws_access_key_id=PUBLIC-OF-OTHER\naws_secret_access_key=secret-of-other\n"
    );
    for file in files.iter().filter(|file| file.name != CREDENTIALS) {
        let text = String::from_utf8_lossy(&file.bytes);
        for secret in ["PUBLIC-OF", "secret-of", "secret/of", "token-of"] {
            assert!(!text.contains(secret), "{secret} in {}", file.name);
        }
        assert!(!file.private, "{}", file.name);
    }
}

#[test]
fn an_origin_is_signed_for_by_the_rules_that_say_so_alone() {
    let auth = |secret: &str| {
        format!(
            r#", "MirrorAuth": {{ "AuthType": "S3V4", "Region": "eu-central-1",
            "AccessKeyId": "PUBLIC-OF-RULE", "AccessKeySecret": "{secret}" }} }}"#
        )
    };
    let rules = |number: u32, auth: &str| {
        let rule = RULES.replace("\"RuleNumber\": 1", &format!("\"RuleNumber\": {number}"));
        let rule = rule.replace("\"a/\"", &format!("\"{number}/\""));
        let (start, _) = rule.split_once("9100/\" }").unwrap();
        format!("{}9100/\"{auth} }}", start.trim_start_matches('['))
    };
    let text = format!(
        "[{}, {}, {}, {}]",
        rules(1, " }"),
        rules(2, &auth("secret-of-rule")),
        rules(3, &auth("secret-of-rule")),
        rules(4, &auth("secret-of-another"))
    );
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.json"), text).unwrap();
    let deployment = "allow_internal_origins: true\nbuckets: [{ name: abc, endpoint: \
        \"http://127.0.0.1:9000\", rules: rules.json }]";
    let document = Document::new("deployment.yaml".to_owned(), deployment.as_bytes());
    let loaded = parse(document, directory.path(), &environment).unwrap();
    for data_path in [DataPath::Callout, DataPath::Streaming] {
        let settings = Settings { data_path, ..settings() };
        let files = files(&loaded, b"module", &settings).unwrap();
        for file in files.iter().filter(|file| file.name != CREDENTIALS) {
            let text = String::from_utf8_lossy(&file.bytes);
            for secret in ["PUBLIC-OF", "secret-of", "AccessKey"] {
                assert!(!text.contains(secret), "{secret} in {}", file.name);
            }
        }
        let keys = self::text(&files, CREDENTIALS);
        assert_eq!(keys.matches("[mirror/origin-http-127.0.0.1-9100-").count(), 2, "{keys}");
        assert_eq!(keys.matches("aws_secret_access_key=secret-of-rule\n").count(), 1, "{keys}");
        let clusters = yaml(&files, CLUSTERS);
        let clusters = clusters["resources"].as_array().unwrap();
        let of_origin = clusters.iter().filter(|cluster| {
            cluster["name"].as_str().is_some_and(|name| name.contains("127.0.0.1-9100"))
        });
        let signers: Vec<_> = of_origin
            .map(|cluster| {
                let provider = filter(cluster, "aws_request_signing")?;
                let provider = &provider["credential_provider"]["credentials_file_provider"];
                Some(provider["profile"].as_str()?.to_owned())
            })
            .collect();
        let times = if data_path == DataPath::Callout { 1 } else { 2 };
        assert_eq!(signers.iter().filter(|signer| signer.is_none()).count(), times);
        let mut named: Vec<_> = signers.into_iter().flatten().collect();
        assert_eq!(named.len(), 2 * times);
        named.sort();
        named.dedup();
        assert_eq!(named.len(), 2);
        for profile in named {
            assert!(keys.contains(&format!("[{profile}]\n")), "{profile}");
        }
    }
}

#[test]
fn each_bucket_is_signed_for_with_its_own_keys_only() {
    let files = written(KEYS);
    let provider = |name: &str| {
        let signing = filter(&cluster(&files, name), "aws_request_signing")?;
        Some(signing["credential_provider"].clone())
    };
    for name in ["bucket-inline", "bucket-usual", "bucket-other", "bucket-open", "store-open"] {
        assert_eq!(provider(name), None, "{name}");
    }
    for (name, profile) in [
        ("store-inline", Some("inline")),
        ("store-usual", None),
        ("store-other", Some("other")),
        ("signed-other", Some("other")),
    ] {
        let provider = provider(name).expect(name);
        assert_eq!(provider["custom_credential_provider_chain"], true, "{name}");
        let file = &provider["credentials_file_provider"];
        assert_eq!(file["profile"].as_str(), profile, "{name}");
        assert_eq!(provider["environment_credential_provider"].is_object(), profile.is_none());
    }
}

#[test]
fn a_key_that_would_break_its_file_is_refused() {
    for secret in ["\"a\\nb\"", "\" a\""] {
        let text = format!(
            "buckets: [{{ name: abc, endpoint: \"http://127.0.0.1\", rules: rules.json, credentials: \
             {{ inline: {{ access_key_id: k, secret_access_key: {secret} }} }} }}]"
        );
        let (_directory, loaded) = loaded(&text);
        let error = files(&loaded, b"", &settings()).unwrap_err();
        let expected = CredentialsError { of: "abc".to_owned() };
        assert_eq!(error, FilesError::Credentials(expected));
    }
}

#[test]
fn the_filter_gets_the_plan_to_the_letter() {
    let (_directory, loaded) = loaded(KEYS);
    let files = files(&loaded, b"module", &settings()).unwrap();
    let config = yaml(&files, FILTER)["resources"][0]["typed_config"]["config"].clone();
    let given: Value =
        serde_json::from_str(config["configuration"]["value"].as_str().unwrap()).unwrap();
    let planned: Value = serde_json::from_str(&Plan::new(&loaded).configuration).unwrap();
    assert_eq!(given, planned);
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
}

#[test]
fn every_server_that_is_named_is_there() {
    for text in [KEYS, "buckets: [{ name: abc, endpoint: \"https://x.test\", rules: rules.json }]"]
    {
        let files = written(text);
        let clusters = yaml(&files, CLUSTERS);
        let clusters = clusters["resources"].as_array().unwrap();
        let known = |name: &str| clusters.iter().any(|cluster| cluster["name"] == name);
        let filter = yaml(&files, FILTER);
        let value = &filter["resources"][0]["typed_config"]["config"]["configuration"]["value"];
        let plan: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
        let stores = plan["buckets"].as_array().unwrap().iter().map(|b| &b["store"]["cluster"]);
        let mut named: Vec<_> =
            stores.chain(plan["origins"].as_object().unwrap().values()).collect();
        let routes = yaml(&files, ROUTES);
        let hosts = routes["resources"][0]["virtual_hosts"].as_array().unwrap().clone();
        let routes: Vec<_> =
            hosts.iter().flat_map(|host| host["routes"].as_array().unwrap()).collect();
        named.extend(routes.iter().map(|route| &route["route"]["cluster"]));
        for name in named {
            assert!(known(name.as_str().unwrap()), "{name}");
        }
    }
}

#[test]
fn a_changed_module_changes_the_filter() {
    let (_directory, loaded) = loaded(KEYS);
    let [one, other] = [b"one".as_slice(), b"other"]
        .map(|module| yaml(&files(&loaded, module, &settings()).unwrap(), FILTER));
    assert_ne!(one, other);
}

#[test]
fn encrypted_servers_must_prove_their_name() {
    let files =
        written("buckets: [{ name: abc, endpoint: \"https://x.test\", rules: rules.json }]");
    for name in ["bucket-abc", "store-abc"] {
        let context = cluster(&files, name)["transport_socket"]["typed_config"].clone();
        assert_eq!(context["sni"], "x.test");
        let validation = &context["common_tls_context"]["validation_context"];
        assert_eq!(validation["trusted_ca"]["filename"], Settings::TRUSTED);
        assert_eq!(validation["match_typed_subject_alt_names"][0]["matcher"]["exact"], "x.test");
    }
    assert!(cluster(&files, "origin-http-127.0.0.1-9100").get("transport_socket").is_none());
}

const NOTHING_RUNS: Running = Running { admin: None, request: std::time::Duration::ZERO };

#[test]
fn a_second_run_touches_only_what_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let files = written(KEYS);
    let first = install(directory.path(), &files, NOTHING_RUNS).unwrap();
    assert!(first.iter().all(|(_, change)| *change == Change::Created), "{first:?}");
    let second = install(directory.path(), &files, NOTHING_RUNS).unwrap();
    assert!(second.iter().all(|(_, change)| *change == Change::Unchanged), "{second:?}");
    let other = written(&format!("limits: {{ fetches: 7 }}\n{KEYS}"));
    let third = install(directory.path(), &other, NOTHING_RUNS).unwrap();
    let changed: Vec<_> =
        third.into_iter().filter(|(_, change)| *change != Change::Unchanged).collect();
    assert_eq!(changed, [(FILTER, Change::Replaced)]);
}

#[test]
fn keys_that_nothing_needs_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    install(directory.path(), &written(KEYS), NOTHING_RUNS).unwrap();
    let open = "buckets: [{ name: open, endpoint: \"http://127.0.0.1:9000\", rules: rules.json }]";
    let changes = install(directory.path(), &written(open), NOTHING_RUNS).unwrap();
    assert!(changes.contains(&(CREDENTIALS, Change::Removed)), "{changes:?}");
    assert!(!directory.path().join(CREDENTIALS).exists());
}

#[test]
fn keys_are_closed_to_others_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let files = written(KEYS);
    let path = directory.path().join(CREDENTIALS);
    fs::write(&path, text(&files, CREDENTIALS)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let changes = install(directory.path(), &files, NOTHING_RUNS).unwrap();
    assert!(changes.contains(&(CREDENTIALS, Change::Replaced)), "{changes:?}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// The kept examples, and that they are what would be written now.
#[test]
fn the_generated_examples_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/generated");
    let mut names: Vec<_> =
        fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["anonymous", "callout", "redirects", "signed"]);
    for name in names {
        let directory = root.join(&name);
        let text = fs::read(directory.join("deployment.yaml")).unwrap();
        let document = Document::new("deployment.yaml".to_owned(), &text);
        let loaded = parse(document, &directory, &environment).unwrap();
        let data_path = Plan::new(&loaded).path;
        let directory_of_envoy = Path::new("envoy/generated").join(&name);
        let settings = Settings { directory: directory_of_envoy, data_path, ..settings() };
        // The module is another with each compiler, so it is left out.
        for file in files(&loaded, b"", &settings).unwrap() {
            if [MODULE, CREDENTIALS].contains(&file.name) {
                continue;
            }
            let path = directory.join(file.name);
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &file.bytes).unwrap();
            }
            let kept = fs::read(&path).unwrap_or_default();
            assert!(
                kept == file.bytes,
                "{} is stale; renew it with: UPDATE=1 cargo test -p b2o",
                path.display()
            );
        }
    }
}

/// The files for streaming, by rules.
fn streamed(rules: &str, more: &str) -> Vec<File> {
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
fn choice(files: &[File], name: &str) -> Value {
    let routes = yaml(files, ROUTES);
    let choices = routes["resources"][0]["cluster_specifier_plugins"].as_array().unwrap().clone();
    let named = choices.into_iter().find(|choice| choice["extension"]["name"] == name);
    named.expect(name)["extension"]["typed_config"]["cluster_matcher"].clone()
}

/// A virtual host.
fn virtual_host(files: &[File], name: &str) -> Option<Value> {
    let routes = yaml(files, ROUTES);
    let hosts = routes["resources"][0]["virtual_hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["name"] == name).cloned()
}

/// What becomes of a request for which a bucket has no object.
#[derive(Debug, Eq, PartialEq)]
enum Miss {
    /// The bucket's answer stands.
    Stands,
    /// It is routed anew.
    Anew,
    /// The router tries again.
    TriedAgain,
}

/// The routes by path, and of each where it goes first and what then.
fn ways(files: &[File]) -> Vec<(Value, String, Miss)> {
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
fn first(choice: &Value) -> String {
    let otherwise = &choice["on_no_match"];
    let first = match otherwise["matcher"].is_null() {
        true => otherwise,
        false => &otherwise["matcher"]["on_no_match"],
    };
    first["action"]["typed_config"]["cluster"].as_str().unwrap().to_owned()
}

/// Where misses go, by path and in order.
fn origins(files: &[File]) -> Vec<String> {
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
fn attempt(rules: &str, reads: &str) -> Result<Vec<File>, FilesError> {
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
