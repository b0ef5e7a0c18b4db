//! What there is to say of an origin.

pub(in crate::doctor) use super::judge::Redirect;
use crate::doctor::Code;
use crate::doctor::told::Told;
use crate::doctor::unheard::Unheard;
use crate::gateway::Endpoint;

/// What was found of an origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Finding {
    Denied { status: u16, is_signed: bool },
    Failing(u16),
    HeadDiffers { head: u16, got: u16 },
    NoLength(String),
    NoRanges(String),
    NoStrongEtag { key: String, is_weak: bool },
    ObjectAbsent { key: String, status: u16 },
    ProbeFailing(u16),
    Redirect(Redirect),
    SoftNotFound { status: u16, place: String },
    Status(u16),
    Unheard(Unheard),
}

impl Finding {
    /// The same in words, of an origin at an endpoint; `None` where there is nothing to say.
    pub(in crate::doctor) fn told(&self, endpoint: &Endpoint) -> Option<Told> {
        Some(match self {
            Self::Unheard(unheard) => return unheard.told(endpoint),
            Self::Denied { status, is_signed } => {
                let message = format!(
                    "the origin answers {status}, not 404, for an object that does not exist"
                );
                match (status, is_signed) {
                    (401, _) => Told::error(
                        Code::OriginDenied,
                        message,
                        "set what it wants by `MirrorHeaders`, or sign by `MirrorAuth`",
                    ),
                    (_, true) => Told::error(
                        Code::OriginDenied,
                        message,
                        "see whether the keys of `MirrorAuth` are right, and allow them s3:ListBucket",
                    ),
                    (_, false) => Told::warning(
                        Code::OriginDenied,
                        message,
                        "clients get 424 then: where it is private add `MirrorAuth`, else let it be listed",
                    ),
                }
            }
            Self::Failing(status) => Told::error(
                Code::OriginFailing,
                format!("the origin fails: {status}"),
                "ask again later, or see the origin's own log",
            ),
            Self::HeadDiffers { head, got } => Told::warning(
                Code::HeadDiffers,
                format!("the origin answers {head} to a HEAD, and {got} to a GET"),
                "clients that ask HEAD first see what it says; leave out `MirrorAllowHeadObject`, or mend it",
            ),
            Self::NoLength(key) => Told::warning(
                Code::NoLength,
                format!("the origin does not say how long `{key}` is"),
                "clients get it without Content-Length; have the origin announce it",
            ),
            Self::NoRanges(key) => Told::warning(
                Code::NoRanges,
                format!("the origin gives no part of `{key}`: it answers 200 to a range"),
                "a part costs the whole object, and what breaks off begins anew; have it give ranges",
            ),
            Self::NoStrongEtag { key, is_weak } => {
                let what = if *is_weak { "a weak ETag" } else { "no ETag" };
                Told::warning(
                    Code::NoStrongEtag,
                    format!("the origin gives `{key}` {what}"),
                    "without a strong one a copy that breaks off is not continued; have it give one",
                )
            }
            Self::ObjectAbsent { key, status } => Told::warning(
                Code::ObjectAbsent,
                format!("the origin answers {status} for `{key}`"),
                "see the path of the URL, and what the rule makes of the key",
            ),
            Self::ProbeFailing(status) => Told::warning(
                Code::ProbeFailing,
                format!("the probe answers {status}, not 200: the MirrorURL would not be asked"),
                "mend the probe, or leave out `MirrorURLProbe`",
            ),
            Self::Redirect(Redirect::Endless) => Told::error(
                Code::OriginRedirect,
                "the origin redirects more often than is followed",
                "write the URL that it leads to",
            ),
            Self::Redirect(Redirect::Nowhere) => Told::error(
                Code::OriginRedirect,
                "the origin redirects to what is no HTTP URL",
                "see the origin's configuration",
            ),
            Self::Redirect(Redirect::Unknown(origin)) => Told::error(
                Code::OriginRedirect,
                format!("the origin redirects to {origin}, which the deployment does not name"),
                format!("add `{origin}` to `origins`, or write the URL that it leads to"),
            ),
            Self::Redirect(Redirect::ToClients(to)) => Told::info(
                Code::OriginRedirect,
                format!("the origin redirects to {to}"),
                "the client is sent there, and nothing stored; `MirrorFollowRedirect` follows",
            ),
            Self::SoftNotFound { status, place } => Told::error(
                Code::SoftNotFound,
                format!("{place} answers {status} for an object that cannot exist"),
                "every missing key would be stored: have it answer 404, or name another URL",
            ),
            Self::Status(status) => Told::warning(
                Code::OriginStatus,
                format!("the origin answers {status}, not 404, for an object that does not exist"),
                "clients get 424 then; `TransparentMirrorResponseCodes` hands a status on",
            ),
        })
    }
}
