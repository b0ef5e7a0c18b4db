//! The store as its clients see it.

use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::*;

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

const KEY: &str = "/examplebucket/examplefolder/example.txt";

#[tokio::test]
async fn an_object_is_there_once_it_is_put() {
    let store = running(None).await;
    assert_eq!(store.send(Method::GET, KEY, &[], "").await.status, 404);
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "max-age=60"),
        ("x-amz-meta-tag", "kept"),
        ("if-none-match", "*"),
    ];
    assert_eq!(store.send(Method::PUT, KEY, &headers, "the bytes").await.status, 200);
    assert_eq!(store.send(Method::PUT, KEY, &headers, "others").await.status, 412);
    let got = store.send(Method::GET, KEY, &[], "").await;
    assert_eq!((got.status, got.body.as_ref()), (200, &b"the bytes"[..]));
    for (name, value) in &headers[..3] {
        assert_eq!(got.headers[*name], *value, "{name}");
    }
    let seen = store.seen.lock().unwrap().clone();
    assert_eq!(
        seen,
        [
            format!("GET {KEY} 404"),
            format!("PUT {KEY} 200"),
            format!("PUT {KEY} 412"),
            format!("GET {KEY} 200")
        ]
    );
    store.store.stop().await;
}

#[tokio::test]
async fn a_read_may_say_which_object_it_wants() {
    let store = running(None).await;
    assert_eq!(store.send(Method::PUT, KEY, &[], "the bytes").await.status, 200);
    let found = store.send(Method::GET, KEY, &[], "").await.headers;
    let text = |name: &str| found[name].to_str().unwrap().to_owned();
    let (etag, modified) = (text("etag"), text("last-modified"));
    let (before, other) = ("Thu, 01 Jan 2026 00:00:00 GMT", "\"other\"");
    let cases: [(&[(&str, &str)], u16); 10] = [
        (&[("if-match", &etag)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", other)], 412),
        (&[("if-match", other), ("range", "bytes=0-1")], 412),
        (&[("if-none-match", &etag)], 304),
        (&[("if-none-match", other)], 200),
        (&[("if-unmodified-since", &modified)], 200),
        (&[("if-unmodified-since", before)], 412),
        (&[("if-modified-since", &modified)], 304),
        (&[("if-modified-since", before)], 200),
    ];
    for (headers, expected) in cases {
        let is_range = headers.iter().any(|(name, _)| *name == "range");
        let got = store.send(Method::GET, KEY, headers, "").await;
        assert_eq!(got.status, expected, "{headers:?}");
        assert!(got.status == 200 || !got.body.starts_with(b"the"), "{headers:?}: {got:?}");
        if !is_range {
            assert_eq!(store.send(Method::HEAD, KEY, headers, "").await.status, expected);
        }
    }
}

#[tokio::test]
async fn without_keys_a_signature_does_not_matter() {
    let store = running(None).await;
    let signed = [
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
        ),
        ("x-amz-date", "20260101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ];
    assert_eq!(store.send(Method::PUT, KEY, &signed, "x").await.status, 200);
    let presigned = format!("{KEY}?X-Amz-Signature=00&X-Amz-Date=x&response-content-type=text/css");
    let got = store.send(Method::GET, &presigned, &[], "").await;
    assert_eq!((got.status, got.body.as_ref()), (200, &b"x"[..]));
    let chunked = [signed[0], ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")];
    assert_eq!(store.send(Method::PUT, KEY, &chunked, "1;x\r\n").await.status, 501);
    let got = store.send(Method::GET, KEY, &[], "").await;
    assert_eq!(got.body.as_ref(), b"x");
}

#[tokio::test]
async fn with_keys_strangers_are_refused() {
    let secret_key = Secret::new("SK".to_owned());
    let keys = StoreKeys { access_key: "AK".to_owned(), secret_key };
    assert!(!format!("{keys:?}").contains("SK"));
    let store = running(Some(keys)).await;
    assert_eq!(store.send(Method::PUT, KEY, &[], "x").await.status, 403);
    assert_eq!(store.send(Method::GET, KEY, &[], "").await.status, 403);
}

#[tokio::test]
async fn no_key_reaches_beyond_its_bucket() {
    let store = running(None).await;
    let outside = store.directory.path().join("made/here/secret.txt");
    std::fs::write(&outside, "outside").unwrap();
    for path in ["/examplebucket/%2e%2e/secret.txt", "/examplebucket/..%2fsecret.txt"] {
        assert_eq!(store.send(Method::DELETE, path, &[], "").await.status, 204, "{path}");
        assert_eq!(store.send(Method::GET, path, &[], "").await.status, 404, "{path}");
        assert_eq!(store.send(Method::PUT, path, &[], "x").await.status, 200, "{path}");
        assert_eq!(store.send(Method::GET, path, &[], "").await.body.as_ref(), b"x", "{path}");
    }
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "outside");
}

#[tokio::test]
async fn every_key_is_an_object_of_its_own() {
    let store = running(None).await;
    let long = "k".repeat(1_024);
    let keys = ["a/b", "a//b", "/a/b", "a/./b", "a/../b", "a/b c", "a/b+c", "%C3%A4", "d/", &long];
    for (at, key) in keys.iter().enumerate() {
        let path = format!("/examplebucket/{key}").replace(' ', "%20");
        let headers = [("if-none-match", "*"), ("x-amz-meta-tag", "kept")];
        let put = store.send(Method::PUT, &path, &headers, &at.to_string()).await;
        assert_eq!(put.status, 200, "{key} {put:?}");
    }
    for (at, key) in keys.iter().enumerate() {
        let path = format!("/examplebucket/{key}").replace(' ', "%20");
        let got = store.send(Method::GET, &path, &[], "").await;
        assert_eq!((got.status, got.body.as_ref()), (200, at.to_string().as_bytes()), "{key}");
        assert_eq!(got.headers["x-amz-meta-tag"], "kept", "{key}");
    }
    let listed =
        store.send(Method::GET, "/examplebucket?list-type=2&encoding-type=url", &[], "").await;
    let listed = String::from_utf8(listed.body.to_vec()).unwrap();
    for key in ["a//b", "/a/b", "a/../b", "a/b+c", "d/", &long] {
        assert!(listed.contains(&format!("<Key>{key}</Key>")), "{key}: {listed}");
    }
    assert!(!listed.contains("EncodingType"), "{listed}");
    assert!(listed.contains("<KeyCount>10</KeyCount>"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_conditional_writes_one_is_kept_and_whole() {
    let store = Arc::new(running(None).await);
    for round in 0..10 {
        let path = format!("/examplebucket/{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (store, path) = (Arc::clone(&store), path.clone());
            tasks.spawn(async move {
                let name = writer.to_string();
                let headers = [("if-none-match", "*"), ("x-amz-meta-writer", name.as_str())];
                let put = store.send(Method::PUT, &path, &headers, &name).await;
                // From the first answer on the object is whole.
                let got = store.send(Method::GET, &path, &[], "").await;
                let kept = got.headers["x-amz-meta-writer"].as_bytes() == got.body.as_ref();
                (put.status, got.status, kept)
            });
        }
        let mut answers = tasks.join_all().await;
        answers.sort_unstable();
        let mut expected = [(412, 200, true); 8];
        expected[0] = (200, 200, true);
        assert_eq!(answers, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_written_every_read_finds_an_object_or_none() {
    let store = Arc::new(running(None).await);
    let mut writers = tokio::task::JoinSet::new();
    for method in [Method::PUT, Method::PUT, Method::DELETE] {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for round in 0..150 {
                let body = if method == Method::PUT { round.to_string() } else { String::new() };
                let headers = [("x-amz-meta-round", body.as_str())];
                let headers = &headers[..body.len().min(1)];
                let status = store.send(method.clone(), KEY, headers, &body).await.status;
                assert!(matches!(status, 200 | 204), "{method}: {status}");
            }
        });
    }
    let mut readers = tokio::task::JoinSet::new();
    for method in [Method::GET, Method::HEAD] {
        let store = Arc::clone(&store);
        readers.spawn(async move {
            for _ in 0..300 {
                let reply = store.send(method.clone(), KEY, &[], "").await;
                assert!(matches!(reply.status, 200 | 404), "{method}: {reply:?}");
            }
        });
    }
    readers.join_all().await;
    writers.join_all().await;
}

#[tokio::test]
async fn open_uploads_are_listed() {
    let store = running(None).await;
    let element = |xml: &str, name: &str| {
        let tag = format!("<{name}>");
        let texts = xml.split(&tag).skip(1).map(|rest| rest.split('<').next());
        texts.map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let mut ids = Vec::new();
    for key in ["a", "a", "b//c", "d"] {
        let path = format!("/examplebucket/{key}?uploads");
        let made = store.send(Method::POST, &path, &[("content-length", "0")], "").await;
        let made = String::from_utf8(made.body.to_vec()).unwrap();
        ids.extend(element(&made, "UploadId"));
    }
    let list = async |query: &str| {
        let path = format!("/examplebucket?uploads{query}");
        let listed = store.send(Method::GET, &path, &[], "").await;
        assert_eq!(listed.status, 200, "{listed:?}");
        String::from_utf8(listed.body.to_vec()).unwrap()
    };
    let all = list("").await;
    assert_eq!(element(&all, "Key"), ["a", "a", "b//c", "d"], "{all}");
    assert_eq!(element(&all, "Initiated").len(), 4, "{all}");
    let mut listed = element(&all, "UploadId");
    listed.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(listed, sorted);
    assert_eq!(element(&list("&prefix=b").await, "Key"), ["b//c"]);

    let first = list("&max-uploads=1").await;
    assert_eq!(element(&first, "IsTruncated"), ["true"], "{first}");
    let marker = &element(&first, "NextUploadIdMarker")[0];
    let rest = list(&format!("&key-marker=a&upload-id-marker={marker}")).await;
    assert_eq!(element(&rest, "Key"), ["a", "b//c", "d"], "{rest}");
    assert_eq!(element(&rest, "IsTruncated"), ["false"], "{rest}");

    let of = |key: &str, id: &str| format!("/examplebucket/{key}?uploadId={id}");
    let parts = async |key: &str, id: &str| {
        let listed = store.send(Method::GET, &of(key, id), &[], "").await;
        (listed.status, String::from_utf8(listed.body.to_vec()).unwrap())
    };
    let (status, none) = parts("d", &ids[3]).await;
    assert_eq!((status, element(&none, "UploadId")), (200, vec![ids[3].clone()]), "{none}");
    assert_eq!(element(&none, "PartNumber"), Vec::<String>::new(), "{none}");
    let gone = store.send(Method::DELETE, &of("a", &ids[0]), &[], "").await;
    assert_eq!(gone.status, 204);
    for (key, id) in [("a", ids[0].as_str()), ("a", &ids[3]), ("a", "%2e%2e"), ("a", "none")] {
        assert_eq!(parts(key, id).await.0, 404, "{key} {id}");
    }
    let part = format!("/examplebucket/d?partNumber=1&uploadId={}", ids[3]);
    let part = store.send(Method::PUT, &part, &[], "x").await;
    let etag = part.headers["etag"].to_str().unwrap();
    assert_eq!(element(&parts("d", &ids[3]).await.1, "PartNumber"), ["1"]);
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let done = store.send(Method::POST, &of("d", &ids[3]), &[], &body).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(element(&list("").await, "Key"), ["a", "b//c"]);
    assert_eq!(store.send(Method::GET, "/other?uploads", &[], "").await.status, 404);
    let buckets = store.send(Method::GET, "/", &[], "").await;
    let buckets = String::from_utf8(buckets.body.to_vec()).unwrap();
    assert_eq!(element(&buckets, "Name"), ["examplebucket"], "{buckets}");
}

#[tokio::test]
async fn a_bucket_must_be_made_first() {
    let store = running(None).await;
    for method in [Method::GET, Method::PUT, Method::HEAD] {
        assert_eq!(store.send(method.clone(), "/other/a", &[], "").await.status, 404, "{method}");
    }
    let reply = store.send(Method::GET, "/other/a", &[], "").await;
    assert!(reply.body.ends_with(b"<Error><Code>NoSuchBucket</Code></Error>"), "{reply:?}");
    assert_eq!(store.send(Method::PUT, "/other", &[], "").await.status, 200);
    assert_eq!(store.send(Method::PUT, "/other/a", &[], "x").await.status, 200);
}

#[tokio::test]
async fn a_folder_is_no_object() {
    let store = running(None).await;
    assert_eq!(store.send(Method::PUT, KEY, &[], "x").await.status, 200);
    let folder = "/examplebucket/examplefolder";
    assert_eq!(store.send(Method::GET, folder, &[], "").await.status, 404);
    assert_eq!(store.send(Method::GET, &format!("{folder}/"), &[], "").await.status, 404);
    assert_eq!(store.send(Method::PUT, folder, &[], "x").await.status, 400);
    assert_eq!(store.send(Method::DELETE, folder, &[], "").await.status, 204);
    assert_eq!(store.send(Method::GET, KEY, &[], "").await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let store = running(None).await;
    let settings = |listen, bucket: &str| StoreSettings {
        directory: store.directory.path().to_owned(),
        listen,
        buckets: vec![bucket.to_owned()],
        ..StoreSettings::default()
    };
    let taken = store.store.address();
    let error = Store::start(settings(Some(taken), "abc")).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("the store cannot listen on {taken}: ")));
    let error = Store::start(settings(None, "No")).await.unwrap_err();
    assert!(matches!(error, StoreError::BucketName(_)), "{error}");
}
