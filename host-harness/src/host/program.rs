//! A module, compiled once for all workers.
//!
//! Owns the engine and its settings.

use std::fmt;

use wasmtime::{Config, Engine, InstancePre, Linker, Module};

use super::state::State;
use super::{abi, wasi};

/// A compiled filter. Cloning it is cheap: all clones share the machine code.
#[derive(Clone)]
pub struct Program {
    engine: Engine,
    linked: InstancePre<State>,
}

/// Why a module cannot be used as a filter.
#[derive(Debug)]
pub enum ProgramError {
    /// It is no WebAssembly module, or needs what the engine lacks.
    Compile(wasmtime::Error),
    /// It imports what the host does not offer.
    Link(wasmtime::Error),
    /// It does not say that it speaks the one ABI there is here.
    Abi,
}

/// The export by which a module says what it speaks.
const ABI: &str = "proxy_abi_version_0_2_1";

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile(error) => write!(f, "the filter does not compile: {error:#}"),
            Self::Link(error) => write!(f, "the filter imports what there is not here: {error:#}"),
            Self::Abi => write!(
                f,
                "the filter does not export {ABI}: build it with an SDK for proxy-wasm 0.2.1"
            ),
        }
    }
}

impl std::error::Error for ProgramError {}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl Program {
    /// Compiles a module in binary form.
    ///
    /// # Errors
    ///
    /// When it is no module, or one that cannot run here.
    pub fn compile(wasm: &[u8]) -> Result<Self, ProgramError> {
        let engine = Engine::new(&Config::new()).map_err(ProgramError::Compile)?;
        let module = Module::new(&engine, wasm).map_err(ProgramError::Compile)?;
        if module.get_export(ABI).is_none() {
            return Err(ProgramError::Abi);
        }
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker)
            .and_then(|()| wasi::link(&mut linker))
            .map_err(ProgramError::Link)?;
        let linked = linker.instantiate_pre(&module).map_err(ProgramError::Link)?;
        Ok(Self { engine, linked })
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) const fn linked(&self) -> &InstancePre<State> {
        &self.linked
    }
}
