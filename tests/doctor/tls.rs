//! Certificates.

use super::{Case, codes, origin, printed};
use crate::support::server::ClosedPort;
use crate::support::store::Store;
use crate::support::tls::{Authority, Encrypted};

#[test]
fn each_trouble_with_a_certificate_is_named() {
    let (ours, other) = (Authority::new(), Authority::new());
    let store = Store::files_signed(&["examplebucket"], &super::keys());
    let origin = origin();
    let sound = Encrypted::before(store.address(), &ours);
    let foreign = Encrypted::before(store.address(), &other);
    let old = Encrypted::with(store.address(), &ours, "localhost", 2020);
    let named = Encrypted::with(store.address(), &ours, "another.example", 4000);
    let closed = ClosedPort::reserve();
    let cases: [(String, &[&str]); 6] = [
        (sound.authority(), &[]),
        (foreign.authority(), &["error certificate-unknown"]),
        (old.authority(), &["error certificate-expired"]),
        (named.authority(), &["error certificate-name"]),
        (origin.address.to_string(), &["error tls-failed"]),
        (closed.address.to_string(), &["error no-connection"]),
    ];
    for (authority, expected) in cases {
        let mut of_store = Case::new(format!("https://{authority}"), origin.url());
        of_store.options.trusted = Some(ours.certificate());
        let found = of_store.examine();
        assert_eq!(codes(&found), expected, "{}", printed(&found));
        let mut of_origin = Case::new(store.server.url(), format!("https://{authority}"));
        of_origin.options.trusted = Some(ours.certificate());
        let found = of_origin.examine();
        let codes = codes(&found);
        // The sound one is a store, which answers 403 to who does not sign.
        let expected = if expected.is_empty() { &["warning origin-denied"] } else { expected };
        assert_eq!(codes, expected, "{}", printed(&found));
    }
    assert_eq!(store.open_uploads(), [""; 0]);
}

#[test]
fn plain_http_to_a_server_of_tls_is_named() {
    let (authority, store, origin) = (Authority::new(), origin(), origin());
    let tls = Encrypted::before(store.address, &authority);
    let found = Case::new(format!("http://{}", tls.authority()), origin.url()).examine();
    let codes = codes(&found);
    assert!(codes == ["error not-http"] || codes == ["error no-answer"], "{codes:?}");
}
