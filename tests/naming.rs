//! Which bucket a request names: the core, `b2o serve` and Envoy's own routes say the same of hosts
//! and paths of every kind.

use std::fs;

use b2o::deployment::Loaded;
use back_to_origin::http::headers::Headers;
use back_to_origin::request::ObjectRequest;
use serde_json::json;

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::load;
use crate::support::server::{Reply, Server};
use crate::support::store::error;
use crate::support::wire::Request;

const DOMAIN: &str = "s3.localhost";
const BUCKETS: [&str; 3] = ["abc", "a.bc", "abcd"];

const HOSTS: [&str; 28] = [
    "gateway.example",
    "gateway.example:8080",
    "gateway.example.",
    "localhost",
    "127.0.0.1",
    "127.0.0.1:9000",
    "[::1]",
    "[::1]:9000",
    "s3.localhost",
    "S3.LocalHost:80",
    "s3.localhost.",
    "abc.s3.localhost",
    "ABC.S3.localhost",
    "abc.s3.localhost:8080",
    "abc.s3.localhost:",
    "abc.s3.localhost.",
    "abc.s3.localhost.:80",
    "a.bc.s3.localhost",
    "A.bc.s3.localhost:80",
    "bc.s3.localhost",
    "x.abc.s3.localhost",
    "nosuch.s3.localhost",
    "NoSuch.S3.localhost",
    "nosuch.s3.localhost:8080",
    "nosuch.s3.localhost.",
    ".s3.localhost",
    "abcs3.localhost",
    "abc.s3.localhost.example",
];

const PATHS: [&str; 8] =
    ["/abc/k", "/a.bc/d/k", "/abcd/k", "/abcde/k", "/k", "/%61bc/k", "//abc/k", "/ABC/k"];

/// A bucket and a key that a request gets out of an origin.
type Mirrored = Option<(String, String)>;

fn by_core(domain: Option<&str>, host: &str, path: &str) -> Mirrored {
    let pairs = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)];
    let knows = |name: &str| BUCKETS.contains(&name);
    let request = ObjectRequest::read(Headers::from_pairs(pairs), domain, knows).ok()?;
    Some((request.bucket, String::from_utf8(request.key).expect("keys of letters")))
}

/// A deployment whose buckets have a store each, and are mirrored from one origin.
fn deployment(domain: Option<&str>, path: &str, stores: &[Server], origin: &Server) -> Loaded {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let mut text = format!("path: {path}\n");
    text.extend(domain.map(|domain| format!("domain: {domain}\n")));
    text.push_str("buckets:\n");
    for (name, store) in BUCKETS.iter().zip(stores) {
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror",
                "MirrorURL": format!("{}/{name}/", origin.url()),
                "MirrorPassOriginalSlashes": true,
            },
        }]);
        fs::write(folder.path().join(format!("{name}.json")), rules.to_string()).expect("a file");
        let url = store.url();
        text.push_str(&format!(
            "  - {{ name: {name}, endpoint: \"{url}\", rules: {name}.json, negative_cache: 0s, tombstones: none }}\n"
        ));
    }
    load(&text, folder.path())
}

#[test]
fn core_serve_and_envoy_read_the_same_bucket_out_of_a_request() {
    let mut failures = Vec::new();
    let mut combinations = 0;
    for domain in [Some(DOMAIN), None] {
        for path_of_data in ["streaming", "callout"] {
            for host in [Host::Harness, Host::Envoy] {
                let stores = BUCKETS.map(|_| Server::start(|_| error(404, "NoSuchKey", "GET")));
                let origin = Server::start(|_| Reply::new(404, &[], ""));
                let loaded = deployment(domain, path_of_data, &stores, &origin);
                let gateway = Deployed::start(host, &loaded, None);
                for authority in HOSTS {
                    for path in PATHS {
                        combinations += 1;
                        let asking = request("GET", path).with("host", authority);
                        let answer = asking.send(gateway.address).expect("an answer");
                        let asked: Vec<&str> = BUCKETS
                            .iter()
                            .zip(&stores)
                            .filter(|(_, store)| !store.take_requests().is_empty())
                            .map(|(name, _)| *name)
                            .collect();
                        let mirrored = origin.take_requests().pop().map(|request| {
                            let target = String::from_utf8(request.target).expect("letters");
                            let (bucket, key) =
                                target[1..].split_once('/').expect("a bucket and a key");
                            (bucket.to_owned(), key.to_owned())
                        });
                        let expected = by_core(domain, authority, path);
                        let names: Vec<&str> =
                            expected.iter().map(|(bucket, _)| bucket.as_str()).collect();
                        if mirrored != expected || asked != names || answer.status != 404 {
                            failures.push(format!(
                                "{host:?} {path_of_data} {domain:?}: {authority} {path}: {}, \
                                 asked {asked:?}, mirrored {mirrored:?}, by the core {expected:?}",
                                answer.status
                            ));
                        }
                    }
                }
                assert_eq!(gateway.vm_failures(), Vec::<String>::new());
            }
        }
    }
    assert!(combinations >= 200 * 4, "{combinations} combinations");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Of several hosts the gateway might take one and the store another. `b2o serve` refuses them; Envoy
/// makes one of them, which is read as one everywhere.
#[test]
fn of_several_hosts_nobody_takes_another_one_than_the_store() {
    for host in [Host::Harness, Host::Envoy] {
        let stores = BUCKETS.map(|_| Server::start(|_| error(404, "NoSuchKey", "GET")));
        let origin = Server::start(|_| Reply::new(404, &[], ""));
        let loaded = deployment(Some(DOMAIN), "streaming", &stores, &origin);
        let gateway = Deployed::start(host, &loaded, None);
        for (first, second) in [
            ("abc.s3.localhost", "abcd.s3.localhost"),
            ("nosuch.s3.localhost", "gateway.example"),
            ("gateway.example", "nosuch.s3.localhost"),
        ] {
            let asking = request("GET", "/abc/k").with("host", first).with("host", second);
            let answer = asking.send(gateway.address).expect("an answer");
            let asked: Vec<Request> =
                stores.iter().flat_map(|store| store.take_requests()).collect();
            let mirrored = origin.take_requests().len();
            match host {
                Host::Harness => assert_eq!((answer.status, asked.len(), mirrored), (400, 0, 0)),
                Host::Envoy => {
                    let one = format!("{first},{second}");
                    let seen = by_core(Some(DOMAIN), &one, "/abc/k").map_or(0, |_| 1);
                    let found = (answer.status, asked.len(), mirrored);
                    assert_eq!(found, (404, seen, seen), "{one}");
                    for request in asked {
                        assert_eq!(request.header("host"), Some(one.clone()));
                        let hosts = request.headers.iter().filter(|(name, _)| name == "host");
                        assert_eq!(hosts.count(), 1, "{one}");
                    }
                }
            }
        }
    }
}
