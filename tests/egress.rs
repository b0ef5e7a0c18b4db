//! What an origin sends for each byte that the bucket gets, by the clients that people use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::boto3;
use crate::support::client::request;
use crate::support::gateway::{Gateway, HOSTS, Host, Path, Setup};
use crate::support::origin::{Origin, Traffic};
use crate::support::python;
use crate::support::store::Store;
use crate::support::wait::{until, within};

const MIB: usize = 1 << 20;

/// Behind a HEAD, the GET is waited for so long.
const WAIT: Duration = Duration::from_secs(2);

/// A gateway, its bucket, and an origin that counts what it sends of one object.
struct Scene {
    gateway: Gateway,
    store: Store,
    origin: Origin,
    object: Arc<[u8]>,
}

impl Scene {
    fn new(host: Host, size: usize) -> Self {
        let object: Arc<[u8]> = (0..size).map(|at| (at % 251) as u8).collect();
        let served = Arc::clone(&object);
        let origin = Origin::start(&[], move |_| Some(("video/mp4", Arc::clone(&served))));
        let store = Store::files(&["examplebucket"]);
        let rules = json!([{
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror", "MirrorURL": format!("http://{}/", origin.address),
                "MirrorAllowHeadObject": true,
            },
        }]);
        let mut setup = Setup::new(rules, store.address(), &[origin.address]);
        setup.path = Path::Streaming;
        setup.timeouts = Some(json!({ "get_after_head_ms": WAIT.as_millis() as u64 }));
        let gateway = Gateway::start(host, &setup);
        Self { gateway, store, origin, object }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    /// What the origin has sent for each byte of the object, once that is in the bucket and nothing
    /// more comes.
    fn cost(&self) -> f64 {
        let stored = until("it is stored", || self.store.object("/examplebucket/k"));
        assert!(stored.body == *self.object, "what is stored is the object");
        let traffic = || self.origin.traffic_below("");
        until("nothing more comes", || (traffic().open == 0).then_some(()));
        let Traffic { requests, bytes, .. } = traffic();
        let more = within(WAIT * 2, || (traffic().requests > requests).then_some(()));
        assert!(more.is_none(), "it is fetched though it is stored");
        assert_eq!(self.gateway.vm_failures(), Vec::<String>::new());
        println!("{requests} requests to the origin, {bytes} of {} bytes", self.object.len());
        bytes as f64 / self.object.len() as f64
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
fn an_object_is_fetched_once_for_a_client_that_fetches_ranges() {
    everywhere(64 * MIB, |scene, file| {
        const SCRIPT: &str = include_str!("clients/ranges.py");
        let package = python::package("boto3", boto3::VERSION, true);
        run(python(package).args(["-c", SCRIPT, &scene.url()]).arg(file));
        scene.check(file);
        let cost = scene.cost();
        println!("boto3's ranges: {cost:.2} bytes of the origin's for each that is stored");
        // The first range, and the whole.
        assert!(cost <= 1.2, "{cost}");
    });
}

#[test]
fn an_object_is_fetched_once_for_a_range_that_is_all_of_it() {
    // The download managers of the SDKs ask for the first part of whatever size, 5 MiB or 50.
    everywhere(20 * MIB, |scene, file| {
        let url = format!("{}/examplebucket/k", scene.url());
        let range = ["-sSf", "--limit-rate", "20M", "--range", "0-52428799", "-o"];
        run(Command::new("curl").args(range).arg(file).arg(&url));
        scene.check(file);
        let cost = scene.cost();
        assert!(cost <= 1.1, "{cost}");
    });
}

#[test]
fn an_object_is_fetched_once_for_a_client_that_has_it() {
    everywhere(20 * MIB, |scene, _| {
        let known = format!("\"65e555cf-{:x}\"", scene.object.len());
        let asked = request("GET", "/examplebucket/k").with("if-none-match", known);
        assert_eq!(asked.send(scene.address()).expect("an answer").status, 304);
        let cost = scene.cost();
        assert!(cost <= 1.1, "{cost}");
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
