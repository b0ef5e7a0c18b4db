//! Passwords, and the hashes by which they are known.
//!
//! Owns the function, Argon2id with the parameters that its crate recommends, and the form of a
//! hash: that of PHC, which says by which parameters it was made.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};

/// The hash of a password.
///
/// # Errors
///
/// When the machine has no randomness.
pub(crate) fn hash(password: &str) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash: phc::PasswordHash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether a text is a hash by which a password can be known.
pub(crate) fn is_hash(text: &str) -> bool {
    text.starts_with("$argon2")
        && phc::PasswordHash::new(text).is_ok_and(|hash| hash.hash.is_some())
}

/// Whether a password is the one of a hash. Takes tens of milliseconds, on purpose.
pub(crate) fn is_of(password: &str, hash: &str) -> bool {
    phc::PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = hash("correct horse").unwrap();
        assert!(is_hash(&hash) && !hash.contains("horse"), "{hash}");
        assert!(is_of("correct horse", &hash));
        for other in ["", "correct hors", &hash] {
            assert!(!is_of(other, &hash), "{other}");
        }
    }

    #[test]
    fn what_is_no_hash_opens_nothing() {
        for text in ["", "correct horse", "$argon2id$", "$2b$12$abc", "$argon2id$v=19$m=8,t=1,p=1"]
        {
            assert!(!is_hash(text) && !is_of("", text) && !is_of(text, text), "{text}");
        }
    }
}
