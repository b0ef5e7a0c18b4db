//! What of a file is not shown: the rule by which a text may be a secret.
//!
//! Owns the rule. It errs on the side of hiding: a misspelt name hides what stands behind it like
//! the right one, and where a parser could not tell what a text is, nothing of it is shown but
//! names that everybody knows. How a file is taken apart is its reader's.

use std::ops::Range;

use crate::diagnostics::{Document, Problem};

/// How many characters of a name may be wrong.
const MISSPELT: usize = 2;

/// What names of secrets have in them, in lower case and without what is between words.
const WORDS: [&str; 11] = [
    "accesskeysec",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passw",
    "passphrase",
    "privatekey",
    "secret",
    "signature",
    "token",
];

/// The shortest piece of a hidden text that is looked for in what a parser says.
const PIECE: usize = 4;

/// What stands in a message in place of what is not shown.
const NOT_SHOWN: &str = "***";

/// Whether a name is another one, or that one misspelt.
pub(crate) fn is_near(name: &str, other: &str) -> bool {
    let (name, other) = (plain(name), plain(other));
    name.len().abs_diff(other.len()) <= MISSPELT && distance(&name, &other) <= MISSPELT
}

/// Whether a name speaks of a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = plain(name);
    let known = ["accesskeysecret", "secretaccesskey", "secretkey", "sessiontoken", "password"];
    WORDS.iter().any(|word| name.contains(word)) || known.iter().any(|known| is_near(&name, known))
}

/// Whether a name has the form of one: what does not may be a value that lost its name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_part)
}

/// Whether a text is a URL with a secret in it: a password, or a signature in its query.
pub(crate) fn is_secret_url(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("//") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let server = place.split('/').next().unwrap_or_default();
    let is_secret = |parameter: &str| {
        is_secret_name(&percent_encoding::percent_decode_str(parameter).decode_utf8_lossy())
    };
    server.contains('@')
        || query.split('&').any(|one| is_secret(one.split('=').next().unwrap_or_default()))
}

/// A name without what different hands write differently.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// How many characters differ: the edit distance.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut previous = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = previous + usize::from(x != *y);
            previous = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(previous + 1);
        }
    }
    row[b.len()]
}

/// Words of a part of a text that are no names which everybody knows. Brackets, quotes and what
/// else gives a text its form are no part of words.
pub(crate) fn words<'t>(
    text: &'t str,
    part: Range<usize>,
    is_known: impl Fn(&str) -> bool + 't,
) -> impl Iterator<Item = Range<usize>> + 't {
    const FORM: &[char] = &['{', '}', '[', ']', '<', '>', ',', ':', '"', '\'', '='];
    let start = text.floor_char_boundary(part.start);
    let end = text.ceil_char_boundary(part.end).max(start);
    let mut at = start;
    text[start..end].split_inclusive(|c: char| c.is_whitespace() || FORM.contains(&c)).filter_map(
        move |piece| {
            let begin = at;
            at += piece.len();
            let word = piece.trim_end_matches(|c: char| c.is_whitespace() || FORM.contains(&c));
            // The end of an element.
            let named = word.strip_prefix('/').unwrap_or(word);
            let named = named.strip_suffix('/').unwrap_or(named);
            let is_shown = named.is_empty() || named.bytes().all(|b| b == b'-') || is_known(named);
            (!is_shown).then(|| begin..begin + word.len())
        },
    )
}

/// What of a document is not shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden {
    /// Values, names and whatever else may be a secret as a whole: nothing is told of them either.
    parts: Vec<Range<usize>>,
    /// What is only not drawn.
    drawn: Vec<Range<usize>>,
}

impl Hidden {
    /// Where nothing is known of a text: all of it but known names.
    pub(crate) fn unknown(text: &str, is_known: impl Fn(&str) -> bool) -> Self {
        Self { parts: Vec::new(), drawn: words(text, 0..text.len(), is_known).collect() }
    }

    /// Hides a part of the text, whatever it is.
    pub(crate) fn hide(&mut self, part: Range<usize>) {
        self.drawn.push(part.clone());
        self.parts.push(part);
    }

    /// Does not draw parts of the text.
    pub(crate) fn cover(&mut self, parts: impl IntoIterator<Item = Range<usize>>) {
        self.drawn.extend(parts);
    }

    /// Whether what stands there is hidden.
    pub(crate) fn has(&self, part: &Range<usize>) -> bool {
        let within = |hidden: &Range<usize>| hidden.start <= part.start && part.end <= hidden.end;
        self.parts.iter().any(within)
    }

    /// The document with all of it masked.
    pub(crate) fn mask(&self, document: &mut Document) {
        document.mask(&self.drawn);
    }

    /// Takes out of problems what they say of something hidden. `is_known` tells names that are no
    /// secret.
    pub(crate) fn keep_from(&self, problems: &mut [Problem], is_known: impl Fn(&str) -> bool) {
        for problem in problems.iter_mut().filter(|problem| self.has(&problem.span)) {
            if let Some((expected, _)) = problem.message.split_once(", found ") {
                problem.message = format!("{expected}, found something that is not shown");
            }
            problem.message = quoted_hidden(&problem.message, &is_known);
            problem.help = problem.help.take().filter(|help| !help.starts_with("did you mean"));
            if let Some(pointer) = &mut problem.pointer {
                let is_shown = |token: &&str| {
                    token.is_empty() || token.bytes().all(|b| b.is_ascii_digit()) || is_known(token)
                };
                let shown: Vec<_> = pointer.split('/').take_while(is_shown).collect();
                *pointer = shown.join("/");
            }
        }
    }

    /// What a parser says, without any piece of what is not drawn.
    pub(crate) fn without(&self, message: &str, text: &str) -> String {
        let mut message = message.to_owned();
        let words = self.drawn.iter().filter_map(|span| text.get(span.clone()));
        let pieces = words.flat_map(|word| {
            let parts = word.split(|c: char| !c.is_alphanumeric());
            std::iter::once(word).chain(parts).filter(|piece| piece.len() >= PIECE)
        });
        for piece in pieces {
            if message.contains(piece) {
                message = message.replace(piece, NOT_SHOWN);
            }
        }
        message
    }
}

/// A message with what it quotes left out, known names excepted.
fn quoted_hidden(message: &str, is_known: &impl Fn(&str) -> bool) -> String {
    let quote = |(index, piece): (usize, &str)| match index % 2 {
        1 if is_known(piece) => format!("`{piece}`"),
        1 => format!("`{NOT_SHOWN}`"),
        _ => piece.to_owned(),
    };
    message.split('`').enumerate().map(quote).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_misspelt_too() {
        for name in
            ["AccessKeySecret", "AccesKeySecrt", "secret-access-key", "sesion_tokn", "X-Api-Key"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["AccessKeyId", "access_key_id", "Region", "MirrorURL", "KeyPrefixEquals"] {
            assert!(!is_secret_name(name), "{name}");
        }
        assert!(is_near("MirorAuht", "MirrorAuth") || is_near("MirrorAuht", "MirrorAuth"));
        assert!(!is_near("MirrorURL", "MirrorAuth"));
    }

    #[test]
    fn of_an_unknown_text_only_known_names_are_shown() {
        let mut document =
            Document::new("f", "<b:Key x=\"é/y=\">s3cr</Key>\n- Key: &s3cr\n".as_bytes());
        Hidden::unknown(&document.text.clone(), |word| word == "Key").mask(&mut document);
        assert_eq!(document.text, "<*:Key *=\"\u{b7}**=\">****</Key>\n- Key: *****\n");
    }

    #[test]
    fn what_a_parser_says_is_without_pieces_of_it() {
        let text = "a: ab&hunter2;cd x";
        let hidden = Hidden::unknown(text, |word| word == "a");
        assert_eq!(
            hidden.without("unknown entity 'hunter2' at x", text),
            "unknown entity '***' at x"
        );
    }

    #[test]
    fn urls_with_secrets_are_known() {
        for url in
            ["https://u:p@h/", "http://h/?X%2DAmz%2DSignature=1", "https://h/a?b=1&signature=x"]
        {
            assert!(is_secret_url(url), "{url}");
        }
        for url in ["https://h/@a", "http://h/?a=signature", "h"] {
            assert!(!is_secret_url(url), "{url}");
        }
    }
}
