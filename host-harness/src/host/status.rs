//! The statuses a host function answers with, and how one is refused.
//!
//! Owns the numbers of the ABI. Which call answers what is decided where the call is.

/// What a host function tells the module, by the numbers of proxy-wasm 0.2.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i32)]
pub(crate) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    BrokenConnection = 11,
}

/// Why a host function did not do what was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The module is told and goes on.
    Status(Status),
    /// The module itself failed while the host called back into it for memory.
    Trap(wasmtime::Error),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<wasmtime::Error> for Refusal {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// What the body of a host function returns.
pub(crate) type Outcome = Result<(), Refusal>;

/// Turns the outcome of a host function into what wasmtime hands to the module.
pub(crate) fn answer(outcome: Outcome) -> wasmtime::Result<i32> {
    match outcome {
        Ok(()) => Ok(Status::Ok as i32),
        Err(Refusal::Status(status)) => Ok(status as i32),
        Err(Refusal::Trap(error)) => Err(error),
    }
}
