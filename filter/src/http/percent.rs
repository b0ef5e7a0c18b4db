//! Percent-encoding of keys, paths and URLs (RFC 3986, section 2).
//!
//! A key is bytes. It is decoded once, where a request names it, and encoded once, where it goes
//! out again, always in the one form S3 signatures use: all but unreserved characters and `/`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// Everything but RFC 3986's unreserved characters.
const URL_AS_TEXT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, the separator kept: what SigV4 calls the URI encoding of an object's key.
const KEY_IN_PATH: &AsciiSet = &URL_AS_TEXT.remove(b'/');

/// What no path or query may have in it (WHATWG URL, the path percent-encode set).
const FOREIGN: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The same of what somebody has written as a part of a URL, fragment and all.
const WRITTEN: &AsciiSet = &FOREIGN.remove(b'#');

/// Encodes a key for the path of a request.
#[must_use]
pub fn encode_key(key: &[u8]) -> String {
    percent_encode(key, KEY_IN_PATH).to_string()
}

/// Encodes a key for a query.
#[must_use]
pub fn encode_query(key: &[u8]) -> String {
    percent_encode(key, URL_AS_TEXT).to_string()
}

/// Encodes one byte, whatever it is.
#[must_use]
pub fn encode_byte(byte: u8) -> &'static str {
    percent_encoding::percent_encode_byte(byte)
}

/// Encodes a whole URL so that it can stand as a word in a header.
#[must_use]
pub fn encode_url(url: &str) -> String {
    encode_query(url.as_bytes())
}

/// Encodes what may not stand in a path or a query, and leaves what is encoded already.
#[must_use]
pub fn encode_foreign(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, FOREIGN).to_string()
}

/// Encodes what may stand nowhere in a URL, and leaves what is written as a part of one: `?`, `#` and
/// `%` too.
#[must_use]
pub fn encode_written(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, WRITTEN).to_string()
}

/// Decodes a path into the bytes it names. `+` stands for itself.
///
/// Returns `None` for a `%` that two hexadecimal digits do not follow: such a path names no key,
/// and stores differ in what they make of it.
#[must_use]
pub fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = rest.get(..2)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
        }
    }
    Some(percent_decode(path).collect())
}

/// Bytes as a person may read them: UTF-8 where it is, encoded where it is not or is invisible.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        Ok(_) | Err(_) => encode_key(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_decode_and_encode() {
        let cases: &[(&[u8], &[u8], &str)] = &[
            (b"a/b.txt", b"a/b.txt", "a/b.txt"),
            (b"%61%2Fb", b"a/b", "a/b"),
            (b"%2f%2F", b"//", "//"),
            (b"a+b%2Bc", b"a+b+c", "a%2Bb%2Bc"),
            (b"a%20b", b"a b", "a%20b"),
            (b"caf%C3%A9", "café".as_bytes(), "caf%C3%A9"),
            (b"%ff%00", b"\xff\x00", "%FF%00"),
            (b"100%25", b"100%", "100%25"),
            (b"a?b#c", b"a?b#c", "a%3Fb%23c"),
            (b"~-._", b"~-._", "~-._"),
        ];
        for (path, key, again) in cases {
            let decoded = decode(path).unwrap();
            assert_eq!(&decoded, key, "{}", readable(path));
            assert_eq!(&encode_key(&decoded), again, "{}", readable(path));
        }
    }

    #[test]
    fn a_percent_sign_without_two_digits_names_no_key() {
        for path in [&b"%"[..], b"a%", b"a%2", b"%zz", b"%2g", b"%%20"] {
            assert_eq!(decode(path), None, "{}", readable(path));
        }
    }

    #[test]
    fn a_url_becomes_one_word() {
        assert_eq!(encode_url("http://h:9/a%20b.txt"), "http%3A%2F%2Fh%3A9%2Fa%2520b.txt");
    }
}
