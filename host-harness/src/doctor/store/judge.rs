//! What a store's answers amount to, in the filter's own judgement where it has one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use back_to_origin::configuration::ConditionalWrites;
use back_to_origin::host::CallAnswer;
use back_to_origin::http::date;
use back_to_origin::http::headers::Headers;
use back_to_origin::metadata::TAG_METADATA;
use back_to_origin::store::words::{Words, on_completion, on_put};
use back_to_origin::store::{self, Written, judge_write, knows_no_condition};

use super::finding::Finding;

/// How far clocks may be apart: an answer takes a moment, and `Date` has whole seconds.
const SKEW: i64 = 60;

/// From where on stores refuse signatures.
const SKEW_REFUSED: i64 = 15 * 60;

/// What somebody may or may not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Operation {
    Abort,
    Delete,
    List,
    Write,
}

/// What a store says to a GET of a key that cannot exist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// That it is missing, in S3's words.
    Absent,
    /// 404, in nobody's words.
    AbsentUnsaid,
    /// That whoever asks may not know.
    Forbidden,
    /// Something that leaves nothing to ask.
    Trouble(Finding),
}

/// What a store says to a write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Put {
    /// Whoever writes may not.
    Denied,
    /// It is done.
    Done,
    /// 200, and that it failed, or nothing of what has been done.
    Lied,
    /// No, with a status and a word.
    Refused(Option<u16>, Option<String>),
    /// There is such an object already.
    There,
    /// That it does not know the condition.
    Unknown,
}

/// What a store does with a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Honour {
    /// Nothing: it replaces the object.
    Ignored,
    /// What it is for.
    Judged,
    /// It refuses to know it.
    Refused,
}

/// Of which kind of write something is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Known {
    Completion,
    Put,
}

/// Judges the answer to a GET of a key that cannot exist.
pub(super) fn missing(answer: &CallAnswer, region: &str) -> Missing {
    let code = code(answer);
    let code = code.as_deref();
    let status = answer.headers.status().unwrap_or_default();
    let trouble = match (status, code) {
        (_, Some("NoSuchBucket")) => Finding::NoBucket,
        (
            _,
            Some(
                code @ ("InvalidAccessKeyId"
                | "NotSignedUp"
                | "InvalidToken"
                | "ExpiredToken"
                | "TokenRefreshRequired"),
            ),
        ) => Finding::UnknownKey(code.to_owned()),
        (_, Some("SignatureDoesNotMatch")) => Finding::WrongSecret,
        (_, Some("RequestTimeTooSkewed")) => Finding::TooSkewed,
        (_, Some("AuthorizationHeaderMalformed")) => Finding::Region(right_region(answer, region)),
        (300..=399, _) => match right_region(answer, region) {
            Some(right) => Finding::Region(Some(right)),
            None => Finding::Moved(elsewhere(answer)),
        },
        (404, Some("NoSuchKey")) => return Missing::Absent,
        (404, None) => return Missing::AbsentUnsaid,
        (403, Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem") | None) => {
            return Missing::Forbidden;
        }
        (200..=299, _) => Finding::Invented,
        (500..=599, code) => Finding::Failing(status, code.map(str::to_owned)),
        (_, code) => Finding::Status(status, code.map(str::to_owned)),
    };
    Missing::Trouble(trouble)
}

/// What a store's error is called.
pub(crate) fn code(answer: &CallAnswer) -> Option<String> {
    element(answer, "Code")
}

/// An element of a store's error.
fn element(answer: &CallAnswer, name: &str) -> Option<String> {
    let text = str::from_utf8(&answer.body).ok()?;
    let document = roxmltree::Document::parse(text).ok()?;
    let root = document.root_element();
    if root.tag_name().name() != "Error" {
        return None;
    }
    let found = root.children().find(|child| child.tag_name().name() == name)?;
    let text = found.text()?.trim();
    // It is told, and so has to be a word.
    (!text.is_empty() && text.len() <= 100).then(|| text.to_owned())
}

/// The region that a store names, where it is another one.
fn right_region(answer: &CallAnswer, region: &str) -> Option<String> {
    let named = element(answer, "Region");
    let named = named.or_else(|| answer.headers.text("x-amz-bucket-region").map(str::to_owned));
    named.filter(|named| named != region)
}

/// Where a store sends to.
fn elsewhere(answer: &CallAnswer) -> Option<String> {
    let location = || {
        let location = answer.headers.text("location")?;
        Some(location.split('?').next().unwrap_or_default().to_owned())
    };
    element(answer, "Endpoint").or_else(location)
}

/// How far the store's clock is from this one.
pub(super) fn skew(headers: &Headers, now: SystemTime) -> Option<Finding> {
    let date = date::seconds(headers.text("date")?)?;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let ahead = i64::try_from(now).ok()?.checked_sub(date)?;
    let is_refused = ahead.abs() >= SKEW_REFUSED;
    (ahead.abs() > SKEW).then_some(Finding::Skew { ahead, is_refused })
}

/// Whether a store says that it closes silent connections before the gateway does.
pub(super) fn keep_alive(headers: &Headers, idle: Duration) -> Option<Finding> {
    let said = headers.text("keep-alive")?.split(',').find_map(|word| {
        let (name, value) = word.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then_some(value.trim())
    });
    let said: u64 = said?.parse().ok()?;
    (Duration::from_secs(said) <= idle).then_some(Finding::Idle { said, idle })
}

/// Judges the answer to a PUT.
pub(super) fn put(answer: &CallAnswer) -> Put {
    write(answer, on_put)
}

/// Judges the answer to a completion.
pub(super) fn completion(answer: &CallAnswer) -> Put {
    write(answer, on_completion)
}

fn write(answer: &CallAnswer, words: impl FnOnce(&str) -> Words) -> Put {
    let status = answer.headers.status();
    if knows_no_condition(answer) {
        return Put::Unknown;
    }
    match judge_write(answer) {
        Written::AlreadyThere => Put::There,
        Written::Done => match words(str::from_utf8(&answer.body).unwrap_or_default()) {
            Words::Done => Put::Done,
            Words::Failed | Words::Silent => Put::Lied,
        },
        Written::Refused(403) => Put::Denied,
        Written::Failed | Written::Refused(_) => Put::Refused(status, code(answer)),
    }
}

/// What a write of an object that is there already says of its condition.
pub(super) fn honour(answer: &CallAnswer) -> Honour {
    honour_of(&put(answer))
}

/// The same of a completion.
pub(super) const fn honour_of(put: &Put) -> Honour {
    match put {
        Put::There => Honour::Judged,
        Put::Done => Honour::Ignored,
        Put::Denied | Put::Lied | Put::Refused(..) | Put::Unknown => Honour::Refused,
    }
}

/// Whether an object is as it was written.
pub(super) fn written(
    found: &CallAnswer,
    got: &CallAnswer,
    bytes: &[u8],
    tag: &str,
) -> Result<(), Finding> {
    match (found.headers.status(), got.headers.status()) {
        (Some(403), _) | (_, Some(403)) => return Err(Finding::ReadDenied),
        (Some(200), Some(200)) => {}
        _ => return Err(Finding::WriteLost),
    }
    let length = found.headers.content_length();
    if got.body != bytes || length.is_some_and(|length| length != bytes.len() as u64) {
        return Err(Finding::WriteLost);
    }
    match found.headers.get(TAG_METADATA) == Some(tag.as_bytes()) {
        true => Ok(()),
        false => Err(Finding::MetadataLost),
    }
}

/// The id of an upload.
pub(super) fn created(answer: &CallAnswer) -> Result<String, Put> {
    let id = store::upload_id(str::from_utf8(&answer.body).unwrap_or_default());
    match (answer.headers.status(), id) {
        (Some(200), Some(id)) => Ok(id),
        (status, _) => Err(unfit(status, answer)),
    }
}

/// The ETag of a part.
pub(super) fn part(answer: &CallAnswer) -> Result<String, Put> {
    match (answer.headers.status(), answer.headers.text("etag")) {
        (Some(200), Some(etag)) => Ok(etag.to_owned()),
        (status, _) => Err(unfit(status, answer)),
    }
}

/// An answer to a step of an upload that has not what the next step needs.
fn unfit(status: Option<u16>, answer: &CallAnswer) -> Put {
    match status {
        Some(200..=299) => Put::Lied,
        Some(403) => Put::Denied,
        status => Put::Refused(status, code(answer)),
    }
}

/// Whether an upload and its part are found in the lists.
pub(super) fn listed(
    uploads: &CallAnswer,
    parts: &CallAnswer,
    key: &[u8],
    id: &str,
) -> Result<(), Finding> {
    let of_uploads = "s3:ListBucketMultipartUploads";
    let of_parts = "s3:ListMultipartUploadParts";
    for (answer, action) in [(uploads, of_uploads), (parts, of_parts)] {
        if answer.headers.status() == Some(403) {
            return Err(Finding::UploadsUnlisted(Some(action)));
        }
    }
    let text = |answer| str::from_utf8(answer).unwrap_or_default();
    let listed = store::listed_uploads(text(&uploads.body), key);
    let is_there = listed.is_some_and(|listed| listed.ids.iter().any(|known| known == id));
    match is_there && store::has_parts(text(&parts.body), id) == Some(true) {
        true => Ok(()),
        false => Err(Finding::UploadsUnlisted(None)),
    }
}

/// What is known of the conditions that a store takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Conditions {
    /// `If-None-Match: *` on a PUT.
    put: Option<Honour>,
    /// The same on a completion.
    completion: Option<Honour>,
    /// `x-oss-forbid-overwrite` on a PUT.
    oss: Option<Honour>,
}

impl Conditions {
    /// Notes what was found of a condition.
    pub(super) fn note(&mut self, condition: ConditionalWrites, of: Known, honour: Honour) {
        let place = match (condition, of) {
            (ConditionalWrites::IfNoneMatch, Known::Put) => &mut self.put,
            (ConditionalWrites::IfNoneMatch, Known::Completion) => &mut self.completion,
            (ConditionalWrites::Oss, Known::Put) => &mut self.oss,
            (ConditionalWrites::Oss, Known::Completion)
            | (ConditionalWrites::Head | ConditionalWrites::Unconditional, _) => return,
        };
        *place = Some(honour);
    }

    /// Compares it with what the deployment says. `Ok(true)` where the condition is known to hold.
    pub(super) fn judge(self, configured: ConditionalWrites) -> Result<bool, Finding> {
        use Honour::{Ignored, Judged, Refused};
        let right = match self {
            Self { put: Some(Judged), completion: Some(Judged), .. } => "if-none-match",
            Self { oss: Some(Judged), .. } => "oss",
            _ => "head",
        };
        let finding = |what| Err(Finding::Condition { what, right });
        match configured {
            ConditionalWrites::IfNoneMatch => match (self.put, self.completion) {
                (Some(Ignored), _) => finding(Broken::Ignored),
                (Some(Refused), _) => finding(Broken::Refused),
                (Some(Judged), Some(Ignored)) => finding(Broken::IgnoredInUploads),
                (Some(Judged), Some(Refused)) => finding(Broken::RefusedInUploads),
                (Some(Judged), completion) => Ok(completion.is_some()),
                (None, _) => Ok(false),
            },
            ConditionalWrites::Oss => match self.oss {
                Some(Judged) => Ok(true),
                Some(Ignored) => finding(Broken::Ignored),
                Some(Refused) => finding(Broken::Refused),
                None => Ok(false),
            },
            ConditionalWrites::Head | ConditionalWrites::Unconditional => match right {
                "head" => Ok(false),
                _ => finding(Broken::Better),
            },
        }
    }
}

/// What is wrong with the condition that a deployment says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Broken {
    /// Nothing; the store takes a better one.
    Better,
    Ignored,
    IgnoredInUploads,
    Refused,
    RefusedInUploads,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> CallAnswer {
        let status = status.to_string();
        let own = [(":status", status.as_str())];
        CallAnswer {
            headers: Headers::from_pairs(own.into_iter().chain(headers.iter().copied())),
            body_bytes: body.len() as u64,
            body: body.as_bytes().to_vec(),
        }
    }

    fn error(status: u16, code: &str) -> CallAnswer {
        answer(status, &[], &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"))
    }

    #[test]
    fn a_missing_key_is_missing_or_there_is_a_trouble() {
        let trouble = Missing::Trouble;
        let region = |region: &str| trouble(Finding::Region(Some(region.to_owned())));
        let malformed =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-1</Region></Error>";
        let moved =
            "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.example</Endpoint></Error>";
        let cases = [
            (error(404, "NoSuchKey"), Missing::Absent),
            (answer(404, &[], "<html>not found</html>"), Missing::AbsentUnsaid),
            (error(404, "NoSuchBucket"), trouble(Finding::NoBucket)),
            (error(403, "AccessDenied"), Missing::Forbidden),
            (answer(403, &[], ""), Missing::Forbidden),
            (
                error(403, "InvalidAccessKeyId"),
                trouble(Finding::UnknownKey("InvalidAccessKeyId".to_owned())),
            ),
            (error(400, "ExpiredToken"), trouble(Finding::UnknownKey("ExpiredToken".to_owned()))),
            (error(403, "SignatureDoesNotMatch"), trouble(Finding::WrongSecret)),
            (error(403, "RequestTimeTooSkewed"), trouble(Finding::TooSkewed)),
            (answer(400, &[], malformed), region("eu-1")),
            (error(400, "AuthorizationHeaderMalformed"), trouble(Finding::Region(None))),
            (answer(301, &[("x-amz-bucket-region", "eu-2")], moved), region("eu-2")),
            (
                answer(301, &[("x-amz-bucket-region", "r")], moved),
                trouble(Finding::Moved(Some("b.s3.example".to_owned()))),
            ),
            (
                answer(302, &[("location", "https://x/?s=1")], ""),
                trouble(Finding::Moved(Some("https://x/".to_owned()))),
            ),
            (answer(200, &[], "hello"), trouble(Finding::Invented)),
            (error(200, "InternalError"), trouble(Finding::Invented)),
            (error(503, "SlowDown"), trouble(Finding::Failing(503, Some("SlowDown".to_owned())))),
            (error(405, "X"), trouble(Finding::Status(405, Some("X".to_owned())))),
        ];
        for (answer, expected) in cases {
            assert_eq!(missing(&answer, "r"), expected, "{answer:?}");
        }
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let date = |text: &str| Headers::from_pairs([("date", text)]);
        assert_eq!(skew(&date("Sun, 06 Nov 1994 08:49:00 GMT"), now), None);
        assert_eq!(skew(&date("now"), now), None);
        let found = skew(&date("Sun, 06 Nov 1994 08:46:37 GMT"), now);
        assert_eq!(found, Some(Finding::Skew { ahead: 180, is_refused: false }));
        let found = skew(&date("Sun, 06 Nov 1994 09:49:37 GMT"), now);
        assert_eq!(found, Some(Finding::Skew { ahead: -3_600, is_refused: true }));
    }

    #[test]
    fn connections_are_kept_shorter_than_the_store_says() {
        let said = |text: &str| Headers::from_pairs([("keep-alive", text)]);
        let idle = Duration::from_secs(4);
        assert_eq!(keep_alive(&said("timeout=5, max=100"), idle), None);
        assert_eq!(keep_alive(&said("max=100"), idle), None);
        assert_eq!(
            keep_alive(&said("max=1, Timeout=4"), idle),
            Some(Finding::Idle { said: 4, idle })
        );
    }

    #[test]
    fn writes_are_judged_as_the_filter_judges_them() {
        let done = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
        assert_eq!(put(&answer(200, &[], "")), Put::Done);
        assert_eq!(put(&error(200, "InternalError")), Put::Lied);
        assert_eq!(put(&error(403, "AccessDenied")), Put::Denied);
        assert_eq!(put(&error(412, "PreconditionFailed")), Put::There);
        assert_eq!(put(&error(409, "FileAlreadyExists")), Put::There);
        assert_eq!(put(&error(501, "NotImplemented")), Put::Unknown);
        assert_eq!(put(&error(507, "X")), Put::Refused(Some(507), Some("X".to_owned())));
        assert_eq!(completion(&answer(200, &[], done)), Put::Done);
        assert_eq!(completion(&answer(200, &[], "")), Put::Lied);
        assert_eq!(honour(&error(412, "PreconditionFailed")), Honour::Judged);
        assert_eq!(honour(&answer(200, &[], "")), Honour::Ignored);
        assert_eq!(honour(&error(501, "NotImplemented")), Honour::Refused);
    }

    #[test]
    fn what_was_written_must_be_there() {
        let metadata = [("content-length", "2"), (TAG_METADATA, "T")];
        let found = answer(200, &metadata, "");
        let got = answer(200, &metadata, "ab");
        assert_eq!(written(&found, &got, b"ab", "T"), Ok(()));
        assert_eq!(written(&found, &got, b"abc", "T"), Err(Finding::WriteLost));
        assert_eq!(written(&found, &got, b"ab", "U"), Err(Finding::MetadataLost));
        assert_eq!(written(&answer(404, &[], ""), &got, b"ab", "T"), Err(Finding::WriteLost));
        assert_eq!(written(&answer(403, &[], ""), &got, b"ab", "T"), Err(Finding::ReadDenied));
    }

    #[test]
    fn conditions_are_compared_with_what_the_deployment_says() {
        use ConditionalWrites::{Head, IfNoneMatch, Oss, Unconditional};
        use Honour::{Ignored, Judged, Refused};
        let finding = |what, right| Err(Finding::Condition { what, right });
        let cases = [
            (IfNoneMatch, Some(Judged), Some(Judged), Some(Ignored), Ok(true)),
            (
                IfNoneMatch,
                Some(Judged),
                Some(Ignored),
                Some(Ignored),
                finding(Broken::IgnoredInUploads, "head"),
            ),
            (
                IfNoneMatch,
                Some(Judged),
                Some(Refused),
                Some(Ignored),
                finding(Broken::RefusedInUploads, "head"),
            ),
            (
                IfNoneMatch,
                Some(Ignored),
                Some(Ignored),
                Some(Ignored),
                finding(Broken::Ignored, "head"),
            ),
            (IfNoneMatch, Some(Refused), None, Some(Judged), finding(Broken::Refused, "oss")),
            (IfNoneMatch, None, None, None, Ok(false)),
            (Oss, Some(Refused), None, Some(Judged), Ok(true)),
            (
                Oss,
                Some(Judged),
                Some(Judged),
                Some(Ignored),
                finding(Broken::Ignored, "if-none-match"),
            ),
            (Head, Some(Ignored), Some(Ignored), Some(Ignored), Ok(false)),
            (
                Head,
                Some(Judged),
                Some(Judged),
                Some(Ignored),
                finding(Broken::Better, "if-none-match"),
            ),
            (Unconditional, Some(Refused), None, Some(Judged), finding(Broken::Better, "oss")),
        ];
        for (configured, put, completion, oss, expected) in cases {
            let conditions = Conditions { put, completion, oss };
            assert_eq!(conditions.judge(configured), expected, "{configured:?} {conditions:?}");
        }
    }
}
