//! Uploads in parts.

use super::*;

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
