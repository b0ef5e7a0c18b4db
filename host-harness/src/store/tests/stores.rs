//! A store as a whole: its signatures, its buckets, its directory.

use super::*;

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
