//! The store behind a bucket: the requests that write an object, and the judgement of its answers.
//!
//! S3's own: PutObject, and the four operations of a multipart upload.

use std::fmt::Write as _;

use crate::configuration::{Addressing, Bucket};
use crate::http::headers::{HeaderList, Headers};
use crate::http::percent;

/// The user metadata in which a stored object keeps its `x-oss-tag`.
pub const TAG_METADATA: &str = "x-amz-meta-x-oss-tag";

/// The user metadata in which a stored object keeps its origin's Last-Modified.
pub const LAST_MODIFIED_METADATA: &str = "x-amz-meta-x-oss-last-modified";

/// Where an object is written, and what is kept beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The bucket.
    pub bucket: &'a Bucket,
    /// The object's key, decoded.
    pub key: &'a [u8],
    /// The object's own headers.
    pub headers: &'a HeaderList,
    /// Its `x-oss-tag`.
    pub tag: &'a str,
}

impl Target<'_> {
    /// PutObject, if the bucket does not have the object by then.
    #[must_use]
    pub fn put(&self, size: usize) -> HeaderList {
        let mut headers = self.unless_there("PUT", "");
        self.describe(&mut headers);
        length(&mut headers, size);
        headers
    }

    /// HeadObject.
    #[must_use]
    pub fn head(&self) -> HeaderList {
        self.request("HEAD", "")
    }

    /// CreateMultipartUpload.
    #[must_use]
    pub fn create_upload(&self) -> HeaderList {
        let mut headers = self.request("POST", "uploads");
        self.describe(&mut headers);
        length(&mut headers, 0);
        headers
    }

    /// UploadPart.
    #[must_use]
    pub fn upload_part(&self, upload: &str, number: u32) -> HeaderList {
        let upload = percent::encode_url(upload);
        self.request("PUT", &format!("partNumber={number}&uploadId={upload}"))
    }

    /// CompleteMultipartUpload, if the bucket does not have the object by then.
    #[must_use]
    pub fn complete_upload(&self, upload: &str) -> HeaderList {
        let upload = percent::encode_url(upload);
        self.unless_there("POST", &format!("uploadId={upload}"))
            .with("content-type", "application/xml")
    }

    /// AbortMultipartUpload.
    #[must_use]
    pub fn abort_upload(&self, upload: &str) -> HeaderList {
        let upload = percent::encode_url(upload);
        self.request("DELETE", &format!("uploadId={upload}"))
    }

    fn request(&self, method: &str, query: &str) -> HeaderList {
        let store = &self.bucket.store;
        let name = &self.bucket.name;
        let key = percent::encode_key(self.key);
        let (authority, mut path) = match store.addressing {
            Addressing::Path => (store.authority.clone(), format!("/{name}/{key}")),
            Addressing::Virtual => (format!("{name}.{}", store.authority), format!("/{key}")),
        };
        if !query.is_empty() {
            path.push('?');
            path.push_str(query);
        }
        HeaderList::new()
            .with(":method", method)
            .with(":scheme", store.scheme.as_str())
            .with(":authority", authority)
            .with(":path", path)
    }

    /// Whatever came into the bucket meanwhile is newer, and stays.
    fn unless_there(&self, method: &str, query: &str) -> HeaderList {
        self.request(method, query).with("if-none-match", "*")
    }

    fn describe(&self, headers: &mut HeaderList) {
        headers.extend(self.headers);
        headers.add(TAG_METADATA, self.tag);
    }
}

/// Envoy announces the length of a body, and of none at all nothing.
fn length(headers: &mut HeaderList, size: usize) {
    if size == 0 {
        headers.add("content-length", "0");
    }
}

/// The body of a CompleteMultipartUpload. `etags` are those of parts 1, 2, 3 and so on.
#[must_use]
pub fn completion(etags: &[String]) -> String {
    let mut xml = String::from("<CompleteMultipartUpload>");
    for (number, etag) in (1_u32..).zip(etags) {
        let etag = etag.trim_matches('"');
        // Writing into a String cannot fail.
        let _ = write!(
            xml,
            "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
        );
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml
}

/// The text of an element in a store's answer; S3's own ids need no unescaping.
#[must_use]
pub fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    (!text.is_empty() && !text.contains(['<', '&'])).then_some(text)
}

/// Whether the object that a HeadObject found is one that was sent: as long, and mirrored from the
/// same URL.
#[must_use]
pub fn is_same(found: &Headers, size: u64, tag: &str) -> bool {
    found.content_length() == Some(size) && found.get(TAG_METADATA) == Some(tag.as_bytes())
}

/// What a store's answer to a write amounts to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// The object is there, by another way.
    AlreadyThere,
    /// It is stored.
    Done,
    /// It may succeed another time.
    Failed,
    /// It never will.
    Refused(u16),
}

/// Judges an answer by its status, `None` where none came.
#[must_use]
pub const fn judge(status: Option<u16>) -> Written {
    match status {
        Some(200..=299) => Written::Done,
        Some(412) => Written::AlreadyThere,
        // S3 answers 409 to a conditional write beside another one, and asks for a retry.
        Some(408 | 409 | 429 | 500 | 502..=599) | None => Written::Failed,
        Some(other) => Written::Refused(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_final_or_not() {
        let cases = [
            (Some(200), Written::Done),
            (Some(204), Written::Done),
            (Some(307), Written::Refused(307)),
            (Some(400), Written::Refused(400)),
            (Some(403), Written::Refused(403)),
            (Some(404), Written::Refused(404)),
            (Some(409), Written::Failed),
            (Some(412), Written::AlreadyThere),
            (Some(429), Written::Failed),
            (Some(500), Written::Failed),
            (Some(501), Written::Refused(501)),
            (Some(503), Written::Failed),
            (None, Written::Failed),
        ];
        for (status, expected) in cases {
            assert_eq!(judge(status), expected, "{status:?}");
        }
    }

    #[test]
    fn an_upload_id_is_found_in_its_answer() {
        let xml = "<?xml version=\"1.0\"?><InitiateMultipartUploadResult xmlns=\"x\"><Bucket>b</Bucket>\
                   <UploadId> 2~abc </UploadId></InitiateMultipartUploadResult>";
        assert_eq!(element(xml, "UploadId"), Some("2~abc"));
        for xml in ["", "<UploadId>", "<UploadId></UploadId>", "<UploadId>a<b</UploadId>"] {
            assert_eq!(element(xml, "UploadId"), None, "{xml}");
        }
    }

    #[test]
    fn a_completion_lists_parts_in_order() {
        assert_eq!(
            completion(&["\"a\"".to_owned(), "b".to_owned()]),
            "<CompleteMultipartUpload>\
             <Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag></Part>\
             </CompleteMultipartUpload>"
        );
    }
}
