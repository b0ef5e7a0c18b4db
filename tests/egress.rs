//! What an origin sends for each byte that the bucket gets, by the clients that people use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::boto3;
use crate::support::client::request;
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup};
use crate::support::python;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::{until, within};

const MIB: usize = 1 << 20;

/// Behind a HEAD, the GET is waited for so long.
const WAIT: Duration = Duration::from_secs(2);

const HEADERS: &[(&str, &str)] = &[("content-type", "video/mp4"), ("etag", "\"v\"")];

/// A gateway, its bucket, and an origin that counts what it sends of one object.
struct Scene {
    gateway: Gateway,
    store: Store,
    origin: Server,
    object: Arc<Vec<u8>>,
    sent: Arc<AtomicU64>,
}

impl Scene {
    fn new(host: Host, size: usize) -> Self {
        let object: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let object = Arc::new(object);
        let (served, sent) = (Arc::clone(&object), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&sent);
        let origin = Server::start(move |asked| {
            let reply = Reply::object(asked, HEADERS, &served);
            if asked.method == "HEAD" {
                return reply.head();
            }
            counted.fetch_add(reply.body_bytes() as u64, Ordering::SeqCst);
            reply
        });
        let store = Store::files(&["examplebucket"]);
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()),
                "MirrorAllowHeadObject": true,
            },
        }]);
        let mut setup = Setup::new(rules, store.address(), &[origin.address]);
        setup.path = Path::Streaming;
        setup.timeouts = Some(json!({ "get_after_head_ms": WAIT.as_millis() as u64 }));
        let gateway = Gateway::start(host, &setup);
        Self { gateway, store, origin, object, sent }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    /// What the origin has sent for each byte of the object, once that is in the bucket and nothing
    /// more comes.
    fn cost(&self) -> f64 {
        let stored = until("it is stored", || self.store.object("/examplebucket/k"));
        assert!(stored.body == *self.object, "what is stored is the object");
        let sent = self.sent.load(Ordering::SeqCst);
        let more = within(WAIT * 2, || (self.sent.load(Ordering::SeqCst) > sent).then_some(()));
        assert!(more.is_none(), "it is fetched though it is stored");
        assert_eq!(self.gateway.vm_failures(), Vec::<String>::new());
        let asked = self.origin.requests().len();
        println!("{asked} requests to the origin, {sent} of {} bytes", self.object.len());
        sent as f64 / self.object.len() as f64
    }

    /// What a client has downloaded is the object.
    fn check(&self, file: &std::path::Path) {
        let found = std::fs::read(file).expect("a downloaded file");
        assert!(found == *self.object, "{} bytes of {}", found.len(), self.object.len());
    }

    fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

fn everywhere(size: usize, scene: impl Fn(&Scene, &std::path::Path)) {
    for (host, path) in HOSTS {
        if path == Path::Streaming {
            println!("{host:?}");
            let folder = tempfile::tempdir().expect("a folder");
            scene(&Scene::new(host, size), &folder.path().join("file"));
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("the client can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{error}", output.status);
}

/// A client of Amazon's, in Python.
fn python(package: PathBuf) -> Command {
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", package)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_DEFAULT_REGION", "us-east-1");
    command
}

#[test]
fn an_object_is_fetched_once_for_a_head_and_the_get_behind_it() {
    everywhere(30 * MIB, |scene, file| {
        let url = format!("{}/examplebucket/k", scene.url());
        run(Command::new("curl").args(["-sSf", "--head", &url]));
        run(Command::new("curl").args(["-sSf", "-o"]).arg(file).arg(&url));
        scene.check(file);
        let cost = scene.cost();
        assert!(cost <= 1.1, "{cost}");
    });
}

#[test]
fn an_object_is_fetched_once_for_a_get_at_the_speed_that_lines_have() {
    // More than a copy has memory for, and no faster than a line of 24 Mbit/s.
    everywhere(48 * MIB, |scene, file| {
        let url = format!("{}/examplebucket/k", scene.url());
        let curl = ["-sSf", "--limit-rate", "3M", "-o"];
        run(Command::new("curl").args(curl).arg(file).arg(&url));
        scene.check(file);
        let cost = scene.cost();
        assert!(cost <= 1.1, "{cost}");
    });
}

#[test]
fn an_object_is_fetched_once_for_the_aws_cli() {
    everywhere(7 * MIB, |scene, file| {
        let package = python::package("awscli", "1.46.2", true);
        let copy = ["s3", "cp", "--no-sign-request", "s3://examplebucket/k"];
        run(python(package)
            .args(["-m", "awscli", "--endpoint-url", &scene.url()])
            .args(copy)
            .arg(file));
        scene.check(file);
        let cost = scene.cost();
        assert!(cost <= 1.1, "{cost}");
    });
}

#[test]
fn an_object_is_fetched_once_more_at_most_for_a_client_that_fetches_ranges() {
    everywhere(64 * MIB, |scene, file| {
        const SCRIPT: &str = include_str!("clients/ranges.py");
        let package = python::package("boto3", boto3::VERSION, true);
        run(python(package).args(["-c", SCRIPT, &scene.url()]).arg(file));
        scene.check(file);
        let cost = scene.cost();
        println!("boto3's ranges: {cost:.2} bytes of the origin's for each that is stored");
        assert!(cost <= 2.05, "{cost}");
    });
}

#[test]
fn an_object_of_which_only_the_headers_are_wanted_is_stored_all_the_same() {
    everywhere(MIB, |scene, _| {
        let asked = request("HEAD", "/examplebucket/k").send(scene.address());
        assert_eq!(asked.expect("an answer").status, 200);
        let cost = scene.cost();
        assert!(cost <= 1.0, "{cost}");
    });
}
