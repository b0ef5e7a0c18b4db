//! The object in an origin's answer: what clients are told of it, what is kept, and whether the answer
//! is to be trusted with that.

use super::OriginRequest;
use crate::http::headers::{HeaderList, Headers};
use crate::http::precondition::Validators;
use crate::http::range::ContentRange;
use crate::http::{date, field};
use crate::metadata::ETAG_METADATA;
use crate::miss_route::FRAMING;
use crate::reason::MirrorFailure;
use crate::time::Moment;

/// The headers of an origin's answer that belong to the object.
const OBJECT_HEADERS: &[&str] = &[
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
];

/// The longest ETag that is kept: what metadata may take in all is little.
const MAX_ETAG_BYTES: usize = 128;

/// What S3 itself says of an object whose type nobody gave.
pub(super) const NO_TYPE: &str = "application/octet-stream";

/// An object, but for its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectHeaders {
    /// Those for clients.
    pub client: HeaderList,
    /// Those for the store.
    pub stored: HeaderList,
    /// The names of those that no store can be told.
    pub unkept: String,
    /// What the origin says of this version.
    pub validators: Validators,
    /// Whether the end of its bytes can be told from a break.
    pub is_delimited: bool,
}

impl ObjectHeaders {
    /// Those for clients, with a date. What S3 answers always has one, and its clients read it.
    #[must_use]
    pub fn dated(&self, now: Moment) -> HeaderList {
        let mut headers = self.client.clone();
        if headers.get("last-modified").is_none() {
            let seconds = i64::try_from(now.0.as_secs()).unwrap_or_default();
            headers.add("last-modified", date::text(seconds));
        }
        headers
    }
}

impl OriginRequest {
    /// What is made of the headers of an object that a 200 brings, of so many bytes.
    ///
    /// # Errors
    ///
    /// As below, or it says of itself that it is a part.
    pub fn whole(
        &self,
        answer: &Headers,
        bytes: Option<u64>,
    ) -> Result<ObjectHeaders, MirrorFailure> {
        let is_whole =
            |range: ContentRange| range.is_whole() && bytes.is_none_or(|bytes| bytes == range.size);
        match answer.get("content-range") {
            Some(_) if !ContentRange::read(answer).is_some_and(is_whole) => {
                Err(MirrorFailure::Partial)
            }
            Some(_) | None => self.found(answer),
        }
    }

    /// What is made of the headers of an object.
    ///
    /// # Errors
    ///
    /// Its user metadata is wanted, and too large to be kept.
    pub fn found(&self, answer: &Headers) -> Result<ObjectHeaders, MirrorFailure> {
        let keeping = &self.rule().keeping;
        let (mut client, unkept) = object_headers(answer);
        client.extend(&keeping.metadata(answer).ok_or(MirrorFailure::MetadataTooLarge)?);
        let mut stored = client.clone();
        keeping.add_stored(answer, &self.key, &mut stored);
        let validators = Validators::of(answer);
        if let Some(etag) = &validators.etag {
            client.add("etag", etag);
            if etag.is_ascii() && etag.len() <= MAX_ETAG_BYTES {
                stored.add(ETAG_METADATA, etag);
            }
        }
        let dates = ["last-modified", "date"].into_iter();
        if let Some(date) = dates.filter_map(|name| answer.text(name)).find_map(date::seconds) {
            client.add("last-modified", date::text(date));
        }
        add_of_the_answer(answer, &mut client);
        keeping.add_shown(&self.key, &mut client);
        let is_delimited = is_delimited(answer);
        Ok(ObjectHeaders { client, stored, unkept, validators, is_delimited })
    }
}

/// Whether the end of an answer's body can be told from a break: by its length, by chunks, or by a
/// protocol that has ends. Over HTTP/1 a body without either ends with its connection, whoever closed
/// that (RFC 9112, section 6.3).
fn is_delimited(answer: &Headers) -> bool {
    if answer.content_length().is_some() {
        return true;
    }
    let is_chunked = |coding: &str| coding.trim_end().to_ascii_lowercase().ends_with("chunked");
    match answer.text(FRAMING) {
        Some(framing) => {
            framing.starts_with("HTTP/2") || framing.starts_with("HTTP/3") || is_chunked(framing)
        }
        None => answer.text("transfer-encoding").is_some_and(is_chunked),
    }
}

/// Adds the headers of an answer that are told with it, and not kept.
pub(super) fn add_of_the_answer(answer: &Headers, headers: &mut HeaderList) {
    for (name, value) in answer.iter() {
        if let Some(name) =
            std::str::from_utf8(name).ok().filter(|name| field::is_of_the_answer(name))
        {
            headers.add(name, value);
        }
    }
}

/// The headers of an answer that belong to the object, and the names of those that cannot be kept.
pub(super) fn object_headers(answer: &Headers) -> (HeaderList, String) {
    let mut headers = HeaderList::new();
    let mut unkept = String::new();
    for name in OBJECT_HEADERS {
        let values: Vec<&[u8]> = answer
            .iter()
            .filter(|(found, value)| *found == name.as_bytes() && !value.is_empty())
            .map(|(_, value)| value)
            .collect();
        // One line with commas means what several lines mean (RFC 9110, section 5.3).
        if values.is_empty() {
            continue;
        }
        let value = values.join(&b", "[..]);
        match field::in_ascii(name, &value) {
            Some(value) => headers.add(name, value),
            // `aws-chunked` alone is none.
            None if value.is_ascii() => {}
            None => field::add(&mut unkept, ", ", name),
        }
    }
    if headers.get("content-type").is_none() {
        headers.add("content-type", NO_TYPE);
    }
    (headers, unkept)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::request;
    use super::super::verdict::Verdict;
    use super::*;

    #[test]
    fn a_200_that_says_it_is_a_part_is_no_object() {
        let request = request("a", "");
        for (range, length, is_object) in [
            ("bytes 0-99/4000", Some("100"), false),
            ("bytes 0-99/4000", None, false),
            ("bytes 1-100/101", Some("100"), false),
            ("bytes 0-99/100", Some("100"), true),
            ("bytes 0-99/100", None, true),
            ("bytes 0-98/99", Some("100"), false),
            ("bytes 0-99/*", Some("100"), false),
            ("bytes */100", Some("100"), false),
            ("nonsense", Some("100"), false),
        ] {
            let length = length.map(|length| ("content-length", length));
            let pairs = [(":status", "200"), ("content-range", range)];
            let answer = Headers::from_pairs(pairs.into_iter().chain(length));
            for verdict in [request.judge(&answer, 100, 200), request.judge_head(&answer, 200)] {
                if let Verdict::Object(found) = verdict {
                    assert!(is_object, "{range} {length:?}");
                    assert_eq!(found.client.get("content-range"), None);
                } else {
                    assert!(!is_object, "{range} {length:?}: {verdict:?}");
                    assert_eq!(verdict, Verdict::Failed(MirrorFailure::Partial));
                }
            }
        }
    }

    #[test]
    fn an_end_is_told_from_a_break_by_length_chunks_or_protocol() {
        let (coding, framing) = ("transfer-encoding", FRAMING);
        let cases: [(&[(&str, &str)], bool); 9] = [
            (&[("content-length", "5")], true),
            (&[("content-length", "5"), (framing, "HTTP/1.1 -")], true),
            (&[(coding, "chunked")], true),
            (&[(coding, "gzip, Chunked")], true),
            (&[(framing, "HTTP/1.1 chunked")], true),
            (&[(framing, "HTTP/2 -")], true),
            (&[(framing, "HTTP/3 -")], true),
            // What stands between Envoy and an origin makes chunks of anything.
            (&[(coding, "chunked"), (framing, "HTTP/1.0 -")], false),
            (&[], false),
        ];
        for (pairs, expected) in cases {
            let found = is_delimited(&Headers::from_pairs(pairs.iter().copied()));
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    #[test]
    fn one_odd_header_costs_no_object() {
        let request = request("a", r#", "MirrorSaveOssMeta": true"#);
        let pairs: [(&str, &[u8]); 8] = [
            (":status", b"200"),
            ("content-disposition", b"attachment; filename=\"\xe9.txt\""),
            ("content-language", b"\xe9"),
            ("content-encoding", b"aws-chunked"),
            ("expires", b"0"),
            ("x-oss-meta-name", "é".as_bytes()),
            ("vary", b"Accept, \xe9"),
            ("access-control-allow-origin", b"*"),
        ];
        let found = request.found(&Headers::from_pairs(pairs)).unwrap();
        let kept = [
            ("content-type", NO_TYPE),
            ("content-disposition", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"),
            ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("x-amz-meta-name", "=?UTF-8?B?w6k=?="),
        ];
        let stored: Vec<_> = found.stored.texts().collect();
        assert_eq!(stored, [kept[1], kept[2], kept[0], kept[3]]);
        assert!(found.stored.iter().all(|(_, value)| value.is_ascii()));
        assert_eq!(found.unkept, "content-language");
        for (name, value) in kept {
            assert_eq!(found.client.get(name), Some(value.as_bytes()), "{name}");
        }
        assert_eq!(found.client.get("vary"), Some(&b"Accept, \xe9"[..]));
        assert_eq!(found.client.get("access-control-allow-origin"), Some(&b"*"[..]));
    }

    #[test]
    fn clients_get_what_pins_a_version_and_stores_do_not() {
        let request = request("a", "");
        let then = "Tue, 01 Apr 2025 08:00:00 GMT";
        let now = Moment(Duration::from_secs(784_111_777));
        let cases: [(&[(&str, &str)], Option<&str>, &str); 7] = [
            (&[("etag", "\"v\""), ("last-modified", then)], Some("\"v\""), then),
            (&[("last-modified", "yesterday"), ("date", then)], None, then),
            (&[("last-modified", "0")], None, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (&[("etag", "W/\"v\""), ("date", then)], None, then),
            (&[("etag", "v")], None, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (&[("etag", "\"")], None, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (&[], None, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ];
        for (pairs, etag, date) in cases {
            let found = request.found(&Headers::from_pairs(pairs.iter().copied())).unwrap();
            let shown = found.dated(now);
            assert_eq!(shown.get("etag"), etag.map(str::as_bytes), "{pairs:?}");
            assert_eq!(shown.get("last-modified"), Some(date.as_bytes()), "{pairs:?}");
            for name in ["etag", "last-modified"] {
                assert_eq!(found.stored.get(name), None, "{pairs:?}");
            }
            // Nothing is evaluated against a date that the origin did not give.
            assert_eq!(
                found.validators.last_modified.is_some(),
                pairs.iter().any(|(name, _)| *name == "last-modified")
            );
        }
    }
}
