//! The origin, and a bucket that always hits: bytes as fast as they go, whatever is asked.
//!
//! `/<size>/<anything>` is an object of so many bytes, of which a Range gives a part; its content
//! repeats one block, so that any part of it can be checked without holding it.

use std::io::{self, BufRead, BufReader, Write};
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

/// Starts a server that ends with the process.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A client that leaves ends its connection.
                let _ = serve(stream);
            });
        }
    });
    address
}

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default();
        let size = path.split('/').find_map(|part| part.parse::<u64>().ok()).unwrap_or(0);
        let mut range = None;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 {
                return Ok(());
            }
            if header.trim().is_empty() {
                break;
            }
            if let Some(asked) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (first, last) = asked.trim().split_once('-').unwrap_or_default();
                range = first.parse::<u64>().ok().zip(last.parse::<u64>().ok());
            }
        }
        let (first, end, head) = match range {
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
        writer.write_all(head.as_bytes())?;
        let mut at = first;
        while at < end {
            let chunk = slice(at, end);
            writer.write_all(chunk)?;
            at += chunk.len() as u64;
        }
    }
}

/// Bytes of an object from a place on, no further than `end`.
pub(crate) fn slice(at: u64, end: u64) -> &'static [u8] {
    let block = &*BLOCK;
    let start = usize::try_from(at % block.len() as u64).expect("a place in the block");
    let most = usize::try_from(end - at).unwrap_or(usize::MAX);
    &block[start..block.len().min(start.saturating_add(most))]
}
