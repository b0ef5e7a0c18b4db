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
pub(super) fn decode<'b>(bytes: &'b [u8], problems: &mut Vec<Problem>) -> Option<&'b str> {
    if bytes.len() > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found {}", bytes.len());
        problems.push(Problem::error(Code::TooLarge.as_str(), 0..0, message));
        return None;
    }
    let (what, at) = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        ("UTF-16".to_owned(), 0)
    } else {
        match std::str::from_utf8(bytes) {
            Ok(text) => return Some(text),
            Err(error) => {
                let at = error.valid_up_to();
                (format!("the byte 0x{:02x}", bytes[at]), at)
            }
        }
    };
    let message = format!("expected UTF-8, found {what}");
    problems.push(
        Problem::error(Code::Encoding.as_str(), at..at, message).help("save the file as UTF-8"),
    );
    None
}

/// What a text is written in, by its first character.
pub(super) fn format(text: &str, problems: &mut Vec<Problem>) -> Option<Format> {
    match text.trim_start().chars().next() {
        Some('<') => Some(Format::Xml),
        Some('{' | '[') => Some(Format::Json),
        first => {
            let at = text.len() - text.trim_start().len();
            let found = first.map_or_else(|| "nothing".to_owned(), |first| format!("`{first}`"));
            let span = at..at + first.map_or(0, char::len_utf8);
            let message = format!("expected XML or JSON, found {}", found.escape_debug());
            problems.push(
                Problem::error(Syntax.as_str(), span, message)
                    .help("a rule file starts with `<`, `{` or `[`"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn not_decoded(bytes: &[u8], code: &str, at: usize, found: &str) {
        let mut problems = Vec::new();
        assert_eq!(decode(bytes, &mut problems), None);
        let problem = problems.pop().unwrap();
        assert_eq!((problem.code, problem.span.start), (code, at), "{problem:?}");
        assert!(problem.message.contains(found), "{problem:?}");
    }

    #[test]
    fn only_utf_8_is_read() {
        assert_eq!(decode("ä".as_bytes(), &mut Vec::new()), Some("ä"));
        assert_eq!(unmarked(b"\xef\xbb\xbf{}"), b"{}");
        not_decoded(b"\xff\xfe{\0}\0", "encoding", 0, "UTF-16");
        not_decoded(b"\xfe\xff\0{\0}", "encoding", 0, "UTF-16");
        not_decoded(b"{\"\xcd\xbc\xc6!\"}", "encoding", 4, "0xc6");
        not_decoded(b"ab\xe9", "encoding", 2, "0xe9");
        not_decoded(&vec![b' '; MAX_BYTES + 1], "too-large", 0, "10485761");
    }

    #[test]
    fn the_first_character_tells_what_it_is() {
        let mut problems = Vec::new();
        assert_eq!(format(" \n<a/>", &mut problems), Some(Format::Xml));
        assert_eq!(format("\t{}", &mut problems), Some(Format::Json));
        assert_eq!(format("[]", &mut problems), Some(Format::Json));
        assert_eq!(problems, []);
        assert_eq!(format(" x", &mut problems), None);
        assert_eq!(format("", &mut problems), None);
        assert_eq!(problems[0].span, 1..2);
        assert_eq!(problems[1].message, "expected XML or JSON, found nothing");
    }
}
