//! Values of an object's headers, as every store takes them: in visible ASCII, and an Expires as a
//! date.
//!
//! HTTP lets a server send any byte (RFC 9110, section 5.5), and servers do: file names above all.
//! Signatures cover text, and stores refuse what they cannot read. So what can be said in ASCII is
//! said in it, and the rest is left out.

use super::{date, percent};

/// What is said in place of an Expires that is no date: it means "long ago" (RFC 9111, section 5.3).
const LONG_AGO: i64 = 0;

/// Headers by which a browser judges who may use an object, and a cache whom it may give it to. They
/// are of one answer: S3 keeps none of them.
const OF_THE_ANSWER: [&str; 2] = ["timing-allow-origin", "vary"];

/// Whether a header is of the answer, and not of the object. The name must be lower case.
#[must_use]
pub fn is_of_the_answer(name: &str) -> bool {
    OF_THE_ANSWER.contains(&name) || name.starts_with("access-control-")
}

/// The value of one of an object's headers in ASCII; `None` where nothing is left of it. The name must
/// be lower case.
#[must_use]
pub fn in_ascii(name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let value = text(value);
    let said = match name {
        "content-encoding" => codings(&value),
        "content-disposition" | "content-type" if !value.is_ascii() => {
            parameters(&value, name == "content-disposition")
        }
        "expires" => {
            let date = std::str::from_utf8(&value).ok().and_then(date::seconds);
            date::text(date.unwrap_or(LONG_AGO)).into_bytes()
        }
        _ => value,
    };
    let is_visible = said.iter().all(|byte| (b' '..0x7f).contains(byte));
    (is_visible && !said.is_empty()).then_some(said)
}

/// The value of user metadata in ASCII: as it is, or as S3 says it (RFC 2047).
#[must_use]
pub fn metadata_in_ascii(value: &[u8]) -> Vec<u8> {
    let value = text(value);
    if value.is_ascii() {
        return value;
    }
    let mut word = "=?UTF-8?B?".to_owned();
    word.push_str(&base64(&value));
    // Base64 goes by fours, and begins behind ten.
    while word.len() % 4 != 2 {
        word.push('=');
    }
    word.push_str("?=");
    word.into_bytes()
}

/// Base64 without its padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            (bits << 8) | usize::from(group.get(at).copied().unwrap_or_default())
        });
        for digit in 0..=group.len() {
            let at = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS.get(at).copied().unwrap_or_default()));
        }
    }
    text
}

/// What bytes say, as UTF-8: they are that, or else Latin-1, of which HTTP once was. A tab is a blank.
fn text(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let is_utf8 = std::str::from_utf8(value).is_ok();
    let mut text = Vec::with_capacity(value.len());
    for byte in value {
        match *byte {
            b'\t' => text.push(b' '),
            byte @ 0x80.. if !is_utf8 => {
                text.push(0xc0 | (byte >> 6));
                text.push(0x80 | (byte & 0x3f));
            }
            byte => text.push(byte),
        }
    }
    text
}

/// A list of codings without `aws-chunked`: by that a client of S3's sends what it signs in pieces,
/// and no store that takes it so keeps it so.
fn codings(value: &[u8]) -> Vec<u8> {
    let mut own = Vec::new();
    for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if coding.is_empty() || coding.eq_ignore_ascii_case(b"aws-chunked") {
            continue;
        }
        if !own.is_empty() {
            own.extend_from_slice(b", ");
        }
        own.extend_from_slice(coding);
    }
    own
}

/// A value with a `_` for each letter of its parameters that is not of ASCII; behind them the file
/// name, where one is given, so that all who know RFC 6266 find the right one. Nothing of a value that
/// begins otherwise.
fn parameters(value: &[u8], has_name: bool) -> Vec<u8> {
    let mut said = Vec::new();
    let mut is_first = true;
    for byte in value {
        is_first &= *byte != b';';
        match byte {
            ..0x80 => said.push(*byte),
            _ if is_first => return Vec::new(),
            0xc0.. => said.push(b'_'),
            _ => {}
        }
    }
    if let Some(name) = file_name(value).filter(|_| has_name) {
        said.extend_from_slice(b"; filename*=UTF-8''");
        said.extend_from_slice(name.as_bytes());
    }
    said
}

/// The encoded file name of a Content-Disposition that says it in one way only.
fn file_name(value: &[u8]) -> Option<String> {
    if find(value, b"filename*").is_some() {
        return None;
    }
    let (mut name, mut is_quoted, mut is_escaped) = (Vec::new(), false, false);
    for byte in value.get(find(value, b"filename=")? + b"filename=".len()..)? {
        match byte {
            b'\\' if is_quoted && !is_escaped => is_escaped = true,
            b'"' if !is_escaped && is_quoted => break,
            b'"' if !is_escaped => is_quoted = true,
            b';' if !is_quoted => break,
            byte => {
                is_escaped = false;
                name.push(*byte);
            }
        }
    }
    Some(percent::encode_query(name.trim_ascii()))
}

/// Where a name stands. Once for both that are looked for: each copy would be as large.
#[inline(never)]
fn find(value: &[u8], name: &[u8]) -> Option<usize> {
    value.windows(name.len()).position(|found| found.eq_ignore_ascii_case(name))
}

/// Adds an item to a list.
pub(crate) fn add(list: &mut String, between: &str, item: &str) {
    if !list.is_empty() && !item.is_empty() {
        list.push_str(between);
    }
    list.push_str(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_in_ascii() {
        let long_ago = Some("Thu, 01 Jan 1970 00:00:00 GMT");
        let cases: &[(&str, &[u8], Option<&str>)] = &[
            ("cache-control", b"max-age=60", Some("max-age=60")),
            ("cache-control", b"a\tb", Some("a b")),
            ("cache-control", b" ", None),
            ("cache-control", "für-immer".as_bytes(), None),
            ("content-language", b"\xff", None),
            ("content-language", b"a\r\nb", None),
            ("expires", b"Tue, 01 Apr 2025 08:00:00 GMT", Some("Tue, 01 Apr 2025 08:00:00 GMT")),
            ("expires", b"Tuesday, 01-Apr-25 08:00:00 GMT", Some("Tue, 01 Apr 2025 08:00:00 GMT")),
            ("expires", b"0", long_ago),
            ("expires", b"-1", long_ago),
            ("expires", b"\xff", long_ago),
            ("content-encoding", b"gzip", Some("gzip")),
            ("content-encoding", b"aws-chunked", None),
            ("content-encoding", b"AWS-Chunked,gzip, br", Some("gzip, br")),
            ("content-type", b"text/plain; charset=utf-8", Some("text/plain; charset=utf-8")),
            (
                "content-type",
                "text/plain; name=\"ü;\"; charset=utf-8".as_bytes(),
                Some("text/plain; name=\"_;\"; charset=utf-8"),
            ),
            ("content-type", b"text/\xff", None),
            ("content-disposition", b"attachment; filename=a", Some("attachment; filename=a")),
            (
                "content-disposition",
                b"attachment; filename=\"\xfcber; 1.txt\"; size=1",
                Some(
                    "attachment; filename=\"_ber; 1.txt\"; size=1; \
                     filename*=UTF-8''%C3%BCber%3B%201.txt",
                ),
            ),
            (
                "content-disposition",
                "inline;FileName=\"日\\\"本\\\\.txt\"".as_bytes(),
                Some(
                    "inline;FileName=\"_\\\"_\\\\.txt\"; \
                     filename*=UTF-8''%E6%97%A5%22%E6%9C%AC%5C.txt",
                ),
            ),
            (
                "content-disposition",
                "attachment; filename=ü.txt ; size=1".as_bytes(),
                Some("attachment; filename=_.txt ; size=1; filename*=UTF-8''%C3%BC.txt"),
            ),
            (
                "content-disposition",
                "attachment; filename=ü.txt; filename*=UTF-8''%C3%BC.txt".as_bytes(),
                Some("attachment; filename=_.txt; filename*=UTF-8''%C3%BC.txt"),
            ),
            ("content-disposition", "attachment; ü".as_bytes(), Some("attachment; _")),
            ("content-disposition", "ü; filename=a".as_bytes(), None),
        ];
        for (name, value, expected) in cases {
            let found = in_ascii(name, value);
            let expected = expected.map(str::as_bytes);
            assert_eq!(found.as_deref(), expected, "{name} {}", percent::readable(value));
        }
    }

    #[test]
    fn user_metadata_is_said_in_ascii() {
        let cases: &[(&[u8], &str)] = &[
            (b"a = b?", "a = b?"),
            (b" a\tb ", "a b"),
            ("Ä = b_?".as_bytes(), "=?UTF-8?B?w4QgPSBiXz8=?="),
            (b"\xc4", "=?UTF-8?B?w4Q=?="),
            ("Äb".as_bytes(), "=?UTF-8?B?w4Ri?="),
        ];
        for (value, expected) in cases {
            assert_eq!(metadata_in_ascii(value), expected.as_bytes());
        }
    }
}
