//! What origins were found to lack: nobody asks them again for a while.

use serde_json::json;

use crate::support::client::{connect, get, request};
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup};
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::until;

/// An origin that lacks whatever is below `none`.
fn origin() -> Server {
    Server::start(|request| match request.path() {
        path if path.starts_with(b"/none") => Reply::new(404, &[], "none"),
        _ => Reply::new(200, &[], "an object"),
    })
}

fn setup(path: Path, store: &Store, origin: &Server, negative_cache_ms: u64) -> Setup {
    let mirror = |number: u32, prefix: &str, more: &[(&str, bool)]| {
        let mut redirect = json!({
            "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()),
            "MirrorAllowHeadObject": true,
        });
        for (name, value) in more {
            redirect[*name] = (*value).into();
        }
        json!({
            "RuleNumber": number,
            "Condition": { "HttpErrorCodeReturnedEquals": 404, "KeyPrefixEquals": prefix },
            "Redirect": redirect,
        })
    };
    let rules = json!([
        mirror(1, "none/query", &[("MirrorPassQueryString", true)]),
        mirror(2, "none/twice", &[("MirrorFallThrough", true)]),
        mirror(3, "", &[]),
    ]);
    let setup = Setup::new(rules, store.address(), &[origin.address]);
    Setup { path, negative_cache_ms, ..setup }
}

fn asked(origin: &Server, path: &str) -> usize {
    let requests = origin.requests();
    requests.iter().filter(|request| request.path() == path.as_bytes()).count()
}

#[test]
fn an_origin_that_lacks_an_object_is_asked_once_until_the_object_is_written() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let (origin, store) = (origin(), Store::files(&["examplebucket"]));
        let gateway = Gateway::start(host, &setup(path, &store, &origin, 30_000));
        let to = gateway.address;
        let ask = |method: &str, target: &str| {
            let asked = request(method, format!("/examplebucket/{target}"));
            asked.send(to).expect("an answer").status
        };
        assert_eq!([ask("GET", "none/a"), ask("GET", "none/a"), ask("HEAD", "none/a")], [404; 3]);
        assert_eq!(asked(&origin, "/none/a"), 1, "{at}");
        let lately = until("the lines", || {
            let lines = gateway.lines();
            let count = lines.iter().filter(|line| line.contains(" answered 404 lately, ")).count();
            (count == 2).then_some(lines)
        });
        assert!(lately.iter().all(|line| line.contains("client got 404 NoSuchKey")), "{lately:?}");

        // What decides the origin's answer decides whether it is known.
        for query in ["x=1", "x=2", "x=1"] {
            assert_eq!(ask("GET", &format!("none/query?{query}")), 404, "{at}");
        }
        assert_eq!(asked(&origin, "/none/query"), 2, "{at}");
        // Both rules' origins are known.
        assert_eq!([ask("GET", "none/twice"), ask("GET", "none/twice")], [404; 2], "{at}");
        assert_eq!(asked(&origin, "/none/twice"), 2, "{at}");

        let written = request("PUT", "/examplebucket/none/a").with_body("mine").send(to);
        assert_eq!(written.expect("an answer").status, 200, "{at}");
        assert_eq!(get(to, "/examplebucket/none/a").body, b"mine", "{at}: at once");
        assert_eq!(ask("DELETE", "none/a"), 204, "{at}");
        assert_eq!(ask("GET", "none/a"), 404, "{at}");
        assert_eq!(asked(&origin, "/none/a"), 2, "{at}: the origin may have it by now");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn an_origin_is_asked_again_when_the_time_is_over_and_each_time_without_one() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let (origin, store) = (origin(), Store::files(&["examplebucket"]));
        let gateway = Gateway::start(host, &setup(path, &store, &origin, 0));
        for _ in 0..2 {
            assert_eq!(get(gateway.address, "/examplebucket/none/a").status, 404, "{at}");
        }
        assert_eq!(asked(&origin, "/none/a"), 2, "{at}");
        let gateway = Gateway::start(host, &setup(path, &store, &origin, 300));
        until("it is asked again", || {
            assert_eq!(get(gateway.address, "/examplebucket/none/b").status, 404, "{at}");
            (asked(&origin, "/none/b") > 1).then_some(())
        });
    }
}

#[test]
fn a_crawl_of_missing_keys_costs_an_origin_each_of_them_once() {
    const KEYS: usize = 10_000;
    const CLIENTS: usize = 8;
    let (origin, store) = (origin(), Store::files(&["examplebucket"]));
    let setup = setup(Path::Streaming, &store, &origin, 600_000);
    let gateway = Gateway::start(Host::Envoy, &setup);
    for crawl in 1..=2 {
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let address = gateway.address;
                scope.spawn(move || {
                    let mut wire = connect(address).expect("the gateway accepts");
                    for key in (client..KEYS).step_by(CLIENTS) {
                        let asking = request("GET", format!("/examplebucket/none/{key}"));
                        wire.write(&asking.addressed(address).to_bytes()).expect("it reads");
                        let answer = wire.read_response("GET").expect("an answer");
                        assert_eq!(answer.status, 404, "{key}");
                    }
                });
            }
        });
        assert_eq!(origin.requests().len(), KEYS, "crawl {crawl}");
    }
    assert_eq!(gateway.vm_failures(), Vec::<String>::new());
}
