//! Large objects that more than one server is asked for: each streams, and is stored whole.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pattern;
use super::promises::{HEADERS, everywhere};
use crate::support::client::{get, request};
use crate::support::gateway::{Gateway, Path, Setup};
use crate::support::rules::on_miss;
use crate::support::server::{ClosedPort, Reply, Server};
use crate::support::store::Files;
use crate::support::wait::until;

const LARGE: usize = 96 << 20;

/// What one VM may hold, and some more.
const MOST_MEMORY: u64 = (64 + 32) << 20;

/// The servers of the rules.
struct Servers {
    /// Has everything.
    good: Server,
    /// Fails, and sends on to where there is nothing.
    bad: Server,
    dead: [ClosedPort; 2],
}

impl Servers {
    fn start(object: &Arc<Vec<u8>>) -> Self {
        let served = Arc::clone(object);
        let good = Server::start(move |request| match request.path() {
            b"/nothing" => Reply::new(404, &[], "nothing"),
            b"/small/first" => Reply::new(200, &[], "first"),
            _ => Reply::object(request, HEADERS, &served),
        });
        let nothing = format!("{}/nothing", good.url());
        let bad = Server::start(move |request| match request.path().starts_with(b"/fall/") {
            true => Reply::new(302, &[("location", &nothing)], "moved"),
            false => Reply::new(503, &[], "not well"),
        });
        Self { good, bad, dead: [ClosedPort::reserve(), ClosedPort::reserve()] }
    }

    fn rules(&self) -> Value {
        let (good, bad) = (format!("{}/", self.good.url()), format!("{}/", self.bad.url()));
        let dead = self.dead.each_ref().map(|dead| format!("http://{}/", dead.address));
        let rule = |number: u32, prefix: &str, mut redirect: Value| {
            redirect["RedirectType"] = "Mirror".into();
            on_miss(number, prefix, redirect)
        };
        let alternate = |number: u32, url: &str| json!({ "MirrorMultiAlternateNumber": number, "MirrorMultiAlternateURL": url });
        let alternates = [alternate(1, &dead[0]), alternate(2, &dead[1]), alternate(3, &good)];
        json!([
            rule(1, "slave/", json!({ "MirrorURL": dead[0], "MirrorURLSlave": good })),
            rule(
                2,
                "three/",
                json!({
                    "MirrorURL": bad,
                    "MirrorMultiAlternates": { "MirrorMultiAlternate": alternates },
                })
            ),
            rule(3, "fall/", json!({ "MirrorURL": bad, "MirrorFallThrough": true })),
            rule(4, "", json!({ "MirrorURL": good })),
        ])
    }
}

#[test]
fn large_objects_of_a_later_server_stream_and_are_stored_whole() {
    let object = Arc::new(pattern(6, LARGE));
    everywhere(|host| {
        let servers = Servers::start(&object);
        let store = Files::start(&["examplebucket"], None);
        let dead = servers.dead.each_ref().map(|dead| dead.address);
        let origins = [servers.good.address, servers.bad.address, dead[0], dead[1]];
        let mut setup = Setup::new(servers.rules(), store.address(), &origins);
        setup.path = Path::Streaming;
        let gateway = Gateway::start(host, &setup);
        // With all that the first request takes.
        assert_eq!(get(gateway.address, "/examplebucket/small/first").body, b"first", "{host:?}");
        for (key, rule) in [("slave/large", 1), ("three/large", 2), ("fall/large", 4)] {
            let rest = gateway.process().map(|process| {
                process.forget_peak();
                (process, process.memory())
            });
            let path = format!("/examplebucket/{key}");
            let miss = get(gateway.address, &path);
            assert!(miss.status == 200 && miss.whole, "{host:?}: {key}: {miss:?}");
            assert!(miss.body == *object, "{host:?}: {key}: other bytes for the client");
            let head = request("HEAD", &path);
            let stored = until(format!("{host:?}: {key} in the bucket"), || {
                let answer = head.send(store.address()).expect("the store answers");
                (answer.status == 200).then_some(answer)
            });
            let tag = stored.header("x-amz-meta-x-oss-tag");
            assert_eq!(tag, miss.header("x-oss-tag"), "{host:?}: {key}");
            let hit = get(gateway.address, &path);
            assert!(hit.status == 200 && hit.body == *object, "{host:?}: {key}: {hit:?}");
            let line = format!("GET examplebucket/{key}: bucket 404, rule {rule} Mirror, ");
            let told = until(format!("{host:?}: a line on {key}"), || {
                gateway.lines().into_iter().find(|told| told.starts_with(&line))
            });
            assert!(told.ends_with("stored in the bucket"), "{host:?}: {told}");
            if let Some((process, rest)) = rest {
                let grown = process.peak().saturating_sub(rest);
                assert!(grown <= MOST_MEMORY, "{host:?}: {key}: {} MiB more", grown >> 20);
            }
        }
        assert_eq!(store.open_uploads(), Vec::<String>::new(), "{host:?}");
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    });
}
