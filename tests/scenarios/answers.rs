//! An answer to a miss looks like S3's: what of the origin's headers it has, in which form they are
//! kept, and what a request may have said otherwise.

use serde_json::json;

use super::evidence::Aspect::{Asked, Counters, Line};
use super::run::run;
use super::{Group, Row, mirror_rule, row};
use crate::support::client::request;
use crate::support::gateway::Path;
use crate::support::server::Reply;

const OLD: &str = "Tue, 01 Apr 2025 08:00:00 GMT";
const LONG_AGO: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
const PRESIGNED: &str = "X-Amz-Algorithm=A&X-Amz-Credential=c%2Fd&X-Amz-Date=d&X-Amz-Expires=9\
                         &X-Amz-SignedHeaders=host&X-Amz-Signature=s";
const SMALL: &str = "x-oss-process=image/resize,w_100";

#[test]
fn answers() {
    run(answers_on);
}

pub(super) fn answers_on(path: Path) -> Group {
    let coded = |more| json!({ "MirrorHeaders": more });
    let rules = json!([
        mirror_rule(1, "all/", coded(json!({ "PassAll": true }))),
        mirror_rule(
            2,
            "named/",
            coded(json!({ "PassAll": true, "Pass": ["Accept-Encoding", "Origin"] }))
        ),
        mirror_rule(
            3,
            "proxy/",
            json!({ "MirrorHeaders": { "PassAll": true }, "MirrorProxyPass": true,
                "MirrorAllowHeadObject": true })
        ),
        mirror_rule(
            4,
            "image/",
            json!({ "MirrorPassQueryString": true, "MirrorAllowHeadObject": true })
        ),
        mirror_rule(
            5,
            "made/",
            json!({ "MirrorURL": format!("http://{{origin}}/from/?{SMALL}"),
            "MirrorPassQueryString": true })
        ),
        mirror_rule(6, "sent/", json!({ "MirrorFollowRedirect": false })),
        mirror_rule(7, "through/", json!({ "TransparentMirrorResponseCodes": "404" })),
        mirror_rule(9, "", json!({ "MirrorAllowHeadObject": true, "MirrorSaveOssMeta": true })),
    ]);
    let rows = [
        lines(),
        versions(),
        overrides(),
        browsers(),
        odd(path),
        locations(),
        codings(),
        images(path),
    ];
    Group::new("answers", rules, rows.concat())
}

/// What is told of them is true.
fn lines() -> Vec<Row> {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    vec![
        row("a HEAD of what has no length is told without one")
            .origin("/proxy/open", Reply::raw(chunked).keep())
            .send(request("HEAD", "/examplebucket/proxy/open"))
            .status(200)
            .probed("/proxy/open")
            .says("answered 200, client got 200, not stored: the rule says so"),
        row("what is only passed is told")
            .origin("/proxy/k2", Reply::new(200, &[], "x"))
            .get("/examplebucket/proxy/k2")
            .status(200)
            .fetched("/proxy/k2")
            .says("answered 200 (1 bytes), client got 200, not stored: the rule says so"),
        row("what is handed on is told")
            .origin("/through/none", Reply::new(404, &[], "no"))
            .get("/examplebucket/through/none")
            .status(404)
            .body("no")
            .fetched("/through/none")
            .says("answered 404, client got that answer"),
    ]
}

/// What S3 always says of an object.
fn versions() -> Vec<Row> {
    let of_s3 = [("etag", "\"5d41402abc4b2a76b9719d911017c592\""), ("last-modified", OLD)];
    vec![
        row("an object of an S3 origin has what S3 always says")
            .origin("/s3", Reply::new(200, &of_s3, "hello"))
            .get("/examplebucket/s3")
            .header("etag", "\"5d41402abc4b2a76b9719d911017c592\"")
            .header("last-modified", OLD)
            .header("accept-ranges", "bytes")
            .header("content-length", "5")
            .mirrored("/examplebucket/s3", "/s3", "hello"),
        row("a date in another form is said as S3 says it")
            .origin(
                "/rfc850",
                Reply::new(200, &[("last-modified", "Tuesday, 01-Apr-25 08:00:00 GMT")], "x"),
            )
            .get("/examplebucket/rfc850")
            .header("last-modified", OLD)
            .without("etag")
            .mirrored("/examplebucket/rfc850", "/rfc850", "x"),
        row("a date that is none gives way to that of the answer")
            .origin("/undated", Reply::new(200, &[("last-modified", "0"), ("date", OLD)], "x"))
            .get("/examplebucket/undated")
            .header("last-modified", OLD)
            .mirrored("/examplebucket/undated", "/undated", "x"),
    ]
}

/// S3's `response-*`.
fn overrides() -> Vec<Row> {
    let said = [("content-type", "text/plain"), ("cache-control", "no-store")];
    let wanted = "response-content-type=image%2Fpng&response-cache-control=max-age%3D1\
                  &response-content-disposition=attachment%3B+filename%3D%22%C3%BC.png%22\
                  &response-content-language=de&response-content-encoding=x\
                  &response-expires=Tue%2C%2001%20Apr%202025%2008%3A00%3A00%20GMT";
    let own = [("content-type", "text/plain"), ("cache-control", "no-store")];
    let signed = row("a signed request has its answer say something else, and that is not kept")
        .origin("/over", Reply::new(200, &said, "x"))
        .get(&format!("/examplebucket/over?{PRESIGNED}&{wanted}"))
        .header("content-type", "image/png")
        .header("cache-control", "max-age=1")
        .header(
            "content-disposition",
            "attachment; filename=\"_.png\"; filename*=UTF-8''%C3%BC.png",
        )
        .header("content-language", "de")
        .header("content-encoding", "x")
        .header("expires", OLD)
        .status(200)
        .body("x")
        .fetched("/over")
        .stored("/examplebucket/over", "x", &own);
    vec![
        signed,
        row("a request that nobody has signed has not")
            .origin("/unsigned", Reply::new(200, &said, "x"))
            .get("/examplebucket/unsigned?response-content-type=text%2Fhtml")
            .header("content-type", "text/plain")
            .mirrored("/examplebucket/unsigned", "/unsigned", "x"),
        row("not even to an origin that gets the query")
            .origin("/image/over", Reply::new(200, &said, "x"))
            .get(&format!("/examplebucket/image/over?v=1&{PRESIGNED}&response-content-type=a%2Fb"))
            .header("content-type", "a/b")
            .mirrored("/examplebucket/image/over", "/image/over?v=1", "x"),
    ]
}

/// What browsers and caches read.
fn browsers() -> Vec<Row> {
    let cors = [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-expose-headers", "x-a"),
        ("timing-allow-origin", "*"),
        ("vary", "Origin"),
        ("etag", "\"v\""),
    ];
    let told = |row: Row| cors.iter().fold(row, |row, (name, value)| row.header(name, value));
    let asked = |name, path: &str, reply| {
        row(name).origin(path, reply).get(&format!("/examplebucket{path}"))
    };
    vec![
        told(asked(
            "what a browser asks for is of the first answer",
            "/cors",
            Reply::new(200, &cors, "x"),
        ))
        .mirrored("/examplebucket/cors", "/cors", "x")
        .get("/examplebucket/cors")
        .status(200)
        .without("access-control-allow-origin")
        .without("vary"),
        told(
            asked("of a 304 too", "/named/cors", Reply::new(200, &cors, "x"))
                .with("if-none-match", "\"v\"")
                .with("origin", "https://app.example"),
        )
        .status(304)
        .fetched_with("/named/cors", &[("origin", "https://app.example")])
        .stored("/examplebucket/named/cors", "x", &[])
        .differs_by_path(&[Counters], super::IN_RANGES),
        asked("of an answer that is handed on", "/through/cors", Reply::new(404, &cors[..4], "no"))
            .status(404)
            .header("access-control-allow-origin", "https://app.example")
            .header("vary", "Origin")
            .body("no")
            .fetched("/through/cors"),
    ]
}

/// Headers that no store takes as they come.
fn odd(path: Path) -> Vec<Row> {
    let raw = |lines: &[u8]| {
        let head = [b"HTTP/1.1 200 OK\r\n", lines, b"content-length: 4\r\n\r\nbody"].concat();
        Reply::raw(head).keep()
    };
    let names = b"content-disposition: attachment; filename=\"\xfc.txt\"\r\n\
                  x-oss-meta-name: \xc3\xbc\r\netag: \"v\"\r\n";
    let said = [
        ("content-disposition", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"),
        ("x-amz-meta-name", "=?UTF-8?B?w7w=?="),
    ];
    let told = |row: Row| said.iter().fold(row, |row, (name, value)| row.header(name, value));
    let kept = |row: Row, path: &str| row.stored(&format!("/examplebucket{path}"), "body", &said);
    vec![
        kept(
            told(
                row("names in other letters")
                    .origin("/names", raw(names))
                    .get("/examplebucket/names"),
            )
            .status(200)
            .body("body")
            .fetched("/names"),
            "/names",
        ),
        told(
            row("names in other letters, of a HEAD")
                .origin("/headed", raw(names))
                .send(request("HEAD", "/examplebucket/headed"))
                .probed("/headed"),
        )
        .status(200)
        .header("content-length", "4")
        .follows_saying(path, "/headed", "body", &said),
        row("a header that cannot be said in ASCII is left out, and told")
            .origin("/left-out", raw(b"content-language: \xff\r\ncontent-type: text/x; a=\xff\r\n"))
            .get("/examplebucket/left-out")
            .says("left out what is not ASCII in content-language")
            .without("content-language")
            .header("content-type", "text/x; a=_")
            .mirrored("/examplebucket/left-out", "/left-out", "body")
            .told(2),
        row("an Expires that is no date is long ago")
            .origin("/expired", Reply::new(200, &[("expires", "0")], "x"))
            .get("/examplebucket/expired")
            .header("expires", LONG_AGO)
            .status(200)
            .body("x")
            .fetched("/expired")
            .stored("/examplebucket/expired", "x", &[("expires", LONG_AGO)]),
        row("a coding of S3's own clients is none of the object's")
            .origin("/chunked", Reply::new(200, &[("content-encoding", "aws-chunked,gzip")], "x"))
            .get("/examplebucket/chunked")
            .header("content-encoding", "gzip")
            .status(200)
            .body("x")
            .fetched("/chunked")
            .stored("/examplebucket/chunked", "x", &[("content-encoding", "gzip")]),
        row("nor is it where it is the only one")
            .origin("/chunked-alone", Reply::new(200, &[("content-encoding", "aws-chunked")], "x"))
            .get("/examplebucket/chunked-alone")
            .without("content-encoding")
            .mirrored("/examplebucket/chunked-alone", "/chunked-alone", "x"),
    ]
}

impl Row {
    /// As [`Row::follows`], with headers.
    fn follows_saying(
        self,
        on: Path,
        path: &str,
        bytes: &str,
        said: &[(&'static str, &'static str)],
    ) -> Self {
        self.follows(on, path, bytes).stored(&format!("/examplebucket{path}"), bytes, said)
    }
}

/// Where an origin sends on to, as servers write it.
fn locations() -> Vec<Row> {
    let moved = |location: &[u8]| {
        let head = [b"HTTP/1.1 302 x\r\nlocation: ", location, b"\r\ncontent-length: 0\r\n\r\n"];
        Reply::raw(head.concat()).keep()
    };
    let cases: [(&str, &[u8], &str); 4] = [
        ("a blank", b"/to/a b", "/to/a%20b"),
        ("Latin-1", b"/to/gr\xfcn", "/to/gr%FCn"),
        ("UTF-8", "/to/grün?q=ü".as_bytes(), "/to/gr%C3%BCn?q=%C3%BC"),
        ("a backslash", b"\\to\\a", "/to/a"),
    ];
    let followed = cases.iter().enumerate().map(|(index, (name, location, target))| {
        let path = format!("/moved{index}");
        let at = target.split('?').next().unwrap_or_default();
        row(format!("a Location with {name} is followed"))
            .origin(&path, moved(location))
            .origin(at, Reply::new(200, &[], "x"))
            .get(&format!("/examplebucket{path}"))
            .status(200)
            .body("x")
            .fetched(&path)
            .fetched(target)
            .stored(&format!("/examplebucket{path}"), "x", &[])
    });
    let others = [
        row("a Location that is no URL")
            .origin("/mail", moved(b"mailto:a@b"))
            .get("/examplebucket/mail")
            .error(
                424,
                "MirrorFailed",
                "the origin redirected to something that is no http or https URL",
            )
            .fetched("/mail"),
        row("a Location with a blank is the client's, encoded")
            .origin("/sent/a", moved(b"/x y"))
            .get("/examplebucket/sent/a")
            .status(302)
            .header("location", "http://{origin}/x%20y")
            .fetched("/sent/a"),
    ];
    followed.chain(others).collect()
}

/// What is kept is for everybody, so that one client's codings are not asked for.
fn codings() -> Vec<Row> {
    let asked = |name, key: &str| {
        row(name)
            .origin(&format!("/{key}"), Reply::new(200, &[("vary", "accept-encoding")], "x"))
            .get(&format!("/examplebucket/{key}"))
            .with("accept-encoding", "gzip")
            .with("accept-language", "de")
            .header("vary", "accept-encoding")
            .status(200)
            .body("x")
    };
    let both = [("accept-encoding", "gzip"), ("accept-language", "de")];
    vec![
        asked("PassAll passes no Accept-Encoding for what is kept", "all/k")
            .fetched_with("/all/k", &both[1..])
            .stored("/examplebucket/all/k", "x", &[]),
        asked("a rule that names it does", "named/k").fetched_with("/named/k", &both).stored(
            "/examplebucket/named/k",
            "x",
            &[],
        ),
        asked("so does PassAll for what is not kept", "proxy/k").fetched_with("/proxy/k", &both),
    ]
}

/// Images that an origin makes of objects.
fn images(path: Path) -> Vec<Row> {
    let image = || Reply::new(200, &[("content-type", "image/webp"), ("etag", "\"i\"")], "small");
    let made = format!("/from/made/a?{SMALL}");
    vec![
        row("an image that is made for one client is not the object")
            .origin("/image/a", image())
            .says("not stored: it is an image as one client wants it, not the object")
            .get(&format!("/examplebucket/image/a?{SMALL}"))
            .status(200)
            .body("small")
            .fetched(&format!("/image/a?{SMALL}"))
            .get("/examplebucket/image/a?x-oss-process=image/rotate,90")
            .status(200)
            .body("small")
            .fetched("/image/a?x-oss-process=image/rotate,90")
            .never_stored("/examplebucket/image/a"),
        row("nor is a part of it")
            .origin_object("/image/part", &[("etag", "\"i\"")], "small")
            .get(&format!("/examplebucket/image/part?{SMALL}"))
            .with("range", "bytes=0-1")
            .status(206)
            .body("sm")
            .fetched_by(path, &format!("/image/part?{SMALL}"), "bytes=0-1")
            .differs_by_path(&[Line], super::A_RANGE_TRAVELS)
            .never_stored("/examplebucket/image/part"),
        row("nor is what its HEAD finds")
            .origin("/image/head", image())
            .send(request("HEAD", format!("/examplebucket/image/head?{SMALL}")))
            .status(200)
            .header("content-length", "5")
            .probed(&format!("/image/head?{SMALL}"))
            .never_stored("/examplebucket/image/head"),
        row("the object itself is")
            .origin("/image/b", Reply::new(200, &[], "large"))
            .get("/examplebucket/image/b?v=1")
            .mirrored("/examplebucket/image/b", "/image/b?v=1", "large"),
        row("an origin that does not get the query makes nothing")
            .origin("/plain", image())
            .get(&format!("/examplebucket/plain?{SMALL}"))
            .status(404)
            .never_stored("/examplebucket/plain"),
        row("a frame of a video is nobody's")
            .origin("/image/v", image())
            .get("/examplebucket/image/v?x-oss-process=video/snapshot,t_7000")
            .status(404)
            .never_stored("/examplebucket/image/v"),
        row("what a rule has made of every object is the object")
            .origin("/from/made/a", image())
            .get("/examplebucket/made/a")
            .header("content-type", "image/webp")
            .mirrored("/examplebucket/made/a", &made, "small"),
        row("another image is not made of that")
            .origin("/from/made/b", image())
            .get("/examplebucket/made/b?x-oss-process=image/rotate,90")
            .status(404)
            .never_stored("/examplebucket/made/b"),
    ]
}

impl Row {
    /// The origin saw the Range where it travels.
    fn fetched_by(self, on: Path, target: &str, range: &str) -> Self {
        let row = self.differs_by_path(&[Asked], super::A_RANGE_TRAVELS);
        match on {
            Path::Callout => row.fetched(target),
            Path::Streaming => row.fetched_with(target, &[("range", range)]),
        }
    }
}
