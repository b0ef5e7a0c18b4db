//! Origins whose names lead to the inside of a network: none is asked, whatever the rules say.

use std::fs;

use serde_json::json;

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::gateway::{HOSTS, Host, Path};
use crate::support::generated::load;
use crate::support::server::{Reply, Server};
use crate::support::store::Files;
use crate::support::wait::until;

/// What is told of each. Of what a callout was not sent for, Envoy does not say why.
const WHY: [&str; 2] = [
    "leads to the inside of a network, and it was not asked",
    "leads nowhere, or to the inside of a network",
];

/// What asks an origin on its own road: straight, behind another that fails, and beside the client.
const KEYS: [&str; 3] = ["straight", "another/key", "async/key"];

/// The rules: `localhost` stands for a public name whose owner has had it lead here.
fn rules(port: u16) -> String {
    let url = format!("http://localhost:{port}/");
    let rule = |number: u32, prefix: &str, redirect: serde_json::Value| {
        json!({
            "RuleNumber": number,
            "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": redirect,
        })
    };
    json!([
        rule(1, "straight", json!({ "RedirectType": "Mirror", "MirrorURL": url,
            "MirrorAllowHeadObject": true })),
        rule(2, "another/", json!({ "RedirectType": "Mirror", "MirrorURL": url,
            "MirrorURLSlave": format!("{url}slave/") })),
        rule(3, "async/", json!({ "RedirectType": "Mirror", "MirrorURL": url,
            "MirrorAsyncStatus": 302 })),
    ])
    .to_string()
}

fn asked(host: Host, path: Path, allowed: bool) {
    let what = format!("{host:?} {path:?}, allowed: {allowed}");
    let origin = Server::start(|_| Reply::new(200, &[], "of the inside"));
    let store = Files::start(&["examplebucket"], None);
    let folder = tempfile::tempdir().expect("a folder for the rules");
    fs::write(folder.path().join("rules.json"), rules(origin.address.port())).expect("our own");
    let path = match path {
        Path::Callout => "callout",
        Path::Streaming => "streaming",
    };
    let text = format!(
        "path: {path}\nworkers: 1\nbuckets: [{{ name: examplebucket, endpoint: \"http://{}\", rules: \
         rules.json }}]",
        store.address()
    );
    let mut loaded = load(&text, folder.path());
    // A check would see what the name is; of a public one it sees nothing.
    loaded.deployment.allow_internal_origins = allowed;
    let gateway = Deployed::start(host, &loaded, None);
    for key in KEYS {
        let answer = get(gateway.address, format!("/examplebucket/{key}"));
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        match (key.starts_with("async"), allowed) {
            (true, _) => assert_eq!(answer.status, 302, "{what} {key}: {answer:?}"),
            (false, true) => {
                assert_eq!((answer.status, body.as_str()), (200, "of the inside"), "{what} {key}");
            }
            (false, false) => {
                assert_eq!(answer.status, 424, "{what} {key}: {answer:?}");
                assert!(!body.contains("of the inside"), "{what} {key}: {body}");
            }
        }
        if !allowed {
            until(format!("the line on {key}, {what}"), || {
                let log = gateway.log();
                log.lines().any(|line| line.contains(key) && WHY.iter().any(|why| line.contains(why))).then_some(())
            });
        }
    }
    let head = request("HEAD", "/examplebucket/straight-head").send(gateway.address);
    let expected = if allowed { 200 } else { 424 };
    assert_eq!(head.expect("an answer").status, expected, "{what}");
    for key in KEYS {
        let stored = || get(store.address(), format!("/examplebucket/{key}")).status;
        match allowed {
            true => until(format!("{key} in the bucket, {what}"), || (stored() == 200).then_some(())),
            false => assert_eq!(stored(), 404, "{what} {key}"),
        }
    }
    if !allowed {
        assert_eq!(origin.requests(), [], "{what}");
    }
    assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{what}");
}

#[test]
fn no_origin_on_the_inside_is_asked_served_or_stored() {
    for (host, path) in HOSTS {
        asked(host, path, false);
    }
}

#[test]
fn where_it_is_allowed_origins_on_the_inside_are_asked() {
    for (host, path) in HOSTS {
        asked(host, path, true);
    }
}
