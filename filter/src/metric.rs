//! What is measured: the one list of names, kinds and labels, in every host.
//!
//! A [`Series`] is a metric with its labels. Their values are closed words, numbers of rules, and the
//! names of buckets and of the servers in rules; never a key, a client or a redirect's target. So
//! there are as many as the configuration has rules, however many objects there are.

use std::fmt::Write as _;

/// How a metric changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It grows and shrinks; all workers of a host add to it.
    Gauge,
    /// Single values are sorted by their size.
    Histogram,
    /// A moment, in seconds since 1970: a gauge that is set.
    Moment,
}

impl Kind {
    /// Its name in the text form of Prometheus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Moment => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $metric:ident = $kind:ident $name:literal [$($label:literal),*];)+) => {
        /// A metric.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Metric {
            $($(#[doc = $doc])+ $metric,)+
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$metric),+];

            /// Its name in every host.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$metric => concat!("back_to_origin_", $name)),+ }
            }

            /// How it changes.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$metric => Kind::$kind),+ }
            }

            /// What it measures.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$metric => concat!($($doc),+)),+ }
            }

            /// The labels that it may have.
            #[must_use]
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$metric => &[$($label),*]),+ }
            }
        }
    };
}

metrics! {
    /// Requests that a rule has decided, by what their clients got; `reason` says why it is a 424.
    Requests = Counter "requests_total" ["bucket", "rule", "outcome", "reason"];
    /// Requests sent to origins.
    Fetches = Counter "fetches_total" ["bucket", "rule", "origin"];
    /// Bytes of bodies that came from origins.
    FetchedBytes = Counter "fetched_bytes_total" ["bucket", "rule", "origin"];
    /// Objects that were fetched, by whether they are in the bucket through this gateway; `reason` says why not.
    Copies = Counter "copies_total" ["bucket", "rule", "result", "reason"];
    /// Bytes of objects that were written into a bucket.
    StoredBytes = Counter "stored_bytes_total" ["bucket", "rule"];
    /// Attempts to store an object that are made again.
    StoreRetries = Counter "store_retries_total" ["bucket", "rule"];
    /// Answers of origins with a header that no store can be told: the object has none instead.
    HeadersUnkept = Counter "headers_unkept_total" ["bucket", "rule"];
    /// From a request to an origin until its answer begins; by callouts, until it has ended.
    FirstByte = Histogram "origin_first_byte_milliseconds" ["bucket", "origin"];
    /// From the first byte of an object until the bucket has it.
    CopyTime = Histogram "copy_milliseconds" ["bucket"];
    /// Bytes of objects that are held in memory: by the module, or by its host for it.
    HeldBytes = Gauge "held_bytes" ["place"];
    /// Objects on their way into the bucket.
    CopiesUnderWay = Gauge "copies_under_way" ["bucket"];
    /// Objects that wait to be fetched for themselves.
    WaitingBackfills = Gauge "waiting_backfills" ["bucket"];
    /// Multipart uploads that are open.
    OpenUploads = Gauge "open_uploads" ["bucket"];
    /// When the last request came that the bucket could not answer, in seconds since 1970.
    LastMiss = Moment "last_miss_timestamp_seconds" ["bucket"];
}

/// What a client got of a request that a rule has decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// 404, since the origin does not have the object either.
    Absent,
    /// The bucket's answer, after another request has fetched the object.
    Coalesced,
    /// 404, since the object was deleted through the gateway.
    Deleted,
    /// 424 MirrorFailed.
    MirrorFailed,
    /// The object or a part of it, or what else its origin had to say.
    Mirrored,
    /// A rule's redirect.
    Redirected,
    /// A redirect to the origin, since the object is too large.
    TooLarge,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &[Self] = &[
        Self::Absent,
        Self::Coalesced,
        Self::Deleted,
        Self::MirrorFailed,
        Self::Mirrored,
        Self::Redirected,
        Self::TooLarge,
    ];

    /// A word for it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Coalesced => "coalesced",
            Self::Deleted => "deleted",
            Self::MirrorFailed => "mirror_failed",
            Self::Mirrored => "mirrored",
            Self::Redirected => "redirected",
            Self::TooLarge => "too_large",
        }
    }
}

/// A metric with its labels. Those that are empty are left out.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Series {
    /// The metric.
    pub metric: Metric,
    /// The bucket.
    pub bucket: String,
    /// The rule's number; 0 for none.
    pub rule: u32,
    /// What came of it, or the place of what is held.
    pub word: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The server of the origin.
    pub origin: String,
}

/// Between the name of a label and its value, as Istio has it.
const IS: &str = "=.=";

/// Behind the value.
const END: &str = ";.;";

impl Series {
    /// One of a bucket.
    #[must_use]
    pub fn of(metric: Metric, bucket: &str, rule: u32) -> Self {
        let (bucket, origin) = (bucket.to_owned(), String::new());
        Self { metric, bucket, rule, word: "", reason: "", origin }
    }

    /// The number of requests that ended so.
    #[must_use]
    pub fn request(outcome: Outcome, bucket: &str, rule: u32) -> Self {
        Self { word: outcome.label(), ..Self::of(Metric::Requests, bucket, rule) }
    }

    /// The number of objects that have been stored.
    #[must_use]
    pub fn stored(bucket: &str, rule: u32) -> Self {
        Self { word: "stored", ..Self::of(Metric::Copies, bucket, rule) }
    }

    /// The number of objects that have not been, for a reason.
    #[must_use]
    pub fn not_stored(reason: &'static str, bucket: &str, rule: u32) -> Self {
        Self { word: "not_stored", reason, ..Self::of(Metric::Copies, bucket, rule) }
    }

    /// The same series with every value that is a name replaced by `other`.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        let other = |value: &str| if value.is_empty() { "" } else { "other" }.to_owned();
        Self { bucket: other(&self.bucket), rule: 0, origin: other(&self.origin), ..self.clone() }
    }

    /// Its name in the host: labels first, as Istio has it. Envoy takes them apart by `stats_tags`.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::new();
        for label in self.metric.labels() {
            let number = if self.rule == 0 { String::new() } else { self.rule.to_string() };
            let value = match *label {
                "bucket" => &self.bucket,
                "rule" => &number,
                "reason" => self.reason,
                "origin" => &self.origin,
                // Each metric has one word at most: outcome, result or place.
                _ => self.word,
            };
            if !value.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(name, "{label}{IS}{value}{END}");
            }
        }
        name.push_str(self.metric.name());
        name
    }
}

/// Labels and their values, in the order of a name, and the name without them.
#[must_use]
pub fn read(name: &str) -> (Vec<(&str, &str)>, &str) {
    let (mut labels, mut rest) = (Vec::new(), name);
    while let Some((label, behind)) = rest.split_once(IS)
        && let Some((value, behind)) = behind.split_once(END)
    {
        labels.push((label, value));
        rest = behind;
    }
    (labels, rest)
}

/// Every label that there is, in their order.
#[must_use]
pub fn labels() -> Vec<&'static str> {
    let mut labels: Vec<&str> =
        Metric::ALL.iter().flat_map(|metric| metric.labels()).copied().collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// The pattern by which Envoy finds a label in a name, with the part that goes and the value.
#[must_use]
pub fn pattern(label: &str) -> String {
    format!(r"({label}=\.=(.*?);\.;)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_labels_and_is_read_again() {
        let series = Series {
            origin: "old.example:8080".to_owned(),
            ..Series::of(Metric::Fetches, "a.b-c", 7)
        };
        let name = series.name();
        assert_eq!(
            name,
            "bucket=.=a.b-c;.;rule=.=7;.;origin=.=old.example:8080;.;back_to_origin_fetches_total"
        );
        let labels = vec![("bucket", "a.b-c"), ("rule", "7"), ("origin", "old.example:8080")];
        assert_eq!(read(&name), (labels, "back_to_origin_fetches_total"));
        assert_eq!(read("plain"), (Vec::new(), "plain"));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let lost = Series::request(Outcome::MirrorFailed, "", 0);
        assert_eq!(lost.name(), "outcome=.=mirror_failed;.;back_to_origin_requests_total");
        let series = Series::not_stored("busy", "b", 1);
        let other =
            "bucket=.=other;.;result=.=not_stored;.;reason=.=busy;.;back_to_origin_copies_total";
        assert_eq!(series.anonymous().name(), other);
    }
}
