//! The listener for probes.
//!
//! Owns what Envoy says of itself to whoever may not see its administration interface.

use std::net::SocketAddr;

use super::Form;
use super::bootstrap::{address, bounded, chain, manager, router};
use super::yaml::{List, Map};

/// Why it is as it is.
pub(super) const ABOUT: &str = "For probes. `/ready` fails behind POST /healthcheck/fail at the administration interface, \
                                which the gateway's connections are told of too: they end as they fall idle. A \
                                gateway that is full is well.";

pub(super) fn listener(of: SocketAddr) -> Map {
    let path =
        Map::new().with("name", ":path").with("string_match", Map::new().with("exact", "/ready"));
    let check = Map::typed("envoy.extensions.filters.http.health_check.v3.HealthCheck")
        .with("pass_through_mode", false)
        .with("headers", List::new().with(path));
    let check =
        Map::new().with("name", "envoy.filters.http.health_check").with("typed_config", check);
    let said =
        Map::new().with("status", 200_u64).with("body", Map::new().with("inline_string", "LIVE\n"));
    let live =
        Map::new().with("match", Map::new().with("path", "/live")).with("direct_response", said);
    let host = Map::new()
        .with("name", "health")
        .with("domains", List::new().with("*"))
        .with("routes", List::new().with(live));
    let manager = bounded(manager("health", false))
        .with("http_filters", List::new().with(check).with(router(Form::Istio)))
        .with("route_config", Map::new().with("virtual_hosts", List::new().with(host)));
    Map::new()
        .with("name", "health")
        .with("address", address(of))
        .with("ignore_global_conn_limit", true)
        .with("filter_chains", chain(manager))
}
