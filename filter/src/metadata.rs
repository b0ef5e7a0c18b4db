//! What an object in the bucket keeps of how it came there, as user metadata.

use crate::http::headers::{HeaderList, Headers};

/// The user metadata in which a stored object keeps its `x-oss-tag`.
pub const TAG_METADATA: &str = "x-amz-meta-x-oss-tag";

/// The user metadata in which a stored object keeps its origin's Last-Modified.
pub const LAST_MODIFIED_METADATA: &str = "x-amz-meta-x-oss-last-modified";

/// The user metadata in which a stored object keeps its origin's ETag, by which a client may know it.
pub const ETAG_METADATA: &str = "x-amz-meta-x-oss-etag";

/// The headers by which the bucket's answer goes on saying where its object came from, each in
/// place of any of its name. None for an object that no origin brought.
#[must_use]
pub fn repeated(answer: &Headers) -> HeaderList {
    let mut repeated = HeaderList::new();
    if let (Some(tag), None) = (answer.get(TAG_METADATA), answer.get("x-oss-tag")) {
        repeated.add("x-oss-tag", tag);
    }
    if let Some(time) = answer.get(LAST_MODIFIED_METADATA)
        && answer.get("last-modified") != Some(time)
    {
        repeated.add("last-modified", time);
    }
    repeated
}
