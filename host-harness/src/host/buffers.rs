//! Body bytes as the module sees and replaces them.
//!
//! Owns the rules of replacement. Which buffer is there in which phase is the context's business.

use bytes::Bytes;

use super::status::Status;

/// Replaces part of `buffer` by `data`, under Envoy's rules: a start of 0 with a length that covers
/// everything replaces, with a length of 0 prepends; a start at or past the end appends; anything
/// else is refused.
pub(crate) fn replace(
    buffer: &mut Bytes,
    start: usize,
    length: usize,
    data: &[u8],
) -> Result<(), Status> {
    *buffer = if start == 0 && length == 0 {
        [data, buffer].concat().into()
    } else if start == 0 && length >= buffer.len() {
        Bytes::copy_from_slice(data)
    } else if start > 0 && start >= buffer.len() {
        [buffer, data].concat().into()
    } else {
        return Err(Status::BadArgument);
    };
    Ok(())
}

/// The part of `buffer` a read of `length` bytes from `start` yields.
pub(crate) fn part(buffer: &Bytes, start: usize, length: usize) -> Bytes {
    let start = start.min(buffer.len());
    let end = start.saturating_add(length).min(buffer.len());
    buffer.slice(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(start: usize, length: usize) -> Result<Bytes, Status> {
        let mut buffer = Bytes::from_static(b"old");
        replace(&mut buffer, start, length, b"new").map(|()| buffer)
    }

    #[test]
    fn replacement_follows_the_rules_of_envoy() {
        let cases = [
            (0, 3, Ok("new")),
            (0, usize::MAX, Ok("new")),
            (0, 0, Ok("newold")),
            (3, 0, Ok("oldnew")),
            (9, 9, Ok("oldnew")),
            (0, 2, Err(Status::BadArgument)),
            (1, 2, Err(Status::BadArgument)),
        ];
        for (start, length, expected) in cases {
            let expected = expected.map(|text: &str| Bytes::copy_from_slice(text.as_bytes()));
            assert_eq!(replaced(start, length), expected, "start {start}, length {length}");
        }
    }

    #[test]
    fn reads_past_the_end_yield_what_is_there() {
        let buffer = Bytes::from_static(b"abc");
        assert_eq!(part(&buffer, 1, usize::MAX), "bc");
        assert_eq!(part(&buffer, 7, 1), "");
    }
}
