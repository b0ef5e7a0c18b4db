//! One line a request that a rule acted on: what the bucket said, what was done, what came of it.

use std::fmt;

use crate::http::trace::Trace;
use crate::reason::{MirrorFailure, NotStored};
use crate::request::{Method, ObjectRequest};

/// What is to be told of one request.
#[derive(Clone, Debug)]
pub struct Report {
    method: Method,
    object: String,
    status: u16,
    rule: u32,
    trace: Trace,
    is_recorded: bool,
}

impl Report {
    /// A report on a request, the bucket's answer to it, and the rule that applied; `is_recorded` where
    /// there is an access log.
    #[must_use]
    pub fn new(request: &ObjectRequest, status: u16, rule: u32, is_recorded: bool) -> Self {
        let (method, trace) = (request.method, Trace::of(&request.headers));
        Self { method, object: request.name(), status, rule, trace, is_recorded }
    }

    /// The number of the rule.
    #[must_use]
    pub const fn rule(&self) -> u32 {
        self.rule
    }

    /// The trace that the request belongs to, and so does whatever is sent for it.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether the access log is told of the request.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// The object's name.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The object's key, for people.
    #[must_use]
    pub fn key(&self) -> &str {
        self.object.split_once('/').map_or("", |(_, key)| key)
    }

    /// The line.
    #[must_use]
    pub fn line(&self, outcome: &Outcome<'_>) -> String {
        format!("{self}{outcome}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, object, status, rule, trace: _, is_recorded: _ } = self;
        write!(f, "{} {object}: bucket {status}, rule {rule} ", method.as_str())
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The origin does not have the object.
    Absent {
        /// The object's URL.
        url: &'a str,
        /// When that was found.
        found: Found,
    },
    /// The client gets the object, or what it asks of it, and the bucket gets it too.
    Begun {
        /// The object's URL.
        url: &'a str,
        /// The object's size, where it is known by now.
        bytes: Option<u64>,
        /// The client's status.
        client: u16,
    },
    /// Another request fetched the object, and the client got it from the bucket then.
    Coalesced {
        /// The object's URL.
        url: &'a str,
        /// The status of the bucket's answer.
        status: u16,
    },
    /// The object was deleted through the gateway.
    Deleted,
    /// The object could not be had.
    Failed {
        /// The object's URL; absent where none could be made.
        url: Option<&'a str>,
        /// Why.
        failure: &'a MirrorFailure,
    },
    /// The origin does not have the object, and the rules behind are tried.
    FellThrough {
        /// The object's URL.
        url: &'a str,
        /// When that was found.
        found: Found,
    },
    /// The client got the object, or a part of it, or its headers.
    Mirrored {
        /// The object's URL.
        url: &'a str,
        /// The object's size, where it is known by now.
        bytes: Option<u64>,
        /// The client's status; absent where the client had left.
        client: Option<u16>,
        /// Whether the bucket has the object now; absent where another request stores it.
        stored: Option<Result<(), NotStored>>,
    },
    /// The object was wanted in the bucket, and could not be had.
    NotFetched {
        /// The object's URL.
        url: &'a str,
        /// The client's status; absent where the client had left.
        client: Option<u16>,
        /// Why.
        why: NotStored,
    },
    /// The origin's answer was the client's as it is.
    Passed {
        /// The object's URL.
        url: &'a str,
        /// The answer's status.
        status: u16,
    },
    /// The client was redirected by the rule.
    Redirected {
        /// The redirect's status.
        code: u16,
        /// Its target.
        location: &'a str,
    },
    /// The client was sent to the origin at once.
    Sent {
        /// The status it got.
        code: u16,
        /// Its target.
        location: &'a str,
        /// Whether the object is fetched meanwhile, to be stored.
        storing: Result<(), NotStored>,
    },
    /// The client was sent to the origin, since the object is too large.
    TooLarge {
        /// Where to.
        location: &'a str,
    },
    /// Headers of the object are not kept.
    Unkept {
        /// The object's URL.
        url: &'a str,
        /// Their names.
        names: &'a str,
    },
    /// The client asked for a part that is not there.
    Unsatisfiable {
        /// The object's URL.
        url: &'a str,
    },
}

/// What was known of an object's way into the bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stored {
    /// It is on its way.
    Begun,
    /// It is not brought there.
    No,
    /// It is there.
    Yes,
}

impl Stored {
    /// A word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::No => "no",
            Self::Yes => "yes",
        }
    }
}

/// When it was found that an origin does not have an object.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// By another request, as long ago as the negative cache keeps that at most.
    Lately,
    /// By this one.
    Now,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lately => " lately and was not asked (negative cache)",
            Self::Now => "",
        })
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { url, found } => {
                write!(f, "Mirror, origin {url} answered 404{found}, client got 404 NoSuchKey")
            }
            Self::Begun { url, bytes, client } => {
                answered(f, url, *bytes)?;
                write!(f, ", client got {client}, on its way into the bucket")
            }
            Self::Coalesced { url, status } => write!(
                f,
                "Mirror, origin {url} was asked by another request, client got the bucket's {status}"
            ),
            Self::Deleted => f.write_str(
                "Mirror, the object was deleted through the gateway, client got 404 NoSuchKey",
            ),
            Self::Failed { url: Some(url), failure } => {
                write!(f, "Mirror, origin {url}, client got 424 MirrorFailed: {failure}")
            }
            Self::Failed { url: None, failure } => {
                write!(f, "Mirror, client got 424 MirrorFailed: {failure}")
            }
            Self::FellThrough { url, found } => {
                write!(f, "Mirror, origin {url} answered 404{found}, the next rule is tried")
            }
            Self::NotFetched { url, client, why } => {
                write!(f, "Mirror, origin {url}, {}, not stored: {why}", Client(*client))
            }
            Self::Passed { url, status } => {
                write!(f, "Mirror, origin {url} answered {status}, client got that answer")
            }
            Self::Mirrored { url, bytes, client, stored } => {
                answered(f, url, *bytes)?;
                write!(f, ", {}, ", Client(*client))?;
                match stored {
                    Some(Ok(())) => f.write_str("stored in the bucket"),
                    Some(Err(why)) => write!(f, "not stored: {why}"),
                    None => f.write_str("stored by another request"),
                }
            }
            Self::Redirected { code, location } => {
                write!(f, "External, client got {code} to {location}")
            }
            Self::Sent { code, location, storing } => {
                write!(f, "Mirror, client got {code} to {location}, ")?;
                match storing {
                    Ok(()) => f.write_str("the object is being fetched"),
                    Err(why) => write!(f, "not fetched: {why}"),
                }
            }
            Self::TooLarge { location } => {
                write!(f, "Mirror, object too large, client got 302 to {location}")
            }
            Self::Unkept { url, names } => {
                write!(f, "Mirror, origin {url}: left out what is not ASCII in {names}")
            }
            Self::Unsatisfiable { url } => {
                write!(f, "Mirror, origin {url} answered 416, client got 416 InvalidRange")
            }
        }
    }
}

/// What an origin answered that has the object.
fn answered(f: &mut fmt::Formatter<'_>, url: &str, bytes: Option<u64>) -> fmt::Result {
    write!(f, "Mirror, origin {url} answered 200")?;
    bytes.map_or(Ok(()), |bytes| write!(f, " ({bytes} bytes)"))
}

impl Outcome<'_> {
    /// The object's URL, or where the client was sent.
    pub(crate) const fn url(&self) -> Option<&str> {
        match self {
            Self::Absent { url, .. }
            | Self::Begun { url, .. }
            | Self::Coalesced { url, .. }
            | Self::FellThrough { url, .. }
            | Self::Mirrored { url, .. }
            | Self::NotFetched { url, .. }
            | Self::Passed { url, .. }
            | Self::Redirected { location: url, .. }
            | Self::Sent { location: url, .. }
            | Self::TooLarge { location: url }
            | Self::Unkept { url, .. }
            | Self::Unsatisfiable { url } => Some(url),
            Self::Deleted => None,
            Self::Failed { url, .. } => *url,
        }
    }

    /// Whether the object is stored, where that is the question; the second is why it is not.
    pub(crate) const fn stored(&self) -> (Option<Stored>, &'static str) {
        match self {
            Self::Begun { .. } | Self::Sent { storing: Ok(()), .. } => (Some(Stored::Begun), ""),
            Self::Coalesced { .. } | Self::Mirrored { stored: Some(Ok(())), .. } => {
                (Some(Stored::Yes), "")
            }
            // Another request stores it.
            Self::Mirrored { stored: None, .. } => (Some(Stored::Begun), ""),
            Self::Mirrored { stored: Some(Err(why)), .. }
            | Self::NotFetched { why, .. }
            | Self::Sent { storing: Err(why), .. } => (Some(Stored::No), why.label()),
            Self::Absent { .. }
            | Self::Deleted
            | Self::Failed { .. }
            | Self::FellThrough { .. }
            | Self::Passed { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Unkept { .. }
            | Self::Unsatisfiable { .. } => (None, ""),
        }
    }
}

/// What a client got, in words.
struct Client(Option<u16>);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "client got {status}"),
            None => f.write_str("client had left"),
        }
    }
}
