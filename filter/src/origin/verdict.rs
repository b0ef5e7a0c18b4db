//! What an origin's answer amounts to.

use std::time::Duration;

use super::OriginRequest;
use super::object::{ObjectHeaders, add_of_the_answer, object_headers};
use crate::configuration::Limits;
use crate::http::headers::{HeaderList, Headers};
use crate::miss_route::{OVER_QUOTA_DETAILS, QUOTA_UNKNOWN_DETAILS, REFUSED_DETAILS};
use crate::reason::{MirrorFailure, NotStored};

/// Redirects of an origin's: another place has the object.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// What an origin's answer amounts to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The origin does not have the object.
    Absent,
    /// Nothing can be had of it.
    Failed(MirrorFailure),
    /// It is to be asked for elsewhere: the `Location`.
    Moved(Vec<u8>),
    /// The whole object is there.
    Object(ObjectHeaders),
    /// The answer is the client's as it is, and nothing is stored.
    Passed(Passed),
    /// The object is larger than the limit.
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The host gave the answer up: it broke off, or was too large for the host.
    Unknown,
}

/// An answer that is the client's as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Passed {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderList,
}

impl OriginRequest {
    /// Judges the answer to a GET. `body_bytes` is what the host holds of its body.
    #[must_use]
    pub fn judge(&self, answer: &Headers, body_bytes: u64, limit: u64) -> Verdict {
        let Some(status) = answer.status() else {
            return Verdict::Unknown;
        };
        if let Some(unheard) = Unheard::of_callout(status, answer) {
            return Verdict::Failed(unheard.into());
        }
        if status != 200 {
            return self.judge_status(status, answer);
        }
        if let Some(expected) = answer.content_length().filter(|length| *length != body_bytes) {
            return Verdict::Failed(MirrorFailure::Short { expected, found: body_bytes });
        }
        if body_bytes > limit {
            return Verdict::TooLarge { limit };
        }
        match self.whole(answer, Some(body_bytes)) {
            Ok(found) => Verdict::Object(found),
            Err(failure) => Verdict::Failed(failure),
        }
    }

    /// Judges the answer to a HEAD in place of a GET: what a client is told of an object must be
    /// what its GET would bring.
    #[must_use]
    pub fn judge_head(&self, answer: &Headers, limit: u64) -> Verdict {
        match (answer.status(), answer.content_length()) {
            (Some(200), Some(length)) if length > limit => Verdict::TooLarge { limit },
            (Some(200), length) => match self.whole(answer, length) {
                Ok(found) => Verdict::Object(found),
                Err(failure) => Verdict::Failed(failure),
            },
            (_, _) => self.judge(answer, 0, limit),
        }
    }

    /// Judges an answer of an origin's own that is no object, by its status.
    #[must_use]
    pub fn judge_status(&self, status: u16, answer: &Headers) -> Verdict {
        let rule = self.rule();
        let location = answer.get("location").filter(|_| REDIRECTS.contains(&status));
        match location {
            Some(location) if rule.follow_redirect => return Verdict::Moved(location.to_owned()),
            // A reference means something else where the client found it.
            Some(location) => {
                let Some(place) = self.place.follow(location) else {
                    return Verdict::Failed(MirrorFailure::NoUrl);
                };
                let headers = HeaderList::new().with("location", place.url());
                return Verdict::Passed(Passed { status, headers });
            }
            None => {}
        }
        if rule.transparent.contains(status) {
            let (mut headers, _) = object_headers(answer);
            add_of_the_answer(answer, &mut headers);
            let headers = headers.with("x-oss-tag", self.tag());
            return Verdict::Passed(Passed { status, headers });
        }
        match status {
            404 => Verdict::Absent,
            other => Verdict::Failed(MirrorFailure::Status(other)),
        }
    }

    /// The largest object that is mirrored through memory, in bytes.
    #[must_use]
    pub fn limit(&self, limits: &Limits) -> u64 {
        self.rule().max_bytes.unwrap_or(u64::MAX).min(limits.object_bytes)
    }

    /// Why an object of so many bytes is not stored, where its rule says so.
    pub(crate) fn excess(&self, bytes: u64) -> Option<NotStored> {
        let limit = self.rule().max_bytes.filter(|limit| bytes > *limit)?;
        Some(NotStored::TooLarge { limit })
    }

    /// How long the origin may take.
    #[must_use]
    pub fn timeout(&self, standard: Duration) -> Duration {
        self.rule().timeout.unwrap_or(standard)
    }

    /// Whether the next place is to be asked, after such an answer of this one.
    #[must_use]
    pub fn is_failure(&self, verdict: &Verdict) -> bool {
        let all = self.rule().alternates.switch_all_errors;
        let fails = |status: u16| {
            status >= 500 || (all && ![206, 301, 302, 303, 307, 404].contains(&status))
        };
        match verdict {
            Verdict::Failed(failure) => match failure {
                MirrorFailure::Broken
                | MirrorFailure::Digest(_)
                | MirrorFailure::Inside
                | MirrorFailure::Malformed
                | MirrorFailure::NoAddress
                | MirrorFailure::Short { .. }
                | MirrorFailure::TimedOut
                | MirrorFailure::Unreachable => true,
                MirrorFailure::Status(status) => fails(*status),
                MirrorFailure::BeenHere
                | MirrorFailure::BreakerOpen { .. }
                | MirrorFailure::DeletionUnknown { .. }
                | MirrorFailure::KeyClimbs
                | MirrorFailure::Limited { .. }
                | MirrorFailure::Loop
                | MirrorFailure::MetadataTooLarge
                | MirrorFailure::NoCluster
                | MirrorFailure::NoUrl
                | MirrorFailure::Overloaded
                | MirrorFailure::Partial
                | MirrorFailure::QuotaUnknown
                | MirrorFailure::TooLarge { .. }
                | MirrorFailure::UnknownOrigin(_) => false,
            },
            Verdict::Passed(passed) => fails(passed.status),
            Verdict::Absent
            | Verdict::Moved(_)
            | Verdict::Object(_)
            | Verdict::TooLarge { .. }
            | Verdict::Unknown => false,
        }
    }
}

impl Verdict {
    /// Whether the origin is well, by this; `None` where it says nothing of that. An error that a
    /// client can bring about, such as a 404 or a 403, is none of the origin's.
    pub(crate) const fn is_well(&self) -> Option<bool> {
        match self {
            Self::Failed(failure) => match failure {
                MirrorFailure::Broken
                | MirrorFailure::Malformed
                | MirrorFailure::NoAddress
                | MirrorFailure::Status(500..)
                | MirrorFailure::TimedOut
                | MirrorFailure::Unreachable => Some(false),
                MirrorFailure::BeenHere
                | MirrorFailure::BreakerOpen { .. }
                | MirrorFailure::DeletionUnknown { .. }
                | MirrorFailure::Inside
                | MirrorFailure::KeyClimbs
                | MirrorFailure::Limited { .. }
                | MirrorFailure::NoCluster
                | MirrorFailure::Overloaded
                | MirrorFailure::QuotaUnknown => None,
                MirrorFailure::Digest(_)
                | MirrorFailure::Loop
                | MirrorFailure::MetadataTooLarge
                | MirrorFailure::NoUrl
                | MirrorFailure::Partial
                | MirrorFailure::Short { .. }
                | MirrorFailure::Status(_)
                | MirrorFailure::TooLarge { .. }
                | MirrorFailure::UnknownOrigin(_) => Some(true),
            },
            Self::Absent
            | Self::Moved(_)
            | Self::Object(_)
            | Self::Passed(_)
            | Self::TooLarge { .. } => Some(true),
            Self::Unknown => None,
        }
    }
}

/// Why an origin was not heard: the gateway has answered in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unheard {
    /// As many requests as may be are under way to it.
    Busy,
    /// Its address is on the inside of a network, where the gateway asks nobody.
    Inside,
    /// It did not answer in time.
    Late,
    /// What came is no HTTP that can be read.
    Malformed,
    /// The gateway does not know its cluster.
    NoCluster,
    /// All gateways together have asked as often as the quota allows.
    OverQuota,
    /// Whether they have is not known.
    QuotaUnknown,
    /// No connection, or one that broke before an answer.
    Unreachable,
}

impl Unheard {
    /// What the gateway's status and details say (Envoy's `response_code_details`).
    #[must_use]
    pub fn of(status: u16, details: &str) -> Self {
        match status {
            _ if details.contains("cluster_not_found") => Self::NoCluster,
            _ if details.contains("overflow") => Self::Busy,
            _ if details.contains(OVER_QUOTA_DETAILS) => Self::OverQuota,
            _ if details.contains(QUOTA_UNKNOWN_DETAILS) => Self::QuotaUnknown,
            403 if details.contains(REFUSED_DETAILS) => Self::Inside,
            502 => Self::Malformed,
            504 => Self::Late,
            _ => Self::Unreachable,
        }
    }

    /// The same of what a callout brought: of its own answers a host tells no details, but it leaves
    /// out a header that it gives to those of servers.
    #[must_use]
    pub fn of_callout(status: u16, answer: &Headers) -> Option<Self> {
        if answer.get("x-envoy-upstream-service-time").is_some() {
            return None;
        }
        match status {
            403 => Some(Self::Inside),
            502..=504 => Some(Self::of(status, "")),
            _ => None,
        }
    }
}

impl From<Unheard> for MirrorFailure {
    fn from(unheard: Unheard) -> Self {
        match unheard {
            Unheard::Busy => Self::Overloaded,
            Unheard::Inside => Self::Inside,
            Unheard::Late => Self::TimedOut,
            Unheard::Malformed => Self::Malformed,
            Unheard::NoCluster => Self::NoCluster,
            Unheard::OverQuota => Self::limited(Duration::ZERO),
            Unheard::QuotaUnknown => Self::QuotaUnknown,
            Unheard::Unreachable => Self::Unreachable,
        }
    }
}

/// Judges the answer to the HEAD that follows an [`Verdict::Unknown`]: only an origin that says
/// the object is too large makes it so.
#[must_use]
pub fn judge_size(answer: &Headers, limit: u64) -> Verdict {
    match (answer.status(), answer.content_length()) {
        (Some(200), Some(length)) if length > limit => Verdict::TooLarge { limit },
        (_, _) => Verdict::Failed(MirrorFailure::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::NO_TYPE;
    use super::super::tests::request;
    use super::*;
    use crate::http::precondition::Validators;
    use crate::miss_route::FRAMING;

    #[test]
    fn answers_are_judged() {
        use MirrorFailure::{Broken, Short, Status, TimedOut, Unreachable};
        let genuine = ("x-envoy-upstream-service-time", "1");
        let typed = |kind: &str| {
            let headers = HeaderList::new().with("content-type", kind);
            let (client, validators) = (headers.clone(), Validators::default());
            Verdict::Object(ObjectHeaders {
                client,
                stored: headers,
                unkept: String::new(),
                validators,
                is_delimited: true,
            })
        };
        let moved = Verdict::Moved(b"http://p/".to_vec());
        let location = ("location", "http://p/");
        let plain = request("a", "");
        let cases: Vec<(Vec<(&str, &str)>, u64, Verdict)> = vec![
            (vec![], 0, Verdict::Unknown),
            (
                vec![(":status", "200"), ("content-type", "a/b"), (FRAMING, "HTTP/2 -")],
                5,
                typed("a/b"),
            ),
            (vec![(":status", "200"), ("content-length", "5")], 5, typed(NO_TYPE)),
            (
                vec![(":status", "200"), ("content-length", "6")],
                5,
                Verdict::Failed(Short { expected: 6, found: 5 }),
            ),
            (vec![(":status", "200")], 11, Verdict::TooLarge { limit: 10 }),
            (vec![(":status", "206")], 5, Verdict::Failed(Status(206))),
            (vec![(":status", "302")], 0, Verdict::Failed(Status(302))),
            (vec![(":status", "302"), location], 0, moved.clone()),
            (vec![(":status", "308"), location], 0, moved),
            (vec![(":status", "304"), location], 0, Verdict::Failed(Status(304))),
            (vec![(":status", "404")], 5, Verdict::Absent),
            (vec![(":status", "503")], 5, Verdict::Failed(Unreachable)),
            (vec![(":status", "502")], 5, Verdict::Failed(MirrorFailure::Malformed)),
            (vec![(":status", "502"), genuine], 5, Verdict::Failed(Status(502))),
            (vec![(":status", "503"), genuine], 5, Verdict::Failed(Status(503))),
            (vec![(":status", "504")], 5, Verdict::Failed(TimedOut)),
            (vec![(":status", "403")], 5, Verdict::Failed(MirrorFailure::Inside)),
            (vec![(":status", "403"), genuine], 5, Verdict::Failed(Status(403))),
            (vec![(":status", "504"), genuine], 5, Verdict::Failed(Status(504))),
        ];
        for (headers, size, expected) in cases {
            let answer = Headers::from_pairs(headers.clone());
            assert_eq!(plain.judge(&answer, size, 10), expected, "{headers:?}");
        }
        let head =
            |pairs: &[(&str, &str)]| judge_size(&Headers::from_pairs(pairs.iter().copied()), 10);
        assert_eq!(
            head(&[(":status", "200"), ("content-length", "11")]),
            Verdict::TooLarge { limit: 10 }
        );
        let long = [
            (":status", "200"),
            ("content-length", "11"),
            ("content-type", "a/b"),
            (FRAMING, "HTTP/1.1 chunked"),
        ];
        let headers = |length| Headers::from_pairs(long.iter().copied().filter(|p| p.1 != length));
        assert_eq!(plain.judge_head(&headers(""), 10), Verdict::TooLarge { limit: 10 });
        assert_eq!(plain.judge_head(&headers("11"), 10), typed("a/b"));
        let absent = Headers::from_pairs([(":status", "404"), ("content-length", "11")]);
        assert_eq!(plain.judge_head(&absent, 10), Verdict::Absent);
        for pairs in [
            &[][..],
            &[(":status", "200")],
            &[(":status", "200"), ("content-length", "9")],
            &[(":status", "405"), ("content-length", "99")],
        ] {
            assert_eq!(head(pairs), Verdict::Failed(Broken), "{pairs:?}");
        }
    }

    #[test]
    fn answers_are_passed_on_where_the_rule_says_so() {
        let request = request(
            "a",
            r#", "TransparentMirrorResponseCodes": "400,404,503", "MirrorFollowRedirect": "false""#,
        );
        let genuine = ("x-envoy-upstream-service-time", "1");
        let cases: [(&[(&str, &str)], Option<(u16, &str)>); 7] = [
            (&[(":status", "400"), ("content-type", "a/b")], Some((400, "content-type"))),
            (&[(":status", "404")], Some((404, "x-oss-tag"))),
            (&[(":status", "503"), genuine], Some((503, "x-oss-tag"))),
            (&[(":status", "503")], None),
            (&[(":status", "403")], None),
            (&[(":status", "302"), ("location", "../b")], Some((302, "location"))),
            (&[(":status", "302")], None),
        ];
        for (pairs, expected) in cases {
            let answer = Headers::from_pairs(pairs.iter().copied());
            match (request.judge(&answer, 0, 10), expected) {
                (Verdict::Passed(Passed { status, headers }), Some((expected, name))) => {
                    assert_eq!(status, expected);
                    assert!(headers.get(name).is_some(), "{headers:?}");
                }
                (Verdict::Failed(_), None) => {}
                (verdict, _) => panic!("{pairs:?}: {verdict:?}"),
            }
        }
        let answer = Headers::from_pairs([(":status", "302"), ("location", "../b")]);
        let Verdict::Passed(passed) = request.judge(&answer, 0, 10) else { panic!() };
        assert_eq!(passed.headers.get("location"), Some(&b"https://o/b"[..]));
    }

    #[test]
    fn the_next_place_is_asked_after_failures_alone() {
        let some = request("a", "");
        let all = request("a", r#", "MirrorURLSlave": "http://p/", "MirrorSwitchAllErrors": true"#);
        let status = |status| Verdict::Failed(MirrorFailure::Status(status));
        let cases = [
            (status(500), true, true),
            (status(403), false, true),
            (status(308), false, true),
            (status(206), false, false),
            (status(302), false, false),
            (Verdict::Absent, false, false),
            (Verdict::TooLarge { limit: 1 }, false, false),
            (Verdict::Failed(MirrorFailure::TimedOut), true, true),
            (Verdict::Failed(MirrorFailure::Unreachable), true, true),
            (Verdict::Failed(MirrorFailure::UnknownOrigin("h".to_owned())), false, false),
        ];
        for (verdict, by_default, by_all) in cases {
            let found = (some.is_failure(&verdict), all.is_failure(&verdict));
            assert_eq!(found, (by_default, by_all), "{verdict:?}");
        }
    }
}
