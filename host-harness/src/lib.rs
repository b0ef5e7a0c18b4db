//! The local gateway: a proxy-wasm host and the reverse proxy around it, with the embedded store,
//! the demo and the command line.
//!
//! This library is what the binary `b2o` is made of; the integration tests use it too.

mod access_log;
mod address;
pub mod admin;
pub mod certificate;
pub mod cli;
pub mod console;
pub mod demo;
pub mod deployment;
pub mod diagnostics;
pub mod doctor;
pub mod envoy;
pub mod gateway;
pub mod host;
pub mod image;
pub mod launch;
mod moment;
mod password;
pub mod reference;
pub mod rule_file;
mod secrecy;
mod server;
mod sink;
pub mod store;
pub mod tombstones;

/// The filter, compiled to WebAssembly: the very bytes that go into Envoy.
pub const FILTER_WASM: &[u8] = include_bytes!(env!("MODULE"));
