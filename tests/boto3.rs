//! Signed requests of boto3 through both hosts, to a store that verifies every signature.

use std::process::Command;

use serde_json::json;

use crate::support::gateway::{Gateway, Host, Setup};
use crate::support::python;
use crate::support::server::{Reply, Server};
use crate::support::store::{Files, Keys};

/// The release the tests speak about.
pub(crate) const VERSION: &str = "1.44.5";

const SCRIPT: &str = include_str!("clients/signed.py");

/// What uses all that the embedded store can do.
const STORE_SCRIPT: &str = include_str!("clients/store.py");

/// Runs a script of boto3's; what it told where it failed.
fn run(script: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("python3")
        .args(["-c", script])
        .args(arguments)
        .env("PYTHONPATH", python::package("boto3", VERSION, true))
        // What the machine knows of other stores is nothing to this one.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .expect("Python 3 can be started");
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

#[test]
fn the_store_by_itself() {
    let keys = Keys { access: "AKEXAMPLE".to_owned(), secret: "SKEXAMPLE".to_owned() };
    let signed = Files::start(&[], Some(&keys));
    let open = Files::start(&[], None);
    for (store, checked) in [(signed, "checked"), (open, "unread")] {
        let url = format!("http://{}", store.address());
        run(STORE_SCRIPT, &[&url, &keys.access, &keys.secret, checked])
            .unwrap_or_else(|told| panic!("{told}"));
        assert_eq!(store.open_uploads(), Vec::<String>::new());
    }
}

#[test]
fn a_signed_client_through_the_harness() {
    signed_client(Host::Harness);
}

#[test]
fn a_signed_client_through_envoy() {
    signed_client(Host::Envoy);
}

fn signed_client(host: Host) {
    let keys = Keys { access: "AKEXAMPLE".to_owned(), secret: "SKEXAMPLE".to_owned() };
    let store = Files::start(&["examplebucket"], Some(&keys));
    let origin = Server::start(|request| match request.path() {
        b"/mirrored/one" | b"/mirrored/two" => {
            Reply::new(200, &[("content-type", "text/mirrored")], "from the origin")
        }
        b"/mirrored/none" => Reply::new(404, &[], ""),
        _ => Reply::new(500, &[], ""),
    });
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "KeyPrefixEquals": "mirrored/", "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()),
            "MirrorPassQueryString": true, "MirrorHeaders": { "PassAll": true },
        },
    }]);
    let mut setup = Setup::new(rules, store.address(), &[origin.address]);
    setup.keys = Some(keys.clone());
    let gateway = Gateway::start(host, &setup);

    let url = format!("http://{}", gateway.address);
    run(SCRIPT, &[&url, &keys.access, &keys.secret])
        .unwrap_or_else(|told| panic!("{host:?}: {told}\n{}", gateway.log()));

    let secrets = ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
    for request in origin.requests() {
        for name in secrets {
            assert_eq!(request.header(name), None, "{host:?}: {name} reached the origin");
        }
        let target = String::from_utf8_lossy(&request.target).into_owned();
        assert!(!target.contains("X-Amz"), "{host:?}: {target} reached the origin");
    }
    assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
}
