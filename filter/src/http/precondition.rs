//! The conditions of a request, against the version of an object that is at hand (RFC 9110, section
//! 13).
//!
//! | Request | Version | Outcome |
//! |---|---|---|
//! | `If-Match` | another strong ETag, or none | 412 |
//! | `If-Unmodified-Since`, without `If-Match` | modified since, or not known when | 412 |
//! | `If-None-Match` | that ETag, or `*` | 304 |
//! | `If-Modified-Since`, without `If-None-Match` | not modified since | 304 |
//! | `If-Range` | anything but that strong ETag | the Range does not count |
//!
//! They stand in the order in which they are evaluated (section 13.2.2).

use super::date;
use super::headers::Headers;

/// What a server says of the version that it sends.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Validators {
    /// Its ETag, where that is strong: a weak one promises no bytes.
    pub etag: Option<String>,
    /// Its Last-Modified.
    pub last_modified: Option<String>,
}

/// A condition that does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unmet {
    /// 412: the client wants another version; with the header that says so.
    Failed(&'static str),
    /// 304: the client has this one.
    NotModified,
}

impl Validators {
    /// Those of an answer.
    #[must_use]
    pub fn of(answer: &Headers) -> Self {
        let is_strong =
            |etag: &&str| etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"');
        Self {
            etag: answer.text("etag").filter(is_strong).map(str::to_owned),
            last_modified: answer.text("last-modified").map(str::to_owned),
        }
    }

    /// What of a request does not hold of this version.
    #[must_use]
    pub fn unmet(&self, request: &Headers) -> Option<Unmet> {
        if request.get("if-match").is_some() {
            if !self.is_among(request, "if-match", Compared::Strongly) {
                return Some(Unmet::Failed("If-Match"));
            }
        } else if let Some(since) = request.text("if-unmodified-since").and_then(date::seconds)
            && self.modified().is_none_or(|modified| modified > since)
        {
            return Some(Unmet::Failed("If-Unmodified-Since"));
        }
        let has_it = if request.get("if-none-match").is_some() {
            self.is_among(request, "if-none-match", Compared::Weakly)
        } else {
            let since = request.text("if-modified-since").and_then(date::seconds);
            since.zip(self.modified()).is_some_and(|(since, modified)| modified <= since)
        };
        has_it.then_some(Unmet::NotModified)
    }

    /// Whether the Range of a request counts, by its If-Range.
    #[must_use]
    pub fn takes_range(&self, request: &Headers) -> bool {
        let own = self.etag.as_deref().map(str::as_bytes);
        request.get("if-range").is_none_or(|known| own == Some(known))
    }

    fn modified(&self) -> Option<i64> {
        self.last_modified.as_deref().and_then(date::seconds)
    }

    fn is_among(&self, request: &Headers, name: &str, compared: Compared) -> bool {
        let own = self.etag.as_deref().map(|etag| etag.trim_matches('"'));
        let lists = request.iter().filter(|(found, _)| *found == name.as_bytes());
        lists.filter_map(|(_, list)| std::str::from_utf8(list).ok()).any(|list| {
            list.trim() == "*"
                || tags(list).into_iter().any(|tag| match compared {
                    Compared::Strongly => !tag.is_weak && Some(tag.text) == own,
                    Compared::Weakly => Some(tag.text) == own,
                })
        })
    }
}

/// How two ETags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy)]
enum Compared {
    Strongly,
    Weakly,
}

/// One ETag of a list.
struct Tag<'a> {
    is_weak: bool,
    text: &'a str,
}

fn tags(list: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if rest.is_empty() {
            return tags;
        }
        let is_weak = rest.starts_with("W/");
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let (text, behind) = match tag.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            // S3 takes one without quotes too.
            None => tag.split_once(',').unwrap_or((tag, "")),
        };
        tags.push(Tag { is_weak, text: text.trim_end() });
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Tue, 01 Apr 2025 07:59:59 GMT";
    const THEN: &str = "Tue, 01 Apr 2025 08:00:00 GMT";
    const AFTER: &str = "Tuesday, 01-Apr-25 08:00:01 GMT";

    #[test]
    fn conditions_are_evaluated_in_their_order() {
        use Unmet::{Failed, NotModified};
        let known: &[(&str, &str)] = &[("etag", "\"v,1\""), ("last-modified", THEN)];
        let weak: &[(&str, &str)] = &[("etag", "W/\"v,1\"")];
        let unknown: &[(&str, &str)] = &[];
        let (if_match, if_none_match) = ("if-match", "if-none-match");
        let (if_unmodified, if_modified) = ("if-unmodified-since", "if-modified-since");
        let failed_match = Some(Failed("If-Match"));
        let failed_date = Some(Failed("If-Unmodified-Since"));
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(Pairs<'_>, Pairs<'_>, Option<Unmet>)] = &[
            (known, &[], None),
            (known, &[(if_match, "\"v,1\"")], None),
            (known, &[(if_match, "v")], failed_match),
            (known, &[(if_match, "\"a\" , \"v,1\"")], None),
            (known, &[(if_match, "\"a\""), (if_match, "\"v,1\"")], None),
            (known, &[(if_match, "W/\"v,1\"")], failed_match),
            (known, &[(if_match, "*")], None),
            (known, &[(if_match, "\"v2\"")], failed_match),
            (known, &[(if_match, "")], failed_match),
            (weak, &[(if_match, "W/\"v,1\"")], failed_match),
            (weak, &[(if_match, "\"v,1\"")], failed_match),
            (unknown, &[(if_match, "\"v,1\"")], failed_match),
            (unknown, &[(if_match, "*")], None),
            (known, &[(if_unmodified, THEN)], None),
            (known, &[(if_unmodified, AFTER)], None),
            (known, &[(if_unmodified, BEFORE)], failed_date),
            (unknown, &[(if_unmodified, AFTER)], failed_date),
            (known, &[(if_unmodified, "yesterday")], None),
            (known, &[(if_match, "\"v,1\""), (if_unmodified, BEFORE)], None),
            (known, &[(if_match, "\"v2\""), (if_unmodified, AFTER)], failed_match),
            (known, &[(if_none_match, "\"v,1\"")], Some(NotModified)),
            (known, &[(if_none_match, "W/\"v,1\"")], Some(NotModified)),
            (known, &[(if_none_match, "*")], Some(NotModified)),
            (known, &[(if_none_match, "\"v2\"")], None),
            (unknown, &[(if_none_match, "\"v,1\"")], None),
            (known, &[(if_modified, THEN)], Some(NotModified)),
            (known, &[(if_modified, AFTER)], Some(NotModified)),
            (known, &[(if_modified, BEFORE)], None),
            (known, &[(if_modified, "0")], None),
            (unknown, &[(if_modified, AFTER)], None),
            (known, &[(if_none_match, "\"v2\""), (if_modified, AFTER)], None),
            (known, &[(if_none_match, "\"v,1\""), (if_modified, BEFORE)], Some(NotModified)),
            (known, &[(if_match, "\"v2\""), (if_none_match, "\"v,1\"")], failed_match),
            (known, &[(if_match, "\"v,1\""), (if_none_match, "\"v,1\"")], Some(NotModified)),
            (known, &[(if_unmodified, THEN), (if_modified, THEN)], Some(NotModified)),
        ];
        for (answer, request, expected) in cases {
            let validators = Validators::of(&Headers::from_pairs(answer.iter().copied()));
            let found = validators.unmet(&Headers::from_pairs(request.iter().copied()));
            assert_eq!(found, *expected, "{answer:?} {request:?}");
        }
    }

    #[test]
    fn a_range_counts_for_the_version_that_it_names() {
        let known = Headers::from_pairs([("etag", "\"v\""), ("last-modified", THEN)]);
        let weak = Headers::from_pairs([("etag", "W/\"v\"")]);
        for (answer, if_range, expected) in [
            (&known, None, true),
            (&known, Some("\"v\""), true),
            (&known, Some("W/\"v\""), false),
            (&known, Some("\"w\""), false),
            (&known, Some(THEN), false),
            (&known, Some(AFTER), false),
            (&weak, Some("W/\"v\""), false),
            (&weak, Some("\"v\""), false),
        ] {
            let request = Headers::from_pairs(if_range.map(|value| ("if-range", value)));
            let found = Validators::of(answer).takes_range(&request);
            assert_eq!(found, expected, "{if_range:?}");
        }
    }
}
