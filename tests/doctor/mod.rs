//! `b2o doctor` before real stores, and before servers that misbehave: each trouble is found, and
//! nothing where there is none.

mod origins;
mod stores;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use b2o::deployment;
use b2o::diagnostics::Weight;
use b2o::doctor::{Diagnosis, Options, Stop, examine};
use tempfile::TempDir;

use crate::support::gateway::runtime;
use crate::support::server::{Reply, Server};
use crate::support::store::{Keys, error};
use crate::support::wire::Request;

/// One bucket, its store and its origin, as the doctor is told of them.
pub(crate) struct Case {
    folder: TempDir,
    endpoint: String,
    origin: String,
    keys: Option<Keys>,
    /// More lines of the bucket.
    pub(crate) bucket: &'static str,
    /// More lines of the deployment.
    pub(crate) deployment: String,
    /// More elements of the rule.
    pub(crate) rule: &'static str,
    pub(crate) options: Options,
}

impl Case {
    pub(crate) fn new(endpoint: impl Into<String>, origin: impl Into<String>) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for a deployment"),
            endpoint: endpoint.into(),
            origin: origin.into(),
            keys: Some(keys()),
            bucket: "",
            deployment: "allow_internal_origins: true".to_owned(),
            rule: "",
            options: Options {
                keys: Vec::new(),
                is_read_only: false,
                timeout: Duration::from_secs(5),
                trusted: None,
            },
        }
    }

    pub(crate) fn keys(mut self, access: &str, secret: &str) -> Self {
        self.keys = Some(Keys { access: access.to_owned(), secret: secret.to_owned() });
        self
    }

    pub(crate) fn examine(&self) -> Diagnosis {
        self.examine_stopping(&Stop::default(), || false)
    }

    /// The same, stopped as soon as something is so.
    pub(crate) fn examine_stopping(&self, stop: &Stop, is_so: impl Fn() -> bool) -> Diagnosis {
        let Self { folder, endpoint, origin, bucket, deployment, rule, .. } = self;
        let rules = format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
              "Redirect": {{"RedirectType": "Mirror", "MirrorAllowHeadObject": true,
                "MirrorURL": "{origin}/"{rule}}}}}]"#
        );
        let credentials = match &self.keys {
            None => "none".to_owned(),
            Some(Keys { access, secret }) => {
                format!("{{ inline: {{ access_key_id: {access}, secret_access_key: {secret} }} }}")
            }
        };
        let text = format!(
            "listen: 127.0.0.1:0\n{deployment}\nbuckets:\n  - name: examplebucket\n    \
             endpoint: {endpoint}\n    rules: rules.json\n    credentials: {credentials}\n    {bucket}\n"
        );
        let file: PathBuf = folder.path().join("deployment.yaml");
        std::fs::write(folder.path().join("rules.json"), rules).expect("a file of our own");
        std::fs::write(&file, text).expect("a file of our own");
        let loaded = deployment::load(&file).unwrap_or_else(|error| panic!("{error}"));
        let examined = async {
            let mut examined = std::pin::pin!(examine(&loaded, &self.options, stop));
            loop {
                // The pause between two looks.
                let pause = tokio::time::sleep(Duration::from_millis(1));
                tokio::select! {
                    examined = &mut examined => break examined,
                    () = pause => if is_so() { stop.stop() },
                }
            }
        };
        runtime().block_on(examined).expect("servers are asked")
    }
}

/// The codes of what was found, as `check` prints them, the worst of each first.
pub(crate) fn codes(diagnosis: &Diagnosis) -> Vec<String> {
    let problems = diagnosis.reports.iter().flat_map(|report| &report.problems);
    let named = |weight: Weight| match weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
        Weight::Info => "info",
    };
    problems.map(|problem| format!("{} {}", named(problem.weight), problem.code)).collect()
}

/// All that would be printed.
pub(crate) fn printed(diagnosis: &Diagnosis) -> String {
    diagnosis.reports.iter().map(|report| report.render(false)).collect()
}

pub(crate) fn keys() -> Keys {
    Keys { access: "EXAMPLEKEY".to_owned(), secret: "examplesecret".to_owned() }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// An origin that has one object, `there`.
pub(crate) fn origin() -> Server {
    Server::start(sound_origin)
}

pub(crate) fn sound_origin(request: &Request) -> Reply {
    match (request.path(), request.method.as_str()) {
        (b"/there", "HEAD") => Reply::object(request, &[("etag", "\"e\"")], b"0123456789").head(),
        (b"/there", _) => Reply::object(request, &[("etag", "\"e\"")], b"0123456789"),
        (_, method) => error(404, "NoSuchKey", method),
    }
}
