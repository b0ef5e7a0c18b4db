//! The record of a request in the access log: the one list of its fields, in every host.
//!
//! A host knows most of them by itself. What the filter alone knows it tells the host of each request
//! that it sees, as properties of one segment; there is nothing to tell of a hit.

use crate::metric::Series;
use crate::report::{Outcome, Report, Stored};
use crate::request::ObjectRequest;

/// What a field is in JSON, where it is known; else it is null.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A number.
    Number,
    /// A text.
    Text,
}

impl Kind {
    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
        }
    }
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $field:ident = $kind:ident $name:literal,)+) => {
        /// A field.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Field {
            $($(#[doc = $doc])+ $field,)+
        }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$field),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name),+ }
            }

            /// The property by which the filter tells it.
            #[must_use]
            pub const fn property(self) -> &'static str {
                match self { $(Self::$field => concat!("back_to_origin.", $name)),+ }
            }

            /// What it is in JSON.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$field => Kind::$kind),+ }
            }

            /// What it means.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$field => concat!($($doc),+)),+ }
            }
        }
    };
}

fields! {
    /// When the request came: UTC, RFC 3339, in milliseconds.
    Time = Text "time",
    /// The client's address. With `trusted_hops` it is the one that a trusted proxy says.
    Client = Text "client",
    /// The method.
    Method = Text "method",
    /// The bucket that the request names; null where it names none.
    Bucket = Text "bucket",
    /// The path as the client wrote it. The query is left out: it may hold a signature.
    Path = Text "path",
    /// The object's key, decoded, where a rule has decided. One with control characters, or that is no UTF-8, is percent-encoded.
    Key = Text "key",
    /// The status that the client got; 0 where it had left before.
    Status = Number "status",
    /// The bytes of the request's body.
    BytesReceived = Number "bytes_received",
    /// The bytes of the answer's body that went to the client.
    BytesSent = Number "bytes_sent",
    /// Milliseconds from the request to the end of its answer.
    Duration = Number "duration_ms",
    /// Milliseconds from the request to the server that was asked last until its answer began: an origin for what streams, else the bucket. Null where the client's answer came from no server, as a redirect.
    Server = Number "server_ms",
    /// The number of the rule that has decided; null where none did, as for a hit.
    Rule = Text "rule",
    /// What the client got by that rule, in the words of the metric `back_to_origin_requests_total`.
    Outcome = Text "outcome",
    /// Why it is a 424, or why the object is not stored, in the words of the metrics.
    Reason = Text "reason",
    /// The object's URL at its origin, or where the client was sent, without a query.
    Origin = Text "origin",
    /// What was known by the end of the request of the object in the bucket: `begun`, it is on its way there; `yes`, it is there; `no`, it is not brought there. What has become of what was begun is a line of the gateway's log, and counted by `back_to_origin_copies_total`.
    Stored = Text "stored",
    /// The multipart upload that brings the object into the bucket, where its id was known by the end of the request.
    UploadId = Text "upload_id",
    /// The trace that the request belongs to, by its `traceparent`. Envoy knows it only where the deployment has `tracing`, and then of each request.
    TraceId = Text "trace_id",
    /// The name that the answer gives to the request: its `x-amz-request-id`, or `x-oss-request-id`.
    RequestId = Text "request_id",
    /// What the rule did, in a sentence. It stands in no other log then.
    Message = Text "message",
}

/// What the filter tells of one request. What is told later takes the place of what was.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record(Vec<(Field, String)>);

impl Record {
    /// The fields, and what is told of each.
    pub fn fields(&self) -> impl Iterator<Item = (Field, &str)> {
        self.0.iter().map(|(field, value)| (*field, value.as_str()))
    }

    /// What is told of a field.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&str> {
        self.fields().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    /// With another field; what is empty is left out.
    #[must_use]
    pub(crate) fn with(mut self, field: Field, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.0.push((field, value));
        }
        self
    }

    /// A request for a bucket, by the path that the client wrote.
    pub(crate) fn arrived(bucket: &str, path: &[u8]) -> Self {
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let path = String::from_utf8_lossy(path);
        Self::default().with(Field::Bucket, bucket).with(Field::Path, path)
    }

    /// The same of one that has come before.
    pub(crate) fn again(request: &ObjectRequest) -> Self {
        Self::arrived(&request.bucket, request.headers.get(":path").unwrap_or_default())
    }

    /// A request whose rule leads to an origin.
    pub(crate) fn asked(report: &Report, url: String) -> Self {
        let rule = report.rule().to_string();
        Self::default()
            .with(Field::Key, report.key())
            .with(Field::Rule, rule)
            .with(Field::Origin, url)
    }

    /// A request that has ended so. `series` is what counts it.
    pub(crate) fn of(report: &Report, series: &Series, outcome: &Outcome<'_>) -> Self {
        let url = outcome.url().and_then(|url| url.split('?').next()).unwrap_or_default();
        let (stored, why) = outcome.stored();
        let reason = if series.reason.is_empty() { why } else { series.reason };
        Self::asked(report, url.to_owned())
            .with(Field::Outcome, series.word)
            .with(Field::Reason, reason)
            .with(Field::Stored, stored.map(Stored::word).unwrap_or_default())
    }

    /// A request of which nothing is known any more but what counts it.
    pub(crate) fn lost(series: &Series) -> Self {
        Self::default().with(Field::Outcome, series.word).with(Field::Reason, series.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_properties_of_one_segment_and_unique() {
        let names: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
        for field in Field::ALL {
            assert_eq!(field.property(), format!("back_to_origin.{}", field.name()));
            assert!(!field.property().contains('\0') && !field.description().trim().is_empty());
        }
    }

    #[test]
    fn a_query_is_in_no_field() {
        let record = Record::arrived("b", b"/b/a%22?X-Amz-Signature=s");
        assert_eq!(record.get(Field::Path), Some("/b/a%22"));
        assert_eq!(Record::default().with(Field::Rule, "").fields().count(), 0);
    }
}
