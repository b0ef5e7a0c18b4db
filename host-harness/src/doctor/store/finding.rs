//! What there is to say of a store, and where in the deployment file.

use std::time::Duration;

use back_to_origin::configuration::Addressing;
use back_to_origin::host::CallAnswer;

use super::judge::{self, Broken, Operation, Put};
use crate::deployment::Region;
use crate::diagnostics::Weight;
use crate::doctor::Code;
use crate::doctor::told::Told;
use crate::doctor::unheard::Unheard;
use crate::gateway::Endpoint;

/// What was found of a store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Finding {
    /// The bucket's name stands elsewhere than so.
    Addressing(Addressing),
    Condition {
        what: Broken,
        right: &'static str,
    },
    Denied(Operation),
    Failing(u16, Option<String>),
    Idle {
        said: u64,
        idle: Duration,
    },
    /// It has an object that cannot exist.
    Invented,
    LeftBehind(Vec<String>),
    MetadataLost,
    MissForbidden {
        is_signed: bool,
        is_listed: bool,
        names_403: bool,
    },
    Moved(Option<String>),
    NoBucket,
    /// It is asked in HTTP/2 alone.
    NotAsked,
    NotS3,
    ReadDenied,
    Refused(Operation, Option<u16>, Option<String>),
    /// It is in another region, perhaps this one.
    Region(Option<String>),
    /// This machine's clock is so many seconds ahead.
    Skew {
        ahead: i64,
        is_refused: bool,
    },
    Status(u16, Option<String>),
    TooSkewed,
    Unheard(Unheard),
    UnknownKey(String),
    UploadFailed(&'static str, String),
    /// Its uploads cannot be listed, for want of this action.
    UploadsUnlisted(Option<&'static str>),
    WriteDenied {
        is_signed: bool,
    },
    WriteLost,
    WrongSecret,
}

impl Finding {
    /// A status that means no right that is lacking.
    pub(super) fn refused(operation: Operation, answer: &CallAnswer) -> Self {
        Self::Refused(operation, answer.headers.status(), judge::code(answer))
    }

    /// An object of one request was not taken, for this.
    pub(super) fn unwritten(put: Put, is_signed: bool) -> Self {
        let (status, code) = match put {
            Put::Denied => return Self::WriteDenied { is_signed },
            Put::Done => (Some(200), None),
            Put::Lied => (Some(200), Some("Error".to_owned())),
            Put::Refused(status, code) => (status, code),
            Put::There => (Some(412), None),
            Put::Unknown => (Some(501), None),
        };
        Self::Refused(Operation::Write, status, code)
    }

    pub(super) fn upload_failed(what: &'static str, put: &Put) -> Self {
        let why = match put {
            Put::Denied => "403".to_owned(),
            Put::Done => "200".to_owned(),
            Put::Lied => "200 without what S3 says then".to_owned(),
            Put::Refused(status, code) => words(*status, code.as_deref()),
            Put::There => "412, though nothing was there".to_owned(),
            Put::Unknown => "501".to_owned(),
        };
        Self::UploadFailed(what, why)
    }

    /// Whether it may come of a bucket's name that stands where the store does not look.
    pub(super) const fn may_be_addressing(&self) -> bool {
        matches!(self, Self::NoBucket | Self::Moved(_) | Self::Status(..) | Self::WrongSecret)
    }

    /// The fields that it is about, the first that is written counts.
    pub(in crate::doctor) const fn fields(&self) -> &'static [&'static str] {
        match self {
            Self::Addressing(_) => &["addressing", "endpoint"],
            Self::Condition { .. } => &["conditional_writes", "endpoint"],
            Self::Denied(_)
            | Self::MissForbidden { .. }
            | Self::ReadDenied
            | Self::UploadsUnlisted(Some(_))
            | Self::WriteDenied { .. } => &["credentials", "endpoint"],
            Self::UnknownKey(_) => &[
                "credentials.inline.access_key_id",
                "credentials.environment.access_key_id",
                "credentials",
            ],
            Self::WrongSecret => &[
                "credentials.inline.secret_access_key",
                "credentials.environment.secret_access_key",
                "credentials",
            ],
            Self::Idle { .. } => &["idle_timeout", "endpoint"],
            Self::NoBucket => &["name"],
            Self::NotAsked => &["protocol"],
            Self::Region(_) => &["region", "endpoint"],
            Self::Failing(..)
            | Self::Invented
            | Self::LeftBehind(_)
            | Self::MetadataLost
            | Self::Moved(_)
            | Self::NotS3
            | Self::Refused(..)
            | Self::Skew { .. }
            | Self::Status(..)
            | Self::TooSkewed
            | Self::Unheard(_)
            | Self::UploadFailed(..)
            | Self::UploadsUnlisted(None)
            | Self::WriteLost => &["endpoint"],
        }
    }

    /// The same in words, of a bucket at an endpoint; `None` where there is nothing to say.
    pub(in crate::doctor) fn told(
        &self,
        bucket: &str,
        region: &Region,
        endpoint: &Endpoint,
    ) -> Option<Told> {
        Some(match self {
            Self::Unheard(unheard) => return unheard.told(endpoint),
            Self::Addressing(wrong) => {
                let (wrong, right) = match wrong {
                    Addressing::Path => ("path", "virtual"),
                    Addressing::Virtual => ("host", "path"),
                };
                Told::error(
                    Code::WrongAddressing,
                    format!("the store does not look for the name `{bucket}` in the {wrong}"),
                    format!("write `addressing: {right}`: asked so, the store has the bucket"),
                )
            }
            Self::Condition { what, right } => condition(*what, right),
            Self::Denied(operation) => denied(*operation, bucket),
            Self::Failing(status, code) => Told::error(
                Code::StoreFailing,
                format!("the store fails: {}", words(Some(*status), code.as_deref())),
                "ask again later, or see the store's own log",
            ),
            Self::Idle { said, idle } => Told::warning(
                Code::IdleTimeout,
                format!(
                    "the store closes silent connections after {said} s, the gateway after {} s",
                    idle.as_secs_f64()
                ),
                match said.checked_sub(1).filter(|rest| *rest > 0) {
                    Some(rest) => {
                        format!("write `idle_timeout: {rest}s`, or a request may meet the closing")
                    }
                    None => {
                        "write `idle_timeout: 500ms`, or a request may meet the closing".to_owned()
                    }
                },
            ),
            Self::Invented => Told::error(
                Code::InventedObject,
                "the store answers 200 for a key that cannot exist: nothing would ever be a miss",
                "see what listens there: it is hardly the S3 endpoint of a store",
            ),
            Self::LeftBehind(what) => Told::warning(
                Code::LeftBehind,
                format!("a probe may be left in `{bucket}`: {}", what.join(", ")),
                "remove it; a probe is a few bytes, and nothing reads it",
            ),
            Self::MetadataLost => Told::warning(
                Code::MetadataLost,
                "the store does not give back an object's user metadata (`x-amz-meta-...`)",
                "objects are kept; nobody can tell then which origin they came from",
            ),
            Self::MissForbidden { is_signed, is_listed, names_403 } => {
                let message =
                    "the store answers 403, not 404, for a missing key: no rule of 404 acts";
                match (is_signed, is_listed) {
                    (true, false) => Told::error(
                        Code::MissForbidden,
                        message,
                        match names_403 {
                            true => format!(
                                "allow the keys s3:ListBucket on `{bucket}`: a rule of 403 takes a 404 to them"
                            ),
                            false => format!(
                                "allow s3:ListBucket on `{bucket}` to the keys, and to who reads through the gateway"
                            ),
                        },
                    ),
                    (true, true) => Told::error(
                        Code::MissForbidden,
                        message,
                        format!("allow the keys s3:GetObject on `{bucket}`"),
                    ),
                    (false, _) => Told::warning(
                        Code::MissForbidden,
                        "who asks without a signature gets 403, not 404, for a missing key",
                        "add `credentials` with s3:ListBucket, and name 403 beside 404 in the rule",
                    ),
                }
            }
            Self::Moved(to) => {
                let to = to.as_deref().unwrap_or("another place");
                Told::error(
                    Code::StoreMoved,
                    format!("the store sends on to {to}"),
                    "write that as the `endpoint`; the gateway follows no redirect of a store's",
                )
            }
            Self::NoBucket => Told::error(
                Code::NoSuchBucket,
                format!("the store at {endpoint} has no bucket `{bucket}`"),
                "create it, or mend its name here",
            ),
            Self::NotAsked => Told::info(
                Code::NotAsked,
                "the store was not asked: it is spoken with by HTTP/2, and `b2o` speaks HTTP/1.1",
                "leave out `protocol` for a while to have it asked",
            ),
            Self::NotS3 => Told::warning(
                Code::NotS3,
                "what answers 404 for a missing key does not say so in S3's words (`NoSuchKey`)",
                "see whether the `endpoint` is the S3 endpoint, and not a web site or a proxy",
            ),
            Self::ReadDenied => Told::error(
                Code::ReadDenied,
                format!("the keys may not read objects of `{bucket}`"),
                "allow them s3:GetObject",
            ),
            Self::Refused(operation, status, code) => refused(*operation, *status, code.as_deref()),
            Self::Region(right) => match right {
                Some(right) => Told::error(
                    Code::WrongRegion,
                    format!(
                        "the bucket is in `{right}`, and requests are signed for `{}`",
                        region.0
                    ),
                    format!("write `region: {right}`"),
                ),
                None => Told::error(
                    Code::WrongRegion,
                    format!("the store takes no signature for the region `{}`", region.0),
                    "write the region that the store has in its own configuration",
                ),
            },
            Self::Skew { ahead, is_refused } => {
                let (seconds, way) =
                    (ahead.unsigned_abs(), if *ahead > 0 { "ahead of" } else { "behind" });
                let told = Told::warning(
                    Code::ClockSkew,
                    format!("the clock of this machine is {seconds} s {way} the store's"),
                    "keep both by NTP: from 15 minutes on stores refuse signatures",
                );
                if *is_refused { Told { weight: Weight::Error, ..told } } else { told }
            }
            Self::Status(status, code) => Told::error(
                Code::NotS3,
                format!(
                    "the store answers {} for a missing key",
                    words(Some(*status), code.as_deref())
                ),
                "see whether `endpoint`, `addressing` and the bucket's name are right",
            ),
            Self::TooSkewed => Told::error(
                Code::ClockSkew,
                "the store refuses signatures of this time (RequestTimeTooSkewed)",
                "set the clock of this machine, or the store's",
            ),
            Self::UnknownKey(code) => Told::error(
                Code::WrongKeys,
                format!("the store does not know the access key ({code})"),
                "mend the `access_key_id`, and the `session_token` of temporary keys",
            ),
            Self::UploadFailed(what, why) => Told::error(
                Code::UploadFailed,
                format!("the store does not {what} a multipart upload: {why}"),
                "without, no object of more than `limits.part_bytes` is stored",
            ),
            Self::UploadsUnlisted(action) => Told::warning(
                Code::UploadsUnlisted,
                match action {
                    Some(_) => format!("the keys may not list the uploads of `{bucket}`"),
                    None => "the store does not list an upload that was just begun".to_owned(),
                },
                match action {
                    Some(action) => {
                        format!("allow them {action}, or an upload of a lost answer stays open")
                    }
                    None => {
                        "have a lifecycle rule for open uploads: lost ones are not found".to_owned()
                    }
                },
            ),
            Self::WriteDenied { is_signed: true } => Told::error(
                Code::WriteDenied,
                format!("the keys may not write into `{bucket}`: nothing would be stored"),
                "allow them s3:PutObject",
            ),
            Self::WriteDenied { is_signed: false } => Told::error(
                Code::WriteDenied,
                format!(
                    "nobody may write into `{bucket}` without a signature: nothing would be stored"
                ),
                "add `credentials` that have s3:PutObject",
            ),
            Self::WriteLost => Told::error(
                Code::WriteLost,
                "the store confirms a write, and then does not have the object as it was written",
                "store nothing there before that is mended",
            ),
            Self::WrongSecret => Told::error(
                Code::WrongKeys,
                "the store knows the access key, and not its secret (SignatureDoesNotMatch)",
                "mend the `secret_access_key`; a proxy that changes Host or path does the same",
            ),
        })
    }
}

fn condition(what: Broken, right: &'static str) -> Told {
    let told = |message: &str| {
        Told::error(
            Code::ConditionalWrites,
            message,
            format!("write `conditional_writes: {right}`"),
        )
    };
    match what {
        Broken::Better => Told::info(
            Code::ConditionalWrites,
            "the store judges a condition of writes, which leaves no gap",
            format!("write `conditional_writes: {right}`"),
        ),
        Broken::Ignored => {
            told("the store ignores the condition of a write: a client's newer object is replaced")
        }
        Broken::Refused => {
            told("the store refuses the condition of a write: no fetched object would be stored")
        }
        Broken::IgnoredInUploads => Told {
            help: Some(format!(
                "write `conditional_writes: {right}`, unless no object is larger than `part_bytes`"
            )),
            ..told("the store ignores the condition at the end of a multipart upload")
        },
        Broken::RefusedInUploads => {
            told("the store refuses the condition at the end of a multipart upload")
        }
    }
}

fn denied(operation: Operation, bucket: &str) -> Told {
    match operation {
        Operation::Abort => Told::error(
            Code::AbortDenied,
            format!(
                "the keys may not abort uploads of `{bucket}`: what breaks off stays and is paid"
            ),
            "allow them s3:AbortMultipartUpload",
        ),
        Operation::Delete => Told::warning(
            Code::DeleteDenied,
            format!("the keys may not delete in `{bucket}`, so no object was written to try"),
            "the gateway deletes nothing; to have writes tried, allow s3:DeleteObject below `.back-to-origin/`",
        ),
        Operation::List => Told::info(
            Code::ListDenied,
            format!("the keys may not list `{bucket}`"),
            "the gateway needs s3:ListBucket only where the store answers 403 without it",
        ),
        Operation::Write => Told::error(
            Code::WriteDenied,
            format!("the keys may not write into `{bucket}`"),
            "allow them s3:PutObject",
        ),
    }
}

fn refused(operation: Operation, status: Option<u16>, code: Option<&str>) -> Told {
    let words = words(status, code);
    match operation {
        Operation::Abort => Told::error(
            Code::UploadFailed,
            format!("the store does not abort a multipart upload: {words}"),
            "have a lifecycle rule for open uploads, and see the store's own log",
        ),
        Operation::Delete => Told::warning(
            Code::DeleteDenied,
            format!("the store does not delete: {words}; so no object was written to try"),
            "see the store's own log",
        ),
        Operation::List => Told::info(
            Code::ListDenied,
            format!("the store does not list objects: {words}"),
            "the gateway lists none",
        ),
        Operation::Write => Told::error(
            Code::WriteFailed,
            format!("the store does not take an object: {words}"),
            "see the store's own log, its room and its quotas",
        ),
    }
}

/// A status and the store's word for it.
fn words(status: Option<u16>, code: Option<&str>) -> String {
    let status = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
    match code {
        Some("Error") => format!("{status} with an `Error` in it"),
        Some(code) => format!("{status} ({code})"),
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Scheme;

    #[test]
    fn every_finding_is_told_in_a_line_with_what_to_do() {
        let endpoint = Endpoint {
            scheme: Scheme::Https,
            host: "s3.eu-central-1.example.com".to_owned(),
            port: 443,
        };
        let region = Region("us-east-1".to_owned());
        let mut all = vec![
            Finding::Addressing(Addressing::Path),
            Finding::Addressing(Addressing::Virtual),
            Finding::Failing(503, Some("SlowDown".to_owned())),
            Finding::Idle { said: 1, idle: Duration::from_secs(4) },
            Finding::Invented,
            Finding::MetadataLost,
            Finding::Moved(None),
            Finding::NoBucket,
            Finding::NotAsked,
            Finding::NotS3,
            Finding::ReadDenied,
            Finding::Region(None),
            Finding::Region(Some("eu-central-1".to_owned())),
            Finding::Skew { ahead: -5_000, is_refused: true },
            Finding::Status(400, Some("InvalidBucketName".to_owned())),
            Finding::TooSkewed,
            Finding::UnknownKey("InvalidAccessKeyId".to_owned()),
            Finding::upload_failed("begin", &Put::Lied),
            Finding::UploadsUnlisted(None),
            Finding::UploadsUnlisted(Some("s3:ListBucketMultipartUploads")),
            Finding::WriteDenied { is_signed: true },
            Finding::WriteDenied { is_signed: false },
            Finding::WriteLost,
            Finding::WrongSecret,
        ];
        for operation in [Operation::Abort, Operation::Delete, Operation::List, Operation::Write] {
            all.push(Finding::Denied(operation));
            all.push(Finding::Refused(operation, Some(500), Some("InternalError".to_owned())));
        }
        for what in [
            Broken::Better,
            Broken::Ignored,
            Broken::IgnoredInUploads,
            Broken::Refused,
            Broken::RefusedInUploads,
        ] {
            all.push(Finding::Condition { what, right: "head" });
        }
        for (is_signed, is_listed, names_403) in
            [(true, true, false), (true, false, false), (true, false, true), (false, false, false)]
        {
            all.push(Finding::MissForbidden { is_signed, is_listed, names_403 });
        }
        for finding in all {
            let told = finding.told("examplebucket", &region, &endpoint).unwrap();
            let line = format!("warning[{}]: {}", told.code.as_str(), told.message);
            let help = format!("  = help: {}", told.help.unwrap_or_default());
            for line in [line, help] {
                assert!(line.chars().count() <= 116, "{} characters: {line}", line.chars().count());
            }
        }
    }
}
