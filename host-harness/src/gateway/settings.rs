//! What a gateway is told to do.
//!
//! Owns the typed settings. Where they come from - a deployment file, a demo, a test - is not known
//! here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Parts, PathAndQuery};

use crate::certificate::Pair;
use crate::host::{Identity, Journal, Program};

pub use back_to_origin::http::Scheme;

/// Everything a gateway needs.
#[derive(Clone)]
pub struct Settings {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where metrics and readiness are served, if at all.
    pub admin: Option<SocketAddr>,
    /// How clients connect.
    pub listener: Listener,
    /// Where readiness alone is, for probes.
    pub health: Option<SocketAddr>,
    /// How many threads serve, each with a virtual machine of its own; at least one.
    pub workers: usize,
    /// The compiled filter.
    pub program: Program,
    /// By what names the filter runs.
    pub identity: Identity,
    /// What the filter is told when it configures itself.
    pub plugin_configuration: String,
    /// How an object that the bucket lacks reaches the client.
    pub path: DataPath,
    /// Who requests and calls may go to.
    pub clusters: Vec<Cluster>,
    /// The certificates that HTTPS servers are trusted by, in PEM; without them those of the system.
    pub trusted: Option<PathBuf>,
    /// Which cluster serves which client request.
    pub routes: Routes,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Whether requests are recorded for an access log.
    pub records: bool,
    /// Who takes the access records and the filter's log.
    pub journal: Arc<dyn Journal>,
}

/// How clients connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// What they are shown; without it nothing is encrypted.
    pub tls: Option<Pair>,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// How many proxies before the gateway are believed; `None` leaves what they say as it is.
    pub trusted_hops: Option<u8>,
    /// Connections at once.
    pub connections: u32,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            tls: None,
            proxy_protocol: false,
            trusted_hops: None,
            connections: bounds::CONNECTIONS,
        }
    }
}

/// What one connection of a client's may take, in Envoy and here: without these, one client that asks
/// for much and reads nothing would have a hundred objects held for it.
pub(crate) mod bounds {
    /// Requests at once on a connection of HTTP/2.
    pub(crate) const STREAMS: u32 = 100;
    /// What is on its way of one of them, either way, in bytes: an upload over 50 ms makes 5 MB/s.
    pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
    /// What is on its way of all of them to the gateway, in bytes.
    pub(crate) const CONNECTION_WINDOW: u32 = 1024 * 1024;
    /// The headers of a request.
    pub(crate) const HEADERS: u32 = 100;
    /// The bytes of them, in KiB.
    pub(crate) const HEAD_KIB: u32 = 60;
    /// How long they may take, in seconds.
    pub(crate) const HEAD_SECONDS: u64 = 30;
    /// How long all that stands before the first request may take, in seconds: the header of the PROXY
    /// protocol, and the handshake of TLS.
    pub(crate) const ARRIVAL_SECONDS: u64 = 15;
    /// How long a connection is kept without a request, in seconds.
    pub(crate) const IDLE_SECONDS: u64 = 300;
    /// Connections at once, where nothing else is said.
    pub(crate) const CONNECTIONS: u32 = 20_000;
}

/// The host of a request by HTTP/1.0 that names none, in Envoy and here: health checks of load
/// balancers are such.
pub(crate) const HOST_OF_HTTP_1_0: &str = "localhost";

/// A cluster of this name and a bucket's is the bucket's own, asked once more by the filter.
pub(super) const AGAIN: &str = "again-";

/// How an object that the bucket lacks reaches the client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DataPath {
    /// The filter stands before every request, fetches whole objects by its own calls and answers
    /// with them.
    #[default]
    Callout,
    /// The gateway sends what the bucket cannot answer on to where the filter says, and what comes
    /// back to the client; the filter copies what passes. It sees misses alone, and every read of
    /// a bucket with a rule about hits.
    Streaming,
}

impl DataPath {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callout => "callout",
            Self::Streaming => "streaming",
        }
    }
}

/// Limits in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// From the end of a client's request until the head of the store's response.
    pub response: Duration,
    /// The same where the client writes: it may complete an upload.
    pub write: Duration,
    /// How long a stream, held or not, may stand still, and a connection without a request.
    pub idle: Duration,
    /// How long requests under way, and calls of the filter, may go on once the gateway stops.
    pub drain: Duration,
    /// How long a worker whose filter died answers 503 before it loads it again.
    pub reload: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response: Duration::from_secs(60),
            write: Duration::from_secs(300),
            idle: Duration::from_secs(bounds::IDLE_SECONDS),
            drain: Duration::from_secs(10),
            reload: Duration::from_secs(1),
        }
    }
}

/// A server requests can be sent to, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cluster {
    /// The name by which routes and the filter know it.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Further servers, which answer as that one does, under its name.
    pub others: Vec<Endpoint>,
    /// With what the filter's calls to it, and the gateway's own requests, are signed.
    pub signer: Option<Credentials>,
    /// How long a connection to it may take to be made, the handshake of TLS included.
    pub connect_timeout: Duration,
    /// How long a connection to it is kept without a request.
    pub idle_timeout: Duration,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// Where it may be.
    pub reach: Reach,
}

/// Where a server may be, by its address at the time of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reach {
    /// Wherever its name leads.
    #[default]
    Anywhere,
    /// Not on the inside of a network.
    Outside,
}

/// What is spoken with a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// What the server chooses over TLS; the gateway here offers HTTP/1.1 alone.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: for Envoy; the gateway here does not speak it with servers.
    Http2,
}

impl Cluster {
    /// The time a connection may take unless told otherwise.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// The time a connection is kept without a request unless told otherwise: shorter than servers
    /// keep it, since one that the server is just closing would fail the next request on it.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

    /// A cluster that is not signed for.
    #[must_use]
    pub fn new(name: &str, endpoint: Endpoint) -> Self {
        Self {
            name: name.to_owned(),
            endpoint,
            others: Vec::new(),
            signer: None,
            connect_timeout: Self::CONNECT_TIMEOUT,
            idle_timeout: Self::IDLE_TIMEOUT,
            protocol: Protocol::Http1,
            reach: Reach::Anywhere,
        }
    }
}

impl Cluster {
    /// All its servers.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.endpoint).chain(&self.others)
    }
}

/// Where a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its name or address; an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Endpoint {
    /// Host and port, as in a Host header: without the port that goes with the scheme.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URI of a target here. It is taken as it is: nothing is decoded or tidied.
    pub(crate) fn uri(&self, target: &str) -> Result<Uri, http::Error> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.as_str().parse()?);
        parts.authority = Some(self.authority().parse()?);
        parts.path_and_query = Some(PathAndQuery::try_from(target)?);
        Ok(Uri::from_parts(parts)?)
    }
}

impl From<SocketAddr> for Endpoint {
    /// A plain server at an address.
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Self { scheme: Scheme::Http, host, port: address.port() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// A secret that does not show itself.
///
/// Its memory is not cleared behind it: what it was read from, and who signs with it, hold copies
/// that nobody here can clear.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for whoever signs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// With what requests to a store are signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// Names the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Goes with keys that were lent for a time.
    pub session_token: Option<Secret>,
    /// The region the store believes to be in.
    pub region: String,
}

/// Which cluster serves which client request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Routes {
    /// With a domain, a Host of `<bucket>.<domain>` names a bucket too.
    pub domain: Option<String>,
    /// The buckets by name.
    pub buckets: BTreeMap<String, BucketRoute>,
    /// The cluster for requests that name none of the buckets; without one they are answered 404.
    pub default: Option<String>,
}

/// How requests to a bucket travel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketRoute {
    /// The cluster of its store.
    pub cluster: String,
    /// What happens to reads.
    pub reads: Reads,
}

/// What happens to GET and HEAD on a bucket. Other methods always pass as they are: the gateway
/// never lends its own key to a write of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reads {
    /// They reach the store as the client sent them, its own signature included.
    Passthrough,
    /// The gateway signs them with the cluster's credentials, in place of the client.
    Signed(Addressing),
}

/// Where a signed request names its bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressing {
    /// In the path.
    Path,
    /// In the host.
    Virtual,
}
