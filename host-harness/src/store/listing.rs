//! Pages of what there is.

use std::ops::Bound;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::bucket::{Buckets, Listed};
use super::upload;

/// The most entries of a page.
const PAGE: i32 = 1_000;

/// What of a key is encoded where a client asks for that: a slash is not.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'/').remove(b'_').remove(b'~');

/// Which page is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// The last entry of the page before.
    pub(super) after: &'a str,
    pub(super) most: usize,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) prefixes: Vec<String>,
    /// The last entry, where there are more.
    pub(super) next: Option<String>,
}

/// Cuts a page from keys in their order.
pub(super) fn page<'a, T>(all: impl Iterator<Item = (&'a str, T)>, asked: &Asked<'_>) -> Page<T> {
    let delimiter = asked.delimiter.filter(|delimiter| !delimiter.is_empty());
    let mut page = Page { entries: Vec::new(), prefixes: Vec::new(), next: None };
    let mut last = String::new();
    for (key, entry) in all {
        let Some(rest) = key.strip_prefix(asked.prefix) else { continue };
        let folder = delimiter.and_then(|delimiter| {
            let end = asked.prefix.len() + rest.find(delimiter)? + delimiter.len();
            key.get(..end)
        });
        let is_known = folder.is_some_and(|folder| {
            folder == asked.after || page.prefixes.last().is_some_and(|last| last == folder)
        });
        if is_known {
            continue;
        }
        if page.entries.len() + page.prefixes.len() == asked.most {
            page.next = Some(last).filter(|_| asked.most > 0);
            break;
        }
        last = folder.unwrap_or(key).to_owned();
        match folder {
            Some(folder) => page.prefixes.push(folder.to_owned()),
            None => page.entries.push(entry),
        }
    }
    page
}

/// How many entries a page may have.
pub(super) fn most(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let most = asked.unwrap_or(PAGE);
    let count = usize::try_from(most.min(PAGE));
    let count =
        count.map_err(|error| s3_error!(error, InvalidArgument, "Fewer than no entries."))?;
    Ok((most, count))
}

/// How keys are written in a listing.
#[derive(Clone, Copy)]
pub(super) struct Encoding(bool);

impl Encoding {
    pub(super) fn of(asked: Option<&EncodingType>) -> Self {
        Self(asked.is_some_and(|encoding| encoding.as_str() == EncodingType::URL))
    }

    pub(super) fn key(self, key: &str) -> String {
        if self.0 { utf8_percent_encode(key, ENCODED).to_string() } else { key.to_owned() }
    }

    pub(super) fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<CommonPrefix>> {
        let prefix = |prefix: String| CommonPrefix { prefix: Some(self.key(&prefix)) };
        Some(prefixes.into_iter().map(prefix).collect())
    }
}

/// Who owns everything.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some("b2o".to_owned()), id: Some("b2o".to_owned()) }
}

fn objects(buckets: &Buckets, bucket: &str, asked: &Asked<'_>) -> S3Result<Page<(String, Listed)>> {
    buckets.list(bucket, |listing| {
        let after = asked.after.max(asked.prefix);
        let from = if after == asked.after {
            Bound::Excluded(after.to_owned())
        } else {
            Bound::Included(after.to_owned())
        };
        let all = listing.range((from, Bound::Unbounded));
        let all = all.take_while(|(key, _)| key.starts_with(asked.prefix));
        page(all.map(|(key, listed)| (key.as_str(), (key.clone(), listed.clone()))), asked)
    })
}

fn object((key, listed): (String, Listed), encoding: Encoding, owner: Option<Owner>) -> Object {
    let Listed { record, size } = listed;
    Object {
        e_tag: record.e_tag(),
        key: Some(encoding.key(&key)),
        last_modified: record.last_modified(),
        owner,
        size: i64::try_from(size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

/// Ours are opaque: a key may hold what XML cannot.
fn token(key: &str) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(key)
}

fn untoken(token: &str) -> Option<String> {
    String::from_utf8(base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).ok()?).ok()
}

/// One page of the second version.
pub(super) fn second(
    buckets: &Buckets,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    let continued = match input.continuation_token.as_deref() {
        None => None,
        Some(text) => Some(untoken(text).ok_or_else(|| {
            s3_error!(InvalidArgument, "The continuation token provided is incorrect.")
        })?),
    };
    let (max_keys, most) = most(input.max_keys)?;
    let after = continued.as_deref().or(input.start_after.as_deref()).unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let asked = Asked { prefix, delimiter: input.delimiter.as_deref(), after, most };
    let page = objects(buckets, &input.bucket, &asked)?;
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let own = input.fetch_owner.unwrap_or_default().then(owner);
    let encode = |text: Option<String>| text.map(|text| encoding.key(&text));
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(page.entries.len() + page.prefixes.len()).ok(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(token),
        common_prefixes: encoding.prefixes(page.prefixes),
        contents: Some(
            page.entries.into_iter().map(|entry| object(entry, encoding, own.clone())).collect(),
        ),
        continuation_token: input.continuation_token,
        delimiter: encode(input.delimiter),
        encoding_type: input.encoding_type,
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: encode(Some(input.prefix.unwrap_or_default())),
        start_after: encode(input.start_after),
        ..ListObjectsV2Output::default()
    })
}

/// One page of the first version.
pub(super) fn first(buckets: &Buckets, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let (max_keys, most) = most(input.max_keys)?;
    let after = input.marker.as_deref().unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let asked = Asked { prefix, delimiter: input.delimiter.as_deref(), after, most };
    let page = objects(buckets, &input.bucket, &asked)?;
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let encode = |text: Option<String>| text.map(|text| encoding.key(&text));
    // Without a delimiter the last key is the marker of the next page.
    let next = page.next.clone().filter(|_| input.delimiter.is_some());
    Ok(ListObjectsOutput {
        is_truncated: Some(page.next.is_some()),
        next_marker: encode(next),
        common_prefixes: encoding.prefixes(page.prefixes),
        contents: Some(
            page.entries.into_iter().map(|entry| object(entry, encoding, Some(owner()))).collect(),
        ),
        delimiter: encode(input.delimiter),
        encoding_type: input.encoding_type,
        marker: encode(Some(input.marker.unwrap_or_default())),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: encode(Some(input.prefix.unwrap_or_default())),
        ..ListObjectsOutput::default()
    })
}

/// One page of the versions, of which each object has one.
pub(super) fn versions(
    buckets: &Buckets,
    input: ListObjectVersionsInput,
) -> S3Result<ListObjectVersionsOutput> {
    let (max_keys, most) = most(input.max_keys)?;
    let after = input.key_marker.as_deref().unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let asked = Asked { prefix, delimiter: input.delimiter.as_deref(), after, most };
    let page = objects(buckets, &input.bucket, &asked)?;
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let encode = |text: Option<String>| text.map(|text| encoding.key(&text));
    let version = |(key, listed): (String, Listed)| ObjectVersion {
        e_tag: listed.record.e_tag(),
        is_latest: Some(true),
        key: Some(encoding.key(&key)),
        last_modified: listed.record.last_modified(),
        owner: Some(owner()),
        size: i64::try_from(listed.size).ok(),
        version_id: Some("null".to_owned()),
        ..ObjectVersion::default()
    };
    Ok(ListObjectVersionsOutput {
        is_truncated: Some(page.next.is_some()),
        next_key_marker: encode(page.next),
        common_prefixes: encoding.prefixes(page.prefixes),
        versions: Some(page.entries.into_iter().map(version).collect()),
        delimiter: encode(input.delimiter),
        encoding_type: input.encoding_type,
        key_marker: encode(Some(input.key_marker.unwrap_or_default())),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: encode(Some(input.prefix.unwrap_or_default())),
        ..ListObjectVersionsOutput::default()
    })
}

/// One page of the open uploads.
pub(super) fn uploads(
    buckets: &Buckets,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    let (max_uploads, most) = most(input.max_uploads)?;
    let after = input.key_marker.as_deref().unwrap_or_default();
    let asked = Asked {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref(),
        after,
        most,
    };
    let open = upload::open(buckets, &input.bucket)?;
    let behind = open.iter().filter(|((key, id), _)| match input.upload_id_marker.as_deref() {
        Some(marker) => (key.as_str(), id.as_str()) > (after, marker),
        None => key.as_str() > after,
    });
    let page = page(behind.map(|((key, id), upload)| (key.as_str(), (key, id, upload))), &asked);
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let encode = |text: Option<String>| text.map(|text| encoding.key(&text));
    let last = page.entries.last().filter(|(key, ..)| page.next.as_ref() == Some(*key));
    Ok(ListMultipartUploadsOutput {
        is_truncated: Some(page.next.is_some()),
        next_upload_id_marker: last.map(|(_, id, _)| (*id).clone()),
        next_key_marker: encode(page.next.clone()),
        common_prefixes: encoding.prefixes(page.prefixes),
        uploads: Some(
            page.entries
                .into_iter()
                .map(|(key, id, upload)| MultipartUpload {
                    initiated: Some(upload.since()),
                    initiator: Some(Initiator {
                        display_name: owner().display_name,
                        id: owner().id,
                    }),
                    key: Some(encoding.key(key)),
                    owner: Some(owner()),
                    storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                    upload_id: Some(id.clone()),
                    ..MultipartUpload::default()
                })
                .collect(),
        ),
        bucket: Some(input.bucket),
        delimiter: encode(input.delimiter),
        encoding_type: input.encoding_type,
        key_marker: encode(input.key_marker),
        max_uploads: Some(max_uploads),
        prefix: encode(input.prefix),
        upload_id_marker: input.upload_id_marker,
        ..ListMultipartUploadsOutput::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_cut_into_pages() {
        let keys = ["a//x", "a/b", "c", "c/d", "c/e", "f"];
        let list = |asked: Asked<'_>| {
            let behind = keys.into_iter().filter(|key| *key > asked.after);
            let Page { entries, prefixes, next } = page(behind.map(|key| (key, key)), &asked);
            let names: Vec<_> =
                entries.into_iter().chain(prefixes.iter().map(String::as_str)).collect();
            (names.join(" "), next)
        };
        let slash = Some("/");
        let text = |text: &str| Some(text.to_owned());
        let all = Asked { most: 9, ..Asked::default() };
        assert_eq!(list(all), (keys.join(" "), None));
        let folders = |after, most| Asked { prefix: "", delimiter: slash, after, most };
        assert_eq!(list(folders("", 9)), ("c f a/ c/".to_owned(), None));
        assert_eq!(list(folders("", 1)), ("a/".to_owned(), text("a/")));
        assert_eq!(list(folders("a/", 1)), ("c".to_owned(), text("c")));
        assert_eq!(list(folders("c", 2)), ("f c/".to_owned(), None));
        assert_eq!(list(folders("c/", 2)), ("f".to_owned(), None));
        // One that begins within a folder has the rest of it.
        assert_eq!(list(folders("c/d", 9)), ("f c/".to_owned(), None));
        assert_eq!(list(folders("", 0)), (String::new(), None));
        let below = Asked { prefix: "a/", delimiter: slash, after: "", most: 9 };
        assert_eq!(list(below), ("a/b a//".to_owned(), None));
    }

    #[test]
    fn keys_are_encoded_as_clients_decode_them() {
        let encoding = Encoding::of(Some(&EncodingType::from_static(EncodingType::URL)));
        assert_eq!(encoding.key("a/b+c d\u{1}ü~-_."), "a/b%2Bc%20d%01%C3%BC~-_.");
        assert_eq!(untoken(&token("a\u{1}/ü")).as_deref(), Some("a\u{1}/ü"));
        assert_eq!(untoken("no token!"), None);
    }
}
