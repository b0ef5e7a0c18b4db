//! Stores that fail or hang, and sizes that nobody can hold: what that costs others, and how much
//! memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::pattern;
use super::promises::{HEADERS, everywhere, setup};
use crate::support::client::{connect, get, request};
use crate::support::gateway::{Gateway, HOSTS, Host, Path};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::until;
use crate::support::wire::Request;

const MIB: u64 = 1 << 20;

/// `limits.memory_bytes`, where nothing is said.
const MEMORY: u64 = 64 * MIB;

/// What a gateway may take beside what it holds of objects for its store.
const BESIDE: u64 = 32 * MIB;

/// A store that never answers some requests for what is below `/examplebucket/hung/`.
fn hanging(hangs: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Store {
    Store::files_behind(&["examplebucket"], move |asked, own| {
        let is_hung = asked.path().starts_with(b"/examplebucket/hung/") && hangs(asked);
        if is_hung { Reply::raw("").stall() } else { own() }
    })
}

/// Asks for that many objects, some at a time, and for all of them or for a few bytes.
fn ask(address: SocketAddr, objects: usize, range: Option<&str>, object: &[u8]) {
    std::thread::scope(|scope| {
        for first in 0..8 {
            scope.spawn(move || {
                for key in (first..objects).step_by(8) {
                    let mut asked = request("GET", format!("/examplebucket/hung/{key}"));
                    if let Some(range) = range {
                        asked = asked.with("range", range);
                    }
                    let answer = asked.send(address).expect("the gateway answers");
                    let expected = if range.is_some() { &object[5..15] } else { object };
                    assert!(answer.whole && answer.body == expected, "{key}: {answer:?}");
                }
            });
        }
    });
}

/// A scene: objects whose store hangs, and one beside them whose store does not.
fn bystander_is_whole(
    size: usize,
    objects: usize,
    range: Option<&str>,
    hangs: fn(&Request) -> bool,
) {
    everywhere(|host| {
        let object = Arc::new(pattern(3, size));
        let good = Arc::new(pattern(4, 40_000_000));
        let (served, served_good) = (Arc::clone(&object), Arc::clone(&good));
        let origin = Server::start(move |asked| {
            let is_good = asked.path() == b"/good";
            Reply::object(asked, HEADERS, if is_good { &served_good } else { &served })
        });
        let store = hanging(hangs);
        let mut setup = setup(store.address(), &origin, None);
        setup.timeouts = Some(json!({ "store_ms": 20_000 }));
        let gateway = Gateway::start(host, &setup);
        let address = gateway.address;
        assert_eq!(get(address, "/examplebucket/first").status, 200, "{host:?}");
        let rest = gateway.process().map(|process| {
            process.forget_peak();
            (process, process.memory())
        });
        std::thread::scope(|scope| {
            let bystander = scope.spawn(move || get(address, "/examplebucket/good"));
            ask(address, objects, range, &object);
            let answer = bystander.join().expect("a client");
            assert!(answer.status == 200 && answer.whole, "{host:?}: {answer:?}");
            assert!(answer.body == *good, "{host:?}");
        });
        // As much hangs as may, and then some clients come who want nothing of that.
        until(format!("{host:?}: the store hangs"), || {
            let requests = store.server.requests();
            let hung = requests.iter().filter(|asked| hangs(asked));
            (hung.filter(|asked| asked.path().starts_with(b"/examplebucket/hung/")).count() > 1)
                .then_some(())
        });
        for key in 0..20 {
            let answer = get(address, format!("/examplebucket/more/{key}"));
            assert!(answer.status == 200 && answer.body == *object, "{host:?}: {answer:?}");
        }
        if let Some((process, rest)) = rest {
            let grown = process.peak().saturating_sub(rest);
            println!("{host:?}: {} MiB more than at rest", grown / MIB);
            assert!(grown <= MEMORY + BESIDE, "{host:?}: {} MiB more than at rest", grown / MIB);
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    });
}

fn is_put(asked: &Request) -> bool {
    asked.method == "PUT"
}

fn is_creation(asked: &Request) -> bool {
    asked.method == "POST" && asked.target.ends_with(b"?uploads")
}

#[test]
fn ranges_of_many_objects_before_a_store_that_hangs_harm_nobody() {
    bystander_is_whole(8_000_000, 300, Some("bytes=5-14"), is_put);
}

#[test]
fn many_objects_before_a_store_that_hangs_harm_nobody() {
    bystander_is_whole(4_000_000, 100, None, is_put);
}

#[test]
fn many_uploads_that_a_store_is_slow_to_create_harm_nobody() {
    bystander_is_whole(9_000_000, 60, None, is_creation);
}

/// By callouts an object is held whole until its store has taken it: whoever comes later must not wait
/// for that.
#[test]
fn clients_by_callouts_do_not_wait_for_a_store_that_hangs() {
    for host in [Host::Harness, Host::Envoy] {
        let object = pattern(3, 800_000);
        let served = object.clone();
        let origin = Server::start(move |asked| Reply::object(asked, HEADERS, &served));
        let store = hanging(is_put);
        let mut setup = setup(store.address(), &origin, None);
        setup.path = Path::Callout;
        // A tenth of what is usual, for objects of a tenth of 8 MB: it is their room that is short.
        setup.limits = Some(json!({ "memory_bytes": 6_400_000, "object_bytes": 3_200_000 }));
        // A busy machine is none of their reasons to give up, nor the store's to be heard of.
        setup.timeouts = Some(json!({ "origin_ms": 100_000, "store_ms": 200_000 }));
        let gateway = Gateway::start(host, &setup);
        std::thread::scope(|scope| {
            for key in 0..32 {
                let (address, object) = (gateway.address, &object);
                scope.spawn(move || {
                    let answer = get(address, format!("/examplebucket/hung/{key}"));
                    let found = (answer.status, answer.body.len());
                    assert!(found.0 == 200 && answer.body == *object, "{host:?} {key}: {found:?}");
                });
            }
        });
        let told = "not stored: too much is waiting to be stored already";
        let given_way = until(format!("{host:?}: most have given way"), || {
            let count = gateway.lines().iter().filter(|line| line.contains(told)).count();
            (count > 16).then_some(count as u64)
        });
        until(format!("{host:?}: they are counted"), || {
            (gateway.counters().get("not_stored") >= Some(&given_way)).then_some(())
        });
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    }
}

#[test]
fn sizes_that_nobody_can_hold_are_told_and_nothing_is_reserved_for_them() {
    everywhere(|host| {
        let store = Store::files(&["examplebucket"]);
        let origin = Server::start(|asked| {
            let size = String::from_utf8_lossy(asked.path()).trim_start_matches('/').to_owned();
            match size.parse::<u64>() {
                Ok(size) => Reply::raw(format!(
                    "HTTP/1.1 200 OK\r\netag: \"v\"\r\ncontent-length: {size}\r\n\r\nbytes"
                ))
                .stall(),
                Err(_) => Reply::object(asked, HEADERS, b"small"),
            }
        });
        let gateway = Gateway::start(host, &setup(store.address(), &origin, None));
        assert_eq!(get(gateway.address, "/examplebucket/first").body, b"small", "{host:?}");
        let process = gateway.process();
        let rest = process.map(|process| {
            process.forget_peak();
            process.memory()
        });
        for (size, told) in [
            (1_u64 << 50, "not stored: it has more than the 5 TiB that a bucket takes"),
            (5 << 40, "`memory_bytes` does not allow for parts of 549755814 bytes"),
        ] {
            let mut wire = connect(gateway.address).expect("the gateway listens");
            let asked = request("GET", format!("/examplebucket/{size}"));
            wire.write(&asked.addressed(gateway.address).to_bytes()).expect("it reads");
            let line = format!("GET examplebucket/{size}:");
            until(format!("{host:?}: {told}"), || {
                let log = gateway.log();
                log.lines().any(|found| found.contains(&line) && found.contains(told)).then_some(())
            });
        }
        // An object that is large and not too large, of which little comes.
        let mut wire = connect(gateway.address).expect("the gateway listens");
        let asked = request("GET", format!("/examplebucket/{}", 100_u64 << 30));
        wire.write(&asked.addressed(gateway.address).to_bytes()).expect("it reads");
        drop(wire);
        assert_eq!(get(gateway.address, "/examplebucket/after").body, b"small", "{host:?}");
        until(format!("{host:?}: stored"), || store.object("/examplebucket/after"));
        if let (Some(process), Some(rest)) = (process, rest) {
            let grown = process.peak().saturating_sub(rest);
            assert!(grown < 16 * MIB, "{host:?}: {} MiB more than at rest", grown / MIB);
        }
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{host:?}");
    });
}

#[test]
fn a_store_that_refuses_every_write_is_left_alone_and_tried_again() {
    const MISSES: usize = 100;
    for (host, path) in HOSTS {
        let at = format!("{host:?} {path:?}");
        let is_ill = Arc::new(AtomicBool::new(true));
        let ill = Arc::clone(&is_ill);
        let store = Store::files_behind(&["examplebucket"], move |asked, own| {
            let refuses = asked.method != "GET" && ill.load(Ordering::SeqCst);
            if refuses { error(503, "SlowDown", &asked.method) } else { own() }
        });
        let object = Arc::new(pattern(5, 4_096));
        let served = Arc::clone(&object);
        let origin = Server::start(move |asked| Reply::object(asked, HEADERS, &served));
        let mut setup = setup(store.address(), &origin, None);
        setup.path = path;
        let gateway = Gateway::start(host, &setup);
        for key in 0..MISSES {
            let answer = get(gateway.address, format!("/examplebucket/{key}"));
            assert!(answer.status == 200 && answer.body == *object, "{at}: {answer:?}");
        }
        let rests = "not stored: the store has failed lately, and is left alone for a while";
        assert!(gateway.log().contains(rests), "{at}: {}", gateway.log());
        let answered = store.server.requests();
        let writes = answered.iter().filter(|asked| asked.method != "GET").count();
        let looks = answered.iter().filter(|asked| asked.method == "HEAD").count();
        println!("{at}: {writes} requests that write for {MISSES} misses");
        assert!(writes <= 3 * MISSES / 4, "{at}: {writes} requests for {MISSES} misses");
        assert_eq!(looks, 0, "{at}: what the store itself refuses needs no look");
        // It is tried by itself, and then everything is stored again.
        is_ill.store(false, Ordering::SeqCst);
        let mut key = MISSES;
        until(format!("{at}: an object in the bucket"), || {
            key += 1;
            get(gateway.address, format!("/examplebucket/{key}"));
            let last = format!("/examplebucket/{}", key - 1);
            store.object(last)
        });
        let last = format!("/examplebucket/{}", key + 1);
        get(gateway.address, &last);
        until(format!("{at}: the next one too"), || store.object(&last));
        assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{at}");
    }
}
