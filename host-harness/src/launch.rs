//! From a deployment to a running gateway.
//!
//! Owns what ties the two together: the compiled filter, the settings, and the lines that a gateway
//! prints about requests.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::access_log;
use crate::deployment::{Loaded, Plan, Recorded};
use crate::gateway::{
    Cluster, Credentials, DataPath, Gateway, Listener, Routes, Settings, StartError, Timeouts,
    without_signature,
};
use crate::host::{Access, Identity, Journal, Level, LogRecord, Program, ProgramError, Touch};
use crate::server;
use crate::sink::Sink;

/// Why a gateway did not start, or did not take new rules.
#[derive(Debug)]
pub enum LaunchError {
    /// The access log cannot be written.
    AccessLog {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// More has changed than what a running gateway can take.
    NeedsRestart,
    /// The filter does not run here: a defect.
    Program(ProgramError),
    /// The gateway did not start, or did not take its new configuration.
    Start(StartError),
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsRestart => f.write_str(
                "the files name other stores or buckets, another domain or another path than at the \
                 start; restart the gateway to have those",
            ),
            Self::AccessLog { path, error } => {
                write!(f, "the access log {} cannot be opened: {error}", path.display())
            }
            Self::Program(error) => error.fmt(f),
            Self::Start(StartError::Listen { address, error }) => {
                write!(f, "the gateway cannot listen on {address}: {}", server::refused(error))
            }
            Self::Start(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LaunchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AccessLog { error, .. } => Some(error),
            Self::NeedsRestart => None,
            Self::Program(error) => Some(error),
            Self::Start(error) => Some(error),
        }
    }
}

/// A running gateway.
pub struct Launched {
    gateway: Gateway,
    fixed: Fixed,
    place: Place,
    signers: Vec<Option<Credentials>>,
    access_log: Option<Arc<Sink>>,
}

/// What of a plan a running gateway cannot change.
#[derive(Eq, PartialEq)]
struct Fixed {
    /// The stores, without the keys they are signed for with.
    stores: Vec<Cluster>,
    routes: Routes,
    path: DataPath,
}

/// What of a deployment a running gateway leaves as it is, while it takes the rest.
struct Place {
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    listener: Listener,
    health: Option<SocketAddr>,
    workers: usize,
    drain: Duration,
    access_log: Option<(PathBuf, Recorded)>,
}

/// What has come of files that were read again.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Stores are signed for with other keys from now on.
    pub keys: bool,
    /// Fields of the deployment file that have changed, and hold only after a restart.
    pub waiting: Vec<&'static str>,
}

impl fmt::Debug for Launched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launched").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Starts a gateway and returns once it serves; `trusted` are the certificates that HTTPS servers
/// are trusted by, in PEM, where they are not the system's; `line` is called with each line about a
/// request, from any thread.
///
/// # Errors
///
/// When its address is taken or the filter refuses its configuration.
pub async fn gateway(
    loaded: &Loaded,
    plan: &Plan,
    trusted: Option<PathBuf>,
    line: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Launched, LaunchError> {
    let deployment = &loaded.deployment;
    let line = Arc::new(line);
    let access_log = deployment.access_log.as_ref().map(|log| {
        let (path, tell) = (&log.path.value.0, Arc::clone(&line));
        let sink = Sink::open(path, "access log", move |told| tell(told));
        let sink = sink.map_err(|error| LaunchError::AccessLog { path: path.clone(), error });
        Ok((Arc::new(sink?), log.requests))
    });
    let access_log = access_log.transpose()?;
    let program = Program::compile(crate::FILTER_WASM).map_err(LaunchError::Program)?;
    let domain = plan.routes.domain.clone();
    let settings = Settings {
        listen: deployment.listen.value,
        admin: deployment.admin.as_ref().map(|admin| admin.value),
        listener: listener(loaded),
        health: deployment.health.as_ref().map(|health| health.value),
        workers: deployment.workers.get(),
        program,
        identity: Identity::default(),
        plugin_configuration: plan.configuration.clone(),
        path: plan.path,
        clusters: plan.clusters.clone(),
        trusted,
        routes: plan.routes.clone(),
        timeouts: Timeouts {
            drain: deployment.timeouts.drain,
            write: deployment.timeouts.writes(),
            ..Timeouts::default()
        },
        records: access_log.is_some(),
        journal: Arc::new(Lines { domain, line, access_log: access_log.clone() }),
    };
    let gateway = Gateway::start(settings).await.map_err(LaunchError::Start)?;
    let (fixed, place) = (Fixed::of(plan), Place::of(loaded));
    let access_log = access_log.map(|(sink, _)| sink);
    Ok(Launched { gateway, fixed, place, signers: signers(plan), access_log })
}

/// How clients connect.
fn listener(loaded: &Loaded) -> Listener {
    let deployment = &loaded.deployment;
    Listener {
        tls: loaded.tls.clone(),
        proxy_protocol: deployment.proxy_protocol,
        trusted_hops: deployment.trusted_hops.map(|hops| hops.0),
        connections: deployment.connections.0,
    }
}

/// A configuration of the filter's by which it tells of requests where they are recorded, whatever
/// files say that were read later: else nobody would tell of them, or two.
fn recorded(configuration: &str, are_recorded: bool) -> String {
    let mut read: serde_json::Value = serde_json::from_str(configuration).unwrap_or_default();
    if let Some(fields) = read.as_object_mut() {
        fields.insert("access_log".to_owned(), are_recorded.into());
    }
    read.to_string()
}

/// The stores of a plan.
fn stores(plan: &Plan) -> impl Iterator<Item = &Cluster> {
    plan.clusters
        .iter()
        .filter(|cluster| plan.routes.buckets.values().any(|route| route.cluster == cluster.name))
}

/// With what each store is signed for.
fn signers(plan: &Plan) -> Vec<Option<Credentials>> {
    stores(plan).map(|store| store.signer.clone()).collect()
}

impl Fixed {
    fn of(plan: &Plan) -> Self {
        let stores = stores(plan).map(|store| Cluster { signer: None, ..store.clone() }).collect();
        Self { stores, routes: plan.routes.clone(), path: plan.path }
    }
}

impl Place {
    fn of(loaded: &Loaded) -> Self {
        let deployment = &loaded.deployment;
        Self {
            listen: deployment.listen.value,
            admin: deployment.admin.as_ref().map(|admin| admin.value),
            listener: listener(loaded),
            health: deployment.health.as_ref().map(|health| health.value),
            workers: deployment.workers.get(),
            drain: deployment.timeouts.drain,
            access_log: deployment
                .access_log
                .as_ref()
                .map(|log| (log.path.value.0.clone(), log.requests)),
        }
    }

    /// What is otherwise in another one.
    fn changed(&self, other: &Self) -> Vec<&'static str> {
        [
            ("listen", self.listen != other.listen),
            ("admin", self.admin != other.admin),
            ("tls", self.listener.tls != other.listener.tls),
            ("proxy_protocol", self.listener.proxy_protocol != other.listener.proxy_protocol),
            ("trusted_hops", self.listener.trusted_hops != other.listener.trusted_hops),
            ("connections", self.listener.connections != other.listener.connections),
            ("health", self.health != other.health),
            ("workers", self.workers != other.workers),
            ("timeouts.drain", self.drain != other.drain),
            ("access_log", self.access_log != other.access_log),
        ]
        .into_iter()
        .filter_map(|(name, has_changed)| has_changed.then_some(name))
        .collect()
    }
}

impl Launched {
    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// By what clients speak to it.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.place.listener.tls.is_some() { "https" } else { "http" }
    }

    /// Where metrics and readiness are served.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.gateway.admin_address()
    }

    /// Where probes find readiness alone.
    #[must_use]
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.gateway.health_address()
    }

    /// Opens the file of the access log anew, which may have been moved away.
    pub fn reopen_access_log(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    /// What says its metrics, in the text form of Prometheus.
    #[must_use]
    pub fn metrics(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let shared = Arc::clone(self.gateway.shared());
        Arc::new(move || shared.metrics().prometheus())
    }

    /// How long requests under way have when it stops.
    #[must_use]
    pub const fn drain(&self) -> Duration {
        self.place.drain
    }

    /// Gives the filter other rules, with the origins they name, and the gateway other keys; requests
    /// under way end under the old ones.
    ///
    /// # Errors
    ///
    /// When the filter refuses them, or more has changed than a running gateway can take. Then nothing
    /// has changed.
    pub async fn reconfigure(
        &mut self,
        loaded: &Loaded,
        plan: &Plan,
    ) -> Result<Taken, LaunchError> {
        if Fixed::of(plan) != self.fixed {
            return Err(LaunchError::NeedsRestart);
        }
        let configuration = recorded(&plan.configuration, self.access_log.is_some());
        let taken = self.gateway.reconfigure(configuration, &plan.clusters).await;
        taken.map_err(LaunchError::Start)?;
        let signers = std::mem::replace(&mut self.signers, signers(plan));
        Ok(Taken { keys: signers != self.signers, waiting: self.place.changed(&Place::of(loaded)) })
    }

    /// Stops it once the requests under way are answered, though not for long.
    pub async fn stop(self) {
        self.gateway.stop().await;
        if let Some(log) = &self.access_log {
            log.finish();
        }
    }
}

/// One line a request: the filter's own where a rule acted, and one like it where none did.
struct Lines<L> {
    domain: Option<String>,
    line: Arc<L>,
    access_log: Option<(Arc<Sink>, Recorded)>,
}

impl<L: Fn(&str) + Send + Sync> Journal for Lines<L> {
    fn access(&self, access: Access) {
        if let (Some((sink, which)), Some(record)) = (&self.access_log, &access.record) {
            if access_log::is_recorded(&access, record, *which) {
                sink.write(&access_log::line(&access, record));
            }
            return;
        }
        match access.touch {
            Touch::Passed => (self.line)(&passed(&access, self.domain.as_deref())),
            // The filter says itself what it did, once the object is stored or given up.
            Touch::Answered | Touch::Held => {}
        }
    }

    fn log(&self, record: LogRecord) {
        match record.level {
            Level::Trace | Level::Debug => {}
            Level::Info => (self.line)(&record.message),
            Level::Warn | Level::Error | Level::Critical => {
                (self.line)(&format!("{}: {}", record.level, record.message));
            }
        }
    }
}

/// The line of a request that the filter let pass.
fn passed(access: &Access, domain: Option<&str>) -> String {
    let Access { method, authority, path, bytes, .. } = access;
    let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
    let bucket = domain
        .and_then(|domain| host.strip_suffix(domain)?.strip_suffix('.'))
        .map_or_else(String::new, |bucket| format!("{bucket}/"));
    let key = path.strip_prefix('/').filter(|key| !key.is_empty() || !bucket.is_empty());
    let what = format!("{method} {bucket}{}", without_signature(key.unwrap_or(path)));
    let Some(status) = access.status else {
        return format!("{what}: client left");
    };
    let outcome = match (access.details.as_str(), status) {
        // An answer to a HEAD has no bytes, whatever the object has.
        ("via_upstream", 200..400) if method == "HEAD" => format!("bucket {status}"),
        ("via_upstream", 200..400) => format!("bucket {status} ({bytes} bytes)"),
        ("via_upstream", _) => format!("bucket {status}, no rule applies"),
        ("", _) => format!("client got {status} from the gateway"),
        (details, _) => format!("client got {status} from the gateway ({details})"),
    };
    let rest = if access.complete { "" } else { ", broken off" };
    format!("{what}: {outcome}{rest}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Empty};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use tokio::time::timeout;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn access(path: &str, status: Option<u16>, details: &str) -> Access {
        Access {
            worker: 0,
            context: 2,
            method: "GET".to_owned(),
            authority: "abc.s3.localhost:8080".to_owned(),
            path: path.to_owned(),
            status,
            bytes: 35,
            complete: true,
            duration: Duration::ZERO,
            details: details.to_owned(),
            touch: Touch::Passed,
            log: Vec::new(),
            record: None,
        }
    }

    #[tokio::test]
    async fn a_deployment_that_streams_tells_of_each_request_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::store::Store::start(crate::store::StoreSettings {
            directory: directory.path().join("store"),
            buckets: vec!["examplebucket".to_owned()],
            ..Default::default()
        });
        let store = store.await.unwrap();
        let origin = MockServer::start().await;
        let object = ResponseTemplate::new(200).set_body_raw("from the origin", "text/x-test");
        Mock::given(path("/k")).respond_with(object).mount(&origin).await;
        let rules = serde_json::json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.uri()) },
        }]);
        std::fs::write(directory.path().join("rules.json"), rules.to_string()).unwrap();
        let text = format!(
            "listen: 127.0.0.1:0\nworkers: 1\npath: streaming\nallow_internal_origins: true\nbuckets:\n  - name: examplebucket\n    \
             endpoint: http://{}\n    rules: rules.json\n",
            store.address()
        );
        let file = directory.path().join("deployment.yaml");
        std::fs::write(&file, text).unwrap();
        let loaded = crate::deployment::load(&file).unwrap();
        let (lines, mut told) = tokio::sync::mpsc::unbounded_channel();
        let keep = move |line: &str| drop(lines.send(line.to_owned()));
        let launched = gateway(&loaded, &Plan::new(&loaded), None, keep).await.unwrap();
        for (key, lines) in [
            ("k", "(15 bytes), client got 200, stored in the bucket"),
            ("k", "GET examplebucket/k: bucket 200 (15 bytes)"),
            ("absent", "answered 404, client got 404 NoSuchKey"),
        ] {
            let uri = format!("http://{}/examplebucket/{key}", launched.address());
            let request = http::Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
            let client = Client::builder(TokioExecutor::new()).build_http();
            client.request(request).await.unwrap().into_body().collect().await.unwrap();
            let line = timeout(Duration::from_secs(20), told.recv()).await.unwrap().unwrap();
            assert!(line.ends_with(lines), "{line}");
        }
        launched.stop().await;
        assert_eq!(told.recv().await, None);
    }

    #[test]
    fn a_request_that_passed_is_one_line() {
        for (access, line) in [
            (
                access("/b/a%20b?x=1", Some(200), "via_upstream"),
                "GET b/a%20b?x=1: bucket 200 (35 bytes)",
            ),
            (access("/b/a", Some(404), "via_upstream"), "GET b/a: bucket 404, no rule applies"),
            (
                access("/b/a", Some(503), "upstream_reset"),
                "GET b/a: client got 503 from the gateway (upstream_reset)",
            ),
            (
                access("/b/a?X-Amz-Signature=00&x=1&X-Amz-Date=1", Some(200), "via_upstream"),
                "GET b/a?x=1: bucket 200 (35 bytes)",
            ),
            (
                access("/b/a?x%2doss-signature=0&X-OSS-Credential=1", Some(404), "via_upstream"),
                "GET b/a: bucket 404, no rule applies",
            ),
            (
                access("/", Some(404), "route_not_found"),
                "GET /: client got 404 from the gateway (route_not_found)",
            ),
            (access("/b/a", None, ""), "GET b/a: client left"),
            (
                Access { complete: false, ..access("/b/a", Some(200), "via_upstream") },
                "GET b/a: bucket 200 (35 bytes), broken off",
            ),
            (
                Access {
                    method: "HEAD".to_owned(),
                    bytes: 0,
                    ..access("/b/a", Some(200), "via_upstream")
                },
                "HEAD b/a: bucket 200",
            ),
        ] {
            assert_eq!(passed(&access, None), line);
        }
        let by_host = access("/a", Some(206), "via_upstream");
        assert_eq!(passed(&by_host, Some("s3.localhost")), "GET abc/a: bucket 206 (35 bytes)");
    }
}
