//! Heads of messages between the two libraries' forms: hyper's, and the filter's list of fields.
//!
//! Owns which fields belong to one connection only.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request;

use super::settings::HOST_OF_HTTP_1_0;
use crate::host::Headers;

/// Fields that never travel on.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what belongs to the connection a message came on. A length belongs to the message, whatever
/// `Connection` says.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Where a request wants to go, in the words it used.
pub(super) struct Target {
    pub(super) authority: String,
    pub(super) path: String,
}

impl Target {
    pub(super) fn of(head: &request::Parts) -> Self {
        let authority = match head.uri.authority() {
            Some(authority) => authority.as_str().to_owned(),
            None => head
                .headers
                .get(HOST)
                .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
                .unwrap_or_else(|| match head.version {
                    http::Version::HTTP_10 => HOST_OF_HTTP_1_0.to_owned(),
                    _ => String::new(),
                }),
        };
        // `OPTIONS *` has a path that is no path; it is sent on as it came.
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Self { authority, path }
    }
}

/// The fields of a request as the filter sees them.
pub(super) fn request_fields(head: &mut request::Parts, target: &Target, scheme: &str) -> Headers {
    strip(&mut head.headers);
    head.headers.remove(HOST);
    // The gateway itself says "100 Continue" as soon as it reads the body.
    head.headers.remove(EXPECT);
    let pseudo = [
        (":authority", target.authority.as_str()),
        (":path", target.path.as_str()),
        (":method", head.method.as_str()),
        (":scheme", scheme),
    ];
    Headers::from_http(&pseudo, &head.headers)
}

/// The fields of a response as the filter sees them.
pub(super) fn response_fields(status: http::StatusCode, headers: &mut HeaderMap) -> Headers {
    strip(headers);
    Headers::from_http(&[(":status", status.as_str())], headers)
}

/// Fields of the filter in hyper's form, without the pseudo ones, and the name of the first that
/// cannot be sent, which is left out.
pub(super) fn header_map(fields: &Headers) -> (HeaderMap, Option<String>) {
    let mut map = HeaderMap::with_capacity(fields.len());
    let mut refused = None;
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
        match (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            (Ok(name), Ok(value)) => {
                map.append(name, value);
            }
            (Err(_), _) | (_, Err(_)) => {
                refused.get_or_insert_with(|| String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    strip(&mut map);
    (map, refused)
}

/// A pseudo field as text.
pub(super) fn pseudo<'f>(fields: &'f Headers, name: &str) -> Option<&'f str> {
    fields.first(name.as_bytes()).and_then(|value| str::from_utf8(value).ok())
}

/// The length a head announces.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The status of fields the filter left; nonsense is a server's error.
pub(super) fn status(fields: &Headers) -> http::StatusCode {
    fields
        .first(b":status")
        .and_then(|value| http::StatusCode::from_bytes(value).ok())
        .filter(|status| status.as_u16() >= 200)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_named_by_connection_do_not_travel() {
        let fields = [
            ("connection", "close, X-Own, content-length"),
            ("content-length", "1"),
            ("x-own", "1"),
            ("transfer-encoding", "chunked"),
            ("x-kept", "1"),
        ];
        let (map, refused) = header_map(&fields.into_iter().collect());
        let mut names: Vec<_> = map.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "x-kept"]);
        assert_eq!(refused, None);
    }

    #[test]
    fn fields_that_cannot_be_sent_are_named() {
        let fields = [("x-good", "1"), ("x-bad", "a\r\nset-cookie: b"), ("x y", "1")];
        let (map, refused) = header_map(&fields.into_iter().collect());
        assert_eq!(map.len(), 1);
        assert_eq!(refused.as_deref(), Some("x-bad"));
    }
}
