//! The proxy-wasm filter: callbacks in, events to the core; effects out, hostcalls.
//!
//! No policy lives here. Only built for Wasm.

mod bucket_stream;
mod host;
mod miss_stream;
mod root;
mod vm;

use proxy_wasm::traits::RootContext;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}}
