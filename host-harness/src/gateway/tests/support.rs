//! A gateway between a client and stub servers, all on loopback.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wiremock::MockServer;

use crate::gateway::{
    BucketRoute, Cluster, DataPath, Endpoint, Gateway, Listener, Reads, Routes, Settings,
    StartError, Timeouts,
};
use crate::host::{Access, Identity, Journal, LogRecord, Program};

/// Keeps all records.
#[derive(Default)]
pub(super) struct Records {
    accesses: Mutex<Vec<Access>>,
    lines: Mutex<Vec<LogRecord>>,
}

impl Journal for Records {
    fn access(&self, access: Access) {
        self.accesses.lock().unwrap().push(access);
    }

    fn log(&self, record: LogRecord) {
        self.lines.lock().unwrap().push(record);
    }
}

impl Records {
    pub(super) fn accesses(&self) -> Vec<Access> {
        self.accesses.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|line| line.message.clone()).collect()
    }
}

/// Polls until something holds, or fails.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} never came to be");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The filter itself, compiled once for all tests.
pub(super) fn filter() -> Program {
    static FILTER: OnceLock<Program> = OnceLock::new();
    FILTER.get_or_init(|| Program::compile(crate::FILTER_WASM).unwrap()).clone()
}

pub(super) fn endpoint(server: &MockServer) -> Endpoint {
    Endpoint::from(*server.address())
}

pub(super) fn settings(program: Program, store: Endpoint) -> (Settings, Arc<Records>) {
    let records: Arc<Records> = Arc::default();
    let bucket = BucketRoute { cluster: "store".to_owned(), reads: Reads::Passthrough };
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: None,
        listener: Listener::default(),
        health: None,
        workers: 1,
        program,
        identity: Identity::default(),
        plugin_configuration: "{}".to_owned(),
        path: DataPath::Callout,
        clusters: vec![Cluster::new("store", store)],
        routes: Routes {
            domain: Some("s3.localhost".to_owned()),
            buckets: [("b".to_owned(), bucket)].into(),
            default: None,
        },
        timeouts: Timeouts::default(),
        trusted: None,
        records: false,
        journal: Arc::<Records>::clone(&records),
    };
    (settings, records)
}

pub(super) async fn start(
    program: Program,
    store: Endpoint,
    change: impl FnOnce(&mut Settings),
) -> (Gateway, Arc<Records>) {
    let (mut settings, records) = settings(program, store);
    change(&mut settings);
    (Gateway::start(settings).await.unwrap(), records)
}

pub(super) async fn refusal(settings: Settings) -> StartError {
    match Gateway::start(settings).await {
        Ok(_) => panic!("the gateway started"),
        Err(error) => error,
    }
}

/// What a client got.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

pub(super) fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(super) async fn send(gateway: &Gateway, request: http::request::Builder, body: &[u8]) -> Got {
    let mut request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
    let uri = format!("http://{}{}", gateway.address(), request.uri());
    *request.uri_mut() = uri.parse().unwrap();
    let response = client().request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got { status: head.status, headers: head.headers, body }
}

pub(super) async fn get(gateway: &Gateway, path: &str) -> Got {
    send(gateway, Request::get(path), b"").await
}

/// A server that reads a head, keeps it, answers with given bytes and hangs up.
pub(super) struct Raw {
    pub(super) endpoint: Endpoint,
    received: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    pub(super) async fn start(answer: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::from(listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, answer) = (Arc::clone(&received), answer.to_vec());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), answer.clone());
                tokio::spawn(async move {
                    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read(&mut buffer).await {
                            Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
                            Ok(_) | Err(_) => return,
                        }
                    }
                    kept.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                    // A gateway that has had enough hangs up first.
                    let _ = stream.write_all(&answer).await;
                    if answer.is_empty() {
                        // Says nothing, and keeps what still comes until the other side is gone.
                        while let Ok(length) = stream.read(&mut buffer).await
                            && length > 0
                        {
                            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                            kept.lock().unwrap().push(text);
                        }
                        kept.lock().unwrap().push("(gone)".to_owned());
                    }
                });
            }
        });
        Self { endpoint, received }
    }

    pub(super) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

/// Nobody listens there.
pub(super) async fn nowhere() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Endpoint::from(listener.local_addr().unwrap())
}

/// Sends bytes as they are and reads until the gateway hangs up.
pub(super) async fn exchange(gateway: &Gateway, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // Whoever breaks off may do so by a reset; what came before it counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
