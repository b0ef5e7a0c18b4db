//! The query of a request for an object: what makes it another operation, what may travel on.
//!
//! Parameters are compared by their decoded names, so that `X%2DAmz-Signature` hides nothing.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

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

fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let name = raw.split_once('=').map_or(raw, |(name, _)| name);
        Parameter { raw, name: percent_decode_str(name).decode_utf8_lossy() }
    })
}

/// The first parameter that makes this another operation than GetObject.
#[must_use]
pub fn subresource(query: &str) -> Option<&'static str> {
    parameters(query).find_map(|parameter| {
        SUBRESOURCES.iter().copied().find(|known| *known == parameter.name.as_ref())
    })
}

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
/// alone. The order and the encoding of the rest stay as they came.
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
            || name.starts_with("x-oss-")
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
            assert_eq!(subresource(query), expected, "{query}");
        }
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
        ];
        for (query, expected) in cases {
            assert_eq!(for_others(query), expected, "{query}");
        }
    }
}
