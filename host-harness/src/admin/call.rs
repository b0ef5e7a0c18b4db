//! What a request asks for: which operation, on which bucket, in whose manner.
//!
//! Owns addressing. Nothing is known here of who asks.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::refusal::Refusal;

/// Whose manner a request has, which the answer has too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// OSS's.
    Oss,
    /// S3's.
    S3,
}

/// An operation on a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operation {
    /// Forget the website configuration.
    Delete,
    /// Give the website configuration back.
    Get,
    /// Say where the bucket is, which some clients of S3 ask on the way.
    Locate,
    /// Replace the website configuration.
    Put,
}

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) bucket: String,
}

/// Whose manner a request has: its signature's, or that of its other headers.
pub(super) fn manner(headers: &HeaderMap) -> Manner {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let is_s3 = match authorization {
        Some(value) => value.starts_with(b"AWS"),
        None => headers.keys().any(|name| name.as_str().starts_with("x-amz-")),
    };
    if is_s3 { Manner::S3 } else { Manner::Oss }
}

/// The host a request names, without a port, in lower case.
pub(super) fn host(head: &Parts) -> String {
    let named = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
    let host = host.unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    name.to_ascii_lowercase()
}

impl Call {
    /// Reads a request's head; below `domain` the host names the bucket.
    pub(super) fn read(
        head: &Parts,
        manner: Manner,
        domain: Option<&str>,
    ) -> Result<Self, Refusal> {
        let host = host(head);
        let bucket = domain.and_then(|domain| host.strip_suffix(domain)?.strip_suffix('.'));
        let path = head.uri.path().trim_start_matches('/');
        let bucket = match bucket {
            Some(bucket) if path.is_empty() => bucket,
            None => path.strip_suffix('/').unwrap_or(path),
            Some(_) => return Err(Refusal::not_implemented()),
        };
        let query = head.uri.query().unwrap_or_default();
        if query.split('&').any(is_signature) {
            return Err(Refusal::signed_by_query());
        }
        if bucket.is_empty() || bucket.contains('/') {
            return Err(Refusal::not_implemented());
        }
        let operation = match (query.strip_suffix('=').unwrap_or(query), &head.method) {
            ("website", &Method::DELETE) => Operation::Delete,
            ("website", &Method::GET) => Operation::Get,
            ("website", &Method::PUT) => Operation::Put,
            ("website", _) => return Err(Refusal::method_not_allowed()),
            ("location", &Method::GET) if manner == Manner::S3 => Operation::Locate,
            (_, _) => return Err(Refusal::not_implemented()),
        };
        Ok(Self { operation, bucket: bucket.to_owned() })
    }
}

/// Whether a parameter of a query is a signature, S3's or OSS's.
fn is_signature(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    ["Signature", "X-Amz-Signature", "x-oss-signature"].contains(&name)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(method: &str, host: &str, target: &str) -> Result<Call, String> {
        let request = Request::builder().method(method).uri(target).header("host", host);
        let (head, ()) = request.body(()).unwrap().into_parts();
        Call::read(&head, Manner::Oss, Some("oss.example.com"))
            .map_err(|refusal| refusal.code.into_owned())
    }

    #[test]
    fn buckets_are_named_in_the_path_or_in_the_host() {
        for (host, target) in [
            ("127.0.0.1:8090", "/abc?website"),
            ("127.0.0.1:8090", "/abc/?website="),
            ("[::1]:8090", "/abc/?website="),
            ("oss.example.com", "/abc?website"),
            ("abc.oss.example.com", "/?website"),
            ("ABC.OSS.example.com:8090", "/?website="),
            ("elsewhere.example.com", "/abc?website"),
            ("127.0.0.1", "http://127.0.0.1/abc?website"),
        ] {
            let call = Call { operation: Operation::Get, bucket: "abc".to_owned() };
            assert_eq!(read("GET", host, target), Ok(call), "{host} {target}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (method, host, target, code) in [
            ("GET", "127.0.0.1", "/", "NotImplemented"),
            ("GET", "127.0.0.1", "/?website", "NotImplemented"),
            ("GET", "127.0.0.1", "/abc", "NotImplemented"),
            ("GET", "127.0.0.1", "/abc?acl", "NotImplemented"),
            ("GET", "127.0.0.1", "/abc?location", "NotImplemented"),
            ("GET", "127.0.0.1", "/abc?website&acl", "NotImplemented"),
            ("GET", "127.0.0.1", "/abc?website=1", "NotImplemented"),
            ("GET", "127.0.0.1", "/abc/key?website", "NotImplemented"),
            ("GET", "abc.oss.example.com", "/key?website", "NotImplemented"),
            ("POST", "127.0.0.1", "/abc?website", "MethodNotAllowed"),
            ("HEAD", "127.0.0.1", "/abc?website", "MethodNotAllowed"),
            ("PUT", "127.0.0.1", "/abc?website&X-Amz-Signature=0", "AccessDenied"),
            ("PUT", "127.0.0.1", "/abc?website&OSSAccessKeyId=a&Signature=b", "AccessDenied"),
        ] {
            assert_eq!(
                read(method, host, target),
                Err(code.to_owned()),
                "{method} {host} {target}"
            );
        }
    }

    #[test]
    fn a_request_has_the_manner_of_its_signature() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            pairs.collect::<HeaderMap>()
        };
        for (pairs, expected) in [
            (&[("authorization", "AWS4-HMAC-SHA256 Credential=a")][..], Manner::S3),
            (&[("authorization", "AWS a:b")], Manner::S3),
            (&[("authorization", "OSS a:b"), ("x-amz-date", "")], Manner::Oss),
            (&[("authorization", "OSS4-HMAC-SHA256 Credential=a")], Manner::Oss),
            (&[("x-amz-date", "")], Manner::S3),
            (&[], Manner::Oss),
        ] {
            assert_eq!(manner(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
