//! Keys, and lists of them.

use super::*;

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
