//! `Location`: where an answer sends on to, worked out against where it came from (RFC 3986,
//! section 5).

use super::{Scheme, host, percent};

/// A place a request can be sent to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and, where it is not the scheme's default, port.
    pub authority: String,
    /// The encoded path; starts with `/`.
    pub path: String,
    /// The query, without the `?`.
    pub query: String,
}

impl Place {
    /// `scheme://host[:port]`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> String {
        let query = if self.query.is_empty() { "" } else { "?" };
        format!("{}{}{query}{}", self.origin(), self.path, self.query)
    }

    /// The place of a URL that says all of it; `None` where it is no HTTP URL.
    #[must_use]
    pub fn absolute(url: &str) -> Option<Self> {
        let nowhere = Self {
            scheme: Scheme::Http,
            authority: String::new(),
            path: "/".to_owned(),
            query: String::new(),
        };
        nowhere.resolve(url).filter(|place| !place.authority.is_empty())
    }

    /// The place that a `Location` found here means; `None` where it is no HTTP URL.
    #[must_use]
    pub fn follow(&self, location: &[u8]) -> Option<Self> {
        self.resolve(&reference(location))
    }

    /// The place that a reference found here means; `None` where it is no HTTP URL.
    #[must_use]
    pub fn resolve(&self, reference: &str) -> Option<Self> {
        let reference = reference.split('#').next().unwrap_or_default();
        if reference.bytes().any(|byte| byte <= b' ' || byte == b'\\' || byte == 0x7f) {
            return None;
        }
        let (scheme, rest) = match scheme_of(reference) {
            Some((scheme, rest)) => (Scheme::parse(scheme)?, Some(rest.strip_prefix("//")?)),
            None => (self.scheme, reference.strip_prefix("//")),
        };
        if let Some(rest) = rest {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, target) = rest.split_at_checked(end)?;
            let authority = host::authority(scheme, authority)?;
            let (path, query) = halves(target);
            return Some(Self {
                scheme,
                authority,
                path: tidy(path),
                query: percent::encode_foreign(query),
            });
        }
        let (path, query) = halves(reference);
        let path = match path {
            "" => self.path.clone(),
            path if path.starts_with('/') => tidy(path),
            path => {
                let (above, _) = self.path.rsplit_once('/').unwrap_or_default();
                tidy(&format!("{above}/{path}"))
            }
        };
        Some(Self {
            scheme,
            authority: self.authority.clone(),
            path,
            query: percent::encode_foreign(query),
        })
    }
}

/// A `Location` as a reference: what may not stand in one is encoded, or stands for something else,
/// as in browsers and curl. Of which letters its other bytes are nobody knows, and so each stays.
fn reference(location: &[u8]) -> String {
    let mut text = Vec::with_capacity(location.len());
    let mut is_path = true;
    for byte in location.trim_ascii() {
        is_path &= !matches!(byte, b'?' | b'#');
        match byte {
            b'\t' => {}
            b'\\' if is_path => text.push(b'/'),
            b' ' | b'\\' | ..0x20 | 0x7f.. => {
                text.extend_from_slice(percent::encode_byte(*byte).as_bytes());
            }
            byte => text.push(*byte),
        }
    }
    String::from_utf8(text).unwrap_or_default()
}

/// What stands before and behind a scheme's colon, where there is a scheme.
fn scheme_of(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let mut bytes = scheme.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let goes_on =
        bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    (begins && goes_on).then_some((scheme, rest))
}

fn halves(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// A path without dot segments.
fn tidy(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = true;
    for segment in path.split('/').skip(1) {
        open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let end = if open && !kept.is_empty() { "/" } else { "" };
    percent::encode_foreign(&format!("/{}{end}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_worked_out() {
        let here = Place {
            scheme: Scheme::Https,
            authority: "h.example:8443".to_owned(),
            path: "/a/b".to_owned(),
            query: "q=1".to_owned(),
        };
        let cases = [
            ("http://o.example/x", "http://o.example/x"),
            ("HTTPS://O.Example:443/x?y=1#z", "https://o.example/x?y=1"),
            ("http://o.example:80", "http://o.example/"),
            ("http://o.example:443/", "http://o.example:443/"),
            ("http://o.example?x", "http://o.example/?x"),
            ("http://[::1]:9/x", "http://[::1]:9/x"),
            ("//o.example/x", "https://o.example/x"),
            ("/x/y", "https://h.example:8443/x/y"),
            ("x?y", "https://h.example:8443/a/x?y"),
            ("?y=2", "https://h.example:8443/a/b?y=2"),
            ("", "https://h.example:8443/a/b"),
            ("../x/./y/", "https://h.example:8443/x/y/"),
            ("../../../x", "https://h.example:8443/x"),
            ("..", "https://h.example:8443/"),
            ("/x/.", "https://h.example:8443/x/"),
            ("/a//b", "https://h.example:8443/a//b"),
            ("/%2e%2E/grün", "https://h.example:8443/%2e%2E/gr%C3%BCn"),
            ("http://gr\u{fc}n.example/", "http://xn--grn-ioa.example/"),
            ("/<\"x\">", "https://h.example:8443/%3C%22x%22%3E"),
            ("/x:y", "https://h.example:8443/x:y"),
        ];
        for (reference, expected) in cases {
            let found = here.resolve(reference).map(|place| place.url());
            assert_eq!(found.as_deref(), Some(expected), "{reference}");
        }
        let followed: [(&[u8], Option<&str>); 11] = [
            (b" /a b\tc ", Some("https://h.example:8443/a%20bc")),
            (b"/gr\xfcn?\xfc", Some("https://h.example:8443/gr%FCn?%FC")),
            ("/grün".as_bytes(), Some("https://h.example:8443/gr%C3%BCn")),
            (b"/%20%fc?a%20b", Some("https://h.example:8443/%20%fc?a%20b")),
            (b"/a?b c", Some("https://h.example:8443/a?b%20c")),
            (b"\\a\\b?\\", Some("https://h.example:8443/a/b?%5C")),
            (b"http:\\\\o.example\\x#\\", Some("http://o.example/x")),
            (b"/\x01", Some("https://h.example:8443/%01")),
            (b"http://h\\@g/", Some("http://h/@g/")),
            (b"http://a b/", None),
            (b"mailto:x", None),
        ];
        for (location, expected) in followed {
            let found = here.follow(location).map(|place| place.url());
            assert_eq!(found.as_deref(), expected, "{}", percent::readable(location));
        }
        for reference in [
            "ftp://h/",
            "http:x",
            "javascript:alert(1)",
            "http:///x",
            "http://u:p@h/",
            "/a b",
            "/a\r\nb",
            "http://h\\@g/",
        ] {
            assert_eq!(here.resolve(reference), None, "{reference}");
        }
    }
}
