//! The digests of bytes, and what requests announce of them.

use std::collections::BTreeMap;

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Result, TrailingHeaders, s3_error};

/// Checksums beside the MD5, in base64, by their algorithms.
pub(super) type Checksums = BTreeMap<String, String>;

/// The algorithms, as the ends of the headers that hold their values.
pub(super) const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// What begins the names of those headers.
pub(super) const HEADER: &str = "x-amz-checksum-";

/// Copies checksums into a type of the library.
macro_rules! set_checksums {
    ($output:expr, $checksums:expr) => {{
        let checksums: &$crate::store::checksum::Checksums = $checksums;
        $output.checksum_crc32 = checksums.get("crc32").cloned();
        $output.checksum_crc32c = checksums.get("crc32c").cloned();
        $output.checksum_crc64nvme = checksums.get("crc64nvme").cloned();
        $output.checksum_sha1 = checksums.get("sha1").cloned();
        $output.checksum_sha256 = checksums.get("sha256").cloned();
    }};
}

/// The checksums in a type of the library.
macro_rules! get_checksums {
    ($input:expr) => {{
        let found = [
            ("crc32", &$input.checksum_crc32),
            ("crc32c", &$input.checksum_crc32c),
            ("crc64nvme", &$input.checksum_crc64nvme),
            ("sha1", &$input.checksum_sha1),
            ("sha256", &$input.checksum_sha256),
        ];
        let found = found.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        found
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<$crate::store::checksum::Checksums>()
    }};
}

pub(super) use {get_checksums, set_checksums};

/// Digests bytes as they come.
pub(super) struct Digest {
    md5: Md5,
    checksums: ChecksumHasher,
}

impl Digest {
    /// The MD5, and these.
    pub(super) fn new<'a>(algorithms: impl IntoIterator<Item = &'a str>) -> Self {
        let mut checksums = ChecksumHasher::default();
        for algorithm in algorithms {
            match algorithm {
                "crc32" => checksums.crc32 = Some(Crc32::new()),
                "crc32c" => checksums.crc32c = Some(Crc32c::new()),
                "crc64nvme" => checksums.crc64nvme = Some(Crc64Nvme::new()),
                "sha1" => checksums.sha1 = Some(Sha1::new()),
                "sha256" => checksums.sha256 = Some(Sha256::new()),
                _ => {}
            }
        }
        Self { md5: Md5::new(), checksums }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
    }

    /// The MD5, and the others.
    pub(super) fn finish(self) -> (Vec<u8>, Checksums) {
        let checksums = self.checksums.finalize();
        (self.md5.finalize().as_ref().to_vec(), get_checksums!(checksums))
    }
}

/// What a request says of the bytes that it brings.
pub(super) struct Announced {
    md5: Option<Vec<u8>>,
    checksums: Checksums,
    /// Those that come behind the bytes.
    later: Vec<&'static str>,
    trailers: Option<TrailingHeaders>,
}

impl Announced {
    pub(super) fn of(request: &HeaderMap, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        let text = |name: &str| request.get(name).and_then(|value| value.to_str().ok());
        let md5 = match text("content-md5") {
            None => None,
            Some(text) => match base64_simd::STANDARD.decode_to_vec(text) {
                Ok(md5) if md5.len() == 16 => Some(md5),
                Ok(_) | Err(_) => {
                    return Err(s3_error!(InvalidDigest, "The Content-MD5 is no MD5 in base64."));
                }
            },
        };
        let value = |name: &&str| Some(((*name).to_owned(), text(&header(name))?.to_owned()));
        let announced = text("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let is_later = |name: &&str| announced.split(',').any(|later| later.trim() == header(name));
        Ok(Self {
            md5,
            checksums: ALGORITHMS.iter().filter_map(value).collect(),
            later: ALGORITHMS.into_iter().filter(is_later).collect(),
            trailers,
        })
    }

    /// What digests all that is announced, and one more.
    pub(super) fn digest(&self, more: Option<&str>) -> Digest {
        let announced = self.checksums.keys().map(String::as_str);
        Digest::new(announced.chain(self.later.iter().copied()).chain(more))
    }

    /// Compares what was announced with what came, once all has.
    ///
    /// # Errors
    ///
    /// 400: it is something else.
    pub(super) fn verify(&self, md5: &[u8], found: &Checksums) -> S3Result<()> {
        if self.md5.as_deref().is_some_and(|announced| announced != md5) {
            return Err(s3_error!(BadDigest, "The Content-MD5 is not that of the bytes received."));
        }
        let mut announced = self.checksums.clone();
        if let Some(trailers) = self.trailers.as_ref().and_then(TrailingHeaders::take) {
            for name in &self.later {
                let value = trailers.get(header(name)).and_then(|value| value.to_str().ok());
                announced.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
            }
        }
        for (name, value) in &announced {
            if found.get(name) != Some(value) {
                return Err(s3_error!(BadDigest, "The {name} is not that of the bytes received."));
            }
        }
        Ok(())
    }
}

fn header(algorithm: &str) -> String {
    format!("{HEADER}{algorithm}")
}

/// The checksum of an object by those of its parts, where all have one.
pub(super) fn composite(algorithm: &str, parts: &[Checksums]) -> Option<String> {
    let mut digest = Digest::new([algorithm]);
    for part in parts {
        digest.update(&base64_simd::STANDARD.decode_to_vec(part.get(algorithm)?).ok()?);
    }
    let (_, checksums) = digest.finish();
    Some(format!("{}-{}", checksums.get(algorithm)?, parts.len()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower)
}
