//! A reverse proxy with the filter in it.
//!
//! Clients connect to a [`Gateway`]; each of its workers is a thread with its own virtual machine
//! and its own pools of connections to the clusters. HTTP/1.1 and HTTP/2, with TLS or without,
//! are served on one port. Paths travel byte for byte: nothing is decoded, merged or resolved.

mod admin;
mod arrival;
mod asking;
mod balance;
mod connector;
mod draft;
mod encryption;
mod exchange;
mod filtered;
mod forwarded;
mod guard;
mod health;
mod message;
mod misses;
mod pace;
mod request_body;
mod response_body;
mod routing;
mod serve;
mod servers;
mod settings;
mod signing;
#[cfg(test)]
mod tests;
mod upstream;
mod way;
mod worker;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::admin::{Pages, Scope};
use self::arrival::Arrivals;
pub(crate) use self::connector::{Connector, Unresolved, is_inside};
pub(crate) use self::encryption::PROTOCOLS;
use self::encryption::Shown;
use self::guard::Guards;
use self::health::Health;
use self::pace::Budgets;
use self::servers::Servers;
pub use self::settings::{
    Addressing, BucketRoute, Cluster, Credentials, DataPath, Endpoint, Listener, Protocol, Reach,
    Reads, Routes, Scheme, Secret, Settings, Timeouts,
};
pub(crate) use self::settings::{HOST_OF_HTTP_1_0, bounds};
pub(crate) use self::signing::{Payload, sign_request, without_signature};
use self::upstream::Upstreams;
pub(crate) use self::upstream::{is_framed, trust as client_trust};
use self::worker::{Change, Crowd, Handle, Order, Worker};
use crate::certificate::Unusable;
use crate::host::{Plugin, PluginError, PluginParts, Shared, try_configuration};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why a gateway does not start.
#[derive(Debug)]
pub enum StartError {
    /// The port cannot be listened on.
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A route names a cluster there is not.
    UnknownCluster {
        /// The name it gives.
        cluster: String,
        /// Who gives it.
        route: String,
    },
    /// A cluster is to be spoken to in what the gateway does not speak.
    Protocol {
        /// The cluster.
        cluster: String,
    },
    /// Reads through a cluster are to be signed, and it has no credentials.
    NoCredentials {
        /// The cluster.
        cluster: String,
        /// The bucket.
        bucket: String,
    },
    /// The certificates to trust cannot be read.
    Certificates {
        /// Their file; `None` for those of the system.
        file: Option<PathBuf>,
        /// Why.
        error: io::Error,
    },
    /// What clients are to be shown cannot be.
    Tls(Unusable),
    /// The filter does not start, or refuses its configuration.
    Filter(PluginError),
    /// A thread cannot be started, or ended at once.
    Worker(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, error } => {
                write!(f, "cannot listen on {address}: {error}; choose another address")
            }
            Self::UnknownCluster { cluster, route } => {
                write!(f, "{route} leads to cluster {cluster}, which does not exist")
            }
            Self::NoCredentials { cluster, bucket } => write!(
                f,
                "reads of bucket {bucket} are to be signed, but cluster {cluster} has no credentials"
            ),
            Self::Protocol { cluster } => write!(
                f,
                "cluster {cluster} is to be spoken to by HTTP/2, which this gateway speaks with \
                 clients alone; Envoy does, with the files of `b2o envoy`"
            ),
            Self::Certificates { file: Some(file), error } => {
                write!(f, "the certificates in {} cannot be read: {error}", file.display())
            }
            Self::Certificates { file: None, error } => {
                write!(f, "the system's certificates cannot be read: {error}")
            }
            Self::Tls(error) => error.fmt(f),
            Self::Filter(error) => error.fmt(f),
            Self::Worker(error) => write!(f, "a worker cannot be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<PluginError> for StartError {
    fn from(error: PluginError) -> Self {
        Self::Filter(error)
    }
}

/// A running gateway. Dropping it has it stop too, but nobody waits until it has.
pub struct Gateway {
    settings: Settings,
    workers: Vec<Handle>,
    shared: Arc<Shared>,
    address: SocketAddr,
    admin: Option<(SocketAddr, JoinHandle<()>)>,
    /// Looks after the certificate that clients are shown.
    renewal: Option<JoinHandle<()>>,
    probes: Option<(SocketAddr, JoinHandle<()>)>,
    health: Arc<Health>,
    /// The settings as the page shows them.
    shown: Arc<Mutex<serde_json::Value>>,
    is_stopping: Arc<AtomicBool>,
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|error| StartError::Listen { address, error })
}

/// Whether all that is named is there.
fn check(settings: &Settings) -> Result<(), StartError> {
    let find = |name: &str, route: String| {
        let cluster = settings.clusters.iter().find(|cluster| cluster.name == name);
        cluster.ok_or_else(|| StartError::UnknownCluster { cluster: name.to_owned(), route })
    };
    if let Some(cluster) = settings.clusters.iter().find(|c| c.protocol == Protocol::Http2) {
        return Err(StartError::Protocol { cluster: cluster.name.clone() });
    }
    if let Some(name) = &settings.routes.default {
        find(name, "the default route".to_owned())?;
    }
    for (bucket, route) in &settings.routes.buckets {
        let cluster = find(&route.cluster, format!("bucket {bucket}"))?;
        if matches!(route.reads, Reads::Signed(_)) && cluster.signer.is_none() {
            return Err(StartError::NoCredentials {
                cluster: route.cluster.clone(),
                bucket: bucket.clone(),
            });
        }
    }
    Ok(())
}

/// The certificates that clusters are trusted by.
fn trust(settings: &Settings, clusters: &[Cluster]) -> Result<rustls::ClientConfig, StartError> {
    let file = settings.trusted.as_deref();
    upstream::trust(clusters, file)
        .map_err(|error| StartError::Certificates { file: settings.trusted.clone(), error })
}

/// Tries a configuration where it can do no harm.
fn rehearse(
    settings: &Settings,
    clusters: &[Cluster],
    configuration: &str,
) -> Result<(), PluginError> {
    let clusters: Vec<_> = clusters.iter().map(|cluster| cluster.name.clone()).collect();
    let journal = Arc::clone(&settings.journal);
    try_configuration(&settings.program, &settings.identity, journal, clusters, configuration)?;
    guards(settings.path, configuration).map(drop)
}

/// What makes a request a miss, on the path where misses are requests of their own.
fn guards(path: DataPath, configuration: &str) -> Result<Option<Guards>, PluginError> {
    match path {
        DataPath::Callout => Ok(None),
        DataPath::Streaming => Guards::read(configuration).map(Some),
    }
}

impl Gateway {
    /// Starts a gateway and returns once all its workers serve.
    ///
    /// # Errors
    ///
    /// When a port is taken, a name leads nowhere, or the filter refuses its configuration; then
    /// nothing is left running.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        check(&settings)?;
        rehearse(&settings, &settings.clusters, &settings.plugin_configuration)?;
        let trust = trust(&settings, &settings.clusters)?;
        let certificate = settings.listener.tls.as_ref().map(Shown::read).transpose();
        let certificate = certificate.map_err(StartError::Tls)?;
        let encryption = certificate.as_ref().map(Shown::acceptor).transpose();
        let encryption = encryption.map_err(StartError::Worker)?;
        let arrivals = Arrivals { proxied: settings.listener.proxy_protocol, encryption };
        let crowd = Arc::new(Crowd::new(settings.listener.connections));
        let listener = listen(settings.listen)?;
        let admin = settings.admin.map(listen).transpose()?;
        let probes = settings.health.map(listen).transpose()?;
        let address = listener.local_addr().map_err(StartError::Worker)?;
        let listener = listener.into_std().map_err(StartError::Worker)?;
        let shared: Arc<Shared> = Arc::default();
        let servers: Arc<Servers> = Arc::default();
        let configuration: Arc<str> = Arc::from(settings.plugin_configuration.as_str());
        let budgets = Budgets::default();
        let mut workers = Vec::new();
        for number in 0..settings.workers.max(1) {
            let (started, outcome) = oneshot::channel();
            let own = listener.try_clone().map_err(StartError::Worker)?;
            let (settings, trust) = (settings.clone(), trust.clone());
            let (shared, configuration) = (Arc::clone(&shared), Arc::clone(&configuration));
            let budgets = budgets.clone();
            let (arrivals, crowd) = (arrivals.clone(), Arc::clone(&crowd));
            let servers = Arc::clone(&servers);
            let build = move || {
                let upstreams = Upstreams::new(&settings.clusters, &trust, servers);
                let parts = PluginParts {
                    worker: number,
                    program: settings.program,
                    identity: settings.identity,
                    shared,
                    journal: Arc::clone(&settings.journal),
                    callouts: Rc::new(upstreams.clone()),
                    backoff: settings.timeouts.reload,
                };
                Ok(Worker {
                    number,
                    guards: guards(settings.path, &configuration)?,
                    plugin: Plugin::load(parts, configuration)?,
                    upstreams,
                    budgets,
                    routes: settings.routes,
                    timeouts: settings.timeouts,
                    journal: settings.journal,
                    address,
                    arrivals,
                    trusted_hops: settings.listener.trusted_hops,
                    records: settings.records,
                    crowd,
                    connections: Cell::new(0),
                    open: Rc::default(),
                    is_cut: watch::Sender::new(false),
                })
            };
            let worker = Handle::spawn(number, own, started, build).map_err(StartError::Worker)?;
            workers.push(worker);
            match outcome.await {
                Ok(outcome) => outcome?,
                Err(_) => return Err(StartError::Worker(io::Error::other("it ended at once"))),
            }
        }
        let is_stopping = Arc::new(AtomicBool::new(false));
        let shown = Arc::new(Mutex::new(admin::describe(&settings, &settings.clusters)));
        let renewal =
            certificate.map(|shown| tokio::spawn(shown.watch(Arc::clone(&settings.journal))));
        let orders: Vec<_> = workers.iter().map(|worker| worker.orders.clone()).collect();
        let running = move || orders.iter().filter(|orders| !orders.is_closed()).count();
        let stopping = Arc::clone(&is_stopping);
        let health = Health::new(servers, stopping, workers.len(), Box::new(running));
        health.take(&settings.plugin_configuration, &settings.clusters);
        let mut gateway = Self {
            settings,
            workers,
            shared,
            address,
            admin: None,
            probes: None,
            renewal,
            health: Arc::new(health),
            shown,
            is_stopping,
        };
        gateway.admin = admin.map(|admin| gateway.serve_pages(admin, Scope::All)).transpose()?;
        gateway.probes =
            probes.map(|probes| gateway.serve_pages(probes, Scope::Health)).transpose()?;
        Ok(gateway)
    }

    fn serve_pages(
        &self,
        listener: TcpListener,
        scope: Scope,
    ) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
        let address = listener.local_addr().map_err(StartError::Worker)?;
        let (shared, configuration) = (Arc::clone(&self.shared), Arc::clone(&self.shown));
        let pages = Pages { shared, configuration, health: Arc::clone(&self.health) };
        Ok((address, tokio::spawn(admin::serve(listener, Arc::new(pages), scope))))
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and readiness are served.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(address, _)| *address)
    }

    /// Where probes find readiness alone.
    #[must_use]
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(|(address, _)| *address)
    }

    /// What the workers share, with the filter's metrics.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether all workers serve.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.workers.iter().all(Handle::is_running)
    }

    /// Gives the filter of every worker another configuration, and the clusters of it that are not
    /// there yet. Requests under way end under the old one. What is there stays: routes, the clusters
    /// of the start, and others, with their connections, for as long as anything may use them.
    ///
    /// # Errors
    ///
    /// When the filter refuses it, or certificates cannot be read; both are tried apart first, so
    /// that then no worker has changed.
    pub async fn reconfigure(
        &mut self,
        configuration: String,
        named: &[Cluster],
    ) -> Result<(), StartError> {
        let is_else = |cluster: &&Cluster| named.iter().all(|named| named.name != cluster.name);
        let mut clusters = named.to_vec();
        clusters.extend(self.settings.clusters.iter().filter(is_else).cloned());
        rehearse(&self.settings, &clusters, &configuration)?;
        let trust = trust(&self.settings, &clusters)?;
        let text: Arc<str> = Arc::from(configuration.as_str());
        let change = Change { configuration: text, clusters, trust };
        let change = Arc::new(change);
        let mut outcome = Ok(());
        for worker in &self.workers {
            let (done, outcome_here) = oneshot::channel();
            let sent = worker.orders.send(Order::Reconfigure(Arc::clone(&change), done));
            let here = match sent {
                Ok(()) => outcome_here.await.unwrap_or(Err(PluginError::Trapped)),
                Err(_) => Err(PluginError::Trapped),
            };
            outcome = outcome.and(here);
        }
        self.settings.plugin_configuration = configuration;
        for cluster in &mut self.settings.clusters {
            if let Some(other) = named.iter().find(|named| named.name == cluster.name) {
                cluster.clone_from(other);
            }
        }
        self.health.take(&self.settings.plugin_configuration, &change.clusters);
        let shown = admin::describe(&self.settings, &change.clusters);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        outcome.map_err(StartError::Filter)
    }

    /// Stops accepting, lets what is under way finish within the drain time, and ends.
    pub async fn stop(mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let workers = std::mem::take(&mut self.workers);
        for worker in &workers {
            // One that has ended needs no order.
            let _ = worker.orders.send(Order::Stop);
        }
        for worker in workers {
            worker.join().await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Stop);
        }
        let pages = self.admin.iter().chain(&self.probes).map(|(_, task)| task);
        for task in pages.chain(&self.renewal) {
            task.abort();
        }
    }
}
