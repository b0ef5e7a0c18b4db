//! The origin: the request that fetches an object, and the judgement of what comes back.

use crate::digest::Check;
use crate::http::headers::{HeaderList, Headers};
use crate::http::{Scheme, percent, query};
use crate::reason::MirrorFailure;
use crate::request::ObjectRequest;
use crate::rule::{self, Mirror};

/// What origins see where no client's `user-agent` is passed: many refuse requests without one.
const USER_AGENT: &str = concat!("back-to-origin/", env!("CARGO_PKG_VERSION"));

/// The headers of an origin's answer that belong to the object.
const OBJECT_HEADERS: &[&str] = &[
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
];

/// What S3 itself says of an object whose type nobody gave.
const NO_TYPE: &str = "application/octet-stream";

/// Longer tags do not fit beside other user metadata, of which S3 keeps 2 KB.
const MAX_TAG_BYTES: usize = 1_800;

/// The request for one object at its origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginRequest {
    /// The cluster through which the origin is reached.
    pub cluster: String,
    /// Whether the digests in its answer count.
    pub(crate) checks: bool,
    scheme: Scheme,
    origin: String,
    host: String,
    path: String,
    query: String,
    headers: HeaderList,
}

impl OriginRequest {
    /// What a rule makes of a client's request.
    ///
    /// # Errors
    ///
    /// The key's dot segments would lead out of the MirrorURL's path.
    pub fn build(
        mirror: &Mirror,
        request: &ObjectRequest,
        cluster: &str,
    ) -> Result<Self, MirrorFailure> {
        let key = mirror.key.apply(&request.key);
        if rule::climbs_out(&key) {
            return Err(MirrorFailure::KeyClimbs);
        }
        let mut headers = mirror.headers.apply(&request.headers);
        for (name, standard) in [("accept", "*/*"), ("user-agent", USER_AGENT)] {
            if headers.get(name).is_none() {
                headers.add(name, standard);
            }
        }
        Ok(Self {
            cluster: cluster.to_owned(),
            checks: mirror.check_md5,
            scheme: mirror.url.scheme(),
            origin: mirror.url.origin(),
            host: mirror.headers.host().unwrap_or_else(|| mirror.url.authority()).to_owned(),
            path: format!("{}{}", mirror.url.path(), percent::encode_key(&key)),
            query: if mirror.pass_query_string {
                query::for_others(&request.query)
            } else {
                String::new()
            },
            headers,
        })
    }

    /// The object's URL, without the query: it may be one client's secret, and the URL is kept
    /// beside the object.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// The URL a client can be sent to.
    #[must_use]
    pub fn location(&self) -> String {
        format!("{}{}", self.origin, self.path_and_query())
    }

    /// The value of `x-oss-tag`: the word, and the URL in one word. Readers test the first.
    #[must_use]
    pub fn tag(&self) -> String {
        let tag = format!("MIRROR {}", percent::encode_url(&self.url()));
        if tag.len() <= MAX_TAG_BYTES { tag } else { "MIRROR".to_owned() }
    }

    /// The headers of the callout.
    #[must_use]
    pub fn call_headers(&self, method: &str) -> HeaderList {
        let mut headers = HeaderList::new()
            .with(":method", method)
            .with(":scheme", self.scheme.as_str())
            .with(":authority", &self.host)
            .with(":path", self.path_and_query());
        headers.extend(&self.headers);
        headers
    }

    /// The check of a whole object by the answer that begins to bring it.
    pub(crate) fn check(&self, answer: &Headers) -> Check {
        if self.checks { Check::of_whole(answer) } else { Check::default() }
    }

    fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }
}

/// What an origin's answer amounts to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The origin does not have the object.
    Absent,
    /// Nothing can be had of it.
    Failed(MirrorFailure),
    /// The whole object is there, with these headers of its own.
    Object(HeaderList),
    /// The object is larger than the limit.
    TooLarge,
    /// The host gave the answer up: it broke off, or was too large for the host.
    Unknown,
}

/// Judges the answer to a GET. `body_bytes` is what the host holds of its body.
#[must_use]
pub fn judge(answer: &Headers, body_bytes: u64, limit: u64) -> Verdict {
    let Some(status) = answer.status() else {
        return Verdict::Unknown;
    };
    match status {
        200 => {
            if let Some(expected) = answer.content_length().filter(|length| *length != body_bytes) {
                return Verdict::Failed(MirrorFailure::Short { expected, found: body_bytes });
            }
            if body_bytes > limit {
                return Verdict::TooLarge;
            }
            Verdict::Object(object_headers(answer))
        }
        404 => Verdict::Absent,
        // Envoy answers for an origin that it did not understand, and leaves this header out then.
        502 | 503 if answer.get("x-envoy-upstream-service-time").is_none() => {
            Verdict::Failed(MirrorFailure::Unreachable)
        }
        504 if answer.get("x-envoy-upstream-service-time").is_none() => {
            Verdict::Failed(MirrorFailure::TimedOut)
        }
        other => Verdict::Failed(MirrorFailure::Status(other)),
    }
}

/// Judges the answer to a HEAD in place of a GET: what a client is told of an object must be what
/// its GET would bring.
#[must_use]
pub fn judge_head(answer: &Headers, limit: u64) -> Verdict {
    match (answer.status(), answer.content_length()) {
        (Some(200), Some(length)) if length > limit => Verdict::TooLarge,
        (Some(200), _) => Verdict::Object(object_headers(answer)),
        (_, _) => judge(answer, 0, limit),
    }
}

/// Judges the answer to the HEAD that follows an [`Verdict::Unknown`]: only an origin that says
/// the object is too large makes it so.
#[must_use]
pub fn judge_size(answer: &Headers, limit: u64) -> Verdict {
    match (answer.status(), answer.content_length()) {
        (Some(200), Some(length)) if length > limit => Verdict::TooLarge,
        (_, _) => Verdict::Failed(MirrorFailure::Broken),
    }
}

/// The headers of an answer that belong to the object.
pub(crate) fn object_headers(answer: &Headers) -> HeaderList {
    let mut headers = HeaderList::new();
    for name in OBJECT_HEADERS {
        let values: Vec<&[u8]> = answer
            .iter()
            .filter(|(found, value)| *found == name.as_bytes() && !value.is_empty())
            .map(|(_, value)| value)
            .collect();
        // One line with commas means what several lines mean (RFC 9110, section 5.3).
        if !values.is_empty() {
            headers.add(name, values.join(&b", "[..]));
        }
    }
    if headers.get("content-type").is_none() {
        headers.add("content-type", NO_TYPE);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        use MirrorFailure::{Broken, Short, Status, TimedOut, Unreachable};
        let genuine = ("x-envoy-upstream-service-time", "1");
        let typed = |kind: &str| Verdict::Object(HeaderList::new().with("content-type", kind));
        let cases: Vec<(Vec<(&str, &str)>, u64, Verdict)> = vec![
            (vec![], 0, Verdict::Unknown),
            (vec![(":status", "200"), ("content-type", "a/b")], 5, typed("a/b")),
            (vec![(":status", "200"), ("content-length", "5")], 5, typed(NO_TYPE)),
            (
                vec![(":status", "200"), ("content-length", "6")],
                5,
                Verdict::Failed(Short { expected: 6, found: 5 }),
            ),
            (vec![(":status", "200")], 11, Verdict::TooLarge),
            (vec![(":status", "206")], 5, Verdict::Failed(Status(206))),
            (vec![(":status", "302")], 0, Verdict::Failed(Status(302))),
            (vec![(":status", "404")], 5, Verdict::Absent),
            (vec![(":status", "503")], 5, Verdict::Failed(Unreachable)),
            (vec![(":status", "502")], 5, Verdict::Failed(Unreachable)),
            (vec![(":status", "502"), genuine], 5, Verdict::Failed(Status(502))),
            (vec![(":status", "503"), genuine], 5, Verdict::Failed(Status(503))),
            (vec![(":status", "504")], 5, Verdict::Failed(TimedOut)),
            (vec![(":status", "504"), genuine], 5, Verdict::Failed(Status(504))),
        ];
        for (headers, size, expected) in cases {
            let answer = Headers::from_pairs(headers.clone());
            assert_eq!(judge(&answer, size, 10), expected, "{headers:?}");
        }
        let head =
            |pairs: &[(&str, &str)]| judge_size(&Headers::from_pairs(pairs.iter().copied()), 10);
        assert_eq!(head(&[(":status", "200"), ("content-length", "11")]), Verdict::TooLarge);
        let long = [(":status", "200"), ("content-length", "11"), ("content-type", "a/b")];
        let headers = |length| Headers::from_pairs(long.iter().copied().filter(|p| p.1 != length));
        assert_eq!(judge_head(&headers(""), 10), Verdict::TooLarge);
        assert_eq!(judge_head(&headers("11"), 10), typed("a/b"));
        let absent = Headers::from_pairs([(":status", "404"), ("content-length", "11")]);
        assert_eq!(judge_head(&absent, 10), Verdict::Absent);
        for pairs in [
            &[][..],
            &[(":status", "200")],
            &[(":status", "200"), ("content-length", "9")],
            &[(":status", "405"), ("content-length", "99")],
        ] {
            assert_eq!(head(pairs), Verdict::Failed(Broken), "{pairs:?}");
        }
    }
}
