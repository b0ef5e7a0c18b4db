//! A bucket that answers 403 for what it lacks, as S3 does to who may not list it.

use serde_json::json;

use crate::support::client::request;
use crate::support::deployed::Deployed;
use crate::support::gateway::{HOSTS, Path};
use crate::support::generated::load;
use crate::support::rules::on_miss;
use crate::support::server::{Reply, Server};
use crate::support::store::{Keys, Store};
use crate::support::wait::until;
use crate::support::wire::Response;

const OBJECT: &[u8] = b"an object of the origin's";

/// How a client signs whose own keys may not list the bucket.
const LIMITED: &str = "AWS4-HMAC-SHA256 Credential=LIMITED/20261127/us-east-1/s3/aws4_request";

/// The same with keys that nobody knows.
const UNKNOWN: &str = "AWS4-HMAC-SHA256 Credential=UNKNOWN/20261127/us-east-1/s3/aws4_request, \
                       SignedHeaders=host, Signature=00";

fn refusal(code: &str) -> Reply {
    let document = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Reply::new(403, &[("content-type", "application/xml")], document)
}

/// A store where the gateway's keys may do everything, and whoever signs otherwise or not at all may
/// do nothing.
fn store(keys: &Keys) -> Store {
    Store::files_signed_behind(&["examplebucket"], Some(keys), |request, own| {
        let signed = request.header("authorization").unwrap_or_default();
        match request.path() {
            b"/examplebucket/x/broken" if signed.contains("Credential=AKGATEWAY/") => {
                Reply::new(503, &[], "")
            }
            _ if signed == LIMITED => refusal("AccessDenied"),
            _ if signed == UNKNOWN => refusal("InvalidAccessKeyId"),
            _ => own(),
        }
    })
}

#[test]
fn a_403_is_a_miss_where_the_gateways_own_keys_find_that_the_object_is_missing() {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let keys = Keys { access: "AKGATEWAY".to_owned(), secret: "SKGATEWAY".to_owned() };
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let store = store(&keys);
        let origin = Server::start(|request| Reply::object(request, &[], OBJECT));
        let url = format!("{}/", origin.url());
        let mirror =
            || json!({ "RedirectType": "Mirror", "MirrorURL": url, "MirrorAllowHeadObject": true });
        let mut of_both = on_miss(2, "x/", mirror());
        of_both["Condition"]["HttpErrorCodeReturnedEquals"] = json!([403, 404]);
        let rules = json!([on_miss(1, "only-404/", mirror()), of_both]);
        std::fs::write(folder.path().join("rules.json"), rules.to_string())
            .expect("a folder of our own");
        let named = match path {
            Path::Callout => "callout",
            Path::Streaming => "streaming",
        };
        let text = format!(
            "path: {named}\nbuckets:\n- name: examplebucket\n  endpoint: http://{}\n  credentials: \
             {{ inline: {{ access_key_id: {}, secret_access_key: {} }} }}\n  rules: rules.json\n",
            store.address(),
            keys.access,
            keys.secret,
        );
        let gateway = Deployed::start(host, &load(&text, folder.path()), None);
        let send = |method: &str, key: &str, more: &[(&str, &str)]| -> Response {
            let folder = if key.starts_with("only-404/") { "" } else { "x/" };
            let target = format!("/examplebucket/{folder}{key}");
            let asked = more
                .iter()
                .fold(request(method, target), |asked, (name, value)| asked.with(name, value));
            asked.send(gateway.address).unwrap_or_else(|error| panic!("{at} {key}: {error}"))
        };
        let stored = |key: &str| {
            until(format!("{at}: {key} in the bucket"), || {
                let path = format!("/examplebucket/x/{key}");
                let is_it = |(request, status): &(crate::support::wire::Request, u16)| {
                    request.method == "PUT" && request.path() == path.as_bytes() && *status == 200
                };
                store.answered().iter().any(is_it).then_some(())
            });
        };

        // Missing keys are mirrored, and then are in the bucket, and as private as the rest of it.
        let got = send("GET", "a/%C3%A4%20b.txt?x=1", &[]);
        assert_eq!((got.status, got.body.as_slice()), (200, OBJECT), "{at}: {got:?}");
        stored("a/%C3%A4%20b.txt");
        let got = send("GET", "a/%C3%A4%20b.txt", &[]);
        assert_eq!(got.status, 403, "{at}: {got:?}");
        let part = send("GET", "part", &[("range", "bytes=3-8")]);
        assert_eq!((part.status, part.body.as_slice()), (206, &OBJECT[3..9]), "{at}: {part:?}");
        stored("part");
        let head = send("HEAD", "head", &[]);
        let length = Some(OBJECT.len().to_string());
        assert_eq!((head.status, head.header("content-length")), (200, length), "{at}: {head:?}");
        stored("head");

        // Nobody is asked for anything else, and everybody gets the bucket's own words.
        origin.take_requests();
        let own = send("PUT", "there", &[("authorization", UNKNOWN)]);
        assert_eq!(own.status, 403, "{at}: a write is none of the rules' business");
        let kept = [
            ("GET", "a/%C3%A4%20b.txt", &[][..], "AccessDenied"),
            ("GET", "a/%C3%A4%20b.txt", &[("authorization", LIMITED)], "AccessDenied"),
            ("HEAD", "part", &[], ""),
            ("GET", "only-404/k", &[], "AccessDenied"),
            ("GET", "none", &[("authorization", UNKNOWN)], "InvalidAccessKeyId"),
            ("HEAD", "none", &[("authorization", LIMITED)], ""),
            ("HEAD", "none", &[("authorization", UNKNOWN)], ""),
            ("GET", "none?X-Amz-Credential=c&X-Amz-Signature=s", &[], ""),
            ("GET", "broken", &[], "AccessDenied"),
            ("GET", "none?acl", &[], "AccessDenied"),
        ];
        for (method, key, more, code) in kept {
            let got = send(method, key, more);
            let words = String::from_utf8_lossy(&got.body).into_owned();
            let is_refused = (400..404).contains(&got.status);
            assert!(is_refused && words.contains(code), "{at} {method} {key}: {got:?} {words}");
            assert!(got.header("x-oss-tag").is_none(), "{at} {method} {key}");
        }
        assert_eq!(origin.requests().len(), 0, "{at}: {:?}", origin.requests());

        // What the store says in words, and who lacks a right by them, only a gateway that reads them
        // can tell. By callouts a body is held back, and whoever signs keeps the 403.
        let got = send("GET", "limited", &[("authorization", LIMITED)]);
        match path {
            Path::Callout => assert_eq!(got.status, 403, "{at}: {got:?}"),
            Path::Streaming => {
                assert_eq!((got.status, got.body.as_slice()), (200, OBJECT), "{at}: {got:?}");
                stored("limited");
            }
        }
        assert!(gateway.vm_failures().is_empty(), "{at}: {:?}", gateway.vm_failures());
    }
}
