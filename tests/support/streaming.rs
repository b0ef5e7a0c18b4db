//! The streaming path in Envoy, from the files that `b2o envoy --path streaming` writes.

use std::fs;
use std::path::{Path, PathBuf};

use b2o::deployment::{self, Loaded};
use b2o::diagnostics::Document;
use b2o::envoy::{BOOTSTRAP, DataPath, Running, Settings, files, install};
use serde_json::{Value, json};

use super::gateway::Setup;
use super::wait::DEADLINE;

/// Writes the deployment and its files into `folder`; the bootstrap, with every port left to the
/// system.
pub(crate) fn bootstrap(setup: &Setup, folder: &Path) -> String {
    let loaded = load(setup, folder);
    let directory = folder.join("generated");
    let settings = Settings {
        directory: directory.clone(),
        data_path: DataPath::Streaming,
        form: b2o::envoy::Form::Envoy,
        source: "deployment.yaml".to_owned(),
        trusted: PathBuf::from(Settings::TRUSTED),
    };
    let files = files(&loaded, b2o::FILTER_WASM, &settings).expect("a deployment Envoy can run");
    let running = Running { admin: None, request: loaded.deployment.timeouts.origin };
    install(&directory, &files, running).expect("a folder of our own");
    let bootstrap = fs::read_to_string(directory.join(BOOTSTRAP)).expect("a bootstrap");
    // Who is to wait longer than a test does has nothing else to end it.
    if loaded.deployment.timeouts.origin > DEADLINE {
        return bootstrap;
    }
    // A minute of silence is right for users, and long for a test.
    let (theirs, ours) = ("stream_idle_timeout: 60s", "stream_idle_timeout: 8s");
    assert!(bootstrap.contains(theirs), "no {theirs} in {bootstrap}");
    bootstrap.replace(theirs, ours)
}

/// The deployment file, whose rule files are written into `folder`.
pub(crate) fn document(setup: &Setup, folder: &Path) -> Value {
    let buckets: Vec<Value> = setup
        .buckets
        .iter()
        .map(|bucket| {
            let rules = format!("{}.json", bucket.name);
            fs::write(folder.join(&rules), bucket.rules.to_string()).expect("a file of our own");
            let credentials = setup.keys.as_ref().map(|keys| {
                json!({ "inline": {
                    "access_key_id": keys.access, "secret_access_key": keys.secret,
                } })
            });
            let mut section = json!({
                "name": bucket.name,
                "endpoint": format!("http://{}", bucket.store),
                "rules": rules,
            });
            if let Some(credentials) = credentials {
                section["credentials"] = credentials;
            }
            if let Some(word) = setup.conditional_writes {
                section["conditional_writes"] = word.into();
            }
            if setup.is_unlimited {
                section["mirror_limits"] = "none".into();
            }
            if setup.signs_reads {
                section["reads"] = "signed".into();
            }
            // As in the configurations of the other hosts, which say nothing of it.
            section["tombstones"] = "none".into();
            section
        })
        .collect();
    let mut document = json!({
        "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "buckets": buckets,
        "allow_internal_origins": true,
        "origins": setup.origins.iter().map(|origin| format!("http://{origin}")).collect::<Vec<_>>(),
    });
    if setup.is_unlimited {
        document["breaker"] = "none".into();
    }
    if let Some(domain) = &setup.domain {
        document["domain"] = domain.as_str().into();
    }
    if let Some(limits) = &setup.limits {
        document["limits"] = limits.clone();
    }
    let timeouts = setup.timeouts();
    document["timeouts"] = json!({});
    for name in ["origin", "store", "unconfirmed_upload", "get_after_head", "coalesce"] {
        if let Some(time) = timeouts[format!("{name}_ms")].as_u64() {
            document["timeouts"][name] = format!("{time}ms").into();
        }
    }
    document
}

fn load(setup: &Setup, folder: &Path) -> Loaded {
    let document = document(setup, folder);
    let document = Document::new("deployment.json".to_owned(), document.to_string().as_bytes());
    deployment::parse(document, folder, &|_: &str| None).expect("a right deployment")
}
