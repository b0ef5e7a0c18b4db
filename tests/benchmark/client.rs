//! A client that keeps its connection, checks every byte and holds none.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::server::check;

/// One connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    host: SocketAddr,
    scratch: Vec<u8>,
}

/// When an answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Until the first byte of the body, or the end of a head without one.
    pub(crate) first_byte: Duration,
    /// Until the last.
    pub(crate) last_byte: Duration,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { reader: BufReader::new(stream), host: to, scratch: vec![0; 1 << 18] })
    }

    /// Gets a path; a 200 must be the object that the benchmark's server has there.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(path, check)
    }

    /// Gets a path, whatever its bytes are.
    pub(crate) fn get_anything(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(path, |_, _| Ok(()))
    }

    fn ask(
        &mut self,
        path: &str,
        check: impl Fn(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<Answer> {
        let start = Instant::now();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in {line:?}")))?;
        let mut length = 0_u64;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut first_byte = start.elapsed();
        let mut at = 0;
        while at < length {
            let most = usize::try_from(length - at).unwrap_or(usize::MAX).min(self.scratch.len());
            let count = self.reader.read(&mut self.scratch[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if at == 0 {
                first_byte = start.elapsed();
            }
            if status == 200 {
                check(at, &self.scratch[..count])?;
            }
            at += count as u64;
        }
        Ok(Answer { status, first_byte, last_byte: start.elapsed() })
    }
}
