//! What an origin's answers amount to.

use back_to_origin::host::CallAnswer;
use back_to_origin::http::headers::Headers;
use back_to_origin::origin::Verdict;
use back_to_origin::reason::MirrorFailure;

use super::finding::Finding;

/// Judges what was answered for an object that cannot exist; `place` is who has answered.
pub(super) fn missing(
    answer: &CallAnswer,
    verdict: &Verdict,
    is_signed: bool,
    place: &str,
) -> Option<Finding> {
    let status = answer.headers.status().unwrap_or_default();
    let place = place.to_owned();
    let failure = match verdict {
        Verdict::Absent => return None,
        Verdict::Object(_) | Verdict::TooLarge { .. } | Verdict::Unknown => {
            return Some(Finding::SoftNotFound { status, place });
        }
        Verdict::Moved(_) => return Some(Finding::Redirect(Redirect::Endless)),
        Verdict::Passed(passed) => {
            let to = passed.headers.get("location").map(shown);
            // What a rule lets through as it is, it wants so.
            return to.map(|to| Finding::Redirect(Redirect::ToClients(to)));
        }
        Verdict::Failed(failure) => failure,
    };
    Some(match failure {
        MirrorFailure::Loop => Finding::Redirect(Redirect::Endless),
        MirrorFailure::NoUrl => Finding::Redirect(Redirect::Nowhere),
        MirrorFailure::UnknownOrigin(origin) => {
            Finding::Redirect(Redirect::Unknown(origin.clone()))
        }
        MirrorFailure::BeenHere
        | MirrorFailure::BreakerOpen { .. }
        | MirrorFailure::Broken
        | MirrorFailure::DeletionUnknown { .. }
        | MirrorFailure::Digest(_)
        | MirrorFailure::Inside
        | MirrorFailure::KeyClimbs
        | MirrorFailure::Limited { .. }
        | MirrorFailure::Malformed
        | MirrorFailure::MetadataTooLarge
        | MirrorFailure::NoAddress
        | MirrorFailure::NoCluster
        | MirrorFailure::Overloaded
        | MirrorFailure::Partial
        | MirrorFailure::QuotaUnknown
        | MirrorFailure::Short { .. }
        | MirrorFailure::Status(_)
        | MirrorFailure::TimedOut
        | MirrorFailure::TooLarge { .. }
        | MirrorFailure::Unreachable => match status {
            200..=299 => Finding::SoftNotFound { status, place },
            401 | 403 => Finding::Denied { status, is_signed },
            500.. => Finding::Failing(status),
            _ => Finding::Status(status),
        },
    })
}

/// Compares HEAD and GET of an object that cannot exist.
pub(super) fn head(head: &CallAnswer, got: &CallAnswer) -> Option<Finding> {
    let status = |answer: &CallAnswer| answer.headers.status().unwrap_or_default();
    let (head, got) = (status(head), status(got));
    (head != got).then_some(Finding::HeadDiffers { head, got })
}

/// Judges what was answered for an object that the user names, to a HEAD and to a GET of its first
/// byte.
pub(super) fn object(
    key: &str,
    head: &CallAnswer,
    got: &CallAnswer,
    verdict: &Verdict,
) -> Vec<Finding> {
    let status = got.headers.status().unwrap_or_default();
    // The first byte of an object without bytes is none.
    if !matches!(status, 200 | 206 | 416) {
        let key = key.to_owned();
        let found = if let Verdict::Failed(MirrorFailure::UnknownOrigin(origin)) = verdict {
            Finding::Redirect(Redirect::Unknown(origin.clone()))
        } else {
            Finding::ObjectAbsent { key, status }
        };
        return vec![found];
    }
    let mut findings = Vec::new();
    let head_status = head.headers.status().unwrap_or_default();
    if head_status != 200 {
        findings.push(Finding::HeadDiffers { head: head_status, got: status });
    }
    if status == 200 {
        findings.push(Finding::NoRanges(key.to_owned()));
    }
    let total = head.headers.content_length().or_else(|| total(&got.headers));
    if total.is_none() {
        findings.push(Finding::NoLength(key.to_owned()));
    }
    let etag = got.headers.text("etag").or_else(|| head.headers.text("etag"));
    let is_strong = etag.is_some_and(|etag| etag.starts_with('"'));
    if !is_strong && status != 416 {
        findings.push(Finding::NoStrongEtag { key: key.to_owned(), is_weak: etag.is_some() });
    }
    findings
}

/// The size of the whole in a Content-Range.
fn total(headers: &Headers) -> Option<u64> {
    headers.text("content-range")?.rsplit_once('/')?.1.parse().ok()
}

/// A place without its query, which may be somebody's secret.
fn shown(location: &[u8]) -> String {
    let location = String::from_utf8_lossy(location);
    location.split('?').next().unwrap_or_default().to_owned()
}

/// Where a redirect of an origin's leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Redirect {
    /// Round and round.
    Endless,
    /// To what is no HTTP URL.
    Nowhere,
    /// The client, by itself.
    ToClients(String),
    /// To a server that the deployment does not name.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use back_to_origin::http::headers::HeaderList;
    use back_to_origin::origin::Passed;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> CallAnswer {
        let status = status.to_string();
        let own = [(":status", status.as_str())];
        CallAnswer {
            headers: Headers::from_pairs(own.into_iter().chain(headers.iter().copied())),
            body_bytes: 0,
            body: Vec::new(),
        }
    }

    #[test]
    fn what_cannot_exist_is_missing_or_there_is_a_trouble() {
        let failed = |status| Verdict::Failed(MirrorFailure::Status(status));
        let place = || "http://o".to_owned();
        let passed = |location: Option<&str>| {
            let headers = location.map_or_else(HeaderList::new, |location| {
                HeaderList::new().with("location", location)
            });
            Verdict::Passed(Passed { status: 302, headers })
        };
        let unknown = Verdict::Failed(MirrorFailure::UnknownOrigin("http://p".to_owned()));
        let cases = [
            (404, Verdict::Absent, None),
            (200, Verdict::Unknown, Some(Finding::SoftNotFound { status: 200, place: place() })),
            (206, failed(206), Some(Finding::SoftNotFound { status: 206, place: place() })),
            (401, failed(401), Some(Finding::Denied { status: 401, is_signed: true })),
            (403, failed(403), Some(Finding::Denied { status: 403, is_signed: true })),
            (503, failed(503), Some(Finding::Failing(503))),
            (410, failed(410), Some(Finding::Status(410))),
            (302, unknown, Some(Finding::Redirect(Redirect::Unknown("http://p".to_owned())))),
            (
                302,
                Verdict::Failed(MirrorFailure::NoUrl),
                Some(Finding::Redirect(Redirect::Nowhere)),
            ),
            (302, Verdict::Moved(Vec::new()), Some(Finding::Redirect(Redirect::Endless))),
            (
                302,
                passed(Some("http://p/a?token=x")),
                Some(Finding::Redirect(Redirect::ToClients("http://p/a".to_owned()))),
            ),
            (410, passed(None), None),
        ];
        for (status, verdict, expected) in cases {
            let found = missing(&answer(status, &[]), &verdict, true, "http://o");
            assert_eq!(found, expected, "{status} {verdict:?}");
        }
    }

    #[test]
    fn an_object_can_be_had_by_parts_or_not() {
        let key = || "k".to_owned();
        let whole = [("content-length", "9"), ("etag", "\"e\"")];
        let part = [("content-length", "1"), ("content-range", "bytes 0-0/9"), ("etag", "\"e\"")];
        let weak = [("content-length", "9"), ("etag", "W/\"e\"")];
        let cases = [
            (answer(200, &whole), answer(206, &part), vec![]),
            (answer(200, &whole), answer(200, &whole), vec![Finding::NoRanges(key())]),
            (
                answer(200, &[]),
                answer(200, &[]),
                vec![
                    Finding::NoRanges(key()),
                    Finding::NoLength(key()),
                    Finding::NoStrongEtag { key: key(), is_weak: false },
                ],
            ),
            (
                answer(405, &[]),
                answer(206, &weak),
                vec![
                    Finding::HeadDiffers { head: 405, got: 206 },
                    Finding::NoLength(key()),
                    Finding::NoStrongEtag { key: key(), is_weak: true },
                ],
            ),
            (answer(200, &[("content-length", "0")]), answer(416, &[]), vec![]),
            (
                answer(404, &[]),
                answer(404, &[]),
                vec![Finding::ObjectAbsent { key: key(), status: 404 }],
            ),
        ];
        for (head, got, expected) in cases {
            assert_eq!(object("k", &head, &got, &Verdict::Absent), expected, "{got:?}");
        }
    }
}
