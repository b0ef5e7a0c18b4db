//! Objects read and written.

use super::*;

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
    for (name, value) in [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-crc32c", "4waSgw=="),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    ] {
        let put = store.send(Method::PUT, "/examplebucket/c", &[(name, value)], "123456789").await;
        assert_eq!((put.status, &put.headers[name]), (200, &value.parse().unwrap()), "{name}");
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
