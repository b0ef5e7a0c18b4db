//! A response before the filter has seen it, and where it came from.
//!
//! Owns how the gateway's own answers look. Who asks for one is the exchange's business.

use std::net::SocketAddr;
use std::time::Duration;

use back_to_origin::metadata::{LAST_MODIFIED_METADATA, TAG_METADATA};
use http::Method;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::filtered::Source;
use super::message;
use super::pace::Pace;
use crate::host::{Headers, LocalReply, Verdict};

/// What of an answer that nobody wants is read, so that its connection can be used again.
const WORTH_READING: u64 = 64 * 1024;

/// How long that may take.
const WORTH_WAITING: Duration = Duration::from_secs(1);

/// What a store says in words of a bucket that it does not have.
const NO_BUCKET: &[u8] = b"<Code>NoSuchBucket</Code>";

/// What a store says in words to who lacks a right.
const DENIED: &[u8] = b"<Code>AccessDenied</Code>";

/// A store's own word on an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// The client lacks a right.
    Denied,
    /// It does not have the bucket.
    NoBucket,
    /// Something else, or nothing that was read.
    Other,
}

/// Who has given an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    /// The filter.
    Filter,
    /// The gateway itself, for want of a server's.
    Gateway,
    /// A server.
    Server,
}

/// A response before the filter has seen it.
pub(super) struct Draft {
    pub(super) by: By,
    pub(super) fields: Headers,
    pub(super) end: bool,
    pub(super) source: Source,
    pub(super) details: String,
    /// By what it has come, in the words of `miss_route::FRAMING`.
    pub(super) framing: Option<&'static str>,
    pub(super) upstream: Option<SocketAddr>,
    /// How long its body may stand still, where that is not as long as anything.
    pub(super) patience: Option<Duration>,
    /// How fast its body streams, where that is bounded.
    pub(super) pace: Option<Pace>,
}

impl Draft {
    /// An answer that does not come from a server.
    pub(super) fn local(reply: LocalReply, by: By, method: &Method) -> Self {
        let fields = reply.fields();
        let end = reply.body.is_empty() || *method == Method::HEAD;
        let source = Source::Local((!end).then_some(reply.body));
        let (details, framing) = (reply.details, None);
        Self {
            by,
            fields,
            end,
            source,
            details,
            framing,
            upstream: None,
            patience: None,
            pace: None,
        }
    }

    pub(super) fn status(&self) -> u16 {
        message::status(&self.fields).as_u16()
    }

    /// Says of an object that came from an origin that it did.
    pub(super) fn tag(&mut self) {
        let tag = self.fields.first(TAG_METADATA.as_bytes()).map(<[u8]>::to_vec);
        if let (Some(tag), None) = (tag, self.fields.first(b"x-oss-tag")) {
            self.fields.add(b"x-oss-tag", &tag);
        }
        if let Some(time) = self.fields.first(LAST_MODIFIED_METADATA.as_bytes()) {
            let time = time.to_vec();
            self.fields.set(b"last-modified", &time);
        }
    }

    /// A store's own word on an error. A small body is read to its end for that.
    pub(super) async fn word(&mut self) -> Word {
        let length = self.fields.first(b"content-length");
        let length = length.and_then(|value| str::from_utf8(value).ok()?.parse::<u64>().ok());
        let kind = self.fields.first(b"content-type").unwrap_or_default();
        let is_error = || kind.windows(4).any(|bytes| bytes == b"/xml");
        if self.end || !length.map_or_else(is_error, |length| length <= WORTH_READING) {
            return Word::Other;
        }
        let Source::Store(body) = &mut self.source else { return Word::Other };
        let read = timeout(WORTH_WAITING, Limited::new(body, WORTH_READING as usize).collect());
        let Ok(Ok(read)) = read.await else { return Word::Other };
        let bytes = read.to_bytes();
        let says = |word: &[u8]| bytes.windows(word.len()).any(|bytes| bytes == word);
        let word = if says(NO_BUCKET) {
            Word::NoBucket
        } else if says(DENIED) {
            Word::Denied
        } else {
            Word::Other
        };
        self.source = Source::Local(Some(bytes));
        word
    }

    /// Nobody wants it. What is left of it is read, or its connection hung up where that is too
    /// much.
    pub(super) fn spend(self) {
        match self.source {
            Source::Store(body) | Source::Origin(body) => spend(body),
            Source::Local(_) => {}
        }
    }
}

fn spend(mut body: Incoming) {
    if body.size_hint().exact().is_some_and(|length| length > WORTH_READING) {
        return;
    }
    spawn_local(timeout(WORTH_WAITING, async move {
        let mut rest = WORTH_READING;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            let Some(left) = rest.checked_sub(length) else { return };
            rest = left;
        }
    }));
}

/// What comes of asking a server.
pub(super) enum Asked {
    Draft(Draft),
    Reset,
    Failed,
}

impl Asked {
    /// What comes of a filter that does not let a request pass.
    pub(super) fn prevented(verdict: Verdict, method: &Method) -> Self {
        match verdict {
            Verdict::Reply(reply) => Self::Draft(Draft::local(reply, By::Filter, method)),
            Verdict::Pass | Verdict::Reset => Self::Reset,
            Verdict::Failed => Self::Failed,
        }
    }

    /// What comes of a server that gives no answer.
    pub(super) fn failed(status: u16, details: &str, text: &'static str, method: &Method) -> Self {
        let reply = LocalReply::text(status, details, text);
        Self::Draft(Draft::local(reply, By::Gateway, method))
    }
}

/// The filter holds a request or a response for too long.
pub(super) fn stood_still() -> LocalReply {
    LocalReply::text(504, "stream_idle_timeout", "stream timeout")
}

/// The filter is dead.
pub(super) fn unavailable() -> LocalReply {
    LocalReply::text(503, "wasm_fail_stream", "")
}
