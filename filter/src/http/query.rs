//! The query of a request for an object: what makes it another operation, what may travel on.
//!
//! Parameters are compared by their decoded names, so that `X%2DAmz-Signature` hides nothing.

use std::borrow::Cow;

use percent_encoding::{percent_decode, percent_decode_str};

/// Parameters that make a GET on a key another operation than GetObject.
///
/// S3: the API reference's GET operations on an object, and the bucket operations that some
/// stores also answer below a key. OSS: the sub-resources its signature covers.
pub const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "append",
    "asyncFetch",
    "attributes",
    "bucketInfo",
    "callback",
    "callback-var",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "notification",
    "object-lock",
    "objectInfo",
    "objectMeta",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "referer",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "select-type",
    "symlink",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "worm",
    "x-oss-async-process",
    "x-oss-process",
];

/// Signature parameters that only mean one beside an access key of the old presigned form.
const OLD_SIGNATURE: &[&str] = &["expires", "signature", "security-token"];

/// One `name=value` of a query.
struct Parameter<'a> {
    raw: &'a str,
    name: Cow<'a, str>,
}

impl Parameter<'_> {
    /// Its value, decoded. A `+` is a blank, as a form has it.
    fn value(&self) -> Vec<u8> {
        let value = self.raw.split_once('=').map_or("", |(_, value)| value);
        let blank = |byte| if byte == b'+' { b' ' } else { byte };
        let value: Vec<u8> = value.bytes().map(blank).collect();
        percent_decode(&value).collect()
    }
}

fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    let mut rest = query;
    std::iter::from_fn(move || next(&mut rest))
}

/// The next parameter of a query. Once for all who read one: each copy would be as large.
#[inline(never)]
fn next<'a>(rest: &mut &'a str) -> Option<Parameter<'a>> {
    while !rest.is_empty() {
        let (raw, behind) = rest.split_once('&').unwrap_or((rest, ""));
        *rest = behind;
        if !raw.is_empty() {
            let name = raw.split_once('=').map_or(raw, |(name, _)| name);
            return Some(Parameter { raw, name: percent_decode_str(name).decode_utf8_lossy() });
        }
    }
    None
}

/// The first parameter that makes this another operation than GetObject; `is_processed` says whether
/// what is to be made of the object is none.
#[must_use]
pub fn subresource(query: &str, is_processed: bool) -> Option<&'static str> {
    parameters(query).find_map(|parameter| {
        let mut known = SUBRESOURCES.iter().copied();
        known.find(|known| *known == parameter.name && !(is_processed && *known == PROCESS))
    })
}

/// By which a client of OSS's says what is to be made of an object.
pub(crate) const PROCESS: &str = "x-oss-process";

/// What is to be made of an object for one client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Process {
    /// An image, by its parameters or a style's name.
    Image,
    /// Anything else: a frame of a video, a document's page.
    Other,
}

/// What a query says that is to be made of the object.
#[must_use]
pub fn process(query: &str) -> Option<Process> {
    let mut found = None;
    for parameter in parameters(query).filter(|parameter| parameter.name == PROCESS) {
        let value = parameter.value();
        let is_image = value.starts_with(b"image/") || value.starts_with(b"style/");
        // Of two, nobody knows which counts.
        let is_one = is_image && found.is_none();
        found = Some(if is_one { Process::Image } else { Process::Other });
    }
    found
}

/// The overrides of an answer's headers in a query (S3's GetObject and HeadObject): names and values.
pub fn overrides(query: &str) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    OVERRIDES.iter().filter_map(|name| {
        let of_it = |own: &Parameter<'_>| own.name.strip_prefix("response-") == Some(*name);
        let value = parameters(query).find(of_it)?.value();
        Some((*name, value)).filter(|(_, value)| !value.is_empty())
    })
}

/// What may be said otherwise of an object in one answer.
const OVERRIDES: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];

/// The parameters by which a request is signed in its query.
const SIGNED: &[&str] = &[
    "awsaccesskeyid",
    "ossaccesskeyid",
    "x-amz-credential",
    "x-amz-signature",
    "x-oss-credential",
    "x-oss-signature",
];

/// Whether a request is signed by its query.
#[must_use]
pub fn is_signed(query: &str) -> bool {
    let is_one = |name: &str| SIGNED.iter().any(|known| name.eq_ignore_ascii_case(known));
    parameters(query).any(|parameter| is_one(&parameter.name))
}

/// What of a client's query may leave for an origin or a redirect's target.
///
/// Signatures, credentials, `response-*` overrides and the SDKs' own marks are meant for the store
/// alone; what is to be made of an image is not. The order and the encoding of the rest stay as they came.
#[must_use]
pub fn for_others(query: &str) -> String {
    let presigned_the_old_way = parameters(query).any(|parameter| {
        parameter.name.eq_ignore_ascii_case("AWSAccessKeyId")
            || parameter.name.eq_ignore_ascii_case("OSSAccessKeyId")
    });
    let mut kept = String::new();
    for parameter in parameters(query) {
        let name = parameter.name.to_ascii_lowercase();
        let for_the_store = name.starts_with("x-amz-")
            || (name.starts_with("x-oss-") && name != PROCESS)
            || name.starts_with("response-")
            || name == "x-id"
            || name == "awsaccesskeyid"
            || name == "ossaccesskeyid"
            || (presigned_the_old_way && OLD_SIGNATURE.contains(&name.as_str()));
        if !for_the_store {
            if !kept.is_empty() {
                kept.push('&');
            }
            kept.push_str(parameter.raw);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subresources_are_seen_by_their_decoded_names() {
        let cases = [
            ("", None),
            ("x=1", None),
            ("acl", Some("acl")),
            ("x=1&versionId=3", Some("versionId")),
            ("%61cl", Some("acl")),
            ("ACL", None),
            ("prefix=acl", None),
            ("uploadId=x&partNumber=1", Some("uploadId")),
            ("response-content-type=text/plain", None),
            ("X-Amz-Signature=a&X-Amz-Credential=b", None),
            ("x-id=GetObject", None),
        ];
        for (query, expected) in cases {
            assert_eq!(subresource(query, false), expected, "{query}");
        }
    }

    #[test]
    fn what_is_to_be_made_of_an_object_is_read() {
        for (query, expected) in [
            ("", None),
            ("x=x-oss-process", None),
            ("v=1&x-oss-process=image/resize,w_100", Some(Process::Image)),
            ("x%2Doss-process=image%2Fresize,w_100", Some(Process::Image)),
            ("x-oss-process=style/small", Some(Process::Image)),
            ("x-oss-process=video/snapshot,t_7000", Some(Process::Other)),
            ("x-oss-process", Some(Process::Other)),
            ("x-oss-process=image/a&x-oss-process=image/b", Some(Process::Other)),
        ] {
            assert_eq!(process(query), expected, "{query}");
        }
    }

    #[test]
    fn overrides_are_read_by_their_names() {
        let query = "response-content-type=text%2Fhtml&response-expires=&response-content-type=b\
                     &response-x=1&response-content-disposition=a+b%20c&Response-Cache-Control=d";
        let found: Vec<_> = overrides(query).collect();
        let expected = [("content-disposition", &b"a b c"[..]), ("content-type", b"text/html")];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_vec())));
    }

    #[test]
    fn a_signature_is_seen_by_its_decoded_name() {
        for (query, expected) in [
            ("", false),
            ("x=1&Expires=1&Signature=2", false),
            ("x-id=GetObject&x-amz-checksum-mode=ENABLED", false),
            ("v=1&X-Amz-Signature=s", true),
            ("X%2DAmz%2DCredential=s", true),
            ("AWSAccessKeyId=k&Expires=1&Signature=2", true),
            ("OSSAccessKeyId=k", true),
            ("x-oss-signature=s", true),
            ("x=signature", false),
            ("signatures=x", false),
            ("\u{e9}ignature=x", false),
        ] {
            assert_eq!(is_signed(query), expected, "{query}");
        }
    }

    #[test]
    fn signatures_and_overrides_stay_with_the_store() {
        let cases = [
            ("", ""),
            ("a=1&b=%20+&a=2", "a=1&b=%20+&a=2"),
            ("a=1&X-Amz-Signature=s&x-amz-date=d", "a=1"),
            ("X%2DAmz-Signature=s", ""),
            ("response-content-type=x&v=2", "v=2"),
            ("Expires=1&Signature=2", "Expires=1&Signature=2"),
            ("AWSAccessKeyId=k&Expires=1&Signature=2&v=3", "v=3"),
            ("OSSAccessKeyId=k&Expires=1&Signature=2", ""),
            ("x-id=GetObject&&v", "v"),
            ("x-oss-process=image/info&x-oss-date=d", "x-oss-process=image/info"),
        ];
        for (query, expected) in cases {
            assert_eq!(for_others(query), expected, "{query}");
        }
    }
}
