//! Connections to clusters, made in time or not at all.
//!
//! Owns the limit over the whole of it: the name, the connection, the handshake of TLS. Owns also that
//! no connection is made to the inside of a network where that is not wanted, whatever a name leads
//! to by the time it is asked for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::servers::Server;
use super::settings::Reach;
use crate::address::inside;

type Failure = Box<dyn Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A server is on the inside of a network, and was not connected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Inside;

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is on the inside of a network")
    }
}

impl Error for Inside {}

/// A name leads nowhere.
#[derive(Debug)]
pub(crate) struct Unresolved(Failure);

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Unresolved {}

/// Makes connections, plain and encrypted.
#[derive(Clone)]
pub(crate) struct Connector<R = GaiResolver> {
    inner: HttpsConnector<HttpConnector<Resolver<R>>>,
    limit: Duration,
    reach: Reach,
    /// Those that stand in for each other; none where there is one alone.
    among: Arc<[Arc<Server>]>,
}

impl Connector {
    pub(crate) fn new(trust: ClientConfig, limit: Duration, reach: Reach) -> Self {
        Self::by(GaiResolver::new(), trust, limit, reach)
    }

    /// Connects to another one of these where one cannot be connected to.
    pub(super) fn among(self, servers: Arc<[Arc<Server>]>) -> Self {
        let among = if servers.len() > 1 { servers } else { Arc::default() };
        Self { among, ..self }
    }

    /// A client that connects so, and keeps a silent connection for `idle`.
    pub(crate) fn client<B>(self, idle: Duration) -> Client<Self, B>
    where
        B: Body + Send,
        B::Data: Send,
    {
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            // A proxy takes the blanks off before it sends an answer on (RFC 9112, section 5.1), and
            // makes one line of a folded one (section 5.2).
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .build(self)
    }
}

impl<R> Connector<R> {
    fn by(names: R, trust: ClientConfig, limit: Duration, reach: Reach) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver { names, reach });
        http.enforce_http(false);
        http.set_nodelay(true);
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(trust)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Self { inner, limit, reach, among: Arc::default() }
    }
}

impl<R> Service<Uri> for Connector<R>
where
    HttpsConnector<HttpConnector<Resolver<R>>>: Clone
        + Send
        + Service<Uri, Response = Stream, Error = Failure, Future: Send + 'static>
        + 'static,
{
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // What is an address already is never resolved.
        let address = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        if address.is_some_and(|address| !self.reach.has(address)) {
            return Box::pin(std::future::ready(Err(Inside.into())));
        }
        let connected = timeout(self.limit, self.inner.call(uri.clone()));
        if self.among.is_empty() {
            return Box::pin(async { connected.await? });
        }
        let (mut inner, limit, among) = (self.inner.clone(), self.limit, Arc::clone(&self.among));
        Box::pin(async move {
            let (first, others): (Vec<_>, Vec<_>) =
                among.iter().partition(|server| server.is_at(&uri));
            let error = match connected.await.map_err(Failure::from).flatten() {
                Ok(stream) => {
                    first.iter().for_each(|server| server.answers());
                    return Ok(stream);
                }
                Err(error) => error,
            };
            first.iter().for_each(|server| server.fails());
            for server in others {
                let connected = timeout(limit, inner.call(server.endpoint.uri("/")?)).await;
                match connected.map_err(Failure::from).flatten() {
                    Ok(stream) => {
                        server.answers();
                        return Ok(stream);
                    }
                    Err(_) => server.fails(),
                }
            }
            Err(error)
        })
    }
}

impl Reach {
    fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Outside => inside(address).is_none(),
        }
    }
}

/// Finds the addresses of a name, and leaves out those that may not be connected to.
#[derive(Clone)]
pub(crate) struct Resolver<R> {
    names: R,
    reach: Reach,
}

impl<R> Service<Name> for Resolver<R>
where
    R: Service<Name, Error: Into<Failure>, Future: Send + 'static>,
    R::Response: Iterator<Item = SocketAddr>,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.names.poll_ready(task).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let found = self.names.call(name);
        Box::pin(async move {
            let found = found.await.map_err(|error| Unresolved(error.into()))?;
            let found: Vec<_> = found.collect();
            let outside = found.iter().filter(|address| reach.has(address.ip()));
            let outside: Vec<_> = outside.copied().collect();
            // A name that leads nowhere is another failure.
            if outside.is_empty() && !found.is_empty() {
                return Err(Inside.into());
            }
            Ok(outside.into_iter())
        })
    }
}

/// Whether that is why there is no connection.
pub(crate) fn is_inside(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Inside>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rustls::RootCertStore;
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one time after the other with other addresses.
    #[derive(Clone)]
    struct Names(Arc<Mutex<Vec<Vec<IpAddr>>>>);

    impl Service<Name> for Names {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<Self::Response, std::io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let addresses = self.0.lock().unwrap().remove(0);
            let found: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            std::future::ready(Ok(found.into_iter()))
        }
    }

    fn connector(answers: &[&[&str]], reach: Reach) -> Connector<Names> {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let names = Names(Arc::new(Mutex::new(answers.iter().map(parse).collect())));
        let trust =
            ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let trust = trust.with_safe_default_protocol_versions().unwrap();
        let trust = trust.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        Connector::by(names, trust, Duration::from_millis(200), reach)
    }

    async fn connects(connector: &mut Connector<Names>, host: &str, port: u16) -> Result<(), bool> {
        let uri = format!("http://{host}:{port}/").parse().unwrap();
        let connected = connector.call(uri).await;
        connected.map(drop).map_err(|error| is_inside(&*error))
    }

    #[tokio::test]
    async fn what_a_name_leads_to_is_looked_at_each_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: [&[&str]; 4] =
            [&["127.0.0.1"], &["169.254.169.254", "::ffff:127.0.0.1"], &[], &["127.0.0.1"]];
        let mut outside = connector(&answers, Reach::Outside);
        assert_eq!(connects(&mut outside, "public.example", port).await, Err(true));
        assert_eq!(connects(&mut outside, "public.example", port).await, Err(true));
        assert_eq!(connects(&mut outside, "public.example", port).await, Err(false));
        assert_eq!(connects(&mut outside, "public.example", port).await, Err(true));
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"] {
            assert_eq!(connects(&mut outside, host, port).await, Err(true), "{host}");
        }
        let mut anywhere = connector(&answers, Reach::Anywhere);
        assert_eq!(connects(&mut anywhere, "public.example", port).await, Ok(()));
        assert_eq!(connects(&mut anywhere, "127.0.0.1", port).await, Ok(()));
    }

    #[tokio::test]
    async fn of_several_addresses_those_outside_are_left() {
        let mut names = Resolver {
            names: Names(Arc::new(Mutex::new(vec![
                ["10.0.0.1", "192.0.1.9", "::1"].map(|text| text.parse().unwrap()).to_vec(),
            ]))),
            reach: Reach::Outside,
        };
        let found = names.call("public.example".parse().unwrap()).await.unwrap();
        assert_eq!(
            found.map(|address| address.ip().to_string()).collect::<Vec<_>>(),
            ["192.0.1.9"]
        );
    }
}
