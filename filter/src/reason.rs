//! Why something was decided: the one wording for logs, metrics, error documents and `explain`.

use std::fmt;
use std::time::Duration;

use crate::digest::Mismatch;

/// Why the bucket's own answer stays as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pass {
    /// The answer is no error.
    BucketHasIt,
    /// The object was deleted from a versioned bucket, and stays so.
    Deleted,
    /// A 403 says nothing about whether the object is there.
    Forbidden,
    /// The key's dot segments lead out of the bucket.
    KeyClimbs,
    /// The path's percent-encoding is broken.
    KeyEncoding,
    /// The key is longer than the 1,024 bytes S3 allows.
    KeyTooLong,
    /// The gateway made the answer itself; the bucket was not heard.
    LocalReply,
    /// Not a GET, nor a HEAD that the rule is about.
    Method,
    /// The key is where the gateway keeps what was deleted.
    Marker,
    /// The answer is the origin's already.
    Mirrored,
    /// The request names no configured bucket.
    NoBucket,
    /// The request names a bucket and no key.
    NoKey,
    /// No rule's condition holds.
    NoRule,
    /// The query asks for another operation than GetObject.
    Subresource(&'static str),
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BucketHasIt => "the bucket's answer is no error",
            Self::Deleted => "the object was deleted from the bucket and stays deleted",
            Self::Forbidden => "a 403 does not say whether the object is there",
            Self::KeyClimbs => "the key's dot segments lead out of the bucket",
            Self::KeyEncoding => "the path's percent-encoding is broken",
            Self::KeyTooLong => "the key is longer than 1,024 bytes",
            Self::LocalReply => "the gateway made this answer, the bucket was not heard",
            Self::Method => "only GET is covered, and HEAD where a rule says MirrorAllowHeadObject",
            Self::Marker => "the gateway keeps there what was deleted",
            Self::Mirrored => "the answer is the origin's already",
            Self::NoBucket => "the request names no configured bucket",
            Self::NoKey => "the request names no object",
            Self::NoRule => "no rule applies",
            Self::Subresource(name) => {
                return write!(f, "the parameter `{name}` asks for another operation");
            }
        })
    }
}

/// Why an object could not be mirrored: each of these is a 424 MirrorFailed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MirrorFailure {
    /// The origin has failed several times in a row, and is left alone.
    BreakerOpen {
        /// When it is asked again, in seconds.
        retry_after: u64,
    },
    /// The answer broke off, or was more than the host holds, and the origin does not say which.
    Broken,
    /// The bucket did not say whether the object was deleted through the gateway.
    DeletionUnknown {
        /// What it answered; 0 where it was not heard.
        status: u16,
    },
    /// The bytes are not those whose digest the origin announced.
    Digest(Mismatch),
    /// The origin's address is on the inside of a network.
    Inside,
    /// The key's dot segments would lead out of the MirrorURL's path.
    KeyClimbs,
    /// The service that knows the quota of all gateways does not say whether there is room.
    QuotaUnknown,
    /// The origin redirected more often than is followed.
    Loop,
    /// The request has been here before: the origin is this gateway, or leads to it.
    BeenHere,
    /// As many requests as the quota of mirroring allows have been made.
    Limited {
        /// When there is room for another one, in seconds.
        retry_after: u64,
    },
    /// What came from the origin is no HTTP that can be read.
    Malformed,
    /// The origin's user metadata is larger than 8 KB.
    MetadataTooLarge,
    /// The host has no address to send the request to: the origin's name leads nowhere, or the host
    /// may not ask where it leads.
    NoAddress,
    /// The host knows no cluster of that name.
    NoCluster,
    /// The origin redirected to what is no HTTP URL.
    NoUrl,
    /// More fetches than the limit were under way for as long as one may take.
    Overloaded,
    /// The answer is 200, and says of its bytes that they are a part of more.
    Partial,
    /// The body's length is not the one announced.
    Short {
        /// The length that Content-Length announced.
        expected: u64,
        /// The bytes that arrived.
        found: u64,
    },
    /// The origin's status is not one that counts.
    Status(u16),
    /// The origin did not answer in time.
    TimedOut,
    /// The object is larger than the limit, and the rule does not redirect.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The origin redirected to a server that the configuration does not name.
    UnknownOrigin(String),
    /// The origin could not be reached.
    Unreachable,
}

impl MirrorFailure {
    /// A word for it, in metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::BeenHere => "been_here",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Broken => "broken",
            Self::DeletionUnknown { .. } => "deletion_unknown",
            Self::Digest(_) => "digest",
            Self::Inside => "inside",
            Self::KeyClimbs => "key_climbs",
            Self::Loop => "loop",
            Self::Limited { .. } => "limited",
            Self::Malformed => "malformed",
            Self::MetadataTooLarge => "metadata_too_large",
            Self::NoAddress => "no_address",
            Self::NoCluster => "no_cluster",
            Self::NoUrl => "no_url",
            Self::Overloaded => "overloaded",
            Self::Partial => "partial",
            Self::QuotaUnknown => "quota_unknown",
            Self::Short { .. } => "short",
            Self::Status(_) => "status",
            Self::TimedOut => "timed_out",
            Self::TooLarge { .. } => "too_large",
            Self::UnknownOrigin(_) => "unknown_origin",
            Self::Unreachable => "unreachable",
        }
    }
}

impl MirrorFailure {
    /// Beyond the quota, which has room again after this time.
    #[must_use]
    pub const fn limited(wait: Duration) -> Self {
        Self::Limited { retry_after: whole_seconds(wait) }
    }

    /// The origin is left alone for so long.
    #[must_use]
    pub const fn breaker_open(wait: Duration) -> Self {
        Self::BreakerOpen { retry_after: whole_seconds(wait) }
    }

    /// After how many seconds it is worth to ask again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::BreakerOpen { retry_after } | Self::Limited { retry_after } => Some(*retry_after),
            Self::DeletionUnknown { .. } | Self::QuotaUnknown => Some(1),
            Self::BeenHere
            | Self::Broken
            | Self::Digest(_)
            | Self::Inside
            | Self::KeyClimbs
            | Self::Loop
            | Self::Malformed
            | Self::MetadataTooLarge
            | Self::NoAddress
            | Self::NoCluster
            | Self::NoUrl
            | Self::Overloaded
            | Self::Partial
            | Self::Short { .. }
            | Self::Status(_)
            | Self::TimedOut
            | Self::TooLarge { .. }
            | Self::UnknownOrigin(_)
            | Self::Unreachable => None,
        }
    }
}

/// A time to wait in seconds, as clients are told it: none of them is sent away for none.
const fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs();
    if wait.subsec_nanos() > 0 || seconds == 0 { seconds.saturating_add(1) } else { seconds }
}

impl From<&MirrorFailure> for NotStored {
    /// Why the bucket does not have an object, where no client waited for it any more.
    fn from(failure: &MirrorFailure) -> Self {
        match failure {
            MirrorFailure::Digest(mismatch) => Self::Digest(*mismatch),
            MirrorFailure::Inside => Self::Inside,
            MirrorFailure::MetadataTooLarge => Self::Metadata,
            MirrorFailure::NoAddress => Self::NoAddress,
            MirrorFailure::Loop => Self::Loop,
            MirrorFailure::NoCluster => Self::OriginUnknown,
            MirrorFailure::NoUrl => Self::NoUrl,
            MirrorFailure::DeletionUnknown { .. }
            | MirrorFailure::Limited { .. }
            | MirrorFailure::Overloaded
            | MirrorFailure::QuotaUnknown => Self::Busy,
            MirrorFailure::Partial => Self::Partial,
            MirrorFailure::Short { expected, found } => {
                Self::Length { expected: *expected, found: *found }
            }
            MirrorFailure::Status(status) => Self::OriginRefused(*status),
            MirrorFailure::TimedOut => Self::OriginLate,
            MirrorFailure::TooLarge { limit } => Self::TooLarge { limit: *limit },
            MirrorFailure::UnknownOrigin(_) => Self::SentElsewhere,
            MirrorFailure::BreakerOpen { .. } | MirrorFailure::Unreachable => Self::Unreachable,
            // What climbs is asked of nobody.
            MirrorFailure::BeenHere
            | MirrorFailure::Broken
            | MirrorFailure::KeyClimbs
            | MirrorFailure::Malformed => Self::Broken,
        }
    }
}

/// What is said of an origin that is not asked for where it is.
const INSIDE: &str = "the origin's name leads to the inside of a network, and it was not asked";

/// What is said of an origin that sends on for ever.
const LOOP: &str = "the origin redirected more than 10 times";

/// What is said of a request that goes round.
const BEEN_HERE: &str =
    "the request has been here before: its origin leads back to this bucket (CDN-Loop)";

/// What is said of an origin that is left alone.
const BREAKER_OPEN: &str =
    "the origin has failed several times in a row, and is not asked for a while";

/// What is said of a bucket that does not say what was deleted.
const DELETION_UNKNOWN: &str =
    "the bucket did not say whether the object was deleted through this gateway";

/// What is said beyond the quota: OSS's own words, and what they mean.
const LIMITED: &str = "Mirror request is rejected by QoS, as many requests to origins as the quota \
    allows have been made";

/// What is said where the metadata is too much: OSS's own words.
const METADATA: &str = "Meta is too large";

/// What is said of a redirect that leads to no server.
const NO_URL: &str = "the origin redirected to something that is no http or https URL";

/// What is said of an origin of which the host knows nothing.
const NO_ORIGIN: &str = "the gateway has no cluster for the origin";

/// What is said of an origin that is silent.
const LATE: &str = "the origin did not answer in time";

/// What is said of a 200 that is none.
const PARTIAL: &str = "the origin answered 200 with the Content-Range of a part";

/// What is said where nobody tells whether there is room.
const QUOTA_UNKNOWN: &str =
    "the rate limit service does not answer, and nothing is mirrored without it";

/// What is said of an origin that does not take a connection, or drops it.
const UNREACHABLE: &str = "the origin cannot be reached";

/// What is said of an origin that a host has no address of.
const NO_ADDRESS: &str = "the origin's name leads nowhere, or to the inside of a network";

impl fmt::Display for MirrorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeenHere => f.write_str(BEEN_HERE),
            Self::BreakerOpen { .. } => f.write_str(BREAKER_OPEN),
            Self::Broken => {
                f.write_str("the origin's answer broke off, or is larger than the gateway can hold")
            }
            Self::DeletionUnknown { status: 0 } => f.write_str(DELETION_UNKNOWN),
            Self::DeletionUnknown { status } => {
                write!(f, "{DELETION_UNKNOWN}: it answered {status}")
            }
            Self::Digest(mismatch) => write!(f, "{mismatch}"),
            Self::Inside => f.write_str(INSIDE),
            Self::KeyClimbs => {
                f.write_str("the key's dot segments lead out of the MirrorURL's path")
            }
            Self::Loop => f.write_str(LOOP),
            Self::Limited { .. } => f.write_str(LIMITED),
            Self::Malformed => {
                f.write_str("the origin's answer is not valid HTTP, or its headers are too large")
            }
            Self::MetadataTooLarge => f.write_str(METADATA),
            Self::NoAddress => f.write_str(NO_ADDRESS),
            Self::NoCluster => f.write_str(NO_ORIGIN),
            Self::NoUrl => f.write_str(NO_URL),
            Self::Overloaded => f.write_str("too many fetches are under way"),
            Self::Partial => f.write_str(PARTIAL),
            Self::QuotaUnknown => f.write_str(QUOTA_UNKNOWN),
            Self::Short { expected, found } => {
                write!(f, "the origin announced {expected} bytes and sent {found}")
            }
            Self::Status(status) => {
                write!(f, "the origin answered {status}, and only 200 and 404 count")
            }
            Self::TimedOut => f.write_str(LATE),
            Self::TooLarge { limit } => {
                write!(f, "the object is larger than the limit of {limit} bytes")
            }
            Self::UnknownOrigin(origin) => {
                write!(
                    f,
                    "the origin redirected to {origin}, which the configuration does not name"
                )
            }
            Self::Unreachable => f.write_str(UNREACHABLE),
        }
    }
}

/// Why an object that was fetched is not in the bucket through this gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotStored {
    /// The object came into the bucket by another way meanwhile, and that one stays.
    AlreadyThere,
    /// It needs parts that are larger than what the gateway may hold of one.
    BeyondMemory {
        /// The size of such a part, in bytes.
        part: u64,
    },
    /// It has more bytes than a bucket takes.
    BeyondS3,
    /// The bytes stopped coming before the object was whole.
    Broken,
    /// The bucket failed: whether it has the object, or had it deleted, is not known.
    BucketFailed,
    /// Too many objects wait to be fetched already.
    Busy,
    /// The origin's object changed while it was fetched, or cannot be told from one that did.
    Changed,
    /// The bytes are not those whose digest the origin announced.
    Digest(Mismatch),
    /// The store kept failing.
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// The last status, 0 where none came.
        status: u16,
    },
    /// The rule says not to.
    ByRule,
    /// The origin's address is on the inside of a network.
    Inside,
    /// The body's length is not the one announced.
    Length {
        /// The length that Content-Length announced.
        expected: u64,
        /// The bytes that arrived.
        found: u64,
    },
    /// The origin redirected more often than is followed.
    Loop,
    /// The origin's user metadata is too large to be kept.
    Metadata,
    /// The host has no address to send a request for it to.
    NoAddress,
    /// The host knows no cluster of the store's.
    NoCluster,
    /// The origin redirected to what is no HTTP URL.
    NoUrl,
    /// The origin kept failing.
    OriginFailed {
        /// How often it was asked.
        attempts: u32,
        /// The last status, 0 where none came.
        status: u16,
    },
    /// The origin did not answer in time.
    OriginLate,
    /// The origin does not give the object out any more.
    OriginRefused(u16),
    /// The host knows no cluster of the origin's.
    OriginUnknown,
    /// The answer is 200, and says of its bytes that they are a part of more.
    Partial,
    /// What came is not the object, but what was made of it for one client.
    Processed,
    /// As much as the limit allows is waiting to be stored already.
    NoMemory,
    /// The store refused it for good.
    Refused(u16),
    /// The origin redirected to a server that the configuration does not name.
    SentElsewhere,
    /// The store has failed lately, and is left alone for a while.
    StoreRests,
    /// It has more bytes than its rule allows.
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// As many objects as may be are on their way into the bucket.
    TooMany,
    /// Nobody announced its size, and it needs more parts than an upload has.
    Unannounced,
    /// The store knows no conditional writes, and a write could replace what has come meanwhile.
    Unconditional,
    /// The store did not say that it has the object, and does not have it.
    Unconfirmed,
    /// The end of its bytes cannot be told from a break: the origin sends neither a length nor chunks.
    Undelimited,
    /// The origin could not be reached.
    Unreachable,
    /// The store's answer was lost, and it does not let the object be looked at.
    Unknown,
    /// A client has written or deleted it while it was copied.
    Written,
    /// The rest of it cannot be fetched: the origin gives no ranges, or no strong ETag with them.
    Unranged,
}

impl NotStored {
    /// Whether a rule, or the request, means it so: nothing has failed.
    #[must_use]
    pub const fn is_meant(self) -> bool {
        matches!(self, Self::ByRule | Self::Processed)
    }

    /// Whether it is the origin that did not give the object, rather than the store that did not
    /// take it.
    #[must_use]
    pub const fn is_origins(self) -> bool {
        match self {
            Self::Broken
            | Self::Changed
            | Self::Digest(_)
            | Self::Inside
            | Self::Length { .. }
            | Self::Loop
            | Self::NoAddress
            | Self::NoUrl
            | Self::OriginFailed { .. }
            | Self::OriginLate
            | Self::OriginRefused(_)
            | Self::OriginUnknown
            | Self::Partial
            | Self::SentElsewhere
            | Self::TooLarge { .. }
            | Self::Undelimited
            | Self::Unranged
            | Self::Unreachable => true,
            Self::AlreadyThere
            | Self::BeyondMemory { .. }
            | Self::BeyondS3
            | Self::BucketFailed
            | Self::Busy
            | Self::ByRule
            | Self::GaveUp { .. }
            | Self::Metadata
            | Self::NoCluster
            | Self::NoMemory
            | Self::Processed
            | Self::Refused(_)
            | Self::StoreRests
            | Self::TooMany
            | Self::Unannounced
            | Self::Unconditional
            | Self::Unconfirmed
            | Self::Unknown
            | Self::Written => false,
        }
    }

    /// A word for it, in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AlreadyThere => "already_there",
            Self::BeyondMemory { .. } => "beyond_memory",
            Self::BeyondS3 => "beyond_s3",
            Self::Broken => "broken",
            Self::BucketFailed => "bucket_failed",
            Self::ByRule => "by_rule",
            Self::Busy => "busy",
            Self::Changed => "changed",
            Self::Digest(_) => "digest",
            Self::GaveUp { .. } => "gave_up",
            Self::Inside => "inside",
            Self::Length { .. } => "length",
            Self::Loop => "loop",
            Self::Metadata => "metadata",
            Self::NoAddress => "no_address",
            Self::NoCluster => "no_cluster",
            Self::NoMemory => "no_memory",
            Self::NoUrl => "no_url",
            Self::OriginFailed { .. } => "origin_failed",
            Self::OriginLate => "origin_late",
            Self::OriginRefused(_) => "origin_refused",
            Self::OriginUnknown => "origin_unknown",
            Self::Partial => "partial",
            Self::Processed => "processed",
            Self::Refused(_) => "refused",
            Self::SentElsewhere => "sent_elsewhere",
            Self::TooLarge { .. } => "too_large",
            Self::StoreRests => "store_rests",
            Self::TooMany => "too_many",
            Self::Unannounced => "unannounced",
            Self::Unconditional => "unconditional",
            Self::Unconfirmed => "unconfirmed",
            Self::Undelimited => "undelimited",
            Self::Unknown => "unknown",
            Self::Unranged => "unranged",
            Self::Unreachable => "unreachable",
            Self::Written => "written",
        }
    }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere => {
                f.write_str("the bucket has the object by now, and keeps what it has")
            }
            Self::BeyondMemory { part } => write!(
                f,
                "an upload has 10,000 parts at most, and `memory_bytes` does not allow for parts of \
                 {part} bytes"
            ),
            Self::BeyondS3 => f.write_str("it has more than the 5 TiB that a bucket takes"),
            Self::Broken => f.write_str("the bytes stopped coming before the object was whole"),
            Self::BucketFailed => {
                f.write_str("the bucket failed, which does not say that it lacks the object")
            }
            Self::ByRule => f.write_str("the rule says so"),
            Self::Busy => f.write_str("too many objects wait to be fetched already"),
            Self::Changed => {
                f.write_str("the origin's object may have changed while it was fetched")
            }
            Self::Digest(mismatch) => write!(f, "{mismatch}"),
            Self::Inside => f.write_str(INSIDE),
            Self::OriginFailed { attempts, status: 0 } => {
                write!(
                    f,
                    "none of {attempts} answers of the origin came whole, or each was more than the \
                     gateway can hold"
                )
            }
            Self::OriginFailed { attempts, status } => {
                write!(f, "the origin failed {attempts} times, last with {status}")
            }
            Self::OriginRefused(status) => write!(f, "the origin answered {status} by then"),
            Self::GaveUp { attempts, status: 0 } => {
                write!(f, "the store did not answer {attempts} attempts")
            }
            Self::GaveUp { attempts, status } => {
                write!(f, "the store failed {attempts} times, last with {status}")
            }
            Self::Length { expected, found } => {
                write!(f, "the origin announced {expected} bytes and sent {found}")
            }
            Self::Loop => f.write_str(LOOP),
            Self::Metadata => f.write_str(METADATA),
            Self::NoAddress => f.write_str(NO_ADDRESS),
            Self::NoCluster => f.write_str("the gateway has no cluster for the origin or the store"),
            Self::NoMemory => f.write_str("too much is waiting to be stored already"),
            Self::NoUrl => f.write_str(NO_URL),
            Self::OriginLate => f.write_str(LATE),
            Self::OriginUnknown => f.write_str(NO_ORIGIN),
            Self::Partial => f.write_str(PARTIAL),
            Self::Processed => f.write_str("it is an image as one client wants it, not the object"),
            Self::Refused(status) => write!(f, "the store refused it with {status}"),
            Self::SentElsewhere => f.write_str(
                "the origin redirected to a server that the configuration does not name",
            ),
            Self::TooLarge { limit } => {
                write!(f, "it has more bytes than the {limit} that are allowed")
            }
            Self::StoreRests => {
                f.write_str("the store has failed lately, and is left alone for a while")
            }
            Self::TooMany => f.write_str("too many objects are on their way into buckets already"),
            Self::Unannounced => f.write_str(
                "it needs more than the 10,000 parts of an upload, and its size was not announced",
            ),
            Self::Unconditional => f.write_str(
                "the store knows no conditional writes: `conditional_writes` of the bucket says what \
                 to do",
            ),
            Self::Unconfirmed => {
                f.write_str("the store did not say that it has it, and does not have it")
            }
            Self::Undelimited => f.write_str(
                "the origin sends neither a length nor chunks, so that an end cannot be told from a \
                 break",
            ),
            Self::Unreachable => f.write_str(UNREACHABLE),
            Self::Unknown => f.write_str("the store was not heard, and may have it all the same"),
            Self::Written => {
                f.write_str("a client has written or deleted it while it was copied")
            }
            Self::Unranged => f.write_str(
                "it has to be fetched in parts, and the origin gives no ranges or no strong ETag",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_object_was_not_had_is_why_it_is_not_stored() {
        use MirrorFailure as Failed;
        let other = |failure: &Failed| NotStored::from(failure).to_string();
        for failure in [
            Failed::Inside,
            Failed::Loop,
            Failed::MetadataTooLarge,
            Failed::NoAddress,
            Failed::NoCluster,
            Failed::NoUrl,
            Failed::Partial,
            Failed::Short { expected: 2, found: 1 },
            Failed::TimedOut,
            Failed::Unreachable,
        ] {
            assert_eq!(other(&failure), failure.to_string());
        }
        let elsewhere = other(&Failed::UnknownOrigin("http://h".to_owned()));
        assert!(elsewhere.contains("a server that the configuration does not name"));
        assert!(other(&Failed::TooLarge { limit: 5 }).contains("the 5 that are allowed"));
        assert!(other(&Failed::Overloaded).contains("too many objects wait to be fetched"));
        assert_eq!(other(&Failed::Status(503)), "the origin answered 503 by then");
        assert!(other(&Failed::Broken).contains("stopped coming"));
    }
}
