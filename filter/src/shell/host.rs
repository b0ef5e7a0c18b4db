//! The hostcalls this filter makes, each with its errors as values.
//!
//! The SDK's own wrappers panic on a status they do not expect and on header values that are not
//! UTF-8, and a panic takes the worker's whole VM with it. One of them is used all the same: only
//! the SDK's `dispatch_http_call` can tell its dispatcher whose answer a token is, and that one
//! returns the two errors a host gives.

#![expect(unsafe_code, reason = "hostcalls are foreign functions")]

use std::time::Duration;

use proxy_wasm::types::{LogLevel, Status};

use crate::host::{Call, DispatchError};
use crate::http::headers::{HeaderList, Headers};
use crate::metric::Kind;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_done() -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, len: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        name: *const u8,
        name_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_log(level: u32, text: *const u8, text_len: usize) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_len: usize, queue: *mut u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        len: usize,
        data: *const u8,
        data_len: usize,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_set_header_map_pairs(map: u32, pairs: *const u8, pairs_len: usize) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_set_shared_data(
        name: *const u8,
        name_len: usize,
        data: *const u8,
        len: usize,
        cas: u32,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}

/// A status of the host other than Ok (proxy-wasm ABI 0.2.1, `proxy_status_t`).
#[derive(Clone, Copy)]
pub(super) struct HostError(u32);

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.0)
    }
}

impl HostError {
    /// Whether what was asked for is not there, as the headers of a stream that is being taken down.
    pub(super) const fn is_gone(&self) -> bool {
        self.0 == BAD_ARGUMENT
    }
}

type Result<T> = std::result::Result<T, HostError>;

/// A map of headers.
#[derive(Clone, Copy)]
pub(super) enum Map {
    Request = 0,
    Response = 2,
    CallResponse = 6,
}

/// A buffer of bytes.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

const REQUEST_STREAM: u32 = 0;
const RESPONSE_STREAM: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

fn check(status: u32) -> Result<()> {
    match status {
        0 => Ok(()),
        other => Err(HostError(other)),
    }
}

/// Receives a buffer which the host fills by the SDK's allocator.
fn receive(ask: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>> {
    let mut data = std::ptr::null_mut();
    let mut len = 0;
    check(ask(&raw mut data, &raw mut len))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host got the memory from `proxy_on_memory_allocate`, which hands out a boxed
    // slice of just this length and forgets it.
    Ok(unsafe { Vec::from_raw_parts(data, len, len) })
}

pub(super) fn log(level: LogLevel, text: &str) {
    // SAFETY: the host only reads the text. There is nobody left to be told of an error.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

pub(super) fn headers(map: Map) -> Result<Headers> {
    // SAFETY: the two pointers are valid for the call.
    receive(|data, len| unsafe { proxy_get_header_map_pairs(map as u32, data, len) })
        .map(Headers::from_wire)
}

pub(super) fn replace_headers(map: Map, headers: &HeaderList) -> Result<()> {
    let wire = headers.to_wire();
    // SAFETY: the host only reads the buffer.
    check(unsafe { proxy_set_header_map_pairs(map as u32, wire.as_ptr(), wire.len()) })
}

/// Sets a header, in place of any of its name.
pub(super) fn set_header(map: Map, name: &str, value: &[u8]) -> Result<()> {
    // SAFETY: the host only reads both buffers.
    check(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

pub(super) fn buffer(buffer: Buffer, start: usize, len: usize) -> Result<Vec<u8>> {
    // SAFETY: the two pointers are valid for the call.
    receive(|data, got| unsafe { proxy_get_buffer_bytes(buffer as u32, start, len, data, got) })
}

/// Puts other bytes in the place of the first `len`.
pub(super) fn replace(buffer: Buffer, len: usize, bytes: &[u8]) -> Result<()> {
    // SAFETY: the host only reads the bytes.
    check(unsafe { proxy_set_buffer_bytes(buffer as u32, 0, len, bytes.as_ptr(), bytes.len()) })
}

pub(super) fn property(path: &[&str]) -> Result<Vec<u8>> {
    let path = path.join("\0");
    // SAFETY: the host reads the path, and the two pointers are valid for the call.
    receive(|data, len| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, len) })
}

/// Sets a property of one segment, which the host's access log can read.
pub(super) fn set_property(name: &str, value: &str) -> Result<()> {
    // SAFETY: the host only reads the name and the value.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Whether the stream ends since its client has left: by Envoy's response flags, which for an
/// origin that gave no answer are not set by then.
pub(super) fn client_left() -> bool {
    // DownstreamConnectionTermination and DownstreamRemoteReset.
    const LEFT: u64 = 1 << 14 | 1 << 28;
    let flags = property(&["response", "flags"]).unwrap_or_default();
    flags.try_into().is_ok_and(|flags| u64::from_le_bytes(flags) & LEFT != 0)
}

pub(super) fn send_local_response(status: u16, headers: &HeaderList, body: &[u8]) -> Result<()> {
    let wire = headers.to_wire();
    // SAFETY: the host only reads the buffers; a null text of no length is none.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            std::ptr::null(),
            0,
            body.as_ptr(),
            body.len(),
            wire.as_ptr(),
            wire.len(),
            -1,
        )
    })
}

pub(super) fn continue_request() -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_continue_stream(REQUEST_STREAM) })
}

pub(super) fn continue_response() -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_continue_stream(RESPONSE_STREAM) })
}

pub(super) fn set_effective_context(id: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_effective_context(id) })
}

pub(super) fn set_tick_period(period: Duration) -> Result<()> {
    let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

/// Time since the host's epoch.
pub(super) fn now() -> Result<Duration> {
    let mut nanos = 0;
    // SAFETY: the pointer is valid for the call.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanos) })?;
    Ok(Duration::from_nanos(nanos))
}

pub(super) fn define_metric(kind: Kind, name: &str) -> Result<u32> {
    let kind: u32 = match kind {
        Kind::Counter => 0,
        Kind::Gauge | Kind::Moment => 1,
        Kind::Histogram => 2,
    };
    let mut id = 0;
    // SAFETY: the host reads the name, and the pointer is valid for the call.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter or a gauge.
pub(super) fn increment(metric: u32, by: i64) -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_increment_metric(metric, by) })
}

/// Sets a gauge, or adds a value to a histogram.
pub(super) fn record(metric: u32, value: i64) -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_record_metric(metric, value.cast_unsigned()) })
}

pub(super) fn register_queue(name: &str) -> Result<u32> {
    let mut id = 0;
    // SAFETY: the host reads the name, and the pointer is valid for the call.
    check(unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(super) fn enqueue(queue: u32) -> Result<()> {
    let byte = [0_u8];
    // SAFETY: the host only reads the byte.
    check(unsafe { proxy_enqueue_shared_queue(queue, byte.as_ptr(), byte.len()) })
}

pub(super) fn dequeue(queue: u32) -> Result<Vec<u8>> {
    // SAFETY: the two pointers are valid for the call.
    receive(|data, len| unsafe { proxy_dequeue_shared_queue(queue, data, len) })
}

/// What all workers share under a name, and the number of its version. Nothing yet has a number
/// no version ever has: with it a value is only set where there is none.
pub(super) fn shared_data(name: &str) -> (Vec<u8>, u32) {
    let mut cas = 0;
    // SAFETY: the host reads the name, and the three pointers are valid for the call.
    let data = receive(|data, len| unsafe {
        proxy_get_shared_data(name.as_ptr(), name.len(), data, len, &raw mut cas)
    });
    data.map_or((Vec::new(), u32::MAX), |data| (data, cas))
}

/// Sets what all workers share, if it is still of that version.
pub(super) fn set_shared_data(name: &str, value: &[u8], cas: u32) -> Result<()> {
    // SAFETY: the host only reads the name and the value.
    check(unsafe {
        proxy_set_shared_data(name.as_ptr(), name.len(), value.as_ptr(), value.len(), cas)
    })
}

/// Lets go of the root that said it was not done.
pub(super) fn done() -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_done() })
}

/// Sends a request from the context that is active in the SDK.
pub(super) fn dispatch(call: &Call) -> std::result::Result<u32, DispatchError> {
    let headers = call.headers.texts().collect();
    let body = call.body.as_deref().filter(|body| !body.is_empty());
    proxy_wasm::hostcalls::dispatch_http_call(
        &call.cluster,
        headers,
        body,
        Vec::new(),
        call.timeout,
    )
    .map_err(|status| {
        if status == Status::BadArgument { DispatchError::NoCluster } else { DispatchError::NoHost }
    })
}
