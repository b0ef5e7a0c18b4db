//! The API for rules: what it keeps is what its clients said, and what gateways do.

/// Real clients, each with its own signatures.
mod clients;
/// Rules that are obeyed as soon as they are put.
mod live;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use b2o::admin::{Admin, Keeper, Keys, Settings};
use b2o::envoy::Target;
use b2o::gateway::Secret;
use tempfile::TempDir;

use crate::support::gateway::runtime;

/// The keys of an API that has some.
const ACCESS: &str = "AKEXAMPLE";
const SECRET: &str = "SKEXAMPLE";

/// Below this domain, hosts name buckets.
const DOMAIN: &str = "oss.example.com";

/// A running API over a folder with a deployment.
struct Api {
    admin: Option<Admin>,
    folder: TempDir,
}

impl Api {
    /// Starts one for a deployment, whose rule files there must be.
    fn start(deployment: &str, keys: bool, envoy: Option<Target>, folder: TempDir) -> Self {
        let file = folder.path().join("deployment.yaml");
        fs::write(&file, deployment).expect("a folder of our own");
        let keys = keys.then(|| Keys::new(ACCESS.to_owned(), Secret::new(SECRET.to_owned())));
        let settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            keys,
            domain: Some(DOMAIN.to_owned()),
            keeper: Keeper { deployment: file, envoy },
            line: Box::new(|_| {}),
        };
        let admin = runtime().block_on(Admin::start(settings)).expect("a free port");
        Self { admin: Some(admin), folder }
    }

    /// One for the bucket `examplebucket`, with a rule file of either form.
    fn of_one_bucket(rules: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the rules");
        let text = match rules.rsplit_once('.') {
            Some((_, "xml")) => {
                "<WebsiteConfiguration><RoutingRules></RoutingRules></WebsiteConfiguration>"
            }
            Some(_) | None => "[]",
        };
        fs::write(folder.path().join(rules), text).expect("a folder of our own");
        let deployment = format!(
            "domain: {DOMAIN}\nbuckets:\n- name: examplebucket\n  endpoint: http://127.0.0.1:9\n  \
             region: eu-central-1\n  rules: {rules}\n"
        );
        Self::start(&deployment, true, None, folder)
    }

    fn address(&self) -> SocketAddr {
        self.admin
            .as_ref()
            .map_or_else(|| unreachable!("it runs until it is dropped"), Admin::address)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // Dropped on the runtime it was started on.
        let _runtime = runtime().enter();
        drop(self.admin.take());
    }
}
