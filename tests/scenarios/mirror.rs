//! A missing object is fetched, answered and kept; an object that is there is left alone.

use serde_json::json;

use super::evidence::Aspect::{Answer, Line};
use super::run::run;
use super::{Group, Row, mirror_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;
use crate::support::store::error;

/// Why an answer has a length on one of the paths.
const KNOWS_ITS_LENGTH: &str = "who holds an object knows its length, who streams it does not";

#[test]
fn mirror() {
    run(mirror_on);
}

pub(super) fn mirror_on(path: Path) -> Group {
    let rules = json!([
        mirror_rule(
            1,
            "pre/",
            json!({
            "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "dest/" })
        ),
        mirror_rule(2, "cut/", json!({ "EnableReplacePrefix": true })),
        mirror_rule(3, "path/", json!({ "MirrorURL": "http://{origin}/base/a%20b//" })),
        mirror_rule(9, "", json!({})),
    ]);
    Group::new("mirror", rules, [objects(), answers(), bodies(path), prefixes()].concat())
}

fn objects() -> Vec<Row> {
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-encoding", "identity"),
        ("content-disposition", "attachment; filename=\"b.txt\""),
        ("content-language", "de"),
        ("cache-control", "max-age=60"),
        ("expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("x-private", "the origin's own"),
        ("set-cookie", "a=1"),
        ("etag", "\"origin\""),
    ];
    let tag = "MIRROR http%3A%2F%2F{origin%}%2Fa%2Fb.txt";
    vec![
        row("a missing object is fetched, answered and stored, and then it is a hit")
            .origin("/a/b.txt", Reply::new(200, &headers, "the bytes"))
            .get("/examplebucket/a/b.txt")
            .mirrored("/examplebucket/a/b.txt", "/a/b.txt", "the bytes")
            .header("x-oss-tag", tag)
            .header("content-length", "9")
            .header("content-type", "text/plain; charset=utf-8")
            .header("content-encoding", "identity")
            .header("content-disposition", "attachment; filename=\"b.txt\"")
            .header("content-language", "de")
            .header("cache-control", "max-age=60")
            .header("expires", "Fri, 01 Jan 2100 00:00:00 GMT")
            .without("x-private")
            .without("set-cookie")
            .get("/examplebucket/a/b.txt")
            .status(200)
            .body("the bytes")
            .header("x-oss-tag", tag)
            .header("content-type", "text/plain; charset=utf-8")
            .header("content-encoding", "identity")
            .header("content-disposition", "attachment; filename=\"b.txt\"")
            .header("content-language", "de")
            .header("cache-control", "max-age=60")
            .without("x-private")
            .stored("/examplebucket/a/b.txt", "the bytes", &headers[..5])
            .puts("/examplebucket/a/b.txt", 1),
        row("the tag stays with a HEAD and a Range of the stored object")
            .origin("/tagged", Reply::new(200, &[("content-type", "text/css")], "0123456789"))
            .get("/examplebucket/tagged")
            .mirrored("/examplebucket/tagged", "/tagged", "0123456789")
            .send(request("HEAD", "/examplebucket/tagged"))
            .status(200)
            .header("content-length", "10")
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Ftagged")
            .get("/examplebucket/tagged")
            .with("range", "bytes=2-4")
            .status(206)
            .body("234")
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Ftagged"),
        row("an object that is there never reaches the origin, and has no tag")
            .has("/examplebucket/here", &[("content-type", "text/html")], "mine")
            .origin("/here", Reply::new(200, &[], "theirs"))
            .get("/examplebucket/here")
            .status(200)
            .body("mine")
            .header("content-type", "text/html")
            .without("x-oss-tag")
            .puts("/examplebucket/here", 0),
        row("an object of its own that replaces a mirrored one has no tag")
            .origin("/replaced", Reply::new(200, &[], "theirs"))
            .get("/examplebucket/replaced")
            .mirrored("/examplebucket/replaced", "/replaced", "theirs")
            .send(request("PUT", "/examplebucket/replaced").with_body("mine"))
            .status(200)
            .get("/examplebucket/replaced")
            .status(200)
            .body("mine")
            .without("x-oss-tag"),
    ]
}

fn answers() -> Vec<Row> {
    vec![
        row("what the origin does not have either is a 404")
            .get("/examplebucket/nowhere")
            .error(404, "NoSuchKey", "")
            .fetched("/nowhere")
            .never_stored("/examplebucket/nowhere"),
        row("a 404 is kept for a while")
            .get("/examplebucket/again")
            .error(404, "NoSuchKey", "")
            .fetched("/again")
            .get("/examplebucket/again")
            .error(404, "NoSuchKey", ""),
    ]
}

fn bodies(path: Path) -> Vec<Row> {
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: a/b\r\n\r\n\
                   4\r\nfirs\r\n6\r\nt last\r\n0\r\n\r\n";
    let until_close = "HTTP/1.0 200 OK\r\ncontent-type: a/b\r\n\r\nto the end";
    vec![
        row("an empty object")
            .origin("/empty", Reply::new(200, &[("content-type", "text/x-empty")], ""))
            .get("/examplebucket/empty")
            .mirrored("/examplebucket/empty", "/empty", "")
            .header("content-length", "0")
            .header("content-type", "text/x-empty")
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fempty")
            .get("/examplebucket/empty")
            .status(200)
            .body("")
            .header("content-type", "text/x-empty")
            .header("x-oss-tag", "MIRROR http%3A%2F%2F{origin%}%2Fempty"),
        row("an object of every byte")
            .origin("/binary", Reply::new(200, &[("content-type", "image/png")], &binary))
            .get("/examplebucket/binary")
            .mirrored("/examplebucket/binary", "/binary", &binary)
            .header("content-length", "100000"),
        in_chunks(path, chunked),
        row("a body that ends with the connection")
            .origin("/until-close", Reply::raw(until_close))
            .get("/examplebucket/until-close")
            .status(200)
            .body("to the end")
            .fetched("/until-close")
            .never_stored("/examplebucket/until-close")
            .differs_by_path(&[Answer, Line], KNOWS_ITS_LENGTH),
        row("64 KiB of headers are no part of the object")
            .origin("/wide", Reply::new(200, &[("x-wide", &"w".repeat(64 * 1_024))], "x"))
            .get("/examplebucket/wide")
            .mirrored("/examplebucket/wide", "/wide", "x")
            .without("x-wide"),
        row("an object without a type has the one S3 gives it")
            .origin("/untyped", Reply::new(200, &[], "x"))
            .get("/examplebucket/untyped")
            .mirrored("/examplebucket/untyped", "/untyped", "x")
            .header("content-type", "application/octet-stream"),
    ]
}

/// Who holds an object knows its length; who streams it knows what the origin announced.
fn in_chunks(path: Path, reply: &str) -> Row {
    let row = row("a body in chunks")
        .origin("/chunked", Reply::raw(reply).keep())
        .get("/examplebucket/chunked")
        .mirrored("/examplebucket/chunked", "/chunked", "first last")
        .header("content-type", "a/b")
        .differs_by_path(&[Answer], KNOWS_ITS_LENGTH);
    match path {
        Path::Callout => row.header("content-length", "10"),
        Path::Streaming => row.without("content-length"),
    }
}

fn prefixes() -> Vec<Row> {
    vec![
        row("a prefix is replaced at the origin alone")
            .origin("/dest/k", Reply::new(200, &[], "replaced"))
            .get("/examplebucket/pre/k")
            .mirrored("/examplebucket/pre/k", "/dest/k", "replaced")
            .never_stored("/examplebucket/dest/k"),
        row("a prefix is cut off at the origin alone")
            .origin("/k2", Reply::new(200, &[], "cut"))
            .get("/examplebucket/cut/k2")
            .mirrored("/examplebucket/cut/k2", "/k2", "cut")
            .never_stored("/examplebucket/k2"),
        row("the path of a MirrorURL stays as it is written")
            .origin("/base/a%20b//path/k", Reply::new(200, &[], "deep"))
            .get("/examplebucket/path/k")
            .mirrored("/examplebucket/path/k", "/base/a%20b//path/k", "deep"),
        row("what the bucket does not answer with 404 is not fetched")
            .store_always("GET", "/examplebucket/secret", error(403, "AccessDenied", "GET"))
            .origin("/secret", Reply::new(200, &[], "theirs"))
            .get("/examplebucket/secret")
            .status(403)
            .header("x-amz-request-id", "R1")
            .without("x-oss-tag"),
    ]
}
