//! What the host and the gateway tell about their work.
//!
//! Owns the records; who prints or keeps them implements [`Journal`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use back_to_origin::record::Field;

/// How grave a line is, by the numbers of the ABI.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Every step.
    Trace,
    /// Details for those who develop.
    Debug,
    /// What happened.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
    /// The virtual machine died.
    Critical,
}

impl Level {
    /// The level with this number, if there is one.
    pub(crate) const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Trace),
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warn),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// One line the filter logged, or the host about the filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRecord {
    /// How grave it is.
    pub level: Level,
    /// The worker whose virtual machine spoke.
    pub worker: usize,
    /// The context that was in effect: a request's, or the root's.
    pub context: u32,
    /// What was said; bytes that are not UTF-8 are replaced.
    pub message: String,
}

/// What the filter did to a request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Touch {
    /// The request and its answer went through as they were.
    Passed,
    /// The filter held the request or its answer for a while.
    Held,
    /// The filter answered in place of the store.
    Answered,
}

/// One client request that is over.
#[derive(Clone, Debug)]
pub struct Access {
    /// The worker that served it.
    pub worker: usize,
    /// The context the filter knew it by; 0 when the filter never saw it.
    pub context: u32,
    /// The request's method.
    pub method: String,
    /// The request's authority, as sent.
    pub authority: String,
    /// The request's path and query, as sent.
    pub path: String,
    /// The status the client got; none when it left before there was one.
    pub status: Option<u16>,
    /// The bytes of the body that were handed on to the client.
    pub bytes: u64,
    /// Whether the whole answer was handed on.
    pub complete: bool,
    /// From the request's head to its end.
    pub duration: Duration,
    /// Where the answer came from, in Envoy's words, e.g. `via_upstream`.
    pub details: String,
    /// What the filter did to it.
    pub touch: Touch,
    /// What the filter logged in this request's own context.
    pub log: Vec<LogRecord>,
    /// What else there is to be told of it, where requests are recorded.
    pub record: Option<Box<Record>>,
}

/// What the access log has of a request beside what is always known.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request's head was there.
    pub time: SystemTime,
    /// The client.
    pub client: IpAddr,
    /// The bucket that the request names.
    pub bucket: Option<String>,
    /// The bytes of the request's body.
    pub bytes_received: u64,
    /// How long the server that was asked last took to begin its answer.
    pub server: Option<Duration>,
    /// The trace that the request belongs to.
    pub trace_id: Option<String>,
    /// The name that the answer gives to the request.
    pub request_id: Option<String>,
    /// Whether its bucket could not answer it.
    pub is_miss: bool,
    /// What the filter has set in the last context that it knew the request by.
    pub told: Properties,
}

/// What the filter has set, by paths.
pub type Properties = BTreeMap<Vec<u8>, Vec<u8>>;

impl Record {
    /// What the filter tells of a field.
    #[must_use]
    pub fn told(&self, field: Field) -> Option<String> {
        let value = self.told.get(field.property().as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// Takes the records, from any worker's thread.
pub trait Journal: Send + Sync {
    /// A client request is over.
    fn access(&self, access: Access);
    /// The filter logged a line. Lines of a request's own context come here too, at once.
    fn log(&self, record: LogRecord);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Journal for Silent {
    fn access(&self, _: Access) {}
    fn log(&self, _: LogRecord) {}
}
