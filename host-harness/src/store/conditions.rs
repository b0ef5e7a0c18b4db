//! The conditions of a read (RFC 9110, section 13.2.2), which `s3s-fs` does not know.

use s3s::dto::{
    ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    Timestamp, TimestampFormat,
};
use s3s::{S3Result, s3_error};

/// What a read asks of the object that it finds.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    if_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_none_match: Option<ETagCondition>,
    if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    pub(super) fn of_get(input: &GetObjectInput) -> Self {
        Self {
            if_match: input.if_match.clone(),
            if_modified_since: input.if_modified_since.clone(),
            if_none_match: input.if_none_match.clone(),
            if_unmodified_since: input.if_unmodified_since.clone(),
        }
    }

    pub(super) fn of_head(input: &HeadObjectInput) -> Self {
        Self {
            if_match: input.if_match.clone(),
            if_modified_since: input.if_modified_since.clone(),
            if_none_match: input.if_none_match.clone(),
            if_unmodified_since: input.if_unmodified_since.clone(),
        }
    }

    /// # Errors
    ///
    /// 412 or 304: the client does not want this object.
    pub(super) fn get(&self, found: &GetObjectOutput) -> S3Result<()> {
        self.judge(found.e_tag.as_ref(), found.last_modified.as_ref())
    }

    /// # Errors
    ///
    /// The same.
    pub(super) fn head(&self, found: &HeadObjectOutput) -> S3Result<()> {
        self.judge(found.e_tag.as_ref(), found.last_modified.as_ref())
    }

    fn judge(&self, etag: Option<&ETag>, modified: Option<&Timestamp>) -> S3Result<()> {
        let same = |condition: &ETagCondition, compare: fn(&ETag, &ETag) -> bool| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(wanted) => etag.is_some_and(|etag| compare(wanted, etag)),
        };
        let is_refused = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !same(condition, ETag::strong_cmp),
            (None, Some(date)) => modified.is_some_and(|modified| is_later(modified, date)),
            (None, None) => false,
        };
        if is_refused {
            return Err(s3_error!(
                PreconditionFailed,
                "The object is not the one that is asked for."
            ));
        }
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => same(condition, ETag::weak_cmp),
            (None, Some(date)) => modified.is_some_and(|modified| !is_later(modified, date)),
            (None, None) => false,
        };
        if is_known { Err(s3_error!(NotModified)) } else { Ok(()) }
    }
}

/// Whether an object is newer than a date, which knows whole seconds.
fn is_later(modified: &Timestamp, date: &Timestamp) -> bool {
    whole(modified).is_some_and(|modified| modified > *date)
}

fn whole(time: &Timestamp) -> Option<Timestamp> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    Timestamp::parse(TimestampFormat::HttpDate, std::str::from_utf8(&text).ok()?).ok()
}
