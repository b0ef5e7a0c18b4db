//! The listener for probes.
//!
//! Owns what Envoy says of itself to whoever may not see its administration interface.

use std::net::SocketAddr;

use super::Form;
use super::bootstrap::{address, bounded, chain, manager, router};
use super::clusters::assignment;
use super::yaml::{List, Map};
use crate::deployment::Deployment;

/// Why it is as it is.
pub(super) const ABOUT: &str = "For probes. `/ready` fails behind POST /healthcheck/fail at the administration interface, \
                                which the gateway's connections are told of too: they end as they fall idle. A \
                                gateway that is full is well. `/metrics` is what the administration interface \
                                counts, and nothing else of it is here.";

/// The cluster that leads to the administration interface.
const ADMIN: &str = "administration";

/// The administration interface, where it is at a place that is known: for `/metrics` alone.
pub(super) fn cluster(deployment: &Deployment) -> Option<Map> {
    let admin = metrics(deployment)?;
    let place = Map::new().with("endpoint", Map::new().with("address", address(admin)));
    Some(
        Map::new()
            .with("name", ADMIN)
            .with("connect_timeout", "1s")
            .with("load_assignment", assignment(ADMIN, [place])),
    )
}

/// Where metrics are, if the listener has them.
fn metrics(deployment: &Deployment) -> Option<SocketAddr> {
    deployment.health.as_ref()?;
    let admin = deployment.admin.as_ref()?.value;
    (admin.port() != 0).then_some(admin)
}

pub(super) fn listener(of: SocketAddr, deployment: &Deployment) -> Map {
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
    let mut routes = List::new().with(live);
    if metrics(deployment).is_some() {
        let way = Map::new().with("cluster", ADMIN).with("prefix_rewrite", "/stats/prometheus");
        let asked = Map::new().with("path", "/metrics").with("headers", List::new().with(get()));
        routes = routes.with(Map::new().with("match", asked).with("route", way));
    }
    let host = Map::new()
        .with("name", "health")
        .with("domains", List::new().with("*"))
        .with("routes", routes);
    let manager = bounded(manager("health", false))
        .with("http_filters", List::new().with(check).with(router(Form::Istio)))
        .with("route_config", Map::new().with("virtual_hosts", List::new().with(host)));
    Map::new()
        .with("name", "health")
        .with("address", address(of))
        .with("ignore_global_conn_limit", true)
        .with("filter_chains", chain(manager))
}

/// Only to look: the administration interface changes things by POST.
fn get() -> Map {
    Map::new().with("name", ":method").with("string_match", Map::new().with("exact", "GET"))
}
