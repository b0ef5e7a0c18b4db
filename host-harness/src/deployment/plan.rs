//! What a deployment means for a gateway: clusters, routes and the filter's configuration.
//!
//! Owns the names of clusters and the shape of the configuration the filter is given. It is the
//! same for every gateway.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use back_to_origin::rule::{Action, CONNECT, MirrorLimits, Rule, RuleSet};
use serde::Serialize;
use serde_json::Value;

use super::load::Loaded;
use super::mirror_auth::Signers;
use super::value::{Addressing, ConditionalWrites, DataPath, Protocol, Reads, parse_endpoint};
use super::{Bucket, Deployment};
use crate::gateway::{self, BucketRoute, Cluster, Endpoint, Reach, Routes, Scheme};

/// A deployment, worked out.
#[derive(Clone)]
pub struct Plan {
    /// Where requests can be sent, stores first.
    pub clusters: Vec<Cluster>,
    /// Which bucket is behind which cluster.
    pub routes: Routes,
    /// The filter's configuration, as JSON.
    pub configuration: String,
    /// How an object that a bucket lacks reaches the client.
    pub path: gateway::DataPath,
    /// The cluster of each origin, by the names of servers that rules have (`Mirror::server`).
    pub origins: BTreeMap<String, String>,
}

/// Without the filter's configuration: a header that a rule sets may be a secret.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Plan");
        shown.field("clusters", &self.clusters).field("routes", &self.routes);
        shown.field("path", &self.path).field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl Plan {
    /// Works a deployment out.
    #[must_use]
    pub fn new(loaded: &Loaded) -> Self {
        Self::by(loaded, path(loaded))
    }

    /// The same by another path than the deployment's own.
    #[must_use]
    pub fn by(loaded: &Loaded, path: gateway::DataPath) -> Self {
        let deployment = &loaded.deployment;
        let domain = deployment.domain.as_ref().map(|domain| domain.0.clone());
        let mut routes = Routes { domain, ..Routes::default() };
        let mut clusters = Vec::new();
        let mut buckets = Vec::new();
        let mut origins = BTreeMap::new();
        for (bucket, rules) in deployment.buckets.value.iter().zip(&loaded.rules) {
            let name = &bucket.name.value.0;
            let mut cluster = Cluster::new(&format!("store-{name}"), bucket.endpoint.first.clone());
            cluster.others.clone_from(&bucket.endpoint.others);
            cluster.signer = bucket.credentials.keys(&bucket.region);
            cluster.idle_timeout = bucket.idle_timeout;
            cluster.protocol = match bucket.protocol {
                Protocol::Auto => by_scheme(&bucket.endpoint),
                Protocol::Http1 => gateway::Protocol::Http1,
                Protocol::Http2 => gateway::Protocol::Http2,
            };
            buckets.push(ConfiguredBucket {
                name,
                again: match path {
                    gateway::DataPath::Callout => None,
                    gateway::DataPath::Streaming => Some(again(name)),
                },
                negative_cache_ms: bucket.negative_cache.0.as_millis(),
                tombstones_ms: tombstones(bucket, &rules.set).map(|every| every.as_millis()),
                store: ConfiguredStore {
                    cluster: cluster.name.clone(),
                    scheme: bucket.endpoint.scheme.as_str(),
                    authority: bucket.endpoint.authority(),
                    addressing: bucket.addressing.as_str(),
                    conditional_writes: match bucket.conditional_writes.value {
                        ConditionalWrites::IfNoneMatch => None,
                        other @ (ConditionalWrites::Oss
                        | ConditionalWrites::Head
                        | ConditionalWrites::Unconditional) => Some(other.as_str()),
                    },
                },
                mirror_limits: ConfiguredMirrorLimits::of(bucket),
                routing_rules: with_ascii_hosts(&rules.json),
            });
            let reads = reads(bucket.reads.value, bucket.addressing);
            let route = BucketRoute { cluster: cluster.name.clone(), reads };
            routes.buckets.insert(name.clone(), route);
            clusters.push(cluster);
            for origin in &rules.origins {
                // The core only gives origins that are URLs; one that is none has no cluster,
                // which the filter refuses by name.
                let cluster = origin_cluster(origin, &rules.signers);
                origins.extend(cluster.map(|cluster| (origin.clone(), cluster)));
            }
        }
        for endpoint in deployment.origins.iter().flatten() {
            origins.insert(endpoint.value.to_string(), any_origin(endpoint));
        }
        if !deployment.allow_internal_origins {
            origins.values_mut().for_each(|origin| origin.reach = Reach::Outside);
        }
        let named = origins.iter().map(|(server, cluster)| (server.clone(), cluster.name.clone()));
        let configured_origins: BTreeMap<_, _> = named.collect();
        for origin in origins.into_values() {
            if clusters.iter().all(|cluster| cluster.name != origin.name) {
                clusters.push(origin);
            }
        }
        let limits = &deployment.limits;
        let configuration = Configuration {
            path: match path {
                gateway::DataPath::Callout => None,
                gateway::DataPath::Streaming => Some(DataPath::Streaming.as_str()),
            },
            domain: routes.domain.as_deref(),
            buckets: &buckets,
            origins: &configured_origins,
            limits: ConfiguredLimits {
                object_bytes: limits.object_bytes.value,
                memory_bytes: limits.memory_bytes.value,
                fetches: limits.fetches.value,
                part_bytes: limits.part_bytes.value.min(limits.memory_bytes.value),
                backfills: limits.backfills.value,
            },
            timeouts: ConfiguredTimeouts {
                origin_ms: deployment.timeouts.origin.as_millis(),
                store_ms: deployment.timeouts.store.as_millis(),
                unconfirmed_upload_ms: deployment.timeouts.unconfirmed_upload.as_millis(),
                get_after_head_ms: deployment.timeouts.get_after_head.0.as_millis(),
                coalesce_ms: deployment.timeouts.coalesce.0.as_millis(),
            },
            breaker: deployment.breaker.0.as_ref().map(|breaker| ConfiguredBreaker {
                failures: breaker.failures.get().min(1_000),
                open_for_ms: breaker.open_for.as_millis(),
            }),
            loop_id: loop_id(deployment),
            rate_limit_service: deployment.rate_limit_service.is_some(),
            access_log: deployment.access_log.as_ref().map(|_| true),
        };
        // Strings, numbers and maps with string keys: nothing JSON cannot say.
        let configuration = serde_json::to_string_pretty(&configuration).unwrap_or_default();
        Self { clusters, routes, configuration, path, origins: configured_origins }
    }
}

/// The cluster by which a bucket is asked again for its own answer, once its 404 has been dropped
/// and no rule turns out to be about the request.
#[must_use]
pub fn again(bucket: &str) -> String {
    format!("again-{bucket}")
}

/// By which name a deployment knows requests that have been there: all who run it have the same.
fn loop_id(deployment: &Deployment) -> String {
    let buckets = deployment.buckets.value.iter();
    let named = buckets.map(|bucket| format!(" {}@{}", bucket.name.value, bucket.endpoint.first));
    let text = format!("{}{}", deployment.listen.value, named.collect::<String>());
    let digest = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{digest:016x}")
}

/// How often the markers of deleted keys are listed, where a rule could bring any back.
fn tombstones(bucket: &Bucket, rules: &RuleSet) -> Option<Duration> {
    let mirrors = |rule: &Rule| match rule.action {
        Action::External(_) => false,
        Action::Mirror(_) => true,
    };
    bucket.tombstones.0.filter(|_| rules.iter().any(mirrors))
}

/// The path that a deployment says.
fn path(loaded: &Loaded) -> gateway::DataPath {
    match loaded.deployment.path.value {
        DataPath::Callout => gateway::DataPath::Callout,
        DataPath::Streaming => gateway::DataPath::Streaming,
    }
}

fn reads(reads: Reads, addressing: Addressing) -> gateway::Reads {
    match (reads, addressing) {
        (Reads::Passthrough, _) => gateway::Reads::Passthrough,
        (Reads::Signed, Addressing::Path) => gateway::Reads::Signed(gateway::Addressing::Path),
        (Reads::Signed, Addressing::Virtual) => {
            gateway::Reads::Signed(gateway::Addressing::Virtual)
        }
    }
}

/// The cluster of an origin, as the core names it: another one for each who signs, and each bound for
/// connections.
fn origin_cluster(server: &str, signers: &Signers) -> Option<Cluster> {
    let mut words = server.split(' ');
    let endpoint = parse_endpoint(words.next()?)?;
    let mut cluster = any_origin(&endpoint);
    for word in words {
        cluster.name = format!("{}-{word}", cluster.name);
        match word.strip_prefix(CONNECT) {
            Some(timeout) => cluster.connect_timeout = Duration::from_millis(timeout.parse().ok()?),
            None => cluster.signer = Some(signers.get(word)?.clone()),
        }
    }
    Some(cluster)
}

/// The cluster of an origin of which nothing more is said.
fn any_origin(endpoint: &Endpoint) -> Cluster {
    let mut cluster = Cluster::new(&origin_name(endpoint), endpoint.clone());
    cluster.protocol = by_scheme(endpoint);
    cluster
}

/// What is spoken with a server of which that is not said.
const fn by_scheme(endpoint: &Endpoint) -> gateway::Protocol {
    match endpoint.scheme {
        Scheme::Http => gateway::Protocol::Http1,
        Scheme::Https => gateway::Protocol::Auto,
    }
}

fn origin_name(endpoint: &Endpoint) -> String {
    let host = endpoint.host.trim_matches(['[', ']']);
    format!("origin-{}-{host}-{}", endpoint.scheme.as_str(), endpoint.port)
}

/// Rules as the module takes them: it has no Unicode tables, so hosts are in ASCII there.
pub(super) fn with_ascii_hosts(rules: &Value) -> Value {
    match rules {
        Value::Array(items) => items.iter().map(with_ascii_hosts).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = match value.as_str() {
                    Some(text) if !text.is_ascii() => Value::String(in_ascii(name, text)),
                    Some(_) | None => with_ascii_hosts(value),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => rules.clone(),
    }
}

/// The text of an element, its host in ASCII where it has one. What is no URL stays, and is refused
/// by name.
fn in_ascii(element: &str, text: &str) -> String {
    let parsed = |text: &str| url::Url::parse(text).ok();
    let ascii = match element {
        "HostName" => {
            let (host, port) = match text.rsplit_once(':') {
                Some((host, port)) => (host, format!(":{port}")),
                None => (text, String::new()),
            };
            parsed(&format!("http://{host}/"))
                .and_then(|url| Some(format!("{}{port}", url.host_str()?)))
        }
        name if name.contains("URL") => parsed(text).map(String::from),
        _ => None,
    };
    ascii.unwrap_or_else(|| text.to_owned())
}

#[derive(Serialize)]
struct Configuration<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    buckets: &'a [ConfiguredBucket<'a>],
    origins: &'a BTreeMap<String, String>,
    limits: ConfiguredLimits,
    timeouts: ConfiguredTimeouts,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<ConfiguredBreaker>,
    loop_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rate_limit_service: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log: Option<bool>,
}

#[derive(Serialize)]
struct ConfiguredBreaker {
    failures: usize,
    open_for_ms: u128,
}

#[derive(Serialize)]
struct ConfiguredBucket<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<String>,
    negative_cache_ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    tombstones_ms: Option<u128>,
    store: ConfiguredStore<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror_limits: Option<ConfiguredMirrorLimits>,
    #[serde(rename = "RoutingRules")]
    routing_rules: Value,
}

#[derive(Serialize)]
struct ConfiguredMirrorLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_second: Option<u64>,
}

impl ConfiguredMirrorLimits {
    fn of(bucket: &Bucket) -> Option<Self> {
        let MirrorLimits { requests_per_second, bits_per_second } = bucket.limits();
        let is_limited = requests_per_second.is_some() || bits_per_second.is_some();
        is_limited.then_some(Self { requests_per_second, bits_per_second })
    }
}

#[derive(Serialize)]
struct ConfiguredStore<'a> {
    cluster: String,
    scheme: &'a str,
    authority: String,
    addressing: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conditional_writes: Option<&'static str>,
}

#[derive(Serialize)]
struct ConfiguredLimits {
    object_bytes: u64,
    memory_bytes: u64,
    fetches: u64,
    part_bytes: u64,
    backfills: u64,
}

#[derive(Serialize)]
struct ConfiguredTimeouts {
    origin_ms: u128,
    store_ms: u128,
    unconfirmed_upload_ms: u128,
    get_after_head_ms: u128,
    coalesce_ms: u128,
}
