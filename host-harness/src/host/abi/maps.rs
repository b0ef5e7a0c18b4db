//! Header and trailer maps.

use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::callouts::Answer;
use crate::host::context::Map;
use crate::host::headers::Headers;
use crate::host::state::State;
use crate::host::status::{Outcome, Status};

const LAST_MAP: i32 = 7;

/// A map by its number.
#[derive(Clone, Copy)]
enum Kind {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    CallHeaders,
    CallTrailers,
    /// One of the two of gRPC, which is never there.
    Grpc,
}

impl Kind {
    const fn from_number(number: i32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            4 | 5 => Self::Grpc,
            6 => Self::CallHeaders,
            LAST_MAP => Self::CallTrailers,
            _ => return Err(Status::BadArgument),
        })
    }

    /// The map of the acting stream, if it is one of those.
    fn of_stream(self, state: &mut State) -> Option<&mut Map> {
        let stream = state.acting_stream()?;
        match self {
            Self::RequestHeaders => Some(&mut stream.request.headers),
            Self::RequestTrailers => Some(&mut stream.request.trailers),
            Self::ResponseHeaders => Some(&mut stream.response.headers),
            Self::ResponseTrailers => Some(&mut stream.response.trailers),
            Self::CallHeaders | Self::CallTrailers | Self::Grpc => None,
        }
    }

    /// The fields, if the map may be read at present.
    fn read(self, state: &mut State) -> Option<&Headers> {
        match self {
            Self::RequestHeaders
            | Self::RequestTrailers
            | Self::ResponseHeaders
            | Self::ResponseTrailers => {
                self.of_stream(state).filter(|map| map.readable).map(|map| &map.fields)
            }
            Self::CallHeaders | Self::CallTrailers => {
                let root = state.acting_root();
                match state.root(root)?.answer.as_ref()? {
                    Answer::Response { headers, trailers, .. } => {
                        let is_headers = matches!(self, Self::CallHeaders);
                        Some(if is_headers { headers } else { trailers })
                    }
                    Answer::Reset => None,
                }
            }
            Self::Grpc => None,
        }
    }

    /// The fields, if the map may be changed at present.
    fn write(self, state: &mut State) -> Option<&mut Headers> {
        self.of_stream(state).filter(|map| map.writable).map(|map| &mut map.fields)
    }
}

/// Changes a map, or says that it is not there.
fn change(state: &mut State, kind: i32, change: impl FnOnce(&mut Headers)) -> Outcome {
    let fields = Kind::from_number(kind)?.write(state).ok_or(Status::BadArgument)?;
    change(fields);
    Ok(())
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_get_header_map_pairs",
        |caller: Caller<'_, State>, kind: i32, pairs_at: i32, size_at: i32| {
            host(caller, |guest| {
                // A map that is not there reads as one without fields: here, and only here, the
                // module gets no error.
                let fields = Kind::from_number(kind)?.read(guest.state());
                let fields = fields.filter(|fields| !fields.is_empty());
                let pairs = fields.map(Headers::serialize).unwrap_or_default();
                guest.give(&pairs, pairs_at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_set_header_map_pairs",
        |caller: Caller<'_, State>, kind: i32, pairs: i32, size: i32| {
            host(caller, |guest| {
                let (pairs, state) = guest.bytes(pairs, size)?;
                state.around.shared.permits("set headers")?;
                let pairs = Headers::deserialize(pairs);
                change(state, kind, |fields| *fields = pairs)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_header_map_size",
        |caller: Caller<'_, State>, kind: i32, size_at: i32| {
            host(caller, |guest| {
                let fields = Kind::from_number(kind)?.write(guest.state());
                let size = fields.ok_or(Status::BadArgument)?.byte_size();
                Ok(guest.write_length(size_at, size)?)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_get_header_map_value",
        |caller: Caller<'_, State>,
         kind: i32,
         name: i32,
         name_length: i32,
         value_at: i32,
         size_at: i32| {
            host(caller, |guest| {
                let name = guest.copy(name, name_length)?;
                let fields = Kind::from_number(kind)?.read(guest.state());
                let value = fields.ok_or(Status::BadArgument)?.first(&name);
                let value = value.ok_or(Status::NotFound)?.to_vec();
                guest.give(&value, value_at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_add_header_map_value",
        |caller: Caller<'_, State>,
         kind: i32,
         name: i32,
         name_length: i32,
         value: i32,
         value_length: i32| {
            host(caller, |guest| {
                let name = guest.copy(name, name_length)?;
                let value = guest.copy(value, value_length)?;
                change(guest.state(), kind, |fields| fields.add(&name, &value))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_replace_header_map_value",
        |caller: Caller<'_, State>,
         kind: i32,
         name: i32,
         name_length: i32,
         value: i32,
         value_length: i32| {
            host(caller, |guest| {
                let name = guest.copy(name, name_length)?;
                let value = guest.copy(value, value_length)?;
                change(guest.state(), kind, |fields| fields.set(&name, &value))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proxy_remove_header_map_value",
        |caller: Caller<'_, State>, kind: i32, name: i32, name_length: i32| {
            host(caller, |guest| {
                let name = guest.copy(name, name_length)?;
                change(guest.state(), kind, |fields| fields.remove(&name))
            })
        },
    )?;
    Ok(())
}
