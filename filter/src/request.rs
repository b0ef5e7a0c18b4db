//! The operations rules apply to, GetObject and HeadObject, and how a request names its object.

use crate::http::headers::{HeaderList, Headers};
use crate::http::query::Process;
use crate::http::{Scheme, field, percent, query, range};
use crate::naming::{self, Named};
use crate::reason::Pass;

/// The longest key S3 knows, in bytes.
const MAX_KEY_BYTES: usize = 1_024;

/// What is asked of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// The object.
    Get,
    /// Its headers.
    Head,
}

impl Method {
    /// Its name in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }
}

/// What of a request rules are about.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// What is asked of the object.
    pub method: Method,
    /// The object's key, decoded.
    pub key: &'a [u8],
    /// The query as it came, without the `?`.
    pub query: &'a str,
    /// The request's headers.
    pub headers: &'a Headers,
    /// Whether an image is to be made of the object.
    pub is_processed: bool,
}

impl RequestView<'_> {
    /// Whether whoever asks says who that is.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.headers.get("authorization").is_some() || query::is_signed(self.query)
    }
}

/// A request for one object.
#[derive(Clone, Debug)]
pub struct ObjectRequest {
    /// What is asked of it.
    pub method: Method,
    /// The bucket's name.
    pub bucket: String,
    /// Whether the bucket stands in the path rather than in the host.
    pub bucket_in_path: bool,
    /// The object's key, decoded.
    pub key: Vec<u8>,
    /// The query as it came, without the `?`.
    pub query: String,
    /// The request's own scheme.
    pub scheme: Scheme,
    /// The request's own host.
    pub authority: String,
    /// All its headers.
    pub headers: Headers,
    /// Its name in the gateway's answers: `x-request-id`, or else a number.
    pub id: String,
    /// Whether an image is to be made of the object.
    pub is_processed: bool,
    /// Whether somebody has signed it, so that it may say how the answer is to look.
    pub is_signed: bool,
    /// Whether the bucket was asked, and has no marker that its object was deleted.
    pub is_unmarked: bool,
}

impl ObjectRequest {
    /// Reads a request's headers. `names_bucket` says which names are configured buckets.
    ///
    /// # Errors
    ///
    /// The reason why the request is no GetObject or HeadObject of a configured bucket.
    pub fn read(
        headers: Headers,
        domain: Option<&str>,
        names_bucket: impl Fn(&str) -> bool,
    ) -> Result<Self, Pass> {
        let method = [Method::Get, Method::Head]
            .into_iter()
            .find(|method| headers.get(":method") == Some(method.as_str().as_bytes()))
            .ok_or(Pass::Method)?;
        let target = headers.get(":path").ok_or(Pass::NoKey)?;
        let authority = headers.text(":authority").unwrap_or_default().to_owned();
        let scheme = headers.text(":scheme").and_then(Scheme::parse).unwrap_or(Scheme::Http);

        if !target.starts_with(b"/") {
            return Err(Pass::NoKey);
        }
        let known = |name: &str| names_bucket(name).then(|| name.to_owned());
        let Named { bucket, in_path: bucket_in_path, rest } =
            naming::named(&authority, target, domain, known).ok_or(Pass::NoBucket)?;
        let (key, query) = key_and_query(rest);
        let query = std::str::from_utf8(query).map_err(|_| Pass::KeyEncoding)?.to_owned();
        let key = key.ok_or(Pass::KeyEncoding)?;
        if key.is_empty() {
            return Err(Pass::NoKey);
        }
        let is_processed = query::process(&query) == Some(Process::Image);
        if let Some(name) = query::subresource(&query, is_processed) {
            return Err(Pass::Subresource(name));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(Pass::KeyTooLong);
        }
        if climbs_out(&key) {
            return Err(Pass::KeyClimbs);
        }
        let id = headers.text("x-request-id").unwrap_or_default().to_owned();
        let is_signed = headers.get("authorization").is_some() || query::is_signed(&query);
        Ok(Self {
            method,
            bucket,
            bucket_in_path,
            key,
            query,
            scheme,
            authority,
            headers,
            id,
            is_processed,
            is_signed,
            is_unmarked: false,
        })
    }

    /// Names it by its number, where nobody before the gateway has given it a name.
    pub(crate) fn name_by(&mut self, number: u64) {
        if self.id.is_empty() {
            // Numbers that follow each other look like it no more.
            self.id = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            self.id.make_ascii_uppercase();
        }
    }

    /// Adds its name to the headers of an answer, as S3 does.
    pub(crate) fn sign_off(&self, headers: &mut HeaderList) {
        if !self.id.is_empty() {
            headers.add("x-amz-request-id", &self.id);
        }
    }

    /// Says of an object what the request wants said in its answer alone, by S3's `response-*`. S3
    /// refuses them where nobody has signed: anybody could have anything said of another's object.
    pub(crate) fn override_headers(&self, headers: &mut HeaderList) {
        for (name, value) in query::overrides(&self.query).filter(|_| self.is_signed) {
            if let Some(value) = field::in_ascii(name, &value) {
                headers.remove(name);
                headers.add(name, value);
            }
        }
    }

    /// What of it rules are about.
    #[must_use]
    pub fn view(&self) -> RequestView<'_> {
        let Self { method, key, query, headers, is_processed, .. } = self;
        RequestView { method: *method, key, query, headers, is_processed: *is_processed }
    }

    /// The Range to be answered, where it is of one part: S3 takes any other for none. A HEAD has none
    /// (RFC 9110, section 14.2). One that hangs on a date is none: not all origins heed that, and a date
    /// proves nothing of what they send. A strong ETag does.
    #[must_use]
    pub fn range(&self) -> Option<&[u8]> {
        let is_strong =
            |known: &[u8]| known.starts_with(b"\"") && std::str::from_utf8(known).is_ok();
        match self.method {
            Method::Get => self.headers.get("range"),
            Method::Head => None,
        }
        .filter(|range| range::is_single(range))
        .filter(|_| self.headers.get("if-range").is_none_or(is_strong))
    }

    /// `bucket/key`, for people.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.bucket, percent::readable(&self.key))
    }
}

/// The decoded key, where it can be, and the query.
pub(crate) fn key_and_query(rest: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let mut halves = rest.splitn(2, |byte| *byte == b'?');
    let path = halves.next().unwrap_or_default();
    let key = percent::decode(path.strip_prefix(b"/").unwrap_or_default());
    (key, halves.next().unwrap_or_default())
}

/// Whether the dot segments of a key would lead out above its root.
///
/// Servers resolve `..` as they like, encoded or not, some with `\` as a separator too: such a key
/// could reach another bucket, or leave the path of a MirrorURL.
pub(crate) fn climbs_out(key: &[u8]) -> bool {
    let mut depth: usize = 0;
    for segment in key.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            // An empty segment is no step down: a server may merge slashes before it resolves.
            b"" | b"." => {}
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, host: &str, path: &[u8]) -> Result<ObjectRequest, Pass> {
        let headers = Headers::from_pairs([
            (&b":method"[..], method.as_bytes()),
            (b":authority", host.as_bytes()),
            (b":scheme", b"https"),
            (b":path", path),
        ]);
        ObjectRequest::read(headers, Some("s3.example"), |name| name == "b" || name == "b.c")
    }

    #[test]
    fn a_bucket_is_named_by_path_or_host() {
        let cases: &[(&str, &str, &str, &[u8], bool)] = &[
            ("h", "/b/k", "b", b"k", true),
            ("h", "/b/a/../k//x+%2B%2f?x=1", "b", b"a/../k//x++/", true),
            ("h", "/b//k", "b", b"/k", true),
            ("b.s3.example", "/k", "b", b"k", false),
            ("B.S3.Example:8080", "/b/k", "b", b"b/k", false),
            ("b.c.s3.example", "/k", "b.c", b"k", false),
            ("s3.example", "/b/k", "b", b"k", true),
        ];
        for (host, path, bucket, key, in_path) in cases {
            let request = read("GET", host, path.as_bytes()).unwrap();
            let found = (request.bucket.as_str(), request.key.as_slice(), request.bucket_in_path);
            assert_eq!(found, (*bucket, *key, *in_path), "{host} {path}");
        }
    }

    #[test]
    fn whatever_is_no_get_object_is_left_alone() {
        let long = format!("/b/{}", "k".repeat(1_025));
        let cases: &[(&str, &[u8], Pass)] = &[
            ("PUT", b"/b/k", Pass::Method),
            ("HEAD", b"/b/k?acl", Pass::Subresource("acl")),
            ("head", b"/b/k", Pass::Method),
            ("GET", b"/", Pass::NoBucket),
            ("GET", b"*", Pass::NoKey),
            ("GET", b"/b", Pass::NoKey),
            ("GET", b"/b/", Pass::NoKey),
            ("GET", b"/b/?list-type=2", Pass::NoKey),
            ("GET", b"/c/k", Pass::NoBucket),
            ("GET", b"/b%2Fk", Pass::NoBucket),
            ("GET", b"/%62/k", Pass::NoBucket),
            ("GET", b"/b/k?acl", Pass::Subresource("acl")),
            ("GET", b"/b/k?versionId=1", Pass::Subresource("versionId")),
            ("GET", b"/b/%zz", Pass::KeyEncoding),
            ("GET", b"/b/k?\xff", Pass::KeyEncoding),
            ("GET", b"/b/../c/k", Pass::KeyClimbs),
            ("GET", b"/b/%2e%2E/c/k", Pass::KeyClimbs),
            ("GET", long.as_bytes(), Pass::KeyTooLong),
        ];
        for (method, path, expected) in cases {
            let found = read(method, "h", path).map(|request| request.key);
            assert_eq!(found, Err(*expected), "{method} {}", percent::readable(path));
        }
    }

    #[test]
    fn keys_that_climb_out_are_known() {
        let cases = [
            ("a/b", false),
            ("a/../b", false),
            ("a/..", false),
            ("..a/b..", false),
            ("a/./../b", false),
            ("..", true),
            ("../a", true),
            ("a/../../b", true),
            ("a//../../b", true),
            ("a\\..\\..\\b", true),
            ("./../a", true),
        ];
        for (key, expected) in cases {
            assert_eq!(climbs_out(key.as_bytes()), expected, "{key}");
        }
    }
}
