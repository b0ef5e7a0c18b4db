//! The counters, as they are named in every host.

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $metric:ident = $name:literal;)+) => {
        /// A counter.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Metric {
            $($(#[doc = $doc])+ $metric,)+
        }

        impl Metric {
            /// Every counter.
            pub const ALL: &[Self] = &[$(Self::$metric),+];

            /// Its name in the host.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$metric => concat!("back_to_origin.", $name)),+ }
            }

            /// What it counts.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$metric => concat!($($doc),+)),+ }
            }
        }
    };
}

metrics! {
    /// Clients that got 404 because the origin does not have the object either.
    Absent = "absent";
    /// Clients that waited while another request fetched the object, and got the bucket's answer.
    Coalesced = "coalesced";
    /// Requests sent to origins.
    Fetches = "fetches";
    /// Answers of origins with a header that no store can be told: the object has none instead.
    HeadersUnkept = "headers_unkept";
    /// Clients that got 424 MirrorFailed.
    MirrorFailed = "mirror_failed";
    /// Clients that got an object, or a part of it, from its origin.
    Mirrored = "mirrored";
    /// Objects that were fetched and are not in the bucket through this gateway.
    NotStored = "not_stored";
    /// Clients that got a rule's redirect.
    Redirected = "redirected";
    /// Objects written into a bucket.
    Stored = "stored";
    /// Attempts to store an object that are made again.
    StoreRetries = "store_retries";
    /// Clients that were sent to the origin because the object is too large.
    TooLarge = "too_large";
}
