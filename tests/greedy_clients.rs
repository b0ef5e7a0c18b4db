//! Clients that ask for much and read nothing: what is held for them is bounded.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::client::{get, request};
use crate::support::generated::{Generated, mirrored};
use crate::support::process::Process;
use crate::support::server::{Reply, Server};
use crate::support::store::Files;
use crate::support::wait::until;

/// How many objects one connection asks for.
const STREAMS: u32 = 100;

/// How large each is: all of them are far more than may be held.
const LARGE: usize = 24 << 20;

/// What one such connection may have held at most, in bytes.
const HELD: u64 = 200 << 20;

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header without compression (RFC 7541, section 6.2.2).
fn header(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(u8::try_from(text.len()).expect("short"));
        block.extend(text.as_bytes());
    }
}

/// Asks for the object so many times, with windows that let nothing of it through.
fn ask(to: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    // SETTINGS_INITIAL_WINDOW_SIZE of 0.
    stream.write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]))?;
    for index in 0..STREAMS {
        let mut block = Vec::new();
        for (name, value) in
            [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
        {
            header(&mut block, name, value);
        }
        // HEADERS with END_HEADERS and END_STREAM.
        stream.write_all(&frame(1, 5, 2 * index + 1, &block))?;
    }
    Ok(stream)
}

/// Counts the answers that have begun: frames of HEADERS.
fn begun(stream: &mut TcpStream, ahead: &mut Vec<u8>, count: &mut u32) -> io::Result<()> {
    let mut chunk = [0; 16 << 10];
    match stream.read(&mut chunk) {
        Ok(0) => return Err(io::Error::other("the connection was closed")),
        Ok(read) => ahead.extend(&chunk[..read]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    while let [a, b, c, kind, ..] = ahead[..] {
        let length = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        if ahead.len() < length {
            break;
        }
        *count += u32::from(kind == 1);
        ahead.drain(..length);
    }
    Ok(())
}

fn bounded(more: &str) {
    let store = Files::start(&["examplebucket"], None);
    let put = request("PUT", "/examplebucket/large").with_body(vec![7; LARGE]);
    assert_eq!(put.send(store.address()).expect("the store answers").status, 200);
    let origin = Server::start(|_| Reply::new(404, &[], "nothing"));
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let running = Generated::start(&mirrored(store.address(), origin.address, more, folder.path()));
    let gateway = running.envoy.address();
    let process = Process(running.envoy.process_id());
    assert_eq!(get(gateway, "/examplebucket/large").body.len(), LARGE);
    let before = process.memory();
    process.forget_peak();
    let mut client = ask(gateway, "/examplebucket/large").expect("the gateway");
    let (mut ahead, mut count) = (Vec::new(), 0);
    until(format!("an answer to each request, {more}"), || {
        begun(&mut client, &mut ahead, &mut count).expect("the gateway answers");
        (count == STREAMS).then_some(())
    });
    // All that may be held is, once nothing more comes from the store.
    let counter = "cluster.bucket-examplebucket.upstream_cx_rx_bytes_total";
    let (mut received, mut same) = (0, 0);
    until(format!("the end of what comes from the store, {more}"), || {
        let now = running.count(counter);
        same = if std::mem::replace(&mut received, now) == now { same + 1 } else { 0 };
        (same == 50).then_some(())
    });
    let held = process.peak().saturating_sub(before);
    println!("{more}: {} MiB for {STREAMS} requests", held >> 20);
    assert!(held < HELD, "{more}: {} MiB", held >> 20);
    // Others are served meanwhile.
    assert_eq!(get(gateway, "/examplebucket/large").body.len(), LARGE);
}

#[test]
fn what_envoy_holds_for_one_client_is_bounded() {
    bounded("");
}

#[test]
fn what_envoy_holds_for_one_client_is_bounded_where_the_store_speaks_http2() {
    bounded(", protocol: http2");
}
