//! The access log of `b2o serve`: a line of JSON for each request.
//!
//! Owns which requests are recorded, and what a record looks like. What its fields are called and mean
//! is [`back_to_origin::record`]'s, and the same in Envoy.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use back_to_origin::record::Field;
use serde_json::Value;

use crate::deployment::Recorded;
use crate::host::{Access, Record};
use crate::moment;

/// Whether a request is recorded.
pub(crate) fn is_recorded(access: &Access, record: &Record, which: Recorded) -> bool {
    let has_failed = !access.complete || access.status.is_none_or(|status| status >= 400);
    match which {
        Recorded::All => true,
        Recorded::Misses => has_failed || record.is_miss || record.told(Field::Rule).is_some(),
        Recorded::Failures => has_failed,
    }
}

/// The line of a request.
pub(crate) fn line(access: &Access, record: &Record) -> String {
    let mut line = String::from("{");
    for field in Field::ALL {
        let name = field.name();
        let before = if line.len() == 1 { "" } else { "," };
        // Writing into a string cannot fail.
        let _ = write!(line, "{before}\"{name}\":{}", value(*field, access, record));
    }
    line.push('}');
    line
}

fn value(field: Field, access: &Access, record: &Record) -> Value {
    match field {
        Field::Time => {
            let since = record.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            moment::in_millis(since).into()
        }
        Field::Client => record.client.to_string().into(),
        Field::Method => access.method.as_str().into(),
        Field::Bucket => record.told(field).or_else(|| record.bucket.clone()).into(),
        Field::Path => access.path.split('?').next().into(),
        Field::Status => access.status.unwrap_or_default().into(),
        Field::BytesReceived => record.bytes_received.into(),
        Field::BytesSent => access.bytes.into(),
        Field::Duration => millis(access.duration).into(),
        Field::Server => record.server.map(millis).into(),
        Field::TraceId => record.trace_id.as_deref().into(),
        Field::RequestId => record.request_id.as_deref().into(),
        Field::Key
        | Field::Message
        | Field::Origin
        | Field::Outcome
        | Field::Reason
        | Field::Rule
        | Field::Stored
        | Field::UploadId => record.told(field).into(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
