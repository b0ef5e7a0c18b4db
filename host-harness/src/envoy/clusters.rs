//! `clusters.yaml`: the servers behind the gateway.
//!
//! Owns the names of a bucket's clusters in Envoy, and what every connection is held to.

use std::net::IpAddr;

use back_to_origin::miss_route::ATTEMPTS;
use back_to_origin::rule::RuleSet;

use super::bootstrap::{seconds, socket};
use super::credentials::{signing, signing_origin};
use super::yaml::{List, Map, Yaml};
use super::{DataPath, Settings, attempts, scripts, way};
use crate::deployment::{Bucket, Loaded, Plan, Reads, again};
use crate::gateway::{Cluster, Endpoint, Protocol, Reach, Scheme};

/// What clients may have under way at once, per bucket.
const REQUESTS: u64 = 10_000;

/// What may be on its way into a bucket at once.
const WRITES: u64 = 256;

/// What is buffered of a connection, in bytes.
pub(super) const BUFFER: u64 = 512 * 1024;

/// The number of workers that an origin's bound is sure to be enough for.
const WORKERS: u64 = 128;

/// Why a callout loses headers.
const ADDED: &str = "Envoy adds these to every request of the filter's. They are nothing to a server \
                     of somebody else's.";

/// The cluster that leads to the listener of the same name, and through it to buckets.
pub(super) const ATTEMPTS_AT_BUCKETS: &str = "attempts-at-buckets";

/// The cluster that clients' requests for a bucket go to as they came.
pub(super) fn read(bucket: &str) -> String {
    format!("bucket-{bucket}")
}

/// The cluster that signs reads of clients.
pub(super) fn signed(bucket: &str) -> String {
    format!("signed-{bucket}")
}

pub(super) fn is_encrypted(endpoint: &Endpoint) -> bool {
    endpoint.scheme == Scheme::Https
}

/// The clusters of stores, one a bucket, and those of origins.
pub(super) fn split<'p>(loaded: &Loaded, plan: &'p Plan) -> (&'p [Cluster], &'p [Cluster]) {
    let buckets = loaded.deployment.buckets.value.len();
    plan.clusters.split_at(buckets.min(plan.clusters.len()))
}

pub(super) fn file(loaded: &Loaded, plan: &Plan, settings: &Settings) -> String {
    let buckets = &loaded.deployment.buckets.value;
    let (stores, origins) = split(loaded, plan);
    let streams = settings.data_path == DataPath::Streaming;
    let mut clusters = List::new();
    for ((bucket, store), rules) in buckets.iter().zip(stores).zip(&loaded.rules) {
        clusters = add_bucket(clusters, bucket, store, &rules.set, settings);
    }
    let fetches = loaded.deployment.limits.fetches.value.saturating_mul(WORKERS);
    let bound = fetches.clamp(REQUESTS, u64::from(u32::MAX));
    for origin in origins {
        let mut filters: List = match origin.reach {
            Reach::Anywhere => List::new(),
            Reach::Outside => scripts::outside().into_iter().collect(),
        };
        filters = if streams {
            filters.with(scripts::handback(settings)).with(scripts::strip(scripts::Server::Origin))
        } else {
            filters.remark(ADDED).with(plain_request(Some(scripts::framing())))
        };
        filters.extend(signing_origin(origin, settings).map(Yaml::from));
        clusters = clusters.remark(about(origin)).with(cluster(
            &origin.name,
            origin,
            bound,
            filters,
            "origin",
            settings,
        ));
    }
    if streams && loaded.rules.iter().any(|rules| attempts::asks_another(&rules.set)) {
        let filters = List::new().with(scripts::handback(settings));
        clusters = clusters.remark(attempts::AT_ORIGINS).with(attempts::cluster(
            ATTEMPTS,
            breakers(bound),
            options(filters, "attempts"),
        ));
    }
    if streams && loaded.rules.iter().any(|rules| way::hears(&rules.set)) {
        let filters = List::new().with(scripts::guard(settings));
        clusters = clusters.remark(attempts::AT_BUCKETS).with(attempts::cluster(
            ATTEMPTS_AT_BUCKETS,
            breakers(REQUESTS),
            options(filters, "attempts"),
        ));
    }
    Map::new()
        .with("resources", clusters)
        .document(&settings.heading("Clusters for each bucket, and one for each origin."))
}

/// What is said of origins.
const fn about(origin: &Cluster) -> &'static str {
    match origin.signer {
        Some(_) => {
            "Origins that are signed for here, by a rule's MirrorAuth: no key ever enters the module."
        }
        None => "Origins.",
    }
}

fn add_bucket(
    mut clusters: List,
    bucket: &Bucket,
    store: &Cluster,
    rules: &RuleSet,
    settings: &Settings,
) -> List {
    let name = &bucket.name.value.0;
    let streams = settings.data_path == DataPath::Streaming;
    let is_signed = bucket.reads.value == Reads::Signed;
    let guarded = || {
        let is_guarded = streams && rules.iter().next().is_some();
        is_guarded.then(|| scripts::guard(settings)).into_iter().collect::<List>()
    };
    let signing = || signing(bucket, settings).map(Yaml::from);
    let mut add = |about: String, name: &str, bound, filters, kind| {
        let list = std::mem::take(&mut clusters);
        clusters = list.remark(&about).with(cluster(name, store, bound, filters, kind, settings));
    };
    let about = format!("What clients ask of the bucket {name}, as they sent it.");
    add(about, &read(name), REQUESTS, guarded(), "bucket");
    if is_signed {
        let mut filters = guarded().with(scripts::canonical());
        filters.extend(signing());
        let about = format!("What clients read of the bucket {name}, signed for them here.");
        add(about, &signed(name), REQUESTS, filters, "signed");
    }
    if streams {
        // Whoever has waited for the object comes back where it is not there all the same.
        let mut filters = List::new()
            .with(scripts::handback(settings))
            .with(scripts::strip(scripts::Server::Store));
        if is_signed {
            filters = filters.with(scripts::canonical());
            filters.extend(signing());
        }
        let about = format!(
            "The bucket {name} once more: for its own answer to a miss that no rule is about."
        );
        add(about, &again(name), REQUESTS, filters, "reread");
    }
    let mut filters = if streams {
        // It is asked for the marker of a key before an origin is, where that is not known.
        let marked = bucket.tombstones.0.map(|_| scripts::handback(settings));
        let stripped: List = marked.into_iter().collect();
        let stripped = stripped.with(scripts::strip(scripts::Server::Store));
        // What the filter writes has its one encoding; so the file says the same of both clusters.
        if is_signed { stripped.with(scripts::canonical()) } else { stripped }
    } else {
        List::new().remark(ADDED).with(plain_request(None))
    };
    let how = if signing().is_some() { ", signed here: no key ever enters the module" } else { "" };
    filters.extend(signing());
    let about = format!("What the filter writes into the bucket {name}{how}.");
    add(about, &store.name, WRITES, filters, "again");
    clusters
}

/// Why there are bounds.
const BOUNDS: &str = "With the defaults, 1,024 each, Envoy soon answers 503.";

/// How many requests there may be at once.
fn breakers(requests: u64) -> Map {
    let bounds = Map::new()
        .with("max_connections", requests)
        .with("max_pending_requests", requests)
        .with("max_requests", requests);
    Map::new().with("thresholds", List::new().with(bounds))
}

/// `kind` is what clusters are called that differ in nothing but their servers.
fn cluster(
    name: &str,
    server: &Cluster,
    requests: u64,
    filters: List,
    kind: &'static str,
    settings: &Settings,
) -> Map {
    let is_address = server.endpoints().all(|endpoint| as_address(host(endpoint)));
    let lookup = (!is_address).then_some("V4_PREFERRED");
    let encryption =
        is_encrypted(&server.endpoint).then(|| encryption(server, settings).shared("tls"));
    let places = server.endpoints().map(|endpoint| {
        let address = socket(host(endpoint), endpoint.port);
        Map::new().with("endpoint", Map::new().with("address", address))
    });
    let is_one = server.others.is_empty();
    let (checks, ejection) = match is_one {
        true => (None, None),
        false => (Some(List::new().with(check(server))), Some(ejection())),
    };
    Map::typed("envoy.config.cluster.v3.Cluster")
        .with("name", name)
        .maybe("type", (!is_address).then_some("STRICT_DNS"))
        .maybe("dns_lookup_family", lookup)
        .with("connect_timeout", seconds(server.connect_timeout))
        .with("per_connection_buffer_limit_bytes", BUFFER)
        .remark(BOUNDS)
        .with(
            "circuit_breakers",
            breakers(requests).shared(if requests == WRITES { "writes" } else { "requests" }),
        )
        .maybe("health_checks", checks)
        .remark(if is_one { "" } else { EJECTED })
        .maybe("outlier_detection", ejection)
        .with("load_assignment", assignment(name, places))
        .maybe("transport_socket", encryption)
        .with("typed_extension_protocol_options", protocol(server, filters).shared(kind))
}

/// The name of a server, or its address.
pub(super) fn host(endpoint: &Endpoint) -> &str {
    endpoint.host.trim_matches(['[', ']'])
}

fn as_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// Why a server among others is left alone for a while.
const EJECTED: &str = "A server that cannot be connected to twice in a row is left alone at once, until the next \
                       look finds it well. What a store answers is no reason to.";

/// How one of several servers is found to be well: by an answer to `/`, be it a refusal.
fn check(server: &Cluster) -> Map {
    let statuses = Map::new().with("start", 100_u64).with("end", 500_u64);
    let http = Map::new()
        .with("host", server.endpoint.authority())
        .with("path", "/")
        .with("expected_statuses", List::new().with(statuses));
    let (http, protocols) = match server.protocol {
        Protocol::Http2 => (http.with("codec_client_type", "HTTP2"), None),
        // The check speaks HTTP/1.1, whatever the server would choose.
        Protocol::Auto | Protocol::Http1 => {
            let protocols = Map::new().with("alpn_protocols", List::new().with("http/1.1"));
            (http, is_encrypted(&server.endpoint).then_some(protocols))
        }
    };
    Map::new()
        .with("timeout", "2s")
        .with("interval", "5s")
        .with("no_traffic_interval", "5s")
        .with("unhealthy_threshold", 2_u64)
        .with("healthy_threshold", 1_u64)
        .with("http_health_check", http)
        .maybe("tls_options", protocols)
}

/// When one of several servers is left alone before that.
fn ejection() -> Map {
    Map::new()
        .with("interval", "1s")
        .with("base_ejection_time", "10s")
        .with("max_ejection_percent", 50_u64)
        .with("split_external_local_origin_errors", true)
        .with("consecutive_local_origin_failure", 2_u64)
        .with("enforcing_consecutive_5xx", 0_u64)
        .with("enforcing_success_rate", 0_u64)
        .with("enforcing_local_origin_success_rate", 0_u64)
}

/// The places where a cluster's servers are.
/// A service of the operator's own, which no client is sent to, by gRPC or by HTTP/1.1.
pub(super) fn service(
    name: &str,
    endpoint: &Endpoint,
    connect_timeout: &str,
    is_grpc: bool,
    settings: &Settings,
) -> Map {
    let server = Cluster::new(name, endpoint.clone());
    let place = socket(host(endpoint), endpoint.port);
    let place = Map::new().with("endpoint", Map::new().with("address", place));
    let options = is_grpc.then(|| {
        let http2 = Map::new().with("http2_protocol_options", Map::new());
        let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        Map::new().with(kind, Map::typed(kind).with("explicit_http_config", http2))
    });
    Map::new()
        .with("name", name)
        .with("type", "STRICT_DNS")
        .with("connect_timeout", connect_timeout)
        .with("load_assignment", assignment(name, [place]))
        .maybe("transport_socket", is_encrypted(endpoint).then(|| encryption(&server, settings)))
        .maybe("typed_extension_protocol_options", options)
}

pub(super) fn assignment(name: &str, places: impl IntoIterator<Item = Map>) -> Map {
    let places: List = places.into_iter().collect();
    let places = Map::new().with("lb_endpoints", places).shared("server");
    Map::new().with("cluster_name", name).with("endpoints", List::new().with(places))
}

/// Requests at once on a connection to a server by HTTP/2.
const STREAMS: u64 = 100;

/// What is on its way of one of them, in bytes.
const STREAM_WINDOW: u64 = 1024 * 1024;

/// Why so much.
const HELD: &str = "Held of a stream whose client does not read: at 100 ms it makes 10 MB/s. Slow \
                    clients leave the others their share.";

/// HTTP/2 with a server, with all that a slow client could have held bounded.
fn http2() -> Map {
    Map::new()
        .with("max_concurrent_streams", STREAMS)
        .with("initial_stream_window_size", STREAM_WINDOW)
        .with("initial_connection_window_size", STREAMS * STREAM_WINDOW)
}

fn protocol(server: &Cluster, filters: List) -> Map {
    let http2 = || Map::new().with("http2_protocol_options", http2().shared("http2"));
    let plain = Map::new().with("http_protocol_options", Map::new());
    let options = match server.protocol {
        Protocol::Auto => Map::typed(OPTIONS).remark(HELD).with("auto_config", http2()),
        Protocol::Http1 => Map::typed(OPTIONS).with("explicit_http_config", plain),
        Protocol::Http2 => Map::typed(OPTIONS).remark(HELD).with("explicit_http_config", http2()),
    };
    let options = options.remark("Shorter than servers keep a connection without a request.").with(
        "common_http_protocol_options",
        Map::new().with("idle_timeout", seconds(server.idle_timeout)),
    );
    Map::new().with(OPTIONS, options.maybe("http_filters", with_codec(filters)))
}

/// The options of a cluster that is spoken to by HTTP/1.1.
fn options(filters: List, kind: &'static str) -> Yaml {
    let plain = Map::new().with("http_protocol_options", Map::new());
    let options = Map::typed(OPTIONS).with("explicit_http_config", plain);
    Map::new().with(OPTIONS, options.maybe("http_filters", with_codec(filters))).shared(kind)
}

/// The message of a cluster's options, which is the name they go by.
const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

fn with_codec(filters: List) -> Option<List> {
    let codec = Map::new().with("name", "codec").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"),
    );
    (!filters.is_empty()).then(|| filters.with(codec))
}

/// TLS, with a certificate that somebody trusted has signed for this very server.
pub(super) fn encryption(server: &Cluster, settings: &Settings) -> Map {
    let names = server.endpoints().map(|endpoint| {
        let host = host(endpoint);
        Map::new()
            .with("san_type", if as_address(host) { "IP_ADDRESS" } else { "DNS" })
            .with("matcher", Map::new().with("exact", host))
    });
    // An address is no server name.
    let has_names = server.endpoints().any(|endpoint| !as_address(host(endpoint)));
    let is_one = server.others.is_empty();
    let trusted = settings.trusted.display().to_string();
    let validation = Map::new()
        .with("trusted_ca", Map::new().with("filename", trusted))
        .with("match_typed_subject_alt_names", names.collect::<List>());
    let context = Map::typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")
        .maybe("sni", (is_one && has_names).then(|| host(&server.endpoint)))
        .maybe("auto_host_sni", (!is_one && has_names).then_some(true))
        // Without these two Envoy would take any certificate.
        .with("common_tls_context", Map::new().with("validation_context", validation));
    Map::new().with("name", "envoy.transport_sockets.tls").with("typed_config", context)
}

/// Takes off what Envoy adds to a callout.
fn plain_request(said: Option<Map>) -> Map {
    let gone = ["x-envoy-internal", "x-envoy-expected-rq-timeout-ms"]
        .map(|name| Map::new().with("remove", name));
    let said = said.map(|said| List::new().with(said));
    let mutations = Map::new()
        .with("request_mutations", gone.into_iter().collect::<List>())
        .maybe("response_mutations", said);
    Map::new().with("name", "envoy.filters.http.header_mutation").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
            .with("mutations", mutations),
    )
}
