//! A client that sends the target, the headers and the body exactly as they are given.

use std::io;
use std::net::{SocketAddr, TcpStream};

use super::wait::DEADLINE;
use super::wire::{Request, Response, Wire};

/// A request under construction.
pub(crate) fn request(method: &str, target: impl AsRef<[u8]>) -> Request {
    let target = target.as_ref().to_vec();
    Request { method: method.to_owned(), target, ..Request::default() }
}

impl Request {
    /// Adds a header, its value as bytes.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Gives it a body.
    pub(crate) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it on a connection of its own and reads the whole answer.
    pub(crate) fn send(&self, to: SocketAddr) -> io::Result<Response> {
        let mut connection = connect(to)?;
        connection.write(&self.addressed(to).to_bytes())?;
        connection.read_response(&self.method)
    }

    /// The same with a Host, where none was given.
    pub(crate) fn addressed(&self, to: SocketAddr) -> Self {
        let mut request = self.clone();
        if request.header("host").is_none() {
            request.headers.insert(0, ("host".to_owned(), to.to_string().into_bytes()));
        }
        request
    }
}

/// A GET, sent.
///
/// # Panics
///
/// When no answer comes.
pub(crate) fn get(to: SocketAddr, target: impl AsRef<[u8]>) -> Response {
    let target = target.as_ref();
    request("GET", target)
        .send(to)
        .unwrap_or_else(|error| panic!("GET {} at {to}: {error}", String::from_utf8_lossy(target)))
}

/// A connection whose reads end at the deadline.
pub(crate) fn connect(to: SocketAddr) -> io::Result<Wire> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(Wire::new(stream))
}
