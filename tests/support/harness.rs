//! The project's own host, in this process, with one worker and every line it says kept.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use b2o::gateway::{
    Addressing, BucketRoute, Cluster, Credentials, DataPath, Endpoint, Gateway, Listener, Reads,
    Routes, Secret, Settings, Timeouts,
};
use b2o::host::{Access, Identity, Journal, Level, LogRecord, Program};

use super::gateway::{Path, Setup, origin_cluster, reader, runtime, writer};

/// A running gateway; it ends with this.
pub(crate) struct Harness {
    gateway: Option<Gateway>,
    address: SocketAddr,
    kept: Arc<Kept>,
}

impl Harness {
    /// Starts one on a free port; where it refuses, that and its log are the error.
    pub(crate) fn start(setup: &Setup) -> Result<Self, String> {
        let kept = Arc::new(Kept::default());
        match runtime().block_on(Gateway::start(settings(setup, &kept))) {
            Ok(gateway) => {
                let address = gateway.address();
                Ok(Self { gateway: Some(gateway), address, kept })
            }
            Err(error) => Err(format!("{error}\n{}", kept.text())),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every line of the filter and of its host.
    pub(crate) fn log(&self) -> String {
        self.kept.text()
    }

    /// Everything that is counted, in the text form of Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let gateway = self.gateway.as_ref().expect("it runs until it is dropped");
        gateway.shared().metrics().prometheus()
    }

    /// The lines that say that a virtual machine died.
    pub(crate) fn vm_failures(&self) -> Vec<String> {
        let records = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deaths = records.iter().filter(|record| record.level == Level::Critical);
        deaths.map(|record| record.message.clone()).collect()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Dropped on the runtime it was started on.
        let _runtime = runtime().enter();
        drop(self.gateway.take());
        if std::thread::panicking() {
            eprintln!("---- the harness's log\n{}", self.log());
        }
    }
}

/// Keeps what is logged.
#[derive(Default)]
struct Kept(Mutex<Vec<LogRecord>>);

impl Kept {
    fn text(&self) -> String {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().fold(String::new(), |mut log, record| {
            let _ = writeln!(log, "{}: {}", record.level, record.message);
            log
        })
    }
}

impl Journal for Kept {
    fn access(&self, _: Access) {}

    fn log(&self, record: LogRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

fn settings(setup: &Setup, kept: &Arc<Kept>) -> Settings {
    let mut clusters = Vec::new();
    for bucket in &setup.buckets {
        let signer = setup.keys.as_ref().map(|keys| Credentials {
            access_key_id: keys.access.clone(),
            secret_access_key: Secret::new(keys.secret.clone()),
            session_token: None,
            region: "us-east-1".to_owned(),
        });
        let reading = signer.clone().filter(|_| setup.signs_reads);
        clusters.push(Cluster { signer: reading, ..cluster(&reader(&bucket.name), bucket.store) });
        clusters.push(Cluster { signer, ..cluster(&writer(&bucket.name), bucket.store) });
    }
    for origin in &setup.origins {
        clusters.push(cluster(&origin_cluster(*origin), *origin));
    }
    let reads =
        if setup.signs_reads { Reads::Signed(Addressing::Path) } else { Reads::Passthrough };
    let route = |name: &str| BucketRoute { cluster: reader(name), reads };
    let routes = Routes {
        domain: setup.domain.clone(),
        buckets: setup.buckets.iter().map(|b| (b.name.clone(), route(&b.name))).collect(),
        default: setup.buckets.first().map(|bucket| reader(&bucket.name)),
    };
    Settings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        admin: None,
        listener: Listener::default(),
        health: None,
        workers: 1,
        program: program(),
        identity: Identity::default(),
        path: match setup.path {
            Path::Callout => DataPath::Callout,
            Path::Streaming => DataPath::Streaming,
        },
        plugin_configuration: setup.plugin(),
        clusters,
        routes,
        timeouts: Timeouts {
            idle: Duration::from_secs(if setup.path == Path::Callout { 25 } else { 8 }),
            ..Timeouts::default()
        },
        trusted: None,
        records: false,
        journal: Arc::clone(kept) as Arc<dyn Journal>,
    }
}

fn cluster(name: &str, to: SocketAddr) -> Cluster {
    Cluster { connect_timeout: Duration::from_secs(2), ..Cluster::new(name, Endpoint::from(to)) }
}

/// The module that knows both sides, compiled once for all tests.
fn program() -> Program {
    static PROGRAM: LazyLock<Program> =
        LazyLock::new(|| Program::compile(b2o::FILTER_WASM).expect("the project's own module"));
    PROGRAM.clone()
}
