//! An ordinary static server, as most origins are: objects with an ETag that is no digest, a
//! Last-Modified, ranges; and a count of what it has really sent of each.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::percent_decode;
use socket2::SockRef;

use super::server::Reply;
use super::wire::{Request, Wire};

/// What the system may hold of an answer that nobody has read. A count is right up to that.
const SEND_BUFFER: usize = 64 * 1024;

/// When all its objects were made.
pub(crate) const LAST_MODIFIED: &str = "Mon, 04 Mar 2024 05:06:07 GMT";

/// An object: its type and its bytes.
pub(crate) type Object = (&'static str, Arc<[u8]>);

/// What was asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// Bytes of bodies that were written out.
    pub(crate) bytes: u64,
    /// Answers that are still being written.
    pub(crate) open: u64,
}

/// A running one; it ends with this.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    object: Box<dyn Fn(&str) -> Option<Object> + Send + Sync>,
    headers: Vec<(&'static str, &'static str)>,
    traffic: Mutex<BTreeMap<String, Traffic>>,
    over: AtomicBool,
}

impl Origin {
    /// Starts one that has what the function gives for a decoded path without its first slash, and
    /// adds these headers to every object.
    pub(crate) fn start(
        headers: &[(&'static str, &'static str)],
        object: impl Fn(&str) -> Option<Object> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            object: Box::new(object),
            headers: headers.to_vec(),
            traffic: Mutex::default(),
            over: AtomicBool::new(false),
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
                    // A client that has enough breaks off; what it took is counted.
                    let _ = shared.serve(stream);
                });
            }
        });
        Self { address, shared }
    }

    /// The objects below a path that were asked for: their paths, decoded, without the first slash.
    pub(crate) fn paths_below(&self, prefix: &str) -> Vec<String> {
        let traffic = self.shared.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.keys().filter(|path| path.starts_with(prefix)).cloned().collect()
    }

    /// What was asked of all of them so far. What the origin lacks is not counted.
    pub(crate) fn traffic_below(&self, prefix: &str) -> Traffic {
        let traffic = self.shared.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let below = traffic.iter().filter(|(path, _)| path.starts_with(prefix));
        below.fold(Traffic::default(), |sum, (_, one)| Traffic {
            requests: sum.requests + one.requests,
            bytes: sum.bytes + one.bytes,
            open: sum.open + one.open,
        })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the acceptor, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
        let mut wire = Wire::new(stream);
        while let Some(request) = wire.read_request()? {
            let path = percent_decode(request.path()).decode_utf8_lossy();
            let path = path.trim_start_matches('/').to_owned();
            let Some(object) = (self.object)(&path) else {
                let reply = Reply::new(404, &[("content-type", "text/html")], "<h1>None</h1>");
                let reply = if request.method == "HEAD" { reply.head() } else { reply };
                wire.write(reply.bytes())?;
                continue;
            };
            self.count(&path, |traffic| {
                traffic.requests += 1;
                traffic.open += 1;
            });
            let sent = self.answer(&mut wire, &request, &path, &object);
            self.count(&path, |traffic| traffic.open -= 1);
            sent?;
        }
        Ok(())
    }

    fn answer(
        &self,
        wire: &mut Wire,
        request: &Request,
        path: &str,
        (kind, bytes): &Object,
    ) -> io::Result<()> {
        let etag = format!("\"65e555cf-{:x}\"", bytes.len());
        let own = [
            ("content-type", *kind),
            ("etag", &etag),
            ("last-modified", LAST_MODIFIED),
            ("accept-ranges", "bytes"),
        ];
        let reply = Reply::object(request, &[&own[..], &self.headers].concat(), bytes);
        let reply = if request.method == "HEAD" { reply.head() } else { reply };
        let bytes = reply.bytes();
        let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |end| end + 4);
        let (head, body) = bytes.split_at(end);
        wire.write(head)?;
        for chunk in body.chunks(SEND_BUFFER / 4) {
            wire.write(chunk)?;
            self.count(path, |traffic| traffic.bytes += chunk.len() as u64);
        }
        Ok(())
    }

    fn count(&self, path: &str, change: impl FnOnce(&mut Traffic)) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        change(traffic.entry(path.to_owned()).or_default());
    }
}
