//! `filter.yaml`: the filter with its rules.
//!
//! Owns how Envoy runs the module. What the module is told is the plan's.

use super::json::json;
use super::yaml::{List, Map, Yaml};
use super::{MODULE, Settings};
use crate::deployment::Plan;

/// The filter's name in the chain.
pub(super) const NAME: &str = "back-to-origin";

/// The message that configures it.
const MESSAGE: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// The kinds of filter that may be in the file.
pub(super) fn types() -> List {
    List::new().with(format!("type.googleapis.com/{MESSAGE}"))
}

/// Turns the filter on for a route, or a virtual host.
pub(super) fn on() -> Yaml {
    on_alone().shared("on")
}

/// The same, to be added to.
pub(super) fn on_alone() -> Map {
    Map::new().with(NAME, turned_on())
}

/// What turns a filter on that the listener has.
pub(super) fn turned_on() -> Map {
    Map::typed("envoy.config.route.v3.FilterConfig").with("config", Map::new())
}

/// The same, with what else is turned on there.
pub(super) fn on_with(others: impl IntoIterator<Item = (&'static str, Map)>) -> Map {
    let alone = on_alone();
    others.into_iter().fold(alone, |filters, (name, config)| filters.with(name, config))
}

pub(super) fn file(plan: &Plan, module: &[u8], settings: &Settings) -> String {
    let code = Map::new().with("local", Map::new().with("filename", settings.path(MODULE)));
    let machine = Map::new()
        .remark("By it Envoy sees that the module's file is another one.")
        .with("vm_id", format!("{NAME}-{:016x}", fingerprint(module)))
        .with("runtime", "envoy.wasm.runtime.v8")
        .with("code", code);
    let configuration = Map::typed("google.protobuf.StringValue")
        .with("value", Yaml::Lines(json(&plan.configuration)));
    let config = Map::new()
        .with("name", NAME)
        .remark(
            "A module that failed is loaded afresh at the next request, and does not answer 503 for ever.",
        )
        .with("failure_policy", "FAIL_RELOAD")
        .with("vm_config", machine)
        .remark(
            "Taken whole or refused whole. JSON, as the elements of the rules are OSS's. No key of a \
             store is ever in it.",
        )
        .with("configuration", configuration);
    let filter = Map::typed("envoy.config.core.v3.TypedExtensionConfig")
        .with("name", NAME)
        .with("typed_config", Map::typed(MESSAGE).with("config", config));
    Map::new()
        .with("resources", List::new().with(filter))
        .document(&settings.heading("The filter, and the rules of every bucket."))
}

/// Content as a number: FNV-1a, of 64 bits.
pub(super) fn fingerprint(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
