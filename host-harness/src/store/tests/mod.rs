//! The store as its clients see it.

use std::sync::Mutex;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::*;

mod listings;
mod objects;
mod stores;
mod uploads;

struct Running {
    store: Store,
    directory: tempfile::TempDir,
    seen: Arc<Mutex<Vec<String>>>,
}

async fn running(keys: Option<StoreKeys>) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let store = Store::start(StoreSettings {
        directory: directory.path().join("made/here"),
        domains: vec!["s3.example.com".to_owned()],
        keys,
        buckets: vec!["examplebucket".to_owned()],
        observer: Some(Arc::new(move |answered: &Answered| {
            let Answered { method, uri, status, .. } = answered;
            log.lock().unwrap().push(format!("{method} {uri} {}", status.as_u16()));
        })),
        ..StoreSettings::default()
    });
    Running { store: store.await.unwrap(), directory, seen }
}

impl Running {
    fn made(&self) -> PathBuf {
        self.directory.path().join("made/here")
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let uri = format!("http://{}{path}", self.store.address());
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// The texts of all elements of a name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let tag = format!("<{name}>");
    let texts = xml.split(&tag).skip(1).map(|rest| rest.split('<').next());
    texts.map(|text| text.unwrap_or_default().to_owned()).collect()
}

/// The status and the code of an answer.
fn code(reply: &Reply) -> (u16, String) {
    let text = String::from_utf8_lossy(&reply.body);
    (reply.status, elements(&text, "Code").pop().unwrap_or_default())
}

const KEY: &str = "/examplebucket/examplefolder/example.txt";
