//! The image brought into a registry, by OCI's distribution protocol.
//!
//! Owns the requests, and what is never done: no password goes over plain HTTP but to this machine,
//! and none to a server that the registry only sends on to. A library for this would bring a second
//! HTTP client along; the protocol takes four requests.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::login::{self, Login};
use super::{Blob, Image, MANIFEST, Reference, digest};
use crate::gateway::{Cluster, Connector, Endpoint, Reach, Scheme, client_trust};

/// How long a connection may take, and how long an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);

/// What of an answer is read.
const MOST: usize = 1024 * 1024;

/// Why an image is not in the registry.
#[derive(Debug)]
pub enum PushError {
    /// The registry has something else than what was sent.
    Changed {
        /// The digest of what was sent.
        sent: String,
        /// Of what it has.
        found: String,
    },
    /// The login is refused, or there is none.
    Login(String),
    /// An answer that is none of the protocol's.
    Protocol(String),
    /// The registry says no.
    Refused {
        /// What was asked of it.
        what: String,
        /// Its status, and its own words.
        said: String,
    },
    /// It was not reached.
    Unreached {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { sent, found } => {
                write!(f, "the registry has {found} where {sent} was sent")
            }
            Self::Login(said) => write!(f, "the registry wants a login, and {said}"),
            Self::Protocol(what) => write!(f, "the registry answers {what}"),
            Self::Refused { what, said } => write!(f, "the registry refuses {what}: {said}"),
            Self::Unreached { server, why } => write!(f, "cannot reach {server}: {why}"),
        }
    }
}

impl std::error::Error for PushError {}

/// Brings an image into a registry, under the tag that the reference has.
///
/// # Errors
///
/// When the registry is not reached, refuses something, or has something else afterwards.
pub async fn push(image: &Image, to: &Reference) -> Result<(), PushError> {
    let mut registry = Registry::new(to)?;
    for blob in [&image.config, &image.layer] {
        registry.put_blob(blob).await?;
    }
    let by = to.tag.as_deref().or(to.digest.as_deref()).unwrap_or("latest");
    let path = format!("manifests/{by}");
    let what = format!("the manifest {by}");
    let put = Ask { method: Method::PUT, kind: MANIFEST, body: &image.manifest.bytes };
    registry.expect(put, &registry.url(&path)?, StatusCode::CREATED, &what).await?;
    // A registry that rewrites manifests would make the digest that is printed a lie.
    let kept =
        registry.expect(Ask::get(MANIFEST), &registry.url(&path)?, StatusCode::OK, &what).await?;
    let found = digest(&kept.body);
    if found != image.manifest.digest {
        return Err(PushError::Changed { sent: image.manifest.digest.clone(), found });
    }
    Ok(())
}

/// One request.
#[derive(Clone)]
struct Ask<'a> {
    method: Method,
    /// The type of its body, or of the answer's where it has none.
    kind: &'static str,
    body: &'a [u8],
}

impl Ask<'_> {
    const fn get(kind: &'static str) -> Self {
        Self { method: Method::GET, kind, body: &[] }
    }

    const fn head() -> Self {
        Self { method: Method::HEAD, kind: "", body: &[] }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// What it says, in short: the first error of the registry's own document.
    fn said(&self) -> String {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let error = &document["errors"][0];
        let words: Vec<_> =
            ["code", "message"].into_iter().filter_map(|field| error[field].as_str()).collect();
        format!("{} {}", self.status.as_u16(), words.join(": ")).trim_end().to_owned()
    }
}

/// A registry, and one repository in it.
struct Registry {
    base: Url,
    client: Client<Connector, Full<Bytes>>,
    login: Option<Login>,
    name: String,
    /// The value of `Authorization` that the registry has asked for.
    authorization: Option<String>,
}

impl Registry {
    fn new(to: &Reference) -> Result<Self, PushError> {
        // Docker's own is elsewhere than its name says.
        let host = match to.registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let scheme = if is_here(host) { Scheme::Http } else { Scheme::Https };
        let unreached = |why: String| PushError::Unreached { server: host.to_owned(), why };
        let base = format!("{}://{host}/v2/{}/", scheme.as_str(), to.name);
        let base = Url::parse(&base).map_err(|error| unreached(error.to_string()))?;
        let endpoint = Endpoint {
            scheme,
            host: base.host_str().unwrap_or_default().to_owned(),
            port: base.port_or_known_default().unwrap_or_default(),
        };
        let trust = client_trust(&[Cluster::new("registry", endpoint)], None);
        let trust = trust.map_err(|error| unreached(error.to_string()))?;
        let client = Connector::new(trust, CONNECT, Reach::Anywhere).client(ANSWER);
        let (login, name) = (login::find(&to.registry), to.name.clone());
        Ok(Self { base, client, login, name, authorization: None })
    }

    fn url(&self, path: &str) -> Result<Url, PushError> {
        self.base.join(path).map_err(|_| PushError::Protocol(format!("with no place: {path}")))
    }

    /// Brings bytes there that it does not have yet.
    async fn put_blob(&mut self, blob: &Blob) -> Result<(), PushError> {
        let found = self.ask(Ask::head(), &self.url(&format!("blobs/{}", blob.digest))?).await?;
        if found.status == StatusCode::OK {
            return Ok(());
        }
        let what = format!("the blob {}", blob.digest);
        let begin = Ask { method: Method::POST, kind: OCTETS, body: &[] };
        let place = self.url("blobs/uploads/")?;
        let begun = self.expect(begin, &place, StatusCode::ACCEPTED, &what).await?;
        let location = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|location| place.join(location).ok());
        let mut location = location
            .ok_or_else(|| PushError::Protocol("an upload without a `Location`".to_owned()))?;
        location.query_pairs_mut().append_pair("digest", &blob.digest);
        let put = Ask { method: Method::PUT, kind: OCTETS, body: &blob.bytes };
        self.expect(put, &location, StatusCode::CREATED, &what).await.map(|_| ())
    }

    async fn expect(
        &mut self,
        ask: Ask<'_>,
        url: &Url,
        status: StatusCode,
        what: &str,
    ) -> Result<Answer, PushError> {
        let answer = self.ask(ask, url).await?;
        if answer.status == status {
            return Ok(answer);
        }
        Err(PushError::Refused { what: what.to_owned(), said: answer.said() })
    }

    /// Asks, and once more with what the registry wants to know of who asks.
    async fn ask(&mut self, ask: Ask<'_>, url: &Url) -> Result<Answer, PushError> {
        let is_own = url.origin() == self.base.origin();
        let known = self.authorization.clone().filter(|_| is_own);
        let answer = self.send(ask.clone(), url, known.as_deref()).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !is_own {
            return Ok(answer);
        }
        let wanted = answer.headers.get_all(WWW_AUTHENTICATE).iter();
        let wanted: Vec<Challenge> =
            wanted.filter_map(|value| Challenge::parse(value.to_str().ok()?)).collect();
        let bearer = wanted.iter().find(|challenge| challenge.scheme == "bearer");
        let authorization = match bearer {
            Some(challenge) => format!("Bearer {}", self.token(challenge).await?),
            None => match &self.login {
                Some(login) => login.basic(),
                None => return Err(PushError::Login(NO_LOGIN.to_owned())),
            },
        };
        let answer = self.send(ask, url, Some(&authorization)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            let said = if self.login.is_some() { "does not take the one found" } else { NO_LOGIN };
            return Err(PushError::Login(said.to_owned()));
        }
        self.authorization = Some(authorization);
        Ok(answer)
    }

    /// A token for this repository, of the server that the registry names.
    async fn token(&self, challenge: &Challenge) -> Result<String, PushError> {
        let realm = challenge.parameter("realm").and_then(|realm| Url::parse(realm).ok());
        let mut realm = realm
            .filter(|realm| realm.scheme() == "https" || realm.host_str().is_some_and(is_here))
            .ok_or_else(|| {
                PushError::Protocol("a realm for tokens that is not https".to_owned())
            })?;
        let own = format!("repository:{}:pull,push", self.name);
        let scope = challenge.parameter("scope").unwrap_or(&own);
        realm.query_pairs_mut().append_pair("scope", scope);
        if let Some(service) = challenge.parameter("service") {
            realm.query_pairs_mut().append_pair("service", service);
        }
        let login = self.login.as_ref().map(Login::basic);
        let answer = self.send(Ask::get("application/json"), &realm, login.as_deref()).await?;
        if answer.status != StatusCode::OK {
            let said = if login.is_some() { "does not take the one found" } else { NO_LOGIN };
            return Err(PushError::Login(format!("{said} ({})", answer.said())));
        }
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = ["token", "access_token"].into_iter().find_map(|name| document[name].as_str());
        token.map(str::to_owned).ok_or_else(|| PushError::Protocol("no token".to_owned()))
    }

    async fn send(
        &self,
        ask: Ask<'_>,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<Answer, PushError> {
        let server = url.authority().to_owned();
        let unreached = |why: String| PushError::Unreached { server: server.clone(), why };
        let kind = if ask.body.is_empty() && ask.kind != OCTETS { ACCEPT } else { CONTENT_TYPE };
        let mut request = Request::builder().method(ask.method).uri(url.as_str());
        if !ask.kind.is_empty() {
            request = request.header(kind, ask.kind);
        }
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let body = Full::new(Bytes::copy_from_slice(ask.body));
        let request = request.body(body).map_err(|error| unreached(error.to_string()))?;
        let answered = async {
            let response = self.client.request(request).await;
            let (head, body) = response.map_err(|error| why(&error))?.into_parts();
            let body =
                Limited::new(body, MOST).collect().await.map_err(|error| error.to_string())?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        match timeout(ANSWER, answered).await {
            Ok(answer) => answer.map_err(unreached),
            Err(_) => Err(unreached(format!("no answer within {ANSWER:?}"))),
        }
    }
}

/// What a blob is while it is sent.
const OCTETS: &str = "application/octet-stream";

/// There is no login.
const NO_LOGIN: &str = "none is found where `docker login` and `podman login` leave them";

/// The innermost reason, which is the one that helps.
fn why(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), why)
}

/// Whether a host is this very machine, to which plain HTTP is spoken.
fn is_here(host: &str) -> bool {
    let parsed = Url::parse(&format!("http://{host}/"));
    match parsed.as_ref().ok().and_then(Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// How the registry wants to know who asks: `Bearer realm="...",service="..."`.
#[derive(Debug, Eq, PartialEq)]
struct Challenge {
    /// In lower case.
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ')?;
        let mut parameters = Vec::new();
        while let Some((name, value)) = rest.split_once('=') {
            let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
            let value = match value.strip_prefix('"') {
                Some(quoted) => {
                    let (value, behind) = quoted.split_once('"')?;
                    rest = behind;
                    value
                }
                None => {
                    let (value, behind) = value.split_once(',').unwrap_or((value, ""));
                    rest = behind;
                    value.trim()
                }
            };
            parameters.push((name, value.to_owned()));
        }
        Some(Self { scheme: scheme.to_ascii_lowercase(), parameters })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let text = r#"Bearer realm="https://auth.example/token",service=r.example,scope="repository:a/b:pull,push""#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.scheme, "bearer");
        assert_eq!(challenge.parameter("realm"), Some("https://auth.example/token"));
        assert_eq!(challenge.parameter("service"), Some("r.example"));
        assert_eq!(challenge.parameter("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(Challenge::parse("Basic realm=\"x\"").unwrap().scheme, "basic");
        assert_eq!(Challenge::parse("Bearer realm=\"no end"), None);
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for (host, here) in [
            ("localhost:5000", true),
            ("127.0.0.2", true),
            ("[::1]:5000", true),
            ("registry.example.com", false),
            ("10.0.0.1:5000", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(is_here(host), here, "{host}");
        }
    }
}
