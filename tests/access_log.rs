//! The access log: one line of JSON for each request, with the same fields in both hosts.

use std::fs;
use std::path::{Path, PathBuf};

use b2o::deployment::{AbsolutePath, Loaded, Plan};
use b2o::envoy::Form;
use b2o::launch::{self, LaunchError};
use back_to_origin::record::{Field, Kind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::{Host, runtime};
use crate::support::generated::{Generated, load};
use crate::support::rules::on_miss;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::Store;
use crate::support::wait::until;
use crate::support::wire::Request;

/// The bytes of an object that takes an upload of several parts.
const LARGE: usize = 12 << 20;

/// A bucket and an origin, and what is recorded of requests for it.
struct Bench {
    store: Store,
    origin: Server,
    /// Where no origin is.
    dead: ClosedPort,
    folder: TempDir,
}

impl Bench {
    fn start() -> Self {
        let store = Store::files(&["examplebucket", "limited"]);
        store.put("/examplebucket/hit", &[], "a hit");
        let origin = Server::start(|request| match request.path() {
            b"/none" => Reply::new(404, &[], "none"),
            b"/large" => Reply::object(request, &[("etag", "\"large\"")], &vec![b'x'; LARGE]),
            _ => Reply::object(request, &[("etag", "\"small\"")], b"some bytes"),
        });
        let folder = tempfile::tempdir().expect("a folder for the deployment");
        Self { store, origin, dead: ClosedPort::reserve(), folder }
    }

    /// The file of the log.
    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn deployment(&self, path: &str, requests: &str) -> Loaded {
        let mirror = |url: String| json!({ "RedirectType": "Mirror", "MirrorURL": url, "MirrorAllowHeadObject": true });
        let rules = json!([
            on_miss(
                1,
                "go/",
                json!({
                "RedirectType": "External", "HostName": "h.example", "PassQueryString": true })
            ),
            on_miss(2, "dead/", mirror(format!("http://{}/", self.dead.address))),
            on_miss(
                3,
                "slave/",
                json!({ "RedirectType": "Mirror",
                "MirrorURL": format!("http://{}/", self.dead.address),
                "MirrorURLSlave": format!("{}/", self.origin.url()) })
            ),
            on_miss(4, "", mirror(format!("{}/", self.origin.url()))),
        ]);
        write(&self.folder.path().join("rules.json"), &rules);
        let own = json!([on_miss(1, "", mirror(format!("{}/", self.origin.url())))]);
        write(&self.folder.path().join("limited.json"), &own);
        let (store, log) = (self.store.address(), self.log());
        let text = format!(
            "path: {path}\nlimits: {{ part_bytes: 5242880 }}\ntimeouts: {{ get_after_head: 0s }}\n\
             access_log: {{ path: {}, requests: {requests} }}\nbuckets:\n\
             - {{ name: examplebucket, endpoint: \"http://{store}\", rules: rules.json, tombstones: none }}\n\
             - {{ name: limited, endpoint: \"http://{store}\", rules: limited.json, \
             mirror_limits: {{ requests_per_second: 1 }} }}\n",
            log.display()
        );
        load(&text, self.folder.path())
    }

    /// The same without such a log.
    fn unrecorded(&self) -> Loaded {
        let mut loaded = self.deployment("streaming", "all");
        loaded.deployment.access_log = None;
        loaded
    }

    fn text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The whole lines so far.
    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        lines.collect()
    }
}

fn write(path: &Path, rules: &Value) {
    fs::write(path, rules.to_string()).expect("a folder of our own");
}

/// Each host and path.
const EVERYWHERE: [(Host, &str); 4] = [
    (Host::Harness, "streaming"),
    (Host::Harness, "callout"),
    (Host::Envoy, "streaming"),
    (Host::Envoy, "callout"),
];

/// A step of the session: the request, and what its line says. Fields that are not named are null, or
/// differ from one run to the next.
struct Step {
    request: Request,
    line: Value,
}

fn step(request: Request, line: Value) -> Step {
    Step { request, line }
}

/// One of a request that gets an object, or a part of it; the bucket gets it too.
fn mirrored(request: Request, key: &str, status: u16, bytes: u64) -> Step {
    let line = json!({
        "status": status, "bytes_sent": bytes, "key": key, "rule": "4", "outcome": "mirrored",
        "origin": format!("ORIGIN/{key}"), "stored": "begun",
        "message": format!("client got {status}, on its way into the bucket"),
    });
    step(request, line)
}

fn session() -> Vec<Step> {
    let get = |key: &str| request("GET", format!("/examplebucket/{key}"));
    let absent = |message: &str| {
        json!({ "status": 404, "key": "none", "rule": "4", "outcome": "absent",
            "origin": "ORIGIN/none", "message": message })
    };
    let dead = json!({
        "status": 424, "key": "dead/x", "rule": "2", "outcome": "mirror_failed",
        "reason": "unreachable", "origin": "DEAD/dead/x",
        "message": "client got 424 MirrorFailed: the origin cannot be reached",
    });
    let sent = json!({
        "status": 301, "bytes_sent": 0, "key": "go/x", "rule": "1", "outcome": "redirected",
        "origin": "http://h.example/go/x", "message": "client got 301 to http://h.example/go/x?a=1",
    });
    let limited = json!({
        "bucket": "limited", "status": 424, "key": "b", "rule": "1", "outcome": "mirror_failed",
        "reason": "limited", "origin": "ORIGIN/b", "message": "rejected by QoS",
    });
    let mut named = mirrored(get("a%22%C3%A9%20b"), "a\"\u{e9} b", 200, 10);
    named.line["origin"] = "ORIGIN/a%22%C3%A9%20b".into();
    vec![
        step(get("hit?X-Amz-Signature=s3cret"), json!({ "status": 200, "bytes_sent": 5 })),
        mirrored(get("new?X-Amz-Signature=s3cret"), "new", 200, 10),
        mirrored(request("HEAD", "/examplebucket/head"), "head", 200, 0),
        mirrored(get("part").with("range", "bytes=0-3"), "part", 206, 4),
        step(get("none"), absent("answered 404, client got 404 NoSuchKey")),
        step(get("none"), absent("was not asked (negative cache), client got 404 NoSuchKey")),
        step(get("go/x?X-Amz-Signature=s3cret&a=1"), sent),
        step(get("dead/x"), dead),
        step(
            request("PUT", "/examplebucket/put").with_body("body"),
            json!({ "status": 200, "bytes_received": 4, "bytes_sent": 0 }),
        ),
        named,
        // The quota allows the first one.
        step(
            request("GET", "/limited/a"),
            json!({ "bucket": "limited", "status": 200, "bytes_sent": 10, "key": "a", "rule": "1",
                "outcome": "mirrored", "origin": "ORIGIN/a", "stored": "begun",
                "message": "on its way into the bucket" }),
        ),
        step(request("GET", "/limited/b"), limited),
        step(request("GET", "/nobody/b"), json!({ "bucket": null, "status": 404 })),
    ]
}

/// Whether a line says what is expected of it.
fn check(line: &Value, step: &Step, bench: &Bench, of: &str) {
    let (origin, dead) = (bench.origin.url(), format!("http://{}", bench.dead.address));
    let fields = line.as_object().expect("an object");
    assert_eq!(fields.len(), Field::ALL.len(), "{of}: {line}");
    let target = String::from_utf8_lossy(&step.request.target).into_owned();
    let path = target.split('?').next().expect("a path");
    for field in Field::ALL {
        let name = field.name();
        let found = fields.get(name).unwrap_or_else(|| panic!("{of}: no {name}: {line}"));
        let fits = match field.kind() {
            Kind::Number => found.is_u64() || found.is_null(),
            Kind::Text => found.is_string() || found.is_null(),
        };
        assert!(fits, "{of}: {name} is {found}");
        let expected = match step.line.get(name) {
            Some(Value::String(text)) => {
                text.replace("ORIGIN", &origin).replace("DEAD", &dead).into()
            }
            Some(other) => other.clone(),
            None => Value::Null,
        };
        let is_right = match field {
            Field::Time => {
                let time = found.as_str().unwrap_or_default();
                time.len() == 24 && time.ends_with('Z') && &time[19..20] == "."
            }
            Field::Client => found == "127.0.0.1",
            Field::Method => *found == *step.request.method,
            Field::Bucket => match step.line.get(name) {
                Some(bucket) => found == bucket,
                None => found == "examplebucket",
            },
            Field::Path => found == path,
            Field::BytesReceived => {
                let expected = step.line.get(name).and_then(Value::as_u64);
                found.as_u64() == Some(expected.unwrap_or_default())
            }
            Field::BytesSent => expected.is_null() || *found == expected,
            Field::Duration => found.is_u64(),
            Field::Server => true,
            // The gateway names what it answers.
            Field::RequestId => found.is_string() || step.line.get("rule").is_none(),
            Field::Message => match expected.as_str() {
                None => found.is_null(),
                Some(end) => found.as_str().is_some_and(|sentence| sentence.contains(end)),
            },
            Field::Key
            | Field::Origin
            | Field::Outcome
            | Field::Reason
            | Field::Rule
            | Field::Status
            | Field::Stored
            | Field::TraceId
            | Field::UploadId => *found == expected,
        };
        assert!(is_right, "{of} {path}: {name} is {found}, not {expected}: {line}");
    }
}

#[test]
fn one_session_has_the_same_lines_on_both_hosts_and_paths() {
    std::thread::scope(|scope| {
        for (host, path) in EVERYWHERE {
            scope.spawn(move || {
                let of = format!("{host:?}, {path}");
                let bench = Bench::start();
                let gateway = Deployed::start(host, &bench.deployment(path, "all"), None);
                let steps = session();
                for step in &steps {
                    let answer = step.request.send(gateway.address).expect("an answer");
                    assert_eq!(step.line["status"], answer.status, "{of}: {answer:?}");
                }
                let lines = until("all lines", || {
                    let lines = bench.lines();
                    (lines.len() >= steps.len()).then_some(lines)
                });
                assert_eq!(lines.len(), steps.len(), "{of}: {lines:?}");
                for (line, step) in lines.iter().zip(&steps) {
                    check(line, step, &bench, &of);
                }
                // What becomes of a copy is told later, and once.
                until("the copies", || {
                    let log = gateway.log();
                    (log.matches("stored in the bucket").count() == 5).then_some(())
                });
                let (log, recorded) = (gateway.log(), bench.text());
                for sentence in ["NoSuchKey", "MirrorFailed", "on its way", "client got 301"] {
                    assert!(!log.contains(sentence), "{of}: {log}");
                }
                assert!(!log.contains("s3cret") && !recorded.contains("s3cret"), "{of}");
                assert_eq!(gateway.vm_failures(), [""; 0], "{of}");
            });
        }
    });
}

#[test]
fn an_upload_is_named_whose_id_is_known_by_the_end() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start();
        let gateway = Deployed::start(host, &bench.deployment("streaming", "misses"), None);
        let answer = request("GET", "/examplebucket/large").send(gateway.address);
        assert_eq!(answer.expect("an answer").body.len(), LARGE, "{host:?}");
        let lines = until("the line", || Some(bench.lines()).filter(|lines| !lines.is_empty()));
        assert_eq!(lines[0]["bytes_sent"], LARGE, "{host:?}: {lines:?}");
        assert_eq!(lines[0]["stored"], "begun", "{host:?}: {lines:?}");
        let id = lines[0]["upload_id"].as_str().unwrap_or_default();
        assert!(id.len() > 8, "{host:?}: {lines:?}");
    }
}

#[test]
fn hits_are_recorded_where_all_requests_are_and_failures_always() {
    std::thread::scope(|scope| {
        for (host, path) in EVERYWHERE {
            for (requests, expected) in [
                ("all", &["hit", "new", "go/x", "none", "last"][..]),
                ("misses", &["new", "go/x", "none", "last"]),
                ("failures", &["none", "last"]),
            ] {
                scope.spawn(move || {
                    let of = format!("{host:?}, {path}, {requests}");
                    let bench = Bench::start();
                    let gateway = Deployed::start(host, &bench.deployment(path, requests), None);
                    for key in ["hit", "new", "go/x", "none"] {
                        let sent = request("GET", format!("/examplebucket/{key}"));
                        sent.send(gateway.address).expect("an answer");
                    }
                    let nobodys = request("GET", "/nobody/last").send(gateway.address);
                    assert_eq!(nobodys.expect("an answer").status, 404, "{of}");
                    let lines = until("the last line", || {
                        let lines = bench.lines();
                        let is_last = |line: &Value| line["path"] == "/nobody/last";
                        lines.last().is_some_and(is_last).then_some(lines)
                    });
                    let paths = lines.iter().map(|line| line["path"].as_str());
                    let keys = paths.map(|path| path.and_then(|path| path.splitn(3, '/').nth(2)));
                    let keys: Vec<_> = keys.flatten().collect();
                    assert_eq!(keys, expected, "{of}");
                });
            }
        }
    });
}

#[test]
fn without_the_section_sentences_stay_where_they_are() {
    for host in [Host::Harness, Host::Envoy] {
        let bench = Bench::start();
        let gateway = Deployed::start(host, &bench.unrecorded(), None);
        let answer = request("GET", "/examplebucket/none").send(gateway.address);
        assert_eq!(answer.expect("an answer").status, 404, "{host:?}");
        until("the sentence", || gateway.log().contains("404 NoSuchKey").then_some(()));
        assert!(!bench.log().exists(), "{host:?}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_at_the_start() {
    let bench = Bench::start();
    let mut loaded = bench.deployment("streaming", "all");
    let log = loaded.deployment.access_log.as_mut().expect("it has one");
    log.path.value = AbsolutePath(bench.folder.path().join("no/such/folder/access.log"));
    let plan = Plan::new(&loaded);
    let launched = launch::gateway(&loaded, &plan, None, |_| {});
    let error = runtime().block_on(launched).expect_err("there is no such folder");
    assert!(matches!(error, LaunchError::AccessLog { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.starts_with("the access log ") && error.contains("cannot be opened"), "{error}");
}

#[test]
fn envoys_that_people_run_have_one_line_for_each_request() {
    std::thread::scope(|scope| {
        for (version, form) in
            [("1.36.4", Form::Istio), ("1.37.0", Form::Envoy), ("1.39.3", Form::Istio)]
        {
            scope.spawn(move || {
                let bench = Bench::start();
                let running =
                    Generated::start_on(version, form, &bench.deployment("streaming", "all"));
                let running = running.unwrap_or_else(|error| panic!("{error}"));
                // By way of an attempt at a server that is down, for one.
                let expected = ["hit", "new", "go/x", "slave/x", "none"];
                for key in expected {
                    let sent = request("GET", format!("/examplebucket/{key}"));
                    let answer = sent.send(running.envoy.address()).expect("an answer");
                    assert!([200, 301, 404].contains(&answer.status), "{version}: {answer:?}");
                }
                let nobodys = request("GET", "/nobody/last").send(running.envoy.address());
                assert_eq!(nobodys.expect("an answer").status, 404, "{version}");
                let lines = until("all lines", || {
                    Some(bench.lines()).filter(|lines| lines.len() > expected.len())
                });
                let paths: Vec<_> = lines.iter().filter_map(|line| line["path"].as_str()).collect();
                let own = expected.iter().map(|key| format!("/examplebucket/{key}"));
                let own: Vec<_> = own.chain(["/nobody/last".to_owned()]).collect();
                assert_eq!(paths, own, "{version}: {lines:?}");
                let rules: Vec<_> = lines.iter().map(|line| line["rule"].as_str()).collect();
                let decided = [None, Some("4"), Some("1"), Some("3"), Some("4"), None];
                assert_eq!(rules, decided, "{version}: {lines:?}");
                assert!(lines[3]["server_ms"].is_u64(), "{version}: {lines:?}");
                assert_eq!(running.envoy.vm_failures(), [""; 0], "{version}");
            });
        }
    });
}
