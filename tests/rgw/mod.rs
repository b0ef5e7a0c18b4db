//! Streaming Envoy before Ceph RGW, a store that companies run: signed, versioned, multipart.
//!
//! `cargo test -p integration --features rgw rgw` is the command. It takes Ceph's daemons, which
//! Debian has as ceph-mon, ceph-osd, ceph-mgr and radosgw, and fails where they are missing.

/// Its web sites, as a judge of redirects.
mod website;

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::boto3;
use crate::streaming::pattern;
use crate::support::client::get;
use crate::support::generated::{Generated, load};
use crate::support::python;
use crate::support::server::{Reply, Server};
use crate::support::store::Keys;
use crate::support::wait::until;

const LOOK: &str = include_str!("../clients/rgw.py");

/// What the origin says of its objects.
const HEADERS: &[(&str, &str)] =
    &[("content-type", "video/mp4"), ("cache-control", "max-age=60"), ("etag", "\"v\"")];

/// Sizes of less than a part, of two parts and of fourteen.
const SIZES: [(&str, usize, &str); 3] =
    [("small", 5_000, ""), ("ten", 10 << 20, "-2"), ("hundred", 110 << 20, "-14")];

/// A running Ceph; it ends with this.
struct Ceph {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
    keys: Keys,
}

impl Ceph {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for Ceph");
        let keys = Keys { access: "AKRGW".to_owned(), secret: "so/me+secret=".to_owned() };
        let [monitor, s3] = free_ports();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("rgw").join("start.sh");
        let mut process = Command::new("bash")
            .arg(script)
            .arg(folder.path())
            .args([monitor.to_string(), s3.to_string(), keys.access.clone(), keys.secret.clone()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be started");
        let output = process.stdout.take().expect("its output is ours");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        assert_eq!(line.trim(), "ready", "Ceph did not start; see what it said above");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, s3));
        Self { process, folder, address, keys }
    }

    /// What the store's owner does or sees, past the gateway.
    fn owner(&self, arguments: &[&str]) -> String {
        let Keys { access, secret } = &self.keys;
        let output = Command::new("python3")
            .args(["-c", LOOK, &format!("http://{}", self.address), access, secret])
            .args(arguments)
            .env("PYTHONPATH", python::package("boto3", boto3::VERSION, true))
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .output()
            .expect("Python 3 can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("JSON")
    }

    fn look(&self, bucket: &str) -> Value {
        serde_json::from_str(&self.owner(&["look", bucket])).expect("JSON")
    }
}

impl Drop for Ceph {
    fn drop(&mut self) {
        // With its input its life ends, and that of every daemon.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log").join("output"));
            eprintln!("---- Ceph's output\n{}", log.unwrap_or_default());
        }
    }
}

/// Ports that were free just now; Ceph must be told them before it listens.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}

/// An Envoy that signs all it asks of the store, and mirrors both buckets.
fn gateway(ceph: &Ceph, origin: &Server) -> Generated {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()) },
    }]);
    std::fs::write(folder.path().join("rules.json"), rules.to_string()).expect("our own folder");
    let bucket = |name: &str| {
        json!({
            "name": name, "endpoint": format!("http://{}", ceph.address),
            "rules": "rules.json", "reads": "signed",
            "credentials": { "inline": {
                "access_key_id": ceph.keys.access, "secret_access_key": ceph.keys.secret,
            } },
        })
    };
    let buckets = json!([bucket("plain"), bucket("versioned")]);
    Generated::start(&load(&format!("buckets: {buckets}"), folder.path()))
}

#[test]
fn what_streams_is_whole_in_ceph() {
    let ceph = Ceph::start();
    ceph.owner(&["prepare"]);
    let objects = Arc::new(SIZES.map(|(name, size, _)| (name, pattern(7, size))));
    let served = Arc::clone(&objects);
    let origin = Server::start(move |request| {
        let path = String::from_utf8_lossy(request.path()).into_owned();
        let object = served.iter().find(|(name, _)| path == format!("/{name}"));
        match (object, path.as_str()) {
            (Some((_, bytes)), _) => Reply::object(request, HEADERS, bytes),
            // Announced and never sent whole: nothing of it may stay.
            (None, "/broken") => Reply::raw(
                [b"HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n".as_slice(), &[7; 9 << 20]]
                    .concat(),
            ),
            (None, "/deleted") => Reply::new(200, &[], "from the origin"),
            (None, _) => Reply::new(404, &[], ""),
        }
    });
    let running = gateway(&ceph, &origin);
    let envoy = running.envoy.address();

    for bucket in ["plain", "versioned"] {
        for (name, bytes) in objects.iter() {
            let miss = get(envoy, format!("/{bucket}/{name}"));
            assert_eq!(miss.status, 200, "{bucket}/{name}: {miss:?}");
            assert!(miss.whole && miss.body == *bytes, "{bucket}/{name}: other bytes");
            assert!(miss.header("x-oss-tag").is_some(), "{bucket}/{name}: {miss:?}");
        }
        assert!(!get(envoy, format!("/{bucket}/broken")).whole);
        assert_eq!(get(envoy, format!("/{bucket}/none")).status, 404);
        let stored = until("everything in Ceph", || {
            let stored = ceph.look(bucket);
            let all = SIZES.iter().all(|(name, ..)| stored["objects"].get(name).is_some());
            (all && stored["uploads"] == json!([])).then_some(stored)
        });
        assert_eq!(stored["objects"].as_object().map(serde_json::Map::len), Some(SIZES.len()));
        for (name, size, parts) in SIZES {
            let object = &stored["objects"][name];
            assert_eq!(object["size"], size, "{bucket}/{name}");
            assert_eq!(object["type"], "video/mp4", "{bucket}/{name}");
            assert_eq!(object["cache"], "max-age=60", "{bucket}/{name}");
            let etag = object["etag"].as_str().unwrap_or_default();
            let (_, count) = etag.split_at(etag.len().min(32));
            assert_eq!(count, parts, "{bucket}/{name}: {etag}");
            let tag = object["metadata"]["x-oss-tag"].as_str().unwrap_or_default();
            assert!(tag.starts_with("MIRROR http"), "{bucket}/{name}: {object}");
        }
        origin.take_requests();
        for (name, bytes) in objects.iter() {
            let hit = get(envoy, format!("/{bucket}/{name}"));
            assert!(hit.status == 200 && hit.body == *bytes, "{bucket}/{name}: {hit:?}");
            assert!(hit.header("x-oss-tag").is_some(), "{bucket}/{name}: {hit:?}");
        }
        // What broke off is asked for again by itself.
        let asked = origin.requests().into_iter().filter(|request| request.path() != b"/broken");
        assert_eq!(asked.count(), 0, "{bucket}: a hit reached the origin");
    }

    // What was deleted stays deleted where the store says so. Ceph 16 does not: its 404 is that of
    // an object which never was, and nobody can tell them apart.
    let says_so = ceph.owner(&["marker"]).trim() == "true";
    eprintln!("the 404 of a deleted object has a delete marker: {says_so}");
    let deleted = get(envoy, "/versioned/deleted");
    assert_eq!(deleted.status, if says_so { 404 } else { 200 }, "{deleted:?}");
    let asked = origin.requests().into_iter().filter(|request| request.path() == b"/deleted");
    assert_eq!(asked.count(), usize::from(!says_so), "{deleted:?}");
    for bucket in ["plain", "versioned"] {
        until("the end of what broke off", || {
            running.envoy.log().contains(&format!("GET {bucket}/broken: ")).then_some(())
        });
        let left = ceph.look(bucket);
        assert_eq!(left["uploads"], json!([]), "{bucket}");
        assert!(left["objects"].get("broken").is_none(), "{bucket}: {left}");
    }
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
}

#[test]
fn an_object_that_was_put_meanwhile_survives_a_small_copy() {
    let ceph = Arc::new(Ceph::start());
    ceph.owner(&["prepare"]);
    let owner = Arc::clone(&ceph);
    let origin = Server::start(move |request| {
        // Somebody puts the object while the origin is asked for it.
        let key = String::from_utf8_lossy(request.path()).trim_start_matches('/').to_owned();
        owner.owner(&["put", "plain", &key, "newer"]);
        let size = if key == "large" { 20 << 20 } else { 100 };
        Reply::object(request, HEADERS, &pattern(8, size))
    });
    let running = gateway(&ceph, &origin);
    for key in ["small", "large"] {
        let miss = get(running.envoy.address(), format!("/plain/{key}"));
        assert!(miss.status == 200 && miss.whole, "{miss:?}");
        until("the end of the copy", || {
            running.envoy.log().contains(&format!("GET plain/{key}: ")).then_some(())
        });
    }
    let stored = ceph.look("plain");
    assert_eq!(stored["uploads"], json!([]));
    assert_eq!(stored["objects"]["small"]["size"], "newer".len());
    // Ceph 16 ignores `If-None-Match` of a completion: there the copy of an object of several parts
    // replaces what came meanwhile. Later ones may not.
    let large = stored["objects"]["large"]["size"].as_u64();
    eprintln!(
        "of several parts, what was put meanwhile: {}",
        match large {
            Some(5) => "survived",
            Some(_) | None => "was replaced",
        }
    );
    assert!([Some(5), Some(20 << 20)].contains(&large), "{stored}");
}
