//! The `env` functions of proxy-wasm 0.2.1, one file for each family.
//!
//! Owns the table of imports: every function of the ABI is there, whatever the filter uses. What
//! makes no sense outside Envoy answers what Envoy answers for "not available".

mod absent;
mod bodies;
mod calls;
mod general;
mod maps;
mod sharing;
mod streams;

use wasmtime::{Caller, Linker};

use super::memory::Guest;
use super::state::State;
use super::status::{Outcome, answer};

/// The module all functions are imported from.
const MODULE: &str = "env";

/// Runs the body of a host function.
fn host(
    mut caller: Caller<'_, State>,
    body: impl FnOnce(&mut Guest<'_, '_>) -> Outcome,
) -> wasmtime::Result<i32> {
    answer(body(&mut Guest::new(&mut caller)))
}

/// Offers all functions to modules.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    general::link(linker)?;
    streams::link(linker)?;
    maps::link(linker)?;
    bodies::link(linker)?;
    calls::link(linker)?;
    sharing::link(linker)?;
    absent::link(linker)
}
