//! A request whose object is to be mirrored.

use crate::matching::BucketResponse;
use crate::origin::{OriginRequest, Route};
use crate::reason::NotStored;
use crate::report::Report;
use crate::request::ObjectRequest;
use crate::time::Moment;

/// A place in the order of one VM's events.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sequence(pub(crate) u64);

/// A request whose object is to be mirrored.
#[derive(Clone, Debug)]
pub struct Miss {
    /// When the request began, among the events of its VM; streaming, there are none.
    pub sequence: Sequence,
    /// The request.
    pub request: ObjectRequest,
    /// What the origin is asked.
    pub origin: OriginRequest,
    /// What others are asked after it, one by one, where it fails.
    pub others: Vec<OriginRequest>,
    /// The number of the rule.
    pub rule: u32,
    /// The bucket's answer.
    pub response: BucketResponse,
    /// What will be told of it.
    pub report: Report,
}

impl Miss {
    /// Whether the object is to be stored, or why it is not.
    ///
    /// # Errors
    ///
    /// The rule says not to, or the bucket has not said that it lacks the object.
    pub fn storing(&self) -> Result<(), NotStored> {
        self.origin.rule().storing(self.response.status, self.request.is_processed)
    }

    /// The way to the object, from its beginning.
    #[must_use]
    pub fn route(&self, now: Moment) -> Route {
        Route::new(self.origin.clone(), self.others.clone(), now)
    }

    /// Whether two misses want the same of the same origin, and of the same bucket, to the same end.
    pub(crate) fn is_same_object(&self, other: &Self) -> bool {
        self.rule == other.rule
            && self.origin == other.origin
            && self.storing() == other.storing()
            && self.request.bucket == other.request.bucket
            && self.request.key == other.request.key
    }
}
