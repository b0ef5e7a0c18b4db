//! The few functions of WASI a filter's standard library imports.
//!
//! Owns their small versions: no arguments, no files, an empty environment.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Linker};

use super::journal::Level;
use super::memory::{Guest, index};
use super::state::State;
use super::status::Status;

const MODULE: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const FAULT: i32 = 21;
const INVALID: i32 = 28;
const NOT_SUPPORTED: i32 = 58;

/// The most random bytes a module may ask for at once.
const MOST_RANDOM: usize = 64 * 1024;

/// The time of day in nanoseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn errno(outcome: Result<(), i32>) -> i32 {
    outcome.err().unwrap_or(SUCCESS)
}

const fn fault(_: Status) -> i32 {
    FAULT
}

/// Collects what is written to the standard streams into a line of the log.
fn write_out(
    guest: &mut Guest<'_, '_>,
    descriptor: i32,
    vectors: i32,
    count: i32,
    written_at: i32,
) -> Result<(), i32> {
    let level = match descriptor {
        1 => Level::Info,
        2 => Level::Error,
        _ => return Err(BAD_DESCRIPTOR),
    };
    let mut text = Vec::new();
    for number in 0..count {
        let at =
            number.checked_mul(8).and_then(|offset| vectors.checked_add(offset)).ok_or(FAULT)?;
        let vector = guest.copy(at, 8).map_err(fault)?;
        let (address, length) = vector.split_first_chunk::<4>().ok_or(FAULT)?;
        let length = length.first_chunk::<4>().ok_or(FAULT)?;
        let bytes = guest.bytes(i32::from_le_bytes(*address), i32::from_le_bytes(*length));
        text.extend_from_slice(bytes.map_err(fault)?.0);
    }
    guest.write_length(written_at, text.len()).map_err(fault)?;
    let line = String::from_utf8_lossy(&text);
    let line = line.strip_suffix('\n').unwrap_or(&line).to_owned();
    if !line.is_empty() {
        guest.state().log(level, line);
    }
    Ok(())
}

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "environ_get", |_: i32, _: i32| SUCCESS)?;
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut caller: Caller<'_, State>, count_at: i32, size_at: i32| {
            let mut guest = Guest::new(&mut caller);
            let written = guest.write_u32(count_at, 0).and_then(|()| guest.write_u32(size_at, 0));
            errno(written.map_err(fault))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, State>, fd: i32, vectors: i32, count: i32, written_at: i32| {
            errno(write_out(&mut Guest::new(&mut caller), fd, vectors, count, written_at))
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg(format!("the module ended itself with code {code}")))
    })?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, State>, clock: i32, _precision: i64, time_at: i32| {
            if clock != 0 {
                return NOT_SUPPORTED;
            }
            errno(Guest::new(&mut caller).write(time_at, &now().to_le_bytes()).map_err(fault))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut caller: Caller<'_, State>, address: i32, length: i32| {
            if index(length) > MOST_RANDOM {
                return INVALID;
            }
            let mut random = vec![0; index(length)];
            if getrandom::fill(&mut random).is_err() {
                return NOT_SUPPORTED;
            }
            errno(Guest::new(&mut caller).write(address, &random).map_err(fault))
        },
    )?;
    Ok(())
}
