//! The store behind a bucket: the requests that write an object, and the judgement of its answers.
//!
//! S3's own: PutObject, the four operations of a multipart upload, and the two lists by which one
//! is found whose id was lost.

pub(crate) mod part;
pub(crate) mod rest;
pub(crate) mod upload;
pub mod words;

use std::fmt::Write as _;

use crate::configuration::{Addressing, Bucket, ConditionalWrites};
use crate::host::CallAnswer;
use crate::http::headers::{HeaderList, Headers};
use crate::http::percent;
use crate::http::xml::{self, between};
use crate::metadata::TAG_METADATA;

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
    pub fn upload_part(&self, upload: &str, number: u64) -> HeaderList {
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

    /// ListMultipartUploads: the first page of those whose keys begin with this key. Keys are listed
    /// in their order, so this key's come first.
    #[must_use]
    pub fn list_uploads(&self) -> HeaderList {
        let prefix = percent::encode_query(self.key);
        self.address("GET", "", &format!("max-uploads=1000&prefix={prefix}&uploads"))
    }

    /// ListParts, as far as to the first one.
    #[must_use]
    pub fn list_parts(&self, upload: &str) -> HeaderList {
        let upload = percent::encode_url(upload);
        self.request("GET", &format!("max-parts=1&uploadId={upload}"))
    }

    fn request(&self, method: &str, query: &str) -> HeaderList {
        self.address(method, &format!("/{}", percent::encode_key(self.key)), query)
    }

    /// A request for what is at a path in the bucket, or for the bucket.
    fn address(&self, method: &str, path: &str, query: &str) -> HeaderList {
        let store = &self.bucket.store;
        let name = &self.bucket.name;
        let (authority, mut path) = match store.addressing {
            Addressing::Path => (store.authority.clone(), format!("/{name}{path}")),
            Addressing::Virtual if path.is_empty() => {
                (format!("{name}.{}", store.authority), "/".to_owned())
            }
            Addressing::Virtual => (format!("{name}.{}", store.authority), path.to_owned()),
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
        let request = self.request(method, query);
        match self.bucket.store.conditional_writes {
            ConditionalWrites::IfNoneMatch => request.with("if-none-match", "*"),
            ConditionalWrites::Oss => request.with("x-oss-forbid-overwrite", "true"),
            ConditionalWrites::Head | ConditionalWrites::Unconditional => request,
        }
    }

    fn describe(&self, headers: &mut HeaderList) {
        headers.extend(self.headers);
        headers.add(TAG_METADATA, self.tag);
    }
}

/// The object of this key, of which nothing else is known.
fn bare<'a>(bucket: &'a Bucket, key: &'a [u8], headers: &'a HeaderList) -> Target<'a> {
    Target { bucket, key, headers, tag: "" }
}

/// PutObject of a marker, whatever is there.
#[must_use]
pub fn put_marker(bucket: &Bucket, key: &[u8]) -> HeaderList {
    let request = bare(bucket, key, &HeaderList::new()).request("PUT", "");
    request.with("content-type", "application/json")
}

/// ListObjectsV2: the page of keys that begin with this prefix, behind those of another page.
#[must_use]
pub fn list_objects(bucket: &Bucket, prefix: &str, behind: Option<&str>) -> HeaderList {
    let prefix = percent::encode_query(prefix.as_bytes());
    let behind = behind
        .map(|token| format!("continuation-token={}&", percent::encode_query(token.as_bytes())));
    let behind = behind.unwrap_or_default();
    let query = format!("{behind}list-type=2&max-keys=1000&prefix={prefix}");
    bare(bucket, b"", &HeaderList::new()).address("GET", "", &query)
}

/// One page of a bucket's keys.
#[derive(Debug, Eq, PartialEq)]
pub struct Page {
    /// The keys.
    pub keys: Vec<String>,
    /// By which the next page is asked for, where there is one.
    pub next: Option<String>,
}

/// Reads an answer to ListObjectsV2. `None` where it is none.
#[must_use]
pub fn listed_objects(words: &str) -> Option<Page> {
    let (list, _) = between(words, "<ListBucketResult", "</ListBucketResult>")?;
    let is_cut = xml::elements(list, "IsTruncated").next() == Some("true");
    let next = xml::elements(list, "NextContinuationToken").next().and_then(xml::text);
    let keys = xml::elements(list, "Contents")
        .filter_map(|object| xml::elements(object, "Key").next().and_then(xml::text));
    Some(Page { keys: keys.collect(), next: next.filter(|_| is_cut) })
}

/// GetObject, HeadObject or DeleteObject of an object of which nothing else is known.
#[must_use]
pub fn read(bucket: &Bucket, key: &[u8], method: &str) -> HeaderList {
    bare(bucket, key, &HeaderList::new()).request(method, "")
}

/// Envoy announces the length of a body, and of none at all nothing.
fn length(headers: &mut HeaderList, size: usize) {
    if size == 0 {
        headers.add("content-length", "0");
    }
}

/// The body of a CompleteMultipartUpload. `etags` are those of parts 1, 2, 3 and so on.
#[must_use]
pub fn completion<'e>(etags: impl Iterator<Item = &'e str>) -> String {
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

/// The id of an upload in a store's answer.
#[must_use]
pub fn upload_id(words: &str) -> Option<String> {
    let (id, _) = between(words, "<UploadId>", "</UploadId>")?;
    xml::text(id.trim()).filter(|id| !id.is_empty())
}

/// What an answer to ListMultipartUploads says of one key.
#[derive(Debug, Eq, PartialEq)]
pub struct Listed {
    /// The ids of its uploads.
    pub ids: Vec<String>,
    /// Whether there are more pages.
    pub is_cut: bool,
}

/// Reads an answer to ListMultipartUploads. `None` where it is none.
#[must_use]
pub fn listed_uploads(words: &str, key: &[u8]) -> Option<Listed> {
    let (list, _) = between(words, "<ListMultipartUploadsResult", "</ListMultipartUploadsResult>")?;
    let is_cut = between(list, "<IsTruncated>", "</").is_some_and(|(is_cut, _)| is_cut == "true");
    let (mut ids, mut rest) = (Vec::new(), list);
    while let Some((upload, behind)) = between(rest, "<Upload>", "</Upload>") {
        rest = behind;
        let found = between(upload, "<Key>", "</Key>").and_then(|(found, _)| xml::text(found));
        if found.is_some_and(|found| found.as_bytes() == key) {
            ids.extend(upload_id(upload));
        }
    }
    Some(Listed { ids, is_cut })
}

/// Whether an upload has parts, by an answer to ListParts. `None` where it does not say.
#[must_use]
pub fn has_parts(xml: &str, upload: &str) -> Option<bool> {
    let (mut list, _) = between(xml, "<ListPartsResult", "</ListPartsResult>")?;
    if upload_id(list)? != upload {
        return None;
    }
    while let Some((_, behind)) = list.split_once("<Part") {
        if !behind.starts_with("NumberMarker") {
            return Some(true);
        }
        list = behind;
    }
    Some(false)
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

/// Whether it was the store itself that answered: the host's own answers lack the time that a server
/// took, and whoever stands before the store says 502 or 504 of it.
pub(crate) fn is_own(answer: &Headers) -> bool {
    match answer.status() {
        Some(502 | 504) | None => false,
        Some(_) => answer.get("x-envoy-upstream-service-time").is_some(),
    }
}

/// Judges the answer to a write. OSS says by a code of its own that the object is there.
#[must_use]
pub fn judge_write(answer: &CallAnswer) -> Written {
    match answer.headers.status() {
        Some(409) if has_code(answer, "FileAlreadyExists") => Written::AlreadyThere,
        status => judge(status),
    }
}

/// Whether a store says that it does not know the condition of a write.
#[must_use]
pub fn knows_no_condition(answer: &CallAnswer) -> bool {
    match answer.headers.status() {
        Some(501) => true,
        Some(400) => has_code(answer, "NotImplemented"),
        Some(_) | None => false,
    }
}

fn has_code(answer: &CallAnswer, code: &str) -> bool {
    let words = std::str::from_utf8(&answer.body).unwrap_or_default();
    between(words, "<Code>", "</Code>").is_some_and(|(found, _)| found.trim() == code)
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
    use crate::configuration::Configuration;

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
        assert_eq!(upload_id(xml).as_deref(), Some("2~abc"));
        assert_eq!(upload_id("<UploadId>a&amp;b</UploadId>").as_deref(), Some("a&b"));
        for xml in ["", "<UploadId>", "<UploadId></UploadId>", "<UploadId>a<b</UploadId>"] {
            assert_eq!(upload_id(xml), None, "{xml}");
        }
    }

    #[test]
    fn texts_are_unescaped() {
        let cases = [
            ("a", Some("a")),
            (" a ", Some(" a ")),
            ("", Some("")),
            ("&amp;lt;&lt;&gt;&quot;&apos;", Some("&lt;<>\"'")),
            ("&#65;&#x42;\u{e4}&#10;", Some("AB\u{e4}\n")),
            ("&", None),
            ("&amp", None),
            ("&;", None),
            ("&auml;", None),
            ("&#;", None),
            ("&#x;", None),
            ("&#xd800;", None),
            ("&#99999999999;", None),
            ("<b/>", None),
        ];
        for (escaped, expected) in cases {
            assert_eq!(xml::text(escaped).as_deref(), expected, "{escaped}");
        }
    }

    #[test]
    fn the_uploads_of_a_key_are_found_in_a_list() {
        let upload = |key: &str, id: &str| {
            format!(
                "<Upload><UploadId>{id}</UploadId><Key>{key}</Key><Owner><ID>o</ID></Owner></Upload>"
            )
        };
        let list = |cut: bool, uploads: &[(&str, &str)]| {
            let uploads: String = uploads.iter().map(|(key, id)| upload(key, id)).collect();
            format!(
                "<?xml version=\"1.0\"?>\n<ListMultipartUploadsResult xmlns=\"x\"><KeyMarker/>\
                 <Prefix>a</Prefix><IsTruncated>{cut}</IsTruncated>{uploads}\
                 </ListMultipartUploadsResult>"
            )
        };
        let found = |ids: &[&str], is_cut| {
            Some(Listed { ids: ids.iter().map(|id| (*id).to_owned()).collect(), is_cut })
        };
        let uploads = [("a&amp;", "1"), ("a&amp;", "2"), ("a&amp;b", "3"), ("a&amp; ", "4")];
        assert_eq!(listed_uploads(&list(false, &uploads), b"a&"), found(&["1", "2"], false));
        assert_eq!(listed_uploads(&list(true, &uploads), b"a&b"), found(&["3"], true));
        assert_eq!(listed_uploads(&list(false, &[]), b"a"), found(&[], false));
        // What is not said so is not read so.
        for xml in ["", "<ListBucketResult></ListBucketResult>", "<ListMultipartUploadsResult>"] {
            assert_eq!(listed_uploads(xml, b"a"), None, "{xml}");
        }
        assert_eq!(listed_uploads(&list(false, &[("\u{ff}", "1")]), b"\xff"), found(&[], false));
    }

    #[test]
    fn an_upload_has_no_parts_only_where_its_list_says_so() {
        let list = |inside: &str| {
            format!(
                "<ListPartsResult xmlns=\"x\"><Key>k</Key><UploadId>u</UploadId>\
                 <PartNumberMarker>0</PartNumberMarker>{inside}</ListPartsResult>"
            )
        };
        let none = "<NextPartNumberMarker>0</NextPartNumberMarker><IsTruncated>false</IsTruncated>";
        assert_eq!(has_parts(&list(none), "u"), Some(false));
        for part in ["<Part><PartNumber>1</PartNumber></Part>", "<Part/>", "<Part x=\"1\"/>"] {
            assert_eq!(has_parts(&list(part), "u"), Some(true), "{part}");
        }
        for (xml, id) in [(list(none), "v"), (String::new(), "u"), ("<Error/>".to_owned(), "u")] {
            assert_eq!(has_parts(&xml, id), None, "{xml}");
        }
        let broken = list(none).replace("</ListPartsResult>", "");
        assert_eq!(has_parts(&broken, "u"), None);
    }

    #[test]
    fn lists_are_asked_of_the_bucket() {
        let text = r#"{"buckets": [{"name": "b", "RoutingRules": [],
            "store": {"cluster": "s", "authority": "h:1", "addressing": "ADDRESSING"}}]}"#;
        let cases = [
            ("path", "h:1", "/b?", "/b/a/%20%26%2B%C3%A4?"),
            ("virtual", "b.h:1", "/?", "/a/%20%26%2B%C3%A4?"),
        ];
        for (addressing, authority, bucket, object) in cases {
            let text = text.replace("ADDRESSING", addressing);
            let configuration = Configuration::from_json(text.as_bytes()).unwrap();
            let headers = HeaderList::new();
            let key = "a/ &+\u{e4}".as_bytes();
            let target =
                Target { bucket: &configuration.buckets[0], key, headers: &headers, tag: "" };
            let asked = target.list_uploads();
            let get = |asked: &HeaderList, name| {
                String::from_utf8(asked.get(name).unwrap().to_vec()).unwrap()
            };
            let query = "max-uploads=1000&prefix=a%2F%20%26%2B%C3%A4&uploads";
            assert_eq!(get(&asked, ":path"), format!("{bucket}{query}"));
            assert_eq!(get(&asked, ":authority"), authority);
            let parts = target.list_parts("u&/");
            assert_eq!(get(&parts, ":path"), format!("{object}max-parts=1&uploadId=u%26%2F"));
        }
    }

    #[test]
    fn a_completion_lists_parts_in_order() {
        assert_eq!(
            completion(["\"a\"", "b"].into_iter()),
            "<CompleteMultipartUpload>\
             <Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag></Part>\
             </CompleteMultipartUpload>"
        );
    }
}
