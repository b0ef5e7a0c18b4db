//! HTTP calls to clusters.

use std::time::Duration;

use bytes::Bytes;
use wasmtime::{Caller, Linker};

use super::{MODULE, host};
use crate::host::callouts::{Callout, is_addressed};
use crate::host::headers::Headers;
use crate::host::state::{Effect, State};
use crate::host::status::{Outcome, Status};

/// Accepts a call, whoever asks, on behalf of the root: it goes on when the asking stream is gone.
fn dispatch(state: &mut State, callout: Callout) -> Result<u32, Status> {
    if !state.around.callouts.knows(&callout.cluster) || !is_addressed(&callout.headers) {
        return Err(Status::BadArgument);
    }
    let (root, token) = (state.acting_root(), state.next_token());
    state.effects.push(Effect::Call { root, token, callout });
    Ok(token)
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "proxy_http_call",
        |caller: Caller<'_, State>,
         cluster: i32,
         cluster_length: i32,
         pairs: i32,
         pairs_length: i32,
         body: i32,
         body_length: i32,
         trailers: i32,
         trailers_length: i32,
         timeout: i32,
         token_at: i32| {
            host(caller, |guest| -> Outcome {
                let cluster = guest.copy(cluster, cluster_length)?;
                let headers = Headers::deserialize(guest.bytes(pairs, pairs_length)?.0);
                let body = Bytes::from(guest.copy(body, body_length)?);
                // They must be there to be read; what they say is dropped, as in Envoy.
                guest.bytes(trailers, trailers_length)?;
                guest.write_u32(token_at, 0)?;
                let timeout = u64::try_from(timeout).map_err(|_| Status::BadArgument)?;
                let timeout = (timeout > 0).then(|| Duration::from_millis(timeout));
                let cluster = String::from_utf8(cluster).map_err(|_| Status::BadArgument)?;
                let callout = Callout { cluster, headers, body, timeout };
                let token = dispatch(guest.state(), callout)?;
                Ok(guest.write_u32(token_at, token)?)
            })
        },
    )?;
    Ok(())
}
