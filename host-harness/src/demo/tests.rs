//! The demo keeps what its introduction promises.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::*;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

struct Running {
    demo: Demo,
    lines: Arc<Mutex<Vec<String>>>,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

async fn running() -> Running {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let line = move |line: &str| log.lock().unwrap().push(line.to_owned());
    let settings = DemoSettings { gateway: ANY, store: ANY, console: ANY, origin: ANY };
    Running { demo: Demo::start(settings, line).await.unwrap(), lines }
}

async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(format!("http://{address}/examplebucket/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { status: head.status.as_u16(), headers: head.headers, body }
}

impl Running {
    async fn get(&self, path: &str) -> Reply {
        get(self.demo.gateway(), path, &[]).await
    }

    /// The first line with this beginning, once it is there.
    async fn line(&self, beginning: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let lines = self.lines.lock().unwrap().clone();
            if let Some(line) = lines.iter().find(|line| line.starts_with(beginning)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "no line begins with {beginning}: {lines:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_missing_object_comes_from_the_origin_and_stays() {
    let running = running().await;
    let first = running.get("examplefolder/example.txt").await;
    assert_eq!(
        (first.status, first.body.as_ref()),
        (200, &b"This object came from the origin.\n"[..])
    );
    assert_eq!(first.headers["content-type"], "text/plain; charset=utf-8");
    let tag = first.headers["x-oss-tag"].clone();
    assert!(tag.to_str().unwrap().starts_with("MIRROR "), "{tag:?}");
    let name = "GET examplebucket/examplefolder/example.txt: ";
    let origin = running.demo.origin.address();
    assert_eq!(
        running.line(&format!("{name}bucket 404")).await,
        format!(
            "{name}bucket 404, rule 1 Mirror, origin http://{origin}/examplefolder/example.txt \
             answered 200 (34 bytes), client got 200, stored in the bucket"
        )
    );
    let stored = get(running.demo.store(), "examplefolder/example.txt", &[]).await;
    assert_eq!((stored.status, &stored.body), (200, &first.body));
    let second = running.get("examplefolder/example.txt").await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert_eq!(second.headers["x-oss-tag"], tag);
    assert_eq!(
        running.line(&format!("{name}bucket 200")).await,
        format!("{name}bucket 200 (34 bytes)")
    );
    running.demo.stop().await;
}

#[tokio::test]
async fn everything_to_try_answers_as_promised() {
    let running = running().await;
    for (path, status, location) in [
        ("examplefolder/with%20space/gr%C3%BC%C3%9Fe.txt", 200, None),
        ("examplefolder/empty.txt", 200, None),
        ("examplefolder/missing.txt", 404, None),
        ("examplefolder/broken.txt", 424, None),
        ("examplefolder/slow.txt", 424, None),
        ("examplefolder/big.bin", 200, None),
        ("old/a.txt", 301, Some("https://www.example.com/new/a.txt")),
        ("docs/page.html", 302, Some("https://www.example.com/pages/docs/page.html")),
        ("elsewhere.txt", 404, None),
    ] {
        let reply = running.get(path).await;
        let found = reply.headers.get("location").map(|value| value.to_str().unwrap());
        assert_eq!((reply.status, found), (status, location), "{path}");
    }
    let text = running.demo.introduction();
    for promised in ["example.txt", "missing.txt", "broken.txt", "slow.txt", "big.bin", "old/a.txt"]
    {
        assert!(text.contains(promised), "{text}");
    }
    running.demo.stop().await;
}

#[tokio::test]
async fn mirror_headers_can_be_seen() {
    let running = running().await;
    let headers = [("aaa-header", "aaa"), ("bbb-header", "bbb")];
    let reply = get(running.demo.gateway(), "headers/seen.txt?x=1", &headers).await;
    let body = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(body.starts_with("GET /echo/seen.txt?x=1\n"), "{body}");
    assert!(body.contains("aaa-header: aaa\n") && body.contains("ccc-header: ccc\n"), "{body}");
    assert!(!body.contains("bbb-header"), "{body}");
    running.demo.stop().await;
}

#[tokio::test]
async fn nothing_is_left_when_it_ends() {
    let running = running().await;
    let directory = running.demo.directory.path().to_owned();
    let addresses = [running.demo.gateway(), running.demo.store(), running.demo.origin.address()];
    assert!(directory.is_dir());
    running.demo.stop().await;
    assert!(!directory.exists());
    for address in addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{address}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let taken = (taken.local_addr().unwrap(), taken);
    for (part, settings) in [
        ("gateway", DemoSettings { gateway: taken.0, store: ANY, console: ANY, origin: ANY }),
        ("store", DemoSettings { gateway: ANY, store: taken.0, console: ANY, origin: ANY }),
        ("console", DemoSettings { gateway: ANY, store: ANY, console: taken.0, origin: ANY }),
        ("origin", DemoSettings { gateway: ANY, store: ANY, console: ANY, origin: taken.0 }),
    ] {
        let error = Demo::start(settings, |_| ()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the {part} cannot listen on {}: the address is in use", taken.0)
        );
    }
}

#[test]
fn the_demos_deployment_has_no_findings() {
    let directory = tempfile::tempdir().unwrap();
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let loaded = deployment(directory.path(), address(1), address(2), address(3)).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.rules[0].origins, ["http://127.0.0.1:3"]);
}
