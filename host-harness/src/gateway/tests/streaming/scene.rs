//! A store, a gateway that streams, and an origin that behaves as told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::super::support::{Got, Records, client, eventually, filter, get, start};
use crate::gateway::{BucketRoute, Cluster, DataPath, Endpoint, Gateway, Reads, Settings};
use crate::host::tests::support::{module, pairs};
use crate::store::{Answered, Store, StoreSettings};

pub(super) const PART: usize = 5 << 20;

/// How the origin gives an object away.
#[derive(Clone)]
pub(super) enum Manner {
    /// By an answer that is no HTTP.
    Garbage,
    /// Half of it, and the other half when told; a range at once.
    Halting(Arc<Semaphore>),
    /// By a redirect to this place.
    Moved(&'static str),
    /// With its length, whole or by ranges.
    Plain,
    /// Half of it, and then it hangs up; with a range too.
    Short,
    /// The same, but with a range it does as it should.
    ShortOnce,
    /// By this status.
    Status(u16),
    /// In chunks, whatever the range.
    Unannounced,
    /// The first chunks, and then it hangs up; a range as it should.
    Unfinished,
}

type Objects = Arc<Mutex<BTreeMap<String, (Vec<u8>, Manner)>>>;

pub(super) struct Origin {
    pub(super) endpoint: Endpoint,
    objects: Objects,
    asked: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicU64>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::from(listener.local_addr().unwrap());
        let (objects, asked) = (Objects::default(), Arc::<Mutex<Vec<String>>>::default());
        let sent = Arc::<AtomicU64>::default();
        let shared = (Arc::clone(&objects), Arc::clone(&asked), Arc::clone(&sent));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (objects, asked, sent) = shared.clone();
                // Whoever hangs up on it has a reason.
                tokio::spawn(async move { drop(serve(stream, &objects, &asked, &sent).await) });
            }
        });
        Self { endpoint, objects, asked, sent }
    }

    pub(super) fn has(&self, key: &str, body: &[u8], manner: Manner) {
        self.objects.lock().unwrap().insert(format!("/{key}"), (body.to_vec(), manner));
    }

    /// How many bytes of whole objects have left it.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The heads of the requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

fn range_of(head: &str) -> Option<(usize, usize)> {
    let line = head.lines().find(|line| line.starts_with("range: bytes="))?;
    let (first, last) = line.strip_prefix("range: bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

async fn serve(
    mut stream: TcpStream,
    objects: &Objects,
    asked: &Mutex<Vec<String>>,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    while let Some(head) = read_head(&mut stream).await {
        asked.lock().unwrap().push(head.clone());
        let path = head.split(' ').nth(1).unwrap();
        let found = objects.lock().unwrap().get(path).cloned();
        let (body, manner) = found.unwrap_or((Vec::new(), Manner::Status(404)));
        let range = range_of(&head).filter(|(first, _)| *first < body.len());
        let own = "content-type: text/x-test\r\netag: \"own\"\r\n";
        let length = body.len();
        let whole = format!("HTTP/1.1 200 OK\r\n{own}content-length: {length}\r\n\r\n");
        let half = length / 2;
        match (manner, range) {
            (Manner::Garbage, _) => return stream.write_all(b"no such thing\r\n\r\n").await,
            (Manner::Status(status), _) => {
                let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 2\r\n\r\nno");
                stream.write_all(answer.as_bytes()).await?;
            }
            (Manner::Moved(location), _) => {
                let location = format!("location: {location}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(format!("HTTP/1.1 302 So\r\n{location}").as_bytes()).await?;
            }
            (Manner::Short, Some((first, last))) => {
                let range = format!("content-range: bytes {first}-{last}/{length}\r\n");
                let head = format!("HTTP/1.1 206 Part\r\n{own}{range}content-length: 99\r\n\r\n");
                return stream.write_all(head.as_bytes()).await;
            }
            (
                Manner::Plain | Manner::Halting(_) | Manner::ShortOnce | Manner::Unfinished,
                Some((first, last)),
            ) => {
                let last = last.min(length - 1);
                let range = format!("content-range: bytes {first}-{last}/{length}\r\n");
                let size = last - first + 1;
                let head =
                    format!("HTTP/1.1 206 Part\r\n{own}{range}content-length: {size}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body[first..=last]).await?;
            }
            (Manner::Plain, None) => {
                stream.write_all(whole.as_bytes()).await?;
                for piece in body.chunks(1 << 16) {
                    stream.write_all(piece).await?;
                    sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
            }
            (Manner::Halting(gate), None) => {
                stream.write_all(whole.as_bytes()).await?;
                stream.write_all(&body[..half]).await?;
                gate.acquire().await.unwrap().forget();
                stream.write_all(&body[half..]).await?;
            }
            (Manner::Short | Manner::ShortOnce, None) => {
                stream.write_all(whole.as_bytes()).await?;
                return stream.write_all(&body[..half]).await;
            }
            (Manner::Unannounced, _) => {
                let head = format!("HTTP/1.1 200 OK\r\n{own}transfer-encoding: chunked\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                for piece in body.chunks(100_000) {
                    write_chunk(&mut stream, piece).await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            (Manner::Unfinished, None) => {
                let head = format!("HTTP/1.1 200 OK\r\n{own}transfer-encoding: chunked\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                return write_chunk(&mut stream, &body[..half]).await;
            }
        }
    }
    Ok(())
}

async fn write_chunk(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    stream.write_all(piece).await?;
    stream.write_all(b"\r\n").await
}

/// Bytes in which every place is different from its neighbours.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at / 7 + at / 65_521) % 251).unwrap()).collect()
}

pub(super) struct Scene {
    pub(super) gateway: Gateway,
    pub(super) origin: Origin,
    pub(super) records: Arc<Records>,
    pub(super) configuration: Value,
    directory: tempfile::TempDir,
    store: Store,
    pub(super) writes: Arc<Mutex<Vec<String>>>,
}

pub(super) async fn scene() -> Scene {
    scene_with(|_, _| {}).await
}

/// The rules of a scene: everything is mirrored.
pub(super) fn mirror(origin: &Endpoint) -> Value {
    json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("{origin}/") },
    }])
}

pub(super) async fn scene_with(change: impl FnOnce(&mut Settings, &mut Value)) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let writes: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&writes);
    let store = Store::start(StoreSettings {
        directory: directory.path().to_owned(),
        buckets: vec!["examplebucket".to_owned()],
        observer: Some(Arc::new(move |answered: &Answered| {
            if answered.method != http::Method::GET {
                let condition =
                    answered.headers.get("if-none-match").map_or("", |_| " unless there");
                let query = answered.uri.query().unwrap_or_default();
                let query = query.split("uploadId").next().unwrap_or_default();
                let status = answered.status.as_u16();
                let line = format!("{} {query}{condition} {status}", answered.method);
                seen.lock().unwrap().push(line);
            }
        })),
        ..StoreSettings::default()
    })
    .await
    .unwrap();
    let origin = Origin::start().await;
    let address = Endpoint::from(store.address());
    let mut configuration = json!({
        "path": "streaming",
        "buckets": [{
            "name": "examplebucket",
            "again": "again-examplebucket",
            "store": { "cluster": "store", "scheme": "http", "authority": address.authority() },
            "RoutingRules": mirror(&origin.endpoint),
        }],
        "origins": { origin.endpoint.to_string(): "origin" },
        "limits": { "part_bytes": PART },
    });
    let (gateway, records) = start(filter(), address, |settings| {
        let route = BucketRoute { cluster: "store".to_owned(), reads: Reads::Passthrough };
        settings.routes.buckets = [("examplebucket".to_owned(), route)].into();
        settings.clusters.push(Cluster::new("origin", origin.endpoint.clone()));
        settings.path = DataPath::Streaming;
        change(settings, &mut configuration);
        settings.plugin_configuration = configuration.to_string();
    })
    .await;
    Scene { gateway, origin, records, configuration, directory, store, writes }
}

/// A scene with a module of few words in the filter's place, and `k` at the origin.
pub(super) async fn module_scene(callbacks: &str) -> Scene {
    by_module(callbacks, |_, _| {}).await
}

pub(super) async fn by_module(
    callbacks: &str,
    change: impl FnOnce(&mut Settings, &mut Value),
) -> Scene {
    let scene = scene_with(|settings, configuration| {
        settings.program = module(callbacks);
        change(settings, configuration);
    })
    .await;
    scene.origin.has("k", &bytes(1_000), Manner::Plain);
    scene
}

/// Logs a header, or nothing for one that is not there.
pub(super) fn tell(map: i32, name: &str) -> String {
    format!(
        r#"(i32.store (i32.const 12) (i32.const 0))
        (drop (call $get_header_map_value (i32.const {map}) @"{name}" (i32.const 8) (i32.const 12)))
        (call $tell)"#
    )
}

/// Makes a request this, beside what every request has.
pub(super) fn head(fields: &[(&str, &str)]) -> String {
    let always =
        [(":method", "GET"), (":scheme", "http"), (":authority", "back-to-origin.invalid")];
    let fields = pairs(&[&always[..], fields].concat());
    format!(r#"(drop (call $set_header_map_pairs (i32.const 0) @"{fields}"))"#)
}

/// Sends a request to the origin, for `/k`, unless these say otherwise.
pub(super) fn to_origin(fields: &[(&str, &str)]) -> String {
    let standard = [(":path", "/k"), ("x-envoy-miss-cluster", "origin")];
    let is_said = |name: &str| fields.iter().any(|(said, _)| *said == name);
    let mut all: Vec<_> = standard.into_iter().filter(|(name, _)| !is_said(name)).collect();
    all.extend(fields);
    head(&all)
}

async fn object(store: &Store, key: &str) -> Option<Got> {
    let uri = format!("http://{}/examplebucket/{key}", store.address());
    let request = http::Request::get(uri).body(Full::default()).unwrap();
    let response = client().request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let got = Got { status: head.status, headers: head.headers, body };
    (got.status == 200).then_some(got)
}

/// What is left of a scene when its gateway is gone.
pub(super) struct Stored {
    store: Store,
    directory: tempfile::TempDir,
}

impl Stored {
    /// Whether the store holds parts of anything.
    pub(super) fn has_open_uploads(&self) -> bool {
        has_open_uploads(self.directory.path())
    }

    pub(super) async fn stored(&self, key: &str) -> Option<Got> {
        object(&self.store, key).await
    }
}

impl Scene {
    pub(super) async fn get(&self, key: &str) -> Got {
        get(&self.gateway, &format!("/examplebucket/{key}")).await
    }

    /// The response as soon as its head is there.
    pub(super) async fn begin(&self, key: &str) -> http::Response<Incoming> {
        let uri = format!("http://{}/examplebucket/{key}", self.gateway.address());
        let request = http::Request::get(uri).body(Full::default()).unwrap();
        client().request(request).await.unwrap()
    }

    /// The object as the store has it.
    pub(super) async fn stored(&self, key: &str) -> Option<Got> {
        object(&self.store, key).await
    }

    /// Where the store is.
    pub(super) fn store_authority(&self) -> String {
        Endpoint::from(self.store.address()).authority()
    }

    /// What the store was asked to change, and whether it did.
    pub(super) fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }

    /// Waits for the filter's line that ends so.
    pub(super) async fn line(&self, end: &str) {
        let what = format!("a line that ends with {end:?}");
        eventually(&what, async || self.records.lines().iter().any(|line| line.ends_with(end)))
            .await;
    }

    /// Stops the gateway; what is left is the store.
    pub(super) async fn stop(self) -> Stored {
        let Self { gateway, directory, store, .. } = self;
        gateway.stop().await;
        Stored { store, directory }
    }

    /// Whether the store holds parts of anything.
    pub(super) fn has_open_uploads(&self) -> bool {
        has_open_uploads(self.directory.path())
    }
}

fn has_open_uploads(directory: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.any(|name| name.starts_with(".upload"))
}
