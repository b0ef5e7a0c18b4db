//! The way through Envoy itself, once more, to a server: of what Envoy answers in a server's place a
//! second listener makes a redirect to the miss route.
//!
//! Owns that listener, which has no address that anybody could connect to, and the clusters that
//! lead to it. Requests take this way where what follows depends on it: to an origin behind which
//! another may be asked, and to a bucket with rules about its failures.

use back_to_origin::miss_route::{ATTEMPT_TIMEOUT, ATTEMPTS, HOST, MISS, SERVER, TIMEOUT};
use back_to_origin::rule::{Action, RuleSet};

use super::clusters::{BUFFER, assignment};
use super::yaml::{List, Map, Yaml};
use super::{Form, Settings, bootstrap, way};
use crate::deployment::Loaded;

/// Whether a rule may ask one server where another fails, or the bucket before an origin: then Envoy's
/// own answers are to come back.
pub(super) fn asks_another(rules: &RuleSet) -> bool {
    rules.iter().any(|rule| match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => !mirror.alternates.urls.is_empty() || rule.condition.names(403),
    })
}

/// A cluster that leads to the listener.
pub(super) fn cluster(name: &str, breakers: Map, options: Yaml) -> Map {
    let listener = Map::new().with("server_listener_name", ATTEMPTS);
    let address = Map::new().with("address", Map::new().with("envoy_internal_address", listener));
    Map::typed("envoy.config.cluster.v3.Cluster")
        .with("name", name)
        .with("per_connection_buffer_limit_bytes", BUFFER)
        .with("circuit_breakers", breakers)
        .with("load_assignment", assignment(name, [Map::new().with("endpoint", address)]))
        .with("typed_extension_protocol_options", options)
}

/// What Envoy needs to have such a listener.
pub(super) fn extension() -> Map {
    let config = Map::typed("envoy.extensions.bootstrap.internal_listener.v3.InternalListener");
    Map::new().with("name", "envoy.bootstrap.internal_listener").with("typed_config", config)
}

/// `listeners.yaml`: the listener, where requests take this way.
pub(super) fn file(loaded: &Loaded, settings: &Settings) -> String {
    let mut rules = loaded.rules.iter().map(|rules| &rules.set);
    let is_needed = rules.any(|rules| asks_another(rules) || way::hears(rules));
    let listeners: List = is_needed.then(listener).into_iter().collect();
    let about = if is_needed { ABOUT } else { "No rule needs Envoy's own answers." };
    Map::new().with("resources", listeners).document(&settings.heading(about))
}

fn listener() -> Map {
    let server = Map::new().with("cluster_header", SERVER).with("timeout", "0s");
    let route = Map::new()
        .with("match", Map::new().with("prefix", "/"))
        .with("route", server)
        .with("request_headers_to_remove", List::new().with(SERVER));
    let host = Map::new()
        .with("name", ATTEMPTS)
        .with("domains", List::new().with("*"))
        .with("routes", List::new().with(route));
    let within = format!("%REQ({ATTEMPT_TIMEOUT})%");
    let header = Map::new().with("key", TIMEOUT).with("value", within);
    let append = Map::new().with("append", Map::new().with("header", header));
    let mutations = Map::new().with("request_mutations", List::new().with(append));
    let timeout = Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
        .with("mutations", mutations);
    let filters = List::new()
        .with(Map::new().with("name", "timeout").with("typed_config", timeout))
        .with(bootstrap::router(Form::Istio));
    let manager = bootstrap::manager(ATTEMPTS, false)
        .with("skip_xff_append", true)
        .with("stream_idle_timeout", "0s")
        .with("local_reply_config", Map::new().with("mappers", List::new().with(told())))
        .with("http_filters", filters)
        .with("route_config", Map::new().with("virtual_hosts", List::new().with(host)));
    Map::typed("envoy.config.listener.v3.Listener")
        .with("name", ATTEMPTS)
        .with("internal_listener", Map::new())
        .with("per_connection_buffer_limit_bytes", BUFFER)
        .with("filter_chains", bootstrap::chain(manager))
}

/// Makes a redirect of what Envoy itself answers.
fn told() -> Map {
    let floor = Map::new().with("default_value", 400_u64).with("runtime_key", "attempts.told");
    let comparison = Map::new().with("op", "GE").with("value", floor);
    let is_failure =
        Map::new().with("status_code_filter", Map::new().with("comparison", comparison));
    let header = |name: &str, value: &str| {
        Map::new()
            .with("header", Map::new().with("key", name).with("value", value))
            .with("append_action", "OVERWRITE_IF_EXISTS_OR_ADD")
    };
    let said = "gateway %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%";
    let headers =
        List::new().with(header(MISS, said)).with(header("location", &format!("http://{HOST}/")));
    Map::new()
        .with("filter", is_failure)
        .with("status_code", 307_u64)
        .with("headers_to_add", headers)
}

/// What the listener is for.
const ABOUT: &str = "Envoy itself, once more: where another server may be asked, the filter hears by this what \
     Envoy answers in a server's place (no connection, too late). Nobody can connect to it. How long \
     an answer may take has a name of the filter's, as the first router would act on Envoy's own.";

/// What its clusters are.
pub(super) const AT_ORIGINS: &str =
    "An origin behind which another may be asked, through the listener `attempts`.";
pub(super) const AT_BUCKETS: &str =
    "A bucket with rules about its failures, through the listener `attempts`.";
