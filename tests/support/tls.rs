//! TLS before a server, with a certificate of an authority that is the test's own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::gateway::runtime;

/// Somebody who vouches for servers.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters.distinguished_name.push(DnType::CommonName, "an authority of a test's");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder for a certificate");
        let authority = Self { issuer: Issuer::new(parameters, key), folder };
        fs::write(authority.certificate(), certificate.pem()).expect("a folder of our own");
        authority
    }

    /// The file of its own certificate, by which others trust it.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A certificate and its key for a name, in PEM.
    pub(crate) fn pair(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// A certificate and its key for a name, until the end of a year.
    fn vouch(
        &self,
        name: &str,
        until: i32,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        parameters.not_after = date_time_ymd(until, 12, 31);
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key of a known form");
        (vec![certificate.der().clone()], key)
    }
}

/// `https://localhost:PORT` before a server that speaks plain HTTP; it ends with this.
pub(crate) struct Encrypted {
    port: u16,
    acceptor: JoinHandle<()>,
}

impl Encrypted {
    pub(crate) fn before(server: SocketAddr, authority: &Authority) -> Self {
        Self::with(server, authority, "localhost", 4000)
    }

    /// The same with a certificate for another name, or one of another time.
    pub(crate) fn with(server: SocketAddr, authority: &Authority, name: &str, until: i32) -> Self {
        let (chain, key) = authority.vouch(name, until);
        let configuration =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions of TLS")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(configuration));
        let listener = runtime().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let acceptor = runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the certificate hangs up.
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let Ok(mut inside) = TcpStream::connect(server).await else { return };
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { port, acceptor }
    }

    /// `localhost:PORT`.
    pub(crate) fn authority(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}
