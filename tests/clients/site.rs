//! A gateway with a store and an origin, for all tools at once.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use tempfile::TempDir;

use crate::streaming::pattern;
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::load;
use crate::support::origin::{Object, Origin};
use crate::support::python;
use crate::support::store::{Files, Keys};

/// Rules as the documents show them; only the origin is another.
const RULES: &str = include_str!("../../envoy/rules/mirror.json");

/// The bucket of clients that have the store's keys.
pub(super) const SIGNED: &str = "examplebucket";
/// The bucket of everybody else: the gateway has the keys.
pub(super) const PUBLIC: &str = "publicbucket";

/// What tools need to know of a gateway, and what is seen behind it.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) origin: Origin,
    pub(super) keys: Keys,
    pub(super) folder: TempDir,
    /// How often an object was made visible, by `bucket/key`.
    stored: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Objects that have a meaning: by key.
    files: Arc<BTreeMap<String, Object>>,
}

impl Site {
    /// Starts one. The gateway and the store end with the second value.
    pub(super) fn start(host: Host) -> (Self, Kept) {
        let keys = Keys { access: "AKEXAMPLE".to_owned(), secret: "SK/EXAMPLE+".to_owned() };
        let stored: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let seen = Arc::clone(&stored);
        let store = Files::start_signed_observed(&[SIGNED, PUBLIC], &keys, move |answered| {
            let query = answered.uri.query().unwrap_or_default();
            let shows = match answered.method.as_str() {
                "PUT" => !query.contains("uploadId="),
                "POST" => query.contains("uploadId="),
                _ => false,
            };
            if shows && answered.status.is_success() {
                let path = percent_decode_str(answered.uri.path()).decode_utf8_lossy();
                let path = path.trim_start_matches('/').to_owned();
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                *seen.entry(path).or_default() += 1;
            }
        });
        let folder = tempfile::tempdir().expect("a folder for files");
        let files = Arc::new(files(folder.path()));
        let known = Arc::clone(&files);
        let origin = Origin::start(&[("access-control-allow-origin", "*")], move |key| {
            known.get(key).cloned().or_else(|| generated(key))
        });
        let loaded = load(&deployment(&store, &origin, &keys, folder.path()), folder.path());
        let gateway = Deployed::start(host, &loaded, None);
        let address = gateway.address;
        (Self { address, origin, keys, folder, stored, files }, Kept { gateway, _store: store })
    }

    /// The bytes of an object, as its origin has it.
    pub(super) fn content(&self, key: &str) -> Option<Arc<[u8]>> {
        let object = self.files.get(key).cloned().or_else(|| generated(key));
        object.map(|(_, bytes)| bytes)
    }

    /// How often an object was made visible.
    pub(super) fn stored(&self, bucket: &str, key: &str) -> u64 {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.get(&format!("{bucket}/{key}")).copied().unwrap_or(0)
    }

    /// A file of its own, in an empty folder.
    pub(super) fn scratch(&self) -> TempDir {
        tempfile::tempdir_in(self.folder.path()).expect("a folder of our own")
    }
}

/// What runs for a site.
pub(super) struct Kept {
    gateway: Deployed,
    _store: Files,
}

impl Kept {
    pub(super) fn vm_failures(&self) -> Vec<String> {
        self.gateway.vm_failures()
    }

    pub(super) fn log(&self) -> String {
        self.gateway.log()
    }
}

fn deployment(store: &Files, origin: &Origin, keys: &Keys, folder: &Path) -> String {
    let mut rules: Value = serde_json::from_str(RULES).expect("the documented sample");
    let redirect = &mut rules["RoutingRules"][0]["Redirect"];
    redirect["MirrorURL"] = format!("http://{}/", origin.address).into();
    redirect["MirrorAllowHeadObject"] = true.into();
    fs::write(folder.join("mirror.json"), rules.to_string()).expect("a folder of our own");
    let bucket = |name: &str, reads: &str| {
        let Keys { access, secret } = keys;
        format!(
            "- name: {name}\n  endpoint: http://{}\n  rules: mirror.json\n  reads: {reads}\n  \
             credentials: {{ inline: {{ access_key_id: {access}, secret_access_key: {secret} }} }}\n",
            store.address()
        )
    };
    format!("buckets:\n{}{}", bucket(SIGNED, "passthrough"), bucket(PUBLIC, "signed"))
}

/// An object whose size stands before its name: `.../1024/name`.
fn generated(key: &str) -> Option<Object> {
    let (before, _) = key.rsplit_once('/')?;
    let size = before.rsplit('/').next()?.parse().ok()?;
    let seed =
        key.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Some(("application/octet-stream", pattern(seed, size).into()))
}

/// Objects that tools look into.
fn files(folder: &Path) -> BTreeMap<String, Object> {
    let made = folder.join("files");
    let output = Command::new(python::interpreter())
        .args(["-c", include_str!("files.py")])
        .arg(&made)
        .args(cfg!(feature = "clients").then_some("--all"))
        .output()
        .expect("Python 3 can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (kind, key) = line.split_once(' ').expect("a type and a key");
        let bytes = fs::read(file_of(&made, key)).expect("what the script has written");
        let kind: &'static str = match kind {
            "text/html" => "text/html",
            "application/zip" => "application/zip",
            "text/plain" => "text/plain",
            "image/png" => "image/png",
            "font/ttf" => "font/ttf",
            "video/mp4" => "video/mp4",
            other => panic!("{other}: not a type of ours"),
        };
        files.insert(key.to_owned(), (kind, bytes.into()));
    }
    files
}

/// Where the script has put an object: a key may end as a folder does.
fn file_of(made: &Path, key: &str) -> PathBuf {
    made.join(key.replace('/', "%"))
}
