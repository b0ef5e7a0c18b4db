//! `envoy.yaml`: the listener, and where the rest is.
//!
//! Owns what a running Envoy cannot change.

use std::net::SocketAddr;
use std::time::Duration;

use back_to_origin::metric;
use back_to_origin::rule::Action;

use super::clusters::BUFFER;
use super::yaml::{List, Map};
use super::{
    CLUSTERS, DataPath, FILTER, Form, LISTENERS, ROUTES, SINCE, Settings, access_log, attempts,
    filter, health, misses, rate_limits, routes, tls, tracing,
};
use crate::deployment::Loaded;
use crate::gateway::{HOST_OF_HTTP_1_0, bounds};

/// How long a stream may stand still at least.
const IDLE: Duration = Duration::from_secs(60);

/// What more than a fetch a held request may take.
const MARGIN: Duration = Duration::from_secs(30);

pub(super) fn file(loaded: &Loaded, settings: &Settings) -> String {
    let deployment = &loaded.deployment;
    let streams = settings.data_path == DataPath::Streaming;
    let admin = deployment.admin.as_ref().map(|admin| {
        Map::new()
            .with("address", address(admin.value))
            // Whoever ends Envoy in order must get through to it.
            .with("ignore_global_conn_limit", true)
    });
    let listener = Map::new()
        .with("name", "gateway")
        .with("address", address(deployment.listen.value))
        .remark("Bytes that wait for a slow client, in place of the default of 1 MiB.")
        .with("per_connection_buffer_limit_bytes", BUFFER)
        .maybe("listener_filters", deployment.proxy_protocol.then(proxied))
        .maybe(
            "listener_filters_timeout",
            deployment
                .proxy_protocol
                .then(|| seconds(Duration::from_secs(bounds::ARRIVAL_SECONDS))),
        )
        .with("filter_chains", clients(loaded, settings));
    let mut listeners = List::new().with(listener);
    if let Some(address) = &deployment.health {
        listeners =
            listeners.remark(health::ABOUT).with(health::listener(address.value, deployment));
    }
    let mut watched = Map::new();
    if streams {
        watched = watched.with("lds_config", source(LISTENERS, settings));
    }
    let watched = watched.with("cds_config", source(CLUSTERS, settings));
    Map::new()
        // Envoy takes files to watch only when it has a name.
        .with("node", Map::new().with("id", "back-to-origin").with("cluster", "back-to-origin"))
        .maybe("admin", admin)
        .maybe("bootstrap_extensions", streams.then(|| List::new().with(attempts::extension())))
        .remark(
            "The module's metrics have their labels in their names; /stats/prometheus shows them as \
             labels (envoy/observability/README.md).",
        )
        .with("stats_config", Map::new().with("stats_tags", tags()))
        .remark("Connections of clients at once; further ones are closed.")
        .with("overload_manager", overload(deployment.connections.0))
        .with(
            "static_resources",
            Map::new()
                .with("listeners", listeners)
                .maybe("clusters", services(loaded, settings)),
        )
        .with("dynamic_resources", watched)
        .document(&settings.heading(&format!(
            "{} Envoy reads this file once, and watches those it names.",
            about(settings),
        )))
}

/// What Envoy asks and tells beside stores and origins.
fn services(loaded: &Loaded, settings: &Settings) -> Option<List> {
    let collector = tracing::cluster(loaded, settings);
    let counter = rate_limits::cluster(loaded, settings);
    let administration = health::cluster(&loaded.deployment);
    let services: Vec<_> = collector.into_iter().chain(counter).chain(administration).collect();
    (!services.is_empty()).then(|| services.into_iter().collect())
}

/// What Envoy does by each path, and which Envoy does.
fn about(settings: &Settings) -> String {
    let needs = match (settings.data_path, settings.form) {
        (DataPath::Callout, Form::Envoy | Form::Istio) => {
            return "Back-to-origin in Envoy, by callouts: the filter sits before the buckets, holds a \
                    bucket's answer when a rule is about it, fetches the object from the origin, \
                    answers the client and writes the object into the bucket. This is the portable \
                    form: it asks nothing of Envoy but its Wasm filter."
                .to_owned();
        }
        (DataPath::Streaming, Form::Envoy) => {
            format!("It needs Envoy {SINCE} or later; an earlier one refuses to start.")
        }
        (DataPath::Streaming, Form::Istio) => {
            "This is the form that Istio's proxy can take, of Envoy 1.36 to 1.39.".to_owned()
        }
    };
    format!(
        "Back-to-origin in Envoy, streamed. What a bucket lacks is routed once more, to the miss \
         route (routes.yaml): the filter says which origin it goes to, and copies what streams \
         into the bucket. {needs}"
    )
}

/// How long all requests of one fetch together may take, each of which may take so long.
const fn fetch(timeout: Duration) -> Duration {
    timeout.saturating_mul(3)
}

/// How long a stream may stand still.
fn idle(loaded: &Loaded) -> Duration {
    let rules = loaded.rules.iter().flat_map(|rules| rules.set.iter());
    let own = rules.filter_map(|rule| match &rule.action {
        Action::External(_) => None,
        Action::Mirror(mirror) => mirror.timeout,
    });
    let longest = own.fold(loaded.deployment.timeouts.origin, Duration::max);
    IDLE.max(fetch(longest).saturating_add(MARGIN))
}

/// A listener's only filter chain.
pub(super) fn chain(manager: Map) -> List {
    List::new().with(Map::new().with("filters", List::new().with(manager_filter(manager))))
}

fn manager_filter(manager: Map) -> Map {
    Map::new()
        .with("name", "envoy.filters.network.http_connection_manager")
        .with("typed_config", manager)
}

/// How clients' connections are taken.
fn clients(loaded: &Loaded, settings: &Settings) -> List {
    let manager = manager_filter(gateway(loaded, settings));
    let mut chain = Map::new().with("filters", List::new().with(manager));
    if loaded.tls.is_some() {
        chain = chain.with("transport_socket", tls::socket(settings)).with(
            "transport_socket_connect_timeout",
            seconds(Duration::from_secs(bounds::ARRIVAL_SECONDS)),
        );
    }
    List::new().with(chain)
}

/// Each connection says first for whom it is.
fn proxied() -> List {
    let config = Map::typed("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol");
    List::new().with(
        Map::new()
            .with("name", "envoy.filters.listener.proxy_protocol")
            .with("typed_config", config),
    )
}

/// What is the same wherever requests come in.
pub(super) fn manager(name: &str, generates_ids: bool) -> Map {
    Map::typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")
        .with("stat_prefix", name)
        .remark(
            "A key is bytes: were `..` resolved or `%2F` decoded, it would be another one, and the \
             client's signature would fail.",
        )
        .with("normalize_path", false)
        .with("merge_slashes", false)
        .with("path_with_escaped_slashes_action", "KEEP_UNCHANGED")
        .remark("A hit keeps the Server header of the store, which has identifiers of its own.")
        .with("generate_request_id", generates_ids)
        .with("server_header_transformation", "PASS_THROUGH")
}

/// How the labels of the module's metrics are found in their names.
fn tags() -> List {
    let tag =
        |label: &str| Map::new().with("tag_name", label).with("regex", metric::pattern(label));
    metric::labels().into_iter().map(tag).collect()
}

/// What is bounded for all clients together.
fn overload(connections: u32) -> Map {
    let bound = Map::typed(
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
    )
    .with("max_active_downstream_connections", u64::from(connections));
    let monitor = Map::new()
        .with("name", "envoy.resource_monitors.global_downstream_max_connections")
        .with("typed_config", bound);
    Map::new().with("resource_monitors", List::new().with(monitor))
}

/// What one connection of a client's may take.
pub(super) fn bounded(manager: Map) -> Map {
    let http2 = Map::new()
        .with("max_concurrent_streams", u64::from(bounds::STREAMS))
        .with("initial_stream_window_size", u64::from(bounds::STREAM_WINDOW))
        .with("initial_connection_window_size", u64::from(bounds::CONNECTION_WINDOW));
    manager
        .with(
            "http_protocol_options",
            Map::new()
                .with("accept_http_10", true)
                .with("default_host_for_http_10", HOST_OF_HTTP_1_0),
        )
        .remark(
            "A client that reads nothing has 256 KiB held of each request, not 16 MiB; an upload \
             over 50 ms makes 5 MB/s.",
        )
        .with("http2_protocol_options", http2)
        .remark(
            "What S3's clients send has thirty headers at most, and 8 KB. One that never ends its \
             header holds a connection for 30 s.",
        )
        .with(
            "common_http_protocol_options",
            Map::new()
                .with("max_headers_count", u64::from(bounds::HEADERS))
                .with("idle_timeout", seconds(Duration::from_secs(bounds::IDLE_SECONDS))),
        )
        .with("max_request_headers_kb", u64::from(bounds::HEAD_KIB))
        .with("request_headers_timeout", seconds(Duration::from_secs(bounds::HEAD_SECONDS)))
}

fn gateway(loaded: &Loaded, settings: &Settings) -> Map {
    let hops = loaded.deployment.trusted_hops.map(|hops| hops.0);
    // By the id of a request Envoy decides whether it is traced.
    bounded(manager("gateway", loaded.deployment.tracing.is_some()))
        .remark("The peer is added to X-Forwarded-For, and so many before it are believed.")
        .maybe("use_remote_address", hops.map(|_| true))
        .maybe("xff_num_trusted_hops", hops.filter(|hops| *hops > 0).map(u64::from))
        .remark(
            "From a client, x-envoy-retry-on and its like would multiply requests or choose the \
             server. A route would remove them too late.",
        )
        .with("early_header_mutation_extensions", List::new().with(strip()))
        .remark(
            "The last resort, longer than a fetch may take: should the module fail, what it holds \
             ends after this.",
        )
        .with("stream_idle_timeout", seconds(idle(loaded)))
        .maybe("tracing", loaded.deployment.tracing.as_ref().map(tracing::manager))
        .maybe(
            "access_log",
            loaded
                .deployment
                .access_log
                .as_ref()
                .map(|log| access_log::logs(log, settings.data_path)),
        )
        .with("http_filters", filters(loaded, settings))
        .with(
            "rds",
            Map::new()
                .with("route_config_name", routes::NAME)
                .with("config_source", source(ROUTES, settings)),
        )
}

/// The filters that clients' requests pass.
fn filters(loaded: &Loaded, settings: &Settings) -> List {
    let discovery = Map::new()
        .with("config_source", source(FILTER, settings))
        .with("type_urls", filter::types());
    let filter = Map::new().with("name", filter::NAME);
    let (filter, form) = match settings.data_path {
        // Callouts are for any Envoy.
        DataPath::Callout => (filter, Form::Istio),
        DataPath::Streaming => {
            let filter = filter.remark("The miss route turns it on; a hit never enters it.");
            (filter.with("disabled", true), settings.form)
        }
    };
    let refused = if form == Form::Envoy { REFUSED } else { "" };
    let streams = settings.data_path == DataPath::Streaming;
    let mut filters = List::new();
    if streams && loaded.deployment.access_log.is_some() {
        filters = filters.remark(access_log::MARKS).with(access_log::mark());
    }
    filters = filters.with(filter.with("config_discovery", discovery));
    if streams {
        filters = filters.remark(PACER).with(misses::pacer());
        if let Some(service) = &loaded.deployment.rate_limit_service {
            filters = filters.remark(rate_limits::ABOUT).with(rate_limits::filter(&service.value));
        }
    }
    filters.remark(refused).with(router(form))
}

/// The last filter.
pub(super) fn router(form: Form) -> Map {
    let router = Map::typed("envoy.extensions.filters.http.router.v3.Router")
        .with("suppress_envoy_headers", true);
    // The first field that 1.37 has and 1.36 does not; its default.
    let since = (form == Form::Envoy).then_some(false);
    let router = router.maybe("reject_connect_request_early_data", since);
    Map::new().with("name", "envoy.filters.http.router").with("typed_config", router)
}

/// What paces misses.
const PACER: &str = "It paces what streams from origins; a hit never enters it either.";

/// Why an Envoy that is too old does not start.
const REFUSED: &str = "Its last field changes nothing, but an Envoy before 1.37, which would die of what the \
                       guard does, refuses to start.";

fn strip() -> Map {
    let theirs = Map::new().with("key_matcher", Map::new().with("prefix", "x-envoy-"));
    let mutations = List::new().with(Map::new().with("remove_on_match", theirs));
    Map::new().with("name", "envoy.http.early_header_mutation.header_mutation").with(
        "typed_config",
        Map::typed("envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation")
            .with("mutations", mutations),
    )
}

/// A watched file as the source of a resource.
pub(super) fn source(name: &str, settings: &Settings) -> Map {
    Map::new().with("resource_api_version", "V3").with("path_config_source", settings.watched(name))
}

pub(super) fn address(address: SocketAddr) -> Map {
    socket(&address.ip().to_string(), address.port())
}

/// A socket's address, with a name or an IP address.
pub(super) fn socket(host: &str, port: u16) -> Map {
    let socket = Map::new().with("address", host).with("port_value", port);
    Map::new().with("socket_address", socket)
}

/// A duration as Envoy writes it.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        milliseconds => format!("{}.{milliseconds:03}s", duration.as_secs()),
    }
}
