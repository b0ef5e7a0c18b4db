//! Why a server was not heard, told apart as far as anybody can do something about it.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsError};
use tokio::time::error::Elapsed;

use super::Code;
use super::told::Told;
use crate::gateway::{Endpoint, Scheme, Unresolved, is_inside};

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unheard {
    /// No connection was made: why, as the system says.
    Connect(String),
    /// No connection was made in time.
    ConnectLate,
    /// Its address is on the inside of a network.
    Inside,
    /// The connection was closed before an answer.
    Lost,
    /// There was no answer in time.
    Late,
    /// What came is no HTTP, or no answer whose end can be told.
    Malformed,
    /// Its name leads nowhere.
    Nowhere,
    /// Whoever runs the doctor has stopped it.
    Stopped,
    /// TLS was not agreed on.
    Tls(Tls),
    /// The request cannot be sent as it would have to be.
    Unsendable,
}

/// Why TLS was not agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Tls {
    /// The certificate is not valid any more.
    Expired,
    /// The certificate is not valid yet.
    NotYet,
    /// It is for other names: for these, where it says so.
    OtherName(Vec<String>),
    /// It speaks none.
    Plain,
    /// Something else.
    Other(String),
    /// Nobody trusted vouches for it.
    Unknown,
}

impl Unheard {
    /// Reads it off the error of a request.
    pub(super) fn of(error: &hyper_util::client::legacy::Error) -> Self {
        if is_inside(error) {
            return Self::Inside;
        }
        let causes = causes(error);
        for cause in &causes {
            if let Some(tls) = cause.downcast_ref::<TlsError>() {
                return Self::Tls(Tls::of(tls));
            }
            if cause.is::<Unresolved>() {
                return Self::Nowhere;
            }
        }
        if error.is_connect() {
            if causes.iter().any(|cause| cause.is::<Elapsed>()) {
                return Self::ConnectLate;
            }
            // The innermost one says most, and is the system's.
            let refused = causes.iter().rev().find_map(|cause| cause.downcast_ref::<io::Error>());
            return Self::Connect(match refused {
                Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Self::Tls(Tls::Other("the server hung up".to_owned()));
                }
                Some(error) => {
                    let text = error.to_string();
                    text.split(" (os error").next().unwrap_or_default().to_lowercase()
                }
                None => "no reason was given".to_owned(),
            });
        }
        let is_parse = |cause: &&(dyn Error + 'static)| {
            cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
        };
        if causes.iter().any(is_parse) { Self::Malformed } else { Self::Lost }
    }

    /// What is said of it, of a server at an endpoint; `None` where that is nobody's trouble.
    pub(crate) fn told(&self, endpoint: &Endpoint) -> Option<Told> {
        let host = &endpoint.host;
        Some(match self {
            Self::Stopped => return None,
            Self::Connect(why) => Told::error(
                Code::NoConnection,
                format!("no connection to {endpoint}: {why}"),
                "start the server, or mend the host, the port, or what stands between",
            ),
            Self::ConnectLate => Told::error(
                Code::NoConnection,
                format!("no connection to {endpoint} in time"),
                "a firewall or a security group may drop what is sent there",
            ),
            Self::Inside => Told::error(
                Code::InternalOrigin,
                format!("`{host}` leads to the inside of a network, where no origin is asked"),
                "name a public origin, or set `allow_internal_origins: true`",
            ),
            Self::Nowhere => Told::error(
                Code::NoAddress,
                format!("the name `{host}` leads to no address"),
                "mend the name, or the resolver of this machine",
            ),
            Self::Late => Told::error(
                Code::NoAnswer,
                format!("{endpoint} takes the connection and does not answer in time"),
                "see whether it is overloaded; `--timeout` gives it longer",
            ),
            Self::Lost => Told::error(
                Code::NoAnswer,
                format!("{endpoint} closes the connection without an answer"),
                "see the server's own log",
            ),
            Self::Malformed => Told::error(
                Code::NotHttp,
                format!("what {endpoint} answers is no HTTP that can be read"),
                match endpoint.scheme {
                    Scheme::Http => "where the server speaks TLS, write `https://`",
                    Scheme::Https => "see what listens there",
                },
            ),
            Self::Unsendable => Told::error(
                Code::NotAsked,
                format!("the request to {endpoint} cannot be made or signed"),
                "see whether keys and headers have characters that HTTP does not take",
            ),
            Self::Tls(tls) => tls.told(endpoint),
        })
    }
}

impl Tls {
    /// The library may have more kinds of errors in its next version: what is none of these is told in
    /// its words.
    fn of(error: &TlsError) -> Self {
        use CertificateError::{
            BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
            NotValidYet, NotValidYetContext, UnknownIssuer,
        };
        if matches!(error, TlsError::InvalidMessage(_)) {
            return Self::Plain;
        }
        let TlsError::InvalidCertificate(why) = error else {
            return Self::Other(error.to_string());
        };
        if let NotValidForNameContext { presented, .. } = why {
            Self::OtherName(presented.clone())
        } else if matches!(why, NotValidForName) {
            Self::OtherName(Vec::new())
        } else if matches!(why, Expired | ExpiredContext { .. }) {
            Self::Expired
        } else if matches!(why, NotValidYet | NotValidYetContext { .. }) {
            Self::NotYet
        } else if matches!(why, UnknownIssuer | BadSignature) {
            // Another authority of the same name vouches by a signature that is not the trusted one's.
            Self::Unknown
        } else {
            Self::Other(why.to_string())
        }
    }

    fn told(&self, endpoint: &Endpoint) -> Told {
        let host = &endpoint.host;
        match self {
            Self::Expired => Told::error(
                Code::CertificateExpired,
                format!("the certificate of {endpoint} is not valid any more"),
                "have it renewed, and see the clock of this machine",
            ),
            Self::NotYet => Told::error(
                Code::CertificateExpired,
                format!("the certificate of {endpoint} is not valid yet"),
                "see the clock of this machine, and of who made the certificate",
            ),
            Self::Unknown => Told::error(
                Code::CertificateUnknown,
                format!("nobody who is trusted vouches for the certificate of {endpoint}"),
                "give the authority's certificate to `--trust`, here and for `b2o serve`",
            ),
            Self::OtherName(names) => {
                // One that is presented as `DnsName("x")` is shown as it stands in quotes.
                let names: Vec<_> = names.iter().map(|name| quoted(name)).take(4).collect();
                let of = match names.is_empty() {
                    true => "other names".to_owned(),
                    false => format!("`{}`", names.join("`, `")),
                };
                Told::error(
                    Code::CertificateName,
                    format!("the certificate of {endpoint} is for {of}, not for `{host}`"),
                    "write a name that the certificate has, or have one made for this name",
                )
            }
            Self::Plain => Told::error(
                Code::TlsFailed,
                format!("{endpoint} does not speak TLS"),
                "where the server speaks plain HTTP on this port, write `http://`",
            ),
            Self::Other(why) => Told::error(
                Code::TlsFailed,
                format!("no TLS with {endpoint}: {why}"),
                "the gateway speaks TLS 1.2 and 1.3; see what the server offers",
            ),
        }
    }
}

/// What stands in quotes in a text, or all of it.
fn quoted(text: &str) -> &str {
    text.split('"').nth(1).unwrap_or(text)
}

/// Every error behind an error, the outermost first. One of IO shows what is in it only when asked.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut causes: Vec<&'e (dyn Error + 'static)> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        causes.push(error);
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(scheme: Scheme) -> Endpoint {
        Endpoint { scheme, host: "s3.example".to_owned(), port: scheme.default_port() }
    }

    #[test]
    fn each_trouble_has_its_code_and_a_remedy() {
        let certificate = |error| Unheard::Tls(Tls::of(&TlsError::InvalidCertificate(error)));
        let cases = [
            (Unheard::Connect("refused".to_owned()), "no-connection"),
            (Unheard::ConnectLate, "no-connection"),
            (Unheard::Inside, "internal-origin"),
            (Unheard::Lost, "no-answer"),
            (Unheard::Late, "no-answer"),
            (Unheard::Malformed, "not-http"),
            (Unheard::Nowhere, "no-address"),
            (Unheard::Unsendable, "not-asked"),
            (certificate(CertificateError::Expired), "certificate-expired"),
            (certificate(CertificateError::NotValidYet), "certificate-expired"),
            (certificate(CertificateError::UnknownIssuer), "certificate-unknown"),
            (certificate(CertificateError::BadSignature), "certificate-unknown"),
            (certificate(CertificateError::NotValidForName), "certificate-name"),
            (certificate(CertificateError::Revoked), "tls-failed"),
            (Unheard::Tls(Tls::Plain), "tls-failed"),
        ];
        for (unheard, code) in cases {
            let told = unheard.told(&endpoint(Scheme::Https)).unwrap();
            assert_eq!(told.code.as_str(), code, "{unheard:?}");
            assert!(told.help.is_some_and(|help| !help.is_empty()), "{unheard:?}");
        }
        assert_eq!(Unheard::Stopped.told(&endpoint(Scheme::Http)), None);
    }

    #[test]
    fn names_of_a_certificate_are_shown() {
        let tls = Tls::OtherName(vec!["DnsName(\"other.example\")".to_owned()]);
        let message = tls.told(&endpoint(Scheme::Https)).message;
        assert_eq!(
            message,
            "the certificate of https://s3.example is for `other.example`, not for `s3.example`"
        );
    }
}
