//! What is known of an object when its first byte arrives.

use crate::digest::Check;
use crate::http::headers::HeaderList;
use crate::lease::Lease;
use crate::metric::{Metric, Series};
use crate::reason::NotStored;
use crate::report::{Outcome, Report};

/// What is to be copied, and as what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: Vec<u8>,
    /// The object's own headers.
    pub headers: HeaderList,
    /// Its `x-oss-tag`.
    pub tag: String,
    /// Its URL at the origin.
    pub url: String,
    /// Its announced length.
    pub length: Option<u64>,
    /// Its strong ETag at the origin: by it the rest can be fetched when its stream ends early.
    pub validator: Option<String>,
    /// What its bytes are checked against, where its rule asks.
    pub check: Check,
    /// What its client got; absent where it left before that.
    pub client: Option<u16>,
    /// What will be told of it.
    pub report: Report,
}

/// A copy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CopyId(pub(super) u64);

impl CopyId {
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// How the bytes of a copy came to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The client left, or the origin broke off.
    Broken,
    /// The last byte has arrived.
    Whole,
}

impl Plan {
    /// The line on a request whose stream is not copied, since another is.
    #[must_use]
    pub fn shared(&self) -> String {
        self.report.line(&Outcome::Mirrored {
            url: &self.url,
            bytes: self.length,
            client: self.client,
            stored: None,
        })
    }

    /// The line on a request whose stream is not copied.
    pub(crate) fn not_stored(&self, why: NotStored) -> String {
        self.report.line(&Outcome::Mirrored {
            url: &self.url,
            bytes: self.length,
            client: self.client,
            stored: Some(Err(why)),
        })
    }

    /// A series of its bucket and rule.
    pub(crate) fn series(&self, metric: Metric) -> Series {
        Series::of(metric, &self.bucket, self.report.rule())
    }

    /// The number of copies that end so.
    pub(crate) fn ended(&self, result: Result<(), NotStored>) -> Series {
        let (bucket, rule) = (&self.bucket, self.report.rule());
        match result {
            Ok(()) => Series::stored(bucket, rule),
            Err(why) => Series::not_stored(why.label(), bucket, rule),
        }
    }

    /// The lease without which the object is not copied.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::of(&self.bucket, &self.key)
    }

    /// Whether both are for the same object of the same bucket.
    pub(crate) fn is_for(&self, other: &Self) -> bool {
        self.bucket == other.bucket && self.key == other.key
    }
}
