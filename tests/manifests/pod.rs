//! What runs in a pod of `b2o kubernetes`, in the order in which the kubelet starts and ends it, with
//! volumes that change as the kubelet changes them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Stop, b2o, done, mirror};
use crate::support::client::{connect, get, request};
use crate::support::envoy::{binary, version};
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::{Files, Keys};
use crate::support::wait::until;

/// A projected volume: each change is a directory of its own, and one link is moved.
struct Volume {
    path: PathBuf,
    count: usize,
}

impl Volume {
    fn change(&mut self, files: &[(&str, &str)]) {
        self.count += 1;
        let name = format!("..2026_{}", self.count);
        let directory = self.path.join(&name);
        for (path, text) in files {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of our own");
            fs::write(path, text).expect("a file of our own");
        }
        let data = self.path.join("..data");
        let old = fs::read_link(&data).ok();
        let new = self.path.join("..data_tmp");
        symlink(&name, &new).expect("a link of our own");
        fs::rename(new, data).expect("a link of our own");
        for (path, _) in files {
            let top = path.split('/').next().expect("a name");
            let visible = self.path.join(top);
            if fs::symlink_metadata(&visible).is_err() {
                symlink(Path::new("..data").join(top), visible).expect("a link of our own");
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.path.join(old)).expect("a folder of our own");
        }
    }
}

/// A process that ends with this.
struct Running(Child);

impl Running {
    fn end(&mut self, patience: &str) -> Option<i32> {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").arg(&id).status().expect("kill").success());
        until(patience, || self.0.try_wait().expect("a process of ours")).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Pod {
    folder: TempDir,
    volume: Volume,
    store: SocketAddr,
    address: SocketAddr,
    health: SocketAddr,
    admin: SocketAddr,
    envoy: Option<Running>,
    keeper: Option<Running>,
}

const KEYS: [&str; 2] = ["EXAMPLEKEY", "examplesecret"];

impl Pod {
    fn start(store: SocketAddr, origin: &str, keys: [&str; 2]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a pod");
        let volume = Volume { path: folder.path().join("source"), count: 0 };
        let ports = [(); 3].map(|()| ClosedPort::reserve());
        let [address, health, admin] = ports.each_ref().map(|port| port.address);
        drop(ports);
        let (envoy, keeper) = (None, None);
        let mut pod = Self { folder, volume, store, address, health, admin, envoy, keeper };
        pod.change(origin, keys);
        done(&pod.command(&[]).output().expect("the command runs"));
        let mut envoy = Command::new(binary(&version()));
        envoy.arg("--config-path").arg(pod.target().join("envoy.yaml"));
        envoy.args(["--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "2"]);
        envoy.args(["--drain-strategy", "immediate", "--log-path"]);
        envoy.arg(pod.folder.path().join("log")).stderr(Stdio::null()).stdin(Stdio::null());
        pod.envoy = Some(Running(envoy.spawn().expect("Envoy can be started")));
        until("the startup probe", || {
            let ready = request("GET", "/ready").send(pod.health).ok()?;
            (ready.status == 200).then_some(())
        });
        let watch = ["--watch", "--drain", "--drain-pause", "500ms", "--drain-within", "25s"];
        let keeper = pod.command(&watch).stdout(Stdio::null()).spawn();
        pod.keeper = Some(Running(keeper.expect("the command runs")));
        pod
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = b2o();
        command.arg("envoy").arg(self.volume.path.join("deployment.yaml"));
        command.arg("--out").arg(self.target()).arg("--variables");
        command.arg(self.volume.path.join("variables")).args(more);
        command
    }

    /// Other rules, and other keys.
    fn change(&mut self, origin: &str, keys: [&str; 2]) {
        let Self { address, health, admin, store, .. } = self;
        let deployment = format!(
            "listen: {address}\nhealth: {health}\nadmin: {admin}\npath: streaming\n\
             allow_internal_origins: true\nbuckets:\n- name: photos\n  \
             endpoint: http://{store}\n  rules: rules.json\n  reads: signed\n  \
             credentials: {{ environment: }}\n"
        );
        self.volume.change(&[
            ("deployment.yaml", &deployment),
            ("rules.json", &mirror(origin).to_string()),
            ("variables/AWS_ACCESS_KEY_ID", keys[0]),
            ("variables/AWS_SECRET_ACCESS_KEY", &format!("{}\n", keys[1])),
        ]);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn origin(body: &'static str) -> Server {
    Server::start(move |request| match request.path() {
        b"/slow" => Reply::new(200, &[], ""),
        _ => Reply::object(request, &[("etag", "\"v\"")], body.as_bytes()),
    })
}

fn store() -> Files {
    let keys = Keys { access: KEYS[0].to_owned(), secret: KEYS[1].to_owned() };
    Files::start(&["photos"], Some(&keys))
}

/// Misses, one behind the other, until it is told to stop; how many there were.
fn ask(gateway: SocketAddr, client: usize, stop: &AtomicBool, asked: &AtomicUsize) {
    let mut connection = None;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut open = match connection.take() {
            Some(open) => open,
            None => connect(gateway).expect("the gateway"),
        };
        let path = format!("/photos/{client}/{count}");
        open.write(&request("GET", &path).addressed(gateway).to_bytes()).expect("it reads");
        let answer = open.read_response("GET").expect("the gateway answers");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{path}: {body}");
        assert!(answer.whole && ["first", "second"].contains(&&*body), "{path}: {body}");
        if answer.header("connection").is_none_or(|value| value != "close") {
            connection = Some(open);
        }
        count += 1;
        asked.fetch_add(1, Ordering::Relaxed);
        // The pace of the load, a hundred in a second.
        std::thread::sleep(Duration::from_millis(40));
    }
}

#[test]
fn changes_of_a_volume_fail_no_request_and_new_keys_are_taken() {
    let (store, first, second) = (store(), origin("first"), origin("second"));
    let mut pod = Pod::start(store.address(), &format!("{}/", first.url()), KEYS);
    let gateway = pod.address;
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let stopped = Stop(&stop);
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn({
                    let (stop, asked) = (&stop, &asked);
                    move || ask(gateway, client, stop, asked)
                })
            })
            .collect();
        for change in 0..3 {
            let (url, body) = match change % 2 {
                0 => (second.url(), "second"),
                _ => (first.url(), "first"),
            };
            pod.change(&format!("{url}/"), KEYS);
            let mut count = 0;
            until("the changed rules", || {
                count += 1;
                let answer = get(gateway, format!("/photos/changed-{change}-{count}"));
                (answer.body == body.as_bytes()).then_some(())
            });
        }
        drop(stopped);
        for client in clients {
            client.join().expect("no request has failed");
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 20, "too few to see anything");

    // Metrics, and nothing else of the administration interface.
    let metrics = get(pod.health, "/metrics");
    let metrics = (metrics.status, String::from_utf8_lossy(&metrics.body).into_owned());
    assert!(metrics.1.contains("back_to_origin_requests_total{"), "{metrics:?}");
    for path in ["/config_dump", "/stats", "/quitquitquit"] {
        assert_eq!(get(pod.health, path).status, 404, "{path}");
    }
    let posted = request("POST", "/metrics").send(pod.health).expect("it answers");
    assert_eq!(posted.status, 404);

    // Keys that the store does not take, and the right ones again.
    pod.change(&format!("{}/", first.url()), ["EXAMPLEKEY", "wrong"]);
    until("a read that the store refuses", || {
        (get(gateway, "/photos/changed-0-1").status == 403).then_some(())
    });
    pod.change(&format!("{}/", first.url()), KEYS);
    until("a read that it takes", || {
        (get(gateway, "/photos/changed-0-1").status == 200).then_some(())
    });
    assert!(!pod.log().contains("[critical]"), "{}", pod.log());
}

#[test]
fn a_pod_ends_when_its_downloads_have() {
    let large = std::sync::Arc::new(crate::streaming::pattern(7, 24 << 20));
    let kept = std::sync::Arc::clone(&large);
    let origin =
        Server::start(move |request| Reply::object(request, &[("etag", "\"large\"")], &kept));
    let store = store();
    let mut pod = Pod::start(store.address(), &format!("{}/", origin.url()), KEYS);
    let gateway = pod.address;
    // A client that reads slowly.
    let mut open = connect(gateway).expect("the gateway");
    open.write(&request("GET", "/photos/large").addressed(gateway).to_bytes()).expect("it reads");
    assert!(open.read_some().expect("it answers"));
    let begun = Instant::now();
    let client = std::thread::spawn(move || {
        while begun.elapsed() < Duration::from_secs(3) {
            open.read_some().expect("bytes");
            std::thread::sleep(Duration::from_millis(20));
        }
        open.read_response("GET").expect("the whole of it")
    });
    // The kubelet's order: the container of `b2o` first, and then the sidecar.
    let keeper = pod.keeper.as_mut().expect("it runs");
    assert_eq!(keeper.end("the end of b2o"), Some(0), "{}", pod.log());
    let answer = client.join().expect("the client has it");
    assert!(answer.whole && answer.body == *large, "{} bytes", answer.body.len());
    // Its copy was waited for too.
    let stored = request("GET", "/stats?filter=copies_total");
    let stored = stored.send(pod.admin).expect("Envoy's administration interface");
    let stored = String::from_utf8_lossy(&stored.body).into_owned();
    assert!(stored.contains("result=.=stored;.;") && stored.contains(": 1"), "{stored}");
    pod.envoy.as_mut().expect("it runs").end("the end of Envoy");
}
