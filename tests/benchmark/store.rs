//! The stores of the benchmark: the embedded one, and one that takes bytes and checks them, but
//! neither digests nor keeps them, so that what is measured is the gateway.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::server::{self, Connection, Request};
use crate::support::store::Files;
use crate::support::wait::within;

/// The size of a part but the last: the filter's default.
const PART: u64 = 8 << 20;

/// A store, and how many objects have become visible in it.
pub(crate) struct Store {
    address: SocketAddr,
    stored: Arc<AtomicU64>,
    _files: Option<Files>,
}

/// Which store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The embedded one: files, and MD5 digests of all they hold.
    Embedded,
    /// One that forgets the bytes.
    Forgetful,
}

impl Kind {
    /// What a line says of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "the embedded store",
            Self::Forgetful => "a store that forgets the bytes",
        }
    }
}

impl Store {
    pub(crate) fn start(kind: Kind) -> Self {
        let stored = Arc::new(AtomicU64::new(0));
        match kind {
            Kind::Embedded => {
                let counter = Arc::clone(&stored);
                let files = Files::start_observed(&["examplebucket"], move |answered| {
                    let query = answered.uri.query().unwrap_or_default();
                    let visible = match answered.method.as_str() {
                        "PUT" => query.is_empty(),
                        "POST" => query.contains("uploadId"),
                        _ => false,
                    };
                    if visible && answered.status.is_success() {
                        counter.fetch_add(1, Ordering::SeqCst);
                    }
                });
                Self { address: files.address(), stored, _files: Some(files) }
            }
            Kind::Forgetful => {
                let objects =
                    Arc::new(Objects { stored: Arc::clone(&stored), ..Objects::default() });
                let answer = move |request: &Request, connection: &mut Connection| {
                    objects.answer(request, connection)
                };
                Self { address: server::serve(answer), stored, _files: None }
            }
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many objects have become visible.
    pub(crate) fn count(&self) -> u64 {
        self.stored.load(Ordering::SeqCst)
    }

    /// Waits until so many have.
    pub(crate) fn wait_for(&self, count: u64) {
        within(Duration::from_secs(300), || (self.count() >= count).then_some(()))
            .unwrap_or_else(|| panic!("{count} objects are not stored, but {}", self.count()));
    }
}

/// The objects of a store that forgets their bytes, by path, and its uploads, by number.
#[derive(Default)]
struct Objects {
    sizes: Mutex<HashMap<String, u64>>,
    uploads: Mutex<HashMap<u64, u64>>,
    stored: Arc<AtomicU64>,
}

impl Objects {
    fn answer(&self, request: &Request, connection: &mut Connection) -> io::Result<()> {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let fields: HashMap<&str, &str> =
            query.split('&').map(|field| field.split_once('=').unwrap_or((field, ""))).collect();
        let number = |name| fields.get(name).and_then(|value| value.parse::<u64>().ok());
        match (request.method.as_str(), number("uploadId"), number("partNumber")) {
            ("GET", None, None) => {
                let size = self.sizes.lock().expect("no panic").get(path).copied();
                match size {
                    Some(size) => connection.send_object(request, size).map(drop),
                    None => {
                        connection.send("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>")
                    }
                }
            }
            ("PUT", None, None) => {
                connection.take_object(0, request.length)?;
                self.keep(path, request.length);
                connection.send("200 OK\r\netag: \"v\"", "")
            }
            ("POST", None, None) => {
                connection.skip(request.length)?;
                let mut uploads = self.uploads.lock().expect("no panic");
                let upload = uploads.len() as u64;
                uploads.insert(upload, 0);
                let xml = format!("<Result><UploadId>{upload}</UploadId></Result>");
                connection.send("200 OK", &xml)
            }
            ("PUT", Some(upload), Some(part)) => {
                connection.take_object((part - 1) * PART, request.length)?;
                let mut uploads = self.uploads.lock().expect("no panic");
                *uploads.get_mut(&upload).expect("an upload of this store") += request.length;
                connection.send("200 OK\r\netag: \"v\"", "")
            }
            ("POST", Some(upload), None) => {
                connection.skip(request.length)?;
                let size = self.uploads.lock().expect("no panic")[&upload];
                self.keep(path, size);
                connection.send("200 OK", "<CompleteMultipartUploadResult/>")
            }
            (method, _, _) => {
                connection.skip(request.length)?;
                connection.send("501 Not Implemented", method)
            }
        }
    }

    fn keep(&self, path: &str, size: u64) {
        assert_eq!(size, server::size(path), "an object of another size than the origin's");
        self.sizes.lock().expect("no panic").insert(path.to_owned(), size);
        self.stored.fetch_add(1, Ordering::SeqCst);
    }
}
