//! `b2o istio`: what it writes, run in real Envoy as Istio would make it, and what it refuses.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::istiod::{Gateway, LISTENER, Proxies};
use super::{Case, Stop, done, mirror, pinned, text};
use crate::support::client::{connect, request};
use crate::support::rules::on_miss;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::{Files, Keys};
use crate::support::wait::until;
use crate::support::wire::Response;

const ARGUMENTS: [&str; 4] = ["--selector", "istio=ingressgateway", "--host", "s3.example.com"];

fn write(case: &Case, more: &[&str]) -> std::process::Output {
    let image = pinned();
    case.run("istio", &[&ARGUMENTS, &["--image", image.as_str()][..], more].concat())
}

fn manifest(case: &Case, name: &str) -> Option<Value> {
    let text = fs::read_to_string(case.out().join(name)).ok()?;
    Some(super::yaml(&text))
}

/// What stands behind the gateway.
struct Bench {
    case: Case,
    keys: Keys,
    store: Files,
    private: Files,
    origin: Server,
    /// Another application of the gateway.
    other: Server,
    dead: ClosedPort,
}

/// Of an object of 64 MiB.
const LARGE: usize = 64 << 20;

impl Bench {
    fn new() -> Self {
        let keys = Keys { access: "EXAMPLEKEY".to_owned(), secret: "so/me+secret=".to_owned() };
        let large = std::sync::Arc::new(crate::streaming::pattern(3, LARGE));
        let origin = Server::start(move |request| match request.path() {
            b"/m/large" => Reply::object(request, &[("etag", "\"large\"")], &large),
            _ => Reply::object(request, &[("etag", "\"v\"")], b"mirrored"),
        });
        // Whatever is asked of it, it does not have.
        let other = Server::start(|_| Reply::new(404, &[("x-mine", "yes")], "of the other"));
        let bench = Self {
            case: Case::new("", &Value::Null),
            store: Files::start(&["photos"], None),
            private: Files::start(&["private"], Some(&keys)),
            keys,
            origin,
            other,
            dead: ClosedPort::reserve(),
        };
        bench.change(&bench.origin.url());
        bench
    }

    /// Writes the deployment, mirroring from an origin.
    fn change(&self, origin: &str) {
        let rules = json!([
            on_miss(
                1,
                "m/",
                json!({ "RedirectType": "Mirror", "MirrorURL": format!("{origin}/"),
                "MirrorAllowHeadObject": true })
            ),
            on_miss(
                2,
                "f/",
                json!({ "RedirectType": "Mirror",
                "MirrorURL": format!("http://{}/", self.dead.address),
                "MirrorURLSlave": format!("{}/", self.origin.url()) })
            ),
            on_miss(
                3,
                "r/",
                json!({ "RedirectType": "External", "HostName": "elsewhere.example",
                "HttpRedirectCode": 302 })
            ),
        ]);
        let Keys { access, secret } = &self.keys;
        let deployment = format!(
            "allow_internal_origins: true\nbuckets:\n\
             - {{ name: photos, endpoint: \"http://{}\", rules: rules.json }}\n\
             - {{ name: dead, endpoint: \"http://{}\", rules: rules.json }}\n\
             - name: private\n  endpoint: http://{}\n  rules: rules.json\n  reads: signed\n  credentials:\n    \
             inline: {{ access_key_id: {access}, secret_access_key: {secret} }}\n",
            self.store.address(),
            self.dead.address,
            self.private.address(),
        );
        let folder = self.case.folder.path();
        fs::write(folder.join("gateway.yaml"), deployment).expect("a file of our own");
        fs::write(folder.join("rules.json"), rules.to_string()).expect("a file of our own");
        done(&write(&self.case, &[]));
    }

    fn proxies(&self) -> Proxies {
        let mut proxies = Proxies::new(self.other.address);
        proxies.apply(&manifest(&self.case, "20-envoy-filter.yaml").expect("the filter"));
        assert_eq!(proxies.idle, Vec::<String>::new());
        proxies
    }

    fn secret(&self) -> Option<Value> {
        manifest(&self.case, "10-secret.yaml")
    }
}

#[test]
fn istios_envoy_1_36_runs_it() {
    short_table("1.36.4");
}

#[test]
fn istios_envoy_1_37_runs_it() {
    short_table("1.37.0");
}

#[test]
fn istios_envoy_1_39_runs_it() {
    short_table("1.39.3");
}

fn short_table(version: &str) {
    let bench = Bench::new();
    let gateway = Gateway::start(version, &bench.proxies(), bench.secret().as_ref());
    let address = gateway.envoy.listener(LISTENER);
    let send = |request: crate::support::wire::Request| -> Response {
        let target = text(&request.target);
        let request = request.with("host", "s3.example.com");
        let answer = request.send(address);
        answer
            .unwrap_or_else(|error| panic!("{version}: {target}: {error}\n{}", gateway.envoy.log()))
    };
    let get = |key: &str| send(request("GET", format!("/{key}")));
    let expect = |key: &str, status: u16, body: &str| {
        let answer = get(key);
        let found = (answer.status, text(&answer.body));
        assert_eq!(found, (status, body.to_owned()), "{version}: {key}\n{}", gateway.envoy.log());
        answer
    };
    let once = |key: &str, body: &str| {
        until(format!("{version}: {key} in the bucket"), || {
            bench.origin.take_requests();
            expect(key, 200, body);
            bench.origin.take_requests().is_empty().then_some(())
        });
    };
    let miss = expect("photos/m/key", 200, "mirrored");
    assert!(miss.header("x-oss-tag").is_some(), "{version}: {miss:?}");
    once("photos/m/key", "mirrored");
    let head = send(request("HEAD", "/photos/m/head"));
    assert_eq!((head.status, head.header("content-length").as_deref()), (200, Some("8")));
    let part = send(request("GET", "/photos/m/range").with("range", "bytes=2-4"));
    assert_eq!((part.status, text(&part.body)), (206, "rro".to_owned()), "{version}");
    expect("photos/f/key", 200, "mirrored");
    let sent = get("photos/r/key");
    assert_eq!(sent.status, 302, "{version}: {sent:?}");
    assert_eq!(sent.header("location").as_deref(), Some("http://elsewhere.example/r/key"));
    let none = get("photos/none");
    assert!(none.status == 404 && text(&none.body).contains("NoSuchKey"), "{version}: {none:?}");
    assert_eq!(get("dead/m/key").status, 503, "{version}: the store is down");
    // Signed, what is read and what is written.
    expect("private/m/key", 200, "mirrored");
    once("private/m/key", "mirrored");
    let large = get("photos/m/large");
    assert!(large.status == 200 && large.whole && large.body.len() == LARGE, "{version}");
    until(format!("{version}: the large object in the bucket"), || {
        bench.origin.take_requests();
        let part = send(request("GET", "/photos/m/large").with("range", "bytes=0-0"));
        (part.status == 206 && bench.origin.take_requests().is_empty()).then_some(())
    });
    others_are_untouched(version, &bench, &gateway);
    assert_eq!(gateway.envoy.vm_failures(), Vec::<String>::new(), "{version}");
}

/// No other application meets the filter, and no client comes to the miss route.
fn others_are_untouched(version: &str, bench: &Bench, gateway: &Gateway) {
    let address = gateway.envoy.listener(LISTENER);
    bench.origin.take_requests();
    bench.other.take_requests();
    let asked = request("GET", "/photos/m/new").with("host", "other.example.com");
    let answer = asked.send(address).expect("the gateway answers");
    let found = (answer.status, text(&answer.body), answer.header("x-mine"));
    assert_eq!(found, (404, "of the other".to_owned(), Some("yes".to_owned())), "{version}");
    assert_eq!(bench.other.take_requests().len(), 1, "{version}");
    let forged = request("GET", "/photos/m/new")
        .with("host", "back-to-origin.invalid")
        .with("x-envoy-miss", "bucket photos 404")
        .with("x-envoy-miss-cluster", "store-private");
    let answer = forged.send(address).expect("the gateway answers");
    assert_eq!(answer.status, 404, "{version}: {answer:?}");
    let unknown = request("GET", "/photos/m/new").with("host", "unknown.example.com");
    assert_eq!(unknown.send(address).expect("the gateway answers").status, 404, "{version}");
    assert_eq!(bench.origin.take_requests().len(), 0, "{version}: nobody has asked the origin");
}

#[test]
fn a_module_that_is_not_there_holds_up_nobody_but_misses() {
    let bench = Bench::new();
    let mut filter = manifest(&bench.case, "20-envoy-filter.yaml").expect("the filter");
    let patches = filter["spec"]["configPatches"].as_array_mut().expect("patches");
    patches.retain(|patch| patch["applyTo"] != "EXTENSION_CONFIG");
    let mut proxies = Proxies::new(bench.other.address);
    proxies.apply(&filter);
    let gateway = Gateway::start("1.36.4", &proxies, bench.secret().as_ref());
    let address = gateway.envoy.listener(LISTENER);
    let asked = |host: &str, path: &str| {
        let answer = request("GET", path).with("host", host).send(address);
        answer.expect("the gateway answers").status
    };
    assert_eq!(asked("other.example.com", "/x"), 404);
    assert_eq!(asked("s3.example.com", "/photos/m/key"), 403);
    assert_eq!(bench.origin.take_requests().len(), 0);
}

#[test]
fn changed_manifests_fail_no_request() {
    let bench = Bench::new();
    let second = Server::start(|request| Reply::object(request, &[("etag", "\"v\"")], b"second"));
    let gateway = Gateway::start("1.36.4", &bench.proxies(), bench.secret().as_ref());
    let address = gateway.envoy.listener(LISTENER);
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let stopped = Stop(&stop);
        let client = scope.spawn(|| {
            let mut connection = connect(address).expect("the gateway");
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let key = if count % 5 == 0 { format!("{count}") } else { "once".to_owned() };
                let get = request("GET", format!("/photos/m/{key}")).with("host", "s3.example.com");
                connection.write(&get.to_bytes()).expect("the gateway reads");
                let answer = connection.read_response("GET").expect("the gateway answers");
                let body = text(&answer.body);
                assert_eq!(answer.status, 200, "{key}: {body}\n{}", gateway.envoy.log());
                assert!(["mirrored", "second"].contains(&&*body), "{key}: {body}");
                count += 1;
                asked.fetch_add(1, Ordering::Relaxed);
                // The pace of the load: a hundred in a second.
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for change in 0..3 {
            let (url, body) = match change % 2 {
                0 => (second.url(), "second"),
                _ => (bench.origin.url(), "mirrored"),
            };
            bench.change(&url);
            bench.proxies().write(&gateway.folder, bench.secret().as_ref(), Some(&gateway.envoy));
            let mut count = 0;
            until("the changed rules", || {
                count += 1;
                let path = format!("/photos/m/changed-{change}-{count}");
                let answer = request("GET", path).with("host", "s3.example.com").send(address);
                let answer = answer.expect("the gateway answers");
                assert_eq!(answer.status, 200, "{}", text(&answer.body));
                (answer.body == body.as_bytes()).then_some(())
            });
        }
        drop(stopped);
        client.join().expect("no request has failed");
    });
    assert!(asked.load(Ordering::Relaxed) > 20, "too few to see anything");
}

const SOUND: &str = "\
buckets:
- name: photos
  endpoint: https://store.example.com
  rules: rules.json
";

#[test]
fn what_does_not_go_with_a_mesh_is_found_at_its_place_and_nothing_is_written() {
    let image = pinned();
    let rules = mirror("https://old.example.com/");
    let sound = ["--selector", "a=b", "--host", "s3.example.com", "--image", &image];
    let long = "n".repeat(58);
    let cases: &[(String, Vec<&str>, &str, &str)] = &[
        (
            SOUND.to_owned(),
            vec!["--host", "h", "--image", &image],
            "missing-option",
            "the command:1:1",
        ),
        (
            SOUND.to_owned(),
            vec!["--selector", "a=b", "--image", &image],
            "missing-option",
            "the command:1:1",
        ),
        (
            SOUND.to_owned(),
            vec!["--selector", "a=b", "--host", "h", "--image", "registry.example.com/b2o:1"],
            "unpinned-image",
            "the command:1:",
        ),
        (SOUND.replace("photos", &long), sound.to_vec(), "long-name", "gateway.yaml:2:9"),
        (
            format!("domain: s3.example.com\n{}", SOUND.replace("photos", "my.photos")),
            sound.to_vec(),
            "not-a-label",
            "gateway.yaml:3:9",
        ),
        (format!("path: callout\n{SOUND}"), sound.to_vec(), "unsupported", "gateway.yaml:1:7"),
    ];
    for (deployment, arguments, code, place) in cases {
        let case = Case::new(deployment, &rules);
        case.is_refused("istio", arguments, code, place);
    }
}

#[test]
fn two_deployments_are_not_one_gateways() {
    let case = Case::new(SOUND, &mirror("https://old.example.com/"));
    let said = done(&write(&case, &[]));
    assert!(said.contains("- a server of the Gateway has the hosts s3.example.com,"), "{said}");
    done(&write(&case, &[]));
    let other = case.folder.path().join("other.yaml");
    fs::write(other, SOUND).expect("a file of our own");
    let image = pinned();
    let mut command = super::b2o();
    command.current_dir(case.folder.path()).args(["istio", "other.yaml", "--out", "out"]);
    let refused = command.args(ARGUMENTS).args(["--image", &image]).output().expect("it runs");
    let said = text(&refused.stderr);
    assert!(said.contains("[other-deployment]") && said.contains("gateway.yaml"), "{said}");
}

#[test]
fn nothing_but_names_of_envoys_own_is_merged_and_no_host_is_everybodys() {
    let domain = format!("domain: s3.example.com\n{SOUND}");
    let case = Case::new(&domain, &mirror("https://old.example.com/"));
    done(&write(&case, &["--istio", "1.31", "--workload", "sidecar"]));
    let filter = manifest(&case, "20-envoy-filter.yaml").expect("the filter");
    let patches = filter["spec"]["configPatches"].as_array().expect("patches");
    let merged: Vec<_> =
        patches.iter().filter(|patch| patch["patch"]["operation"] == "MERGE").collect();
    assert_eq!(merged.len(), 1);
    let fields = merged[0]["patch"]["value"]["typed_config"].as_object().expect("fields");
    let fields: Vec<_> = fields.keys().collect();
    assert_eq!(fields, ["@type", "early_header_mutation_extensions"]);
    let hosts = patches.iter().filter(|patch| patch["applyTo"] == "VIRTUAL_HOST");
    for host in hosts {
        assert_eq!(host["match"], json!({ "context": "SIDECAR_OUTBOUND" }));
        for domain in host["patch"]["value"]["domains"].as_array().expect("domains") {
            let domain = domain.as_str().expect("a text").trim_end_matches('.');
            let ours =
                [".s3.example.com", "s3.example.com", "s3.example.com:*", "back-to-origin.invalid"];
            assert!(ours.iter().any(|end| domain.ends_with(end)), "{domain}");
        }
    }
}

/// With the definitions that `CRDS` names, which no registry has: those of Istio and of Prometheus'
/// operator, in one file. Without it nothing is judged here, and it says so.
#[test]
fn the_definitions_that_are_named_know_every_field() {
    let Some(definitions) = std::env::var_os("CRDS") else {
        println!("CRDS names no file: the EnvoyFilter is not judged by Istio's definitions");
        return;
    };
    let definitions = definitions.into_string().expect("a path");
    let case = Case::new(SOUND, &mirror("https://old.example.com/"));
    done(&write(&case, &["--crds", &definitions]));
}
