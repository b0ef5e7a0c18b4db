//! One server, and requests to it: through the very connector that `b2o serve` connects with.
//!
//! Owns how long anything may take, and how much of an answer is read.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use back_to_origin::host::CallAnswer;
use back_to_origin::http::headers::{HeaderList, Headers};
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::timeout;

use super::unheard::Unheard;
use crate::gateway::{Cluster, Connector, Payload, is_framed, sign_request};

/// What of an answer is read: a list of a thousand keys is shorter.
const MOST: usize = 1024 * 1024;

/// By this the filter tells a server's answer from one that its host made up.
const GENUINE: (&str, &str) = ("x-envoy-upstream-service-time", "0");

/// Tells those who ask that it is over.
#[derive(Clone, Debug)]
pub struct Stop(Rc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Rc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Nothing more is asked from here on, but for what removes the probes.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is over.
    pub async fn stopped(&self) {
        // The sender is this one's own.
        let _ = self.0.subscribe().wait_for(|is_stopped| *is_stopped).await;
    }
}

/// A server that is asked.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    client: Client<Connector, Full<Bytes>>,
    limit: Duration,
    stop: Stop,
    asked: Cell<u32>,
}

impl Server {
    pub(crate) fn new(cluster: Cluster, trust: ClientConfig, limit: Duration, stop: Stop) -> Self {
        let connector = Connector::new(trust, cluster.connect_timeout.min(limit), cluster.reach);
        let client = connector.client(cluster.idle_timeout);
        Self { cluster, client, limit, stop, asked: Cell::new(0) }
    }

    /// How many requests were sent.
    pub(super) fn asked(&self) -> u32 {
        self.asked.get()
    }

    /// Asks something that leaves nothing behind: it is given up as soon as it is over.
    pub(crate) async fn ask(&self, headers: &HeaderList) -> Result<CallAnswer, Unheard> {
        tokio::select! {
            biased;
            () = self.stop.stopped() => Err(Unheard::Stopped),
            answer = self.send(headers, Bytes::new()) => answer,
        }
    }

    /// Changes something: what has been begun is waited for, so that it is known what to remove.
    pub(super) async fn change(
        &self,
        headers: &HeaderList,
        body: impl Into<Bytes>,
    ) -> Result<CallAnswer, Unheard> {
        if self.stop.is_stopped() {
            return Err(Unheard::Stopped);
        }
        self.send(headers, body.into()).await
    }

    /// Asks or changes something whether it is over or not.
    pub(super) async fn send(
        &self,
        headers: &HeaderList,
        body: Bytes,
    ) -> Result<CallAnswer, Unheard> {
        let request = self.request(headers, body).ok_or(Unheard::Unsendable)?;
        self.asked.set(self.asked.get() + 1);
        let answered = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| Unheard::of(&error))?;
            if !is_framed(&response) {
                return Err(Unheard::Malformed);
            }
            Ok(read(response).await)
        };
        timeout(self.limit, answered).await.unwrap_or(Err(Unheard::Late))
    }

    fn request(&self, fields: &HeaderList, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let text = |name| fields.get(name).and_then(|value| str::from_utf8(value).ok());
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = text(":method")?.parse().ok()?;
        *request.uri_mut() = self.cluster.endpoint.uri(text(":path")?).ok()?;
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(':')) {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
        }
        let host = HeaderValue::from_bytes(fields.get(":authority")?).ok()?;
        request.headers_mut().insert(HOST, host);
        if let Some(keys) = &self.cluster.signer {
            sign_request(&mut request, Payload::Known(&body), keys, SystemTime::now()).ok()?;
        }
        Some(request)
    }
}

/// Reads an answer, or as much of it as anybody wants: that a body breaks off is not asked here.
async fn read(response: Response<Incoming>) -> CallAnswer {
    let (head, mut incoming) = response.into_parts();
    let status = head.status.as_str().to_owned();
    let own = [(":status", status.as_str()), GENUINE];
    let own = own.into_iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let others =
        head.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let headers = Headers::from_pairs(own.chain(others));
    let mut body = Vec::new();
    while body.len() < MOST {
        let Some(Ok(frame)) = incoming.frame().await else { break };
        if let Ok(piece) = frame.into_data() {
            body.extend_from_slice(&piece[..piece.len().min(MOST - body.len())]);
        }
    }
    CallAnswer { headers, body_bytes: body.len() as u64, body }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::gateway::{Endpoint, Reach, client_trust};

    #[tokio::test]
    async fn nobody_on_the_inside_is_asked_where_that_is_not_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut cluster = Cluster::new("origin", Endpoint::from(address));
        cluster.reach = Reach::Outside;
        let trust = client_trust(&[], None).unwrap();
        let limit = Duration::from_secs(5);
        let server = Server::new(cluster, trust, limit, Stop::default());
        let asked = HeaderList::new()
            .with(":method", "GET")
            .with(":authority", address.to_string())
            .with(":path", "/");
        assert_eq!(server.ask(&asked).await.unwrap_err(), Unheard::Inside);
        server.stop.stop();
        assert_eq!(server.ask(&asked).await.unwrap_err(), Unheard::Stopped);
        assert_eq!(server.change(&asked, "").await.unwrap_err(), Unheard::Stopped);
    }
}
