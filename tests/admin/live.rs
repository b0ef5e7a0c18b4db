//! A rule that is put is obeyed by the next request, or one within a second.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use b2o::envoy::{BOOTSTRAP, DataPath, Settings, Target};

use super::Api;
use crate::support::client::{get, request};
use crate::support::envoy::Envoy;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::within;

/// From the answer to a change, to the first request that obeys it.
const LIVE: Duration = Duration::from_secs(1);

#[test]
fn envoy_obeys_within_a_second_by_callouts() {
    obeyed(DataPath::Callout);
}

#[test]
fn envoy_obeys_within_a_second_streaming() {
    obeyed(DataPath::Streaming);
}

/// A rule that mirrors everything from an origin.
fn mirror(origin: &Server) -> String {
    format!(
        "<WebsiteConfiguration><RoutingRules><RoutingRule><RuleNumber>1</RuleNumber><Condition>\
         <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect>\
         <RedirectType>Mirror</RedirectType><MirrorURL>http://{}/</MirrorURL></Redirect>\
         </RoutingRule></RoutingRules></WebsiteConfiguration>",
        origin.address
    )
}

fn obeyed(path: DataPath) {
    let store = Store::files(&["examplebucket"]);
    let origin = |text: &'static str| Server::start(move |_| Reply::new(200, &[], text));
    let (first, second) = (origin("first"), origin("second"));
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let target = Target {
        directory: folder.path().join("generated"),
        data_path: Some(path),
        form: b2o::envoy::Form::Envoy,
        trusted: Settings::TRUSTED.into(),
    };
    let rules = tempfile::tempdir().expect("a folder for the rules");
    fs::write(rules.path().join("rules.json"), "[]").expect("a folder of our own");
    let deployment = format!(
        "listen: 127.0.0.1:0\nadmin: {}\nallow_internal_origins: true\nbuckets:\n- name: examplebucket\n  endpoint: http://{}\n  \
         rules: rules.json\n",
        free_port(),
        store.address()
    );
    let api = Api::start(&deployment, false, Some(target.clone()), rules);
    let deployment = api.path("deployment.yaml");
    let loaded = b2o::deployment::load(&deployment).expect("a right deployment");
    let files = target.prepare(&deployment, &loaded).expect("files for Envoy");
    files.install().expect("a folder of our own");
    let bootstrap = fs::read_to_string(target.directory.join(BOOTSTRAP)).expect("a bootstrap");
    let envoy = Envoy::start(&bootstrap, "yaml", folder);
    let gateway = envoy.address();

    let ask = |method: &str, body: String| {
        let request = request(method, "/examplebucket?website").with_body(body);
        request.send(api.address()).expect("the API answers").status
    };
    let obeys = |what: &str, expected: (u16, &str)| {
        let mut tries = 0;
        let seen = within(LIVE, || {
            tries += 1;
            // Each time another key: none may have been stored by the time before.
            let answer = get(gateway, format!("/examplebucket/{what}-{tries}"));
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            (answer.status == expected.0 && body.contains(expected.1)).then_some(())
        });
        assert!(seen.is_some(), "{what}: not within {LIVE:?}, {tries} tries\n{}", envoy.log());
    };
    obeys("none", (404, "NoSuchKey"));
    assert_eq!(ask("PUT", mirror(&first)), 200);
    obeys("first", (200, "first"));
    // An origin that Envoy has not heard of before.
    assert_eq!(ask("PUT", mirror(&second)), 200);
    obeys("second", (200, "second"));
    // What is refused leaves everything as it was.
    assert_eq!(ask("PUT", mirror(&second).replace("http://", "nonsense://")), 400);
    assert_eq!(get(gateway, "/examplebucket/still").body, b"second");
    assert_eq!(ask("DELETE", String::new()), 204);
    obeys("deleted", (404, "NoSuchKey"));
    assert_eq!(envoy.vm_failures(), Vec::<String>::new());
}

/// An address that was free a moment ago: the files name it before Envoy listens there.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it listens")
}
