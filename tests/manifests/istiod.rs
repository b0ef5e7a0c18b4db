//! A stand-in for Istio's control plane: what it makes of EnvoyFilters for a gateway that has another
//! application too, with xDS by files. It follows the source of pilot/pkg/networking/core/envoyfilter.
//!
//! Istio's own filters are left out, as no stock Envoy has them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use b2o::FILTER_WASM;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::envoy::Envoy;
use crate::support::wait::until;

const MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// The name of the gateway's listener.
pub(super) const LISTENER: &str = "0.0.0.0_8080";

/// What the proxies of a gateway are given.
pub(super) struct Proxies {
    clusters: Vec<Value>,
    listeners: Vec<Value>,
    /// Those that are added: behind all patches, so that none is theirs.
    added: Vec<Value>,
    routes: Value,
    extensions: Vec<Value>,
    /// The patches that had nothing to apply to.
    pub(super) idle: Vec<String>,
}

impl Proxies {
    /// Those of a gateway with one application, at a server.
    pub(super) fn new(other: SocketAddr) -> Self {
        let place = json!({ "endpoint": { "address": { "socket_address": {
            "address": other.ip().to_string(), "port_value": other.port() } } } });
        let name = "outbound|80||other.apps.svc.cluster.local";
        let cluster = json!({ "name": name, "type": "STATIC", "connect_timeout": "10s", "lb_policy": "LEAST_REQUEST",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [place] }] } });
        let router = json!({ "name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } });
        let cors = json!({ "name": "envoy.filters.http.cors", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" } });
        let manager = json!({ "@type": MANAGER, "codec_type": "AUTO", "stat_prefix": "outbound_0.0.0.0_8080",
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED", "normalize_path": true,
            "use_remote_address": true, "stream_idle_timeout": "0s", "server_name": "istio-envoy",
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "rds": { "route_config_name": "http.8080", "config_source": "rds.json" },
            "http_filters": [cors, router] });
        let listener = json!({ "name": LISTENER, "traffic_direction": "OUTBOUND",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
            "filter_chains": [{ "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }] }] });
        let routes = json!({ "name": "http.8080", "ignore_port_in_host_matching": true, "validate_clusters": false,
            "virtual_hosts": [{ "name": "other.example.com:80", "domains": ["other.example.com"],
                "include_request_attempt_count": true,
                "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": name, "timeout": "0s" } }] }] });
        Self {
            clusters: vec![cluster],
            listeners: vec![listener],
            added: Vec::new(),
            routes,
            extensions: Vec::new(),
            idle: Vec::new(),
        }
    }

    /// Applies an EnvoyFilter.
    pub(super) fn apply(&mut self, filter: &Value) {
        for patch in filter["spec"]["configPatches"].as_array().expect("patches") {
            let (to, operation) = (text(&patch["applyTo"]), text(&patch["patch"]["operation"]));
            let value = patch["patch"]["value"].clone();
            assert_eq!(text(&patch["match"]["context"]), "GATEWAY");
            let applied = match (to, operation) {
                ("CLUSTER", "ADD") => add(&mut self.clusters, value),
                ("LISTENER", "ADD") => add(&mut self.added, value),
                ("EXTENSION_CONFIG", "ADD") => add(&mut self.extensions, value),
                ("VIRTUAL_HOST", "ADD") => {
                    add(self.routes["virtual_hosts"].as_array_mut().expect("hosts"), value)
                }
                // Of a listener's filters it changes those of its HTTP connections.
                ("HTTP_FILTER", "INSERT_BEFORE") => {
                    let place = &patch["match"]["listener"]["filterChain"]["filter"];
                    let before = text(&place["subFilter"]["name"]).to_owned();
                    self.managers().into_iter().fold(false, |applied, manager| {
                        let filters = manager["http_filters"].as_array_mut().expect("filters");
                        let at = filters.iter().position(|filter| filter["name"] == *before);
                        at.inspect(|at| filters.insert(*at, value.clone())).is_some() || applied
                    })
                }
                ("NETWORK_FILTER", "MERGE") => {
                    let merged = &value["typed_config"];
                    self.managers().into_iter().fold(false, |_, manager| {
                        merge(manager, merged);
                        true
                    })
                }
                other => panic!("this stand-in does not know {other:?}"),
            };
            if !applied {
                self.idle.push(format!("{to} {operation}"));
            }
        }
    }

    fn managers(&mut self) -> Vec<&mut Value> {
        let chains = self.listeners.iter_mut().flat_map(|listener| {
            listener["filter_chains"].as_array_mut().expect("chains").iter_mut()
        });
        chains.map(|chain| &mut chain["filters"][0]["typed_config"]).collect()
    }

    /// Writes what xDS would bring; the agent has fetched the module, and a Secret is mounted.
    ///
    /// With a running Envoy it is brought in ADS' order, each when that before it is there.
    pub(super) fn write(&self, folder: &Path, secret: Option<&Value>, running: Option<&Envoy>) {
        let module = folder.join("plugin.wasm");
        fs::write(&module, FILTER_WASM).expect("a file of our own");
        if let Some(secret) = secret {
            use std::os::unix::fs::PermissionsExt as _;
            let keys = super::decoded(text(&secret["data"]["credentials"]));
            let file = folder.join("credentials");
            fs::write(&file, keys).expect("a file of our own");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own");
        }
        let typed = |kind: &str, mut value: Value| {
            value["@type"] = format!("type.googleapis.com/envoy.config.{kind}").into();
            self.local(&mut value, folder, &module);
            value
        };
        let of = |kind: &str, values: &[Value]| -> Vec<Value> {
            values.iter().map(|value| typed(kind, value.clone())).collect()
        };
        // In the order in which they are brought: what is named is there before what names it.
        for (name, resources) in [
            ("cds.json", of("cluster.v3.Cluster", &self.clusters)),
            ("ecds.json", of("core.v3.TypedExtensionConfig", &self.extensions)),
            ("lds.json", of("listener.v3.Listener", &[&self.listeners[..], &self.added].concat())),
            ("rds.json", of("route.v3.RouteConfiguration", std::slice::from_ref(&self.routes))),
        ] {
            let page = json!({ "resources": resources }).to_string();
            let page = page.replace("/etc/back-to-origin", &folder.display().to_string());
            let path = folder.join(name);
            if fs::read_to_string(&path).is_ok_and(|old| old == page) {
                continue;
            }
            let new = folder.join(format!(".{name}"));
            fs::write(&new, page).expect("a file of our own");
            fs::rename(new, path).expect("a file of our own");
            if let Some(envoy) = running.filter(|_| name == "cds.json") {
                until("the clusters", || {
                    let known = envoy.admin("/clusters");
                    let is_known = |cluster: &Value| {
                        known.contains(&format!("\n{}::", text(&cluster["name"])))
                            || known.starts_with(&format!("{}::", text(&cluster["name"])))
                    };
                    self.clusters.iter().all(is_known).then_some(())
                });
            }
        }
    }

    /// What comes by ADS comes by a file, and what the agent would fetch is there.
    fn local(&self, value: &mut Value, folder: &Path, module: &Path) {
        match value {
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.local(item, folder, module))
            }
            Value::Object(fields) => {
                if fields.get("config_source").is_some_and(|source| source.get("ads").is_some()) {
                    fields.insert("config_source".to_owned(), source(folder, "ecds.json"));
                }
                if fields.get("config_source").is_some_and(|source| source == "rds.json") {
                    fields.insert("config_source".to_owned(), source(folder, "rds.json"));
                }
                if let Some(remote) = fields.remove("remote") {
                    let uri = text(&remote["http_uri"]["uri"]);
                    assert!(uri.starts_with("oci://") && uri.contains("@sha256:"), "{uri}");
                    let local = json!({ "filename": module.display().to_string() });
                    fields.insert("local".to_owned(), local);
                }
                fields.values_mut().for_each(|value| self.local(value, folder, module));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn add(all: &mut Vec<Value>, value: Value) -> bool {
    all.push(value);
    true
}

/// As messages are merged: lists grow.
fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { panic!("no messages") };
    for (name, value) in from {
        match (into.get_mut(name), value) {
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new.iter().cloned()),
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, value),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

fn source(folder: &Path, name: &str) -> Value {
    json!({ "resource_api_version": "V3", "path_config_source": {
        "path": folder.join(name), "watched_directory": { "path": folder } } })
}

/// An Envoy that runs as Istio's proxy of a gateway does.
pub(super) struct Gateway {
    pub(super) envoy: Envoy,
    pub(super) folder: PathBuf,
}

impl Gateway {
    pub(super) fn start(version: &str, proxies: &Proxies, secret: Option<&Value>) -> Self {
        let scratch = tempfile::tempdir().expect("a folder for Envoy");
        let folder = scratch.path().join("xds");
        fs::create_dir(&folder).expect("a folder of our own");
        proxies.write(&folder, secret, None);
        let bootstrap = bootstrap(&folder);
        let envoy = Self::run(version, &bootstrap, scratch);
        Self { envoy, folder }
    }

    fn run(version: &str, bootstrap: &Value, scratch: TempDir) -> Envoy {
        let envoy = Envoy::start_version(version, &bootstrap.to_string(), "json", scratch);
        envoy.unwrap_or_else(|error| panic!("{error}"))
    }
}

fn bootstrap(folder: &Path) -> Value {
    let internal = json!({ "name": "envoy.bootstrap.internal_listener", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        "buffer_size_kb": 64 } });
    let mut runtime = Map::new();
    // As a string, for it is a program's size in the proxy's own bootstrap.
    runtime.insert("re2.max_program_size.error_level".to_owned(), "32768".into());
    json!({
        "node": { "id": "router~10.0.0.1~gateway.istio-system~istio-system.svc.cluster.local",
            "cluster": "istio-ingressgateway.istio-system" },
        "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
        "bootstrap_extensions": [internal],
        "layered_runtime": { "layers": [{ "name": "static", "static_layer": runtime }] },
        "dynamic_resources": { "lds_config": source(folder, "lds.json"), "cds_config": source(folder, "cds.json") },
    })
}
