//! Rules that change time and again, each time to another origin: what is left of earlier ones goes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use b2o::deployment::Loaded;
use serde_json::json;
use tempfile::TempDir;

use crate::streaming::pattern;
use crate::support::client::{connect, get, request};
use crate::support::generated::{Generated, load};
use crate::support::process::Process;
use crate::support::server::{Reply, Server};
use crate::support::store::Files;
use crate::support::wait::until;

/// How many changes there are.
const CHANGES: u16 = 60;

/// What of a file is for its bucket: its reads, its own answers, its writes.
const OF_THE_BUCKET: usize = 3;

/// How many servers may stay that nothing names.
const STAY: usize = 32;

/// What all changes together may cost, in bytes. Each of them is a server and a configuration of the
/// module too.
const GROWTH: u64 = 96 << 20;

/// A download that is under way at all of them.
const LARGE: usize = 48 << 20;

/// The deployment whose rules name one origin.
fn loaded(store: &Files, folder: &TempDir, origin: &str) -> Loaded {
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{origin}/") },
    }]);
    fs::write(folder.path().join("rules.json"), rules.to_string()).expect("a folder of our own");
    let text = format!(
        "timeouts: {{ origin: 2s }}\nbuckets: [{{ name: examplebucket, endpoint: \"http://{}\", \
         rules: rules.json }}]",
        store.address()
    );
    load(&text, folder.path())
}

/// The servers that Envoy knows.
fn known(running: &Generated) -> BTreeSet<String> {
    let page = running.envoy.admin("/clusters");
    page.lines().filter_map(|line| Some(line.split_once("::")?.0.to_owned())).collect()
}

#[test]
fn servers_that_nothing_uses_go_and_a_download_outlasts_all_changes() {
    let large = Arc::new(pattern(4, LARGE));
    let bytes = Arc::clone(&large);
    let origin =
        Server::start(move |request| Reply::object(request, &[("etag", "\"large\"")], &bytes));
    let store = Files::start(&["examplebucket"], None);
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let running = Generated::start(&loaded(&store, &folder, &origin.url()));
    let gateway = running.envoy.address();
    // It begins by the first rules, and waits until the last ones are there.
    let mut download = connect(gateway).expect("the gateway");
    let get_large = request("GET", "/examplebucket/large").addressed(gateway).to_bytes();
    download.write(&get_large).expect("the gateway reads");
    let mut begun = vec![0; 1 << 20];
    download.stream().read_exact(&mut begun).expect("the download begins");
    let process = Process(running.envoy.process_id());
    let first = format!("origin-http-127.0.0.1-{}", origin.address.port());
    let mut before = 0;
    for change in 1..=CHANGES {
        // Nobody is asked at these.
        let name = format!("http://127.0.0.1:{}", 20_000 + change);
        running.change(&loaded(&store, &folder, &name));
        // It goes on, however long a busy machine takes: a stream that stands still is cut.
        let mut more = vec![0; 64 << 10];
        download.stream().read_exact(&mut more).expect("the download goes on");
        begun.extend(more);
        let servers = known(&running);
        assert!(servers.len() <= OF_THE_BUCKET + 1 + STAY, "{change}: {servers:?}");
        assert!(servers.contains(&first), "{change}: the download's server is gone");
        if change == CHANGES / 2 {
            before = process.memory();
        }
    }
    // The second half costs no more than the first has taken already.
    let growth = process.memory().saturating_sub(before);
    println!("{} MiB more after {} changes", growth >> 20, CHANGES / 2);
    assert!(growth < GROWTH, "{} MiB more", growth >> 20);
    // The download ends well, whole.
    let mut rest = Vec::new();
    let head = begun.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    download.stream().take((head + LARGE - begun.len()) as u64).read_to_end(&mut rest).expect("it");
    begun.extend(rest);
    assert!(begun.starts_with(b"HTTP/1.1 200"));
    assert!(begun[head..] == large[..], "other bytes than the origin's");
    until("the object in the bucket", || {
        (get(store.address(), "/examplebucket/large").status == 200).then_some(())
    });
    // Once nothing is under way, all of them go, at whatever change comes next.
    let last = loaded(&store, &folder, "http://127.0.0.1:20000");
    until("the end of what nothing uses", || {
        running.change(&last);
        let servers = known(&running);
        (servers.len() <= OF_THE_BUCKET + 1).then_some(())
    });
    assert_eq!(running.refused(), Vec::<String>::new());
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
}
