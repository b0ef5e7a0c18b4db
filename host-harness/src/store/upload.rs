//! Objects that are uploaded in parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{CompletedPart, CopyPartResult, CopySource, StreamingBlob, Timestamp};
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::body::{Writer, Written, blocking, receive};
use super::bucket::{Buckets, Found, found};
use super::checksum::{
    ALGORITHMS, Announced, Checksums, Digest, composite, get_checksums, hex, set_checksums,
};
use super::conditions::Conditions;
use super::object;
use super::record::{Record, kept, now};
use super::refusal;

/// The file beside the parts with what is known of the object to be.
const OBJECT: &str = "upload";

/// The highest number of a part.
const MOST_PARTS: i32 = 10_000;

/// The least size of a part, but for the last.
const LEAST_BYTES: u64 = 5 << 20;

/// An upload that is neither completed nor aborted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) headers: Vec<(String, String)>,
    /// Milliseconds since 1970.
    since: u64,
    /// The algorithm of the checksum that the object is to have.
    pub(super) algorithm: Option<String>,
    /// Whether that is of the whole, and not of the checksums of its parts.
    is_whole: bool,
}

/// Which upload a request is about.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) id: String,
}

/// A part that has been written.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) number: i32,
    pub(super) record: Record,
    pub(super) size: u64,
}

impl Upload {
    /// When it was begun.
    pub(super) fn since(&self) -> Timestamp {
        Timestamp::from(UNIX_EPOCH + std::time::Duration::from_millis(self.since))
    }

    /// The type of its checksum, as S3 names it.
    pub(super) fn checksum_type(&self) -> Option<&'static str> {
        self.algorithm.as_ref()?;
        Some(if self.is_whole { "FULL_OBJECT" } else { "COMPOSITE" })
    }
}

/// Begins an upload; returns its id.
pub(super) fn begin(
    buckets: &Buckets,
    bucket: &str,
    key: String,
    request: &HeaderMap,
) -> S3Result<(String, Upload)> {
    let text = |name: &str| request.get(name).and_then(|value| value.to_str().ok());
    let algorithm = text("x-amz-checksum-algorithm").map(str::to_ascii_lowercase);
    if algorithm.as_ref().is_some_and(|algorithm| !ALGORITHMS.contains(&algorithm.as_str())) {
        return Err(s3_error!(InvalidRequest, "No such checksum algorithm is known."));
    }
    let is_whole = match text("x-amz-checksum-type") {
        Some(kind) => kind == "FULL_OBJECT",
        None => algorithm.as_deref() == Some("crc64nvme"),
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let since = u64::try_from(since).unwrap_or(u64::MAX);
    let upload = Upload { key, headers: kept(request), since, algorithm, is_whole };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(S3Error::internal_error)?;
    let id = hex(&id);
    // It is there once it is whole.
    let directory = tempfile::tempdir_in(buckets.unfinished()).map_err(S3Error::internal_error)?;
    let text = serde_json::to_vec(&upload).map_err(S3Error::internal_error)?;
    std::fs::write(directory.path().join(OBJECT), text).map_err(S3Error::internal_error)?;
    let place = buckets.uploads(bucket)?.join(&id);
    std::fs::rename(directory.path(), place).map_err(S3Error::internal_error)?;
    Ok((id, upload))
}

/// The directory of an upload, and what is known of it.
///
/// # Errors
///
/// 404: it is none of this object that is open.
pub(super) fn find(buckets: &Buckets, name: &Name) -> S3Result<(PathBuf, Upload)> {
    let missing = || {
        s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed."
        )
    };
    let uploads = buckets.uploads(&name.bucket)?;
    if name.id.is_empty() || !name.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let directory = uploads.join(&name.id);
    match std::fs::read(directory.join(OBJECT)) {
        Ok(text) => {
            let upload: Upload = serde_json::from_slice(&text).map_err(S3Error::internal_error)?;
            if upload.key == name.key { Ok((directory, upload)) } else { Err(missing()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(S3Error::internal_error(error)),
    }
}

/// What the request for a part brings.
pub(super) struct Arriving {
    pub(super) name: Name,
    pub(super) number: i32,
    pub(super) body: StreamingBlob,
    pub(super) request: HeaderMap,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// Writes a part.
pub(super) async fn write(buckets: Arc<Buckets>, arriving: Arriving) -> S3Result<Record> {
    let Arriving { name, number, body, request, trailers } = arriving;
    let announced = Announced::of(&request, trailers)?;
    let (_, upload) = numbered(&buckets, &name, number)?;
    let digest = announced.digest(upload.algorithm.as_deref());
    let writer = Writer::new(&buckets.unfinished(), digest);
    receive(body, writer, move |written| {
        announced.verify(&written.md5, &written.checksums)?;
        keep(&buckets, &name, number, written)
    })
    .await
}

/// Copies a part out of an object.
pub(super) async fn copy(
    buckets: Arc<Buckets>,
    name: Name,
    number: i32,
    source: CopySource,
    request: HeaderMap,
) -> S3Result<CopyPartResult> {
    blocking(move || {
        let (_, upload) = numbered(&buckets, &name, number)?;
        let Found { mut file, size, .. } = object::source(&buckets, &source, &request)?;
        let range = request.get("x-amz-copy-source-range").and_then(|range| range.to_str().ok());
        let (start, end) = match range {
            None => (0, size),
            Some(range) => copied(range).filter(|(_, end)| *end <= size).ok_or_else(|| {
                s3_error!(InvalidArgument, "The x-amz-copy-source-range is not within the source.")
            })?,
        };
        io::Seek::seek(&mut file, io::SeekFrom::Start(start)).map_err(S3Error::internal_error)?;
        let digest = Digest::new(upload.algorithm.as_deref());
        let mut writer = Writer::new(&buckets.unfinished(), digest);
        writer.copy(&mut file, end - start, true).map_err(S3Error::internal_error)?;
        let written = writer.finish().map_err(S3Error::internal_error)?;
        let record = keep(&buckets, &name, number, written)?;
        let mut result = CopyPartResult {
            e_tag: record.e_tag(),
            last_modified: record.last_modified(),
            ..CopyPartResult::default()
        };
        set_checksums!(result, &record.checksums);
        Ok(result)
    })
    .await
}

/// The first byte of a range, and the one behind it.
fn copied(range: &str) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last.checked_add(1)?))
}

fn numbered(buckets: &Buckets, name: &Name, number: i32) -> S3Result<(PathBuf, Upload)> {
    if !(1..=MOST_PARTS).contains(&number) {
        return Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ));
    }
    find(buckets, name)
}

fn keep(buckets: &Buckets, name: &Name, number: i32, written: Written) -> S3Result<Record> {
    let record = Record {
        etag: hex(&written.md5),
        modified: now(),
        checksums: written.checksums,
        ..Record::default()
    };
    record.append(written.file.as_file()).map_err(S3Error::internal_error)?;
    // The upload may have ended meanwhile; where its directory is gone nothing is renamed into it.
    let (directory, _) = find(buckets, name)?;
    match written.file.persist(directory.join(number.to_string())) {
        Ok(_) => Ok(record),
        Err(error) if error.error.kind() == io::ErrorKind::NotFound => Err(s3_error!(NoSuchUpload)),
        Err(error) => Err(S3Error::internal_error(error.error)),
    }
}

/// The parts of an upload, in their order.
pub(super) fn parts(buckets: &Buckets, name: &Name) -> S3Result<(Upload, Vec<Part>)> {
    let (directory, upload) = find(buckets, name)?;
    let mut parts = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(S3Error::internal_error)? {
        let path = entry.map_err(S3Error::internal_error)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(number) = number else { continue };
        let Found { record, size, .. } =
            File::open(path).and_then(found).map_err(S3Error::internal_error)?;
        parts.insert(number, Part { number, record, size });
    }
    Ok((upload, parts.into_values().collect()))
}

/// The open uploads of a bucket: key, id and upload, in the order of keys.
pub(super) fn open(
    buckets: &Buckets,
    bucket: &str,
) -> S3Result<BTreeMap<(String, String), Upload>> {
    let mut open = BTreeMap::new();
    let entries = std::fs::read_dir(buckets.uploads(bucket)?).map_err(S3Error::internal_error)?;
    for entry in entries {
        let entry = entry.map_err(S3Error::internal_error)?;
        // One that ends just now is open no more.
        let upload = std::fs::read(entry.path().join(OBJECT));
        let upload = upload.ok().and_then(|text| serde_json::from_slice::<Upload>(&text).ok());
        if let (Some(upload), Ok(id)) = (upload, entry.file_name().into_string()) {
            open.insert((upload.key.clone(), id), upload);
        }
    }
    Ok(open)
}

/// Ends an upload without an object.
pub(super) fn abort(buckets: &Buckets, name: &Name) -> S3Result<()> {
    find(buckets, name)?;
    match take_away(buckets, name).map_err(S3Error::internal_error)? {
        Some(_) => Ok(()),
        None => Err(s3_error!(NoSuchUpload)),
    }
}

/// Moves an upload to where it takes no part any more and is removed when the result is dropped;
/// `None` where another has.
fn take_away(buckets: &Buckets, name: &Name) -> io::Result<Option<TempDir>> {
    let away = tempfile::tempdir_in(buckets.unfinished())?;
    let uploads = buckets.uploads(&name.bucket).map_err(io::Error::other)?;
    match std::fs::rename(uploads.join(&name.id), away.path().join(OBJECT)) {
        Ok(()) => Ok(Some(away)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a completion says of the object.
pub(super) struct Completion {
    pub(super) name: Name,
    pub(super) parts: Vec<CompletedPart>,
    pub(super) checksums: Checksums,
    pub(super) size: Option<i64>,
    pub(super) request: HeaderMap,
}

/// Makes an object of the parts that a client names. The upload is still open where that fails.
pub(super) fn complete(buckets: &Buckets, completion: Completion) -> S3Result<(Record, Upload)> {
    let Completion { name, parts: wanted, checksums: announced, size, request } = completion;
    let conditions = Conditions::of_write(&request)?;
    let (directory, upload) = find(buckets, &name)?;
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    if !wanted.is_sorted_by(|a, b| a.part_number < b.part_number) {
        return Err(s3_error!(InvalidPartOrder, "The parts are not in ascending order."));
    }
    buckets.judge(&name.bucket, &name.key, &conditions)?;
    let (mut sizes, mut sums, mut etags) = (Vec::new(), Vec::new(), Md5::new());
    let algorithm = upload.algorithm.as_deref();
    let is_digested = upload.is_whole && algorithm.is_some();
    let mut writer =
        Writer::new(&buckets.unfinished(), Digest::new(algorithm.filter(|_| is_digested)));
    for (at, part) in wanted.iter().enumerate() {
        let number = part.part_number.unwrap_or_default();
        let missing = || {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been \
                 uploaded, or the specified entity tag may not match the part's entity tag."
            )
        };
        let found = File::open(directory.join(number.to_string())).and_then(found);
        let Found { mut file, record, size } = found.map_err(|_| missing())?;
        let sent = get_checksums!(part);
        let is_it = part.e_tag.as_ref().is_none_or(|etag| etag.value() == record.etag)
            && sent
                .iter()
                .all(|(name, value)| record.checksums.get(name).is_none_or(|known| known == value));
        if !is_it {
            return Err(missing());
        }
        if size < LEAST_BYTES && at + 1 < wanted.len() {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        writer.copy(&mut file, size, is_digested).map_err(S3Error::internal_error)?;
        let digest = hex_simd::decode_to_vec(&record.etag).map_err(S3Error::internal_error)?;
        etags.update(&digest);
        sizes.push(size);
        sums.push(record.checksums);
    }
    let mut written = writer.finish().map_err(S3Error::internal_error)?;
    if size.is_some_and(|size| u64::try_from(size).ok() != Some(written.size)) {
        return Err(refusal("InvalidRequest", StatusCode::BAD_REQUEST));
    }
    let checksums = match algorithm {
        None => Checksums::new(),
        Some(_) if upload.is_whole => std::mem::take(&mut written.checksums),
        Some(name) => {
            let checksum = composite(name, &sums);
            checksum.map(|checksum| (name.to_owned(), checksum)).into_iter().collect()
        }
    };
    for (name, value) in &announced {
        if checksums.get(name).is_some_and(|found| found != value) {
            return Err(s3_error!(BadDigest, "The {name} is not that of the object."));
        }
    }
    let record = Record {
        key: name.key.clone(),
        etag: format!("{}-{}", hex(etags.finalize().as_ref()), wanted.len()),
        modified: now(),
        headers: upload.headers.clone(),
        parts: sizes,
        checksums,
    };
    let mut ended = Ok(None);
    let record = buckets.put_with(
        (&name.bucket, record, written),
        &conditions,
        // Another may have ended it while the parts were put together.
        || find(buckets, &name).map(|_| ()),
        || ended = take_away(buckets, &name),
    )?;
    ended.map_err(S3Error::internal_error)?;
    Ok((record, upload))
}
