//! The module itself: what it asks of a host, and how large it is.

use wasmparser::{Parser, Payload, TypeRef};

/// The most it may weigh.
const MAX_BYTES: usize = 400_000;

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
fn the_module_is_small() {
    let size = b2o::FILTER_WASM.len();
    assert!(size < MAX_BYTES, "the module has {size} bytes, and may have {MAX_BYTES}");
}

#[test]
fn the_module_asks_for_nothing_envoy_lacks() {
    let (functions, unknown) = imports(b2o::FILTER_WASM);
    assert!(functions > 0, "the module imports nothing, so it was not read");
    assert_eq!(unknown, Vec::<String>::new(), "imports that Envoy does not offer");
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
