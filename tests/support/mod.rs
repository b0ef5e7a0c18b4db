//! What the tests stand on: hosts, origins, stores and clients, each on a port of its own.

pub(crate) mod bootstrap;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod deployed;
pub(crate) mod envoy;
pub(crate) mod gateway;
pub(crate) mod generated;
pub(crate) mod harness;
#[cfg(feature = "clients")]
pub(crate) mod node;
pub(crate) mod origin;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod python;
pub(crate) mod rules;
pub(crate) mod served;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod streaming;
pub(crate) mod tls;
pub(crate) mod wait;
pub(crate) mod wire;
