//! Values of an object's headers, as every store takes them: in visible ASCII, and an Expires as a
//! date.
//!
//! HTTP lets a server send any byte (RFC 9110, section 5.5), and servers do: file names above all.
//! Signatures cover text, and stores refuse what they cannot read. So what can be said in ASCII is
//! said in it, and the rest is left out.

use std::fmt::Write as _;

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

/// The value of one of an object's headers in ASCII; `None` where that cannot be. The name must be
/// lower case.
#[must_use]
pub fn in_ascii(name: &str, value: &[u8]) -> Option<String> {
    let value = text(value);
    let value = value.trim();
    match name {
        "content-disposition" => disposition(value),
        "content-encoding" => content_encoding(value),
        "content-type" => parameters(value, |_, _| Vec::new()),
        "expires" => Some(date::text(date::seconds(value).unwrap_or(LONG_AGO))),
        _ => Some(value).filter(|value| value.is_ascii()).map(str::to_owned),
    }
    .filter(|value| !value.is_empty())
}

/// The value of user metadata in ASCII: as it is, or as S3 says it (RFC 2047).
#[must_use]
pub fn metadata_in_ascii(value: &[u8]) -> String {
    let value = text(value);
    let value = value.trim();
    if value.is_ascii() {
        return value.to_owned();
    }
    let mut word = "=?UTF-8?Q?".to_owned();
    for byte in value.bytes() {
        match byte {
            b' ' => word.push('_'),
            b'=' | b'?' | b'_' | 0x7f.. => hexadecimal(&mut word, '=', byte),
            byte => word.push(char::from(byte)),
        }
    }
    word.push_str("?=");
    word
}

/// What bytes say: UTF-8, or else Latin-1, of which HTTP once was. A tab is a blank.
fn text(value: &[u8]) -> String {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    };
    text.replace('\t', " ")
}

/// A list of codings without `aws-chunked`: by that a client of S3's sends what it signs in pieces,
/// and no store that takes it so keeps it so.
fn content_encoding(value: &str) -> Option<String> {
    let codings = value.split(',').map(str::trim);
    let own = codings.filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked"));
    let own: Vec<&str> = own.filter(|coding| !coding.is_empty()).collect();
    Some(own.join(", ")).filter(|codings| codings.is_ascii())
}

/// A file name in other letters is said twice: with a `_` for each, and so that all who know RFC 6266
/// find the right one.
fn disposition(value: &str) -> Option<String> {
    let has_extended = split(value).any(|part| is_named(part, "filename*"));
    parameters(value, |name, value| match name {
        "filename" => {
            let ascii: String = value.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
            let mut both = vec![format!("filename=\"{}\"", quoted(&ascii))];
            if !has_extended {
                both.push(format!("filename*=UTF-8''{}", percent::encode_url(&value)));
            }
            both
        }
        "filename*" => {
            let mut ascii = String::new();
            for byte in value.bytes() {
                match byte {
                    0x80.. => hexadecimal(&mut ascii, '%', byte),
                    byte => ascii.push(char::from(byte)),
                }
            }
            vec![format!("filename*={ascii}")]
        }
        _ => Vec::new(),
    })
}

/// A value with parameters, of which those in other letters are said as told.
fn parameters(value: &str, say: impl Fn(&str, String) -> Vec<String>) -> Option<String> {
    if value.is_ascii() {
        return Some(value.to_owned());
    }
    let mut parts = split(value);
    let mut kept = vec![parts.next().filter(|first| first.is_ascii())?.to_owned()];
    for part in parts {
        match part.split_once('=') {
            _ if part.is_ascii() => kept.push(part.to_owned()),
            Some((name, value)) => {
                kept.extend(say(&name.trim().to_ascii_lowercase(), unquoted(value.trim())));
            }
            None => {}
        }
    }
    Some(kept.join("; "))
}

fn is_named(part: &str, name: &str) -> bool {
    part.split_once('=').is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
}

/// What stands between the semicolons that stand in no quotes.
fn split(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = value.split(move |c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        c == ';' && !is_quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn unquoted(value: &str) -> String {
    let Some(value) = value.strip_prefix('"') else { return value.to_owned() };
    let mut is_escaped = false;
    let mut text = String::new();
    for c in value.strip_suffix('"').unwrap_or(value).chars() {
        is_escaped = c == '\\' && !is_escaped;
        if !is_escaped {
            text.push(c);
        }
    }
    text
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn hexadecimal(text: &mut String, mark: char, byte: u8) {
    // Writing into a String cannot fail.
    let _ = write!(text, "{mark}{byte:02X}");
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
                Some("attachment; filename*=utf-8''%C3%BC.txt; size=1"),
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
            ("Ä = b_?".as_bytes(), "=?UTF-8?Q?=C3=84_=3D_b=5F=3F?="),
            (b"\xc4", "=?UTF-8?Q?=C3=84?="),
        ];
        for (value, expected) in cases {
            assert_eq!(metadata_in_ascii(value), *expected);
        }
    }
}
