//! An Envoy that runs from a directory of `b2o envoy`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use b2o::deployment::{self, Loaded, Plan};
use b2o::diagnostics::Document;
use b2o::envoy::{BOOTSTRAP, Form, Running, Settings, files, install};

use super::envoy::{Envoy, version};

/// A deployment's directory, and an Envoy that runs from it, by the path of the deployment.
pub(crate) struct Generated {
    pub(crate) envoy: Envoy,
    pub(crate) directory: PathBuf,
    form: Form,
    trusted: PathBuf,
}

impl Generated {
    pub(crate) fn start(loaded: &Loaded) -> Self {
        Self::start_trusting(loaded, Path::new(Settings::TRUSTED))
    }

    /// The same with the certificates that HTTPS servers are trusted by.
    pub(crate) fn start_trusting(loaded: &Loaded, trusted: &Path) -> Self {
        let started = Self::launch(&version(), 1, Form::Envoy, loaded, trusted);
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same with so many workers.
    pub(crate) fn start_workers(loaded: &Loaded, workers: u32) -> Self {
        let trusted = Path::new(Settings::TRUSTED);
        let started = Self::launch(&version(), workers, Form::Envoy, loaded, trusted);
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Any version, from the files that are for it or for another; the error, with Envoy's log, where
    /// it does not start.
    pub(crate) fn start_on(version: &str, form: Form, loaded: &Loaded) -> Result<Self, String> {
        Self::launch(version, 1, form, loaded, Path::new(Settings::TRUSTED))
    }

    fn launch(
        version: &str,
        workers: u32,
        form: Form,
        loaded: &Loaded,
        trusted: &Path,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder for Envoy");
        let directory = folder.path().join("generated");
        write(loaded, &directory, form, trusted, None);
        let bootstrap = fs::read_to_string(directory.join(BOOTSTRAP)).expect("a bootstrap");
        let envoy = Envoy::start_workers(version, workers, &bootstrap, "yaml", folder)?;
        Ok(Self { envoy, directory, form, trusted: trusted.to_owned() })
    }

    /// Writes the files again, as a second run of the command does.
    pub(crate) fn change(&self, loaded: &Loaded) {
        let admin = Some(self.envoy.admin_address());
        write(loaded, &self.directory, self.form, &self.trusted, admin);
    }

    /// What Envoy has refused of the files, by its counters.
    pub(crate) fn refused(&self) -> Vec<String> {
        let stats = self.envoy.admin("/stats?filter=(rejected|update_failure|config_fail)");
        let counted = stats.lines().filter(|line| !line.ends_with(": 0"));
        counted.map(str::to_owned).collect()
    }

    /// One of Envoy's counters.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let stats = self.envoy.admin(&format!("/stats?filter=^{name}$"));
        let (_, count) = stats.trim().split_once(": ").unwrap_or_else(|| panic!("no {name}"));
        count.parse().unwrap_or_else(|_| panic!("{name} is {count}"))
    }
}

/// Writes the files of a deployment.
fn write(loaded: &Loaded, directory: &Path, form: Form, trusted: &Path, admin: Option<SocketAddr>) {
    let data_path = Plan::new(loaded).path;
    let settings = Settings {
        directory: directory.to_owned(),
        data_path,
        form,
        source: "deployment.yaml".to_owned(),
        trusted: trusted.to_owned(),
    };
    let files = files(loaded, b2o::FILTER_WASM, &settings).expect("a deployment Envoy can run");
    let request = loaded.deployment.timeouts.origin;
    install(directory, &files, Running { admin, request }).expect("a folder of our own");
}

/// Reads a deployment on free ports.
pub(crate) fn load(text: &str, directory: &Path) -> Loaded {
    let text: String = text
        .lines()
        .filter(|line| {
            let ours = ["listen:", "admin:", "allow_internal_origins:"];
            !ours.iter().any(|field| line.starts_with(field))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let ours = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nallow_internal_origins: true\n";
    let text = format!("{ours}{text}");
    let document = Document::new("deployment.yaml".to_owned(), text.as_bytes());
    let environment = |name: &str| name.starts_with("AWS_").then(|| "of-the-environment".into());
    deployment::parse(document, directory, &environment).expect("a right deployment")
}

/// One bucket at a store, all of it mirrored from one origin; `more` are fields of the bucket.
pub(crate) fn mirrored(store: SocketAddr, origin: SocketAddr, more: &str, folder: &Path) -> Loaded {
    mirrored_by("", store, origin, more, folder)
}

/// The same with fields of the deployment before the bucket.
pub(crate) fn mirrored_by(
    fields: &str,
    store: SocketAddr,
    origin: SocketAddr,
    more: &str,
    folder: &Path,
) -> Loaded {
    let rules = serde_json::json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("http://{origin}/") },
    }]);
    fs::write(folder.join("rules.json"), rules.to_string()).expect("a folder of our own");
    let text = format!(
        "{fields}buckets: [{{ name: examplebucket, endpoint: \"http://{store}\", rules: rules.json{more} }}]"
    );
    load(&text, folder)
}
