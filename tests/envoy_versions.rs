//! The Envoys that people run: a short table on each, from the files that `b2o envoy` writes for it.
//!
//! The whole of the tests runs on one version; here is one case of everything that a gateway does on
//! the road of a miss, where versions could differ.

use std::fs;

use b2o::envoy::Form;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::request;
use crate::support::generated::{Generated, load};
use crate::support::rules::on_miss;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::{Keys, Store};
use crate::support::wait::until;
use crate::support::wire::{Request, Response};

#[test]
fn envoy_1_36_in_istios_form() {
    short_table("1.36.4", Form::Istio);
}

#[test]
fn envoy_1_37() {
    short_table("1.37.0", Form::Envoy);
}

#[test]
fn envoy_1_38() {
    short_table("1.38.2", Form::Envoy);
}

#[test]
fn envoy_1_39() {
    short_table("1.39.3", Form::Envoy);
}

#[test]
fn envoy_1_39_in_istios_form() {
    short_table("1.39.3", Form::Istio);
}

#[test]
fn an_envoy_that_is_too_old_for_its_files_does_not_start() {
    let bench = Bench::new();
    let refused = Generated::start_on("1.36.4", Form::Envoy, &bench.loaded());
    let log = refused.err().expect("1.36.4 has to refuse the files for 1.37 and later");
    assert!(log.contains("ended with exit status: 1"), "{log}");
}

/// What stands behind the gateway.
struct Bench {
    folder: TempDir,
    keys: Keys,
    store: Store,
    private: Store,
    origin: Server,
    other: Server,
    dead: ClosedPort,
}

impl Bench {
    fn new() -> Self {
        let keys = Keys { access: "EXAMPLEKEY".to_owned(), secret: "so/me+secret=".to_owned() };
        let other = Server::start(|request| match request.path() {
            b"/there" => Reply::new(200, &[], "moved"),
            b"/second/f/key" => Reply::new(200, &[], "second"),
            b"/slave/s/key" => Reply::new(200, &[], "slave"),
            _ => Reply::new(404, &[], "nothing"),
        });
        let moved = format!("{}/there", other.url());
        let origin = Server::start(move |request| match request.path() {
            b"/m/moved" => Reply::new(302, &[("location", &moved)], "elsewhere"),
            b"/f/key" => Reply::new(404, &[], "nothing"),
            _ => Reply::object(request, &[("etag", "\"v\"")], b"mirrored"),
        });
        let private = Store::files_signed_with(
            &["privatebucket"],
            &keys,
            &[("/privatebucket/m/there", b"private")],
        );
        let store = Store::files(&["examplebucket"]);
        let folder = tempfile::tempdir().expect("a folder for the rules");
        Self { folder, keys, store, private, origin, other, dead: ClosedPort::reserve() }
    }

    fn rules(&self) -> Value {
        let (origin, other) = (self.origin.url(), self.other.url());
        json!([
            on_miss(
                1,
                "m/",
                json!({ "RedirectType": "Mirror", "MirrorURL": format!("{origin}/"),
                                  "MirrorAllowHeadObject": true })
            ),
            on_miss(
                2,
                "f/",
                json!({ "RedirectType": "Mirror", "MirrorURL": format!("{origin}/"),
                                  "MirrorFallThrough": true })
            ),
            on_miss(
                3,
                "f/",
                json!({ "RedirectType": "Mirror",
                                  "MirrorURL": format!("{other}/second/") })
            ),
            on_miss(
                4,
                "s/",
                json!({ "RedirectType": "Mirror",
                                  "MirrorURL": format!("http://{}/", self.dead.address),
                                  "MirrorURLSlave": format!("{other}/slave/") })
            ),
            on_miss(
                5,
                "r/",
                json!({ "RedirectType": "External", "HostName": "elsewhere.example",
                                  "HttpRedirectCode": 302 })
            ),
        ])
    }

    fn loaded(&self) -> b2o::deployment::Loaded {
        let folder = self.folder.path();
        fs::write(folder.join("rules.json"), self.rules().to_string()).expect("our own folder");
        let (store, private) = (self.store.address(), self.private.address());
        let Keys { access, secret } = &self.keys;
        let text = format!(
            "path: streaming\nbuckets:\n\
             - {{ name: examplebucket, endpoint: \"http://{store}\", rules: rules.json }}\n\
             - name: privatebucket\n  endpoint: http://{private}\n  rules: rules.json\n  \
             reads: signed\n  credentials:\n    \
             inline: {{ access_key_id: {access}, secret_access_key: {secret} }}\n"
        );
        load(&text, folder)
    }
}

fn short_table(version: &str, form: Form) {
    let bench = Bench::new();
    let running = Generated::start_on(version, form, &bench.loaded());
    let running = running.unwrap_or_else(|error| panic!("{error}"));
    let gateway = running.envoy.address();
    let send = |request: Request| -> Response {
        let target = String::from_utf8_lossy(&request.target).into_owned();
        let answer = request.send(gateway);
        answer
            .unwrap_or_else(|error| panic!("{version}: {target}: {error}\n{}", running.envoy.log()))
    };
    let get = |key: &str| send(request("GET", format!("/{key}")));
    let body = |key: &str, status: u16, body: &str| {
        let answer = get(key);
        let found = (answer.status, answer.body.as_slice());
        assert_eq!(found, (status, body.as_bytes()), "{version}: {key}: {answer:?}");
        answer
    };
    let stored = |key: &str, body: &str| {
        let object = until(format!("{version}: {key} in the bucket"), || {
            bench.store.object(format!("/{key}"))
        });
        assert_eq!(object.body, body.as_bytes(), "{version}: {key}");
    };
    let asked = || (bench.origin.take_requests().len(), bench.other.take_requests().len());

    // A hit.
    bench.store.put("/examplebucket/m/there", &[], "mine");
    assert_eq!(body("examplebucket/m/there", 200, "mine").header("x-oss-tag"), None, "{version}");
    assert_eq!(asked(), (0, 0), "{version}: a hit");

    // A miss, and then a hit.
    let miss = body("examplebucket/m/key", 200, "mirrored");
    assert!(miss.header("x-oss-tag").is_some(), "{version}: {miss:?}");
    stored("examplebucket/m/key", "mirrored");
    assert_eq!(asked(), (1, 0), "{version}: a miss");
    let hit = body("examplebucket/m/key", 200, "mirrored");
    assert_eq!(hit.header("x-oss-tag"), miss.header("x-oss-tag"), "{version}: {hit:?}");
    assert_eq!(asked(), (0, 0), "{version}: a hit behind a miss");

    let head = send(request("HEAD", "/examplebucket/m/head"));
    assert_eq!(
        (head.status, head.header("content-length").as_deref()),
        (200, Some("8")),
        "{version}"
    );
    stored("examplebucket/m/head", "mirrored");

    // More than one request to an origin.
    body("examplebucket/m/moved", 200, "moved");
    stored("examplebucket/m/moved", "moved");
    body("examplebucket/f/key", 200, "second");
    stored("examplebucket/f/key", "second");
    body("examplebucket/s/key", 200, "slave");
    stored("examplebucket/s/key", "slave");
    asked();

    let sent = get("examplebucket/r/key");
    let found = (sent.status, sent.header("location"));
    let location = "http://elsewhere.example/r/key".to_owned();
    assert_eq!(found, (302, Some(location)), "{version}: {sent:?}");

    what_no_rule_covers(version, &bench, &send);
    what_the_bucket_says_itself(version, &bench, &send);

    body("privatebucket/m/there", 200, "private");
    body("privatebucket/m/key", 200, "mirrored");
    until(format!("{version}: the object in the private bucket"), || {
        asked();
        body("privatebucket/m/key", 200, "mirrored");
        (asked() == (0, 0)).then_some(())
    });
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new(), "{version}");
    assert_eq!(running.refused(), Vec::<String>::new(), "{version}");
}

/// The bucket's own answer, to the client's own request: another Host would break its signature.
fn what_no_rule_covers(version: &str, bench: &Bench, send: &dyn Fn(Request) -> Response) {
    bench.store.server.take_requests();
    let asking = request("GET", "/examplebucket/none?v=%31").with("host", "of.the.client:81");
    let answer = send(asking.with("authorization", "AWS k:s"));
    assert_eq!(answer.status, 404, "{version}: {answer:?}");
    let document = String::from_utf8_lossy(&answer.body);
    assert!(document.contains("<Code>NoSuchKey</Code>"), "{version}: {document}");
    let requests = bench.store.server.take_requests();
    assert!(!requests.is_empty(), "{version}");
    for request in requests {
        assert_eq!(request.target, b"/examplebucket/none?v=%31", "{version}");
        let found = (request.header("host"), request.header("authorization"));
        let sent = ("of.the.client:81".to_owned(), "AWS k:s".to_owned());
        assert_eq!(found, (Some(sent.0), Some(sent.1)), "{version}");
        let helpers = request.headers.iter().filter(|(name, _)| name.starts_with("x-envoy-"));
        assert_eq!(helpers.count(), 0, "{version}: {request:?}");
    }
}

/// A redirect of the bucket's own is the client's.
fn what_the_bucket_says_itself(version: &str, bench: &Bench, send: &dyn Fn(Request) -> Response) {
    let elsewhere = "http://examplebucket.elsewhere.example/m/own";
    let own = Reply::new(307, &[("location", elsewhere)], "of the bucket");
    bench.store.script.always("GET", "/examplebucket/m/own", own);
    let answer = send(request("GET", "/examplebucket/m/own"));
    let found = (answer.status, answer.header("location"), answer.body.as_slice());
    assert_eq!(found, (307, Some(elsewhere.to_owned()), &b"of the bucket"[..]), "{version}");
}
