//! The conditions of a read, which `s3s-fs` does not know: judged by the rule that the filter has for
//! a miss, [`back_to_origin::http::precondition`].

use back_to_origin::http::headers::Headers;
use back_to_origin::http::precondition::{Unmet, Validators};
use http::HeaderMap;
use s3s::dto::{ETag, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

/// What a read asks of the object that it finds.
#[derive(Clone, Debug)]
pub(super) struct Conditions(Headers);

impl Conditions {
    pub(super) fn of(request: &HeaderMap) -> Self {
        let pairs = request.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Self(Headers::from_pairs(pairs))
    }

    /// # Errors
    ///
    /// 412 or 304: the client does not want this object.
    pub(super) fn judge(&self, etag: Option<&ETag>, modified: Option<&Timestamp>) -> S3Result<()> {
        let etag = etag.and_then(ETag::as_strong).map(|text| format!("\"{text}\""));
        let validators = Validators { etag, last_modified: modified.and_then(date) };
        match validators.unmet(&self.0) {
            None => Ok(()),
            Some(Unmet::Failed(_)) => {
                Err(s3_error!(PreconditionFailed, "The object is not the one that is asked for."))
            }
            Some(Unmet::NotModified) => Err(s3_error!(NotModified)),
        }
    }
}

fn date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}
