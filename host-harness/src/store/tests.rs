//! The store as its clients see it.

use std::sync::Mutex;

use bytes::Bytes;
use http::Request;
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
    let keys = [
        "a",
        "a/",
        "a/b",
        "a/b/",
        "a//b",
        "/a/b",
        "//",
        "a/./b",
        "a/../b",
        "..",
        "../x",
        "a/b c",
        "a/b+c",
        "%C3%A4",
        "%01",
        ".b2o-store",
        &long,
    ];
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
    let mut sorted = keys.map(|key| key.replace(' ', "%20").replace('+', "%2B"));
    sorted.sort_by_key(|key| percent_encoding::percent_decode_str(key).collect::<Vec<_>>());
    assert_eq!(elements(&listed, "Key"), sorted, "{listed}");
    assert_eq!(elements(&listed, "EncodingType"), ["url"]);
    assert_eq!(elements(&listed, "KeyCount"), [keys.len().to_string()]);
    let too_long = format!("/examplebucket/{long}k");
    let refused = store.send(Method::PUT, &too_long, &[], "").await;
    assert_eq!(code(&refused), (400, "KeyTooLongError".to_owned()));
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
    let mut ids = Vec::new();
    for key in ["a", "a", "b//c", "d"] {
        let path = format!("/examplebucket/{key}?uploads");
        let made = store.send(Method::POST, &path, &[("content-length", "0")], "").await;
        let made = String::from_utf8(made.body.to_vec()).unwrap();
        ids.extend(elements(&made, "UploadId"));
    }
    let list = async |query: &str| {
        let path = format!("/examplebucket?uploads{query}");
        let listed = store.send(Method::GET, &path, &[], "").await;
        assert_eq!(listed.status, 200, "{listed:?}");
        String::from_utf8(listed.body.to_vec()).unwrap()
    };
    let all = list("").await;
    assert_eq!(elements(&all, "Key"), ["a", "a", "b//c", "d"], "{all}");
    assert_eq!(elements(&all, "Initiated").len(), 4, "{all}");
    let mut listed = elements(&all, "UploadId");
    listed.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(listed, sorted);
    assert_eq!(elements(&list("&prefix=b").await, "Key"), ["b//c"]);

    let first = list("&max-uploads=1").await;
    assert_eq!(elements(&first, "IsTruncated"), ["true"], "{first}");
    let marker = &elements(&first, "NextUploadIdMarker")[0];
    let rest = list(&format!("&key-marker=a&upload-id-marker={marker}")).await;
    assert_eq!(elements(&rest, "Key"), ["a", "b//c", "d"], "{rest}");
    assert_eq!(elements(&rest, "IsTruncated"), ["false"], "{rest}");

    let of = |key: &str, id: &str| format!("/examplebucket/{key}?uploadId={id}");
    let parts = async |key: &str, id: &str| {
        let listed = store.send(Method::GET, &of(key, id), &[], "").await;
        (listed.status, String::from_utf8(listed.body.to_vec()).unwrap())
    };
    let (status, none) = parts("d", &ids[3]).await;
    assert_eq!((status, elements(&none, "UploadId")), (200, vec![ids[3].clone()]), "{none}");
    assert_eq!(elements(&none, "PartNumber"), Vec::<String>::new(), "{none}");
    let gone = store.send(Method::DELETE, &of("a", &ids[0]), &[], "").await;
    assert_eq!(gone.status, 204);
    for (key, id) in [("a", ids[0].as_str()), ("a", &ids[3]), ("a", "%2e%2e"), ("a", "none")] {
        assert_eq!(parts(key, id).await.0, 404, "{key} {id}");
    }
    let part = format!("/examplebucket/d?partNumber=1&uploadId={}", ids[3]);
    let part = store.send(Method::PUT, &part, &[], "x").await;
    let etag = part.headers["etag"].to_str().unwrap();
    assert_eq!(elements(&parts("d", &ids[3]).await.1, "PartNumber"), ["1"]);
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let done = store.send(Method::POST, &of("d", &ids[3]), &[], &body).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(elements(&list("").await, "Key"), ["a", "b//c"]);
    assert_eq!(store.send(Method::GET, "/other?uploads", &[], "").await.status, 404);
    let buckets = store.send(Method::GET, "/", &[], "").await;
    let buckets = String::from_utf8(buckets.body.to_vec()).unwrap();
    assert_eq!(elements(&buckets, "Name"), ["examplebucket"], "{buckets}");
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
async fn keys_below_a_key_are_others() {
    let store = running(None).await;
    let folder = "/examplebucket/examplefolder";
    assert_eq!(store.send(Method::PUT, KEY, &[], "x").await.status, 200);
    for path in [folder, &format!("{folder}/")] {
        assert_eq!(store.send(Method::GET, path, &[], "").await.status, 404);
        assert_eq!(store.send(Method::DELETE, path, &[], "").await.status, 204);
        assert_eq!(store.send(Method::PUT, path, &[], path).await.status, 200);
        assert_eq!(store.send(Method::GET, path, &[], "").await.body.as_ref(), path.as_bytes());
    }
    assert_eq!(store.send(Method::GET, KEY, &[], "").await.body.as_ref(), b"x");
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let store = running(None).await;
    let settings = |listen, bucket: &str| StoreSettings {
        directory: store.directory.path().join("other"),
        listen,
        buckets: vec![bucket.to_owned()],
        ..StoreSettings::default()
    };
    let taken = store.store.address();
    let error = Store::start(settings(Some(taken), "abc")).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("the store cannot listen on {taken}: ")));
    let error = Store::start(settings(None, "No")).await.unwrap_err();
    assert!(matches!(error, StoreError::BucketName(_)), "{error}");
    for domain in ["", "a b", "s3.example.com/x", "s3.example.com:9000"] {
        let settings = StoreSettings { domains: vec![domain.to_owned()], ..settings(None, "abc") };
        let error = Store::start(settings).await.unwrap_err();
        assert!(matches!(error, StoreError::Domain(_)), "{error}");
    }
    let used = StoreSettings { directory: store.made(), ..settings(None, "abc") };
    let error = Store::start(used.clone()).await.unwrap_err();
    assert!(error.to_string().starts_with("another store is running on the directory "), "{error}");
    // An earlier version's: a bucket, and an object by its key.
    let old = store.directory.path().join("old");
    std::fs::create_dir_all(old.join("examplebucket")).unwrap();
    std::fs::write(old.join("examplebucket/a.txt"), "x").unwrap();
    let settings = StoreSettings { directory: old.clone(), ..used };
    let error = Store::start(settings).await.unwrap_err();
    assert!(error.to_string().contains("an earlier version's"), "{error}");
    assert_eq!(std::fs::read_dir(&old).unwrap().count(), 1);
}

#[tokio::test]
async fn ranges_are_those_of_s3() {
    let store = running(None).await;
    assert_eq!(store.send(Method::PUT, KEY, &[], "0123456789").await.status, 200);
    let etag = store.send(Method::HEAD, KEY, &[], "").await.headers["etag"].clone();
    let etag = etag.to_str().unwrap();
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, Option<&'a str>);
    let cases: [Case<'_>; 10] = [
        (&[("range", "bytes=2-3")], 206, "23", Some("bytes 2-3/10")),
        (&[("range", "bytes=8-")], 206, "89", Some("bytes 8-9/10")),
        (&[("range", "bytes=-3")], 206, "789", Some("bytes 7-9/10")),
        (&[("range", "bytes=5-99")], 206, "56789", Some("bytes 5-9/10")),
        (&[("range", "bytes=0-1,4-5")], 200, "0123456789", None),
        (&[("range", "bytes=a-b")], 200, "0123456789", None),
        (&[("range", "lines=1-2")], 200, "0123456789", None),
        (&[("range", "bytes=1-2"), ("if-range", etag)], 206, "12", Some("bytes 1-2/10")),
        (&[("range", "bytes=1-2"), ("if-range", "\"other\"")], 200, "0123456789", None),
        (&[("range", "bytes=10-")], 416, "", Some("bytes */10")),
    ];
    for (headers, status, body, range) in cases {
        let got = store.send(Method::GET, KEY, headers, "").await;
        assert_eq!(got.status, status, "{headers:?}: {got:?}");
        let content_range = got.headers.get("content-range").map(|range| range.to_str().unwrap());
        assert_eq!(content_range, range, "{headers:?}");
        let head = store.send(Method::HEAD, KEY, headers, "").await;
        assert_eq!(
            (head.status, head.headers.get("content-range")),
            (status, got.headers.get("content-range"))
        );
        if status == 416 {
            assert_eq!(code(&got).1, "InvalidRange");
        } else {
            assert_eq!(got.body.as_ref(), body.as_bytes(), "{headers:?}");
            assert_eq!(head.headers["content-length"], *body.len().to_string());
            assert_eq!(got.headers["accept-ranges"], "bytes");
        }
    }
    for date in ["0", "never"] {
        let headers = [("if-modified-since", date), ("if-unmodified-since", date)];
        assert_eq!(store.send(Method::GET, KEY, &headers, "").await.status, 200, "{date}");
    }
}

#[tokio::test]
async fn an_object_is_answered_with_the_headers_of_its_put() {
    let store = running(None).await;
    let headers = [
        ("cache-control", "no-store"),
        ("content-disposition", "attachment; filename=gr\u{fc}\u{df}e.txt"),
        ("content-encoding", "x-custom"),
        ("content-language", "de, en"),
        ("content-type", "not a media type"),
        ("expires", "0"),
        ("x-amz-meta-name", "gr\u{fc}\u{df}e"),
        ("x-amz-website-redirect-location", "/elsewhere"),
    ];
    let tagged = [&headers[..], &[("x-amz-tagging", "a=1&b=two%20words")]].concat();
    assert_eq!(store.send(Method::PUT, KEY, &tagged, "x").await.status, 200);
    let tags = store.send(Method::GET, &format!("{KEY}?tagging"), &[], "").await;
    let tags = String::from_utf8(tags.body.to_vec()).unwrap();
    assert_eq!(
        (elements(&tags, "Key"), elements(&tags, "Value")),
        (vec!["a".to_owned(), "b".to_owned()], vec!["1".to_owned(), "two words".to_owned()],)
    );
    let copied = [("x-amz-copy-source", KEY)];
    let copy = "/examplebucket/copy";
    assert_eq!(store.send(Method::PUT, copy, &copied, "").await.status, 200);
    for (method, path) in [(Method::GET, KEY), (Method::HEAD, KEY), (Method::GET, copy)] {
        let got = store.send(method.clone(), path, &[], "").await;
        for (name, value) in headers {
            let sent = http::HeaderValue::from_str(value);
            let sent =
                sent.unwrap_or_else(|_| http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            assert_eq!(got.headers[name], sent, "{method} {name}");
        }
        assert_eq!(got.headers["x-amz-tagging-count"], "2");
        let query = "response-content-type=text/css&response-expires=soon&response-content-disposition=inline";
        let got = store.send(method.clone(), &format!("{path}?{query}"), &[], "").await;
        for (name, value) in [
            ("content-type", "text/css"),
            ("content-disposition", "inline"),
            ("cache-control", "no-store"),
            ("expires", "soon"),
        ] {
            assert_eq!(got.headers[name], value, "{method} {name}");
        }
    }
    let replaced = [copied[0], ("x-amz-metadata-directive", "REPLACE"), ("expires", "-1")];
    assert_eq!(store.send(Method::PUT, KEY, &replaced, "").await.status, 200);
    let got = store.send(Method::HEAD, KEY, &[], "").await;
    assert_eq!(got.headers["expires"], "-1");
    assert!(!got.headers.contains_key("cache-control"));
    assert_eq!(
        code(&store.send(Method::PUT, KEY, &copied, "").await),
        (400, "InvalidRequest".to_owned())
    );
    let unless = [copied[0], ("x-amz-copy-source-if-none-match", "*")];
    assert_eq!(store.send(Method::PUT, copy, &unless, "").await.status, 412);
}

#[tokio::test]
async fn bytes_that_are_not_those_announced_are_refused() {
    let store = running(None).await;
    let (md5, crc32) = ("nU6gNkBP3qqlGt+xdIvYHA==", "jNB7OQ==");
    let cases: [(&[(&str, &str)], u16, &str); 6] = [
        (&[("content-md5", md5)], 400, "BadDigest"),
        (&[("content-md5", "short")], 400, "InvalidDigest"),
        (&[("x-amz-checksum-crc32", crc32)], 400, "BadDigest"),
        (&[("if-match", "\"any\"")], 404, "NoSuchKey"),
        (&[("if-none-match", "\"any\"")], 501, "NotImplemented"),
        (
            &[("content-md5", "kAFQmDzST7DWlj99KOF/cg=="), ("x-amz-checksum-crc32", "NSRBwg==")],
            200,
            "",
        ),
    ];
    for (headers, status, expected) in cases {
        let put = store.send(Method::PUT, KEY, headers, "abc").await;
        assert_eq!(code(&put), (status, expected.to_owned()), "{headers:?}");
        assert_eq!(
            store.send(Method::HEAD, KEY, &[], "").await.status,
            if status == 200 { 200 } else { 404 }
        );
    }
    let checked = store.send(Method::HEAD, KEY, &[("x-amz-checksum-mode", "ENABLED")], "").await;
    assert_eq!(checked.headers["x-amz-checksum-crc32"], "NSRBwg==");
    assert_eq!(checked.headers["x-amz-checksum-type"], "FULL_OBJECT");
    let other = [("if-match", "\"other\"")];
    assert_eq!(store.send(Method::PUT, KEY, &other, "x").await.status, 412);
    assert_eq!(store.send(Method::DELETE, KEY, &other, "").await.status, 412);
    let etag = checked.headers["etag"].to_str().unwrap();
    assert_eq!(etag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    assert_eq!(store.send(Method::PUT, KEY, &[("if-match", etag)], "x").await.status, 200);
    let temporary = std::fs::read_dir(store.made().join(".unfinished")).unwrap().count();
    assert_eq!(temporary, 0, "what was refused is removed");
}

#[tokio::test]
async fn lists_say_what_a_read_says() {
    let store = running(None).await;
    for key in ["a/1", "a/2", "b", "c/3"] {
        assert_eq!(
            store.send(Method::PUT, &format!("/examplebucket/{key}"), &[], key).await.status,
            200
        );
    }
    let head = store.send(Method::HEAD, "/examplebucket/b", &[], "").await;
    let text = async |query: &str| {
        let listed = store.send(Method::GET, &format!("/examplebucket{query}"), &[], "").await;
        assert_eq!(listed.status, 200, "{query}: {listed:?}");
        String::from_utf8(listed.body.to_vec()).unwrap()
    };
    for query in ["", "?list-type=2", "?versions"] {
        let listed = text(query).await;
        assert_eq!(elements(&listed, "Key"), ["a/1", "a/2", "b", "c/3"], "{query}");
        let etag = head.headers["etag"].to_str().unwrap();
        assert_eq!(elements(&listed, "ETag")[2], etag, "{query}");
        assert_eq!(elements(&listed, "Size"), ["3", "3", "1", "3"], "{query}");
        let modified = elements(&listed, "LastModified")[2].clone();
        let seconds =
            back_to_origin::http::date::seconds(head.headers["last-modified"].to_str().unwrap());
        let day = back_to_origin::http::date::text(seconds.unwrap());
        let time = day.split(' ').nth(4).unwrap();
        assert!(modified.ends_with(&format!("T{time}.000Z")), "{query}: {modified} {day}");
    }
    let first = text("?list-type=2&delimiter=/&max-keys=2").await;
    assert_eq!(elements(&first, "Key"), ["b"], "{first}");
    assert_eq!(elements(&first, "Prefix"), ["", "a/"], "{first}");
    let token = &elements(&first, "NextContinuationToken")[0];
    let rest =
        text(&format!("?list-type=2&delimiter=/&max-keys=2&continuation-token={token}")).await;
    assert_eq!(elements(&rest, "Prefix"), ["", "c/"], "{rest}");
    assert_eq!(elements(&rest, "IsTruncated"), ["false"], "{rest}");
    let first = text("?delimiter=/&max-keys=1").await;
    assert_eq!(elements(&first, "NextMarker"), ["a/"], "{first}");
    let rest = text("?delimiter=/&marker=a/").await;
    assert_eq!(elements(&rest, "Key"), ["b"], "{rest}");
    assert_eq!(elements(&text("?list-type=2&start-after=a/2&prefix=").await, "Key"), ["b", "c/3"]);
    // What is written and deleted later is in the listing too.
    assert_eq!(store.send(Method::DELETE, "/examplebucket/b", &[], "").await.status, 204);
    assert_eq!(store.send(Method::PUT, "/examplebucket/B", &[], "x").await.status, 200);
    let delete = "<Delete><Object><Key>a/1</Key></Object><Object><Key>none</Key></Object></Delete>";
    let deleted = store.send(Method::POST, "/examplebucket?delete", &[], delete).await;
    assert_eq!(
        elements(&String::from_utf8_lossy(&deleted.body), "Key"),
        ["a/1", "none"],
        "{deleted:?}"
    );
    assert_eq!(elements(&text("").await, "Key"), ["B", "a/2", "c/3"]);
    let wrong =
        store.send(Method::GET, "/examplebucket?list-type=2&continuation-token=!", &[], "").await;
    assert_eq!(code(&wrong), (400, "InvalidArgument".to_owned()));
    assert_eq!(
        code(&store.send(Method::DELETE, "/examplebucket", &[], "").await),
        (409, "BucketNotEmpty".to_owned())
    );
}

#[tokio::test]
async fn a_store_that_starts_again_has_what_it_had() {
    let store = running(None).await;
    let upload = store.send(Method::POST, &format!("{KEY}?uploads"), &[], "").await;
    let upload = elements(&String::from_utf8_lossy(&upload.body), "UploadId").pop().unwrap();
    let part = format!("{KEY}?partNumber=1&uploadId={upload}");
    assert_eq!(store.send(Method::PUT, &part, &[], "part").await.status, 200);
    assert_eq!(store.send(Method::PUT, KEY, &[("expires", "0")], "kept").await.status, 200);
    let before = store.send(Method::GET, KEY, &[], "").await;
    std::fs::write(store.made().join(".unfinished/left"), "behind").unwrap();
    let directory = store.made();
    let Running { store: running, directory: _kept, seen } = store;
    running.stop().await;
    let again =
        Store::start(StoreSettings { directory: directory.clone(), ..StoreSettings::default() });
    let store = Running { store: again.await.unwrap(), directory: _kept, seen };
    let after = store.send(Method::GET, KEY, &[], "").await;
    assert_eq!((after.status, &after.body), (200, &before.body));
    for name in ["etag", "expires", "last-modified"] {
        assert_eq!(after.headers[name], before.headers[name], "{name}");
    }
    assert_eq!(std::fs::read_dir(directory.join(".unfinished")).unwrap().count(), 0);
    let parts = store.send(Method::GET, &format!("{KEY}?uploadId={upload}"), &[], "").await;
    assert_eq!(elements(&String::from_utf8_lossy(&parts.body), "Size"), ["4"]);
}

#[tokio::test]
async fn a_bucket_is_named_by_the_path_or_the_host() {
    let store = running(None).await;
    assert_eq!(store.send(Method::PUT, KEY, &[], "x").await.status, 200);
    for (host, path, status) in [
        ("examplebucket.s3.example.com", "/examplefolder/example.txt", 200),
        ("ExampleBucket.S3.example.com:9000", "/examplefolder/example.txt", 200),
        ("examplebucket.localhost:9000", "/examplefolder/example.txt", 200),
        ("s3.example.com", KEY, 200),
        ("localhost:9000", KEY, 200),
        ("elsewhere.example.com", KEY, 200),
        ("other.s3.example.com", "/examplefolder/example.txt", 404),
        ("examplebucket.s3.example.com", "/?list-type=2", 200),
        ("examplebucket.s3.example.com", "/?policy", 404),
    ] {
        let got = store.send(Method::GET, path, &[("host", host)], "").await;
        assert_eq!(got.status, status, "{host}{path}: {got:?}");
        if path.ends_with("?policy") {
            assert_eq!(code(&got).1, "NoSuchBucketPolicy");
        }
    }
}

#[tokio::test]
async fn what_a_bucket_never_has_is_missed_by_its_name() {
    let store = running(None).await;
    assert_eq!(store.send(Method::PUT, KEY, &[], "x").await.status, 200);
    for (query, status, expected) in [
        ("cors", 404, "NoSuchCORSConfiguration"),
        ("encryption", 404, "ServerSideEncryptionConfigurationNotFoundError"),
        ("lifecycle", 404, "NoSuchLifecycleConfiguration"),
        ("object-lock", 404, "ObjectLockConfigurationNotFoundError"),
        ("ownershipControls", 404, "OwnershipControlsNotFoundError"),
        ("policy", 404, "NoSuchBucketPolicy"),
        ("publicAccessBlock", 404, "NoSuchPublicAccessBlockConfiguration"),
        ("replication", 404, "ReplicationConfigurationNotFoundError"),
        ("tagging", 404, "NoSuchTagSet"),
        ("website", 404, "NoSuchWebsiteConfiguration"),
        ("accelerate", 200, "<AccelerateConfiguration xmlns="),
        ("acl", 200, "<Permission>FULL_CONTROL</Permission>"),
        ("location", 200, "<LocationConstraint xmlns="),
        ("logging", 200, "<BucketLoggingStatus xmlns="),
        ("notification", 200, "<NotificationConfiguration xmlns="),
        ("requestPayment", 200, "<Payer>BucketOwner</Payer>"),
        ("versioning", 200, "<VersioningConfiguration xmlns="),
    ] {
        let got = store.send(Method::GET, &format!("/examplebucket?{query}"), &[], "").await;
        let text = String::from_utf8_lossy(&got.body);
        assert_eq!(got.status, status, "{query}: {text}");
        assert!(text.contains(expected), "{query}: {text}");
        let other = store.send(Method::GET, &format!("/other?{query}"), &[], "").await;
        assert_eq!(code(&other), (404, "NoSuchBucket".to_owned()), "{query}");
        if status == 404 {
            let gone =
                store.send(Method::DELETE, &format!("/examplebucket?{query}"), &[], "").await;
            assert_eq!(gone.status, 204, "{query}");
        }
    }
    let acl = store.send(Method::GET, &format!("{KEY}?acl"), &[], "").await;
    assert!(acl.body.windows(12).any(|text| text == b"FULL_CONTROL"), "{acl:?}");
    let none = store.send(Method::GET, "/examplebucket/none?acl", &[], "").await;
    assert_eq!(code(&none), (404, "NoSuchKey".to_owned()));
    assert_eq!(store.send(Method::GET, KEY, &[], "").await.status, 200);
}

#[tokio::test]
async fn a_completion_is_about_the_parts_that_it_names() {
    let store = running(None).await;
    let begun = store
        .send(Method::POST, &format!("{KEY}?uploads"), &[("x-amz-meta-tag", "kept")], "")
        .await;
    let id = elements(&String::from_utf8_lossy(&begun.body), "UploadId").pop().unwrap();
    let (large, small) = ("l".repeat(5 << 20), "s");
    let mut etags = Vec::new();
    for (number, body) in [(1, large.as_str()), (2, small), (3, small)] {
        let path = format!("{KEY}?partNumber={number}&uploadId={id}");
        let put = store.send(Method::PUT, &path, &[], body).await;
        etags.push(put.headers["etag"].to_str().unwrap().to_owned());
    }
    let copied =
        [("x-amz-copy-source", "/examplebucket/source"), ("x-amz-copy-source-range", "bytes=1-2")];
    assert_eq!(store.send(Method::PUT, "/examplebucket/source", &[], "abcd").await.status, 200);
    let copy =
        store.send(Method::PUT, &format!("{KEY}?partNumber=4&uploadId={id}"), &copied, "").await;
    let copy = elements(&String::from_utf8_lossy(&copy.body), "ETag").pop().unwrap();
    etags.push(copy.replace("&quot;", "\""));
    let complete = async |parts: &[(usize, &str)], headers: &[(&str, &str)]| {
        let part = |(number, etag): &(usize, &str)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        };
        let parts: String = parts.iter().map(part).collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let path = format!("{KEY}?uploadId={id}");
        store.send(Method::POST, &path, headers, &body).await
    };
    let refused = |status, code: &str| (status, code.to_owned());
    let done = complete(&[(2, &etags[1]), (1, &etags[0])], &[]).await;
    assert_eq!(code(&done), refused(400, "InvalidPartOrder"));
    let done = complete(&[(1, &etags[1])], &[]).await;
    assert_eq!(code(&done), refused(400, "InvalidPart"));
    let done = complete(&[(1, &etags[0]), (9, &etags[0])], &[]).await;
    assert_eq!(code(&done), refused(400, "InvalidPart"));
    let done = complete(&[(2, &etags[1]), (3, &etags[2])], &[]).await;
    assert_eq!(code(&done), refused(400, "EntityTooSmall"));
    assert_eq!(code(&complete(&[], &[]).await), refused(400, "MalformedXML"));
    let part =
        store.send(Method::PUT, &format!("{KEY}?partNumber=0&uploadId={id}"), &[], "x").await;
    assert_eq!(code(&part), refused(400, "InvalidArgument"));
    assert_eq!(store.send(Method::PUT, KEY, &[], "first").await.status, 200);
    let new = [("if-none-match", "*")];
    let done = complete(&[(1, &etags[0]), (4, &etags[3])], &new).await;
    assert_eq!(code(&done), refused(412, "PreconditionFailed"));
    assert_eq!(store.send(Method::DELETE, KEY, &[], "").await.status, 204);
    let done = complete(&[(1, &etags[0]), (4, &etags[3])], &new).await;
    assert_eq!(done.status, 200, "{done:?}");
    let got = store.send(Method::GET, KEY, &[], "").await;
    assert_eq!((got.body.len(), &got.body[5 << 20..]), ((5 << 20) + 2, &b"bc"[..]));
    assert_eq!(got.headers["x-amz-meta-tag"], "kept");
    assert!(got.headers["etag"].to_str().unwrap().ends_with("-2\""));
    let second = store.send(Method::GET, &format!("{KEY}?partNumber=2"), &[], "").await;
    assert_eq!((second.status, second.body.as_ref()), (206, &b"bc"[..]));
    assert_eq!(second.headers["x-amz-mp-parts-count"], "2");
    assert_eq!(code(&complete(&[(1, &etags[0])], &[]).await), refused(404, "NoSuchUpload"));
    // Copied, it is of one piece.
    let copied = [("x-amz-copy-source", KEY)];
    let copy = store.send(Method::PUT, "/examplebucket/copy", &copied, "").await;
    let etags = elements(&String::from_utf8_lossy(&copy.body), "ETag");
    assert!(!etags[0].contains('-'), "{copy:?}");
    let copy = store.send(Method::GET, "/examplebucket/copy", &[], "").await;
    assert_eq!(copy.body, got.body);
}
