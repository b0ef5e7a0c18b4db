//! One gateway, on either host: the same plugin configuration, the same clusters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;

use b2o::deployment::again;
use serde_json::{Value, json};

use super::envoy::Envoy;
use super::harness::Harness;
use super::process::Process;
use super::served::Served;
use super::wait::{DEADLINE, within};
use super::{bootstrap, store, streaming};

/// Where the module runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    /// The project's own, b2o.
    Harness,
    /// Real Envoy.
    Envoy,
}

/// How an object reaches the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    /// The filter holds it whole, and answers with it.
    Callout,
    /// The host streams it from the origin; the filter copies it on its way.
    Streaming,
}

/// Every host that offers a path.
pub(crate) const HOSTS: [(Host, Path); 4] = [
    (Host::Harness, Path::Callout),
    (Host::Envoy, Path::Callout),
    (Host::Harness, Path::Streaming),
    (Host::Envoy, Path::Streaming),
];

/// One bucket, before it is told to a host.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) rules: Value,
    pub(crate) store: SocketAddr,
}

/// What a gateway is to do.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) path: Path,
    pub(crate) domain: Option<String>,
    pub(crate) buckets: Vec<Bucket>,
    /// `scheme://host:port` of every origin in the rules.
    pub(crate) origins: Vec<SocketAddr>,
    pub(crate) limits: Option<Value>,
    pub(crate) timeouts: Option<Value>,
    /// How a fetched object is kept from replacing one that is there; nothing is the default.
    pub(crate) conditional_writes: Option<&'static str>,
    /// What write-backs are signed with.
    pub(crate) keys: Option<store::Keys>,
    /// Whether reads are signed with them too, whoever the client is (streaming path).
    pub(crate) signs_reads: bool,
    /// Whether as much is mirrored as there is, and origins that fail are asked again each time, where
    /// the default is a limit.
    pub(crate) is_unlimited: bool,
}

impl Setup {
    /// One bucket `examplebucket` with rules.
    pub(crate) fn new(rules: Value, store: SocketAddr, origins: &[SocketAddr]) -> Self {
        let bucket = Bucket { name: "examplebucket".to_owned(), rules, store };
        Self {
            path: Path::Callout,
            domain: None,
            buckets: vec![bucket],
            origins: origins.to_vec(),
            limits: None,
            timeouts: None,
            conditional_writes: None,
            keys: None,
            signs_reads: false,
            is_unlimited: false,
        }
    }

    /// The times in milliseconds. Behind a HEAD tests wait for no GET but where they say so.
    pub(crate) fn timeouts(&self) -> Value {
        let mut timeouts = json!({ "get_after_head_ms": 0 });
        for (name, time) in self.timeouts.iter().flat_map(Value::as_object).flatten() {
            timeouts[name] = time.clone();
        }
        timeouts
    }

    /// The plugin configuration: the same text on both hosts.
    pub(crate) fn plugin(&self) -> String {
        let streams = self.path == Path::Streaming;
        let buckets: Vec<Value> = self
            .buckets
            .iter()
            .map(|bucket| {
                let mut told = json!({
                    "name": bucket.name,
                    "store": {
                        "cluster": writer(&bucket.name),
                        "scheme": "http",
                        "authority": bucket.store.to_string(),
                        "addressing": "path",
                    },
                    "RoutingRules": bucket.rules,
                });
                if let Some(word) = self.conditional_writes {
                    told["store"]["conditional_writes"] = word.into();
                }
                if streams {
                    told["again"] = again(&bucket.name).into();
                }
                told
            })
            .collect();
        let origins: serde_json::Map<String, Value> = self
            .origins
            .iter()
            .map(|origin| (format!("http://{origin}"), Value::from(origin_cluster(*origin))))
            .collect();
        let mut plugin = json!({ "buckets": buckets, "origins": origins });
        let optional = [
            ("path", streams.then(|| Value::from("streaming"))),
            ("domain", self.domain.clone().map(Value::from)),
            ("limits", self.limits.clone()),
            ("timeouts", Some(self.timeouts())),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                plugin[name] = value;
            }
        }
        plugin.to_string()
    }
}

/// Numbers by the names that the filter gives them.
pub(crate) type Counters = BTreeMap<String, u64>;

/// A running gateway; it ends with this.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    running: Running,
}

enum Running {
    Harness(Box<Harness>),
    Envoy(Envoy),
    Served(Served),
}

impl Gateway {
    /// Starts one, with one worker.
    pub(crate) fn start(host: Host, setup: &Setup) -> Self {
        match host {
            Host::Harness => {
                let harness = Harness::start(setup).unwrap_or_else(|error| panic!("{error}"));
                Self { address: harness.address(), running: Running::Harness(Box::new(harness)) }
            }
            Host::Envoy => {
                let folder = tempfile::tempdir().expect("a folder for Envoy");
                let envoy = match setup.path {
                    Path::Callout => {
                        let bootstrap = bootstrap::bootstrap(setup, folder.path());
                        Envoy::start(&bootstrap, "json", folder)
                    }
                    Path::Streaming => {
                        let bootstrap = streaming::bootstrap(setup, folder.path());
                        Envoy::start(&bootstrap, "yaml", folder)
                    }
                };
                Self { address: envoy.address(), running: Running::Envoy(envoy) }
            }
        }
    }

    /// The harness in a process of its own, by an executable that takes the arguments of `b2o`.
    #[allow(dead_code, reason = "only the benchmark has such an executable")]
    pub(crate) fn serve(executable: &std::path::Path, setup: &Setup) -> Self {
        let served = Served::start(executable, setup);
        Self { address: served.address(), running: Running::Served(served) }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Harness(harness) => harness.log(),
            Running::Envoy(envoy) => envoy.log(),
            Running::Served(served) => served.log(),
        }
    }

    /// The lines on requests that rules have acted on, so far: each from its method on.
    pub(crate) fn lines(&self) -> Vec<String> {
        let on_request = |line: &str| {
            // Before it stand the time, the level and who says it, each host in its own way.
            let starts = ["GET ", "HEAD "].map(|method| line.find(method));
            let line = line.get(starts.into_iter().flatten().min()?..)?;
            line.contains(": bucket ").then(|| line.to_owned())
        };
        self.log().lines().filter_map(on_request).collect()
    }

    /// What the filter has counted so far.
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = Counters::new();
        for (name, labels, value) in self.samples() {
            let word = |label| labels.get(label).cloned();
            let name = match name.as_str() {
                "back_to_origin_requests_total" => word("outcome"),
                "back_to_origin_copies_total" => word("result"),
                // How many bytes come of what nobody waits for is left to chance.
                name if name.ends_with("bytes_total") => None,
                name => name
                    .strip_prefix("back_to_origin_")
                    .and_then(|name| name.strip_suffix("_total"))
                    .map(str::to_owned),
            };
            if let Some(name) = name {
                *counters.entry(name).or_default() += value;
            }
        }
        counters
    }

    /// Everything that the module measures, in the text form of Prometheus.
    pub(crate) fn metrics(&self) -> String {
        match &self.running {
            Running::Harness(harness) => harness.metrics(),
            Running::Envoy(envoy) => envoy.admin("/stats/prometheus?filter=back_to_origin"),
            Running::Served(served) => served.metrics(),
        }
    }

    /// The same, each sample by its name, its labels and its value.
    pub(crate) fn samples(&self) -> Vec<(String, BTreeMap<String, String>, u64)> {
        let text = self.metrics();
        let read = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').split("\",");
            let labels = labels.filter_map(|label| label.split_once("=\""));
            let labels = labels
                .map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()));
            let is_own = name.starts_with("back_to_origin_");
            is_own.then_some(())?;
            Some((name.to_owned(), labels.collect(), value.parse().ok()?))
        };
        text.lines().filter_map(read).collect()
    }

    /// What its host counts as a failure of the module: empty when there was none.
    pub(crate) fn vm_failures(&self) -> Vec<String> {
        match &self.running {
            Running::Harness(harness) => harness.vm_failures(),
            Running::Envoy(envoy) => envoy.vm_failures(),
            Running::Served(served) => served.vm_failures(),
        }
    }
}

impl Gateway {
    /// Requests that Envoy still has under way once it should have none, by its own count.
    pub(crate) fn hung_requests(&self) -> Option<String> {
        let Running::Envoy(envoy) = &self.running else { return None };
        let active = || {
            let stats = envoy.admin("/stats?filter=rq_active$");
            let busy: Vec<&str> = stats
                .lines()
                .filter(|line| !line.ends_with(": 0") && !line.contains("http.admin"))
                .collect();
            busy.join(", ")
        };
        within(DEADLINE / 3, || active().is_empty().then_some(()));
        Some(active()).filter(|active| !active.is_empty())
    }

    /// Its process, where it is not this one.
    pub(crate) fn process(&self) -> Option<Process> {
        match &self.running {
            Running::Harness(_) => None,
            Running::Envoy(envoy) => Some(Process(envoy.process_id())),
            Running::Served(served) => Some(served.process()),
        }
    }

    /// A page of Envoy's admin interface.
    pub(crate) fn admin(&self, path: &str) -> Option<String> {
        match &self.running {
            Running::Harness(_) | Running::Served(_) => None,
            Running::Envoy(envoy) => Some(envoy.admin(path)),
        }
    }
}

/// The runtime that the project's own servers run on.
pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    });
    &RUNTIME
}

/// The cluster a bucket's objects are read through.
pub(crate) fn reader(bucket: &str) -> String {
    format!("read-{bucket}")
}

/// The cluster a bucket's objects are written through.
pub(crate) fn writer(bucket: &str) -> String {
    format!("store-{bucket}")
}

/// The cluster of an origin.
pub(crate) fn origin_cluster(origin: SocketAddr) -> String {
    format!("origin-http-{}-{}", origin.ip(), origin.port())
}
