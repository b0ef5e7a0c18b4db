//! What `b2o envoy` writes, as real Envoy takes it.

use std::fs;
use std::path::Path;

use crate::support::client::get;
use crate::support::generated::{Generated, load, mirrored};
use crate::support::server::{Reply, Server};
use crate::support::store::{Files, Keys};
use crate::support::wait::until;

#[test]
fn envoy_takes_every_generated_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/generated");
    for name in ["anonymous", "callout", "redirects", "signed"] {
        let directory = root.join(name);
        let text = fs::read_to_string(directory.join("deployment.yaml")).expect(name);
        let running = Generated::start(&load(&text, &directory));
        assert_eq!(running.refused(), Vec::<String>::new(), "{name}");
        let updates = running.envoy.admin("/stats?filter=(cds|rds.*)[.]update_success");
        assert!(updates.lines().count() >= 2 && !updates.contains(": 0"), "{name}: {updates}");
    }
}

#[test]
fn keys_sign_what_is_written_and_envoy_shows_them_nowhere() {
    let keys = Keys { access: "EXAMPLEKEY".to_owned(), secret: "so/me+secret=".to_owned() };
    let store = Files::start(&["examplebucket"], Some(&keys));
    let origin = Server::start(|_| Reply::new(200, &[], "mirrored"));
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let signing = format!(
        ", reads: signed, credentials: {{ inline: {{ access_key_id: {}, secret_access_key: {} }} }}",
        keys.access, keys.secret
    );
    let loaded = mirrored(store.address(), origin.address, &signing, folder.path());
    let running = Generated::start(&loaded);
    let gateway = running.envoy.address();
    // The first comes from the origin; once it is stored, the origin is not asked again.
    until("the object in the bucket", || {
        let answer = get(gateway, "/examplebucket/key");
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"mirrored".as_slice()));
        answer.header("etag").map(|_| ())
    });
    assert_eq!(get(gateway, "/examplebucket/key").status, 200);
    let shown = running.envoy.admin("/config_dump") + &running.envoy.log();
    assert!(!shown.contains(&keys.secret), "Envoy shows a secret");
    for file in ["filter.yaml", "clusters.yaml", "routes.yaml", "envoy.yaml"] {
        let text = fs::read_to_string(running.directory.join(file)).expect(file);
        assert!(!text.contains(&keys.secret) && !text.contains(&keys.access), "{file}");
    }
}
