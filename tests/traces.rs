//! The trace that a client says its request belongs to, as all servers are told it that are asked for it.

use serde_json::json;

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::load;
use crate::support::rules::on_miss;
use crate::support::server::{Reply, Server};
use crate::support::wait::until;
use crate::support::wire::Request;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a request says of its trace.
fn told(request: &Request) -> [Option<String>; 2] {
    ["traceparent", "tracestate"].map(|name| request.header(name))
}

#[test]
fn a_trace_goes_on_to_the_origin_and_to_what_is_written() {
    std::thread::scope(|scope| {
        for host in [Host::Harness, Host::Envoy] {
            for path in ["streaming", "callout"] {
                scope.spawn(move || goes_on(host, path));
            }
        }
    });
}

fn goes_on(host: Host, path: &str) {
    let of = format!("{host:?}, {path}");
    let store = Server::start(|request| match &*request.method {
        "GET" | "HEAD" => Reply::new(404, &[], "<Code>NoSuchKey</Code>"),
        _ => Reply::new(200, &[("etag", "\"s\"")], ""),
    });
    let origin = Server::start(|request| {
        Reply::object(request, &[("etag", "\"1\"")], b"an object of the origin's")
    });
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let mirror = json!({ "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) });
    let rules = json!([on_miss(1, "", mirror)]);
    std::fs::write(folder.path().join("rules.json"), rules.to_string()).expect("our own folder");
    let text = format!(
        "path: {path}\nbuckets: [{{ name: examplebucket, endpoint: \"{}\", rules: rules.json }}]",
        store.url()
    );
    let gateway = Deployed::start(host, &load(&text, folder.path()), None);
    let get = |key: &str, parent: &str, range: Option<&str>| {
        let request = request("GET", format!("/examplebucket/{key}"))
            .with("traceparent", parent)
            .with("tracestate", "vendor=1");
        let request =
            range.into_iter().fold(request, |request, range| request.with("range", range));
        request.send(gateway.address).expect("an answer").status
    };
    // What streams is copied; a part is fetched again for the bucket alone.
    let is_whole = |request: &Request| request.header("range").as_deref() != Some("bytes=0-3");
    for (key, range, status) in [("whole", None, 200), ("part", Some("bytes=0-3"), 206)] {
        assert_eq!(get(key, TRACE, range), status, "{of}");
        let written = until("the write", || {
            let requests = store.take_requests();
            requests.iter().any(|request| request.method == "PUT").then_some(requests)
        });
        let asked = origin.take_requests();
        assert!(asked.iter().any(is_whole), "{of}: {asked:?}");
        for request in written.iter().chain(&asked) {
            let expected = [Some(TRACE.to_owned()), Some("vendor=1".to_owned())];
            assert_eq!(told(request), expected, "{of}: {request:?}");
        }
    }
    // What is not well formed goes no further than to the bucket.
    let broken = TRACE.replace("-01", "-");
    assert_eq!(get("broken", &broken, None), 200, "{of}");
    let written = until("the write", || {
        let requests = store.requests();
        requests.iter().any(|request| request.method == "PUT").then_some(requests)
    });
    let write = written.iter().filter(|request| request.method == "PUT");
    for request in write.chain(&origin.take_requests()) {
        assert_eq!(told(request), [None, None], "{of}: {request:?}");
    }
    assert_eq!(gateway.vm_failures(), [""; 0], "{of}");
}
