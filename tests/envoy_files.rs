//! What `b2o envoy` writes, as real Envoy takes it.

use std::fs;
use std::path::Path;

use b2o::deployment::Domain;

use crate::support::client::{get, request};
use crate::support::generated::{Generated, load, mirrored};
use crate::support::server::{Reply, Server};
use crate::support::store::{Files, Keys, Store};
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

/// A private bucket that the store wants named by the host, asked for by path and by host.
#[test]
fn signed_reads_find_their_bucket_again_however_it_is_named() {
    let store = Store::memory("127.0.0.1");
    let origin = Server::start(|request| Reply::new(200, &[], request.path()));
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let signing = ", reads: signed, addressing: virtual, \
                   credentials: { inline: { access_key_id: k, secret_access_key: s } }";
    let mut loaded = mirrored(store.address(), origin.address, signing, folder.path());
    loaded.deployment.domain = Some(Domain("s3.test".to_owned()));
    let running = Generated::start(&loaded);
    let gateway = running.envoy.address();
    let by_host = |key: &str| {
        request("GET", format!("/{key}")).with("host", "examplebucket.s3.test").send(gateway)
    };
    let by_path = |key: &str| request("GET", format!("/examplebucket/{key}")).send(gateway);
    let asks: [(&str, &dyn Fn(&str) -> _); 2] = [("host", &by_host), ("path", &by_path)];
    for (name, ask) in asks {
        for key in ["k%20y", "examplebucket/k", "%2e%2e%2fout"] {
            let key = format!("{name}/{key}");
            let answer = ask(&key).expect("an answer");
            let came = format!("/{}", key.replace("%2e%2e%2f", "../"));
            assert_eq!((answer.status, &answer.body[..]), (200, came.as_bytes()), "{key}");
            let stored = format!("/examplebucket/{key}");
            until(format!("{key} in the bucket"), || store.object(&stored));
            let hit = ask(&key).expect("an answer");
            assert_eq!(hit.body, answer.body, "{key}");
            assert_eq!(hit.header("x-oss-tag"), answer.header("x-oss-tag"), "{key}");
        }
        // A key that leads out of the bucket is the bucket's own affair.
        let answer = ask("..%2f../k").expect("an answer");
        assert_eq!(answer.header("x-amz-request-id").as_deref(), Some("R1"), "{name}: {answer:?}");
    }
    let asked = origin.take_requests();
    assert_eq!(asked.len(), 6, "{asked:?}");
    for (request, _) in store.answered() {
        assert!(request.header("authorization").is_some(), "{request:?}");
        let host = request.header("host").unwrap_or_default();
        assert!(host.starts_with("examplebucket.127.0.0.1:"), "{request:?}");
    }
}
