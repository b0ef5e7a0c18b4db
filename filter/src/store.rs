//! The store behind a bucket: the request that writes an object, and the judgement of its answer.

use crate::configuration::{Addressing, Bucket};
use crate::http::headers::HeaderList;
use crate::http::percent;
use crate::reply::Object;

/// The user metadata in which a stored object keeps its `x-oss-tag`.
pub const TAG_METADATA: &str = "x-amz-meta-x-oss-tag";

/// The headers of the PutObject that stores an object, if the bucket does not have it by then.
#[must_use]
pub fn put_headers(bucket: &Bucket, key: &[u8], object: &Object) -> HeaderList {
    let store = &bucket.store;
    let name = &bucket.name;
    let key = percent::encode_key(key);
    let (authority, path) = match store.addressing {
        Addressing::Path => (store.authority.clone(), format!("/{name}/{key}")),
        Addressing::Virtual => (format!("{name}.{}", store.authority), format!("/{key}")),
    };
    let mut headers = HeaderList::new()
        .with(":method", "PUT")
        .with(":scheme", store.scheme.as_str())
        .with(":authority", authority)
        .with(":path", path)
        // Whatever came into the bucket meanwhile is newer, and stays.
        .with("if-none-match", "*");
    headers.extend(&object.headers);
    headers.add(TAG_METADATA, &object.tag);
    if object.body.is_empty() {
        // Envoy announces the length of a body, and of none at all nothing.
        headers.add("content-length", "0");
    }
    headers
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
}
