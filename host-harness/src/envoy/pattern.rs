//! Regular expressions for keys, as they stand in the path of a request.
//!
//! A key is compared decoded, while the path goes to the bucket as it came: so each pattern takes
//! every encoding of what it is about, and goes through a path by whole encoded bytes. Owns that
//! they say the same as the core.

use std::fmt::Write as _;

use back_to_origin::http::query::SUBRESOURCES;

/// One byte of a path, encoded or not. A `%` that two digits do not follow is none: such a path
/// names no key.
const BYTE: &str = "(?:[^%?]|%[0-9A-Fa-f]{2})";

/// Paths, without their query, whose key starts with a text. `above` is what stands before the key.
pub(super) fn key(above: &str, prefix: &str) -> String {
    // No key is empty.
    let rest = if prefix.is_empty() { '+' } else { '*' };
    format!("{}{}{BYTE}{rest}", plain(above), encoded(prefix))
}

/// Paths, with their query, whose key ends with a text.
pub(super) fn key_end(above: &str, suffix: &str) -> String {
    format!("{}{BYTE}*{}(?:\\?.*)?", plain(above), encoded(suffix))
}

/// What stands between two parts of a path, to one server or another.
const BETWEEN: &str = r"(?:/|\\|%2[fF]|%5[cC])";

const DOT: &str = r"(?:\.|%2[eE])";

/// One byte of a path that is neither of these.
const OTHER: &str = r"(?:[^%?/\\.]|%(?:[013467-9a-fA-F][0-9a-fA-F]|2[0-9a-dA-D]|5[0-9abABd-fD-F]))";

/// Paths whose key climbs out of its bucket, from any but a very deep part of it: such a key is not
/// mirrored, and the answer is to be the bucket's own.
pub(super) fn climbing(above: &str) -> String {
    // What leads nowhere, and by each round what goes down and comes up again.
    let still = format!("(?:{DOT}?{BETWEEN})*");
    let down = format!("(?:{DOT}{{0,2}}{OTHER}(?:{DOT}|{OTHER})*|{DOT}{{3,}}){BETWEEN}");
    let level = (0..DEPTH).fold(still.clone(), |inner, _| {
        format!("{still}(?:{down}{inner}{DOT}{{2}}{BETWEEN}{still})*")
    });
    format!("{}{level}{DOT}{{2}}(?:{BETWEEN}{BYTE}*)?", plain(above))
}

/// How deep a key may go down before it climbs out.
const DEPTH: usize = 4;

/// Paths with a query that makes a GET another operation than GetObject.
pub(super) fn subresource() -> String {
    let names: Vec<_> = SUBRESOURCES.iter().map(|name| encoded(name)).collect();
    format!("[^?]*\\?(?:.*&)?(?:{})(?:[=&].*)?", names.join("|"))
}

/// Paths with a client's own signature in their query.
pub(super) fn presigned() -> String {
    "[^?]*\\?(?:.*&)?X-Amz-Signature=.*".to_owned()
}

/// A text as it is.
fn plain(text: &str) -> String {
    text.chars().fold(String::new(), |mut pattern, c| {
        if c.is_ascii_punctuation() && c != '/' && c != '-' {
            pattern.push('\\');
        }
        pattern.push(c);
        pattern
    })
}

/// A text in all of its encodings.
fn encoded(text: &str) -> String {
    text.chars().fold(String::new(), |mut pattern, c| {
        let mut bytes = [0; 4];
        let mut digits = String::new();
        for byte in c.encode_utf8(&mut bytes).bytes() {
            digits.push('%');
            digits.push_str(&hexadecimal(byte >> 4));
            digits.push_str(&hexadecimal(byte & 15));
        }
        // These cannot stand for themselves in a path: `%` begins an encoding, `?` the query.
        let is_never_bare = c.is_control() || matches!(c, ' ' | '%' | '?');
        // Writing into a string cannot fail.
        let _ = if is_never_bare {
            write!(pattern, "{digits}")
        } else {
            write!(pattern, "(?:{}|{digits})", plain(c.encode_utf8(&mut [0; 4])))
        };
        pattern
    })
}

/// A digit, in both cases.
fn hexadecimal(digit: u8) -> String {
    match digit {
        0..10 => digit.to_string(),
        _ => {
            let lower = char::from(b'a' + (digit - 10) % 6);
            format!("[{lower}{}]", lower.to_ascii_uppercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use back_to_origin::http::headers::Headers;
    use back_to_origin::request::ObjectRequest;
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// Whether all of a text is what a pattern says, as Envoy asks it.
    fn is(pattern: &str, text: &str) -> bool {
        Regex::new(&format!("^(?:{pattern})$")).expect(pattern).is_match(text)
    }

    /// Whether Envoy's routes take a request for a rule's.
    fn routed(target: &str, prefix: &str, suffix: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        !is(&subresource(), target)
            && !is(&climbing("/b.c/"), path)
            && is(&key("/b.c/", prefix), path)
            && is(&key_end("/b.c/", suffix), target)
    }

    /// Whether the core does.
    fn ruled(target: &str, prefix: &str, suffix: &str) -> bool {
        let headers =
            Headers::from_pairs([(":method", "GET"), (":authority", "h"), (":path", target)]);
        ObjectRequest::read(headers, None, |name| name == "b.c").is_ok_and(|request| {
            request.key.starts_with(prefix.as_bytes()) && request.key.ends_with(suffix.as_bytes())
        })
    }

    #[test]
    fn a_key_is_the_same_in_every_encoding() {
        for (target, prefix, suffix, expected) in [
            ("/b.c/ab/c", "ab/", "", true),
            ("/b.c/%61b%2fc", "ab/", "", true),
            ("/b.c/%61b%2Fc", "ab/", "", true),
            ("/b.c/a+b", "a+", "", true),
            ("/b.c/a%2Bb", "a+", "", true),
            ("/b.c/a%20b", "a+", "", false),
            ("/b.c/gr%C3%BC%c3%9fe", "grü", "ße", true),
            ("/b.c/grüße", "grü", "ße", true),
            ("/b.c/a.png", "", ".png", true),
            ("/b.c/axpng", "", ".png", false),
            ("/b.c/a.pn%67?x=.png", "", ".png", true),
            ("/b.c/a?x=.png", "", ".png", false),
            ("/b.c/%61", "", "1", false),
            ("/b.c/%2561", "%61", "", true),
            ("/b.c/%zz", "", "", false),
            ("/b.c/a%", "", "", false),
            ("/b.c/a%3Fb", "a?", "?b", true),
            ("/b.c/a?b", "a", "?b", false),
            ("/b.c/ab", "ab", "b", true),
            ("/b.c/k", "", "c/k", false),
            ("/b.c/", "", "", false),
            ("/b.c", "", "", false),
            ("/bxc/k", "", "", false),
            ("/b.c/k?acl", "", "", false),
            ("/b.c/k?x&%61cl=1", "", "", false),
            ("/b.c/k?aclx&x=acl", "", "", true),
            ("/b.c/k&acl", "", "", true),
            ("/b.c/k?ACL", "", "", true),
            ("/b.c/k?partNumbe%72=1&x", "", "", false),
            ("/b.c/..", "", "", false),
            ("/b.c/../k", "", "", false),
            ("/b.c/%2e%2E%2fk", "", "", false),
            ("/b.c/a/..%5c..\\k", "", "", false),
            ("/b.c/a/b/c/d/../../../../../k", "", "", false),
            ("/b.c/a//./../../k", "", "", false),
            ("/b.c/a/../b/../../k?x", "", "", false),
            ("/b.c/..a/../...", "", "", true),
            ("/b.c/a/../b", "", "", true),
            ("/b.c/a/b/../../k?x=/../..", "", "", true),
        ] {
            assert_eq!(ruled(target, prefix, suffix), expected, "core: {target}");
            assert_eq!(routed(target, prefix, suffix), expected, "Envoy: {target}");
        }
    }

    /// A piece of a key, with or without the encoding of its bytes.
    fn written(text: &str, choices: &[u8]) -> String {
        let choice =
            |at: usize| choices.get(at % choices.len().max(1)).copied().unwrap_or_default();
        text.bytes().enumerate().fold(String::new(), |mut path, (at, byte)| {
            let is_bare = byte.is_ascii_graphic() && !b"%?#".contains(&byte);
            let _ = match choice(at) % 3 {
                0 if is_bare => write!(path, "{}", char::from(byte)),
                1 => write!(path, "%{byte:02x}"),
                _ => write!(path, "%{byte:02X}"),
            };
            path
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn envoy_and_the_core_agree(
            key in r"[a-c./%1 +?é~\\]{0,6}|(\.|\.\.|a|/|/|\\){0,9}",
            prefix in "[a-c./%1 +?é~]{0,2}",
            suffix in "[a-c./%1 +?é~]{0,2}",
            around in any::<bool>(),
            choices in proptest::collection::vec(any::<u8>(), 8),
            query in prop_oneof![Just(""), Just("?acl"), Just("?x=1&tagging="), Just("?y")],
        ) {
            let key = if around { format!("{prefix}{key}{suffix}") } else { key };
            let target = format!("/b.c/{}{query}", written(&key, &choices));
            prop_assert_eq!(
                routed(&target, &prefix, &suffix),
                ruled(&target, &prefix, &suffix),
                "{} {:?} {:?}", target, prefix, suffix
            );
        }
    }
}
