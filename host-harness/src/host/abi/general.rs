//! Logs, time, ticks, properties, contexts and status.

use std::time::Duration;

use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::context::Context;
use crate::host::journal::Level;
use crate::host::memory::index;
use crate::host::state::{Effect, State};
use crate::host::status::Status;
use crate::host::{properties, wasi};

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_log",
        |caller: Caller<'_, State>, level: i32, message: i32, length: i32| {
            host(caller, |guest| {
                let level = Level::from_number(level).ok_or(Status::BadArgument)?;
                let (bytes, state) = guest.bytes(message, length)?;
                state.log(level, String::from_utf8_lossy(bytes).into_owned());
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_log_level",
        |caller: Caller<'_, State>, level_at: i32| {
            host(caller, |guest| Ok(guest.write_u32(level_at, Level::Info as u32)?))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_current_time_nanoseconds",
        |caller: Caller<'_, State>, time_at: i32| {
            host(caller, |guest| Ok(guest.write(time_at, &wasi::now().to_le_bytes())?))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_set_tick_period_milliseconds",
        |caller: Caller<'_, State>, period: i32| {
            host(caller, |guest| {
                let period = Duration::from_millis(index(period) as u64);
                let state = guest.state();
                let root = state.acting_root();
                state.effects.push(Effect::Tick { root, period });
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_property",
        |caller: Caller<'_, State>, path: i32, length: i32, value_at: i32, size_at: i32| {
            host(caller, |guest| {
                let (path, state) = guest.bytes(path, length)?;
                state.around.shared.permits("property")?;
                let value = properties::get(state, path).ok_or(Status::NotFound)?;
                guest.give(&value, value_at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_set_property",
        |caller: Caller<'_, State>, path: i32, length: i32, value: i32, size: i32| {
            host(caller, |guest| {
                let path = guest.copy(path, length)?;
                let value = guest.copy(value, size)?;
                let stream = guest.state().acting_stream().ok_or(Status::NotFound)?;
                stream.properties.insert(path, value);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_set_effective_context",
        |caller: Caller<'_, State>, context: i32| {
            host(caller, |guest| {
                let context = context.cast_unsigned();
                let state = guest.state();
                if !state.contexts.contains_key(&context) {
                    return Err(Status::BadArgument.into());
                }
                state.effective = context;
                Ok(())
            })
        },
    )?;
    linker.func_wrap(MODULE, "proxy_done", |caller: Caller<'_, State>| {
        host(caller, |guest| {
            let state = guest.state();
            match state.contexts.get_mut(&state.acting()) {
                Some(Context::Root(root)) if root.lingers => {
                    root.lingers = false;
                    Ok(())
                }
                Some(Context::Root(_) | Context::Stream(_)) | None => Err(Status::NotFound.into()),
            }
        })
    })?;
    linker.func_wrap(
        MODULE,
        "proxy_get_status",
        |caller: Caller<'_, State>, code_at: i32, text_at: i32, size_at: i32| {
            host(caller, |guest| {
                let state = guest.state();
                let root = state.acting_root();
                let (code, text) = state.root(root).map_or((0, ""), |root| root.status);
                guest.write_u32(code_at, code)?;
                guest.give(text.as_bytes(), text_at, size_at)
            })
        },
    )?;
    Ok(())
}
