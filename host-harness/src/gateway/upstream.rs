//! Connections to clusters, for client requests and for the filter's calls.
//!
//! Owns the pools of one worker, and how a failure is told apart from an answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use back_to_origin::miss_route::FRAMING;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::ConfigBuilderExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::balance::Balance;
use super::connector::{Connector, is_inside};
use super::message;
use super::request_body::BrokenOff;
use super::servers::Servers;
use super::settings::{Cluster, Scheme};
use super::signing::{Payload, sign_request};
use crate::host::{Answer, Callout, Callouts, Headers, LARGEST_ANSWER, Pending};

/// A body on its way to a cluster.
pub(super) type UpstreamBody = BoxBody<Bytes, BrokenOff>;

/// Why there is no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// No connection could be made.
    Connect,
    /// The server is on the inside of a network, where it may not be.
    Inside,
    /// The connection was lost before the head of a response.
    Lost,
    /// What came was no HTTP response.
    Protocol,
}

/// One cluster and the connections to it.
pub(super) struct Upstream {
    pub(super) cluster: Cluster,
    balance: Balance,
    client: Client<Connector, UpstreamBody>,
    /// Whether calls to it are given up.
    is_left: watch::Sender<bool>,
}

/// The clusters of one worker.
#[derive(Clone)]
pub(super) struct Upstreams {
    known: Rc<RefCell<BTreeMap<String, Known>>>,
    servers: Arc<Servers>,
}

/// A cluster, and since when nothing names it any more.
struct Known {
    upstream: Rc<Upstream>,
    retired: Option<Instant>,
}

/// How long a cluster that nothing names stays without a request: a copy may be between two of its
/// requests.
const PAUSE: Duration = Duration::from_secs(30);

impl Known {
    fn stays(&self, now: Instant) -> bool {
        // Whoever sends to it holds it.
        let is_busy = Rc::strong_count(&self.upstream) > 1;
        is_busy || self.retired.is_none_or(|since| now.duration_since(since) < PAUSE)
    }
}

/// The certificates to trust, of a file or of the system; only where they are needed, as they are
/// read from disk.
pub(crate) fn trust(clusters: &[Cluster], file: Option<&Path>) -> std::io::Result<ClientConfig> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?;
    let needs_roots = clusters.iter().any(|cluster| cluster.endpoint.scheme == Scheme::Https);
    Ok(match file.filter(|_| needs_roots) {
        Some(file) => builder.with_root_certificates(roots(file)?).with_no_client_auth(),
        None if needs_roots => builder.with_native_roots()?.with_no_client_auth(),
        None => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    })
}

/// The certificates in a file.
fn roots(file: &Path) -> std::io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(std::io::Error::other)? {
        let certificate = certificate.map_err(std::io::Error::other)?;
        roots.add(certificate).map_err(std::io::Error::other)?;
    }
    if roots.is_empty() {
        return Err(std::io::Error::other("there is no certificate in it"));
    }
    Ok(roots)
}

impl Upstreams {
    pub(super) fn new(clusters: &[Cluster], trust: &ClientConfig, servers: Arc<Servers>) -> Self {
        let upstreams = Self { known: Rc::default(), servers };
        upstreams.add(clusters, trust);
        upstreams
    }

    /// Adds clusters that were not there. Those that were stay, with their connections, as long as
    /// anything may still be sent to them.
    pub(super) fn add(&self, clusters: &[Cluster], trust: &ClientConfig) {
        let mut upstreams = self.known.borrow_mut();
        let now = Instant::now();
        for cluster in clusters {
            // One that is the same but for where it may be would keep what it is connected to; one
            // that is signed for otherwise, the old key.
            let is_there = upstreams
                .get(&cluster.name)
                .is_some_and(|known| known.upstream.cluster == *cluster);
            if !is_there {
                let upstream =
                    Rc::new(Upstream::new(cluster.clone(), trust.clone(), &self.servers));
                upstreams.insert(cluster.name.clone(), Known { upstream, retired: None });
            }
        }
        for (name, known) in upstreams.iter_mut() {
            let is_named = clusters.iter().any(|cluster| cluster.name == *name);
            known.retired = if is_named { None } else { Some(known.retired.unwrap_or(now)) };
        }
        upstreams.retain(|_, known| known.stays(now));
    }

    /// Gives up all calls to clusters but these, and sends no more: the gateway ends, and what is to
    /// be fetched yet would only keep it.
    pub(super) fn leave_all_but(&self, stores: &[&str]) {
        self.known.borrow_mut().retain(|name, known| {
            let stays = stores.contains(&name.as_str());
            if !stays {
                known.upstream.is_left.send_replace(true);
            }
            stays
        });
    }

    pub(super) fn get(&self, name: &str) -> Option<Rc<Upstream>> {
        self.known.borrow().get(name).map(|known| Rc::clone(&known.upstream))
    }
}

/// The address a response came from.
pub(super) fn peer<B>(response: &Response<B>) -> Option<SocketAddr> {
    response.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr)
}

impl Upstream {
    fn new(cluster: Cluster, trust: ClientConfig, servers: &Servers) -> Self {
        let balance = Balance::new(cluster.endpoints().map(|server| servers.at(server)).collect());
        let connector = Connector::new(trust, cluster.connect_timeout, cluster.reach);
        let connector = connector.among(balance.all());
        let client = connector.client(cluster.idle_timeout);
        Self { cluster, balance, client, is_left: watch::Sender::new(false) }
    }

    pub(super) async fn send(
        &self,
        request: Request<UpstreamBody>,
    ) -> Result<Response<Incoming>, Failure> {
        let server = self.balance.next();
        let request = server.addressed(request);
        let answer = self.client.request(request).await.map_err(|error| failure(&error));
        match answer {
            Ok(_) | Err(Failure::Protocol) => self.balance.answered(&server),
            Err(Failure::Connect | Failure::Inside | Failure::Lost) => server.fails(),
        }
        answer
    }

    /// No answer came in time.
    pub(super) fn is_late(&self) {
        self.balance.is_late();
    }

    /// Makes a call of the filter a request. One that cannot be sent at all is none.
    fn call(&self, callout: &Callout) -> Option<Request<UpstreamBody>> {
        let fields = &callout.headers;
        let (headers, _) = message::header_map(fields);
        let body = Full::new(callout.body.clone()).map_err(|never| match never {}).boxed();
        let mut request = Request::new(body);
        *request.method_mut() = message::pseudo(fields, ":method")?.parse().ok()?;
        *request.uri_mut() = self.cluster.endpoint.uri(message::pseudo(fields, ":path")?).ok()?;
        *request.headers_mut() = headers;
        let authority = HeaderValue::from_bytes(fields.first(b":authority")?).ok()?;
        request.headers_mut().insert(HOST, authority);
        if let Some(credentials) = &self.cluster.signer {
            let payload = Payload::Known(&callout.body);
            sign_request(&mut request, payload, credentials, SystemTime::now()).ok()?;
        }
        Some(request)
    }

    async fn answer(self: Rc<Self>, callout: Callout) -> Answer {
        let mut left = self.is_left.subscribe();
        tokio::select! {
            answer = self.ask(callout) => answer,
            // The sender is this cluster's own.
            _ = left.wait_for(|is_left| *is_left) => Answer::Reset,
        }
    }

    async fn ask(&self, callout: Callout) -> Answer {
        let Some(request) = self.call(&callout) else { return Answer::Reset };
        let started = Instant::now();
        let deadline = callout.timeout.map(|limit| started + limit);
        let response = match within(deadline, self.send(request)).await {
            Some(Ok(response)) if is_framed(&response) => response,
            Some(Ok(_) | Err(Failure::Protocol)) => return Answer::protocol_error(),
            Some(Err(Failure::Connect)) => return Answer::no_connection(),
            Some(Err(Failure::Inside)) => return Answer::refused(),
            Some(Err(Failure::Lost)) => return Answer::connection_lost(),
            None => {
                self.is_late();
                return Answer::timed_out();
            }
        };
        let framing = framing(&response);
        let (mut head, body) = response.into_parts();
        let mut headers = message::response_fields(head.status, &mut head.headers);
        headers.set(FRAMING.as_bytes(), framing.as_bytes());
        // By this the filter tells a genuine answer from one the host made up.
        let service_time = started.elapsed().as_millis().to_string();
        headers.set(b"x-envoy-upstream-service-time", service_time.as_bytes());
        // Once there are headers, time that is up breaks the response off, as with Envoy.
        match within(deadline, read(body)).await.flatten() {
            Some((body, trailers)) => Answer::Response { headers, body, trailers },
            None => Answer::Reset,
        }
    }
}

/// What comes of something in time; `None` when it takes longer.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline.into(), future).await.ok(),
        None => Some(future.await),
    }
}

/// Why a request has no response, told apart as Envoy does.
fn failure(error: &hyper_util::client::legacy::Error) -> Failure {
    if error.is_connect() {
        return if is_inside(error) { Failure::Inside } else { Failure::Connect };
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return Failure::Protocol;
        }
        source = cause.source();
    }
    Failure::Lost
}

/// Whether the end of a response can be told, in one way alone. Of the codings only `chunked` is known,
/// and a response in another one would seem to end with its connection. One that says of its length
/// two things is refused as Envoy refuses it: whoever reads it differently sees another end (RFC 9112,
/// section 6.3).
pub(crate) fn is_framed<B>(response: &Response<B>) -> bool {
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    let mut lengths = response.headers().get_all(CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    let is_told_once = codings.next().is_none() && lengths.next().is_none();
    is_told_once
        && match (coding, length) {
            (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
            (Some(_), Some(_)) => false,
            // A list of lengths has a comma in it.
            (None, Some(length)) => length.as_bytes().iter().all(u8::is_ascii_digit),
            (None, None) => true,
        }
}

/// By what a response has come, as the filter is told it. Servers are spoken with by HTTP/1.1 alone.
pub(super) fn framing<B>(response: &Response<B>) -> &'static str {
    match response.headers().contains_key(TRANSFER_ENCODING) {
        true => "HTTP/1.1 chunked",
        false => "HTTP/1.1 -",
    }
}

/// Reads a whole body, unless it breaks off or is larger than a host buffers.
async fn read(mut body: Incoming) -> Option<(Bytes, Headers)> {
    let mut data = BytesMut::new();
    let mut trailers = Headers::new();
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(piece) => {
                if data.len() + piece.len() > LARGEST_ANSWER {
                    return None;
                }
                data.extend_from_slice(&piece);
            }
            Err(frame) => {
                if let Ok(map) = frame.into_trailers() {
                    trailers = Headers::from_http(&[], &map);
                }
            }
        }
    }
    Some((data.freeze(), trailers))
}

impl Callouts for Upstreams {
    fn knows(&self, cluster: &str) -> bool {
        self.known.borrow().contains_key(cluster)
    }

    fn send(&self, callout: Callout) -> Pending {
        match self.get(&callout.cluster) {
            Some(upstream) => Box::pin(upstream.answer(callout)),
            None => Box::pin(std::future::ready(Answer::Reset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Endpoint, Reach};

    fn clusters(names: &[&str]) -> Vec<Cluster> {
        let endpoint = Endpoint { scheme: Scheme::Http, host: "o.example".to_owned(), port: 80 };
        names.iter().map(|name| Cluster::new(name, endpoint.clone())).collect()
    }

    #[test]
    fn a_cluster_goes_once_nothing_uses_it() {
        let trust = trust(&[], None).unwrap();
        let upstreams = Upstreams::new(&clusters(&["a", "used", "idle"]), &trust, Arc::default());
        let used = upstreams.get("used").unwrap();
        upstreams.add(&clusters(&["a"]), &trust);
        assert!(upstreams.knows("idle"), "a copy may be between two of its requests");
        let age = |name: &str| {
            let mut known = upstreams.known.borrow_mut();
            known.get_mut(name).unwrap().retired = Instant::now().checked_sub(PAUSE);
        };
        for name in ["used", "idle"] {
            age(name);
        }
        upstreams.add(&clusters(&["a"]), &trust);
        assert!(upstreams.knows("used") && !upstreams.knows("idle"));
        // One that is named again is the one it was, with its connections.
        upstreams.add(&clusters(&["a", "used"]), &trust);
        assert!(Rc::ptr_eq(&used, &upstreams.get("used").unwrap()));
        drop(used);
        upstreams.add(&clusters(&["a"]), &trust);
        assert!(upstreams.knows("used"));
        age("used");
        upstreams.add(&clusters(&["a"]), &trust);
        assert!(!upstreams.knows("used") && upstreams.knows("a"));
    }

    #[test]
    fn a_cluster_that_may_be_elsewhere_now_keeps_no_connection() {
        let trust = trust(&[], None).unwrap();
        let upstreams = Upstreams::new(&clusters(&["a"]), &trust, Arc::default());
        let before = upstreams.get("a").unwrap();
        let outside = clusters(&["a"]).into_iter().map(|a| Cluster { reach: Reach::Outside, ..a });
        upstreams.add(&outside.collect::<Vec<_>>(), &trust);
        assert!(!Rc::ptr_eq(&before, &upstreams.get("a").unwrap()));
    }
}
