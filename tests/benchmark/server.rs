//! The servers of the benchmark: an origin, and a store that costs next to nothing.
//!
//! `/<anything>/<size>/<anything>` is an object of so many bytes, of which a Range gives a part;
//! its content repeats one block, so that any part of it can be checked without holding it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;

/// The block that every object repeats. Its length divides no part of an upload.
pub(crate) static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(1 << 20);
    while bytes.len() < (1 << 20) - 3 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_le_bytes()[3]);
    }
    bytes
});

/// A request, of which the body is still to be read.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// The first and the last byte asked for.
    range: Option<(u64, u64)>,
    /// The length of the body.
    pub(crate) length: u64,
}

/// One client's connection.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    scratch: Vec<u8>,
}

/// Starts a server that ends with the process, and answers each request by a function.
pub(crate) fn serve<F>(answer: F) -> SocketAddr
where
    F: Fn(&Request, &mut Connection) -> io::Result<()> + Clone + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                // A client that leaves ends its connection.
                let _ = Connection::new(stream).and_then(|mut connection| {
                    while let Some(request) = connection.request()? {
                        answer(&request, &mut connection)?;
                    }
                    Ok(())
                });
            });
        }
    });
    address
}

/// Starts an origin, which is also a bucket that always hits: whatever is asked for is there.
pub(crate) fn origin() -> SocketAddr {
    serve(|request, connection| connection.send_object(request, size(&request.target)).map(drop))
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), scratch: vec![0; 1 << 18] })
    }

    /// The next request; `None` when the client has left.
    fn request(&mut self) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next(), words.next());
        let mut request = Request {
            method: method.unwrap_or_default(),
            target: target.unwrap_or_default(),
            ..Request::default()
        };
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let Some((name, value)) = line.trim().split_once(':') else {
                return Ok(Some(request));
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => request.length = value.trim().parse().unwrap_or(0),
                "range" => {
                    let range = value.trim().strip_prefix("bytes=").and_then(|r| r.split_once('-'));
                    request.range = range.and_then(|(first, last)| {
                        first.parse::<u64>().ok().zip(last.parse::<u64>().ok())
                    });
                }
                _ => {}
            }
        }
    }

    /// Reads so many bytes of an object from a place on, and checks each.
    pub(crate) fn take_object(&mut self, mut at: u64, length: u64) -> io::Result<()> {
        let end = at + length;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(self.scratch.len());
            let count = self.reader.read(&mut self.scratch[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            check(at, &self.scratch[..count])?;
            at += count as u64;
        }
        Ok(())
    }

    /// Reads a body that nobody looks at.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<()> {
        io::copy(&mut self.reader.by_ref().take(length), &mut io::sink()).map(drop)
    }

    /// Sends a head and a short body.
    pub(crate) fn send(&mut self, head: &str, body: &str) -> io::Result<()> {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.reader.get_mut().write_all(answer.as_bytes())
    }

    /// Sends an object, or what was asked for of it.
    pub(crate) fn send_object(&mut self, request: &Request, size: u64) -> io::Result<u64> {
        let (first, end, head) = match request.range {
            Some((first, last)) => {
                let end = (last + 1).min(size);
                let range = format!("content-range: bytes {first}-{}/{size}\r\n", end - 1);
                (first, end, format!("HTTP/1.1 206 Partial Content\r\n{range}"))
            }
            None => (0, size, "HTTP/1.1 200 OK\r\n".to_owned()),
        };
        let head = format!(
            "{head}content-type: application/x-benchmark\r\netag: \"v\"\r\n\
             content-length: {}\r\n\r\n",
            end - first
        );
        let writer = self.reader.get_mut();
        writer.write_all(head.as_bytes())?;
        let mut at = first;
        while at < end {
            let chunk = slice(at, end);
            writer.write_all(chunk)?;
            at += chunk.len() as u64;
        }
        Ok(end - first)
    }
}

/// The size that a path names.
pub(crate) fn size(path: &str) -> u64 {
    path.split('/').find_map(|part| part.parse().ok()).unwrap_or(0)
}

/// Bytes of an object from a place on, no further than `end`.
fn slice(at: u64, end: u64) -> &'static [u8] {
    let block = &*BLOCK;
    let start = usize::try_from(at % block.len() as u64).expect("a place in the block");
    let most = usize::try_from(end - at).unwrap_or(usize::MAX);
    &block[start..block.len().min(start.saturating_add(most))]
}

/// Whether these are an object's bytes from a place on.
pub(crate) fn check(mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let expected = slice(at, at + bytes.len() as u64);
        let (now, later) = bytes.split_at(expected.len());
        if now != expected {
            return Err(io::Error::other(format!("other bytes than the origin's at {at}")));
        }
        at += expected.len() as u64;
        bytes = later;
    }
    Ok(())
}
