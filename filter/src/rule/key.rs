//! How a rule makes one key out of another, and a URL's path out of a key.

use crate::http::percent;

/// The replacement a rule makes in a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyRewrite {
    /// The key as it is.
    Keep,
    /// `ReplaceKeyPrefixWith`: this many bytes of the key's start give way to the text.
    Prefix {
        /// The length of `KeyPrefixEquals`, which the key is known to start with.
        cut: usize,
        /// What stands there instead.
        with: String,
    },
    /// `ReplaceKeyWith`: literal pieces, the key between each two of them.
    Template {
        /// The text around and between every `${key}`.
        pieces: Vec<String>,
    },
}

impl KeyRewrite {
    /// The new key.
    #[must_use]
    pub fn apply(&self, key: &[u8]) -> Vec<u8> {
        match self {
            Self::Keep => key.to_vec(),
            Self::Prefix { cut, with } => {
                let rest = key.get(*cut..).unwrap_or_default();
                [with.as_bytes(), rest].concat()
            }
            Self::Template { pieces } => {
                let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
                pieces.join(key)
            }
        }
    }

    /// The new key as a redirect has it. What the rule says is a part of a URL and stays as it is
    /// written, such as `resize?key=`; the client's key is encoded.
    #[must_use]
    pub fn written(&self, key: &[u8]) -> String {
        let mut written = String::new();
        match self {
            Self::Keep => written.push_str(&percent::encode_key(key)),
            Self::Prefix { cut, with } => {
                written.push_str(&percent::encode_written(with));
                written.push_str(&percent::encode_key(key.get(*cut..).unwrap_or_default()));
            }
            Self::Template { pieces } => {
                for (at, piece) in pieces.iter().enumerate() {
                    if at > 0 {
                        written.push_str(&percent::encode_key(key));
                    }
                    written.push_str(&percent::encode_written(piece));
                }
            }
        }
        written
    }

    /// Reads a `ReplaceKeyWith`. `None` when it has a variable other than `${key}`.
    pub(super) fn template(text: &str) -> Option<Self> {
        let pieces: Vec<String> = text.split("${key}").map(str::to_owned).collect();
        let other = pieces.iter().any(|piece| piece.contains("${"));
        (!other).then_some(Self::Template { pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_rewritten() {
        let prefix = |cut, with: &str| KeyRewrite::Prefix { cut, with: with.to_owned() };
        let cases = [
            (KeyRewrite::Keep, "a/b", "a/b"),
            (prefix(4, "def/"), "abc/test.txt", "def/test.txt"),
            (prefix(4, ""), "abc/test.txt", "test.txt"),
            (prefix(0, "pre/"), "test", "pre/test"),
            (prefix(4, "d"), "abc/", "d"),
            (KeyRewrite::template("prefix/${key}.suffix").unwrap(), "test", "prefix/test.suffix"),
            (KeyRewrite::template("index.html").unwrap(), "a/b", "index.html"),
            (KeyRewrite::template("${key}${key}").unwrap(), "k", "kk"),
            (KeyRewrite::template("$key{key}$").unwrap(), "k", "$key{key}$"),
        ];
        for (rewrite, key, expected) in cases {
            assert_eq!(rewrite.apply(key.as_bytes()), expected.as_bytes(), "{rewrite:?} of {key}");
        }
        // In a URL the rule's own text stays as it is written.
        let template = |text| KeyRewrite::template(text).unwrap();
        for (rewrite, key, expected) in [
            (KeyRewrite::Keep, "a?b/\u{e9}", "a%3Fb/%C3%A9"),
            (prefix(0, "prod/resize?key="), "a b/c?d&e", "prod/resize?key=a%20b/c%3Fd%26e"),
            (prefix(4, "#!/"), "abc/x#y", "#!/x%23y"),
            (prefix(0, "a%20b/"), "k", "a%20b/k"),
            (prefix(0, "a b/\r\n\u{e9}<"), "k", "a%20b/%0D%0A%C3%A9%3Ck"),
            (template("see?k=${key}&v=1#top"), "a&b", "see?k=a%26b&v=1#top"),
            (template("index.html?from=404"), "k", "index.html?from=404"),
        ] {
            assert_eq!(rewrite.written(key.as_bytes()), expected, "{rewrite:?} of {key}");
        }
        for text in ["${bucket}", "${key}/${x}", "${"] {
            assert_eq!(KeyRewrite::template(text), None, "{text}");
        }
    }
}
