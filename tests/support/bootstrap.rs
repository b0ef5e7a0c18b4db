//! Envoy's bootstrap for a [`Setup`]: one listener, the module, a cluster for each server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::gateway::{Setup, origin_cluster, reader, writer};
use super::store::Keys;

/// Envoy's types are named by URLs of this form.
macro_rules! typed {
    ($kind:literal, { $($fields:tt)* }) => {
        json!({ "@type": concat!("type.googleapis.com/", $kind), $($fields)* })
    };
}

/// The bootstrap, with the module written to `folder` and every port left to the system.
pub(crate) fn bootstrap(setup: &Setup, folder: &Path) -> String {
    let module = folder.join("filter.wasm");
    fs::write(&module, b2o::FILTER_WASM).expect("a file in a folder of our own");
    let mut clusters: Vec<Value> = Vec::new();
    for bucket in &setup.buckets {
        clusters.push(cluster(&reader(&bucket.name), bucket.store, &[]));
        let signing: Vec<Value> = setup.keys.iter().map(sign).collect();
        clusters.push(cluster(&writer(&bucket.name), bucket.store, &signing));
    }
    for origin in &setup.origins {
        clusters.push(cluster(&origin_cluster(*origin), *origin, &[strip()]));
    }
    json!({
        "stats_config": { "stats_tags": back_to_origin::metric::labels().iter().map(|label| {
            json!({ "tag_name": label, "regex": back_to_origin::metric::pattern(label) })
        }).collect::<Vec<_>>() },
        "admin": { "address": address(([127, 0, 0, 1], 0).into()) },
        "static_resources": { "listeners": [listener(setup, &module)], "clusters": clusters },
    })
    .to_string()
}

fn listener(setup: &Setup, module: &Path) -> Value {
    let manager = typed!(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
        "stat_prefix": "gateway",
        "http_protocol_options": { "accept_http_10": true, "default_host_for_http_10": "localhost" },
        // A key is bytes: Envoy may not make another one of it.
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        // A hit keeps the store's own headers.
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": false,
        // Whatever a failed VM leaves paused ends here.
        "stream_idle_timeout": "25s",
        "http_filters": [
            { "name": "back-to-origin", "typed_config": wasm(setup, module) },
            { "name": "router", "typed_config":
                typed!("envoy.extensions.filters.http.router.v3.Router", {
                    "suppress_envoy_headers": true,
                }) },
        ],
        "route_config": { "virtual_hosts": virtual_hosts(setup) },
    });
    json!({
        "address": address(([127, 0, 0, 1], 0).into()),
        "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
    })
}

fn wasm(setup: &Setup, module: &Path) -> Value {
    typed!("envoy.extensions.filters.http.wasm.v3.Wasm", {
        "config": {
            "name": "back-to-origin",
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
            "configuration":
                typed!("google.protobuf.StringValue", { "value": setup.plugin() }),
        },
    })
}

/// A bucket in the host has a virtual host, a bucket in the path has a route; the first bucket's
/// store answers for everything else.
fn virtual_hosts(setup: &Setup) -> Vec<Value> {
    let to = |name: &str| json!({ "cluster": reader(name), "timeout": "0s" });
    let mut hosts = Vec::new();
    if let Some(domain) = &setup.domain {
        for bucket in &setup.buckets {
            let host = format!("{}.{domain}", bucket.name);
            hosts.push(json!({
                "name": host,
                "domains": [host, format!("{host}:*")],
                "routes": [{ "match": { "prefix": "/" }, "route": to(&bucket.name) }],
            }));
        }
    }
    let mut routes: Vec<Value> = setup
        .buckets
        .iter()
        .map(|bucket| {
            let prefix = format!("/{}/", bucket.name);
            json!({ "match": { "prefix": prefix }, "route": to(&bucket.name) })
        })
        .collect();
    if let Some(first) = setup.buckets.first() {
        routes.push(json!({ "match": { "prefix": "" }, "route": to(&first.name) }));
    }
    hosts.push(json!({ "name": "paths", "domains": ["*"], "routes": routes }));
    hosts
}

fn cluster(name: &str, to: SocketAddr, filters: &[Value]) -> Value {
    let mut filters = filters.to_vec();
    filters.push(json!({
        "name": "codec",
        "typed_config":
            typed!("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec", {}),
    }));
    let plenty = json!([{
        "max_connections": 10_000,
        "max_pending_requests": 10_000,
        "max_requests": 10_000,
    }]);
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": { "thresholds": plenty },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(to) } }] }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed!("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", {
                    "explicit_http_config": { "http_protocol_options": {} },
                    "http_filters": filters,
                }),
        },
    })
}

/// Takes off what Envoy adds to a callout, so that an origin sees what the filter sent; and tells the
/// filter by what the answer has come.
fn strip() -> Value {
    json!({
        "name": "strip",
        "typed_config":
            typed!("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", {
                "mutations": { "request_mutations": [
                    { "remove": "x-envoy-internal" },
                    { "remove": "x-envoy-expected-rq-timeout-ms" },
                ], "response_mutations": [{ "append": {
                    "header": {
                        "key": "x-envoy-miss-framing",
                        "value": "%UPSTREAM_PROTOCOL% %RESP(transfer-encoding)%",
                    },
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                } }] },
            }),
    })
}

fn sign(keys: &Keys) -> Value {
    json!({
        "name": "sign",
        "typed_config":
            typed!("envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning", {
                "service_name": "s3",
                "region": "us-east-1",
                "use_unsigned_payload": true,
                "credential_provider": { "inline_credential": {
                    "access_key_id": keys.access,
                    "secret_access_key": keys.secret,
                } },
            }),
    })
}

fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(),
        "port_value": address.port(),
    } })
}
