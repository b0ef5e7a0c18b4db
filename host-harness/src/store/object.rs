//! Objects: read, written, copied.

use std::ops::Range;
use std::sync::Arc;

use back_to_origin::http::range::{self, Part};
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Uri};
use s3s::dto::{CopyObjectResult, CopySource, StreamingBlob};
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};

use super::body::{self, Writer, blocking, receive};
use super::bucket::{Buckets, Found};
use super::checksum::{Announced, Digest, HEADER, hex, set_checksums};
use super::conditions::Conditions;
use super::record::{Record, kept, now};
use super::refusal;

/// The parameters of a read that replace headers of its answer.
pub(super) const REPLACED: &str = "response-";

/// What a read is answered with.
pub(super) struct Answer {
    /// `None` where a HEAD asked.
    pub(super) body: Option<StreamingBlob>,
    pub(super) length: u64,
    pub(super) headers: HeaderMap,
}

/// What a read asks for.
pub(super) struct Asked {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) part: Option<i32>,
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    pub(super) with_body: bool,
}

/// Reads an object, or what is known of it.
pub(super) fn read(buckets: &Buckets, asked: &Asked) -> S3Result<Answer> {
    let Found { file, record, size } = buckets.find(&asked.bucket, &asked.key)?;
    let conditions = Conditions::of(&asked.headers);
    conditions.read(&record)?;
    let part = selected(asked, &record, size, &conditions)?;
    let mut headers = record.answered();
    let mut set = |name: &'static str, value: &str| {
        // Each is a text without line breaks.
        headers.extend(
            HeaderValue::from_str(value)
                .ok()
                .map(|value| (header::HeaderName::from_static(name), value)),
        );
    };
    set("etag", &format!("\"{}\"", record.etag));
    let modified = i64::try_from(record.modified).unwrap_or_default();
    set("last-modified", &back_to_origin::http::date::text(modified));
    set("accept-ranges", "bytes");
    if let Some(Range { start, end }) = &part {
        set("content-range", &format!("bytes {start}-{}/{size}", end - 1));
    }
    if asked.part.is_some() && !record.parts.is_empty() {
        set("x-amz-mp-parts-count", &record.parts.len().to_string());
    }
    let wants_checksums = asked.headers.get("x-amz-checksum-mode");
    if part.is_none()
        && wants_checksums.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"ENABLED"))
    {
        for (name, value) in &record.checksums {
            let name = header::HeaderName::try_from(format!("{HEADER}{name}"));
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
            let of_parts = value.contains('-');
            let kind = if of_parts { "COMPOSITE" } else { "FULL_OBJECT" };
            headers.insert("x-amz-checksum-type", HeaderValue::from_static(kind));
        }
    }
    replace(&mut headers, &asked.uri);
    let bytes = part.unwrap_or(0..size);
    let length = bytes.end - bytes.start;
    let body = if asked.with_body {
        Some(body::send(file, bytes).map_err(S3Error::internal_error)?)
    } else {
        None
    };
    Ok(Answer { body, length, headers })
}

/// The part that a read is about, where it is not the whole.
fn selected(
    asked: &Asked,
    record: &Record,
    size: u64,
    conditions: &Conditions,
) -> S3Result<Option<Range<u64>>> {
    if let Some(number) = asked.part {
        let missing = || refusal("InvalidPartNumber", StatusCode::RANGE_NOT_SATISFIABLE);
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let at = at.ok_or_else(missing)?;
        if record.parts.is_empty() && at == 0 {
            return Ok(None);
        }
        let length = record.parts.get(at).ok_or_else(missing)?;
        let start: u64 = record.parts.iter().take(at).sum();
        return Ok(Some(start..start + length));
    }
    let range = asked.headers.get(header::RANGE).filter(|_| conditions.takes_range(record));
    let whole = usize::try_from(size).map_err(S3Error::internal_error)?;
    match range::part(range.map(HeaderValue::as_bytes), whole) {
        Part::Whole => Ok(None),
        Part::Bytes(Range { start, end }) => Ok(Some(start as u64..end as u64)),
        Part::Unsatisfiable => {
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            headers.extend(
                HeaderValue::try_from(format!("bytes */{size}"))
                    .ok()
                    .map(|value| (header::CONTENT_RANGE, value)),
            );
            error.set_headers(headers);
            Err(error)
        }
    }
}

/// Puts the values of `response-*` in the place of an object's own.
fn replace(headers: &mut HeaderMap, uri: &Uri) {
    let query = uri.query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let Some(name) = name.strip_prefix(REPLACED) else { continue };
        let name = match name {
            "cache-control" => header::CACHE_CONTROL,
            "content-disposition" => header::CONTENT_DISPOSITION,
            "content-encoding" => header::CONTENT_ENCODING,
            "content-language" => header::CONTENT_LANGUAGE,
            "content-type" => header::CONTENT_TYPE,
            "expires" => header::EXPIRES,
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    }
}

/// What a write brings.
pub(super) struct Write {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) body: StreamingBlob,
    pub(super) request: HeaderMap,
    pub(super) kept: Vec<(String, String)>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// Writes an object.
pub(super) async fn write(buckets: Arc<Buckets>, write: Write) -> S3Result<Record> {
    let Write { bucket, key, body, request, kept, trailers } = write;
    let conditions = Conditions::of_write(&request)?;
    let announced = Announced::of(&request, trailers)?;
    buckets.enter(&bucket)?;
    let writer = Writer::new(&buckets.unfinished(), announced.digest(None));
    receive(body, writer, move |written| {
        announced.verify(&written.md5, &written.checksums)?;
        let record = Record {
            key,
            etag: hex(&written.md5),
            modified: now(),
            headers: kept,
            parts: Vec::new(),
            checksums: written.checksums.clone(),
        };
        buckets.put(&bucket, record, written, &conditions)
    })
    .await
}

/// Opens the source of a copy.
pub(super) fn source(
    buckets: &Buckets,
    source: &CopySource,
    request: &HeaderMap,
) -> S3Result<Found> {
    let (bucket, key) = place(source)?;
    let found = buckets.find(bucket, key)?;
    Conditions::of_source(request).source(&found.record)?;
    Ok(found)
}

fn place(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket, key)),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
            Err(s3_error!(NotImplemented, "There are no access points here."))
        }
    }
}

/// What a copy is to become.
pub(super) struct Copy {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) source: CopySource,
    pub(super) request: HeaderMap,
}

/// Copies an object.
pub(super) async fn copy(buckets: Arc<Buckets>, copy: Copy) -> S3Result<CopyObjectResult> {
    blocking(move || {
        let Copy { bucket, key, source: from, request } = copy;
        let conditions = Conditions::of_write(&request)?;
        buckets.enter(&bucket)?;
        let Found { mut file, record: old, size } = source(&buckets, &from, &request)?;
        let is_replaced = |name: &str| {
            request.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"REPLACE"))
        };
        let is_new = is_replaced("x-amz-metadata-directive");
        if !is_new
            && !is_replaced("x-amz-tagging-directive")
            && !request.contains_key("x-amz-storage-class")
            && place(&from)? == (bucket.as_str(), key.as_str())
        {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself \
                 without changing the object's metadata, storage class, website redirect location \
                 or encryption attributes."
            ));
        }
        // That of several parts is the ETag of no copy.
        let is_digested = old.etag.contains('-');
        let mut writer = Writer::new(&buckets.unfinished(), Digest::new([]));
        writer.copy(&mut file, size, is_digested).map_err(S3Error::internal_error)?;
        let written = writer.finish().map_err(S3Error::internal_error)?;
        let record = Record {
            key,
            etag: if is_digested { hex(&written.md5) } else { old.etag },
            modified: now(),
            headers: if is_new { kept(&request) } else { old.headers },
            parts: Vec::new(),
            checksums: if is_digested { Default::default() } else { old.checksums },
        };
        let record = buckets.put(&bucket, record, written, &conditions)?;
        let mut result = CopyObjectResult {
            e_tag: record.e_tag(),
            last_modified: record.last_modified(),
            ..CopyObjectResult::default()
        };
        set_checksums!(result, &record.checksums);
        Ok(result)
    })
    .await
}
