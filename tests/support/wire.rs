//! HTTP/1.1 on a socket, byte for byte: nothing is normalised, neither paths nor header values.
//!
//! Both sides of the tests use it, since libraries refuse to send, or to show, what is tested here.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Headers as they came: names in lower case, values as bytes, in their order.
pub(crate) type Pairs = Vec<(String, Vec<u8>)>;

/// The most headers of one message.
const MAX_HEADERS: usize = 4_096;

/// A request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Pairs,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first value of a header, as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        find(&self.headers, name)
    }

    /// The target up to the query.
    pub(crate) fn path(&self) -> &[u8] {
        self.target.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The bytes of the request, `content-length` added where there is a body.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        put_headers(&mut bytes, &self.headers);
        if !self.body.is_empty() && find(&self.headers, "content-length").is_none() {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Pairs,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that was announced.
    pub(crate) whole: bool,
}

/// As a person reads it, cut where it is long.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            write!(f, ", {name}: {}", String::from_utf8_lossy(value))?;
        }
        let shown = self.body.get(..200).unwrap_or(&self.body);
        let rest = if self.whole { "" } else { ", broken off" };
        let text = String::from_utf8_lossy(shown);
        write!(f, ", {} bytes{rest}: {text}", self.body.len())
    }
}

impl Response {
    /// The first value of a header, as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        find(&self.headers, name)
    }
}

fn find(headers: &Pairs, name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(found, _)| found == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Writes header lines.
pub(crate) fn put_headers(bytes: &mut Vec<u8>, headers: &Pairs) {
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
}

/// One connection, and what was read of it ahead.
pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Room for the headers of a message: each has a line.
    fn slots(&self) -> Vec<httparse::Header<'static>> {
        let lines = self.ahead.iter().filter(|byte| **byte == b'\n').count();
        vec![httparse::EMPTY_HEADER; lines.min(MAX_HEADERS)]
    }

    /// Reads more; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.ahead.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }

    /// Reads whatever comes first.
    pub(crate) fn read_some(&mut self) -> io::Result<bool> {
        self.fill()
    }

    /// The next request; `None` when the peer has closed between two.
    pub(crate) fn read_request(&mut self) -> io::Result<Option<Request>> {
        loop {
            let mut slots = self.slots();
            let mut parsed = httparse::Request::new(&mut slots);
            match parsed.parse(&self.ahead).map_err(invalid)? {
                httparse::Status::Complete(length) => {
                    let mut request = Request {
                        method: parsed.method.unwrap_or_default().to_owned(),
                        target: parsed.path.unwrap_or_default().as_bytes().to_vec(),
                        headers: pairs(parsed.headers),
                        body: Vec::new(),
                    };
                    self.ahead.drain(..length);
                    if request.header("expect").is_some() {
                        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    }
                    let (body, whole) = if is_chunked(&request.headers) {
                        self.read_chunked()?
                    } else {
                        self.read_exact(content_length(&request.headers).unwrap_or(0))?
                    };
                    request.body = body;
                    return Ok(whole.then_some(request));
                }
                httparse::Status::Partial => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The answer to a request of that method; interim answers are skipped.
    pub(crate) fn read_response(&mut self, method: &str) -> io::Result<Response> {
        loop {
            let mut slots = self.slots();
            let mut parsed = httparse::Response::new(&mut slots);
            match parsed.parse(&self.ahead).map_err(invalid)? {
                httparse::Status::Complete(length) => {
                    let status = parsed.code.unwrap_or_default();
                    let headers = pairs(parsed.headers);
                    self.ahead.drain(..length);
                    if (100..200).contains(&status) {
                        continue;
                    }
                    let bodiless = method == "HEAD" || status == 204 || status == 304;
                    let (body, whole) = if bodiless {
                        (Vec::new(), true)
                    } else if is_chunked(&headers) {
                        self.read_chunked()?
                    } else if let Some(length) = content_length(&headers) {
                        self.read_exact(length)?
                    } else {
                        while self.fill()? {}
                        (std::mem::take(&mut self.ahead), true)
                    };
                    return Ok(Response { status, headers, body, whole });
                }
                httparse::Status::Partial => {
                    if !self.fill()? {
                        let kind = io::ErrorKind::UnexpectedEof;
                        return Err(io::Error::new(kind, "closed before the answer's headers"));
                    }
                }
            }
        }
    }

    fn read_exact(&mut self, length: usize) -> io::Result<(Vec<u8>, bool)> {
        while self.ahead.len() < length {
            if !self.fill_unless_reset()? {
                return Ok((std::mem::take(&mut self.ahead), false));
            }
        }
        Ok((self.ahead.drain(..length).collect(), true))
    }

    fn read_chunked(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            match httparse::parse_chunk_size(&self.ahead) {
                Ok(httparse::Status::Complete((start, size))) => {
                    let size = usize::try_from(size).map_err(io::Error::other)?;
                    self.ahead.drain(..start);
                    let (chunk, whole) = self.read_exact(size)?;
                    body.extend_from_slice(&chunk);
                    // What follows a chunk is a line break; trailers nobody sends here.
                    let (_, ended) = if whole { self.read_exact(2)? } else { (Vec::new(), false) };
                    if !ended || size == 0 {
                        return Ok((body, ended));
                    }
                }
                Ok(httparse::Status::Partial) => {
                    if !self.fill_unless_reset()? {
                        return Ok((body, false));
                    }
                }
                Err(_) => return Err(io::Error::other("a chunk without a valid size")),
            }
        }
    }

    /// A connection that is cut inside a body is an outcome here, not a failure of the test.
    fn fill_unless_reset(&mut self) -> io::Result<bool> {
        match self.fill() {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            other => other,
        }
    }
}

fn invalid(error: httparse::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn pairs(headers: &[httparse::Header<'_>]) -> Pairs {
    headers.iter().map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec())).collect()
}

fn is_chunked(headers: &Pairs) -> bool {
    find(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
}

fn content_length(headers: &Pairs) -> Option<usize> {
    find(headers, "content-length")?.parse().ok()
}
