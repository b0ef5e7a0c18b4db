//! What probes are told: whether the gateway lives, and whether it is ready for requests.
//!
//! Owns what these words mean. *Live* is a gateway all of whose workers run: one that is not is to be
//! started anew. *Ready* is one that lives, does not stop, and reaches the store of one bucket at
//! least. An origin is no reason to be not ready, and one store of several is none either: the others'
//! clients would lose what works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::servers::{Condition, Server, Servers};
use super::settings::{Cluster, Endpoint};

/// How long an answer of a store's speaks for it.
const RECENT: Duration = Duration::from_secs(10);

/// The time between two attempts to connect to a store that nobody asks, or that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one of them may take: less than probes mostly wait, which is a second.
const PATIENCE: Duration = Duration::from_millis(800);

/// A bucket, and the servers behind it.
struct Bucket {
    name: String,
    store: Vec<Arc<Server>>,
    origins: Vec<Endpoint>,
}

/// What is known of a gateway's health.
pub(super) struct Health {
    pub(super) servers: Arc<Servers>,
    pub(super) is_stopping: Arc<AtomicBool>,
    /// How many workers run.
    pub(super) running: Box<dyn Fn() -> usize + Send + Sync>,
    pub(super) workers: usize,
    buckets: Mutex<Vec<Arc<Bucket>>>,
}

impl Health {
    pub(super) fn new(
        servers: Arc<Servers>,
        is_stopping: Arc<AtomicBool>,
        workers: usize,
        running: Box<dyn Fn() -> usize + Send + Sync>,
    ) -> Self {
        Self { servers, is_stopping, running, workers, buckets: Mutex::default() }
    }

    /// Takes the buckets of a configuration of the filter's, with the clusters that it names.
    pub(super) fn take(&self, configuration: &str, clusters: &[Cluster]) {
        // The filter has taken it, so it can be read.
        let Ok(configuration) = Configuration::from_json(configuration.as_bytes()) else { return };
        let cluster = |name: &str| clusters.iter().find(|cluster| cluster.name == name);
        let bucket = |bucket: &back_to_origin::configuration::Bucket| {
            let store = cluster(&bucket.store.cluster);
            let mut origins = Vec::new();
            for server in bucket.rules.servers() {
                let origin = configuration.cluster_of(&server).and_then(cluster);
                // Who signs, and how long a connection may take, make no other server.
                if let Some(origin) = origin.map(|origin| origin.endpoint.clone())
                    && !origins.contains(&origin)
                {
                    origins.push(origin);
                }
            }
            let store = store.into_iter().flat_map(Cluster::endpoints);
            let store = store.map(|server| self.servers.at(server)).collect();
            Arc::new(Bucket { name: bucket.name.clone(), store, origins })
        };
        let buckets = configuration.buckets.iter().map(bucket).collect();
        *self.buckets.lock().unwrap_or_else(PoisonError::into_inner) = buckets;
    }

    fn buckets(&self) -> Vec<Arc<Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `/live`.
    pub(super) fn live(&self) -> (StatusCode, Value) {
        let running = (self.running)();
        let told = json!({ "live": running == self.workers, "workers": self.count(running) });
        (status(running == self.workers), told)
    }

    fn count(&self, running: usize) -> Value {
        json!({ "running": running, "all": self.workers })
    }

    /// `/ready`. It connects to stores of which nothing was heard lately.
    pub(super) async fn ready(&self) -> (StatusCode, Value) {
        let buckets = self.buckets();
        let stores = buckets.iter().flat_map(|bucket| &bucket.store);
        join_all(stores.map(|server| look(server))).await;
        let is_reached = |bucket: &Arc<Bucket>| {
            let mut servers = bucket.store.iter();
            servers.any(|server| !matches!(server.condition(), Condition::Unreachable(_)))
        };
        let (running, is_stopping) = ((self.running)(), self.is_stopping.load(Ordering::Relaxed));
        let reaches_any = buckets.is_empty() || buckets.iter().any(is_reached);
        let is_ready = running == self.workers && !is_stopping && reaches_any;
        let told: Vec<_> = buckets
            .iter()
            .map(|bucket| {
                let stores = bucket.store.iter();
                let origins = bucket.origins.iter();
                json!({
                    "name": bucket.name,
                    "store": stores.map(|s| shown(&s.endpoint, s.condition())).collect::<Vec<_>>(),
                    "origins": origins
                        .map(|origin| shown(origin, self.servers.condition(origin)))
                        .collect::<Vec<_>>(),
                })
            })
            .collect();
        let told = json!({
            "ready": is_ready,
            "stopping": is_stopping,
            "workers": self.count(running),
            "buckets": told,
        });
        (status(is_ready), told)
    }
}

const fn status(is_well: bool) -> StatusCode {
    if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn shown(server: &Endpoint, condition: Condition) -> Value {
    json!({
        "server": server.to_string(),
        "state": condition.as_str(),
        "seconds_ago": condition.age().map(|age| age.as_secs()),
    })
}

/// Connects to a store of which nothing was heard lately, or nothing good: a gateway that is not ready
/// gets no requests by which it would learn that it is ready again.
async fn look(server: &Server) {
    let is_due = match server.condition() {
        Condition::Unknown => true,
        Condition::Reachable(age) => age > RECENT,
        Condition::Unreachable(age) => age > PAUSE,
    };
    if !is_due {
        return;
    }
    let Endpoint { host, port, .. } = &server.endpoint;
    let address = (host.trim_matches(['[', ']']), *port);
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => server.answers(),
        Ok(Err(_)) | Err(_) => server.fails(),
    }
}
