//! What only Envoy has: gRPC services and foreign functions.
//!
//! Each answers what Envoy answers where it has no such service, call or function.

use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::state::State;
use crate::host::status::Status;

/// Where there is no service of that name, a call cannot begin.
fn no_service(caller: Caller<'_, State>) -> wasmtime::Result<i32> {
    host(caller, |_| Err(Status::InternalFailure.into()))
}

/// Where nothing was begun, there is nothing of that number.
fn no_such_call(caller: Caller<'_, State>) -> wasmtime::Result<i32> {
    host(caller, |_| Err(Status::NotFound.into()))
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_grpc_call",
        |caller: Caller<'_, State>,
         _service: i32,
         _service_length: i32,
         _service_name: i32,
         _service_name_length: i32,
         _method_name: i32,
         _method_name_length: i32,
         _metadata: i32,
         _metadata_length: i32,
         _message: i32,
         _message_length: i32,
         _timeout: i32,
         _token_at: i32| no_service(caller),
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_grpc_stream",
        |caller: Caller<'_, State>,
         _service: i32,
         _service_length: i32,
         _service_name: i32,
         _service_name_length: i32,
         _method_name: i32,
         _method_name_length: i32,
         _metadata: i32,
         _metadata_length: i32,
         _token_at: i32| no_service(caller),
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_grpc_send",
        |caller: Caller<'_, State>, token: i32, _message: i32, _length: i32, _end: i32| {
            // An odd number is that of a call, which takes no messages.
            if token & 1 == 1 {
                return host(caller, |_| Err(Status::BadArgument.into()));
            }
            no_such_call(caller)
        },
    )?;
    linker.func_wrap(MODULE, "proxy_grpc_cancel", |caller: Caller<'_, State>, _token: i32| {
        no_such_call(caller)
    })?;
    linker.func_wrap(MODULE, "proxy_grpc_close", |caller: Caller<'_, State>, _token: i32| {
        no_such_call(caller)
    })?;
    linker.func_wrap(
        MODULE,
        "proxy_call_foreign_function",
        |caller: Caller<'_, State>,
         _name: i32,
         _name_length: i32,
         _arguments: i32,
         _arguments_length: i32,
         _results_at: i32,
         _results_length_at: i32| no_such_call(caller),
    )?;
    Ok(())
}
