//! The form in which objects stream: one EnvoyFilter with clusters, a listener, filters and virtual
//! hosts of its own.

use serde_json::{Value, json};

use super::super::Yaml;
use super::{Added, List, Manifest, Map, NAMES};
use crate::envoy::{BOOTSTRAP, CLUSTERS, FILTER, LISTENERS, ROUTES};

/// Where the module and its rules come from: Istio's agent fetches it before Envoy sees it.
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// The name of everything that has one of its own.
const NAME: &str = "back-to-origin";

/// What Istio adds to requests, which is nothing to a server of somebody else's.
const ADDED: [&str; 5] = [
    "x-envoy-internal",
    "x-envoy-external-address",
    "x-envoy-decorator-operation",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
];

impl Added<'_> {
    pub(super) fn filter(&self, head: &dyn Fn(&str) -> String) -> Manifest {
        let labels = self
            .settings
            .selector
            .iter()
            .fold(Map::new(), |map, (name, value)| map.with(name, value.as_str()));
        let spec = Map::new()
            .with("workloadSelector", Map::new().with("labels", labels))
            .with("configPatches", self.patches().apart());
        let filter =
            self.resource("networking.istio.io/v1alpha3", "EnvoyFilter").with("spec", spec);
        Manifest::new(NAMES[1], &head(ABOUT), [filter])
    }

    fn patches(&self) -> List {
        let bootstrap = self.files.value(BOOTSTRAP);
        let listener = &bootstrap["static_resources"]["listeners"][0];
        let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
        let mut all = List::new();
        for (at, cluster) in self.files.resources(CLUSTERS).into_iter().enumerate() {
            let about = if at == 0 { "The servers." } else { "" };
            all = all.remark(about).with(self.patch("CLUSTER", None, "ADD", cluster));
        }
        for cluster in &self.retired {
            all = all.remark(RETIRED).with(self.patch("CLUSTER", None, "ADD", cluster.clone()));
        }
        for listener in self.files.resources(LISTENERS) {
            all = all.remark(ATTEMPTS).with(self.patch("LISTENER", None, "ADD", listener));
        }
        all = all.remark(MODULE).with(self.patch("EXTENSION_CONFIG", None, "ADD", self.module()));
        let router = json!({ "filterChain": { "filter": {
            "name": "envoy.filters.network.http_connection_manager",
            "subFilter": { "name": "envoy.filters.http.router" },
        } } });
        let filters = manager["http_filters"].as_array().map_or(&[][..], Vec::as_slice);
        for filter in filters {
            let about = match filter["name"].as_str() {
                Some("envoy.filters.http.router") | None => continue,
                Some(NAME) => PLACE,
                Some(_) => "It paces what streams from origins.",
            };
            let filter = if filter["name"] == NAME { placed() } else { filter.clone() };
            let patch = self.patch("HTTP_FILTER", Some(&router), "INSERT_BEFORE", filter);
            all = all.remark(about).with(patch);
        }
        let connections = json!({ "filterChain": { "filter": {
            "name": "envoy.filters.network.http_connection_manager",
        } } });
        let early = json!({ "name": "envoy.filters.network.http_connection_manager",
            "typed_config": { "@type": manager["@type"],
                "early_header_mutation_extensions": manager["early_header_mutation_extensions"] } });
        let early = self.patch("NETWORK_FILTER", Some(&connections), "MERGE", early);
        all = all.remark(EARLY).with(early);
        for (at, host) in
            self.virtual_hosts(&manager["stream_idle_timeout"]).into_iter().enumerate()
        {
            let about = if at == 0 { HOSTS } else { "" };
            all = all.remark(about).with(self.patch("VIRTUAL_HOST", None, "ADD", host));
        }
        all
    }

    fn patch(&self, to: &str, listener: Option<&Value>, operation: &str, value: Value) -> Map {
        let place = Map::new()
            .with("context", self.settings.workload.context())
            .maybe("listener", listener.map(|listener| Yaml::from(listener.clone())));
        let patch = Map::new().with("operation", operation).with("value", value);
        Map::new().with("applyTo", to).with("match", place).with("patch", patch)
    }

    /// The module and its rules, by the name that the filter asks for.
    fn module(&self) -> Value {
        let mut filter = self.files.resources(FILTER).into_iter().next().unwrap_or_default();
        let image = &self.settings.image;
        let digest = image.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:"));
        let machine = &mut filter["typed_config"]["config"]["vm_config"];
        // The name of the VM is of the module that stands in the command, which may be another one.
        machine["vm_id"] = format!("{NAME}-{}", digest.unwrap_or_default()).into();
        machine["code"] = json!({ "remote": {
            "http_uri": { "uri": format!("oci://{image}"), "timeout": "30s", "cluster": "_" },
            "sha256": digest.unwrap_or("nil"),
        } });
        filter
    }

    /// The virtual hosts of buckets and of misses, none of which is another application's.
    fn virtual_hosts(&self, idle: &Value) -> Vec<Value> {
        let routes = self.files.resources(ROUTES);
        let routes = routes.into_iter().next().unwrap_or_default();
        let hosts = routes["virtual_hosts"].as_array().map_or(&[][..], Vec::as_slice);
        hosts.iter().filter_map(|host| self.virtual_host(host.clone(), idle)).collect()
    }

    fn virtual_host(&self, mut host: Value, idle: &Value) -> Option<Value> {
        let name = host["name"].as_str().unwrap_or_default().to_owned();
        if name == "path" {
            let domain = self.loaded.deployment.domain.as_ref().map(|domain| domain.0.clone());
            let hosts = match self.settings.hosts.as_slice() {
                [] => domain.into_iter().collect(),
                hosts => hosts.to_vec(),
            };
            // The second is for a mesh that looks at ports.
            let hosts = hosts.iter().flat_map(|host| [host.clone(), format!("{host}:*")]);
            host["domains"] = hosts.collect::<Vec<_>>().into();
        }
        host["name"] = format!("{NAME}-{name}").into();
        host["request_headers_to_remove"] = ADDED.into();
        // Istio has no bound for a stream that stands still.
        for route in host["routes"].as_array_mut().into_iter().flatten() {
            if route["route"].is_object() && route["route"]["idle_timeout"].is_null() {
                route["route"]["idle_timeout"] = idle.clone();
            }
        }
        Some(host)
    }
}

/// The filter, which takes its configuration from Istio, and does nothing but where a route says so.
fn placed() -> Value {
    json!({
        "name": NAME,
        "disabled": true,
        "config_discovery": {
            "config_source": { "ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s" },
            "default_config": { "@type": RBAC, "rules": {} },
            "apply_default_config_without_warming": true,
            "type_urls": [WASM, RBAC],
        },
    })
}

const ABOUT: &str = "Back-to-origin in Istio's proxy, streamed. All is added: clusters, filters, which nothing but the miss \
     route turns on, and virtual hosts of the buckets' own.";

const RETIRED: &str = "No rule names these any more, but the proxies' rules change behind their servers. A later run leaves them out.";

const ATTEMPTS: &str =
    "What Envoy answers in a server's place comes back by it. Nobody can connect to it.";

const MODULE: &str =
    "The module, which Istio's agent fetches by its digest, and the rules. No key is ever in it.";

const PLACE: &str = "Where it stands. A module that cannot be fetched holds up nobody: until it is there, misses are refused.";

const EARLY: &str = "The one thing that is the whole gateway's: what begins with x-envoy- is between Envoy and its filters, and \
     is taken off what clients send. Without it a client could say that its request is a miss.";

const HOSTS: &str = "The buckets' hosts, and the miss route.";
