//! The streaming path in real Envoy: what must hold for objects of any size.

/// Stores that fail or hang, and what that costs others.
mod ailing;
/// More than one request to an origin for one of a client's.
mod attempts;
/// Origins, stores and clients that misbehave, and what comes of it.
mod bad_input;
/// How long a rule lets its origin take.
mod bounds;
/// Stores that judge no conditional writes, and stores and origins that take their time.
mod conditions;
/// Large objects that more than one server is asked for.
mod handed_on;
/// What the path promises, shown.
mod promises;
/// Uploads that the store did not confirm.
mod unconfirmed;

/// Bytes that nobody mistakes for others: no two places of an object are alike.
pub(crate) fn pattern(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
