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
    let closed = ClosedPort::reserve();
    for (server, is_store) in [(store.address(), true), (origin.address, false)] {
        let sound = Encrypted::before(server, &ours);
        let foreign = Encrypted::before(server, &other);
        let old = Encrypted::with(server, &ours, "localhost", 2020);
        let named = Encrypted::with(server, &ours, "another.example", 4000);
        let cases: [(String, &[&str]); 6] = [
            (sound.authority(), &[]),
            (foreign.authority(), &["error certificate-unknown"]),
            (old.authority(), &["error certificate-expired"]),
            (named.authority(), &["error certificate-name"]),
            (origin.address.to_string(), &["error tls-failed"]),
            (closed.address.to_string(), &["error no-connection"]),
        ];
        for (authority, expected) in cases {
            let encrypted = format!("https://{authority}");
            let mut case = match is_store {
                true => Case::new(encrypted, origin.url()),
                false => Case::new(store.server.url(), encrypted),
            };
            case.options.trusted = Some(ours.certificate());
            let found = case.examine();
            assert_eq!(codes(&found), expected, "{}", printed(&found));
        }
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
