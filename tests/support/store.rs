//! Stores: the real embedded one, and one in memory for keys that no file system can hold.
//!
//! Before both stands a server that records what reaches the store, and that can answer for it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::percent_decode;
use tempfile::TempDir;

use super::client::request;
use super::gateway::runtime;
use super::server::{Reply, Server};
use super::wire::{Pairs, Request, Response};

/// What signs requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
}

/// Replies in place of a server's own, by method and path.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<HashMap<(String, Vec<u8>), Scripted>>>);

/// How requests of one kind are answered.
enum Scripted {
    Always(Reply),
    /// An object, with all that HTTP has for one.
    Object(Vec<(&'static str, &'static str)>, Vec<u8>),
    First(VecDeque<Reply>),
}

impl Script {
    /// Answers every such request with this.
    pub(crate) fn always(&self, method: &str, path: impl AsRef<[u8]>, reply: Reply) {
        self.insert(method, path.as_ref(), Scripted::Always(reply));
    }

    /// Answers the first such requests with these, one each.
    pub(crate) fn first(&self, method: &str, path: impl AsRef<[u8]>, replies: &[Reply]) {
        self.insert(method, path.as_ref(), Scripted::First(replies.iter().cloned().collect()));
    }

    /// Answers a GET with an object, or with the part of it that is asked for.
    pub(crate) fn object(
        &self,
        path: impl AsRef<[u8]>,
        headers: &[(&'static str, &'static str)],
        body: impl Into<Vec<u8>>,
    ) {
        self.insert("GET", path.as_ref(), Scripted::Object(headers.to_vec(), body.into()));
    }

    fn insert(&self, method: &str, path: &[u8], scripted: Scripted) {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        replies.insert((method.to_owned(), path.to_vec()), scripted);
    }

    /// The reply to a request, where one is scripted.
    pub(crate) fn reply(&self, request: &Request) -> Option<Reply> {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let scripted = replies.get_mut(&(request.method.clone(), request.path().to_vec()))?;
        match scripted {
            Scripted::Always(reply) => Some(reply.clone()),
            Scripted::First(replies) => replies.pop_front(),
            Scripted::Object(headers, body) => Some(Reply::object(request, headers, body)),
        }
    }
}

/// The embedded store, the one users get, on a folder that goes with it.
pub(crate) struct Files {
    store: b2o::store::Store,
    folder: TempDir,
}

impl Files {
    /// Starts one with empty buckets; with keys, every request must be signed.
    pub(crate) fn start(buckets: &[&str], keys: Option<&Keys>) -> Self {
        Self::start_with(buckets, keys, None)
    }

    /// Starts one that tells of every request it has answered.
    pub(crate) fn start_observed(
        buckets: &[&str],
        observer: impl Fn(&b2o::store::Answered) + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(buckets, None, Some(Arc::new(observer)))
    }

    /// The same with keys that every request must be signed with.
    pub(crate) fn start_signed_observed(
        buckets: &[&str],
        keys: &Keys,
        observer: impl Fn(&b2o::store::Answered) + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(buckets, Some(keys), Some(Arc::new(observer)))
    }

    fn start_with(
        buckets: &[&str],
        keys: Option<&Keys>,
        observer: Option<b2o::store::Observer>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the store");
        Self::start_in(folder, buckets, keys, observer)
    }

    fn start_in(
        folder: TempDir,
        buckets: &[&str],
        keys: Option<&Keys>,
        observer: Option<b2o::store::Observer>,
    ) -> Self {
        let settings = b2o::store::StoreSettings {
            directory: folder.path().to_owned(),
            keys: keys.map(|keys| b2o::store::StoreKeys {
                access_key: keys.access.clone(),
                secret_key: b2o::gateway::Secret::new(keys.secret.clone()),
            }),
            buckets: buckets.iter().map(|name| (*name).to_owned()).collect(),
            observer,
            ..b2o::store::StoreSettings::default()
        };
        let store = runtime().block_on(b2o::store::Store::start(settings));
        Self { store: store.expect("the embedded store starts"), folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.store.address()
    }

    /// The ids of the uploads that are neither completed nor aborted: the store keeps each in a
    /// directory of that name.
    pub(crate) fn open_uploads(&self) -> Vec<String> {
        let buckets = std::fs::read_dir(self.folder.path()).expect("the store's folder");
        let uploads =
            buckets.filter_map(|bucket| bucket.ok()?.path().join("uploads").read_dir().ok());
        uploads.flatten().filter_map(|upload| upload.ok()?.file_name().into_string().ok()).collect()
    }
}

/// A store that can be told to fail.
pub(crate) struct Store {
    pub(crate) server: Server,
    pub(crate) script: Script,
    /// Where objects can be read without leaving a trace in the record.
    direct: SocketAddr,
    content: Content,
    answered: Arc<Mutex<Vec<(Request, u16)>>>,
}

/// What is behind a store; it ends with it.
#[allow(dead_code, reason = "held for as long as the store is used")]
enum Content {
    Files(Files),
    Memory(Server),
}

impl Store {
    /// The embedded store on a folder of its own, with these empty buckets, for anyone.
    pub(crate) fn files(buckets: &[&str]) -> Self {
        let files = Files::start(buckets, None);
        Self::before(files.address(), Content::Files(files))
    }

    /// A store in memory: a key is exactly the bytes it is named by. `<bucket>.<domain>` as Host
    /// names a bucket too.
    pub(crate) fn memory(domain: &'static str) -> Self {
        let memory = Memory { domain, objects: Mutex::default() };
        let server = Server::start(move |request| memory.answer(request));
        Self::before(server.address, Content::Memory(server))
    }

    /// The embedded store behind somebody who may answer in its place, or hand the request on and
    /// answer something else.
    pub(crate) fn files_behind(
        buckets: &[&str],
        front: impl Fn(&Request, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::files_signed_behind(buckets, None, front)
    }

    /// The same; with keys, every request must be signed.
    pub(crate) fn files_signed_behind(
        buckets: &[&str],
        keys: Option<&Keys>,
        front: impl Fn(&Request, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let files = Files::start(buckets, keys);
        let direct = files.address();
        Self::with(direct, Content::Files(files), Script::default(), front)
    }

    /// The embedded store where every request must be signed with these keys, with objects that are
    /// there already: path and bytes.
    pub(crate) fn files_signed_with(
        buckets: &[&str],
        keys: &Keys,
        objects: &[(&str, &[u8])],
    ) -> Self {
        // Put by anyone, before there are keys.
        let open = Self::files(buckets);
        for (path, bytes) in objects {
            open.put(path, &[], bytes);
        }
        let Content::Files(Files { store, folder }) = open.content else {
            unreachable!("it was made of files")
        };
        drop(store);
        let files = Files::start_in(folder, buckets, Some(keys), None);
        Self::before(files.address(), Content::Files(files))
    }

    /// The embedded store where every request must be signed with these keys.
    pub(crate) fn files_signed(buckets: &[&str], keys: &Keys) -> Self {
        let files = Files::start(buckets, Some(keys));
        Self::before(files.address(), Content::Files(files))
    }

    fn with(
        direct: SocketAddr,
        content: Content,
        script: Script,
        front: impl Fn(&Request, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let answered: Arc<Mutex<Vec<(Request, u16)>>> = Arc::default();
        let record = Arc::clone(&answered);
        let server = Server::start(move |request| {
            let reply = front(request, &|| forward(request, direct));
            let bare = Request { body: Vec::new(), ..request.clone() };
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            record.push((bare, reply.status()));
            reply
        });
        Self { server, script, direct, content, answered }
    }

    /// Every request that was answered so far, without its body, and with the answer's status.
    pub(crate) fn answered(&self) -> Vec<(Request, u16)> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the store itself is, behind whoever stands before it.
    pub(crate) fn direct(&self) -> SocketAddr {
        self.direct
    }

    fn before(direct: SocketAddr, content: Content) -> Self {
        let script = Script::default();
        let scripted = script.clone();
        Self::with(direct, content, script, move |request, own| {
            scripted.reply(request).unwrap_or_else(own)
        })
    }

    /// The ids of the uploads that are neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> Vec<String> {
        match &self.content {
            Content::Files(files) => files.open_uploads(),
            Content::Memory(_) => Vec::new(),
        }
    }

    /// Where the gateway reaches it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Puts an object, past the record.
    pub(crate) fn put(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let mut put = request("PUT", path).with_body(body.as_ref());
        for (name, value) in headers {
            put = put.with(name, value);
        }
        if put.body.is_empty() {
            put = put.with("content-length", "0");
        }
        let answer = put.send(self.direct).expect("the store answers a PUT");
        assert_eq!(answer.status, 200, "PUT {path}: {}", String::from_utf8_lossy(&answer.body));
    }

    /// Reads an object, past the record; `None` where there is none.
    pub(crate) fn object(&self, path: impl AsRef<[u8]>) -> Option<Response> {
        let path = path.as_ref();
        let answer = request("GET", path).send(self.direct).expect("the store answers a GET");
        match answer.status {
            200 => Some(answer),
            404 => None,
            other => panic!("GET {} at the store: {other}", String::from_utf8_lossy(path)),
        }
    }

    /// The last request that was to store an object.
    pub(crate) fn put_of(&self, path: impl AsRef<[u8]>) -> Option<Request> {
        let mut requests = self.server.requests();
        requests.retain(|request| request.method == "PUT" && request.path() == path.as_ref());
        requests.pop()
    }

    /// The last request that says how an object is stored: its PUT, or the creation of its upload.
    pub(crate) fn write_of(&self, path: impl AsRef<[u8]>) -> Option<Request> {
        let mut requests = self.server.requests();
        requests.retain(|request| {
            let query = request.target.get(request.path().len()..).unwrap_or_default();
            let is_write = match request.method.as_str() {
                "PUT" => query.is_empty(),
                "POST" => query == b"?uploads",
                _ => false,
            };
            is_write && request.path() == path.as_ref()
        });
        requests.pop()
    }

    /// How often an object was sent to the store, taken or not.
    pub(crate) fn puts(&self, path: impl AsRef<[u8]>) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|r| r.method == "PUT" && r.path() == path.as_ref()).count()
    }
}

/// Hands a request on as it came, and the answer back as it came.
fn forward(request: &Request, to: SocketAddr) -> Reply {
    let mut request = request.clone();
    // The body was read whole; 100-continue was answered by whoever read it.
    request.headers.retain(|(name, _)| name != "transfer-encoding" && name != "expect");
    match request.send(to) {
        Ok(answer) => {
            let mut headers = answer.headers;
            headers.retain(|(name, _)| name != "transfer-encoding" && name != "connection");
            Reply::from_parts(answer.status, &headers, &answer.body, &request.method)
        }
        Err(error) => Reply::new(599, &[], format!("the store behind: {error}")),
    }
}

/// Objects by `/bucket/key`, decoded.
struct Memory {
    domain: &'static str,
    objects: Mutex<BTreeMap<Vec<u8>, (Pairs, Vec<u8>)>>,
}

impl Memory {
    fn answer(&self, request: &Request) -> Reply {
        let key = self.key(request);
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match request.method.as_str() {
            "PUT" => {
                let only_new = request.header("if-none-match").as_deref() == Some("*");
                if only_new && objects.contains_key(&key) {
                    return error(412, "PreconditionFailed", &request.method);
                }
                let mut headers = request.headers.clone();
                headers.retain(|(name, _)| is_metadata(name));
                objects.insert(key, (headers, request.body.clone()));
                Reply::new(200, &[("etag", "\"memory\"")], "")
            }
            "GET" | "HEAD" => match objects.get(&key) {
                Some((headers, body)) => Reply::from_parts(200, headers, body, &request.method),
                None => error(404, "NoSuchKey", &request.method),
            },
            _ => error(405, "MethodNotAllowed", &request.method),
        }
    }

    fn key(&self, request: &Request) -> Vec<u8> {
        let path: Vec<u8> = percent_decode(request.path()).collect();
        let host = request.header("host").unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        match host.strip_suffix(self.domain).and_then(|host| host.strip_suffix('.')) {
            Some(bucket) => [b"/", bucket.as_bytes(), &path].concat(),
            None => path,
        }
    }
}

fn is_metadata(name: &str) -> bool {
    matches!(
        name,
        "cache-control"
            | "content-disposition"
            | "content-encoding"
            | "content-language"
            | "content-type"
            | "expires"
    ) || name.starts_with("x-amz-meta-")
}

/// An error as S3 words it.
pub(crate) fn error(status: u16, code: &str, method: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    let headers = vec![
        ("content-type".to_owned(), b"application/xml".to_vec()),
        ("x-amz-request-id".to_owned(), b"R1".to_vec()),
        ("content-length".to_owned(), body.len().to_string().into_bytes()),
    ];
    Reply::from_parts(status, &headers, body.as_bytes(), method)
}
