//! What the host knows of each context: the root of a configuration, and one for each request.
//!
//! Owns which map and buffer is there in which phase. Nothing here calls into the module.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use super::callouts::Answer;
use super::headers::Headers;
use super::journal::{LogRecord, Properties, Touch};
use super::reply::LocalReply;

/// A context by its kind.
#[derive(Debug)]
pub(crate) enum Context {
    Root(Root),
    Stream(Box<Stream>),
}

/// The context of one configuration of the plugin.
#[derive(Debug, Default)]
pub(crate) struct Root {
    /// Readable only while the module is told to configure itself.
    pub(crate) configuration: Option<Arc<str>>,
    /// Readable only while the module is told of it.
    pub(crate) answer: Option<Answer>,
    /// What the last call that ended without a response says of itself.
    pub(crate) status: (u32, &'static str),
    pub(crate) streams: usize,
    /// Replaced by a later configuration: it goes with its last stream.
    pub(crate) retired: bool,
    /// The module asked to be given time when it was told that the root is done.
    pub(crate) lingers: bool,
}

/// Where one direction of a stream stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    /// Not held: the host passes things on as they come.
    Open,
    /// The module paused it.
    Held,
}

/// One of the two directions of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// A map of a stream and whether the module may use it at present.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) fields: Headers,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Map {
    pub(crate) fn offer(&mut self, fields: Headers) {
        *self = Self { fields, readable: true, writable: true };
    }

    pub(crate) fn close(&mut self) {
        self.readable = false;
        self.writable = false;
    }
}

/// One direction: its maps, its body buffer, its gate.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) headers: Map,
    pub(crate) trailers: Map,
    /// There only while the module is told of it, and while it holds it back.
    pub(crate) body: Option<Bytes>,
    pub(crate) gate: Gate,
}

impl Default for Direction {
    fn default() -> Self {
        Self { headers: Map::default(), trailers: Map::default(), body: None, gate: Gate::Open }
    }
}

/// Facts of a request that are not in its headers.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The client's address.
    pub source: SocketAddr,
    /// The gateway's own address.
    pub destination: SocketAddr,
    /// `HTTP/1.1` or the like.
    pub protocol: &'static str,
    /// A number for the client's connection.
    pub connection: u64,
    /// The cluster that serves the request.
    pub cluster: String,
    /// When the request's head was there.
    pub started: Instant,
    /// The same moment by the clock on the wall.
    pub time: SystemTime,
}

/// The context of one client request.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) root: u32,
    pub(crate) facts: RequestFacts,
    pub(crate) upstream: Option<SocketAddr>,
    pub(crate) status: Option<u16>,
    pub(crate) details: Option<String>,
    /// There will be no answer to show.
    pub(crate) unanswered: bool,
    /// It ends before there was an answer, though one might have come.
    pub(crate) abandoned: bool,
    pub(crate) request: Direction,
    pub(crate) response: Direction,
    /// The module's own answer was given to the client.
    pub(crate) answered: bool,
    /// The head of a response is on its way to the client.
    pub(crate) sent: bool,
    /// An answer of the module the host has not taken yet.
    pub(crate) reply: Option<LocalReply>,
    /// The module, or its death, wants the stream gone.
    pub(crate) reset: bool,
    /// What the module has set, by paths.
    pub(crate) properties: Properties,
    pub(crate) touch: Touch,
    pub(crate) log: Vec<LogRecord>,
    /// Who waits for the module to let go.
    pub(crate) wakers: Vec<Waker>,
}

impl Stream {
    pub(crate) fn new(root: u32, facts: RequestFacts) -> Self {
        Self {
            root,
            facts,
            upstream: None,
            status: None,
            details: None,
            unanswered: false,
            abandoned: false,
            request: Direction::default(),
            response: Direction::default(),
            answered: false,
            sent: false,
            reply: None,
            reset: false,
            properties: Properties::new(),
            touch: Touch::Passed,
            log: Vec::new(),
            wakers: Vec::new(),
        }
    }

    pub(crate) const fn direction(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    pub(crate) fn touched(&mut self, touch: Touch) {
        self.touch = self.touch.max(touch);
    }

    pub(crate) fn wait(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|own| own.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    pub(crate) fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
