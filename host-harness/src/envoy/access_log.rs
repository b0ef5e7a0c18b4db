//! The access log: Envoy writes it natively, and the filter tells it what it alone knows.
//!
//! Owns which requests have a line, and which of Envoy's own words stand for each field. What they mean is
//! [`back_to_origin::record`]'s, and the same in `b2o serve`.

use back_to_origin::miss_route::MISS;
use back_to_origin::record::Field;

use super::yaml::{List, Map};
use super::{DataPath, filter};
use crate::deployment::{AccessLog, Recorded};

/// Under this name routes say which bucket they lead to, and misses are marked.
const NAMESPACE: &str = "back_to_origin";

/// The filter that marks misses.
const MARK: &str = "mark";

/// What it is for.
pub(super) const MARKS: &str =
    "It marks misses for the access log, by which a hit is told from them.";

/// Which requests a line is about, where there are two kinds.
#[derive(Clone, Copy)]
enum Kind {
    /// Those that the bucket has answered.
    Hits,
    /// Those on the miss route. Their path is the origin's by then: the filter tells the client's.
    Misses,
}

/// What marks misses; the miss route turns it on.
pub(super) fn mark() -> Map {
    let marked = Map::new()
        .with("metadata_namespace", NAMESPACE)
        .with("key", "miss")
        .with("type", "STRING")
        .with("value", "yes");
    let rule = Map::new().with("header", MISS).with("on_header_present", marked);
    let config = Map::typed("envoy.extensions.filters.http.header_to_metadata.v3.Config")
        .with("request_rules", List::new().with(rule));
    Map::new().with("name", MARK).with("disabled", true).with("typed_config", config)
}

/// What is turned on where misses come in.
pub(super) fn marks(filters: Map) -> Map {
    filters.with(MARK, filter::turned_on())
}

/// What a route says of its bucket.
pub(super) fn metadata(bucket: &str) -> Map {
    Map::new().with(NAMESPACE, Map::new().with("bucket", bucket))
}

/// The logs of the gateway's listener.
pub(super) fn logs(log: &AccessLog, path: DataPath) -> List {
    let of = |kind, which| logger(log, kind, which);
    match path {
        DataPath::Callout => List::new().remark(HITS).with(of(Kind::Hits, by_filter(log.requests))),
        DataPath::Streaming => {
            let which = |is_it| {
                let all = List::new().with(is_miss(is_it)).with(is_over());
                let all = all.join(wanted(log.requests, is_it));
                Some(together("and_filter", all))
            };
            List::new()
                .remark(HITS)
                .with(of(Kind::Hits, which(false)))
                .remark(MISSES)
                .with(of(Kind::Misses, which(true)))
        }
    }
}

fn logger(log: &AccessLog, kind: Kind, which: Option<Map>) -> Map {
    let fields = Field::ALL
        .iter()
        .fold(Map::new(), |fields, field| fields.with(field.name(), words(*field, kind)));
    let formatter = Map::typed("envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery");
    let formatter = Map::new()
        .with("name", "envoy.formatter.req_without_query")
        .with("typed_config", formatter);
    let format =
        Map::new().with("json_format", fields).with("formatters", List::new().with(formatter));
    let config = Map::typed("envoy.extensions.access_loggers.file.v3.FileAccessLog")
        .with("path", log.path.value.0.display().to_string())
        .with("log_format", format);
    Map::new()
        .with("name", "envoy.access_loggers.file")
        .maybe("filter", which)
        .with("typed_config", config)
}

/// What stands for a field in a format of Envoy's.
fn words(field: Field, kind: Kind) -> String {
    let own = match field {
        Field::Time => "%START_TIME%",
        Field::Client => "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        Field::Method => "%REQ(:METHOD)%",
        Field::Bucket => match kind {
            Kind::Hits => "%METADATA(ROUTE:back_to_origin:bucket)%",
            Kind::Misses => "",
        },
        Field::Path => match kind {
            Kind::Hits => "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%",
            Kind::Misses => "",
        },
        Field::Status => "%RESPONSE_CODE%",
        Field::BytesReceived => "%BYTES_RECEIVED%",
        Field::BytesSent => "%BYTES_SENT%",
        Field::Duration => "%DURATION%",
        Field::Server => "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:ms)%",
        Field::TraceId => "%TRACE_ID%",
        Field::RequestId => "%RESP(X-AMZ-REQUEST-ID?X-OSS-REQUEST-ID)%",
        Field::Key
        | Field::Message
        | Field::Origin
        | Field::Outcome
        | Field::Reason
        | Field::Rule
        | Field::Stored
        | Field::UploadId => "",
    };
    match own {
        "" => format!("%FILTER_STATE(wasm.{}:PLAIN)%", field.property()),
        own => own.to_owned(),
    }
}

/// One of these.
fn any(filters: List) -> Map {
    together("or_filter", filters)
}

fn together(name: &str, filters: List) -> Map {
    Map::new().with(name, Map::new().with("filters", filters))
}

/// Whether the request is on the miss route, as its mark says.
fn is_miss(is_miss: bool) -> Map {
    let (word, unmarked) = if is_miss { ("yes", false) } else { ("no", true) };
    let matcher = Map::new()
        .with("filter", NAMESPACE)
        .with("path", List::new().with(Map::new().with("key", "miss")))
        .with("value", Map::new().with("string_match", Map::new().with("exact", word)));
    let filter = Map::new().with("matcher", matcher).with("match_if_key_not_found", unmarked);
    Map::new().with("metadata_filter", filter)
}

/// Whether the answer is the client's: one that was dropped, and led to the miss route, has a line too.
/// Only a redirect can be such a one, so the expression, which costs more, is for few.
fn is_over() -> Map {
    let not_dropped = cel("response.code_details != 'internal_redirect'");
    let below = status("LE", 306, "below_dropped");
    any(List::new().with(below).with(status("GE", 308, "above_dropped")).with(not_dropped))
}

/// Which of the requests of a kind are recorded.
fn wanted(which: Recorded, are_misses: bool) -> List {
    match (which, are_misses) {
        (Recorded::All, _) | (Recorded::Misses, true) => List::new(),
        (Recorded::Misses, false) | (Recorded::Failures, _) => List::new().with(has_failed()),
    }
}

/// The same where there is one kind only, by what the filter has told.
fn by_filter(which: Recorded) -> Option<Map> {
    let is_told = || cel(&format!("'wasm.{}' in filter_state", Field::Rule.property()));
    let which = match which {
        Recorded::All => return None,
        Recorded::Misses => failures().with(is_told()),
        Recorded::Failures => failures(),
    };
    Some(any(which))
}

fn has_failed() -> Map {
    any(failures())
}

/// An error, no answer at all, or not all of it.
fn failures() -> List {
    List::new()
        .with(status("GE", 400, "error"))
        .with(status("EQ", 0, "unanswered"))
        .with(Map::new().with("response_flag_filter", Map::new()))
}

fn status(comparison: &str, status: u64, name: &str) -> Map {
    let value = Map::new()
        .with("default_value", status)
        .with("runtime_key", format!("back_to_origin.access_log.{name}"));
    let comparison = Map::new().with("op", comparison).with("value", value);
    Map::new().with("status_code_filter", Map::new().with("comparison", comparison))
}

fn cel(expression: &str) -> Map {
    let config = Map::typed("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter")
        .with("expression", expression);
    let filter = Map::new()
        .with("name", "envoy.access_loggers.extension_filters.cel")
        .with("typed_config", config);
    Map::new().with("extension_filter", filter)
}

/// What each log is.
const HITS: &str = "The access log: a line of JSON for each request, as DEPLOYMENT.md lists its fields. What the filter \
     alone knows it tells by `wasm.back_to_origin.*`.";
const MISSES: &str = "The access log of what came to the miss route: bucket and path as the client wrote them are the filter's \
     word there.";
