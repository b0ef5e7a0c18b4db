//! A certificate with its key, as two PEM files hold them.
//!
//! Owns whether the two belong together. Who shows them, and when they are read again, is not known
//! here.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Where a certificate and its key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair {
    /// The certificate, with those between it and one that clients know.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Which of the two files is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The certificate.
    Certificate,
    /// The key.
    Key,
}

impl Part {
    const fn words(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
        }
    }
}

/// Why a pair cannot be shown to clients. No text of either file is in it.
#[derive(Debug)]
pub enum Unusable {
    /// A file cannot be read.
    Unreadable(Part, PathBuf, io::Error),
    /// A file is not PEM, or what is wanted is not in it.
    Absent(Part, PathBuf),
    /// The key is of a kind that is not known, or is not that of the certificate.
    Mismatch(rustls::Error),
}

impl Unusable {
    /// The file to look at.
    #[must_use]
    pub const fn part(&self) -> Part {
        match self {
            Self::Unreadable(part, ..) | Self::Absent(part, _) => *part,
            Self::Mismatch(_) => Part::Key,
        }
    }

    /// Whether a file is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Unreadable(_, _, error) => error.kind() == io::ErrorKind::NotFound,
            Self::Absent(..) | Self::Mismatch(_) => false,
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(part, path, error) => {
                write!(f, "the {} in {} cannot be read: {error}", part.words(), path.display())
            }
            Self::Absent(part, path) => {
                write!(f, "there is no {} in PEM in {}", part.words(), path.display())
            }
            Self::Mismatch(rustls::Error::InconsistentKeys(_)) => {
                f.write_str("the key is not that of the certificate")
            }
            Self::Mismatch(error) => write!(f, "the key cannot be used: {error}"),
        }
    }
}

impl std::error::Error for Unusable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, _, error) => Some(error),
            Self::Absent(..) => None,
            Self::Mismatch(error) => Some(error),
        }
    }
}

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read, or they do not belong together.
    pub fn read(&self) -> Result<Arc<CertifiedKey>, Unusable> {
        let pem = read(Part::Certificate, &self.certificate)?;
        let absent = |part, path: &Path| Unusable::Absent(part, path.to_owned());
        let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|_| absent(Part::Certificate, &self.certificate))?;
        if chain.is_empty() {
            return Err(absent(Part::Certificate, &self.certificate));
        }
        let pem = read(Part::Key, &self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| absent(Part::Key, &self.key))?;
        let pair = CertifiedKey::from_der(chain, key, &default_provider());
        pair.map(Arc::new).map_err(Unusable::Mismatch)
    }
}

fn read(part: Part, path: &Path) -> Result<Vec<u8>, Unusable> {
    std::fs::read(path).map_err(|error| Unusable::Unreadable(part, path.to_owned(), error))
}
