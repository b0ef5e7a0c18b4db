//! A server that records every request as it came, and answers as it is told, well or badly.
//!
//! It plays origins, and it stands before stores. What it answers is a function of the request.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use super::wire::{Pairs, Request, Wire, put_headers};

/// What is sent, and what becomes of the connection then.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    bytes: Vec<u8>,
    /// Sent behind them, so many times.
    block: (Arc<[u8]>, u64),
    then: Then,
}

/// What becomes of a connection after a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// It serves the next request.
    Keep,
    /// It is closed in order.
    Close,
    /// It is reset.
    Reset,
    /// It stays open and silent until the server is gone.
    Stall,
}

impl Reply {
    /// Bytes as they are, then the end of the connection.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), block: (Arc::default(), 0), then: Then::Close }
    }

    /// A well-formed answer with a Content-Length.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let headers: Pairs = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Self::from_parts(status, &headers, body.as_ref(), "GET")
    }

    /// What a server that knows ranges and preconditions answers to a GET of an object.
    pub(crate) fn object(request: &Request, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let etag = headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| *value);
        if request.header("if-match").is_some_and(|wanted| Some(wanted.as_str()) != etag) {
            return Self::new(412, headers, "");
        }
        let size = body.len();
        let is_it = |known: String| Some(known.as_str()) == etag;
        let range =
            request.header("range").filter(|_| request.header("if-range").is_none_or(is_it));
        let Some((first, last)) = range.and_then(|range| span(&range, size)) else {
            return Self::new(200, headers, body);
        };
        let mut headers = headers.to_vec();
        match body.get(first..=last) {
            Some(part) if first <= last => {
                let range = format!("bytes {first}-{last}/{size}");
                headers.push(("content-range", &range));
                Self::new(206, &headers, part)
            }
            Some(_) | None => {
                let range = format!("bytes */{size}");
                headers.push(("content-range", &range));
                Self::new(416, &headers, "")
            }
        }
    }

    /// The same from a message's parts, for a request of that method.
    pub(crate) fn from_parts(status: u16, headers: &Pairs, body: &[u8], method: &str) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} x\r\n").into_bytes();
        put_headers(&mut bytes, headers);
        let has_length = headers.iter().any(|(name, _)| name == "content-length");
        if !has_length && status != 204 && status != 304 {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        if method != "HEAD" {
            bytes.extend_from_slice(body);
        }
        Self { bytes, ..Self::raw("") }.keep()
    }

    /// The same, with what stands before the body made anew.
    pub(crate) fn filled(mut self, fill: impl FnOnce(&str) -> String) -> Self {
        let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let (head, body) = self.bytes.split_at(end.unwrap_or_default());
        if let Ok(head) = std::str::from_utf8(head) {
            self.bytes = [fill(head).as_bytes(), body].concat();
        }
        self
    }

    /// What is left of it for a HEAD: where the headers are whole, nothing is wrong with that.
    pub(crate) fn head(&self) -> Self {
        let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        match end.and_then(|end| self.bytes.get(..end + 4)) {
            Some(head) => Self::raw(head).keep(),
            None => self.clone(),
        }
    }

    /// What is sent, blocks aside.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The status in its first line; 0 where it is no HTTP.
    pub(crate) fn status(&self) -> u16 {
        let words = self.bytes.split(|byte| *byte == b' ').nth(1);
        let status = words.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        status.unwrap_or(0)
    }

    /// Keeps the connection after it. A client may use it again after a whole answer, and a server
    /// that closed it would race with that.
    pub(crate) fn keep(mut self) -> Self {
        self.then = Then::Keep;
        self
    }

    /// Resets the connection after it.
    pub(crate) fn reset(mut self) -> Self {
        self.then = Then::Reset;
        self
    }

    /// Sends a block behind it, again and again: more than anybody wants to hold.
    pub(crate) fn then_blocks(mut self, block: impl Into<Arc<[u8]>>, count: u64) -> Self {
        self.block = (block.into(), count);
        self
    }

    /// Leaves the connection open after it, and silent.
    pub(crate) fn stall(mut self) -> Self {
        self.then = Then::Stall;
        self
    }
}

/// The first and the last byte of `bytes=first-last`; `None` for what asks for all of it. A range
/// that begins behind the end ends before it begins.
fn span(range: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1);
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => Some((first, last.min(end.unwrap_or(0)))),
        (Ok(first), Err(_)) if last.is_empty() => Some((first, end.unwrap_or(0))),
        (Err(_), Ok(last)) if first.is_empty() => Some((size.saturating_sub(last), end?)),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => None,
    }
}

/// How a server answers.
pub(crate) type Behaviour = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    requests: Mutex<Vec<Request>>,
    behaviour: Behaviour,
    over: AtomicBool,
    stalled: Mutex<()>,
    woken: Condvar,
}

impl Server {
    /// Starts one on a free port.
    pub(crate) fn start(behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            behaviour: Arc::new(behaviour),
            over: AtomicBool::new(false),
            stalled: Mutex::new(()),
            woken: Condvar::new(),
        });
        let acceptor = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if acceptor.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&acceptor);
                std::thread::spawn(move || {
                    // A client that breaks the connection ends it; what it had asked is recorded.
                    let _ = shared.serve(stream);
                });
            }
        });
        Self { address, shared }
    }

    /// `http://host:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The requests so far, no longer remembered.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.shared.requests))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.woken.notify_all();
        // Wakes the acceptor, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut wire = Wire::new(stream);
        while let Some(request) = wire.read_request()? {
            lock(&self.requests).push(request.clone());
            let reply = (self.behaviour)(&request);
            wire.write(&reply.bytes)?;
            let (block, count) = reply.block;
            for _ in 0..count {
                if self.over.load(Ordering::SeqCst) {
                    return Ok(());
                }
                wire.write(&block)?;
            }
            match reply.then {
                Then::Keep => {}
                Then::Close => return Ok(()),
                Then::Reset => {
                    return SockRef::from(wire.stream()).set_linger(Some(Duration::ZERO));
                }
                Then::Stall => {
                    let mut guard = lock(&self.stalled);
                    while !self.over.load(Ordering::SeqCst) {
                        // Bounded, so that a wake-up between the check and the wait is not missed.
                        let (next, _) = self
                            .woken
                            .wait_timeout(guard, Duration::from_millis(200))
                            .unwrap_or_else(PoisonError::into_inner);
                        guard = next;
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that refuses connections for as long as this lives: bound, and never listened on.
pub(crate) struct ClosedPort {
    pub(crate) address: SocketAddr,
    socket: socket2::Socket,
}

impl ClosedPort {
    pub(crate) fn reserve() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let address = address.as_socket().expect("an IPv4 socket has an IPv4 address");
        Self { address, socket }
    }

    /// Takes connections from now on, and says nothing on them.
    pub(crate) fn listen(&self) {
        self.socket.listen(16).expect("a queue");
    }
}

/// A server that takes no connection: its queue is full, and nobody empties it.
pub(crate) struct Busy {
    pub(crate) address: SocketAddr,
    _listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

impl Busy {
    pub(crate) fn start() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        listener.listen(0).expect("a queue");
        let address = listener.local_addr().expect("a bound socket has an address");
        let address = address.as_socket().expect("an IPv4 socket has an IPv4 address");
        let mut queue = Vec::new();
        // How many fit is the system's affair.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
        }
        Self { address, _listener: listener, _queue: queue }
    }
}
