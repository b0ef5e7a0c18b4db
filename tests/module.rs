//! The module itself: what it asks of a host, and how large it is.

use wasmparser::{Parser, Payload, TypeRef};

/// The most it may weigh.
const MAX_BYTES: usize = 400_000;

/// The same for the one that also knows the origins' side.
const MAX_STREAMING_BYTES: usize = 440_000;

/// What Envoy offers of WASI (proxy-wasm-cpp-host, `FOR_ALL_WASI_FUNCTIONS`).
const WASI: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_read",
    "fd_seek",
    "fd_write",
    "path_filestat_get",
    "path_open",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

#[test]
fn the_modules_are_small() {
    for (module, most) in
        [(b2o::FILTER_WASM, MAX_BYTES), (b2o::STREAMING_FILTER_WASM, MAX_STREAMING_BYTES)]
    {
        let size = module.len();
        assert!(size < most, "the module has {size} bytes, and may have {most}");
    }
}

#[test]
fn the_modules_ask_for_nothing_envoy_lacks() {
    for module in [b2o::FILTER_WASM, b2o::STREAMING_FILTER_WASM] {
        let (functions, unknown) = imports(module);
        assert!(functions > 0, "the module imports nothing, so it was not read");
        assert_eq!(unknown, Vec::<String>::new(), "imports that Envoy does not offer");
    }
}

/// How many functions a module imports, and which of them Envoy does not offer.
fn imports(module: &[u8]) -> (usize, Vec<String>) {
    let mut functions = 0;
    let mut unknown = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(imports) = payload.expect("the module is well-formed") else {
            continue;
        };
        for import in imports.into_imports() {
            let import = import.expect("the module is well-formed");
            functions += 1;
            let known = match import.module {
                "env" => import.name.starts_with("proxy_"),
                "wasi_snapshot_preview1" => WASI.contains(&import.name),
                _ => false,
            };
            if !known || !matches!(import.ty, TypeRef::Func(_)) {
                unknown.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    (functions, unknown)
}
