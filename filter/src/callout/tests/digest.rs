//! What the origin says of the bytes must be true of them, where the rule asks.

use super::*;

/// Of "bytes".
const MD5: &str = "SzpiGLs+OnMD6KFxpg/Pkg==";

#[test]
fn an_object_that_is_not_what_its_digest_says_is_nobodys() {
    let mut bench = Bench::new();
    let stream = bench.get("/b/head/x");
    let (id, _) = bench.call();
    bench.respond(id, &[(":status", "200"), ("content-md5", MD5)], b"bites");
    let (status, body) = bench.answer(stream);
    assert_eq!(status, 424);
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("MD5 in header(content-md5) is not equal to MD5 calculated"), "{body}");
    assert!(bench.calls.is_empty(), "nothing is stored");
    assert!(bench.lines[0].contains("MD5 in header(content-md5)"), "{:?}", bench.lines);
}

#[test]
fn an_object_that_is_what_its_digest_says_or_is_not_to_be_checked_is_stored() {
    let other = "AAAAAAAAAAAAAAAAAAAAAA==";
    for (path, announced) in [("/b/head/x", MD5), ("/b/head/x", ""), ("/b/a/x", other)] {
        let mut bench = Bench::new();
        let stream = bench.get(path);
        let (id, _) = bench.call();
        bench.respond(id, &[(":status", "200"), ("content-md5", announced)], b"bytes");
        assert_eq!(bench.answer(stream), (200, b"bytes".to_vec()), "{path} {announced}");
        bench.respond_status("200");
        assert!(bench.lines[0].ends_with("stored in the bucket"), "{:?}", bench.lines);
    }
}
