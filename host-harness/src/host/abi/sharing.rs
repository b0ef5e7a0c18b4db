//! Shared data, shared queues, metrics.

use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::metrics::Kind;
use crate::host::state::State;
use crate::host::status::Status;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    data(linker)?;
    queues(linker)?;
    metrics(linker)
}

fn data(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_get_shared_data",
        |caller: Caller<'_, State>,
         key: i32,
         key_length: i32,
         value_at: i32,
         size_at: i32,
         cas_at: i32| {
            host(caller, |guest| {
                let (key, state) = guest.bytes(key, key_length)?;
                let around = &state.around;
                let (value, cas) = around.shared.get(around.identity.vm_id.as_bytes(), key)?;
                guest.give(&value, value_at, size_at)?;
                Ok(guest.write_u32(cas_at, cas)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_set_shared_data",
        |caller: Caller<'_, State>, key: i32, key_length: i32, value: i32, size: i32, cas: i32| {
            host(caller, |guest| {
                let value = Bytes::from(guest.copy(value, size)?);
                let (key, state) = guest.bytes(key, key_length)?;
                let (shared, vm_id) = (&state.around.shared, &state.around.identity.vm_id);
                Ok(shared.set(vm_id.as_bytes(), key, value, cas.cast_unsigned())?)
            })
        },
    )?;
    Ok(())
}

fn queues(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_register_shared_queue",
        |caller: Caller<'_, State>, name: i32, length: i32, token_at: i32| {
            host(caller, |guest| {
                let (name, state) = guest.bytes(name, length)?;
                let owner = (state.around.machine, state.acting_root());
                let around = &state.around;
                let token = around.shared.register(
                    around.identity.vm_id.as_bytes(),
                    name,
                    owner,
                    around.notices.clone(),
                );
                Ok(guest.write_u32(token_at, token)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_resolve_shared_queue",
        |caller: Caller<'_, State>,
         vm_id: i32,
         vm_id_length: i32,
         name: i32,
         length: i32,
         token_at: i32| {
            host(caller, |guest| {
                let vm_id = guest.copy(vm_id, vm_id_length)?;
                let (name, state) = guest.bytes(name, length)?;
                let own = state.around.identity.vm_id.as_bytes();
                let vm_id = if vm_id.is_empty() { own } else { &vm_id };
                let token = state.around.shared.resolve(vm_id, name)?;
                Ok(guest.write_u32(token_at, token)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_enqueue_shared_queue",
        |caller: Caller<'_, State>, token: i32, value: i32, size: i32| {
            host(caller, |guest| {
                let value = Bytes::from(guest.copy(value, size)?);
                guest.state().around.shared.permits("enqueue")?;
                Ok(guest.state().around.shared.enqueue(token.cast_unsigned(), value)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_dequeue_shared_queue",
        |caller: Caller<'_, State>, token: i32, value_at: i32, size_at: i32| {
            host(caller, |guest| {
                let value = guest.state().around.shared.dequeue(token.cast_unsigned())?;
                guest.give(&value, value_at, size_at)
            })
        },
    )?;
    Ok(())
}

fn metrics(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_define_metric",
        |caller: Caller<'_, State>, kind: i32, name: i32, length: i32, id_at: i32| {
            host(caller, |guest| {
                let (name, state) = guest.bytes(name, length)?;
                let kind = Kind::from_number(kind.cast_unsigned()).ok_or(Status::BadArgument)?;
                let name = String::from_utf8_lossy(name).into_owned();
                let id = state.defined.define(state.around.shared.metrics(), kind, name);
                Ok(guest.write_u32(id_at, id)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_increment_metric",
        |caller: Caller<'_, State>, id: i32, offset: i64| {
            host(caller, |guest| {
                let state = guest.state();
                let all = state.around.shared.metrics();
                Ok(state.defined.increment(all, id.cast_unsigned(), offset)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_record_metric",
        |caller: Caller<'_, State>, id: i32, value: i64| {
            host(caller, |guest| {
                let state = guest.state();
                let all = state.around.shared.metrics();
                Ok(state.defined.record(all, id.cast_unsigned(), value.cast_unsigned())?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_metric",
        |caller: Caller<'_, State>, id: i32, value_at: i32| {
            host(caller, |guest| {
                let state = guest.state();
                let value = state.defined.get(state.around.shared.metrics(), id.cast_unsigned())?;
                Ok(guest.write(value_at, &value.to_le_bytes())?)
            })
        },
    )?;
    Ok(())
}
