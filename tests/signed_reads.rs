//! Reads that the gateway signs, of keys in every encoding that clients have for them.

use serde_json::json;

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::{HOSTS, Path};
use crate::support::generated::load;
use crate::support::server::{Reply, Server};
use crate::support::store::{Keys, Store};

const KEY: &str = "/examplebucket/docs/h%C3%A4llo%20w%2Bo%21%27~_.txt";

/// All of them are one key.
const SPELLINGS: [&str; 4] = [
    "docs/h%C3%A4llo%20w%2Bo%21%27~_.txt",
    // Clients of OSS encode every slash.
    "docs%2Fh%C3%A4llo%20w%2Bo%21%27~_.txt",
    "docs%2fh%c3%a4llo%20w%2bo%21%27~_.txt",
    "docs/%68%C3%A4llo%20w+o!'%7E%5F%2etxt",
];

/// What clients sign in their URLs, the new ways and the old.
const SIGNATURES: [&str; 4] = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20260101%2Fr%2Fs3%2Faws4_request\
     &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0",
    "X%2DAmz%2DSignature=0&x-amz-credential=K",
    "AWSAccessKeyId=K&Expires=1&Signature=a%2Bb",
    "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=K&x-oss-date=1&x-oss-expires=1\
     &x-oss-signature=0",
];

#[test]
fn a_key_is_read_however_it_is_encoded_and_whatever_the_client_has_signed() {
    let keys = Keys { access: "AKEXAMPLE".to_owned(), secret: "SKEXAMPLE".to_owned() };
    let origin = Server::start(|request| Reply::new(200, &[], request.path()));
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()),
            "MirrorPassQueryString": true,
        },
    }]);
    let folder = tempfile::tempdir().expect("a folder for the rules");
    std::fs::write(folder.path().join("rules.json"), rules.to_string()).expect("our own folder");
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files_signed_with(&["examplebucket"], &keys, &[(KEY, b"there")]);
        let path = match path {
            Path::Callout => "callout",
            Path::Streaming => "streaming",
        };
        let text = format!(
            "path: {path}\nallow_internal_origins: true\nbuckets:\n- name: examplebucket\n  \
             endpoint: http://{}\n  rules: rules.json\n  reads: signed\n  credentials:\n    \
             inline: {{ access_key_id: {}, secret_access_key: {} }}\n",
            store.address(),
            keys.access,
            keys.secret,
        );
        let gateway = Deployed::start(host, &load(&text, folder.path()), None);
        let ask = |key: &str| {
            let asking = request("GET", format!("/examplebucket/{key}"));
            asking.send(gateway.address).expect("an answer")
        };
        for spelling in SPELLINGS {
            let hit = ask(spelling);
            assert_eq!(
                (hit.status, &hit.body[..]),
                (200, &b"there"[..]),
                "{at} {spelling}: {hit:?}"
            );
            let miss = ask(&format!("no/{spelling}"));
            assert_eq!(miss.status, 200, "{at} {spelling}: {miss:?}");
        }
        for (number, signature) in SIGNATURES.into_iter().enumerate() {
            let hit = ask(&format!("{}?{signature}", SPELLINGS[0]));
            assert_eq!((hit.status, &hit.body[..]), (200, &b"there"[..]), "{at} {signature}");
            let miss = ask(&format!("presigned%2F{number}?{signature}&x=1"));
            let expected = format!("/presigned/{number}");
            assert_eq!((miss.status, miss.body), (200, expected.into_bytes()), "{at} {signature}");
        }
        for (asked, _) in store.answered() {
            let target = String::from_utf8_lossy(&asked.target).to_ascii_lowercase();
            assert!(!target.contains("signature"), "{at}: {target}");
        }
        let lines = gateway.log();
        assert!(!lines.to_ascii_lowercase().contains("signature="), "{at}: {lines}");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
    for asked in origin.requests() {
        let target = String::from_utf8_lossy(&asked.target).to_ascii_lowercase();
        assert!(!target.contains("signature"), "{target}");
    }
}
