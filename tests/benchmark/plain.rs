//! The same Envoy without any of ours: to the bucket, or straight to the origin.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// What stands before a path that goes straight to the origin.
pub(crate) const STRAIGHT: &str = "/straight";

/// The bootstrap.
pub(crate) fn bootstrap(bucket: SocketAddr, origin: SocketAddr) -> String {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        "http_filters": [{ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        } }],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "match": { "prefix": STRAIGHT },
              "route": { "cluster": "origin", "timeout": "0s", "prefix_rewrite": "" } },
            { "match": { "prefix": "/" }, "route": { "cluster": "bucket", "timeout": "0s" } },
        ] }] },
    });
    json!({
        "admin": { "address": socket(([127, 0, 0, 1], 0).into()) },
        "static_resources": {
            "listeners": [{
                "address": socket(([127, 0, 0, 1], 0).into()),
                "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
            }],
            "clusters": [cluster("bucket", bucket), cluster("origin", origin)],
        },
    })
    .to_string()
}

fn cluster(name: &str, to: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "circuit_breakers": { "thresholds": [{
            "max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000,
        }] },
        "load_assignment": { "cluster_name": name, "endpoints": [
            { "lb_endpoints": [{ "endpoint": { "address": socket(to) } }] },
        ] },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(), "port_value": address.port(),
    } })
}
