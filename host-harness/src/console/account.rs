//! Who may sign in, and what they may do.

use crate::gateway::Secret;
use crate::password;

/// What somebody may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// Look, and change rules.
    Editor,
    /// Look.
    Reader,
}

impl Role {
    /// As audit lines have it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Editor => "editor",
            Self::Reader => "reader",
        }
    }
}

/// Who may sign in.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// The hash of the editors' password.
    pub editor: Option<Secret>,
    /// The hash of the readers' password.
    pub reader: Option<Secret>,
    /// The keys of the API, by which one is an editor too.
    pub keys: Option<(String, Secret)>,
}

impl Accounts {
    /// Whether nobody can sign in: then nobody has to.
    pub(super) const fn are_none(&self) -> bool {
        self.editor.is_none() && self.reader.is_none() && self.keys.is_none()
    }

    /// Whether a name is asked for: the public half of the keys.
    pub(super) const fn have_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Who has this name and this password. Without a name it is a password of the console's own.
    /// Every hash there is is worked out, so that the time says nothing.
    pub(super) fn find(&self, name: &str, password: &str) -> Option<Role> {
        if !name.is_empty() {
            let (id, secret) = self.keys.as_ref()?;
            let is_secret = same(secret.expose(), password);
            return (same(id, name) && is_secret).then_some(Role::Editor);
        }
        let is_of = |hash: &Option<Secret>| {
            hash.as_ref().is_some_and(|hash| password::is_of(password, hash.expose()))
        };
        let (editor, reader) = (is_of(&self.editor), is_of(&self.reader));
        match (editor, reader) {
            (true, _) => Some(Role::Editor),
            (false, true) => Some(Role::Reader),
            (false, false) => None,
        }
    }
}

/// Whether two texts are the same, in a time that says nothing of where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(one.as_bytes()) == Sha256::digest(other.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_who_they_can_show_to_be() {
        let hash = |text: &str| Some(Secret::new(password::hash(text).unwrap()));
        let keys = Some(("AKID".to_owned(), Secret::new("key".to_owned())));
        let accounts = Accounts { editor: hash("edit"), reader: hash("look"), keys };
        for (name, password, role) in [
            ("", "edit", Some(Role::Editor)),
            ("", "look", Some(Role::Reader)),
            ("", "key", None),
            ("", "", None),
            ("AKID", "key", Some(Role::Editor)),
            ("AKID", "edit", None),
            ("edit", "edit", None),
        ] {
            assert_eq!(accounts.find(name, password), role, "{name} {password}");
        }
        assert_eq!(Accounts::default().find("", ""), None);
    }
}
