//! A request whose object is to be mirrored.

use sha2::{Digest as _, Sha256};

use crate::absence::Absence;
use crate::configuration::Configuration;
use crate::lease::Lease;
use crate::matching::BucketResponse;
use crate::metric::{Metric, Outcome, Series};
use crate::miss_route;
use crate::origin::{OriginRequest, Route};
use crate::reason::NotStored;
use crate::report::Report;
use crate::request::ObjectRequest;
use crate::shared::SharedData;
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

    /// Whether origins were found to lack its object, no longer ago than that is kept.
    pub(crate) fn is_absent_lately(
        &self,
        configuration: &Configuration,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> bool {
        let lasts = configuration.negative_cache(&self.request.bucket, self.origin.rule());
        !lasts.is_zero() && self.absence().is_known(lasts, now, shared)
    }

    /// That no origin has its object: by all that they are asked, and whoever is asked.
    #[must_use]
    pub fn absence(&self) -> Absence {
        let ObjectRequest { bucket, key, method, headers, .. } = &self.request;
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        };
        let proto = headers.get(miss_route::FORWARDED_PROTO).unwrap_or_default();
        for part in [bucket.as_bytes(), key, proto, &self.rule.to_le_bytes()] {
            add(part);
        }
        for origin in std::iter::once(&self.origin).chain(&self.others) {
            add(origin.cluster.as_bytes());
            let asked = origin.call_headers(method.as_str());
            for (name, value) in asked.iter() {
                add(name.as_bytes());
                add(value);
            }
            add(&[]);
        }
        Absence::new(Lease::of(bucket, key), hash.finalize().into())
    }

    /// A series of its bucket and rule.
    pub(crate) fn series(&self, metric: Metric) -> Series {
        Series::of(metric, &self.request.bucket, self.rule)
    }

    /// The number of requests that ended so.
    pub(crate) fn ended(&self, outcome: Outcome) -> Series {
        Series::request(outcome, &self.request.bucket, self.rule)
    }

    /// The number of objects that are not stored for that reason.
    pub(crate) fn not_stored(&self, why: NotStored) -> Series {
        Series::not_stored(why.label(), &self.request.bucket, self.rule)
    }

    /// A series of one who is asked for the object.
    pub(crate) fn of_origin(&self, metric: Metric, asked: &OriginRequest) -> Series {
        Series { origin: asked.server(), ..self.series(metric) }
    }

    /// How long an origin took to begin its answer.
    pub(crate) fn first_byte(&self, asked: &OriginRequest) -> Series {
        Series { rule: 0, ..self.of_origin(Metric::FirstByte, asked) }
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
