//! `envoy.yaml`: the listener, and where the rest is.
//!
//! Owns what a running Envoy cannot change.

use std::net::SocketAddr;
use std::time::Duration;

use back_to_origin::reason::MirrorFailure;
use back_to_origin::rule::Action;

use super::clusters::BUFFER;
use super::virtual_host::MISSES;
use super::yaml::{List, Map, Yaml};
use super::{CLUSTERS, DataPath, FILTER, ROUTES, SINCE, Settings, filter, misses, routes};
use crate::deployment::Loaded;

/// How long a stream may stand still at least.
const IDLE: Duration = Duration::from_secs(60);

/// How many instructions a pattern may have.
const PROGRAM: u64 = 1_000_000;

/// What more than a fetch a held request may take.
const MARGIN: Duration = Duration::from_secs(30);

pub(super) fn file(loaded: &Loaded, settings: &Settings) -> String {
    let deployment = &loaded.deployment;
    let admin =
        deployment.admin.as_ref().map(|admin| Map::new().with("address", address(admin.value)));
    let idle = idle(loaded);
    let listener = Map::new()
        .with("name", "gateway")
        .with("address", address(deployment.listen.value))
        .with("per_connection_buffer_limit_bytes", BUFFER)
        .with(
            "filter_chains",
            List::new().with(
                Map::new().with(
                    "filters",
                    List::new().with(
                        Map::new()
                            .with("name", "envoy.filters.network.http_connection_manager")
                            .with("typed_config", manager(idle, settings)),
                    ),
                ),
            ),
        );
    Map::new()
        .remark("Envoy takes files to watch only when it has a name.")
        .with(
            "node",
            Map::new().with("id", "back-to-origin").with("cluster", "back-to-origin").flow(),
        )
        .maybe("admin", admin)
        .maybe("layered_runtime", runtime(settings.data_path))
        .with("static_resources", Map::new().with("listeners", List::new().with(listener)))
        .with("dynamic_resources", Map::new().with("cds_config", source(CLUSTERS, settings)))
        .document(&settings.heading(&format!(
            "{}\n\nEnvoy reads this file once; the files it names are watched and may change while \
             it runs.",
            about(settings.data_path),
        )))
}

/// What is not as Envoy has it from the start.
fn runtime(path: DataPath) -> Option<Map> {
    let layer = Map::new()
        .with("name", "patterns")
        .with("static_layer", Map::new().with("re2.max_program_size.error_level", PROGRAM).flow());
    match path {
        DataPath::Callout => None,
        DataPath::Streaming => Some(
            Map::new()
                .remark(
                    "The routes' patterns take every encoding of a key, and so are long; Envoy \
                     would refuse them above 100 instructions.",
                )
                .with("layers", List::new().with(layer)),
        ),
    }
}

/// What Envoy does by each path, and which Envoy does.
fn about(path: DataPath) -> String {
    match path {
        DataPath::Callout => {
            "Back-to-origin in Envoy, by callouts: the filter sits before the buckets, holds a \
             bucket's answer when a rule is about it, fetches the object from the origin, answers \
             the client and writes the object into the bucket. This is the portable form: it asks \
             nothing of Envoy but its Wasm filter."
                .to_owned()
        }
        DataPath::Streaming => format!(
            "Back-to-origin in Envoy, streamed: when a bucket lacks an object, Envoy itself routes \
             the request once more, to the origin of the rule. There the filter asks for what the \
             rule says, and copies into the bucket what streams to the client.\n\n\
             It needs Envoy {SINCE} or later: earlier ones cannot choose another server for a retry. \
             For those, and as a base for Istio, `b2o envoy --path callout` writes the portable form."
        ),
    }
}

/// How long all requests of one fetch together may take, each of which may take so long.
pub(super) const fn fetch(timeout: Duration) -> Duration {
    timeout.saturating_mul(3)
}

/// How long a stream may stand still.
pub(super) fn idle(loaded: &Loaded) -> Duration {
    let rules = loaded.rules.iter().flat_map(|rules| rules.set.iter());
    let own = rules.filter_map(|rule| match &rule.action {
        Action::External(_) => None,
        Action::Mirror(mirror) => mirror.timeout,
    });
    let longest = own.fold(loaded.deployment.timeouts.origin, Duration::max);
    IDLE.max(fetch(longest).saturating_add(MARGIN))
}

fn manager(idle: Duration, settings: &Settings) -> Map {
    Map::typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")
        .with("stat_prefix", "gateway")
        .remark(
            "A key is bytes. Were Envoy to resolve `..`, merge `//` or decode `%2F`, the bucket \
             would be asked for another key than the client named, and the client's signature \
             would fail.",
        )
        .with("normalize_path", false)
        .with("merge_slashes", false)
        .with("path_with_escaped_slashes_action", "KEEP_UNCHANGED")
        .remark(
            "Envoy's own headers are Envoy's alone: from a client, x-envoy-retry-on and its like \
             would multiply requests to the store, and others would choose the server. A route's \
             `request_headers_to_remove` comes too late for them.",
        )
        .with("early_header_mutation_extensions", List::new().with(strip()))
        .remark("The store has identifiers of its own.")
        .with("generate_request_id", false)
        .remark("A hit keeps the Server header of the store.")
        .with("server_header_transformation", "PASS_THROUGH")
        .remark(
            "The bound of last resort: should the module fail, whatever it holds ends after this, \
             and so does a client that never ends its header; the default is five minutes. It is \
             longer than a fetch may take. (`request_headers_timeout` would hold such clients to \
             less, but has a price on every hit.)",
        )
        .with("stream_idle_timeout", seconds(idle))
        .maybe("local_reply_config", local_replies(settings.data_path))
        .with("http_filters", chain(settings))
        .with(
            "rds",
            Map::new()
                .with("route_config_name", routes::NAME)
                .with("config_source", source(ROUTES, settings)),
        )
}

/// The filters that clients' requests pass.
fn chain(settings: &Settings) -> List {
    let discovery = Map::new()
        .with("config_source", source(FILTER, settings))
        .with("type_urls", filter::types(settings.data_path));
    let filters =
        List::new().with(Map::new().with("name", filter::NAME).with("config_discovery", discovery));
    let filters = match settings.data_path {
        DataPath::Callout => filters,
        DataPath::Streaming => filters
            .remark("Makes a request of its own of a miss, where a route says so.")
            .with(misses::filter()),
    };
    let router = Map::typed("envoy.extensions.filters.http.router.v3.Router")
        .remark("Nobody but the filter is interested in these, and it asks for them elsewhere.")
        .with("suppress_envoy_headers", true);
    filters.with(Map::new().with("name", "envoy.filters.http.router").with("typed_config", router))
}

/// What clients get where Envoy itself answers for an origin.
fn local_replies(path: DataPath) -> Option<Map> {
    let mapper = |codes: &str, reason: &str| {
        let expression = format!(
            "(xds.virtual_host_name.startsWith('{MISSES}') || upstream.request_attempt_count > 1u) \
             && ({codes})"
        );
        let filter = Map::new().with("name", "origin").with(
            "typed_config",
            Map::typed("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter")
                .with("expression", expression),
        );
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>MirrorFailed</Code>\
             <Message>Mirroring failed: {reason}.</Message></Error>"
        );
        Map::new()
            .with("filter", Map::new().with("extension_filter", filter))
            .with("status_code", 424_u64)
            .with(
                "body_format_override",
                Map::new()
                    .with("content_type", "application/xml")
                    .with("text_format_source", Map::new().with("inline_string", document)),
            )
    };
    let unreachable = "response.code == 502 || response.code == 503";
    let mappers = List::new()
        .with(mapper(unreachable, &MirrorFailure::Unreachable.to_string()))
        .with(mapper("response.code == 504", &MirrorFailure::TimedOut.to_string()));
    match path {
        DataPath::Callout => None,
        DataPath::Streaming => Some(
            Map::new()
                .remark(
                    "An origin that cannot be reached is answered for by Envoy, and the filter on \
                     its side does not hear of it. Of the bucket's own failures this says nothing: \
                     a bucket is asked first, and not among the misses.",
                )
                .with("mappers", mappers),
        ),
    }
}

fn strip() -> Map {
    let theirs = Map::new().with("key_matcher", Map::new().with("prefix", "x-envoy-"));
    let mutations = List::new().with(Map::new().with("remove_on_match", theirs).flow());
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

pub(super) fn address(address: SocketAddr) -> Yaml {
    socket(&address.ip().to_string(), address.port())
}

/// A socket's address, with a name or an IP address.
pub(super) fn socket(host: &str, port: u16) -> Yaml {
    let socket = Map::new().with("address", host).with("port_value", port);
    Map::new().with("socket_address", socket).flow()
}

/// A duration as Envoy writes it.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        milliseconds => format!("{}.{milliseconds:03}s", duration.as_secs()),
    }
}
