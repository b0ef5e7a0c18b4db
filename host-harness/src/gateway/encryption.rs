//! TLS with clients.
//!
//! Owns the certificate that is shown, and how a renewed one takes its place: connections that are
//! there stay, and each new one gets what the files held last that was whole.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::certificate::{Pair, Unusable};
use crate::host::{Journal, Level, LogRecord};

/// The time between two looks at the files. A change is acted upon when it has rested for one.
const PERIOD: Duration = Duration::from_millis(250);

/// What is offered, in Envoy and here, the better one first.
pub(crate) const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// What tells one state of a file from another, through links to it.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The certificate that clients are shown.
#[derive(Debug)]
pub(super) struct Shown {
    pair: Pair,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Shown {
    pub(super) fn read(pair: &Pair) -> Result<Arc<Self>, Unusable> {
        let current = RwLock::new(pair.read()?);
        Ok(Arc::new(Self { pair: pair.clone(), current }))
    }

    /// Makes what takes connections.
    pub(super) fn acceptor(self: &Arc<Self>) -> io::Result<TlsAcceptor> {
        let mut settings = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        settings.alpn_protocols = PROTOCOLS.map(|name| name.as_bytes().to_vec()).to_vec();
        Ok(TlsAcceptor::from(Arc::new(settings)))
    }

    /// Reads the files again; whatever is wrong with them, what was shown stays.
    fn renew(&self) -> Result<bool, Unusable> {
        let renewed = self.pair.read()?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = current.cert != renewed.cert;
        *current = renewed;
        Ok(is_other)
    }

    fn stamps(&self) -> [Stamp; 2] {
        [stamp(&self.pair.certificate), stamp(&self.pair.key)]
    }

    /// Watches the files, for as long as it is polled.
    pub(super) async fn watch(self: Arc<Self>, journal: Arc<dyn Journal>) {
        let tell = |level, message| {
            journal.log(LogRecord { level, worker: 0, context: 0, message });
        };
        let mut known = self.stamps();
        // What was renewed between the first reading and this one.
        let mut is_due = true;
        loop {
            sleep(PERIOD).await;
            let now = self.stamps();
            if now != known {
                (known, is_due) = (now, true);
                continue;
            }
            if !std::mem::take(&mut is_due) {
                continue;
            }
            match self.renew() {
                Ok(true) => {
                    let file = self.pair.certificate.display();
                    tell(
                        Level::Info,
                        format!("clients are shown the renewed certificate of {file}"),
                    );
                }
                Ok(false) => {}
                Err(error) => {
                    tell(Level::Warn, format!("the certificate that was there stays: {error}"));
                }
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let of = |data: Metadata| (data.ino(), data.len(), data.mtime(), data.mtime_nsec());
    std::fs::metadata(path).ok().map(of)
}
