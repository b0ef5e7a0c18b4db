//! What `b2o envoy` writes, in real Envoy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use b2o::deployment::{self, Loaded};
use b2o::diagnostics::Document;
use b2o::envoy::{BOOTSTRAP, DataPath, Running, Settings, files, install};
use tempfile::TempDir;

use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::until;

/// A deployment's directory, and an Envoy that runs from it.
struct Generated {
    envoy: Envoy,
    directory: PathBuf,
}

impl Generated {
    fn start(loaded: &Loaded) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Envoy");
        let directory = folder.path().join("generated");
        write(loaded, &directory);
        let bootstrap = fs::read_to_string(directory.join(BOOTSTRAP)).expect("a bootstrap");
        Self { envoy: Envoy::start(&bootstrap, "yaml", folder), directory }
    }

    /// What Envoy has refused of the files, by its counters.
    fn refused(&self) -> Vec<String> {
        let stats = self.envoy.admin("/stats?filter=(rejected|update_failure|config_fail)");
        let counted = stats.lines().filter(|line| !line.ends_with(": 0"));
        counted.map(str::to_owned).collect()
    }
}

/// Writes the files of a deployment.
fn write(loaded: &Loaded, directory: &Path) {
    let settings = Settings {
        directory: directory.to_owned(),
        data_path: DataPath::Callout,
        source: "deployment.yaml".to_owned(),
        trusted: PathBuf::from(Settings::TRUSTED),
    };
    let files = files(loaded, b2o::FILTER_WASM, &settings).expect("a deployment Envoy can run");
    let request = loaded.deployment.timeouts.origin;
    install(directory, &files, Running { admin: None, request }).expect("a folder of our own");
}

/// Reads a deployment on free ports.
fn load(text: &str, directory: &Path) -> Loaded {
    let text: String = text
        .lines()
        .filter(|line| {
            !["listen:", "admin:", "allow_internal_origins:"]
                .iter()
                .any(|field| line.starts_with(field))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let ours = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nallow_internal_origins: true\n";
    let text = format!("{ours}{text}");
    let document = Document::new("deployment.yaml".to_owned(), text.as_bytes());
    let environment = |name: &str| name.starts_with("AWS_").then(|| "of-the-environment".into());
    deployment::parse(document, directory, &environment).expect("a right deployment")
}

#[test]
fn envoy_takes_every_generated_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/generated");
    for name in ["anonymous", "redirects", "signed"] {
        let directory = root.join(name);
        let text = fs::read_to_string(directory.join("deployment.yaml")).expect(name);
        let running = Generated::start(&load(&text, &directory));
        assert_eq!(running.refused(), Vec::<String>::new(), "{name}");
        let updates = running.envoy.admin("/stats?filter=(cds|rds.*)[.]update_success");
        assert!(updates.lines().count() >= 2 && !updates.contains(": 0"), "{name}: {updates}");
    }
}

/// One bucket whose rules are to change.
struct Changing {
    folder: TempDir,
    store: Store,
    origins: [Server; 2],
}

impl Changing {
    fn new() -> Self {
        let origin = |text: &'static str| Server::start(move |_| Reply::new(200, &[], text));
        Self {
            folder: tempfile::tempdir().expect("a folder for the rules"),
            store: Store::files(&["examplebucket"]),
            origins: [origin("first"), origin("second")],
        }
    }

    /// The deployment, mirroring `a/` from the first origin and `b/` from one of them.
    fn loaded(&self, of_b: usize) -> Loaded {
        let rule = |number: usize, prefix: &str, origin: usize| {
            serde_json::json!({
                "RuleNumber": number,
                "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
                "Redirect": {
                    "RedirectType": "Mirror",
                    "MirrorURL": format!("http://{}/", self.origins[origin].address),
                },
            })
        };
        let rules = serde_json::json!([rule(1, "a/", 0), rule(2, "b/", of_b)]).to_string();
        fs::write(self.folder.path().join("rules.json"), rules).expect("a folder of our own");
        let text = format!(
            "buckets: [{{ name: examplebucket, endpoint: \"http://{}\", rules: rules.json }}]",
            self.store.address()
        );
        load(&text, self.folder.path())
    }
}

/// Ends the clients, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn changed_rules_are_taken_by_a_running_envoy_and_no_request_fails() {
    let changing = Changing::new();
    let running = Generated::start(&changing.loaded(0));
    let gateway = running.envoy.address();
    let body = |path: String| {
        let answer = get(gateway, &path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        String::from_utf8(answer.body).expect("text")
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopped = Stop(&stop);
        // Misses and hits go on, whatever the rules.
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let (stop, body) = (&stop, &body);
                scope.spawn(move || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        assert_eq!(body(format!("/examplebucket/a/{client}-{count}")), "first");
                        assert_eq!(body("/examplebucket/a/once".to_owned()), "first");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for change in 1..=10 {
            write(&changing.loaded(change % 2), &running.directory);
            let expected = ["first", "second"][change % 2];
            let mut asked = 0;
            until("the changed rules", || {
                asked += 1;
                let found = body(format!("/examplebucket/b/{change}-{asked}"));
                (found == expected).then_some(())
            });
        }
        drop(stopped);
        for client in clients {
            assert!(client.join().expect("no request fails") > 0);
        }
    });
    assert_eq!(running.refused(), Vec::<String>::new());
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
}

#[test]
fn keys_sign_what_is_written_and_envoy_shows_them_nowhere() {
    use crate::support::store::{Files, Keys};
    let keys = Keys { access: "EXAMPLEKEY".to_owned(), secret: "so/me+secret=".to_owned() };
    let store = Files::start(&["examplebucket"], Some(&keys));
    let origin = Server::start(|_| Reply::new(200, &[], "mirrored"));
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let rules = serde_json::json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("http://{}/", origin.address) },
    }]);
    fs::write(folder.path().join("rules.json"), rules.to_string()).expect("a folder of our own");
    let text = format!(
        "buckets:\n- name: examplebucket\n  endpoint: http://{}\n  rules: rules.json\n  \
         reads: signed\n  credentials: {{ inline: {{ access_key_id: {}, secret_access_key: {} }} }}",
        store.address(),
        keys.access,
        keys.secret
    );
    let running = Generated::start(&load(&text, folder.path()));
    let gateway = running.envoy.address();
    // The first comes from the origin; once it is stored, the origin is not asked again.
    until("the object in the bucket", || {
        let answer = get(gateway, "/examplebucket/key");
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"mirrored".as_slice()));
        answer.header("etag").map(|_| ())
    });
    assert_eq!(get(gateway, "/examplebucket/key").status, 200);
    let shown = running.envoy.admin("/config_dump") + &running.envoy.log();
    assert!(!shown.contains(&keys.secret), "Envoy shows a secret");
    assert!(
        fs::read_to_string(running.directory.join("filter.yaml")).is_ok_and(|filter| {
            !filter.contains(&keys.secret) && !filter.contains(&keys.access)
        })
    );
}
