//! The module itself: what it asks of a host, and how large it is.

use wasmparser::{Parser, Payload, TypeRef};

/// The most it may weigh.
const MAX_BYTES: usize = 600_000;

/// What it asks of a proxy, each with `proxy_` before it. All of it every proxy-wasm host has: what
/// is new here has to be looked for in Envoy, in the harness and in the other hosts.
const PROXY: &[&str] = &[
    "add_header_map_value",
    "call_foreign_function",
    "close_stream",
    "continue_stream",
    "define_metric",
    "dequeue_shared_queue",
    "done",
    "enqueue_shared_queue",
    "get_buffer_bytes",
    "get_current_time_nanoseconds",
    "get_header_map_pairs",
    "get_header_map_value",
    "get_property",
    "get_shared_data",
    "get_status",
    "grpc_call",
    "grpc_cancel",
    "grpc_close",
    "grpc_send",
    "grpc_stream",
    "http_call",
    "increment_metric",
    "log",
    "record_metric",
    "register_shared_queue",
    "remove_header_map_value",
    "replace_header_map_value",
    "resolve_shared_queue",
    "send_local_response",
    "set_buffer_bytes",
    "set_effective_context",
    "set_header_map_pairs",
    "set_property",
    "set_shared_data",
    "set_tick_period_milliseconds",
];

/// What it asks of WASI, for the standard library's panics, maps and environment.
const WASI: &[&str] = &["environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"];

#[test]
fn the_module_is_small() {
    let size = b2o::FILTER_WASM.len();
    assert!(size < MAX_BYTES, "the module has {size} bytes, and may have {MAX_BYTES}");
}

#[test]
fn the_module_asks_for_these_functions_and_no_others() {
    let proxy = PROXY.iter().map(|name| format!("env.proxy_{name}"));
    let wasi = WASI.iter().map(|name| format!("wasi_snapshot_preview1.{name}"));
    let expected: Vec<String> = proxy.chain(wasi).collect();
    assert_eq!(imports(b2o::FILTER_WASM), expected);
}

/// The packages of a lock file, each as its entry up to its dependencies.
fn packages(lock: &str) -> Vec<&str> {
    let entries = lock.split("[[package]]").skip(1);
    entries.map(|entry| entry.split("dependencies = [").next().unwrap_or(entry).trim()).collect()
}

#[test]
fn the_module_is_made_of_the_packages_that_are_tested_natively() {
    let own = packages(include_str!("../filter/module/Cargo.lock"));
    let all = packages(include_str!("../Cargo.lock"));
    let others: Vec<_> = own
        .into_iter()
        .filter(|package| !all.contains(package))
        .filter_map(|package| package.lines().next())
        .collect();
    assert_eq!(others, ["name = \"back-to-origin-module\""]);
}

/// What a module imports, in the order of the names.
fn imports(module: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(imports) = payload.expect("the module is well-formed") else {
            continue;
        };
        for import in imports.into_imports() {
            let import = import.expect("the module is well-formed");
            let name = format!("{}.{}", import.module, import.name);
            assert!(matches!(import.ty, TypeRef::Func(_)), "{name} is no function");
            found.push(name);
        }
    }
    found.sort();
    found
}
