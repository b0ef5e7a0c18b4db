//! Traces of a streaming Envoy, and what servers are told of them.

use serde_json::json;

use crate::support::client::request;
use crate::support::generated::{Generated, load};
use crate::support::rules::on_miss;
use crate::support::server::{Reply, Server};
use crate::support::wait::until;
use crate::support::wire::Request;

/// The trace that the client's request belongs to.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn one_trace_leads_from_the_client_to_the_bucket_and_to_the_origin() {
    let collector = Server::start(|_| Reply::new(200, &[], ""));
    let store = Server::start(|request| match &*request.method {
        "GET" => Reply::new(404, &[], "<Code>NoSuchKey</Code>"),
        _ => Reply::new(200, &[], ""),
    });
    let origin = Server::start(|_| Reply::new(200, &[("etag", "\"1\"")], "an object"));
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let mirror = json!({ "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) });
    let rules = json!([on_miss(1, "", mirror)]);
    std::fs::write(folder.path().join("rules.json"), rules.to_string()).expect("our own folder");
    let text = format!(
        "tracing: {{ otlp: \"{}\", sampled: 0% }}\nbuckets: [{{ name: examplebucket, endpoint: \
         \"{}\", rules: rules.json }}]",
        collector.url(),
        store.url()
    );
    let running = Generated::start(&load(&text, folder.path()));
    let get = |key: &str, parent: Option<&str>| {
        let request = request("GET", format!("/examplebucket/{key}"));
        let request =
            parent.into_iter().fold(request, |request, parent| request.with("traceparent", parent));
        let answer = request.send(running.envoy.address()).expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, &b"an object"[..]), "{answer:?}");
    };
    get("traced", Some(&format!("00-{TRACE}-00f067aa0ba902b7-01")));
    let parent = |requests: Vec<Request>| {
        let mut requests = requests.into_iter().filter(|request| request.method == "GET");
        requests.next().and_then(|request| request.header("traceparent")).unwrap_or_default()
    };
    for (server, at) in [(&store, "the bucket"), (&origin, "the origin")] {
        let parent = parent(server.take_requests());
        assert!(parent.starts_with(&format!("00-{TRACE}-")), "{at}: {parent:?}");
        assert!(!parent.contains("00f067aa0ba902b7"), "{at}: {parent}");
        // Of a request that the router sends on by itself, Envoy forgets that it is traced.
        assert!(parent.ends_with("-01") || at == "the origin", "{at}: {parent}");
    }
    // The spans are of that trace, and of nothing else: no other request is sampled.
    let id: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&TRACE[2 * at..2 * at + 2], 16))
        .map(|byte| byte.expect("digits"))
        .collect();
    until("the spans", || {
        let spans = collector.requests();
        let of_it = |request: &Request| {
            request.path() == b"/v1/traces" && request.body.windows(16).any(|bytes| bytes == id)
        };
        spans.iter().any(of_it).then_some(())
    });
    get("untraced", None);
    assert!(!parent(origin.take_requests()).ends_with("-01"));
}
