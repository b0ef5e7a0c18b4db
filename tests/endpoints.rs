//! Stores of several servers: each has its turn, and no request notices one that is gone.

use std::fs;

use serde_json::json;

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::load;
use crate::support::rules::on_miss;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::wait::until;

/// A server that has every object but one, and says of itself which one it is.
fn store(name: &'static str) -> Server {
    Server::start(move |request| match request.path() {
        b"/examplebucket/missing" if request.method == "GET" => {
            Reply::new(404, &[], "<Code>NoSuchKey</Code>")
        }
        _ => Reply::new(200, &[("x-server", name)], name).keep(),
    })
}

fn started(host: Host, servers: &[String], origin: &str) -> Deployed {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let mirror = json!({ "RedirectType": "Mirror", "MirrorURL": format!("{origin}/") });
    let rules = json!([on_miss(1, "", mirror)]);
    fs::write(folder.path().join("rules.json"), rules.to_string()).expect("a folder of our own");
    let servers = servers.join(", ");
    let text = format!(
        "workers: 1\nbuckets: [{{ name: examplebucket, endpoint: [{servers}], rules: rules.json, tombstones: none }}]"
    );
    Deployed::start(host, &load(&text, folder.path()), None)
}

fn url(server: &Server) -> String {
    format!("\"{}\"", server.url())
}

#[test]
fn each_server_has_its_turn() {
    for host in [Host::Harness, Host::Envoy] {
        let (a, b) = (store("a"), store("b"));
        let gateway = started(host, &[url(&a), url(&b)], "http://127.0.0.1:9");
        let mut answers = Vec::new();
        for key in 0..40 {
            let answer = get(gateway.address, format!("/examplebucket/{key}"));
            assert_eq!(answer.status, 200, "{host:?}: {answer:?}");
            answers.push(String::from_utf8_lossy(&answer.body).into_owned());
        }
        for name in ["a", "b"] {
            let share = answers.iter().filter(|answer| *answer == name).count();
            assert!((10..=30).contains(&share), "{host:?}: {name} answered {share} of 40");
        }
    }
}

#[test]
fn no_request_notices_a_server_that_is_gone() {
    for host in [Host::Harness, Host::Envoy] {
        let (a, gone) = (store("a"), ClosedPort::reserve());
        let origin = Server::start(|_| Reply::new(200, &[("etag", "\"1\"")], "from the origin"));
        let down = format!("\"http://{}\"", gone.address);
        let gateway = started(host, &[down, url(&a)], &origin.url());
        for key in 0..20 {
            let answer = get(gateway.address, format!("/examplebucket/{key}"));
            assert_eq!((answer.status, &*answer.body), (200, &b"a"[..]), "{host:?}: {answer:?}");
            let put = request("PUT", format!("/examplebucket/{key}")).with_body("written");
            let answer = put.send(gateway.address).expect("an answer");
            assert_eq!(answer.status, 200, "{host:?}: {answer:?}");
        }
        // What is missing is missing, whoever says so, and it is stored where a server is.
        let answer = get(gateway.address, "/examplebucket/missing");
        assert_eq!((answer.status, &*answer.body), (200, &b"from the origin"[..]), "{host:?}");
        until(format!("{host:?}: the copy"), || {
            let is_copy = |request: &crate::support::wire::Request| {
                request.method == "PUT" && request.path() == b"/examplebucket/missing"
            };
            a.requests().iter().any(is_copy).then_some(())
        });
    }
}
