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
pub fn in_ascii(name: &str, value: &[u8]) -> Option<String> {
    let value = text(value);
    let said = match name {
        "content-encoding" => codings(&value),
        "content-disposition" | "content-type" if !value.is_ascii() => parameters(&value),
        "expires" => date::text(date::seconds(&value).unwrap_or(LONG_AGO)),
        _ => value,
    };
    let is_visible = said.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    (is_visible && !said.is_empty()).then_some(said)
}

/// The value of user metadata in ASCII: as it is, or as S3 says it (RFC 2047).
#[must_use]
pub fn metadata_in_ascii(value: &[u8]) -> String {
    let value = text(value);
    if value.is_ascii() {
        return value;
    }
    let mut word = base64(value.as_bytes());
    while word.len() % 4 != 0 {
        word.push('=');
    }
    ["=?UTF-8?B?", &word, "?="].concat()
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

/// What bytes say: UTF-8, or else Latin-1, of which HTTP once was. A tab is a blank.
fn text(value: &[u8]) -> String {
    let value = value.trim_ascii();
    let text = match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    };
    text.replace('\t', " ")
}

/// A list of codings without `aws-chunked`: by that a client of S3's sends what it signs in pieces,
/// and no store that takes it so keeps it so.
fn codings(value: &str) -> String {
    let mut own = String::new();
    for coding in value.split(',').map(str::trim_ascii) {
        if !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked") {
            add(&mut own, ", ", coding);
        }
    }
    own
}

/// A value without those of its parameters that are in other letters. A file name is said twice: with
/// a `_` for each letter, and so that all who know RFC 6266 find the right one.
fn parameters(value: &str) -> String {
    let (mut said, mut extended) = (String::new(), String::new());
    let mut rest = value;
    while !rest.is_empty() {
        let (part, behind) = cut(rest);
        rest = behind;
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let is_named = |known| name.trim_ascii().eq_ignore_ascii_case(known);
        if is_named("filename*") {
            extended = value.bytes().map(encoded).collect();
        } else if part.is_ascii() {
            add(&mut said, "; ", part.trim_ascii());
        } else if said.is_empty() {
            return said;
        } else if is_named("filename") {
            let (plain, ascii) = file_name(value.trim_ascii());
            add(&mut said, "; ", &["filename=\"", &ascii, "\""].concat());
            if extended.is_empty() {
                extended = ["UTF-8''", &percent::encode_url(&plain)].concat();
            }
        }
    }
    if !extended.is_empty() {
        add(&mut said, "; filename*=", extended.trim_ascii());
    }
    said
}

fn encoded(byte: u8) -> String {
    match byte {
        0x80.. => percent::encode_byte(byte).to_owned(),
        byte => char::from(byte).to_string(),
    }
}

/// A file name as it is, and between quotes with nothing but ASCII.
fn file_name(value: &str) -> (String, String) {
    let (mut plain, mut ascii) = (String::new(), String::new());
    let inside = value.strip_prefix('"').map(|inside| inside.strip_suffix('"').unwrap_or(inside));
    let mut is_escaped = false;
    for c in inside.unwrap_or(value).chars() {
        is_escaped = c == '\\' && inside.is_some() && !is_escaped;
        if is_escaped {
            continue;
        }
        plain.push(c);
        if matches!(c, '"' | '\\') {
            ascii.push('\\');
        }
        ascii.push(if c.is_ascii() { c } else { '_' });
    }
    (plain, ascii)
}

/// What stands before the first semicolon that stands in no quotes, and behind it.
fn cut(value: &str) -> (&str, &str) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => {
                let halves = value.split_at_checked(at);
                return halves
                    .map_or((value, ""), |(part, rest)| (part, rest.trim_start_matches(';')));
            }
            _ => {}
        }
    }
    (value, "")
}

fn add(list: &mut String, between: &str, item: &str) {
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
                Some("text/plain; charset=utf-8"),
            ),
            ("content-type", b"text/\xff", None),
            ("content-disposition", b"attachment; filename=a", Some("attachment; filename=a")),
            (
                "content-disposition",
                b"attachment; filename=\"\xfcber; 1.txt\"",
                Some("attachment; filename=\"_ber; 1.txt\"; filename*=UTF-8''%C3%BCber%3B%201.txt"),
            ),
            (
                "content-disposition",
                "inline;filename=\"日\\\"本\\\\.txt\"".as_bytes(),
                Some(
                    "inline; filename=\"_\\\"_\\\\.txt\"; filename*=UTF-8''%E6%97%A5%22%E6%9C%AC%5C.txt",
                ),
            ),
            (
                "content-disposition",
                "attachment; filename=ü.txt; filename*=UTF-8''%C3%BC.txt".as_bytes(),
                Some("attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"),
            ),
            (
                "content-disposition",
                "attachment; FileName*=utf-8''ü.txt; size=1".as_bytes(),
                Some("attachment; size=1; filename*=utf-8''%C3%BC.txt"),
            ),
            (
                "content-disposition",
                "attachment; filename=\"ü".as_bytes(),
                Some("attachment; filename=\"_\"; filename*=UTF-8''%C3%BC"),
            ),
            ("content-disposition", "attachment; ü".as_bytes(), Some("attachment")),
            ("content-disposition", "ü; filename=a".as_bytes(), None),
        ];
        for (name, value, expected) in cases {
            let found = in_ascii(name, value);
            assert_eq!(found.as_deref(), *expected, "{name} {}", percent::readable(value));
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
            assert_eq!(metadata_in_ascii(value), *expected);
        }
    }
}
