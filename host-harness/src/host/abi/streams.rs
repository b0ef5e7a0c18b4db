//! Going on, giving up, and answering in place of the store.
//!
//! Nothing of this happens while the module runs: it leaves a note in the stream, which whoever
//! serves the stream reads afterwards.

use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::context::{Gate, Side, Stream};
use crate::host::headers::Headers;
use crate::host::memory::Guest;
use crate::host::reply::LocalReply;
use crate::host::state::State;
use crate::host::status::{Outcome, Status};

const REQUEST: i32 = 0;
const RESPONSE: i32 = 1;
const DOWNSTREAM: i32 = 2;
const UPSTREAM: i32 = 3;

/// Lets a held direction go on. One that is not held is left alone: a module that says "continue"
/// and then returns "pause" stays paused, as in Envoy.
fn go_on(guest: &mut Guest<'_, '_>, kind: i32) -> Outcome {
    let side = match kind {
        REQUEST => Side::Request,
        RESPONSE => Side::Response,
        _ => return Err(Status::BadArgument.into()),
    };
    let Some(stream) = guest.state().acting_stream() else { return Ok(()) };
    // Either way the request is out of the module's hands from now on.
    stream.request.headers.close();
    stream.request.trailers.close();
    stream.direction(side).gate = Gate::Open;
    stream.wake();
    Ok(())
}

fn give_up(guest: &mut Guest<'_, '_>, kind: i32) -> Outcome {
    match kind {
        REQUEST | RESPONSE => {
            if let Some(stream) = guest.state().acting_stream() {
                stream.details.get_or_insert_with(|| "wasm_close_stream".to_owned());
                stream.reset = true;
                stream.wake();
            }
            Ok(())
        }
        // A stream of HTTP has no connection of its own to close.
        DOWNSTREAM | UPSTREAM => Ok(()),
        _ => Err(Status::BadArgument.into()),
    }
}

/// Whether there is no way to answer any more: one answer waits to be taken, or was given.
const fn is_answered(stream: &Stream) -> bool {
    stream.reply.is_some() || stream.answered
}

fn reply(state: &mut State, reply: LocalReply) -> Outcome {
    state.stop = true;
    // A root has nobody to answer, and is not told so.
    let Some(stream) = state.acting_stream() else { return Ok(()) };
    if is_answered(stream) {
        return Err(Status::BadArgument.into());
    }
    if stream.sent {
        // Too late for another answer: all that is left is to break this one off.
        stream.reset = true;
    } else {
        stream.response.headers.close();
        stream.response.trailers.close();
        stream.reply = Some(reply);
    }
    stream.wake();
    Ok(())
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "proxy_continue_stream", |caller: Caller<'_, State>, kind: i32| {
        host(caller, |guest| go_on(guest, kind))
    })?;
    linker.func_wrap(MODULE, "proxy_close_stream", |caller: Caller<'_, State>, kind: i32| {
        host(caller, |guest| give_up(guest, kind))
    })?;
    linker.func_wrap(
        MODULE,
        "proxy_send_local_response",
        |caller: Caller<'_, State>,
         status: i32,
         details: i32,
         details_length: i32,
         body: i32,
         body_length: i32,
         pairs: i32,
         pairs_length: i32,
         _grpc_status: i32| {
            host(caller, |guest| {
                let details = guest.copy(details, details_length)?;
                let body = Bytes::from(guest.copy(body, body_length)?);
                let (pairs, state) = guest.bytes(pairs, pairs_length)?;
                state.around.shared.permits("answer")?;
                let headers = Headers::deserialize(pairs);
                // Envoy writes the details into a line of words without spaces.
                let details = String::from_utf8_lossy(&details).replace([' ', '\t', '\n'], "_");
                let status = u16::try_from(status).unwrap_or_default();
                reply(state, LocalReply { status, details, headers, body })
            })
        },
    )?;
    Ok(())
}
