//! The same Envoy without any of ours: to the bucket, or straight to the origin.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::nginx::Protocol;

/// What stands before a path that goes straight to the origin.
pub(crate) const STRAIGHT: &str = "/straight";

/// The bootstrap, for servers that speak HTTP/1.1.
pub(crate) fn bootstrap(bucket: SocketAddr, origin: SocketAddr) -> String {
    bootstrap_by(Protocol::Http1, bucket, origin)
}

/// The bootstrap.
pub(crate) fn bootstrap_by(protocol: Protocol, bucket: SocketAddr, origin: SocketAddr) -> String {
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
            "clusters": [cluster("bucket", bucket, protocol), cluster("origin", origin, protocol)],
        },
    })
    .to_string()
}

fn cluster(name: &str, to: SocketAddr, protocol: Protocol) -> Value {
    let spoken = match protocol {
        Protocol::Http1 => "http_protocol_options",
        Protocol::Http2 => "http2_protocol_options",
    };
    json!({
        "name": name,
        "type": "STATIC",
        "circuit_breakers": { "thresholds": [{
            "max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000,
        }] },
        "load_assignment": { "cluster_name": name, "endpoints": [
            { "lb_endpoints": [{ "endpoint": { "address": socket(to) } }] },
        ] },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { spoken: {} },
            },
        },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(), "port_value": address.port(),
    } })
}
