//! `MirrorAuth`: a private origin, which is a store that checks signatures.

use std::path::Path;

use b2o::deployment::Loaded;
use serde_json::{Value, json};

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::{self, HOSTS};
use crate::support::generated::load;
use crate::support::rules::on_miss;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::{Keys, Store};
use crate::support::wait::until;
use crate::support::wire::Response;

const OBJECT: &[u8] = b"an object that not everybody may have";

/// What nobody must see; no other text has it in it.
const SECRET: &str = "sEcReT/of+the=origin";

/// A secret of the same key's that is not true.
const WRONG: &str = "wRoNg/sEcReT";

fn keys() -> Keys {
    Keys { access: "AKORIGIN".to_owned(), secret: SECRET.to_owned() }
}

/// A private bucket with some objects.
fn origin() -> Store {
    let keys = ["a.txt", "b.txt", "c.txt", "d.txt", "%C3%A4%20b%2Bc%21.txt"];
    let paths: Vec<_> = keys.iter().map(|key| format!("/private/{key}")).collect();
    let objects: Vec<_> = paths.iter().map(|path| (path.as_str(), OBJECT)).collect();
    Store::files_signed_with(&["private"], &self::keys(), &objects)
}

/// A rule for the keys below `prefix`, which are looked for at `url` without it.
fn rule(number: u32, prefix: &str, url: &str, secret: Option<&str>, more: &Value) -> Value {
    let mut redirect = json!({
        "RedirectType": "Mirror", "MirrorURL": url, "EnableReplacePrefix": true,
        "MirrorPassQueryString": true, "MirrorHeaders": { "PassAll": true },
    });
    if let Some(secret) = secret {
        redirect["MirrorAuth"] = json!({
            "AuthType": "S3V4", "Region": "us-east-1", "AccessKeyId": "AKORIGIN",
            "AccessKeySecret": secret,
        });
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        redirect[name] = value.clone();
    }
    on_miss(number, prefix, redirect)
}

fn deployment(
    store: &Store,
    rules: &[Value],
    more: &str,
    path: gateway::Path,
    folder: &Path,
) -> Loaded {
    std::fs::write(folder.join("rules.json"), Value::from(rules).to_string())
        .expect("a folder of our own");
    let path = match path {
        gateway::Path::Callout => "callout",
        gateway::Path::Streaming => "streaming",
    };
    let store = store.address();
    let text = format!(
        "path: {path}\n{more}buckets:\n- name: examplebucket\n  endpoint: http://{store}\n  rules: rules.json\n"
    );
    load(&text, folder)
}

#[test]
fn a_private_origin_is_asked_with_a_signature_and_nobody_else_is() {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = Store::files(&["examplebucket"]);
        let origin = origin();
        let closed = ClosedPort::reserve();
        let public = Server::start(|_| Reply::new(200, &[], OBJECT));
        let elsewhere = format!("http://{}/public", public.address);
        let moving = Server::start(move |request| match request.path() {
            b"/to-itself" => Reply::new(302, &[("location", "/here")], ""),
            b"/here" => Reply::new(200, &[], OBJECT),
            _ => Reply::new(302, &[("location", &elsewhere)], ""),
        });
        let private = format!("http://{}/private/", origin.address());
        let slave = json!({ "MirrorURLSlave": private });
        let rules = [
            rule(1, "private/", &private, Some(SECRET), &json!({ "MirrorAllowHeadObject": true })),
            rule(2, "open/", &private, None, &json!({})),
            rule(3, "slave/", &format!("http://{}/", closed.address), Some(SECRET), &slave),
            rule(4, "wrong/", &private, Some(WRONG), &json!({})),
            rule(5, "moved/", &format!("{}/", moving.url()), Some(SECRET), &json!({})),
        ];
        let more = format!("origins: [\"{}\"]\n", public.url());
        let loaded = deployment(&store, &rules, &more, path, folder.path());
        let gateway = Deployed::start(host, &loaded, None);
        let send = |method: &str, target: &str, range: Option<&str>| -> Response {
            let mut request = request(method, format!("/examplebucket/{target}"));
            // One's own signature is for the bucket.
            request = request.with("authorization", "AWS4-HMAC-SHA256 of-the-client");
            if let Some(range) = range {
                request = request.with("range", range);
            }
            request.send(gateway.address).unwrap_or_else(|error| panic!("{at} {target}: {error}"))
        };
        let stored = |key: &str| {
            let object = until(format!("{at}: {key} in the bucket"), || {
                store.object(format!("/examplebucket/{key}"))
            });
            assert_eq!(object.body, OBJECT, "{at} {key}");
        };

        for key in ["private/a.txt", "private/%C3%A4%20b%2Bc%21.txt?b=2&a=%20", "slave/a.txt"] {
            let answer = send("GET", key, None);
            assert_eq!((answer.status, answer.body.as_slice()), (200, OBJECT), "{at} {key}");
            stored(key.split('?').next().unwrap_or_default());
        }
        // A part of it, and the whole behind that.
        let part = send("GET", "private/b.txt", Some("bytes=3-8"));
        assert_eq!((part.status, part.body.as_slice()), (206, &OBJECT[3..9]), "{at}");
        stored("private/b.txt");
        let head = send("HEAD", "private/c.txt", None);
        let length = OBJECT.len().to_string();
        assert_eq!((head.status, head.header("content-length")), (200, Some(length)), "{at}");
        stored("private/c.txt");
        let none = send("GET", "private/none", None);
        assert_eq!(none.status, 404, "{at}: {none:?}");
        let signed = |request: &crate::support::wire::Request| {
            let value = request.header("authorization").unwrap_or_default();
            value.starts_with("AWS4-HMAC-SHA256 Credential=AKORIGIN/")
        };
        let requests = origin.server.take_requests();
        assert!(requests.len() >= 7 && requests.iter().all(signed), "{at}: {requests:?}");

        // Nobody else is signed for, at the same server.
        let open = send("GET", "open/d.txt", None);
        assert_eq!(open.status, 424, "{at}: {open:?}");
        let requests = origin.server.take_requests();
        assert!(!requests.is_empty(), "{at}");
        for request in &requests {
            assert_eq!(request.header("authorization"), None, "{at}");
        }
        let wrong = send("GET", "wrong/d.txt", None);
        assert_eq!(wrong.status, 424, "{at}: {wrong:?}");

        // The same server is asked again as before; another one gets no signature.
        for key in ["moved/to-itself", "moved/elsewhere"] {
            let moved = send("GET", key, None);
            assert_eq!((moved.status, moved.body.as_slice()), (200, OBJECT), "{at} {key}");
        }
        let (first, second) = (moving.take_requests(), public.take_requests());
        assert!(first.len() >= 2 && first.iter().all(signed), "{at}: {first:?}");
        assert!(!second.is_empty(), "{at}");
        for request in second {
            assert_eq!(request.header("authorization"), None, "{at}");
            assert_eq!(request.header("x-amz-date"), None, "{at}");
        }

        for (what, text) in gateway.shown() {
            for secret in [SECRET, WRONG] {
                assert!(!text.contains(secret), "{at}: {what} shows {secret}");
            }
        }
    }
}

#[test]
fn other_keys_are_signed_with_as_soon_as_the_rules_name_them() {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    for (host, path) in HOSTS {
        let store = Store::files(&["examplebucket"]);
        let origin = origin();
        let private = format!("http://{}/private/", origin.address());
        let of = |secret: &str| {
            let rules = [rule(1, "private/", &private, Some(secret), &json!({}))];
            deployment(&store, &rules, "", path, folder.path())
        };
        let mut gateway = Deployed::start(host, &of("of-yesterday"), None);
        let get = |address| {
            let request = request("GET", "/examplebucket/private/a.txt");
            request.send(address).expect("an answer").status
        };
        assert_eq!(get(gateway.address), 424, "{host:?} {path:?}");
        gateway.change(&of(SECRET));
        until(format!("{host:?} {path:?}: the new key"), || {
            (get(gateway.address) == 200).then_some(())
        });
    }
}
