//! The properties a filter may ask for: attributes of the request, of the answer, of the plugin.
//!
//! Owns their names and their byte form: texts as they are, numbers as eight bytes, little endian.

use std::time::UNIX_EPOCH;

use super::context::{Context, Stream};
use super::state::State;

/// The one of Envoy's response flags that is set here: DownstreamConnectionTermination.
const CLIENT_LEFT: u64 = 1 << 14;

/// The value of the property at `path`, whose parts are separated by NUL.
pub(crate) fn get(state: &State, path: &[u8]) -> Option<Vec<u8>> {
    let id = state.acting();
    let stream = match state.contexts.get(&id) {
        Some(Context::Stream(stream)) => Some(&**stream),
        Some(Context::Root(_)) | None => None,
    };
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    let identity = &state.around.identity;
    match parts.as_slice() {
        [b"plugin_name"] => Some(identity.name.clone().into_bytes()),
        [b"plugin_root_id"] => Some(identity.root_id.clone().into_bytes()),
        [b"plugin_vm_id"] => Some(identity.vm_id.clone().into_bytes()),
        parts => {
            let stream = stream?;
            stream.properties.get(path).cloned().or_else(|| of_stream(stream, parts))
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn number(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn of_stream(stream: &Stream, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let facts = &stream.facts;
    match parts {
        [b"request", rest @ ..] => of_request(stream, rest),
        [b"response", rest @ ..] => of_response(stream, rest),
        [b"source", b"address"] => Some(text(&facts.source.to_string())),
        [b"source", b"port"] => Some(number(facts.source.port().into())),
        [b"destination", b"address"] => Some(text(&facts.destination.to_string())),
        [b"destination", b"port"] => Some(number(facts.destination.port().into())),
        [b"connection", b"id"] => Some(number(facts.connection)),
        [b"connection", b"mtls"] => Some(vec![0]),
        [b"upstream", b"address"] => stream.upstream.map(|address| text(&address.to_string())),
        [b"upstream", b"port"] => stream.upstream.map(|address| number(address.port().into())),
        [b"xds", b"cluster_name"] | [b"cluster_name"] => Some(text(&facts.cluster)),
        _ => None,
    }
}

fn of_request(stream: &Stream, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let facts = &stream.facts;
    // What is in the headers can be read exactly as long as they can.
    let field = |name: &[u8]| {
        let headers = &stream.request.headers;
        headers.readable.then(|| headers.fields.first(name)).flatten().map(<[u8]>::to_vec)
    };
    match parts {
        [b"path"] => field(b":path"),
        [b"url_path"] => {
            let path = field(b":path")?;
            path.split(|byte| *byte == b'?').next().map(<[u8]>::to_vec)
        }
        [b"query"] => {
            let path = field(b":path")?;
            let start = path.iter().position(|byte| *byte == b'?').map_or(path.len(), |at| at + 1);
            path.get(start..).map(<[u8]>::to_vec)
        }
        [b"host"] => field(b":authority"),
        [b"scheme"] => field(b":scheme"),
        [b"method"] => field(b":method"),
        [b"referer"] => field(b"referer"),
        [b"useragent"] => field(b"user-agent"),
        [b"id"] => field(b"x-request-id"),
        [b"headers", name] => field(name),
        [b"protocol"] => Some(text(facts.protocol)),
        [b"time"] => {
            let since = facts.time.duration_since(UNIX_EPOCH).unwrap_or_default();
            Some(number(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
        }
        _ => None,
    }
}

fn of_response(stream: &Stream, parts: &[&[u8]]) -> Option<Vec<u8>> {
    match parts {
        [b"code"] => stream.status.map(|status| number(status.into())),
        [b"code_details"] => stream.details.as_deref().map(text),
        [b"flags"] => Some(number(if stream.abandoned { CLIENT_LEFT } else { 0 })),
        [b"headers", name] => {
            let headers = &stream.response.headers;
            headers.readable.then(|| headers.fields.first(name)).flatten().map(<[u8]>::to_vec)
        }
        _ => None,
    }
}
