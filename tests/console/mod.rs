//! The console in Chromium, beside gateways that obey.

/// Every page, by axe-core, in both themes and two widths; and pictures of them.
mod looks;
/// What a page says of a gateway's work, and the truth.
mod numbers;
/// The procedure of OSS's documents, clicked through.
mod procedure;
/// Every verb of the table, by the keyboard too.
mod verbs;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use b2o::admin::Keeper;
use b2o::console::{Accounts, Console, Settings, Source};
use b2o::envoy::Target;
use tempfile::TempDir;

use crate::support::gateway::runtime;

/// A console over a folder with a deployment; nobody has to sign in.
struct Desk {
    console: Option<Console>,
    folder: TempDir,
}

impl Desk {
    fn start(deployment: &str, envoy: Option<Target>, folder: TempDir) -> Self {
        let file = folder.path().join("deployment.yaml");
        fs::write(&file, deployment).expect("a folder of our own");
        let settings = Settings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            accounts: Accounts::default(),
            keeper: Keeper { deployment: file, envoy },
            figures: Source::Nowhere,
            recent: None,
            line: Box::new(|_| {}),
        };
        let console = runtime().block_on(Console::start(settings)).expect("a free port");
        Self { console: Some(console), folder }
    }

    /// One of the bucket `examplebucket` with these rules.
    fn with(rules: &serde_json::Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the rules");
        let set = serde_json::json!({ "RoutingRules": rules });
        fs::write(folder.path().join("rules.json"), set.to_string()).expect("a folder of our own");
        let deployment = "buckets:\n- name: examplebucket\n  endpoint: https://s3.example.com\n  rules: rules.json\n";
        Self::start(deployment, None, folder)
    }

    fn url(&self, path: &str) -> String {
        let address = self
            .console
            .as_ref()
            .map_or_else(|| unreachable!("it runs until it is dropped"), Console::address);
        format!("http://{address}{path}")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The prefixes of the rules, in their order.
    fn prefixes(&self) -> Vec<String> {
        let text = fs::read(self.path("rules.json")).expect("a rule file");
        let set: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let rules = set["RoutingRules"].as_array().expect("rules").iter();
        rules
            .map(|rule| {
                rule["Condition"]["KeyPrefixEquals"].as_str().unwrap_or_default().to_owned()
            })
            .collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Dropped on the runtime it was started on.
        let _runtime = runtime().enter();
        drop(self.console.take());
    }
}

/// A rule that mirrors keys with a prefix.
fn mirror(number: u64, prefix: &str) -> serde_json::Value {
    serde_json::json!({ "RuleNumber": number,
        "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://origin.example.com/" } })
}

/// An address that was free a moment ago.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it listens")
}
