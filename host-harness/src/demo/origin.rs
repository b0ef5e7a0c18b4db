//! The sample origin: a few objects, and a few ways to fail.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

/// How long the slow object takes: longer than the demo's gateway waits.
const SLOW: Duration = Duration::from_secs(super::PATIENCE_SECONDS + 3);

/// The size of the big object: more than one part of an upload.
const BIG_BYTES: usize = 16 * 1024 * 1024;

/// An image of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\x66\0\0\0\0!\xf9\x04\0\0\0\0\0,\
\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

type Headers = &'static [(HeaderName, &'static str)];

const TEXT: Headers = &[(CONTENT_TYPE, "text/plain; charset=utf-8")];
const GREETING: Headers = &[
    (CONTENT_TYPE, "text/plain; charset=utf-8"),
    (CONTENT_LANGUAGE, "de"),
    (CACHE_CONTROL, "max-age=3600"),
];
const IMAGE: Headers = &[(CONTENT_TYPE, "image/gif"), (CACHE_CONTROL, "max-age=86400")];
const BINARY: Headers = &[(CONTENT_TYPE, "application/octet-stream")];

/// Answers a request to the origin.
pub(super) async fn respond<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n"));
    }
    let path = request.uri().path();
    Ok(match path {
        "/examplefolder/example.txt" => found(TEXT, "This object came from the origin.\n"),
        "/examplefolder/pixel.gif" => found(IMAGE, PIXEL),
        "/examplefolder/with%20space/gr%C3%BC%C3%9Fe.txt" => found(GREETING, "Schöne Grüße!\n"),
        "/examplefolder/empty.txt" => found(TEXT, ""),
        "/examplefolder/big.bin" => found(BINARY, vec![0; BIG_BYTES]),
        "/examplefolder/broken.txt" => {
            answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the origin is broken\n")
        }
        "/examplefolder/slow.txt" => {
            tokio::time::sleep(SLOW).await;
            found(TEXT, "This took long.\n")
        }
        _ if path.starts_with("/echo/") => found(TEXT, echo(&request)),
        _ => answer(StatusCode::NOT_FOUND, TEXT, "the origin has no such object\n"),
    })
}

fn found(headers: Headers, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, headers, body)
}

fn answer(status: StatusCode, headers: Headers, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}

/// The request as it arrived.
fn echo<B>(request: &Request<B>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(path: &str) -> (u16, Bytes) {
        let request = Request::get(path).header("aaa-header", "aaa").body(()).unwrap();
        let response = respond(request).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn the_origin_has_what_the_demo_promises() {
        for (path, status, size) in [
            ("/examplefolder/example.txt", 200, 34),
            ("/examplefolder/pixel.gif", 200, PIXEL.len()),
            ("/examplefolder/with%20space/gr%C3%BC%C3%9Fe.txt", 200, 17),
            ("/examplefolder/empty.txt", 200, 0),
            ("/examplefolder/big.bin", 200, BIG_BYTES),
            ("/examplefolder/broken.txt", 500, 21),
            ("/examplefolder/missing.txt", 404, 30),
        ] {
            let (got, body) = get(path).await;
            assert_eq!((got, body.len()), (status, size), "{path}");
        }
    }

    #[tokio::test]
    async fn an_echo_is_the_request() {
        let (status, body) = get("/echo/seen.txt?x=1").await;
        assert_eq!(
            (status, body.as_ref()),
            (200, &b"GET /echo/seen.txt?x=1\naaa-header: aaa\n"[..])
        );
    }
}
