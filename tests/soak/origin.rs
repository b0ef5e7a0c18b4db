//! An origin with every fault that origins have, by the key of the object.

use std::sync::Arc;

use super::truth::{Truth, Version};
use crate::support::server::{Reply, Server};
use crate::support::wire::Request;

/// How an origin behaves that has an object, or has not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    Absent,
    /// Breaks off in the middle.
    Broken,
    /// Has another version for every few requests.
    Changing,
    Chunked,
    ChunkedBroken,
    /// Announces more than there is in the world, and sends a little.
    Enormous,
    /// Sends a part as if it were all.
    Partial,
    Redirecting,
    Reset,
    Sound,
    Stalling,
    Unavailable,
    /// Ends by closing the connection.
    Unannounced,
    /// The same, but the connection is reset in the middle.
    UnannouncedReset,
    /// Names no version.
    Unnamed,
    /// Knows no ranges.
    Unranged,
    /// Names versions weakly.
    Weak,
}

use Manner::{
    Absent, Broken, Changing, Chunked, ChunkedBroken, Enormous, Partial, Redirecting, Reset, Sound,
    Stalling, Unannounced, UnannouncedReset, Unavailable, Unnamed, Unranged, Weak,
};

/// Every manner, as often as it is met.
const MANNERS: [Manner; 32] = [
    Sound,
    Sound,
    Sound,
    Sound,
    Sound,
    Sound,
    Sound,
    Sound,
    Sound,
    Sound,
    Changing,
    Changing,
    Changing,
    Changing,
    Broken,
    Broken,
    Reset,
    Chunked,
    Chunked,
    ChunkedBroken,
    Unannounced,
    UnannouncedReset,
    Unranged,
    Unranged,
    Weak,
    Unnamed,
    Redirecting,
    Redirecting,
    Partial,
    Unavailable,
    Absent,
    Enormous,
];

impl Manner {
    /// That of an object.
    pub(crate) fn of(number: u64) -> Self {
        // One in so many is enough: each takes a connection for as long as it is waited for.
        if number.is_multiple_of(331) {
            return Stalling;
        }
        MANNERS[usize::try_from(number % 32).expect("a small number")]
    }

    /// Whether a client that counts its bytes can be told a part of an object as all of it.
    pub(crate) const fn hides_its_end(self) -> bool {
        matches!(self, UnannouncedReset)
    }
}

/// The path of an object in its bucket, and at its origin.
pub(crate) fn key(number: u64) -> String {
    format!("{:?}/{number}", Manner::of(number))
}

/// The number in a path.
fn number(request: &Request) -> Option<u64> {
    let path = std::str::from_utf8(request.path()).ok()?;
    path.rsplit('/').next()?.parse().ok()
}

/// Starts one.
pub(crate) fn start(truth: Arc<Truth>) -> Server {
    Server::start(move |request| match number(request) {
        Some(number) => answer(request, number, &truth),
        None => Reply::new(404, &[], "no such object"),
    })
}

fn answer(request: &Request, number: u64, truth: &Truth) -> Reply {
    let manner = Manner::of(number);
    let changes = manner == Changing && request.header("if-match").is_none();
    let version = if changes { truth.change(number) } else { truth.now(number) };
    let reply = of(request, manner, version);
    if request.method == "HEAD" { reply.head() } else { reply }
}

fn of(request: &Request, manner: Manner, version: Version) -> Reply {
    let (body, etag) = (version.body(), version.etag());
    let headers = [("etag", etag.as_str()), ("last-modified", "Tue, 01 Sep 2026 00:00:00 GMT")];
    let half = body.len() / 2;
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\netag: {etag}\r\n{more}\r\n").into_bytes();
    let length = format!("content-length: {}\r\n", body.len());
    let raw = |head: Vec<u8>, body: &[u8]| Reply::raw([&head, body].concat());
    match manner {
        Absent => Reply::new(404, &[], "no such object"),
        Unavailable => Reply::new(503, &[], "not now"),
        Sound | Changing => Reply::object(request, &headers, &body),
        Redirecting if !request.path().starts_with(b"/moved/") => {
            let to = format!("/moved/{}", version.number);
            Reply::new(302, &[("location", &to)], "")
        }
        Redirecting => Reply::object(request, &headers, &body),
        Weak => Reply::object(request, &[("etag", &format!("W/{etag}"))], &body),
        Unnamed => Reply::object(request, &[], &body),
        Unranged => Reply::new(200, &headers, &body),
        Broken => raw(head(&length), &body[..half]),
        Reset => raw(head(&length), &body[..half]).reset(),
        Stalling => raw(head(&length), &body[..half]).stall(),
        Chunked => raw(head("transfer-encoding: chunked\r\n"), &chunked(&body, true)).keep(),
        ChunkedBroken => {
            raw(head("transfer-encoding: chunked\r\n"), &chunked(&body[..half], false))
        }
        Unannounced => raw(head("connection: close\r\n"), &body),
        UnannouncedReset => raw(head("connection: close\r\n"), &body[..half]).reset(),
        Enormous => raw(head("content-length: 1125899906842624\r\n"), &body),
        Partial => {
            let part = &body[..half];
            let said = format!(
                "content-range: bytes 0-{}/{}\r\ncontent-length: {}\r\n",
                half.saturating_sub(1),
                body.len(),
                part.len()
            );
            raw(head(&said), part).keep()
        }
    }
}

fn chunked(body: &[u8], ends: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(10_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    if ends {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    bytes
}
