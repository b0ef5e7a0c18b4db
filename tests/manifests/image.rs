//! The module's image in registries: Debian's, which skopeo pulls from, and one that wants tokens.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use b2o::image::{Image, PushError, Reference, push};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::request;
use crate::support::gateway::runtime;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::wait::until;
use crate::support::wire::Request;

/// `docker-registry`; it ends with this.
struct Registry {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for a registry");
        let port = ClosedPort::reserve();
        let address = port.address;
        // It cannot be told to take any port that is free, and say which.
        drop(port);
        let text = format!(
            "version: 0.1\nlog: {{ level: error }}\nhttp: {{ addr: \"{address}\" }}\n\
             storage: {{ filesystem: {{ rootdirectory: {} }} }}\n",
            folder.path().join("data").display()
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, text).expect("a file of our own");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry, of the package of that name");
        let started = Self { process, address, _folder: folder };
        until("the registry is ready", || {
            let answer = request("GET", "/v2/").send(address).ok()?;
            (answer.status == 200).then_some(())
        });
        started
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

fn image() -> Image {
    Image::of(b2o::FILTER_WASM).expect("an image")
}

#[test]
fn what_is_pushed_is_what_skopeo_pulls_by_its_digest() {
    let registry = Registry::start();
    let image = image();
    let to = reference(&format!("{}/team/back-to-origin:0.1.0", registry.address));
    // The second finds all of it there.
    for _ in 0..2 {
        runtime().block_on(push(&image, &to)).expect("the registry takes it");
    }
    let folder = tempfile::tempdir().expect("a folder to pull to");
    let pulled = folder.path().join("pulled");
    let from = format!("docker://{}/team/back-to-origin@{}", registry.address, image.digest());
    skopeo(&["--src-tls-verify=false", &from, &format!("oci:{}", pulled.display())]);
    assert!(module_of(&pulled) == b2o::FILTER_WASM, "another module");

    // As the directory, by skopeo's hand.
    let layout = folder.path().join("layout");
    image.write(&layout).expect("a folder of our own");
    assert!(module_of(&layout) == b2o::FILTER_WASM, "another module");
    let to = format!("docker://{}/by/skopeo:1", registry.address);
    skopeo(&["--dest-tls-verify=false", &format!("oci:{}", layout.display()), &to]);
    let by_digest = format!("/v2/by/skopeo/manifests/{}", image.digest());
    let asked = request("GET", by_digest).with("accept", MANIFEST);
    let kept = asked.send(registry.address).expect("the registry answers");
    assert_eq!(kept.status, 200, "skopeo has made another digest of it");
}

fn skopeo(arguments: &[&str]) {
    let output = Command::new("skopeo").arg("copy").args(arguments).output();
    let output = output.expect("skopeo, of the package of that name");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The module of the image in a directory, as those who fetch one look for it.
fn module_of(layout: &Path) -> Vec<u8> {
    let json = |path: &Path| -> Value {
        serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
    };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        layout.join("blobs").join(digest.replace(':', "/"))
    };
    let manifest = json(&blob(&json(&layout.join("index.json"))["manifests"][0]));
    assert_eq!(manifest["mediaType"], MANIFEST);
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 1);
    assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    // By a tool of somebody else's.
    let output = Command::new("tar")
        .args(["--extract", "--gzip", "--to-stdout", "--file"])
        .arg(blob(&layers[0]))
        .arg("plugin.wasm")
        .output()
        .expect("tar");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A registry that wants a token, which another server gives; it sends uploads elsewhere.
#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    /// Whether it says something of its own for what it was given.
    rewrites: bool,
}

fn with_tokens(kept: &Arc<Mutex<Kept>>) -> (Server, Server, Server) {
    let tokens = Server::start(|request: &Request| match request.path() {
        b"/token" => Reply::new(200, &[], r#"{"token":"the-token"}"#),
        _ => Reply::new(404, &[], ""),
    });
    let place = Arc::clone(kept);
    let uploads = Server::start(move |request: &Request| {
        let target = String::from_utf8_lossy(&request.target).into_owned();
        let (_, digest) = target.split_once("digest=sha256%3A").unwrap_or_default();
        let mut kept = place.lock().unwrap_or_else(PoisonError::into_inner);
        kept.objects.insert(format!("blobs/sha256:{digest}"), request.body.clone());
        Reply::new(201, &[], "")
    });
    let (realm, elsewhere) = (tokens.url(), uploads.url());
    let place = Arc::clone(kept);
    let registry = Server::start(move |request: &Request| {
        if request.header("authorization").as_deref() != Some("Bearer the-token") {
            let wanted = format!("Bearer realm=\"{realm}/token\",service=\"of.tests\"");
            return Reply::new(401, &[("www-authenticate", &wanted)], "");
        }
        let target = String::from_utf8_lossy(&request.target).into_owned();
        let name = target.trim_start_matches("/v2/team/b2o/").to_owned();
        let mut kept = place.lock().unwrap_or_else(PoisonError::into_inner);
        match request.method.as_str() {
            "POST" => {
                let location = format!("{elsewhere}/put?state=1");
                Reply::new(202, &[("location", &location)], "")
            }
            "PUT" => {
                let mut bytes = request.body.clone();
                bytes.extend_from_slice(if kept.rewrites { b" " } else { b"" });
                kept.objects.insert(name, bytes);
                Reply::new(201, &[], "")
            }
            _ => match kept.objects.get(&name) {
                Some(bytes) => Reply::new(200, &[], bytes),
                None => Reply::new(404, &[], ""),
            },
        }
    });
    (registry, tokens, uploads)
}

#[test]
fn a_registry_with_tokens_gets_the_image_and_nobody_else_gets_the_token() {
    let kept = Arc::default();
    let (registry, tokens, uploads) = with_tokens(&kept);
    let image = image();
    let to = reference(&format!("{}/team/b2o:1", registry.address));
    runtime().block_on(push(&image, &to)).expect("the registry takes it");
    let asked = tokens.take_requests();
    let asked: Vec<_> =
        asked.iter().map(|one| String::from_utf8_lossy(&one.target).into_owned()).collect();
    assert_eq!(asked, ["/token?scope=repository%3Ateam%2Fb2o%3Apull%2Cpush&service=of.tests"]);
    let put = uploads.take_requests();
    assert_eq!(put.len(), 2);
    for request in put {
        assert_eq!(request.header("authorization"), None);
        assert!(request.target.starts_with(b"/put?state=1&digest=sha256%3A"), "{request:?}");
    }
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(kept.objects.len(), 3, "{:?}", kept.objects.keys());
}

#[test]
fn a_registry_that_changes_the_manifest_is_told_of() {
    let kept = Arc::new(Mutex::new(Kept { rewrites: true, ..Kept::default() }));
    let (registry, _tokens, _uploads) = with_tokens(&kept);
    let to = reference(&format!("{}/team/b2o:1", registry.address));
    let refused = runtime().block_on(push(&image(), &to));
    assert!(matches!(refused, Err(PushError::Changed { .. })), "{refused:?}");
}

#[test]
fn a_registry_that_says_no_is_quoted() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#;
    let registry = Server::start(move |_: &Request| Reply::new(403, &[], denied));
    let to = reference(&format!("{}/team/b2o:1", registry.address));
    let refused = runtime().block_on(push(&image(), &to)).expect_err("it says no");
    let said = refused.to_string();
    assert!(said.ends_with(": 403 DENIED: not yours"), "{said}");

    let registry = Server::start(|_: &Request| {
        Reply::new(401, &[("www-authenticate", "Basic realm=\"of tests\"")], "")
    });
    let to = reference(&format!("{}/team/b2o:1", registry.address));
    let refused = runtime().block_on(push(&image(), &to));
    assert!(matches!(refused, Err(PushError::Login(_))), "{refused:?}");
    // No login of this machine's is for that address; nothing was sent.
    let sent = registry.take_requests();
    assert!(sent.iter().all(|one| one.header("authorization").is_none()), "{sent:?}");
}
