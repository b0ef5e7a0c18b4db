//! Signatures, version 4, on requests the gateway sends in its own name.
//!
//! Owns what is signed. The path goes out byte for byte as it is; a store checks the signature
//! against the one canonical encoding of it, so that is what the signature is made over.

use std::time::SystemTime;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::settings::Credentials;
use crate::host::Headers;
use crate::store::is_signature;

/// What is encoded in a canonical path.
const CANONICAL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What of a request's body its signature covers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'b> {
    /// All of it.
    Known(&'b [u8]),
    /// Nothing: it is not there yet.
    Streamed,
}

/// Fields by which a client signs in the head, beside `authorization`.
const SIGNED_FIELDS: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// The request has a host or a target no signature can be made over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CannotSign;

/// Takes the client's own signature off a request.
pub(super) fn remove_signature<B>(request: &mut Request<B>) {
    request.headers_mut().remove(AUTHORIZATION);
    for name in SIGNED_FIELDS {
        request.headers_mut().remove(name);
    }
}

/// A target without the parameters of a client's signature; all others stay as they are. Whoever has
/// a presigned address may do what it says, so no log shows one.
pub(crate) fn without_signature(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|parameter| !is_signature(parameter)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Takes the client's own signature off fields.
pub(super) fn remove_signature_fields(fields: &mut Headers) {
    fields.remove(AUTHORIZATION.as_str().as_bytes());
    for name in SIGNED_FIELDS {
        fields.remove(name.as_bytes());
    }
}

/// The target over which a signature is made.
fn canonical(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    let path = percent_encode(&bytes, CANONICAL);
    if query.is_empty() { path.to_string() } else { format!("{path}?{query}") }
}

/// Signs a request that carries its Host.
pub(crate) fn sign_request<B>(
    request: &mut Request<B>,
    payload: Payload<'_>,
    credentials: &Credentials,
    time: SystemTime,
) -> Result<(), CannotSign> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = AwsCredentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "deployment",
    )
    .into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(&credentials.region)
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .map_err(|_| CannotSign)?;
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let uri = format!("https://{host}{}", canonical(target));
    // Only what decides about the object is signed; anything else may change on the way.
    let signed = request.headers().iter().filter_map(|(name, value)| {
        let is_signed = *name == HOST
            || *name == http::header::CONTENT_TYPE
            || *name == http::header::IF_NONE_MATCH
            || *name == http::header::RANGE
            || name.as_str().starts_with("x-amz-");
        is_signed.then_some(name.as_str()).zip(value.to_str().ok())
    });
    let body = match payload {
        Payload::Known(bytes) => SignableBody::Bytes(bytes),
        Payload::Streamed => SignableBody::UnsignedPayload,
    };
    let signable = SignableRequest::new(request.method().as_str(), uri, signed, body)
        .map_err(|_| CannotSign)?;
    let signed = sign(signable, &parameters.into()).map_err(|_| CannotSign)?;
    let (instructions, _) = signed.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::settings::Secret;
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn the_clients_own_signature_goes_and_the_rest_stays() {
        let cases = [
            ("/b/k", "/b/k"),
            (
                "/b/k?versionId=1&X-Amz-Signature=a&x-id=GetObject",
                "/b/k?versionId=1&x-id=GetObject",
            ),
            ("/b/a%2Fb?X-Amz-Date=1&X-Amz-Expires=2", "/b/a%2Fb"),
            ("/b/k?acl", "/b/k?acl"),
            ("/b/k?x%2Doss%2Dsignature=a&x-oss-credential=b&x=1", "/b/k?x=1"),
            ("/b/k?OSSAccessKeyId=a&Expires=1&Signature=b%2B", "/b/k"),
            ("/b/k?AWSAccessKeyId=a&Expires=1&Signature=b", "/b/k"),
        ];
        for (target, expected) in cases {
            assert_eq!(without_signature(target), expected, "{target}");
        }
    }

    #[test]
    fn paths_are_signed_in_their_canonical_encoding() {
        let cases = [
            ("/b/a%2fb//c/../d", "/b/a/b//c/../d"),
            ("/b/a+b!%20c", "/b/a%2Bb%21%20c"),
            ("/b/%C3%A9?x=1%2F", "/b/%C3%A9?x=1%2F"),
        ];
        for (target, expected) in cases {
            assert_eq!(canonical(target), expected, "{target}");
        }
    }

    /// The example of a GET of an object in the public description of signature version 4.
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
            region: "us-east-1".to_owned(),
        };
        let mut request = Request::get("https://examplebucket.s3.amazonaws.com/test.txt")
            .header(HOST, "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-9")
            .body(())
            .unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        sign_request(&mut request, Payload::Known(b""), &credentials, time).unwrap();
        let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
        assert!(
            authorization.ends_with(
                "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            "{authorization}"
        );
    }
}
