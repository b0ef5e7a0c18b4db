//! Digests: what an origin announced of an object's bytes, and whether these are they.
//!
//! Only where a rule says `MirrorCheckMd5`, and only the digests that are announced are computed.
//! Some are of the whole object whatever was asked for (`Repr-Digest`, `Digest`, an S3 ETag);
//! others are of what the message carries, or of the whole, and servers differ (`Content-MD5`,
//! `Content-Digest`, `x-amz-checksum-*`). That is the same for a whole object; of a range either
//! may be right.

use std::fmt;

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Table};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::http::field::base64;
use crate::http::headers::Headers;

static CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
static CRC32C: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);
static CRC64_NVME: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_NVME);

/// S3's own headers, one an algorithm.
const CHECKSUMS: &[(&str, Algorithm)] = &[
    ("x-amz-checksum-crc32", Algorithm::Crc32),
    ("x-amz-checksum-crc32c", Algorithm::Crc32c),
    ("x-amz-checksum-crc64nvme", Algorithm::Crc64Nvme),
    ("x-amz-checksum-sha1", Algorithm::Sha1),
    ("x-amz-checksum-sha256", Algorithm::Sha256),
];

/// How a digest is computed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// CRC-32, as in gzip.
    Crc32,
    /// CRC-32C, of Castagnoli.
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }

    /// By its name in `Repr-Digest` (RFC 9530) or `Digest` (RFC 3230).
    fn of_field(name: &str) -> Option<Self> {
        [
            ("crc32c", Self::Crc32c),
            ("md5", Self::Md5),
            ("sha", Self::Sha1),
            ("sha-256", Self::Sha256),
            ("sha-512", Self::Sha512),
        ]
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, algorithm)| algorithm)
    }

    fn begin(self) -> Sum {
        match self {
            Self::Crc32 => Sum::Crc32(CRC32.digest()),
            Self::Crc32c => Sum::Crc32(CRC32C.digest()),
            Self::Crc64Nvme => Sum::Crc64(CRC64_NVME.digest()),
            Self::Md5 => Sum::Md5(Md5::new()),
            Self::Sha1 => Sum::Sha1(Sha1::new()),
            Self::Sha256 => Sum::Sha256(Sha256::new()),
            Self::Sha512 => Sum::Sha512(Sha512::new()),
        }
    }
}

/// A digest that is not that of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// The header that announced it.
    pub header: &'static str,
    /// How it is computed.
    pub algorithm: Algorithm,
}

impl fmt::Display for Mismatch {
    /// In OSS's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.algorithm.name();
        write!(f, "{name} in header({}) is not equal to {name} calculated", self.header)
    }
}

/// A digest that an origin announced.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Announced {
    header: &'static str,
    algorithm: Algorithm,
    /// In base64 or in hexadecimal, as it came. One that cannot be read equals none.
    value: String,
    /// Whether it is of the whole object, also where the message carries a part.
    is_of_whole: bool,
}

impl Announced {
    const fn mismatch(&self) -> Mismatch {
        Mismatch { header: self.header, algorithm: self.algorithm }
    }

    fn is(&self, bytes: &[u8]) -> bool {
        let value = self.value.trim_end_matches('=');
        value == base64(bytes) || value.eq_ignore_ascii_case(&hexadecimal(bytes))
    }
}

/// The check of one object: what is announced of it, and the bytes so far.
#[derive(Clone, Debug, Default)]
pub struct Check {
    announced: Vec<Announced>,
    sums: Vec<(Algorithm, Sum)>,
}

impl Check {
    /// What the answer with a whole object announces.
    #[must_use]
    pub fn of_whole(answer: &Headers) -> Self {
        Self::new(announced(answer))
    }

    fn new(announced: impl IntoIterator<Item = Announced>) -> Self {
        let mut check = Self::default();
        for digest in announced {
            check.expect(digest);
        }
        check
    }

    fn expect(&mut self, digest: Announced) {
        let algorithm = digest.algorithm;
        if !self.sums.iter().any(|(known, _)| *known == algorithm) {
            self.sums.push((algorithm, algorithm.begin()));
        }
        self.announced.push(digest);
    }

    /// The next bytes of the object.
    pub fn update(&mut self, bytes: &[u8]) {
        for (_, sum) in &mut self.sums {
            sum.update(bytes);
        }
    }

    /// A digest that is not that of the bytes so far.
    #[must_use]
    pub fn mismatch(&self) -> Option<Mismatch> {
        self.missed().next().map(Announced::mismatch)
    }

    /// Takes what the answer with a range announces, before the range is taken as bytes. What it
    /// says of the message is the range's or the whole object's digest. The first range says which
    /// that is, and what is expected of the whole.
    pub fn on_range(&mut self, answer: &Headers, range: &[u8], is_first: bool) -> Option<Mismatch> {
        let (of_whole, of_message): (Vec<_>, Vec<_>) =
            announced(answer).into_iter().partition(|digest| digest.is_of_whole);
        if is_first {
            *self = Self::new(of_whole);
        }
        let mut own = Self::new(of_message);
        own.update(range);
        for missed in own.missed() {
            let known = self.announced.iter().any(|of_whole| {
                of_whole.algorithm == missed.algorithm && of_whole.value == missed.value
            });
            match (known, is_first) {
                (true, _) => {}
                (false, true) => self.expect(missed.clone()),
                (false, false) => return Some(missed.mismatch()),
            }
        }
        None
    }

    fn missed(&self) -> impl Iterator<Item = &Announced> {
        let sums: Vec<_> = self.sums.iter().map(|(of, sum)| (*of, sum.clone().finish())).collect();
        self.announced.iter().filter(move |digest| {
            !sums.iter().any(|(of, bytes)| *of == digest.algorithm && digest.is(bytes))
        })
    }
}

/// The digests an answer announces, of those that are known.
fn announced(answer: &Headers) -> Vec<Announced> {
    let mut found = Vec::new();
    let is_composite = answer
        .text("x-amz-checksum-type")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("COMPOSITE"));
    for (name, value) in answer.iter() {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let value = value.trim();
        let mut add = |header, algorithm, value: &str, is_of_whole| {
            let value = value.to_owned();
            found.push(Announced { header, algorithm, value, is_of_whole });
        };
        match name {
            _ if value.is_empty() => {}
            b"content-md5" => add("content-md5", Algorithm::Md5, value, false),
            b"content-digest" => {
                fields(value, |algorithm, value| add("content-digest", algorithm, value, false));
            }
            b"digest" => fields(value, |algorithm, value| add("digest", algorithm, value, true)),
            b"repr-digest" => {
                fields(value, |algorithm, value| add("repr-digest", algorithm, value, true));
            }
            b"etag" if is_md5(value, answer) => {
                add("etag", Algorithm::Md5, value.trim_matches('"'), true);
            }
            name => {
                let known = CHECKSUMS.iter().find(|(known, _)| known.as_bytes() == name);
                // A checksum of the parts' checksums says nothing of the bytes.
                if let Some((header, algorithm)) = known
                    && !is_composite
                    && !value.contains('-')
                {
                    add(*header, *algorithm, value, false);
                }
            }
        }
    }
    found
}

/// The members of `sha-256=:...:, md5=...` whose algorithms are known.
fn fields(value: &str, mut add: impl FnMut(Algorithm, &str)) {
    for member in value.split(',') {
        let Some((name, value)) = member.split_once('=') else { continue };
        let value = value.split(';').next().unwrap_or_default();
        if let Some(algorithm) = Algorithm::of_field(name.trim()) {
            add(algorithm, value.trim().trim_matches(':'));
        }
    }
}

/// Whether an ETag is the MD5 of the object's bytes.
///
/// To HTTP an ETag is any text. That it is an MD5 is said by S3 alone, and by S3 only of an object
/// that was put in one piece, and is not encrypted with a key of KMS or the client's, nor in a
/// directory bucket. Whatever encodes the content on its way could leave the ETag as it was.
fn is_md5(etag: &str, answer: &Headers) -> bool {
    let is_s3 = answer.get("x-amz-request-id").is_some();
    let is_hidden = answer
        .get("x-amz-server-side-encryption")
        .is_some_and(|encryption| encryption != b"AES256")
        || answer.get("x-amz-server-side-encryption-customer-algorithm").is_some()
        || answer.get("x-amz-storage-class").is_some_and(|class| class == b"EXPRESS_ONEZONE")
        || answer.get("content-encoding").is_some();
    let digits = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
    is_s3
        && !is_hidden
        && digits.is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
}

/// A digest being computed.
#[derive(Clone)]
enum Sum {
    Crc32(crc::Digest<'static, u32, Table<1>>),
    Crc64(crc::Digest<'static, u64, Table<1>>),
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Sum {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(sum) => sum.update(bytes),
            Self::Crc64(sum) => sum.update(bytes),
            Self::Md5(sum) => sum.update(bytes),
            Self::Sha1(sum) => sum.update(bytes),
            Self::Sha256(sum) => sum.update(bytes),
            Self::Sha512(sum) => sum.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(sum) => sum.finalize().to_be_bytes().to_vec(),
            Self::Crc64(sum) => sum.finalize().to_be_bytes().to_vec(),
            Self::Md5(sum) => sum.finalize().to_vec(),
            Self::Sha1(sum) => sum.finalize().to_vec(),
            Self::Sha256(sum) => sum.finalize().to_vec(),
            Self::Sha512(sum) => sum.finalize().to_vec(),
        }
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sum")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose digests stand below, computed by Python's hashlib and zlib, and by bits.
    const BYTES: &[u8] = b"the object";
    const MD5: &str = "rilXV81B6HFdhRcJzuPdew==";
    const MD5_HEX: &str = "ae295757cd41e8715d851709cee3dd7b";
    const SHA256: &str = "oOoABdjylg/PDSrJHtMlrN5mhVadmsNrDYFHwIaKVHk=";
    const S3: (&str, &str) = ("x-amz-request-id", "R1");

    fn check(pairs: &[(&str, &str)], bytes: &[u8]) -> Option<Mismatch> {
        let mut check = Check::of_whole(&headers(pairs));
        // In pieces, as it comes.
        for piece in bytes.chunks(3) {
            check.update(piece);
        }
        check.mismatch()
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn every_announced_digest_counts() {
        let structured = format!("sha-256=:{SHA256}:");
        let both = format!("md5=:{MD5}:, sha-256=:{SHA256}:;x=1, unixsum=:AAA=:");
        let old = format!("SHA-256={SHA256},MD5={MD5}");
        let etag = format!("\"{MD5_HEX}\"");
        let cases: &[(&str, &str, Algorithm)] = &[
            ("content-md5", MD5, Algorithm::Md5),
            ("content-md5", MD5_HEX, Algorithm::Md5),
            ("x-amz-checksum-crc32", "tUrzJA==", Algorithm::Crc32),
            ("x-amz-checksum-crc32c", "tFKjCQ==", Algorithm::Crc32c),
            ("x-amz-checksum-crc64nvme", "3nCyHOtkYEI=", Algorithm::Crc64Nvme),
            ("x-amz-checksum-sha1", "aWRvCCOpVUJmokWkuNz3xgAqulQ=", Algorithm::Sha1),
            ("x-amz-checksum-sha256", SHA256, Algorithm::Sha256),
            ("repr-digest", &structured, Algorithm::Sha256),
            ("content-digest", &structured, Algorithm::Sha256),
            (
                "repr-digest",
                "sha-512=:yZL30Y6vsLy7yxgbK0GsUeEAvJCzC+P0z4/98p0Bnggrtsc3K2KQW3lHc1lYesCz1wkVg9XY9qs7FIwVLOUJBA==:",
                Algorithm::Sha512,
            ),
            ("repr-digest", &both, Algorithm::Md5),
            ("digest", &old, Algorithm::Sha256),
            ("etag", &etag, Algorithm::Md5),
        ];
        for (header, value, algorithm) in cases {
            let announced = [S3, (*header, *value)];
            assert_eq!(check(&announced, BYTES), None, "{header}: {value}");
            let other = check(&announced, b"the 0bject");
            let expected = Mismatch { header, algorithm: *algorithm };
            assert_eq!(other, Some(expected), "{header}: {value}");
            assert!(check(&announced, b"").is_some(), "{header}: {value}");
        }
        // One that is right does not stand for one that is wrong, and what cannot be read is wrong.
        let wrong = [("content-md5", MD5), ("repr-digest", "sha-256=:AAAA:")];
        let found = check(&wrong, BYTES).unwrap();
        assert_eq!(
            found.to_string(),
            "SHA-256 in header(repr-digest) is not equal to SHA-256 calculated"
        );
        assert!(check(&[("content-md5", "none")], BYTES).is_some());
    }

    #[test]
    fn what_is_no_digest_of_the_bytes_is_not_one() {
        let etag = ("etag", "\"00000000000000000000000000000000\"");
        let cases: &[&[(&str, &str)]] = &[
            &[],
            &[("content-md5", "")],
            &[("repr-digest", "unixsum=:AAAA:, sha-256")],
            &[("x-amz-checksum-type", "COMPOSITE"), ("x-amz-checksum-crc32", "AAAAAA==")],
            &[("x-amz-checksum-sha256", "AAAA-3")],
            // Not of S3, or of S3 and no MD5.
            &[etag],
            &[S3, ("etag", "W/\"00000000000000000000000000000000\"")],
            &[S3, ("etag", "\"00000000000000000000000000000000-2\"")],
            &[S3, ("etag", "00000000000000000000000000000000")],
            &[S3, ("etag", "\"0000000000000000000000000000000g\"")],
            &[S3, etag, ("x-amz-server-side-encryption", "aws:kms")],
            &[S3, etag, ("x-amz-server-side-encryption", "aws:kms:dsse")],
            &[S3, etag, ("x-amz-server-side-encryption-customer-algorithm", "AES256")],
            &[S3, etag, ("x-amz-storage-class", "EXPRESS_ONEZONE")],
            &[S3, etag, ("content-encoding", "gzip")],
        ];
        for pairs in cases {
            assert_eq!(check(pairs, BYTES), None, "{pairs:?}");
        }
        assert!(check(&[S3, etag, ("x-amz-server-side-encryption", "AES256")], BYTES).is_some());
    }

    #[test]
    fn a_ranges_digest_is_its_own_or_the_wholes() {
        // MD5 of "the ", of "object", and of neither.
        let (first, second) = ("4+sWr9urqxUMXaCt6CWhTQ==", "qM/eYzG9WesqyW+JEcS2Zg==");
        let none = "AAAAAAAAAAAAAAAAAAAAAA==";
        let ranges = |one: &str, two: &str, digest: &str| {
            let mut check = Check::default();
            for (range, md5, is_first) in [("the ", one, true), ("object", two, false)] {
                let answer = headers(&[("content-md5", md5), ("repr-digest", digest)]);
                if let Some(why) = check.on_range(&answer, range.as_bytes(), is_first) {
                    return Some(why);
                }
                check.update(range.as_bytes());
            }
            check.mismatch()
        };
        let whole = format!("sha-256=:{SHA256}:");
        assert_eq!(ranges(first, second, &whole), None);
        assert_eq!(ranges(MD5, MD5, &whole), None);
        assert_eq!(ranges("", "", &whole), None);
        for (one, two, digest) in [
            (none, none, whole.as_str()),
            (none, second, &whole),
            (first, none, &whole),
            (first, first, &whole),
            (first, second, "sha-256=:AAAA:"),
        ] {
            assert!(ranges(one, two, digest).is_some(), "{one} {two} {digest}");
        }
        // What was announced of another version is forgotten with its bytes.
        let mut check = Check::of_whole(&headers(&[("content-md5", none)]));
        assert_eq!(check.on_range(&headers(&[("content-md5", MD5)]), BYTES, true), None);
        check.update(BYTES);
        assert_eq!(check.mismatch(), None);
    }
}
