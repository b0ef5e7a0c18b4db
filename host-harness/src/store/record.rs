//! What is known of an object beside its bytes.
//!
//! ```text
//! the object's bytes │ its record, as JSON │ the record's length, 4 bytes │ MARK
//! ```
//!
//! Both are one file, so that one rename replaces both and whoever opens it has what belongs together.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{ETag, Timestamp};
use serde::{Deserialize, Serialize};

use super::checksum::Checksums;

/// How a file of an object ends.
const MARK: &[u8; 8] = b"b2o-obj1";

/// What is read at once from the end of a file: most records are shorter.
const TAIL: u64 = 2_048;

/// The headers that an object is kept and answered with, beside its metadata.
const KEPT: [&str; 9] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-storage-class",
    TAGGING,
    "x-amz-website-redirect-location",
];

/// The header with the tags of an object, which are read by a request of their own.
const TAGGING: &str = "x-amz-tagging";

/// What begins the names of the metadata that clients invent.
pub(super) const METADATA: &str = "x-amz-meta-";

/// What is known of an object, or of a part of one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) key: String,
    /// Without its quotes.
    pub(super) etag: String,
    /// Seconds since 1970.
    pub(super) modified: u64,
    /// The headers that it was written with. A character is a byte: a value need not be UTF-8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<(String, String)>,
    /// The sizes of the parts that it was uploaded in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<u64>,
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub(super) checksums: Checksums,
}

impl Record {
    /// Writes it behind an object's bytes.
    pub(super) fn append(&self, mut file: &File) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        text.extend_from_slice(&length.to_le_bytes());
        text.extend_from_slice(MARK);
        file.write_all(&text)
    }

    /// The record of a file, and the size of the object in it.
    pub(super) fn read(file: &File) -> io::Result<(Self, u64)> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a file without its record");
        let whole = file.metadata()?.len();
        let read = whole.min(TAIL);
        let mut tail = vec![0; usize::try_from(read).map_err(io::Error::other)?];
        file.read_exact_at(&mut tail, whole - read)?;
        let (rest, mark) = tail.split_last_chunk().ok_or_else(damaged)?;
        let (rest, length) = rest.split_last_chunk().ok_or_else(damaged)?;
        if mark != MARK {
            return Err(damaged());
        }
        let length = u32::from_le_bytes(*length);
        let behind = u64::from(length) + read - rest.len() as u64;
        let size = whole.checked_sub(behind).ok_or_else(damaged)?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let record = match rest.len().checked_sub(length) {
            Some(at) => serde_json::from_slice(rest.get(at..).unwrap_or_default())?,
            None => {
                let mut text = vec![0; length];
                file.read_exact_at(&mut text, size)?;
                serde_json::from_slice(&text)?
            }
        };
        Ok((record, size))
    }

    /// The ETag as the library has it.
    pub(super) fn e_tag(&self) -> Option<ETag> {
        Some(ETag::Strong(self.etag.clone()))
    }

    /// When it was written.
    pub(super) fn last_modified(&self) -> Option<Timestamp> {
        Some(timestamp(self.modified))
    }

    /// The headers that it is answered with.
    pub(super) fn answered(&self) -> HeaderMap {
        let mut answered = HeaderMap::new();
        answered
            .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
        for (name, value) in self.headers.iter().filter(|(name, _)| name != TAGGING) {
            let bytes: Vec<u8> = value.chars().filter_map(|byte| u8::try_from(byte).ok()).collect();
            // They have been both in a request.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_bytes(&bytes))
            {
                answered.insert(name, value);
            }
        }
        match self.tags().count() {
            0 => {}
            count => {
                answered.insert("x-amz-tagging-count", HeaderValue::from(count));
            }
        }
        answered
    }

    /// Its tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = (String, String)> {
        let tagging = self.headers.iter().find(|(name, _)| name == TAGGING);
        let tagging = tagging.map(|(_, value)| value.as_bytes()).unwrap_or_default();
        url::form_urlencoded::parse(tagging)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// The headers of a request that its object is kept with.
pub(super) fn kept(request: &HeaderMap) -> Vec<(String, String)> {
    let is_kept =
        |name: &&HeaderName| KEPT.contains(&name.as_str()) || name.as_str().starts_with(METADATA);
    let mut kept = Vec::new();
    for name in request.keys().filter(is_kept) {
        let values: Vec<&[u8]> = request.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        let mut value: String = values.join(&b","[..]).into_iter().map(char::from).collect();
        if name == http::header::CONTENT_ENCODING {
            // That is how it was sent, and not what it is.
            let codings = value.split(',').map(str::trim);
            value = codings.filter(|coding| *coding != "aws-chunked").collect::<Vec<_>>().join(",");
        }
        if !value.is_empty() {
            kept.push((name.as_str().to_owned(), value));
        }
    }
    kept
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time by its seconds since 1970.
pub(super) fn timestamp(seconds: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let long = vec![("x-amz-meta-long".to_owned(), "v".repeat(3_000))];
        for (bytes, headers) in [("", Vec::new()), ("the bytes", Vec::new()), ("more", long)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes.as_bytes()).unwrap();
            let record = Record { key: "k".to_owned(), headers, ..Record::default() };
            record.append(&file).unwrap();
            let (read, size) = Record::read(&file).unwrap();
            assert_eq!(
                (read.key, read.headers, size),
                (record.key, record.headers, bytes.len() as u64)
            );
        }
        let mut file = tempfile::tempfile().unwrap();
        assert!(Record::read(&file).is_err());
        file.write_all(b"something else, written by somebody else").unwrap();
        assert!(Record::read(&file).is_err());
    }

    #[test]
    fn headers_stay_bytes() {
        let mut request = HeaderMap::new();
        for (name, value) in [
            ("expires", &b"0"[..]),
            ("content-encoding", b"aws-chunked, gzip"),
            ("x-amz-meta-name", b"gr\xc3\xbc\xff"),
            ("x-amz-meta-twice", b"a"),
            ("x-amz-meta-twice", b"b"),
            ("x-amz-date", b"now"),
        ] {
            request.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let answered = Record { headers: kept(&request), ..Record::default() }.answered();
        for (name, value) in [
            ("content-type", &b"binary/octet-stream"[..]),
            ("expires", b"0"),
            ("content-encoding", b"gzip"),
            ("x-amz-meta-name", b"gr\xc3\xbc\xff"),
            ("x-amz-meta-twice", b"a,b"),
        ] {
            assert_eq!(answered[name].as_bytes(), value, "{name}");
        }
        assert_eq!(answered.len(), 5);
    }
}
