//! `certificate.yaml`: the certificate that clients are shown.
//!
//! Owns that it is a watched resource: what stands in the bootstrap itself Envoy reads once.

use std::path::Path;

use super::bootstrap::source;
use super::yaml::{List, Map};
use super::{CERTIFICATE, Settings};
use crate::certificate::Pair;
use crate::gateway::PROTOCOLS;

/// The name of the resource.
const NAME: &str = "listener";

/// The certificate's files, as Envoy is to find them.
pub(super) fn file(pair: &Pair, settings: &Settings) -> String {
    let found = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (certificate, key) = (found(&pair.certificate), found(&pair.key));
    // Without it Envoy watches each file for itself. It takes one directory only.
    let directory = certificate.parent().filter(|parent| key.parent() == Some(parent));
    let at = |path: &Path| Map::new().with("filename", path.display().to_string());
    let named =
        Map::new().with("certificate_chain", at(&certificate)).with("private_key", at(&key)).maybe(
            "watched_directory",
            directory.map(|directory| Map::new().with("path", directory.display().to_string())),
        );
    let secret = Map::typed("envoy.extensions.transport_sockets.tls.v3.Secret")
        .with("name", NAME)
        .with("tls_certificate", named);
    Map::new().with("resources", List::new().with(secret)).document(&settings.heading(ABOUT))
}

/// What clients' connections are encrypted by.
pub(super) fn socket(settings: &Settings) -> Map {
    let secret = Map::new().with("name", NAME).with("sds_config", source(CERTIFICATE, settings));
    let context = Map::typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")
        .with(
            "common_tls_context",
            Map::new()
                .with("alpn_protocols", PROTOCOLS.into_iter().collect::<List>())
                .with("tls_certificate_sds_secret_configs", List::new().with(secret)),
        );
    Map::new().with("name", "envoy.transport_sockets.tls").with("typed_config", context)
}

const ABOUT: &str = "The certificate that clients are shown. Envoy reads both files again when one is moved into its \
     place; a pair that does not fit leaves the old one.";
