//! The conditions of a request, judged by the rule that the filter has for a miss,
//! [`back_to_origin::http::precondition`].

use back_to_origin::http::headers::Headers;
use back_to_origin::http::precondition::{Unmet, Validators};
use http::{HeaderMap, HeaderName, header};
use s3s::{S3Error, S3Result, s3_error};

use super::record::Record;

/// What begins the names of the conditions about the source of a copy.
const OF_SOURCE: &str = "x-amz-copy-source-";

/// What a request asks of the object that it finds.
#[derive(Clone, Debug)]
pub(super) struct Conditions(Headers);

impl Conditions {
    /// Those of a read.
    pub(super) fn of(request: &HeaderMap) -> Self {
        let pairs = request.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Self(Headers::from_pairs(pairs))
    }

    /// Those of a copy, about its source.
    pub(super) fn of_source(request: &HeaderMap) -> Self {
        let pairs = request.iter().filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(OF_SOURCE)?, value.as_bytes()))
        });
        Self(Headers::from_pairs(pairs))
    }

    /// Those of a write, which S3 knows two of.
    ///
    /// # Errors
    ///
    /// 501: S3 has no meaning for it.
    pub(super) fn of_write(request: &HeaderMap) -> S3Result<Self> {
        if request.get(header::IF_NONE_MATCH).is_some_and(|value| value != "*") {
            return Err(s3_error!(NotImplemented, "A write takes If-None-Match with * alone."));
        }
        let known: [HeaderName; 2] = [header::IF_MATCH, header::IF_NONE_MATCH];
        let pairs = request.iter().filter(|(name, _)| known.contains(name));
        Ok(Self(Headers::from_pairs(pairs.map(|(name, value)| (name.as_str(), value.as_bytes())))))
    }

    /// Judges what a read has found.
    ///
    /// # Errors
    ///
    /// 412 or 304: the client does not want this object.
    pub(super) fn read(&self, found: &Record) -> S3Result<()> {
        match validators(found).unmet(&self.0) {
            None => Ok(()),
            Some(Unmet::Failed(_)) => Err(failed()),
            Some(Unmet::NotModified) => {
                let mut error = s3_error!(NotModified);
                let mut headers = found.answered();
                headers.remove(header::CONTENT_TYPE);
                let validators = validators(found);
                for (name, text) in [
                    (header::ETAG, validators.etag),
                    (header::LAST_MODIFIED, validators.last_modified),
                ] {
                    let value = text.and_then(|text| text.parse().ok());
                    headers.extend(value.map(|value| (name, value)));
                }
                error.set_headers(headers);
                Err(error)
            }
        }
    }

    /// Judges the source of a copy.
    ///
    /// # Errors
    ///
    /// 412: it is not to be copied.
    pub(super) fn source(&self, found: &Record) -> S3Result<()> {
        if validators(found).unmet(&self.0).is_some() { Err(failed()) } else { Ok(()) }
    }

    /// Judges what a write would replace.
    ///
    /// # Errors
    ///
    /// 412, or 404 where there is nothing: it is not to be replaced.
    pub(super) fn write(&self, found: Option<&Record>) -> S3Result<()> {
        match found {
            Some(found) => self.source(found),
            None if self.0.get("if-match").is_some() => Err(s3_error!(NoSuchKey)),
            None => Ok(()),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().next().is_none()
    }

    /// Whether the Range of a read counts.
    pub(super) fn takes_range(&self, found: &Record) -> bool {
        validators(found).takes_range(&self.0)
    }
}

fn validators(record: &Record) -> Validators {
    let seconds = i64::try_from(record.modified).ok();
    Validators {
        etag: Some(format!("\"{}\"", record.etag)),
        last_modified: seconds.map(back_to_origin::http::date::text),
    }
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the conditions does not hold.")
}
