//! Answers given in place of the store's: by the module, or by the gateway itself.
//!
//! Owns how Envoy dresses such an answer.

use bytes::Bytes;

use super::headers::Headers;

/// An answer that does not come from the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalReply {
    /// Its status.
    pub status: u16,
    /// Where it comes from, in Envoy's words.
    pub details: String,
    /// Header fields beside those the host sets.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

impl LocalReply {
    /// An answer of the gateway itself, in plain text.
    #[must_use]
    pub fn text(status: u16, details: &str, body: &'static str) -> Self {
        Self {
            status,
            details: details.to_owned(),
            headers: Headers::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// The fields the client gets: a body forces its length and has a type; where there is none,
    /// there is neither, even if the module asked for them.
    #[must_use]
    pub fn fields(&self) -> Headers {
        let mut fields: Headers = [(":status", self.status.to_string())].into_iter().collect();
        for (name, value) in self.headers.iter() {
            if !name.starts_with(b":") {
                fields.add(name, value);
            }
        }
        if self.body.is_empty() {
            fields.remove(b"content-length");
            fields.remove(b"content-type");
        } else {
            fields.set(b"content-length", self.body.len().to_string().as_bytes());
            if fields.first(b"content-type").is_none() {
                fields.set(b"content-type", b"text/plain");
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &'static [u8], headers: &[(&str, &str)]) -> Headers {
        let headers = headers.iter().copied().collect();
        let body = Bytes::from_static(body);
        LocalReply { status: 200, details: String::new(), headers, body }.fields()
    }

    #[test]
    fn a_body_forces_its_length_and_a_type() {
        let expected =
            [(":status", "200"), ("content-length", "3"), ("content-type", "text/plain")];
        assert_eq!(fields(b"abc", &[("content-length", "9")]), expected.into_iter().collect());
        let expected = [(":status", "200"), ("content-type", "image/png"), ("content-length", "3")];
        assert_eq!(
            fields(b"abc", &[("content-type", "image/png")]),
            expected.into_iter().collect()
        );
    }

    #[test]
    fn no_body_takes_length_and_type_away() {
        let given = [("content-length", "9"), ("content-type", "image/png"), ("etag", "\"x\"")];
        let expected = [(":status", "200"), ("etag", "\"x\"")];
        assert_eq!(fields(b"", &given), expected.into_iter().collect());
    }

    #[test]
    fn repeated_fields_stay_repeated() {
        let given = [("x-a", "1"), ("x-a", "2")];
        let expected = [(":status", "200"), ("x-a", "1"), ("x-a", "2")];
        assert_eq!(fields(b"", &given), expected.into_iter().collect());
    }
}
