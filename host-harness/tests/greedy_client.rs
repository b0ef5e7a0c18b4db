//! A client that asks for much and reads nothing: what `b2o serve` holds for it is bounded.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

mod common;

use common::Running;

/// How many objects the client asks for at once.
const STREAMS: u32 = 100;

/// How large each is.
const LARGE: usize = 24 << 20;

/// What may be held for it at most, in bytes.
const HELD: u64 = 128 << 20;

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers without compression (RFC 7541, section 6.2.2).
fn block(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

fn get(from: SocketAddr, path: &str) -> usize {
    let mut stream = TcpStream::connect(from).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer.len()
}

/// A number that Linux keeps of a process.
fn of_process(id: u32, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn what_a_gateway_holds_for_one_client_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let store = ["store", &path("store"), "--listen", "127.0.0.1:0", "--bucket", "examplebucket"];
    let store = Running::start(&store);
    let address = store.address("store");
    let mut put = TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT /examplebucket/large HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    put.write_all(head.as_bytes()).unwrap();
    put.write_all(&vec![7; LARGE]).unwrap();
    let mut answer = String::new();
    put.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    std::fs::write(path("rules.json"), "{\"RoutingRules\": []}").unwrap();
    let deployment = format!(
        "listen: 127.0.0.1:0\nworkers: 1\napi: {{ listen: \"127.0.0.1:0\" }}\nbuckets:\n- name: examplebucket\n  \
         endpoint: http://{address}\n  rules: rules.json\n"
    );
    std::fs::write(path("deployment.yaml"), deployment).unwrap();
    let gateway = Running::start(&["serve", &path("deployment.yaml")]);
    let (address, id) = (gateway.address("gateway"), gateway.child.id());
    assert!(get(address, "/examplebucket/large") > LARGE);
    let before = of_process(id, "status", "VmRSS:");
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE of 0.
    client.write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])).unwrap();
    for index in 0..STREAMS {
        let headers = frame(1, 5, 2 * index + 1, &block("/examplebucket/large"));
        client.write_all(&headers).unwrap();
    }
    // It is over when nothing more is read: neither of the client nor of the store.
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (mut read, mut same, mut answers, begun) = (0, 0, 0, Instant::now());
    let mut chunk = [0; 64 << 10];
    while same < 50 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{answers} bytes of answers");
        // A pause between two looks: there is nothing to read when all answers have begun.
        answers += client.read(&mut chunk).unwrap_or_default();
        let now = of_process(id, "io", "rchar:");
        same = if std::mem::replace(&mut read, now) == now && answers > 0 { same + 1 } else { 0 };
    }
    let held = of_process(id, "status", "VmHWM:").saturating_sub(before) << 10;
    println!("{} MiB for {STREAMS} requests", held >> 20);
    assert!(held < HELD, "{} MiB", held >> 20);
    assert!(get(address, "/examplebucket/large") > LARGE);
}
