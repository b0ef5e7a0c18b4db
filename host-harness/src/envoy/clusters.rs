//! `clusters.yaml`: the servers behind the gateway.
//!
//! Owns the names of a bucket's clusters in Envoy, and what every connection is held to.

use std::net::IpAddr;

use back_to_origin::rule::RuleSet;

use super::bootstrap::{seconds, socket};
use super::credentials::{signing, signing_origin};
use super::filter::{self, fingerprint, wasm};
use super::yaml::{List, Map, Yaml};
use super::{DataPath, Settings, rules};
use crate::deployment::{Bucket, Loaded, Plan, Reads};
use crate::gateway::{Cluster, Endpoint, Protocol, Scheme};

/// What clients may have under way at once, per bucket.
const REQUESTS: u64 = 10_000;

/// What may be on its way into a bucket at once.
const WRITES: u64 = 256;

/// What is buffered of a connection, in bytes.
pub(super) const BUFFER: u64 = 512 * 1024;

/// The number of workers that an origin's bound is sure to be enough for.
const WORKERS: u64 = 128;

/// Why the filter's requests lose headers.
const ADDED: &str = "Envoy adds these to every request of the filter's. They are nothing to a server \
                     of somebody else's.";

/// The cluster that clients' requests for a bucket go to as they came.
pub(super) fn read(bucket: &str) -> String {
    format!("bucket-{bucket}")
}

/// The cluster that signs reads of clients.
pub(super) fn signed(bucket: &str) -> String {
    format!("signed-{bucket}")
}

/// The cluster of reads that the router itself tries again at an origin.
pub(super) fn judged(bucket: &str) -> String {
    format!("judged-{bucket}")
}

pub(super) fn is_encrypted(endpoint: &Endpoint) -> bool {
    endpoint.scheme == Scheme::Https
}

/// The cluster that the router tries again at, where the filter copies what passes. It is another
/// one with other rules: a route and the filter behind it never differ about them.
pub(super) fn mirror(origin: &str, plan: &Plan) -> String {
    let rules = fingerprint(plan.configuration.as_bytes());
    format!("mirror-{}-{rules:016x}", origin.strip_prefix("origin-").unwrap_or(origin))
}

/// The clusters of stores, one a bucket, and those of origins.
pub(super) fn split<'p>(loaded: &Loaded, plan: &'p Plan) -> (&'p [Cluster], &'p [Cluster]) {
    let buckets = loaded.deployment.buckets.value.len();
    plan.clusters.split_at(buckets.min(plan.clusters.len()))
}

pub(super) fn file(loaded: &Loaded, plan: &Plan, module: &[u8], settings: &Settings) -> String {
    let buckets = &loaded.deployment.buckets.value;
    let (stores, origins) = split(loaded, plan);
    let mut clusters = List::new();
    for ((bucket, store), rules) in buckets.iter().zip(stores).zip(&loaded.rules) {
        clusters = add_bucket(clusters, bucket, store, &rules.set, settings);
    }
    let fetches = loaded.deployment.limits.fetches.value.saturating_mul(WORKERS);
    for origin in origins {
        let bound = fetches.clamp(REQUESTS, u64::from(u32::MAX));
        clusters = clusters
            .remark(&format!(
                "The origin {}, which the filter fetches from{}.",
                origin.endpoint,
                by_whom(origin)
            ))
            .with(cluster(
                &origin.name,
                origin,
                breakers(bound),
                sent(List::new(), origin, settings),
                settings,
            ));
    }
    if settings.data_path == DataPath::Streaming {
        for origin in origins {
            let filter = Map::new()
                .with("name", filter::ORIGIN_NAME)
                .with("typed_config", wasm(&plan.configuration, "-origin", module, settings));
            clusters = clusters
                .remark(&format!(
                    "The origin {}, for what streams to a client{}.",
                    origin.endpoint,
                    by_whom(origin)
                ))
                .with(cluster(
                    &mirror(&origin.name, plan),
                    origin,
                    tried_again(),
                    sent(List::new().with(filter), origin, settings),
                    settings,
                ));
        }
    }
    Map::new().with("resources", clusters).document(&settings.heading(
        "The servers: for each bucket one cluster for what clients ask and one for what the filter \
         writes, and one for each origin. Envoy watches this file.",
    ))
}

/// The last that is done to a request before it goes to an origin.
fn sent(filters: List, origin: &Cluster, settings: &Settings) -> List {
    let mut filters = filters.remark(ADDED).with(plain_request());
    filters.extend(signing_origin(origin, settings).map(Yaml::from));
    filters
}

/// What is said of an origin that is signed for.
fn by_whom(origin: &Cluster) -> &'static str {
    match origin.signer {
        Some(_) => ", signed here by a rule's MirrorAuth: no key ever enters the module",
        None => "",
    }
}

fn add_bucket(
    clusters: List,
    bucket: &Bucket,
    store: &Cluster,
    rules: &RuleSet,
    settings: &Settings,
) -> List {
    let name = &bucket.name.value.0;
    let reads = || match bucket.reads.value {
        Reads::Passthrough => None,
        Reads::Signed => signing(bucket, settings).map(Yaml::from),
    };
    let mut clusters = clusters
        .remark(&format!("What clients ask of the bucket {name}, as they sent it."))
        .with(cluster(&read(name), store, breakers(REQUESTS), List::new(), settings));
    if bucket.reads.value == Reads::Signed {
        let mut filters = List::new();
        filters.extend(reads());
        clusters = clusters
            .remark(&format!("What clients read of the bucket {name}, signed for them here."))
            .with(cluster(&signed(name), store, breakers(REQUESTS), filters, settings));
    }
    let streams = settings.data_path == DataPath::Streaming;
    if streams && rules::is_any_tried_again(rules, bucket.reads.value) {
        let mut filters = List::new().remark(JUDGED).with(rules::judge());
        filters.extend(reads());
        clusters = clusters
            .remark(&format!(
                "What clients read of the bucket {name} that the router tries again at an origin."
            ))
            .with(cluster(&judged(name), store, tried_again(), filters, settings));
    }
    let mut filters = List::new().remark(ADDED).with(plain_request());
    let signing = signing(bucket, settings);
    let how = if signing.is_some() { ", signed here: no key ever enters the module" } else { "" };
    filters.extend(signing.map(Yaml::from));
    clusters.remark(&format!("What the filter writes into the bucket {name}{how}.")).with(cluster(
        &store.name,
        store,
        breakers(WRITES),
        filters,
        settings,
    ))
}

/// What the judge says.
const JUDGED: &str = "`404/` for a miss. A delete marker of a versioned bucket says so behind the \
                      slash: what was deleted stays deleted. Envoy takes this header off for the \
                      client.";

/// Why there are bounds.
const BOUNDS: &str = "The defaults, 1,024 each, are soon reached by many clients at once; then Envoy \
                      answers 503.";

/// Why there is one more where requests are tried again.
const RETRIES: &str = "The defaults, 1,024 each, are soon reached by many clients at once; then Envoy \
                       answers 503. Of retries the default is 3, and what is more is left as it is: \
                       `max_retries` is how many there may be at once.";

/// Bounds where requests are tried again.
fn tried_again() -> (&'static str, Map) {
    (RETRIES, breakers(REQUESTS).1.with("max_retries", REQUESTS))
}

/// How many requests there may be at once.
fn breakers(requests: u64) -> (&'static str, Map) {
    let bounds = Map::new()
        .with("max_connections", requests)
        .with("max_pending_requests", requests)
        .with("max_requests", requests);
    (BOUNDS, bounds)
}

fn cluster(
    name: &str,
    server: &Cluster,
    (why, breakers): (&str, Map),
    filters: List,
    settings: &Settings,
) -> Map {
    let endpoint = &server.endpoint;
    let host = endpoint.host.trim_matches(['[', ']']);
    let is_address = host.parse::<IpAddr>().is_ok();
    let lookup = (!is_address).then_some("V4_PREFERRED");
    let place =
        Map::new().with("endpoint", Map::new().with("address", socket(host, endpoint.port)));
    let encryption = is_encrypted(endpoint).then(|| encryption(host, is_address, settings));
    Map::typed("envoy.config.cluster.v3.Cluster")
        .with("name", name)
        .with("type", if is_address { "STATIC" } else { "STRICT_DNS" })
        .maybe("dns_lookup_family", lookup)
        .with("connect_timeout", seconds(server.connect_timeout))
        .remark("Bytes that wait for a slow client, in place of the default of 1 MiB.")
        .with("per_connection_buffer_limit_bytes", BUFFER)
        .remark(why)
        .with("circuit_breakers", Map::new().with("thresholds", List::new().with(breakers.flow())))
        .with(
            "load_assignment",
            Map::new().with("cluster_name", name).with(
                "endpoints",
                List::new().with(Map::new().with("lb_endpoints", List::new().with(place.flow()))),
            ),
        )
        .maybe("transport_socket", encryption)
        .with(
            "typed_extension_protocol_options",
            Map::new().with(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                protocol(server, filters),
            ),
        )
}

fn protocol(server: &Cluster, filters: List) -> Map {
    let spoken = match server.protocol {
        Protocol::Http1 => "http_protocol_options",
        Protocol::Http2 => "http2_protocol_options",
    };
    let codec = Map::new().with("name", "envoy.filters.http.upstream_codec").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"),
    );
    Map::typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
        .with("explicit_http_config", Map::new().with(spoken, Map::new()).flow())
        .remark(
            "Shorter than servers keep a connection without a request: one that the server is just \
             closing would fail the next request on it.",
        )
        .with(
            "common_http_protocol_options",
            Map::new().with("idle_timeout", seconds(server.idle_timeout)).flow(),
        )
        .maybe("http_filters", (!filters.is_empty()).then(|| filters.with(codec)))
}

/// TLS, with a certificate that somebody trusted has signed for this very server.
fn encryption(host: &str, is_address: bool, settings: &Settings) -> Map {
    let name = Map::new()
        .with("san_type", if is_address { "IP_ADDRESS" } else { "DNS" })
        .with("matcher", Map::new().with("exact", host));
    let trusted = settings.trusted.display().to_string();
    let validation = Map::new()
        .with("trusted_ca", Map::new().with("filename", trusted).flow())
        .with("match_typed_subject_alt_names", List::new().with(name.flow()));
    let context = Map::typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")
        // An address is no server name.
        .maybe("sni", (!is_address).then_some(host))
        .remark("Without these two Envoy would take any certificate.")
        .with("common_tls_context", Map::new().with("validation_context", validation));
    Map::new().with("name", "envoy.transport_sockets.tls").with("typed_config", context)
}

/// Takes off what Envoy adds to a callout.
fn plain_request() -> Map {
    let gone = ["x-envoy-internal", "x-envoy-expected-rq-timeout-ms"]
        .map(|name| Map::new().with("remove", name).flow());
    let mutations = Map::new().with("request_mutations", gone.into_iter().collect::<List>());
    Map::new().with("name", "envoy.filters.http.header_mutation").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
            .with("mutations", mutations),
    )
}
