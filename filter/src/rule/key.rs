//! How a rule makes one key out of another.

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
        for text in ["${bucket}", "${key}/${x}", "${"] {
            assert_eq!(KeyRewrite::template(text), None, "{text}");
        }
    }
}
