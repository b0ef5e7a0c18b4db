//! The Range header against an object that is at hand (RFC 9110, section 14).

use std::ops::Range;

use super::headers::Headers;

/// What a client's Range means for an object of a given size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// No range, one that is not a single byte range, or a malformed one: the whole object.
    Whole,
    /// One satisfiable range: 206.
    Bytes(Range<usize>),
    /// A range that starts behind the end: 416.
    Unsatisfiable,
}

/// Whether a Range header's value asks for one part: S3 takes anything else for none.
#[must_use]
pub fn is_single(range: &[u8]) -> bool {
    part(Some(range), 0) != Part::Whole
}

/// Reads a Range header's value for an object of `size` bytes.
///
/// Several ranges in one header are answered with the whole object, as S3 and OSS do.
#[must_use]
pub fn part(range: Option<&[u8]>, size: usize) -> Part {
    let Some(range) = range.and_then(|value| std::str::from_utf8(value).ok()) else {
        return Part::Whole;
    };
    let Some((unit, spec)) = range.trim().split_once('=') else {
        return Part::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Part::Whole;
    };
    match (first.trim(), last.trim()) {
        ("", suffix) => match position(suffix) {
            Some(0) => Part::Unsatisfiable,
            Some(_) if size == 0 => Part::Unsatisfiable,
            Some(length) => Part::Bytes(size.saturating_sub(length)..size),
            None => Part::Whole,
        },
        (first, last) => {
            let Some(first) = position(first) else {
                return Part::Whole;
            };
            let end = if last.is_empty() {
                size
            } else {
                match position(last) {
                    Some(last) if last >= first => last.saturating_add(1).min(size),
                    Some(_) | None => return Part::Whole,
                }
            };
            if first >= size { Part::Unsatisfiable } else { Part::Bytes(first..end) }
        }
    }
}

/// A position too large for this machine is behind every object's end.
fn position(digits: &str) -> Option<usize> {
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    numeric.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// `Content-Range: bytes first-last/size`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
    /// The size of the whole.
    pub size: u64,
}

impl ContentRange {
    /// That of an answer; one that says less is none.
    #[must_use]
    pub fn read(answer: &Headers) -> Option<Self> {
        let (range, size) =
            answer.text("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let range = Self {
            first: first.trim().parse().ok()?,
            last: last.trim().parse().ok()?,
            size: size.trim().parse().ok()?,
        };
        (range.first <= range.last && range.last < range.size).then_some(range)
    }

    /// Whether it is all of the whole.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.first == 0 && self.last + 1 == self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let cases = [
            ("bytes=0-3", Part::Bytes(0..4)),
            ("bytes=4-", Part::Bytes(4..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-30", Part::Bytes(0..10)),
            ("bytes=0-99", Part::Bytes(0..10)),
            ("Bytes = 9-9", Part::Bytes(9..10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=99999999999999999999999-", Part::Unsatisfiable),
            ("bytes=0-99999999999999999999999", Part::Bytes(0..10)),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("items=0-1", Part::Whole),
            ("", Part::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(part(Some(header.as_bytes()), 10), expected, "{header}");
            assert_eq!(is_single(header.as_bytes()), expected != Part::Whole, "{header}");
        }
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(part(Some(b"\xff"), 10), Part::Whole);
    }

    #[test]
    fn an_empty_object_satisfies_no_range() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(part(Some(header.as_bytes()), 0), Part::Unsatisfiable, "{header}");
        }
    }
}
