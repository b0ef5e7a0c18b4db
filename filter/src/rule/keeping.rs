//! What is kept of an origin's answer beside the object's bytes, and what is added to it.

use super::KeyRewrite;
use crate::http::headers::{HeaderList, Headers};
use crate::http::{field, percent};
use crate::metadata::{ETAG_METADATA, LAST_MODIFIED_METADATA, TAG_METADATA};

/// The most user metadata an object has, names and values together, in bytes. OSS's own limit; S3
/// keeps 2 KB.
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// What user metadata begins with, at S3 and at OSS.
const METADATA: [&str; 2] = ["x-amz-meta-", "x-oss-meta-"];

/// What is kept with an object, and what its first clients are told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keeping {
    /// `MirrorSaveOssMeta`: the origin's user metadata becomes the object's.
    pub metadata: bool,
    /// `MirrorUserLastModified`: the origin's Last-Modified is kept as metadata, and given back.
    pub last_modified: bool,
    /// `MirrorReturnHeaders`: names in lower case.
    pub return_headers: Vec<(String, KeyRewrite)>,
    /// `MirrorTaggings`.
    pub taggings: Vec<(String, KeyRewrite)>,
    /// `StorageClass` (an extension).
    pub storage_class: Option<String>,
    /// `ServerSideEncryption` (an extension).
    pub encryption: Option<String>,
}

impl Keeping {
    /// Adds to what is stored. `key` is the requested one.
    pub(crate) fn add_stored(&self, answer: &Headers, key: &[u8], headers: &mut HeaderList) {
        let time = answer.text("last-modified").filter(|time| time.is_ascii());
        if let (true, Some(time)) = (self.last_modified, time) {
            headers.add(LAST_MODIFIED_METADATA, time);
        }
        if !self.taggings.is_empty() {
            let key = percent::readable(key);
            let tags: Vec<String> = self
                .taggings
                .iter()
                .map(|(name, value)| {
                    let value = percent::encode_key(&value.apply(key.as_bytes()));
                    format!("{}={}", percent::encode_url(name), value.replace('/', "%2F"))
                })
                .collect();
            headers.add("x-amz-tagging", tags.join("&"));
        }
        let given = [
            ("x-amz-storage-class", &self.storage_class),
            ("x-amz-server-side-encryption", &self.encryption),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                headers.add(name, value);
            }
        }
    }

    /// Adds to what clients are told with the origin's answer; what is set takes the place of what
    /// was there.
    pub(crate) fn add_shown(&self, key: &[u8], headers: &mut HeaderList) {
        for (name, value) in &self.return_headers {
            headers.remove(name);
            headers.add(name, value.apply(percent::encode_key(key).as_bytes()));
        }
    }

    /// The origin's user metadata, as S3 names it, where it is wanted; `None` when it is too large.
    pub(crate) fn metadata(&self, answer: &Headers) -> Option<HeaderList> {
        let mut kept = HeaderList::new();
        let mut bytes: usize = 0;
        for (name, value) in answer.iter().filter(|_| self.metadata) {
            let Some(own) = std::str::from_utf8(name)
                .ok()
                .and_then(|name| METADATA.iter().find_map(|begin| name.strip_prefix(begin)))
            else {
                continue;
            };
            let name = format!("x-amz-meta-{own}");
            // These say how this very object came.
            let is_own = [TAG_METADATA, LAST_MODIFIED_METADATA, ETAG_METADATA];
            if is_own.contains(&name.as_str()) || kept.get(&name).is_some() {
                continue;
            }
            let value = field::metadata_in_ascii(value);
            bytes += own.len() + value.len();
            kept.add(&name, value);
        }
        (bytes <= MAX_METADATA_BYTES).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &HeaderList) -> Vec<(&str, &str)> {
        list.texts().collect()
    }

    #[test]
    fn what_is_kept_follows_the_rule() {
        let answer = Headers::from_pairs([
            ("last-modified", "Tue, 01 Apr 2025 08:00:00 GMT"),
            ("x-oss-meta-a", "1"),
            ("x-amz-meta-b", "2"),
            ("x-amz-meta-a", "other"),
            ("x-amz-meta-x-oss-tag", "forged"),
            ("cache-control", "no-store"),
        ]);
        let template = |text| KeyRewrite::template(text).unwrap();
        let all = Keeping {
            metadata: true,
            last_modified: true,
            return_headers: vec![
                ("cache-control".to_owned(), template("max-age=60")),
                ("x-key".to_owned(), template("<${key}>")),
            ],
            taggings: vec![
                ("src".to_owned(), template("${key}")),
                ("a b".to_owned(), template("1&2")),
            ],
            storage_class: Some("STANDARD_IA".to_owned()),
            encryption: Some("AES256".to_owned()),
        };
        let key = "d/ü".as_bytes();
        let mut stored = all.metadata(&answer).unwrap();
        all.add_stored(&answer, key, &mut stored);
        assert_eq!(
            pairs(&stored),
            [
                ("x-amz-meta-a", "1"),
                ("x-amz-meta-b", "2"),
                ("x-amz-meta-x-oss-last-modified", "Tue, 01 Apr 2025 08:00:00 GMT"),
                ("x-amz-tagging", "src=d%2F%C3%BC&a%20b=1%262"),
                ("x-amz-storage-class", "STANDARD_IA"),
                ("x-amz-server-side-encryption", "AES256"),
            ]
        );
        let mut shown = HeaderList::new().with("cache-control", "no-store");
        all.add_shown(key, &mut shown);
        assert_eq!(pairs(&shown), [("cache-control", "max-age=60"), ("x-key", "<d/%C3%BC>")]);
        let none = Keeping::default();
        let mut nothing = none.metadata(&answer).unwrap();
        none.add_stored(&answer, key, &mut nothing);
        none.add_shown(key, &mut nothing);
        assert_eq!(pairs(&nothing), []);
    }

    #[test]
    fn metadata_has_a_limit() {
        let keeping = Keeping { metadata: true, ..Keeping::default() };
        for (bytes, fits) in [(8 * 1024 - 1, true), (8 * 1024, false)] {
            let answer = Headers::from_pairs([("x-amz-meta-a", "v".repeat(bytes))]);
            assert_eq!(keeping.metadata(&answer).is_some(), fits, "{bytes}");
        }
    }
}
