//! The rows: what goes wrong, and what comes of it.

use std::fmt;
use std::time::Duration;

use crate::support::server::Reply;
use crate::support::wire::Request;

/// A part, as small as S3 takes it.
pub(super) const PART: usize = 5 << 20;

/// An object of three parts.
pub(super) const LARGE: usize = 2 * PART + 12_345;

/// An object of one PUT.
pub(super) const SMALL: usize = 100_000;

/// How long an origin, and a store, may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(3);

/// One row.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) size: usize,
    pub(super) origin: Origin,
    pub(super) store: Fault,
    pub(super) client: Client,
    pub(super) gets: Gets,
    pub(super) kept: Kept,
}

/// An origin's answer to a request, which is its nth for the object.
pub(super) type Origin = fn(&Request, usize, &Object) -> Reply;

/// A store's answer in place of its own, to a request that is the nth of its kind.
pub(super) type Fault = fn(Operation, usize) -> Answer;

/// What an origin has.
pub(super) struct Object {
    pub(super) bytes: Vec<u8>,
    /// What it has after a change.
    pub(super) changed: Vec<u8>,
}

/// A request to the store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Operation {
    Abort,
    Complete,
    Create,
    Part(u32),
    Put,
    Read,
}

/// What the store does.
pub(super) enum Answer {
    /// What it is asked.
    Own,
    /// What it is asked; and it says so when nobody listens any more.
    OwnLate,
    /// What it is asked; and it says something else.
    OwnOtherwise(Reply),
    /// What it is asked; and nobody hears of it.
    OwnUnheard,
    /// Something else.
    Instead(Reply),
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Client {
    /// It reads to the end.
    Reads,
    /// It asks for some bytes only.
    Ranges(&'static str),
    /// It leaves once the origin has been asked.
    LeavesBefore,
    /// It leaves after so many bytes of the answer.
    LeavesAfter(usize),
    /// It reads nothing for a while: longer than an origin may be silent.
    Pauses,
}

/// What a client gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gets {
    /// All of the object.
    All,
    /// The part it asked for.
    Part,
    /// A part of the object, and then the end of the connection.
    Cut,
    /// This error, as a document of S3's.
    Error(u16),
    /// Nothing more: it has gone.
    Gone,
}

/// What the bucket has in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kept {
    All,
    Nothing,
    /// All or nothing.
    Whole,
}

impl fmt::Display for Gets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("the whole object"),
            Self::Part => f.write_str("the part it asked for"),
            Self::Cut => f.write_str("a beginning, then a cut connection"),
            Self::Error(status) => write!(f, "{status} as S3 words it"),
            Self::Gone => f.write_str("(it has left)"),
        }
    }
}

pub(super) fn headers(etag: &'static str) -> [(&'static str, &'static str); 2] {
    [("content-type", "text/plain"), ("etag", etag)]
}

/// An origin without fault, which knows ranges.
pub(super) fn good(request: &Request, _: usize, object: &Object) -> Reply {
    Reply::object(request, &headers("\"v\""), &object.bytes)
}

/// What an origin says of an object whose bytes are not the ones it means: an MD5 of none.
const FALSE: [(&str, &str); 3] = [
    ("content-type", "text/plain"),
    ("etag", "\"v\""),
    ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
];

/// A head that announces one length, and a body of another.
fn announcing(announced: usize, body: &[u8]) -> Reply {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"v\"\r\n\
         content-length: {announced}\r\n\r\n"
    );
    Reply::raw([head.as_bytes(), body].concat())
}

fn half(object: &Object) -> &[u8] {
    &object.bytes[..object.bytes.len() / 2]
}

fn own(_: Operation, _: usize) -> Answer {
    Answer::Own
}

/// A row about an origin.
fn origin(name: &'static str, size: usize, origin: Origin, gets: Gets, kept: Kept) -> Row {
    Row { name, size, origin, store: own, client: Client::Reads, gets, kept }
}

/// A row about a client.
fn client(name: &'static str, size: usize, client: Client, gets: Gets, kept: Kept) -> Row {
    Row { name, size, origin: good, store: own, client, gets, kept }
}

pub(super) fn origins() -> Vec<Row> {
    vec![
        origin(
            "origin sends too few bytes",
            SMALL,
            |_, _, object| announcing(object.bytes.len(), half(object)),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin sends too few bytes, of many",
            LARGE,
            |_, _, object| announcing(object.bytes.len(), half(object)),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin sends more bytes than it announced",
            SMALL,
            |_, _, object| {
                announcing(object.bytes.len(), &[&object.bytes[..], b"and more"].concat())
            },
            Gets::All,
            Kept::Whole,
        ),
        origin(
            "origin resets half way",
            LARGE,
            |_, _, object| announcing(object.bytes.len(), half(object)).reset(),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin resets half way, once",
            LARGE,
            |request, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).reset(),
                _ => good(request, nth, object),
            },
            Gets::Cut,
            Kept::All,
        ),
        origin(
            "origin resets half way, and has changed then",
            LARGE,
            |request, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).reset(),
                _ => Reply::object(request, &headers("\"w\""), &object.changed),
            },
            Gets::Cut,
            Kept::Whole,
        ),
        origin(
            "origin breaks off a body of chunks",
            SMALL,
            |_, _, _| {
                Reply::raw(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
                )
            },
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin stalls before its answer",
            SMALL,
            |_, _, _| Reply::raw("").stall(),
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin stalls half way",
            LARGE,
            |_, _, object| announcing(object.bytes.len(), half(object)).stall(),
            Gets::Cut,
            Kept::Nothing,
        ),
        origin(
            "origin stalls half way, once",
            LARGE,
            |request, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).stall(),
                _ => good(request, nth, object),
            },
            Gets::Cut,
            Kept::All,
        ),
        origin(
            "origin sends 206 unasked",
            SMALL,
            |_, _, object| {
                Reply::new(206, &[("content-range", "bytes 0-9/100000")], &object.bytes[..10])
            },
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin announces the digest of other bytes",
            SMALL,
            |request, _, object| Reply::object(request, &FALSE, &object.bytes),
            Gets::All,
            Kept::Nothing,
        ),
        origin(
            "origin announces the digest of other bytes, of many",
            LARGE,
            |request, _, object| Reply::object(request, &FALSE, &object.bytes),
            Gets::All,
            Kept::Nothing,
        ),
        Row {
            client: Client::Ranges("bytes=10-19"),
            ..origin(
                "origin announces the digest of other bytes in a backfill",
                LARGE,
                |request, _, object| Reply::object(request, &FALSE, &object.bytes),
                Gets::Part,
                Kept::Nothing,
            )
        },
        origin(
            "origin sends no HTTP",
            SMALL,
            |_, _, _| Reply::raw("SSH-2.0-hello\r\n\r\n"),
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin sends a header with NUL",
            SMALL,
            |_, _, _| Reply::raw("HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 4\r\n\r\nbody"),
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin sends two lengths",
            SMALL,
            |_, _, _| {
                Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbody")
            },
            Gets::Error(424),
            Kept::Nothing,
        ),
        origin(
            "origin resets half way, once, and knows no ranges",
            LARGE,
            |_, nth, object| match nth {
                0 => announcing(object.bytes.len(), half(object)).reset(),
                _ => Reply::new(200, &headers("\"v\""), &object.bytes),
            },
            Gets::Cut,
            Kept::Nothing,
        ),
        Row {
            client: Client::Ranges("bytes=10-19"),
            ..origin(
                "origin changes its ETag between parts of a backfill",
                LARGE,
                |request, nth, object| match nth {
                    0..3 => good(request, nth, object),
                    // Without preconditions it would be taken for the same.
                    _ => {
                        let mut request = request.clone();
                        request.headers.retain(|(name, _)| name != "if-match");
                        Reply::object(&request, &headers("\"w\""), &object.changed)
                    }
                },
                Gets::Part,
                Kept::Whole,
            )
        },
        Row {
            client: Client::Ranges("bytes=10-19"),
            ..origin(
                "origin changes between parts of a backfill, and has no ETag",
                LARGE,
                |request, nth, object| {
                    let bytes = if nth < 3 { &object.bytes } else { &object.changed };
                    Reply::object(request, &[("content-type", "text/plain")], bytes)
                },
                Gets::Part,
                Kept::Whole,
            )
        },
    ]
}

pub(super) fn clients() -> Vec<Row> {
    vec![
        Row {
            origin: |request, nth, object| match nth {
                0 => Reply::raw("").stall(),
                _ => good(request, nth, object),
            },
            ..client(
                "client leaves before the origin answers",
                SMALL,
                Client::LeavesBefore,
                Gets::Gone,
                Kept::All,
            )
        },
        client(
            "client leaves after the first bytes",
            LARGE,
            Client::LeavesAfter(1),
            Gets::Gone,
            Kept::All,
        ),
        client(
            "client leaves half way",
            LARGE,
            Client::LeavesAfter(LARGE / 2),
            Gets::Gone,
            Kept::All,
        ),
        client(
            "client leaves before the last bytes",
            LARGE,
            Client::LeavesAfter(LARGE - 1),
            Gets::Gone,
            Kept::All,
        ),
        client("client pauses", 3 * LARGE, Client::Pauses, Gets::All, Kept::All),
        client(
            "client asks for a part",
            LARGE,
            Client::Ranges("bytes=10-19"),
            Gets::Part,
            Kept::All,
        ),
        client(
            "client asks for a part behind the end",
            LARGE,
            Client::Ranges("bytes=99999999-"),
            Gets::Error(416),
            Kept::All,
        ),
        Row {
            origin: |_, _, object| Reply::new(200, &headers("\"v\""), &object.bytes),
            ..client(
                "client asks for a part, and the origin knows none",
                SMALL,
                Client::Ranges("bytes=10-19"),
                Gets::All,
                Kept::All,
            )
        },
    ]
}
