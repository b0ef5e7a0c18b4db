//! The example that OSS's documents go by: a mirrored folder from an origin behind TLS, its keys and
//! headers rewritten, and a redirect for all else.
//!
//! The file is taken as it stands, but for one thing: no test can say where `example.com` is, so the
//! authority of its MirrorURL is that of an origin on this machine.

use std::fs;
use std::path::Path;

use b2o::deployment::Loaded;

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::{self, HOSTS};
use crate::support::generated::load;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::tls::{Authority, Encrypted};
use crate::support::wait::until;

const RULES: &str = include_str!("fixtures/golden.xml");
const MIRROR_URL: &str = "<MirrorURL>https://example.com/</MirrorURL>";

const OBJECT: &str = "the golden object";
/// The MD5 of that.
const DIGEST: &str = "xR/pdT787wHO60T6o+htrw==";

/// The origin: what it has is announced with its digest, as `MirrorCheckMd5` wants it.
fn origin() -> Server {
    Server::start(|request| match request.path() {
        b"/destfolder/example.txt" => {
            let headers = [("content-md5", DIGEST), ("content-type", "text/x-golden")];
            Reply::new(200, &headers, OBJECT)
        }
        b"/destfolder/false.txt" => Reply::new(200, &[("content-md5", DIGEST)], "another object"),
        _ => Reply::new(404, &[], ""),
    })
}

/// The rules before a store, where the name in the MirrorURL leads to an origin.
fn deployment(store: &Store, origin: &Encrypted, path: gateway::Path, folder: &Path) -> Loaded {
    assert_eq!(RULES.matches(MIRROR_URL).count(), 1);
    let url = MIRROR_URL.replace("example.com", &origin.authority());
    fs::write(folder.join("website.xml"), RULES.replace(MIRROR_URL, &url)).expect("our own folder");
    let path = match path {
        gateway::Path::Callout => "callout",
        gateway::Path::Streaming => "streaming",
    };
    let store = store.address();
    let text = format!(
        "path: {path}\nbuckets:\n- name: examplebucket\n  endpoint: http://{store}\n  rules: website.xml\n"
    );
    load(&text, folder)
}

#[test]
fn the_golden_example_does_what_the_documents_say() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder for the rules");
    for (host, path) in HOSTS {
        let store = Store::files(&["examplebucket"]);
        let origin = origin();
        let encrypted = Encrypted::before(origin.address, &authority);
        let loaded = deployment(&store, &encrypted, path, folder.path());
        let gateway = Deployed::start(host, &loaded, Some(&authority.certificate()));
        let ask = |target: &str| {
            request("GET", format!("/examplebucket/{target}"))
                .with("aaa-header", "aaa")
                .with("bbb-header", "bbb")
                .with("ccc-header", "111")
                .send(gateway.address)
                .unwrap_or_else(|error| panic!("{host:?} {path:?} {target}: {error}"))
        };

        let answer = ask("examplefolder/example.txt?x=1");
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, OBJECT.as_bytes()),
            "{host:?} {path:?}: {answer:?}"
        );
        let tag = format!(
            "MIRROR https%3A%2F%2F{}%2Fdestfolder%2Fexample.txt",
            encrypted.authority().replace(':', "%3A")
        );
        assert_eq!(answer.header("x-oss-tag"), Some(tag.clone()), "{host:?} {path:?}");

        let requests = origin.take_requests();
        let [asked] = requests.as_slice() else {
            panic!("{host:?} {path:?}: {} requests", requests.len())
        };
        let target = String::from_utf8_lossy(&asked.target);
        assert_eq!((asked.method.as_str(), &*target), ("GET", "/destfolder/example.txt?x=1"));
        assert_eq!(asked.header("host"), Some(encrypted.authority()), "{host:?} {path:?}");
        let values = |name: &str| -> Vec<String> {
            let of_name = asked.headers.iter().filter(|(found, _)| found == name);
            of_name.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
        };
        assert_eq!(values("aaa-header"), ["aaa"], "{host:?} {path:?}");
        assert_eq!(values("bbb-header"), [""; 0], "{host:?} {path:?}");
        assert_eq!(values("ccc-header"), ["ccc"], "{host:?} {path:?}");

        let stored = until("the object in the bucket", || {
            store.object("/examplebucket/examplefolder/example.txt")
        });
        assert_eq!(stored.body, OBJECT.as_bytes(), "{host:?} {path:?}");
        assert_eq!(stored.header("content-type").as_deref(), Some("text/x-golden"));
        assert!(store.object("/examplebucket/destfolder/example.txt").is_none());
        let hit = ask("examplefolder/example.txt");
        assert_eq!((hit.status, hit.header("x-oss-tag")), (200, Some(tag)), "{host:?} {path:?}");
        assert_eq!(origin.take_requests().len(), 0, "{host:?} {path:?}: a hit");

        for (key, location) in [
            ("test", "https://www.example.com/prefix/test.suffix"),
            ("other/a.txt?x=1", "https://www.example.com/prefix/other/a.txt.suffix"),
        ] {
            let answer = ask(key);
            let found = (answer.status, answer.header("location"));
            assert_eq!(found, (302, Some(location.to_owned())), "{host:?} {path:?} {key}");
        }
        assert_eq!(origin.take_requests().len(), 0, "{host:?} {path:?}: a redirect");

        // `MirrorCheckMd5`: what is false is not kept.
        ask("examplefolder/false.txt");
        until("the word on a false object", || {
            let log = gateway.log();
            log.contains("examplefolder/false.txt: bucket 404").then_some(())
        });
        assert!(store.object("/examplebucket/examplefolder/false.txt").is_none());
    }
}

#[test]
fn an_origin_that_nobody_vouches_for_is_not_asked() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().expect("a folder for the rules");
    for (host, path) in HOSTS {
        let store = Store::files(&["examplebucket"]);
        let origin = origin();
        let encrypted = Encrypted::before(origin.address, &unknown);
        let loaded = deployment(&store, &encrypted, path, folder.path());
        let gateway = Deployed::start(host, &loaded, Some(&known.certificate()));
        let answer = request("GET", "/examplebucket/examplefolder/example.txt")
            .send(gateway.address)
            .expect("an answer");
        assert_eq!(answer.status, 424, "{host:?} {path:?}: {answer:?}");
        assert_eq!(origin.requests().len(), 0, "{host:?} {path:?}");
    }
}
