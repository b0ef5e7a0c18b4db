//! Stores that judge no conditional writes, and stores that take their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::pattern;
use super::promises::{HEADERS, everywhere, setup};
use crate::support::client::{get, request};
use crate::support::gateway::{Gateway, HOSTS, Path};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::until;
use crate::support::wire::Request;

/// A store that does not know S3's condition, as OSS does not.
fn without_conditions() -> Store {
    Store::files_behind(&["examplebucket"], |asked, own| {
        let is_conditional = asked.header("if-none-match").is_some() && asked.method != "GET";
        if is_conditional { error(501, "NotImplemented", &asked.method) } else { own() }
    })
}

fn begins_upload(asked: &Request) -> bool {
    asked.method == "POST" && asked.target.ends_with(b"?uploads")
}

#[test]
fn a_store_that_knows_no_condition_is_told_once_and_gets_no_other_upload() {
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        // By callouts there are no uploads: an object goes up by one request.
        let size = if path == Path::Callout { 100_000 } else { 9 << 20 };
        let object = Arc::new(pattern(1, size));
        let served = Arc::clone(&object);
        let origin = Server::start(move |asked| Reply::object(asked, HEADERS, &served));
        let store = without_conditions();
        let mut setup = setup(store.address(), &origin, None);
        setup.path = path;
        let gateway = Gateway::start(host, &setup);
        let told = || gateway.log().matches("Set `conditional_writes` of the bucket").count();
        assert!(get(gateway.address, "/examplebucket/0").body == *object, "{at}");
        until(format!("{at}: the log tells"), || (told() == 1).then_some(()));
        for key in 1..6 {
            let answer = get(gateway.address, format!("/examplebucket/{key}"));
            assert!(answer.body == *object, "{at}: {answer:?}");
        }
        let last = "GET examplebucket/5: bucket 404";
        let line = until(format!("{at}: what became of the last one"), || {
            gateway.log().lines().find(|line| line.contains(last)).map(str::to_owned)
        });
        assert!(line.contains("the store knows no conditional writes"), "{at}: {line}");
        assert_eq!(told(), 1, "{at}");
        let asked = store.server.requests();
        let uploads = asked.iter().filter(|asked| begins_upload(asked)).count();
        let conditional = asked.iter().filter(|asked| asked.header("if-none-match").is_some());
        assert_eq!(conditional.count(), 1, "{at}");
        assert_eq!(uploads, usize::from(path == Path::Streaming), "{at}");
        until(format!("{at}: nothing is left"), || store.open_uploads().is_empty().then_some(()));
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn a_store_without_conditions_is_written_to_in_another_way() {
    for (host, path) in HOSTS {
        for (word, size) in [("oss", 100_000), ("head", 100_000), ("head", 9 << 20), ("none", 9)] {
            let at = format!("{host:?} {path:?} {word} {size}");
            if path == Path::Callout && size > 1 << 20 {
                continue;
            }
            let object = Arc::new(pattern(2, size));
            let served = Arc::clone(&object);
            let origin = Server::start(move |asked| Reply::object(asked, HEADERS, &served));
            let store = without_conditions();
            let mut setup = setup(store.address(), &origin, None);
            setup.path = path;
            setup.conditional_writes = Some(word);
            let gateway = Gateway::start(host, &setup);
            assert!(get(gateway.address, "/examplebucket/k").body == *object, "{at}");
            let stored = until(format!("{at}: stored"), || store.object("/examplebucket/k"));
            assert!(stored.body == *object, "{at}");
            let asked = store.server.requests();
            let writes = asked.iter().filter(|asked| {
                let is_completion = asked.method == "POST" && !begins_upload(asked);
                is_completion || (asked.method == "PUT" && !asked.target.contains(&b'?'))
            });
            let forbids = writes.filter(|asked| asked.header("x-oss-forbid-overwrite").is_some());
            assert_eq!(forbids.count(), usize::from(word == "oss"), "{at}");
            let looks = asked.iter().filter(|asked| asked.method == "HEAD").count();
            assert_eq!(looks, usize::from(word == "head"), "{at}");
        }
    }
}

#[test]
fn what_has_come_meanwhile_stays_where_the_bucket_is_looked_at() {
    everywhere(|host| {
        let origin = Server::start(|asked| Reply::object(asked, HEADERS, b"from the origin"));
        let is_there = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&is_there);
        // Another client's object is there from the first miss on.
        let store = Store::files_behind(&["examplebucket"], move |asked, own| {
            if asked.method == "GET" {
                there.store(true, Ordering::SeqCst);
            }
            let is_seen = asked.method == "HEAD" && there.load(Ordering::SeqCst);
            if is_seen { Reply::new(200, &[("etag", "\"other\"")], "").head() } else { own() }
        });
        let mut setup = setup(store.address(), &origin, None);
        setup.conditional_writes = Some("head");
        let gateway = Gateway::start(host, &setup);
        assert_eq!(get(gateway.address, "/examplebucket/k").body, b"from the origin", "{host:?}");
        until(format!("{host:?}: the log tells"), || {
            gateway.log().contains("the bucket has the object by now").then_some(())
        });
        let writes = store.server.requests().iter().filter(|asked| asked.method == "PUT").count();
        assert_eq!(writes, 0, "{host:?}");
    });
}

#[test]
fn a_store_that_takes_its_time_to_complete_an_upload_is_waited_for() {
    /// Longer than a stream may stand still in these tests.
    const SLOW: Duration = Duration::from_secs(10);
    everywhere(|host| {
        let object = Arc::new(pattern(3, 9 << 20));
        let served = Arc::clone(&object);
        let origin = Server::start(move |asked| Reply::object(asked, HEADERS, &served));
        let store = Store::files_behind(&["examplebucket"], |asked, own| {
            if asked.method == "POST" && !begins_upload(asked) {
                std::thread::sleep(SLOW);
            }
            own()
        });
        let mut setup = setup(store.address(), &origin, None);
        setup.timeouts = Some(json!({ "store_ms": 2_000 }));
        let gateway = Gateway::start(host, &setup);
        assert!(get(gateway.address, "/examplebucket/k").body == *object, "{host:?}");
        // A client completes an upload of its own meanwhile.
        let send = |method: &str, target: &str, body: &str| {
            let asked = request(method, target).with_body(body);
            asked.send(gateway.address).expect("an answer")
        };
        let created = send("POST", "/examplebucket/own?uploads", "");
        let created = String::from_utf8_lossy(&created.body).into_owned();
        let id = created.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once('<'));
        let (id, _) = id.expect("an upload");
        let part = format!("/examplebucket/own?partNumber=1&uploadId={id}");
        let etag = send("PUT", &part, "bytes").header("etag").expect("an ETag");
        let body = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
             </CompleteMultipartUpload>"
        );
        let target = format!("/examplebucket/own?uploadId={id}");
        let completed = send("POST", &target, &body);
        assert_eq!(completed.status, 200, "{host:?}: {completed:?}");
        let stored = until(format!("{host:?}: stored"), || store.object("/examplebucket/k"));
        assert!(stored.body == *object, "{host:?}");
        assert_eq!(store.object("/examplebucket/own").expect("it is there").body, b"bytes");
    });
}

#[test]
fn an_origin_that_stands_still_keeps_no_place_from_another() {
    everywhere(|host| {
        let still = Server::start(|asked| {
            let reply = Reply::object(asked, HEADERS, &[7; 100]);
            if asked.method == "HEAD" { reply.head() } else { Reply::raw("").stall() }
        });
        let well = Server::start(|asked| {
            let reply = Reply::object(asked, HEADERS, b"well");
            if asked.method == "HEAD" { reply.head() } else { reply }
        });
        let store = Store::files(&["examplebucket"]);
        let mut setup = setup(store.address(), &well, None);
        let rule = |number: u32, prefix: &str, origin: &Server| {
            json!({
                "RuleNumber": number,
                "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
                "Redirect": {
                    "RedirectType": "Mirror", "MirrorURL": format!("{}/", origin.url()),
                    "MirrorAllowHeadObject": true,
                },
            })
        };
        setup.buckets[0].rules = json!([rule(1, "still/", &still), rule(2, "well/", &well)]);
        setup.origins.push(still.address);
        // Longer than the test: nothing of this is the end of a fetch.
        setup.timeouts = Some(json!({ "origin_ms": 60_000 }));
        let gateway = Gateway::start(host, &setup);
        let head = |path: String| {
            let answer = request("HEAD", &path).send(gateway.address).expect("an answer");
            assert_eq!(answer.status, 200, "{host:?}: {path}");
        };
        for key in 0..40 {
            head(format!("/examplebucket/still/{key}"));
        }
        for key in 0..20 {
            head(format!("/examplebucket/well/{key}"));
        }
        for key in 0..20 {
            let path = format!("/examplebucket/well/{key}");
            let stored = until(format!("{host:?}: {path}"), || store.object(&path));
            assert_eq!(stored.body, b"well");
        }
        let stands = still.requests().iter().filter(|asked| asked.method == "GET").count();
        // As many as are fetched at once; and while the first three of them are late, as many more.
        assert!((4..=19).contains(&stands), "{host:?}: {stands}");
    });
}
