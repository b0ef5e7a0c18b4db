//! Whole directories: what is in them, what is not, and what a second run does.

mod streaming;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::certificate::Pair;
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
        form: Form::Envoy,
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
fn how_clients_connect_stands_in_the_bootstrap() {
    let bucket = "buckets: [{ name: bucket0, endpoint: 'http://s', rules: rules.json }]\n";
    let plain = yaml(&written(bucket), BOOTSTRAP);
    let listener = |bootstrap: &Value| bootstrap["static_resources"]["listeners"][0].clone();
    let chain = &listener(&plain)["filter_chains"][0];
    assert_eq!(chain["transport_socket"], Value::Null);
    assert_eq!(chain["filters"][0]["typed_config"]["use_remote_address"], Value::Null);
    assert_eq!(listener(&plain)["listener_filters"], Value::Null);

    let (_directory, mut loaded) =
        loaded(&format!("proxy_protocol: true\ntrusted_hops: 2\nconnections: 7\n{bucket}"));
    let pair = |key: &str| Pair { certificate: "/tls/tls.crt".into(), key: key.into() };
    for (key, watched) in [("/tls/tls.key", json!("/tls")), ("/other/tls.key", Value::Null)] {
        loaded.tls = Some(pair(key));
        let files = files(&loaded, b"module", &settings()).unwrap();
        let bootstrap = yaml(&files, BOOTSTRAP);
        let chain = &listener(&bootstrap)["filter_chains"][0];
        let manager = &chain["filters"][0]["typed_config"];
        assert_eq!(manager["use_remote_address"], true);
        assert_eq!(manager["xff_num_trusted_hops"], 2);
        let name = &listener(&bootstrap)["listener_filters"][0]["name"];
        assert_eq!(*name, "envoy.filters.listener.proxy_protocol");
        let monitor = &bootstrap["overload_manager"]["resource_monitors"][0]["typed_config"];
        assert_eq!(monitor["max_active_downstream_connections"], 7);
        let tls = &chain["transport_socket"]["typed_config"]["common_tls_context"];
        assert_eq!(tls["alpn_protocols"], json!(["h2", "http/1.1"]));
        // By a watched resource: what is in the bootstrap is read once.
        let source = &tls["tls_certificate_sds_secret_configs"][0]["sds_config"];
        assert_eq!(source["path_config_source"]["path"], "/etc/gateway/certificate.yaml");
        let secret = &yaml(&files, CERTIFICATE)["resources"][0]["tls_certificate"];
        assert_eq!(secret["private_key"]["filename"], key);
        assert_eq!(secret["watched_directory"]["path"], watched);
    }
}

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
        assert_eq!(signers.iter().filter(|signer| signer.is_none()).count(), 1);
        let mut named: Vec<_> = signers.into_iter().flatten().collect();
        assert_eq!(named.len(), 2);
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
    let plan = Plan::by(&loaded, DataPath::Callout);
    let planned: Value = serde_json::from_str(&plan.configuration).unwrap();
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
