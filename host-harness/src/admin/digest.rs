//! Whether a body is the one that its headers speak of.

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

use super::call::Manner;
use super::refusal::Refusal;

/// What stands for the hash of a body that was not hashed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Checks a body against every digest in the request's headers, and in the trailers behind it.
pub(super) fn check(
    manner: Manner,
    headers: &HeaderMap,
    trailers: &HeaderMap,
    body: &[u8],
) -> Result<(), Refusal> {
    if let Some(expected) = text(headers, "content-md5")? {
        check_md5(manner, expected, body)?;
    }
    for name in ["x-amz-content-sha256", "x-oss-content-sha256"] {
        let given = text(headers, name)?;
        // A body in signed chunks was checked where the signature was.
        let hash = given.filter(|hash| *hash != UNSIGNED && !hash.starts_with("STREAMING-"));
        if let Some(hash) = hash {
            let own =
                hex_simd::encode_to_string(Sha256::checksum(body), hex_simd::AsciiCase::Lower);
            if !hash.eq_ignore_ascii_case(&own) {
                return Err(content_sha256(manner));
            }
        }
    }
    let announced = text(headers, "x-amz-trailer")?.into_iter().flat_map(|names| names.split(','));
    for name in announced.map(str::trim) {
        if trailers.get(name).is_none() {
            return Err(Refusal::bad_digest(format!(
                "The trailer {name} was announced, not sent."
            )));
        }
    }
    let (in_headers, in_trailers) = (Checksums::of(headers)?, Checksums::of(trailers)?);
    in_headers.check(body)?;
    in_trailers.check(body)
}

/// The refusal of a body with another hash than its header has.
pub(super) fn content_sha256(manner: Manner) -> Refusal {
    let message = "The SHA-256 of the body is not the one in the request's header.";
    match manner {
        Manner::Oss => Refusal::invalid_digest(message),
        Manner::S3 => {
            Refusal::new(http::StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch", message)
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => {
            let shown = String::from_utf8_lossy(value.as_bytes());
            Err(Refusal::invalid_header(name, &shown, "visible ASCII"))
        }
    }
}

fn check_md5(manner: Manner, expected: &str, body: &[u8]) -> Result<(), Refusal> {
    let decoded = base64_simd::STANDARD.decode_to_vec(expected).ok();
    let Some(expected) = decoded.filter(|digest| digest.len() == 16) else {
        let message = "The Content-MD5 you specified was invalid: expected 16 bytes in base64.";
        return Err(Refusal::invalid_digest(message));
    };
    if Md5::checksum(body).as_slice() == expected {
        return Ok(());
    }
    let message = "The Content-MD5 you specified did not match what we received.";
    Err(match manner {
        Manner::Oss => Refusal::invalid_digest(message),
        Manner::S3 => Refusal::bad_digest(message),
    })
}

/// S3's checksums of a body, in base64.
#[derive(Default)]
struct Checksums<'h> {
    crc32: Option<&'h str>,
    crc32c: Option<&'h str>,
    crc64nvme: Option<&'h str>,
    sha1: Option<&'h str>,
    sha256: Option<&'h str>,
}

impl<'h> Checksums<'h> {
    fn of(headers: &'h HeaderMap) -> Result<Self, Refusal> {
        Ok(Self {
            crc32: text(headers, "x-amz-checksum-crc32")?,
            crc32c: text(headers, "x-amz-checksum-crc32c")?,
            crc64nvme: text(headers, "x-amz-checksum-crc64nvme")?,
            sha1: text(headers, "x-amz-checksum-sha1")?,
            sha256: text(headers, "x-amz-checksum-sha256")?,
        })
    }

    fn check(&self, body: &[u8]) -> Result<(), Refusal> {
        let Self { crc32, crc32c, crc64nvme, sha1, sha256 } = self;
        let mut hasher = ChecksumHasher {
            crc32: crc32.map(|_| Crc32::new()),
            crc32c: crc32c.map(|_| Crc32c::new()),
            crc64nvme: crc64nvme.map(|_| Crc64Nvme::new()),
            sha1: sha1.map(|_| Sha1::new()),
            sha256: sha256.map(|_| Sha256::new()),
        };
        hasher.update(body);
        let own = hasher.finalize();
        for (name, given, own) in [
            ("CRC32", crc32, own.checksum_crc32),
            ("CRC32C", crc32c, own.checksum_crc32c),
            ("CRC64NVME", crc64nvme, own.checksum_crc64nvme),
            ("SHA1", sha1, own.checksum_sha1),
            ("SHA256", sha256, own.checksum_sha256),
        ] {
            if *given != own.as_deref() {
                let message = format!("The {name} you specified did not match what we received.");
                return Err(Refusal::bad_digest(message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// The outcome for the body `hello` with one header.
    fn checked(manner: Manner, name: &'static str, value: &'static str) -> Result<(), String> {
        let pair = (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers = [pair].into_iter().collect();
        let outcome = check(manner, &headers, &HeaderMap::new(), b"hello");
        outcome.map_err(|refusal| refusal.code.into_owned())
    }

    #[test]
    fn right_digests_pass() {
        // Of `hello`, by md5sum, sha256sum, sha1sum and Python's zlib.
        for (name, value) in [
            ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
            (
                "x-amz-content-sha256",
                "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            ),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-amz-checksum-crc32", "NhCmhg=="),
            ("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
            ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ] {
            assert_eq!(checked(Manner::S3, name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn wrong_digests_do_not() {
        for (manner, name, value, code) in [
            (Manner::Oss, "content-md5", "XUFAKrxLKna5cZ2REBfFkQ==", "InvalidDigest"),
            (Manner::S3, "content-md5", "XUFAKrxLKna5cZ2REBfFkQ==", "BadDigest"),
            (Manner::S3, "content-md5", "XUFA", "InvalidDigest"),
            (Manner::Oss, "content-md5", "5d41402abc4b2a76b9719d911017c592", "InvalidDigest"),
            (Manner::Oss, "x-oss-content-sha256", "00", "InvalidDigest"),
            (Manner::S3, "x-amz-content-sha256", "00", "XAmzContentSHA256Mismatch"),
            (Manner::S3, "x-amz-checksum-crc32", "NhCmhQ==", "BadDigest"),
            (Manner::S3, "x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "BadDigest"),
            (Manner::S3, "x-amz-trailer", "x-amz-checksum-crc32", "BadDigest"),
        ] {
            assert_eq!(checked(manner, name, value), Err(code.to_owned()), "{name}: {value}");
        }
    }
}
