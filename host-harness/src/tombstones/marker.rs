//! What is in a marker: the key, as it stands in a URL, and when it was deleted.

use std::fmt;

use back_to_origin::http::percent;
use back_to_origin::tombstone::Tombstone;
use serde::Deserialize;

use super::Deleted;

/// What is read of a marker; a key has 1,024 bytes at most.
const MOST: usize = 16 * 1024;

/// Why an object is no marker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Odd {
    /// Its name is no digest.
    Name,
    /// What it holds cannot be read.
    Words,
    /// It is of another key than its name says.
    Key,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name is not that of a marker",
            Self::Words => "what it holds is not what the gateway writes",
            Self::Key => "it holds another key than its name stands for",
        })
    }
}

#[derive(Deserialize)]
struct Document {
    key: String,
    deleted: u64,
}

/// Reads the marker of this name.
pub(super) fn read(tombstone: &Tombstone, words: &[u8]) -> Result<Deleted, Odd> {
    if words.len() > MOST {
        return Err(Odd::Words);
    }
    let document: Document = serde_json::from_slice(words).map_err(|_| Odd::Words)?;
    let key = percent::decode(document.key.as_bytes()).ok_or(Odd::Words)?;
    if Tombstone::of(tombstone.bucket(), &key) != *tombstone {
        return Err(Odd::Key);
    }
    Ok(Deleted { key, at: document.deleted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_of_the_key_that_its_name_stands_for() {
        let tombstone = Tombstone::of("b", "a b/\u{e9}".as_bytes());
        let whole = br#"{"key":"a%20b/%C3%A9","deleted":1700000000}"#;
        let deleted = Deleted { key: "a b/\u{e9}".as_bytes().to_vec(), at: 1_700_000_000 };
        assert_eq!(read(&tombstone, whole), Ok(deleted));
        assert_eq!(read(&tombstone, br#"{"key":"a","deleted":1}"#), Err(Odd::Key));
        for words in [
            &b""[..],
            b"a",
            br#"{"key":"a"}"#,
            br#"{"key":"a","deleted":-1}"#,
            br#"{"key":"%","deleted":1}"#,
            &[b' '; MOST + 1],
        ] {
            assert_eq!(read(&tombstone, words), Err(Odd::Words), "{:?}", words.get(..9));
        }
    }
}
