//! Envoy's bootstrap for the streaming path: its router retries a miss on the origin, where the
//! module stands as an upstream filter.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::bootstrap::{address, cluster, sign, strip, typed};
use super::gateway::{Bucket, Setup, fetcher, origin_cluster, reader, writer};

/// The bootstrap, with the module written to `folder` and every port left to the system.
pub(crate) fn bootstrap(setup: &Setup, folder: &Path) -> String {
    let module = folder.join("filter.wasm");
    fs::write(&module, b2o::FILTER_WASM).expect("a file in a folder of our own");
    let mut clusters: Vec<Value> = Vec::new();
    for bucket in &setup.buckets {
        clusters.push(cluster(&reader(&bucket.name), bucket.store, &[judge()]));
        let signing: Vec<Value> = setup.keys.iter().map(sign).collect();
        clusters.push(cluster(&writer(&bucket.name), bucket.store, &signing));
    }
    for origin in &setup.origins {
        clusters.push(cluster(&origin_cluster(*origin), *origin, &[wasm(setup, &module)]));
        // What the filter fetches by itself must not come back into it.
        clusters.push(cluster(&fetcher(*origin), *origin, &[strip()]));
    }
    json!({
        "admin": { "address": address(([127, 0, 0, 1], 0).into()) },
        "static_resources": { "listeners": [listener(setup)], "clusters": clusters },
        // A key in all of its encodings is a long pattern.
        "layered_runtime": { "layers": [{ "name": "patterns", "static_layer": {
            "re2.max_program_size.error_level": 1_000_000,
            "re2.max_program_size.warn_level": 1_000_000,
        } }] },
    })
    .to_string()
}

fn listener(setup: &Setup) -> Value {
    let manager = typed!(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
        "stat_prefix": "gateway",
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": false,
        "stream_idle_timeout": "25s",
        // A client that names the attempt itself would reach the origin at once.
        "early_header_mutation_extensions": [{ "name": "strip", "typed_config":
            typed!("envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", {
                "mutations": [{ "remove": "x-envoy-attempt-count" }],
            }) }],
        "http_filters": [
            { "name": "answer", "typed_config":
                typed!("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", {
                    "mutations": { "response_mutations": [
                        { "append": {
                            "header": { "key": "x-oss-tag",
                                        "value": "%RESP(x-amz-meta-x-oss-tag)%" },
                            "append_action": "ADD_IF_ABSENT",
                        } },
                        { "remove": JUDGE },
                    ] },
                }) },
            { "name": "router", "typed_config":
                typed!("envoy.extensions.filters.http.router.v3.Router", {
                    "suppress_envoy_headers": true,
                }) },
        ],
        "local_reply_config": { "mappers": [
            failure(&[503, 502], "the origin cannot be reached"),
            failure(&[504], "the origin did not answer in time"),
        ] },
        "route_config": { "virtual_hosts": virtual_hosts(setup) },
    });
    json!({
        "address": address(([127, 0, 0, 1], 0).into()),
        "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
    })
}

/// The header by which the bucket's cluster says what its answer was.
const JUDGE: &str = "x-b2o-bucket";

/// What Envoy says of an origin itself, in S3's words. The attempt is counted by Envoy: the header
/// of that name is gone once the filter has written the origin's request.
fn failure(statuses: &[u16], why: &str) -> Value {
    let statuses: Vec<String> =
        statuses.iter().map(|status| format!("response.code == {status}")).collect();
    let expression = format!("upstream.request_attempt_count > 1u && ({})", statuses.join(" || "));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>MirrorFailed</Code>\
         <Message>Mirroring failed: {why}.</Message></Error>"
    );
    json!({
        "filter": { "extension_filter": { "name": "origin", "typed_config":
            typed!("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", {
                "expression": expression,
            }) } },
        "status_code": 424,
        "body_format_override": {
            "text_format_source": { "inline_string": body },
            "content_type": "application/xml",
        },
    })
}

/// "404/" is a miss, "404/true" an object that was deleted from a versioned bucket.
fn judge() -> Value {
    json!({ "name": "judge", "typed_config":
        typed!("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", {
            "mutations": { "response_mutations": [{ "append": {
                "header": { "key": JUDGE, "value": "%RESP(:status)%/%RESP(x-amz-delete-marker)%" },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            } }] },
        }) })
}

fn wasm(setup: &Setup, module: &Path) -> Value {
    json!({ "name": "back-to-origin", "typed_config":
        typed!("envoy.extensions.filters.http.wasm.v3.Wasm", { "config": {
            "name": "back-to-origin",
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": "back-to-origin",
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
            "configuration": typed!("google.protobuf.StringValue", { "value": setup.plugin() }),
        } }) })
}

fn virtual_hosts(setup: &Setup) -> Vec<Value> {
    let mut hosts = Vec::new();
    if let Some(domain) = &setup.domain {
        for bucket in &setup.buckets {
            let host = format!("{}.{domain}", bucket.name);
            hosts.push(json!({
                "name": host,
                "domains": [host, format!("{host}:*")],
                "include_request_attempt_count": true,
                "routes": routes(setup, bucket, "/"),
            }));
        }
    }
    let mut paths: Vec<Value> = setup
        .buckets
        .iter()
        .flat_map(|bucket| routes(setup, bucket, &format!("/{}/", bucket.name)))
        .collect();
    if let Some(first) = setup.buckets.first() {
        paths.push(plain(first, json!({ "prefix": "" })));
    }
    hosts.push(json!({
        "name": "paths",
        "domains": ["*"],
        "include_request_attempt_count": true,
        "routes": paths,
    }));
    hosts
}

fn plain(bucket: &Bucket, matches: Value) -> Value {
    json!({ "match": matches, "route": { "cluster": reader(&bucket.name), "timeout": "0s" } })
}

/// A bucket's routes, one a rule, in the order of their numbers.
fn routes(setup: &Setup, bucket: &Bucket, above: &str) -> Vec<Value> {
    let mut rules: Vec<&Value> = bucket.rules.as_array().into_iter().flatten().collect();
    rules.sort_by_key(|rule| rule["RuleNumber"].as_u64());
    let mut routes: Vec<Value> = rules
        .into_iter()
        .filter(|rule| rule["Redirect"]["RedirectType"] == "Mirror")
        .map(|rule| retried(setup, bucket, above, rule))
        .collect();
    routes.push(plain(bucket, json!({ "prefix": above })));
    routes
}

fn retried(setup: &Setup, bucket: &Bucket, above: &str, rule: &Value) -> Value {
    let text = |name: &str| rule["Condition"][name].as_str().unwrap_or_default();
    let path = format!(
        "{above}{}[^?]*{}",
        encodings(text("KeyPrefixEquals")),
        encodings(text("KeySuffixEquals"))
    );
    let url = rule["Redirect"]["MirrorURL"].as_str().unwrap_or_default();
    let authority = url.split('/').nth(2).unwrap_or_default();
    let origin: SocketAddr = authority.parse().expect("origins of the tests are addresses");
    let header = |name: &str, value: Value| json!({ "name": name, "string_match": value });
    let mut subresource = header(":path", json!({ "safe_regex": { "regex": SUBRESOURCE } }));
    subresource["invert_match"] = true.into();
    let attempt = json!({ "single_predicate": {
        "input": { "name": "attempt", "typed_config":
            typed!("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", {
                "header_name": "x-envoy-attempt-count",
            }) },
        "value_match": { "safe_regex": { "google_re2": {}, "regex": ".+" } },
    } });
    let to = |cluster: String| {
        json!({ "action": { "name": cluster, "typed_config":
            typed!("envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction", {
                "cluster": cluster,
            }) } })
    };
    let silence = setup.timeouts.as_ref().and_then(|times| times["origin_ms"].as_u64());
    json!({
        "match": {
            "safe_regex": { "regex": path },
            "headers": [header(":method", json!({ "exact": "GET" })), subresource],
        },
        "route": {
            "timeout": "0s",
            "inline_cluster_specifier_plugin": { "extension": {
                "name": "attempt",
                "typed_config":
                    typed!("envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier", {
                        "cluster_matcher": {
                            "matcher_list": { "matchers": [
                                { "predicate": attempt, "on_match": to(origin_cluster(origin)) },
                            ] },
                            "on_no_match": to(reader(&bucket.name)),
                        },
                    }),
            } },
            "retry_policy": {
                "retry_on": "retriable-headers",
                "retriable_headers": [header(JUDGE, json!({ "exact": "404/" }))],
                "num_retries": 1,
                "refresh_cluster_on_retry": true,
                "retry_back_off": { "base_interval": "0.001s" },
                "per_try_idle_timeout": format!("{:.3}s", silence.unwrap_or(10_000) as f64 / 1e3),
            },
        },
    })
}

/// A text in all of its percent-encodings.
fn encodings(text: &str) -> String {
    text.bytes().fold(String::new(), |mut pattern, byte| {
        let upper = format!("{byte:02X}");
        let lower = upper.to_lowercase();
        write!(pattern, "(?:\\x{lower}|%{upper}|%{lower})").expect("a String takes all");
        pattern
    })
}

/// Queries that ask for another operation; as many of them as the tests send.
const SUBRESOURCE: &str = "[^?]*\\?(?:.*&)?(?:(?:%61|a)cl|attributes|legal-hold|list-type|\
    objectMeta|retention|symlink|tagging|torrent|uploadId|uploads|versionId|versions|website|\
    x-oss-process)(?:[=&].*)?";
