//! From bytes to a text, and which kind of text it is.

use back_to_origin::finding::Code::Syntax;

use super::Format;
use super::code::Code;
use crate::diagnostics::Problem;

/// The largest rule file, in bytes.
pub(super) const MAX_BYTES: usize = 10 * 1024 * 1024;

const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is behind a byte order mark, if there is one.
pub(super) fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes)
}

/// A text.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found {}", bytes.len());
        return Err(Problem::error(Code::TooLarge.as_str(), 0..0, message));
    }
    let not_utf_8 = |what: &str, at: usize| {
        Problem::error(Code::Encoding.as_str(), at..at, format!("expected UTF-8, found {what}"))
            .help("save the file as UTF-8")
    };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(not_utf_8("UTF-16", 0));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        not_utf_8(&format!("the byte 0x{:02x}", bytes[at]), at)
    })
}

/// What a text is written in, by its first character.
pub(super) fn format(text: &str) -> Result<Format, Problem> {
    match text.trim_start().chars().next() {
        Some('<') => Ok(Format::Xml),
        Some('{' | '[') => Ok(Format::Json),
        first => {
            let at = text.len() - text.trim_start().len();
            let found = first.map_or_else(|| "nothing".to_owned(), |first| format!("`{first}`"));
            let span = at..at + first.map_or(0, char::len_utf8);
            let message = format!("expected XML or JSON, found {}", found.escape_debug());
            Err(Problem::error(Syntax.as_str(), span, message)
                .help("a rule file starts with `<`, `{` or `[`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf_8_is_read() {
        assert_eq!(decode("ä".as_bytes()).unwrap(), "ä");
        assert_eq!(unmarked(b"\xef\xbb\xbf{}"), b"{}");
        for (bytes, at, found) in [
            (&b"\xff\xfe{\0}\0"[..], 0, "UTF-16"),
            (b"\xfe\xff\0{\0}", 0, "UTF-16"),
            (b"{\"\xcd\xbc\xc6!\"}", 4, "0xc6"),
            (b"ab\xe9", 2, "0xe9"),
        ] {
            let problem = decode(bytes).unwrap_err();
            assert_eq!((problem.code, problem.span.start), ("encoding", at), "{problem:?}");
            assert!(problem.message.contains(found), "{problem:?}");
        }
        assert_eq!(decode(&vec![b' '; MAX_BYTES + 1]).unwrap_err().code, "too-large");
    }

    #[test]
    fn the_first_character_tells_what_it_is() {
        assert_eq!(format(" \n<a/>").unwrap(), Format::Xml);
        assert_eq!(format("\t{}").unwrap(), Format::Json);
        assert_eq!(format("[]").unwrap(), Format::Json);
        assert_eq!(format(" x").unwrap_err().span, 1..2);
        assert_eq!(format("").unwrap_err().message, "expected XML or JSON, found nothing");
    }
}
