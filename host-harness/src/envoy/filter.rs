//! `filter.yaml`: the filter with its rules.
//!
//! Owns how Envoy runs the module. What the module is told is the plan's.

use super::yaml::{List, Map, Yaml, escape};
use super::{DataPath, MODULE, Settings, needs_front};
use crate::deployment::{Loaded, Plan};

/// The filter's name in the chain.
pub(super) const NAME: &str = "back-to-origin";

/// The name of the filter on the origins' side. It is another one, since routes that turn a filter
/// off by its name do so on both sides.
pub(super) const ORIGIN_NAME: &str = "back-to-origin-mirror";

/// The message that configures it.
const MESSAGE: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// The message of a filter that does nothing.
const NOTHING: &str = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";

/// The kinds of filter that may be in the file.
pub(super) fn types(path: DataPath) -> List {
    let kinds: &[&str] = match path {
        DataPath::Callout => &[MESSAGE],
        DataPath::Streaming => &[MESSAGE, NOTHING],
    };
    kinds.iter().map(|kind| format!("type.googleapis.com/{kind}")).collect()
}

pub(super) fn file(loaded: &Loaded, plan: &Plan, module: &[u8], settings: &Settings) -> String {
    let (remark, config) = if is_needed(loaded, settings.data_path) {
        ("", wasm(&plan.configuration, "", module, settings))
    } else {
        (
            "No rule redirects, so no module sees what clients ask of the buckets.",
            Map::typed(NOTHING),
        )
    };
    let filter = Map::typed("envoy.config.core.v3.TypedExtensionConfig")
        .with("name", NAME)
        .remark(remark)
        .with("typed_config", config);
    Map::new().with("resources", List::new().with(filter)).document(&settings.heading(
        "The filter before the buckets, and the rules of every bucket. Envoy watches this file.",
    ))
}

/// Whether the module stands before the buckets.
pub(super) fn is_needed(loaded: &Loaded, path: DataPath) -> bool {
    path == DataPath::Callout || needs_front(loaded)
}

/// The module, as a filter.
pub(super) fn wasm(configuration: &str, side: &str, module: &[u8], settings: &Settings) -> Map {
    let code = Map::new().with("local", Map::new().with("filename", settings.path(MODULE)).flow());
    let machine = Map::new()
        .remark(
            "It names the module's content: Envoy reads the file of the module again only when \
             something here has changed.",
        )
        .with("vm_id", format!("{NAME}{side}-{:016x}", fingerprint(module)))
        .with("runtime", "envoy.wasm.runtime.v8")
        .with("code", code);
    let configuration =
        Map::typed("google.protobuf.StringValue").with("value", Yaml::Lines(escape(configuration)));
    let config = Map::new()
        .with("name", NAME)
        .remark(
            "A module that failed is loaded afresh at the next request. With the default, \
             FAIL_CLOSED, that worker would answer 503 until Envoy is started anew.",
        )
        .with("failure_policy", "FAIL_RELOAD")
        .with("vm_config", machine)
        .remark(
            "Taken whole or refused whole: with a mistake in it a running Envoy goes on with what \
             it had. JSON, as the elements of the rules are OSS's. No key of a store is ever in it.",
        )
        .with("configuration", configuration);
    Map::typed(MESSAGE).with("config", config)
}

/// Content as a number: FNV-1a, of 64 bits.
pub(super) fn fingerprint(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
