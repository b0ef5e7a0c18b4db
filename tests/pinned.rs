//! Downloads in parts: one version or an error, whatever changes on the way.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::boto3::VERSION;
use crate::streaming::pattern;
use crate::support::client::{get, request};
use crate::support::gateway::{Gateway, HOSTS, Path, Setup};
use crate::support::python;
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::until;

const SIZE: usize = 20 << 20;

/// A client that downloads by ranges, of which it wants to be sure.
const SCRIPT: &str = r#"
import sys, boto3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from s3transfer.exceptions import S3DownloadFailedError
config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", config=config)
transfer = TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=8 << 20, use_threads=False)
try:
    client.download_file("examplebucket", sys.argv[2], sys.argv[3], Config=transfer)
except (ClientError, S3DownloadFailedError) as error:
    print(error)
    sys.exit(3)
"#;

/// What a client has in the end.
#[derive(Debug, Eq, PartialEq)]
enum Got {
    Error(String),
    File(Vec<u8>),
}

fn download(gateway: &Gateway, key: &str) -> Got {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let file = folder.path().join("file");
    let output = Command::new("python3")
        .args(["-c", SCRIPT, &format!("http://{}", gateway.address), key])
        .arg(&file)
        .env("PYTHONPATH", python::package("boto3", VERSION, true))
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .expect("Python 3 can be started");
    match output.status.code() {
        Some(0) => Got::File(std::fs::read(&file).expect("a file")),
        Some(3) => Got::Error(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => panic!("{}\n{}", String::from_utf8_lossy(&output.stderr), gateway.log()),
    }
}

fn version(number: u64) -> (String, Vec<u8>) {
    (format!("\"version-{number}\""), pattern(number + 1, SIZE))
}

fn setup(path: Path, store: &Store, origin: &Server) -> Setup {
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()),
            // It goes on for as long as the test does.
            "MirrorProxyPass": true,
            "MirrorAllowHeadObject": true,
        },
    }]);
    let limits = json!({ "object_bytes": 30 << 20 });
    Setup { path, limits: Some(limits), ..Setup::new(rules, store.address(), &[origin.address]) }
}

#[test]
fn what_changes_at_the_origin_between_ranges_is_an_error() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let versions = [version(1), version(2)];
        let known = versions.clone();
        let gets = AtomicUsize::new(0);
        let origin = Server::start(move |request| {
            let is_get = request.method == "GET";
            let changes = request.path() == b"/changing";
            let nth = if is_get && changes { gets.fetch_add(1, Ordering::SeqCst) } else { 0 };
            // The HEAD and the first range are of the first version.
            let (etag, bytes) = &known[usize::from(nth > 0)];
            let reply = Reply::object(request, &[("etag", etag)], bytes);
            if is_get { reply } else { reply.head() }
        });
        let store = Store::files(&["examplebucket"]);
        let gateway = Gateway::start(host, &setup(path, &store, &origin));
        assert_eq!(download(&gateway, "staying"), Got::File(versions[0].1.clone()), "{at}");
        match download(&gateway, "changing") {
            Got::Error(error) => assert!(error.contains("expected ETag"), "{at}: {error}"),
            Got::File(bytes) => {
                let is_one = versions.iter().any(|(_, version)| *version == bytes);
                panic!("{at}: a file without an error, of one version: {is_one}");
            }
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn what_is_deleted_after_the_first_range_is_an_error() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let (etag, other) = version(2);
        let origin = Server::start(move |request| {
            let reply = Reply::object(request, &[("etag", &etag)], &other);
            if request.method == "HEAD" { reply.head() } else { reply }
        });
        let mine = version(1).1;
        let read = AtomicUsize::new(0);
        let store = Store::files_behind(&["examplebucket"], move |asked, own| {
            let is_range = asked.method == "GET" && asked.header("range").is_some();
            match is_range && read.fetch_add(1, Ordering::SeqCst) > 0 {
                // Somebody has deleted it.
                true => error(404, "NoSuchKey", "GET"),
                false => own(),
            }
        });
        store.put("/examplebucket/k", &[], &mine);
        let gateway = Gateway::start(host, &setup(path, &store, &origin));
        match download(&gateway, "k") {
            Got::Error(error) => assert!(error.contains("expected ETag"), "{at}: {error}"),
            Got::File(bytes) => panic!("{at}: {} bytes without an error", bytes.len()),
        }
        assert!(!origin.requests().is_empty(), "{at}: the origin was asked");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn a_version_that_has_come_into_the_bucket_meanwhile_is_still_the_same() {
    for (host, path) in HOSTS.into_iter().filter(|(_, path)| *path == Path::Streaming) {
        let at = format!("{host:?} {path:?}");
        let (etag, bytes) = version(1);
        let (sent, known) = (bytes.clone(), etag.clone());
        let origin = Server::start(move |request| {
            let reply = Reply::object(request, &[("etag", &known)], &sent);
            if request.method == "HEAD" { reply.head() } else { reply }
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
        let setup = Setup { path, ..Setup::new(rules, store.address(), &[origin.address]) };
        let gateway = Gateway::start(host, &setup);
        let asks = |method, condition: &str, value: &str| {
            request(method, "/examplebucket/k")
                .with("if-match", condition)
                .with("range", value)
                .send(gateway.address)
                .expect("an answer")
        };
        assert_eq!(get(gateway.address, "/examplebucket/k").header("etag"), Some(etag.clone()));
        let stored = until("the stored object", || store.object("/examplebucket/k"));
        assert_ne!(stored.header("etag").as_ref(), Some(&etag), "{at}: the store has its own");
        let fetched = origin.requests().len();
        for list in [etag.clone(), format!("\"other\", {etag}")] {
            let part = asks("GET", &list, "bytes=1000-1999");
            assert_eq!(
                (part.status, part.header("etag")),
                (206, Some(etag.clone())),
                "{at} {list}"
            );
            assert_eq!(part.body, bytes[1_000..2_000], "{at}");
            assert!(part.header("x-oss-tag").is_some(), "{at}");
            assert_eq!(part.header("x-envoy-miss-framing"), None, "{at}");
        }
        let head = asks("HEAD", &etag, "bytes=0-");
        assert_eq!(head.header("etag"), Some(etag.clone()), "{at}: {}", head.status);
        assert_eq!(asks("GET", "\"other\"", "bytes=0-9").status, 412, "{at}: another version");
        assert_eq!(origin.requests().len(), fetched, "{at}: the origin is not asked");
        store.put("/examplebucket/k", &[], b"somebody's own");
        assert_eq!(asks("GET", &etag, "bytes=0-9").status, 412, "{at}: replaced meanwhile");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}
