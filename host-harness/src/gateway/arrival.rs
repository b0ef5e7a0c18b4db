//! What a connection begins with, before its first request: who it is from, and TLS.
//!
//! Owns the header of the PROXY protocol, and the time that all of this may take.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::settings::bounds;

/// The bytes that say how long a header of version 2 is.
const FIXED: usize = 16;

/// The longest line of version 1.
const LONGEST_LINE: usize = 107;

/// The longest header of version 2 that is read: addresses, and what balancers say beside them.
const LONGEST_HEADER: usize = 4096;

/// What connections begin with.
#[derive(Clone)]
pub(super) struct Arrivals {
    /// Each begins with a header of the PROXY protocol.
    pub(super) proxied: bool,
    /// Each is encrypted.
    pub(super) encryption: Option<TlsAcceptor>,
}

/// A connection that requests may come on.
pub(super) enum Arrived {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Arrivals {
    /// Reads what stands before the first request, in time; who the connection is from, with it.
    pub(super) async fn take(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<(Arrived, SocketAddr)> {
        let limit = Duration::from_secs(bounds::ARRIVAL_SECONDS);
        timeout(limit, self.read(stream, peer)).await?
    }

    async fn read(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<(Arrived, SocketAddr)> {
        let from = if self.proxied { source(&mut stream).await? } else { None };
        let arrived = match &self.encryption {
            None => Arrived::Plain(stream),
            Some(acceptor) => Arrived::Encrypted(Box::new(acceptor.accept(stream).await?)),
        };
        Ok((arrived, from.unwrap_or(peer)))
    }
}

/// Reads the header, and not a byte more; `None` where a balancer speaks for itself.
async fn source(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let refused = || io::Error::new(io::ErrorKind::InvalidData, "no header of the PROXY protocol");
    let mut header = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        header.resize(FIXED, 0);
        stream.read_exact(&mut header[v2::PROTOCOL_PREFIX.len()..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if rest > LONGEST_HEADER {
            return Err(refused());
        }
        header.resize(FIXED + rest, 0);
        stream.read_exact(&mut header[FIXED..]).await?;
        let header = v2::Header::try_from(&header[..]).map_err(|_| refused())?;
        Ok(by_bytes(&header))
    } else if header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        while !header.ends_with(b"\r\n") {
            if header.len() >= LONGEST_LINE {
                return Err(refused());
            }
            header.push(stream.read_u8().await?);
        }
        let header = v1::Header::try_from(&header[..]).map_err(|_| refused())?;
        Ok(by_line(&header.addresses))
    } else {
        Err(refused())
    }
}

const fn by_line(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Tcp4(ip) => {
            Some(SocketAddr::new(IpAddr::V4(ip.source_address), ip.source_port))
        }
        v1::Addresses::Tcp6(ip) => {
            Some(SocketAddr::new(IpAddr::V6(ip.source_address), ip.source_port))
        }
        v1::Addresses::Unknown => None,
    }
}

fn by_bytes(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (&header.command, &header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some(SocketAddr::new(IpAddr::V4(ip.source_address), ip.source_port))
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some(SocketAddr::new(IpAddr::V6(ip.source_address), ip.source_port))
        }
        (v2::Command::Local, _)
        | (v2::Command::Proxy, v2::Addresses::Unix(_) | v2::Addresses::Unspecified) => None,
    }
}
