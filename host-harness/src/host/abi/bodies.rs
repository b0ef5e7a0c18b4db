//! Body and configuration buffers.

use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::buffers;
use crate::host::callouts::Answer;
use crate::host::context::Side;
use crate::host::memory::index;
use crate::host::state::State;
use crate::host::status::{Outcome, Status};

/// A buffer by its number.
#[derive(Clone, Copy)]
enum Kind {
    Body(Side),
    CallBody,
    PluginConfiguration,
    /// Those that are there but never hold anything here: other protocols, the configuration of
    /// the machine.
    Empty,
}

impl Kind {
    const fn from_number(number: i32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::Body(Side::Request),
            1 => Self::Body(Side::Response),
            2 | 3 | 5 | 6 | 8 => Self::Empty,
            4 => Self::CallBody,
            7 => Self::PluginConfiguration,
            _ => return Err(Status::BadArgument),
        })
    }

    /// What may be read at present. A body that is not there reads as an empty one; the answer of a
    /// call and the configuration do not.
    fn read(self, state: &mut State) -> Result<Bytes, Status> {
        match self {
            Self::Body(side) => {
                let stream = state.acting_stream();
                let body = stream.and_then(|stream| stream.direction(side).body.clone());
                Ok(body.unwrap_or_default())
            }
            Self::CallBody => {
                let root = state.acting_root();
                match state.root(root).and_then(|root| root.answer.as_ref()) {
                    Some(Answer::Response { body, .. }) => Ok(body.clone()),
                    Some(Answer::Reset) | None => Err(Status::NotFound),
                }
            }
            Self::PluginConfiguration => {
                let id = state.acting();
                let text = state.root(id).and_then(|root| root.configuration.clone());
                text.map(|text| Bytes::copy_from_slice(text.as_bytes())).ok_or(Status::NotFound)
            }
            Self::Empty => Ok(Bytes::new()),
        }
    }

    fn replace(self, state: &mut State, start: usize, length: usize, data: &[u8]) -> Outcome {
        // Whether there is such a buffer is asked before whether it may be changed.
        self.read(state)?;
        let Self::Body(side) = self else { return Err(Status::BadArgument.into()) };
        let stream = state.acting_stream().ok_or(Status::BadArgument)?;
        let body = stream.direction(side).body.as_mut().ok_or(Status::BadArgument)?;
        Ok(buffers::replace(body, start, length, data)?)
    }
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_get_buffer_bytes",
        |caller: Caller<'_, State>,
         kind: i32,
         start: i32,
         length: i32,
         data_at: i32,
         size_at: i32| {
            host(caller, |guest| {
                let buffer = Kind::from_number(kind)?.read(guest.state())?;
                let part = buffers::part(&buffer, index(start), index(length));
                // For nothing, nothing is written, not even an address.
                if part.is_empty() { Ok(()) } else { guest.give(&part, data_at, size_at) }
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_buffer_status",
        |caller: Caller<'_, State>, kind: i32, length_at: i32, flags_at: i32| {
            host(caller, |guest| {
                let length = Kind::from_number(kind)?.read(guest.state())?.len();
                guest.write_length(length_at, length)?;
                Ok(guest.write_u32(flags_at, 0)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_set_buffer_bytes",
        |caller: Caller<'_, State>, kind: i32, start: i32, length: i32, data: i32, size: i32| {
            host(caller, |guest| {
                let kind = Kind::from_number(kind)?;
                let data = guest.copy(data, size)?;
                kind.replace(guest.state(), index(start), index(length), &data)
            })
        },
    )?;
    Ok(())
}
