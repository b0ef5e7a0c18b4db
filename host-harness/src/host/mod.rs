//! A proxy-wasm 0.2.1 host on wasmtime, as strict as Envoy.
//!
//! One worker is one thread with one virtual machine; everything a machine knows lives in its
//! `Store`, and what machines share is passed to them. There is nothing global.
//!
//! * [`Program`] is the compiled filter, [`Plugin`] the filter of one worker.
//! * A client request is a [`FilterStream`]: the gateway shows it heads and bodies and asks what
//!   to do with them.
//! * The filter's HTTP calls go out through [`Callouts`].
//!
//! The module is never entered while it runs. What it asks for in a host function - to go on, to
//! answer, to call - is noted and done when it has returned.

mod abi;
mod buffers;
mod callouts;
mod context;
mod headers;
mod journal;
mod machine;
mod memory;
mod metrics;
mod plugin;
mod program;
mod properties;
mod reply;
mod shared;
mod state;
mod status;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod vm;
mod wasi;

pub use callouts::{Answer, Callout, Callouts, LARGEST_ANSWER, Pending};
pub(crate) use callouts::{CONNECTION_LOST, NO_CONNECTION, PROTOCOL_ERROR, REFUSED, TIMED_OUT};
pub use context::RequestFacts;
pub use headers::Headers;
pub use journal::{Access, Journal, Level, LogRecord, Properties, Record, Silent, Touch};
pub use metrics::Metrics;
pub use plugin::{Plugin, PluginParts, try_configuration};
pub use program::{Program, ProgramError};
pub use reply::LocalReply;
pub use shared::Shared;
pub use state::Identity;
pub use stream::{Closed, FilterStream, Piece, Verdict};
pub use vm::PluginError;
