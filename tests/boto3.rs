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

    let output = Command::new("python3")
        .args(["-c", SCRIPT, &format!("http://{}", gateway.address), &keys.access, &keys.secret])
        .env("PYTHONPATH", python::package("boto3", VERSION, true))
        // What the machine knows of other stores is nothing to this one.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .expect("Python 3 can be started");
    assert!(
        output.status.success(),
        "{host:?}: {}\n{}{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        gateway.log(),
    );

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
