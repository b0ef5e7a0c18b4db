//! Connections between a streaming Envoy and the bucket: what a miss costs, and what becomes of
//! requests where the store closes connections that are silent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::client::{connect, get, request};
use crate::support::generated::{Generated, mirrored};
use crate::support::server::{Reply, Server};
use crate::support::store::{Files, Keys};
use crate::support::wait::until;
use crate::support::wire::Wire;

/// What Envoy counts of connections to the bucket.
const CONNECTIONS: &str = "cluster.bucket-examplebucket.upstream_cx_total";

/// An Envoy before a store, all of whose misses come from an origin.
fn streaming(store: SocketAddr, origin: &Server, more: &str) -> Generated {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    Generated::start(&mirrored(store, origin.address, more, folder.path()))
}

/// How many connections to the bucket so many misses take, one after the other.
fn connections_of(misses: u64, more: &str) -> u64 {
    let store = Files::start(&["examplebucket"], None);
    let origin = Server::start(|_| Reply::new(200, &[], "mirrored"));
    let running = streaming(store.address(), &origin, more);
    for miss in 0..misses {
        let answer = get(running.envoy.address(), format!("/examplebucket/{miss}"));
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"mirrored".as_slice()));
    }
    until("the last of them in the bucket", || {
        let stored = get(store.address(), format!("/examplebucket/{}", misses - 1));
        (stored.status == 200).then_some(())
    });
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
    running.count(CONNECTIONS)
}

#[test]
fn a_miss_costs_no_connection() {
    for protocol in ["", ", protocol: http2"] {
        // What stood still for as long as it may is made anew, on a slow machine.
        let connections = connections_of(60, protocol);
        assert!(connections < 6, "{protocol}: {connections} connections");
    }
}

#[test]
fn a_store_that_speaks_http2_takes_envoys_signatures() {
    let keys = Keys { access: "AKHTTP2".to_owned(), secret: "so/me+secret=".to_owned() };
    let store = Files::start(&["examplebucket"], Some(&keys));
    let origin = Server::start(|_| Reply::new(200, &[], "mirrored"));
    let more = format!(
        ", protocol: http2, reads: signed, \
         credentials: {{ inline: {{ access_key_id: {}, secret_access_key: {} }} }}",
        keys.access, keys.secret
    );
    let running = streaming(store.address(), &origin, &more);
    until("the object in the bucket", || {
        let answer = get(running.envoy.address(), "/examplebucket/key");
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"mirrored".as_slice()));
        answer.header("etag").map(|_| ())
    });
    assert_eq!(running.envoy.vm_failures(), Vec::<String>::new());
}

/// How long the store below keeps a connection without a request.
const KEPT: Duration = Duration::from_millis(800);

/// Starts a bucket that has everything, and closes a connection that was silent for too long. It
/// ends with the process.
fn closing_store() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_until_silent(stream));
        }
    });
    address
}

fn answer_until_silent(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(KEPT))?;
    let mut wire = Wire::new(stream);
    while wire.read_request()?.is_some() {
        wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhit")?;
    }
    Ok(())
}

/// Of so many requests, how many fail: bursts, each when the store is about to close the connections
/// of the one before.
fn failures(requests: usize, idle_timeout: Duration) -> usize {
    const CLIENTS: usize = 200;
    const BURST: usize = 2;
    let origin = Server::start(|_| Reply::new(200, &[], "mirrored"));
    let more = format!(", idle_timeout: {}ms", idle_timeout.as_millis());
    let running = streaming(closing_store(), &origin, &more);
    let gateway = running.envoy.address();
    let hit = request("GET", "/examplebucket/hit").addressed(gateway).to_bytes();
    let connected = || connect(gateway).expect("the gateway");
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| connected()).collect();
    let mut failed = 0;
    for round in 0..requests / (CLIENTS * BURST) {
        for _ in 0..BURST {
            for client in &mut clients {
                client.write(&hit).expect("the gateway reads");
            }
            for client in &mut clients {
                let answer = client.read_response("GET").expect("the gateway answers");
                failed += usize::from(answer.status != 200);
            }
        }
        // From well before the store closes the first of them to well after the last.
        let early = Duration::from_millis(10);
        let step = Duration::from_millis((round % 20).try_into().unwrap_or_default());
        std::thread::sleep((KEPT + step).saturating_sub(early));
    }
    // What fails is the bucket's to say: never may a request go to the origin instead.
    assert_eq!(origin.requests(), []);
    failed
}

#[test]
fn no_request_meets_a_connection_that_the_store_closes() {
    // Far below, as a busy machine may let Envoy wait for its turn: seconds do for real ones.
    assert_eq!(failures(10_000, KEPT / 8), 0);
}

#[test]
fn requests_fail_where_connections_are_kept_for_longer_than_the_store_keeps_them() {
    let failed = failures(10_000, KEPT * 10);
    eprintln!("{failed} of 10,000 requests failed, with connections kept for too long");
    assert!(failed > 0);
}
