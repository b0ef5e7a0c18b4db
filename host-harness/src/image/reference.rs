//! Where an image is: `registry.example.com/team/back-to-origin:0.1.0`.

use std::fmt;
use std::str::FromStr;

/// The name of an image, its registry first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference {
    /// Host and port of the registry.
    pub registry: String,
    /// The repository.
    pub name: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest of its manifest, `sha256:` in front.
    pub digest: Option<String>,
}

/// A text is no reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReferenceError {
    /// Not `sha256:` and 64 hexadecimal digits.
    Digest,
    /// Not of the letters that names of repositories have.
    Name,
    /// No registry in front.
    Registry,
    /// Not of the letters that tags have.
    Tag,
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digest => "a digest is `@sha256:` and 64 lower-case hexadecimal digits",
            Self::Name => {
                "the name of a repository has lower-case letters and digits, with single `.`, `_`, \
                 `-` and `/` between them"
            }
            Self::Registry => {
                "expected a registry's host in front, as in \
                 registry.example.com/back-to-origin:0.1.0"
            }
            Self::Tag => "a tag has at most 128 letters, digits, `_`, `.` and `-`",
        })
    }
}

impl std::error::Error for ReferenceError {}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (registry, rest) = text.split_once('/').ok_or(ReferenceError::Registry)?;
        if !is_registry(registry) {
            return Err(ReferenceError::Registry);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if !is_repository(name) {
            return Err(ReferenceError::Name);
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(ReferenceError::Digest);
        }
        Ok(Self {
            registry: registry.to_owned(),
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, name, tag, digest } = self;
        write!(f, "{registry}/{name}")?;
        if let Some(tag) = tag {
            write!(f, ":{tag}")?;
        }
        digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// A host with a dot, a port, or `localhost`, as all tools tell it from the first part of a name.
fn is_registry(host: &str) -> bool {
    let parsed = url::Url::parse(&format!("https://{host}/"));
    let is_host = parsed.is_ok_and(|url| {
        url.path() == "/" && url.username().is_empty() && url.password().is_none()
    });
    is_host && (host.contains(['.', ':']) || host == "localhost")
}

fn is_repository(name: &str) -> bool {
    let is_letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.into_iter().all(|end| end.is_some_and(&is_letter))
            && bytes.iter().all(|b| is_letter(b) || b"._-".contains(b))
    };
    name.len() <= 255 && name.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    bytes.next().is_some_and(is_word)
        && bytes.all(|b| is_word(b) || b".-".contains(&b))
        && tag.len() <= 128
}

fn is_digest(digest: &str) -> bool {
    let digits = digest.strip_prefix("sha256:");
    digits.is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_and_put_together() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, name, tag, pinned) in [
            ("registry.example.com/b2o:0.1.0".to_owned(), "b2o", Some("0.1.0"), false),
            (format!("localhost:5000/team/b2o@{digest}"), "team/b2o", None, true),
            (format!("127.0.0.1:5000/b2o:v1@{digest}"), "b2o", Some("v1"), true),
            ("localhost/a-b/c.d".to_owned(), "a-b/c.d", None, false),
        ] {
            let reference: Reference = text.parse().expect(&text);
            assert_eq!(reference.name, name);
            assert_eq!(reference.tag.as_deref(), tag);
            assert_eq!(reference.digest.is_some(), pinned);
            assert_eq!(reference.to_string(), text);
            assert_eq!(format!("oci://{text}").parse(), Ok(reference));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_reason() {
        use ReferenceError::{Digest, Name, Registry, Tag};
        for (text, error) in [
            ("b2o", Registry),
            ("team/b2o:1", Registry),
            ("user@host.example/b2o", Registry),
            ("host.example/", Name),
            ("host.example/B2o", Name),
            ("host.example/a//b", Name),
            ("host.example/a-", Name),
            ("host.example/b2o:", Tag),
            ("host.example/b2o:-x", Tag),
            ("host.example/b2o@sha256:0", Digest),
            ("host.example/b2o@md5:0", Digest),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(error), "{text}");
        }
    }
}
