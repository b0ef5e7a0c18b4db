//! Secrets, and the environment variables that hold them.

use super::{Value, read_text};
use crate::deployment::code::Code;
use crate::deployment::node::{Kind, Node};
use crate::deployment::section::Reading;
use crate::gateway::Secret;
use crate::password;

impl Value for Secret {
    fn shape() -> String {
        "text".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        if let Kind::Text(text) = &node.kind
            && !text.is_empty()
        {
            return Some(Self::new(text.clone()));
        }
        let found = if matches!(node.kind, Kind::Text(_)) { "an empty one" } else { node.words() };
        let help = "or name an environment variable under `environment`";
        reading.refuse(
            Code::WrongValue,
            &node.span,
            format!("expected a text, found {found}"),
            help,
        );
        None
    }
}

/// An environment variable and what it held when the file was read.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

impl Value for Variable {
    fn shape() -> String {
        "name of an environment variable".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "the name of an environment variable";
        let name = read_text(node, reading, expected, "AWS_SECRET_ACCESS_KEY", |text| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let right = !text.is_empty() && text.bytes().all(letter);
            right.then(|| text.to_owned())
        })?;
        let problem = match (reading.environment)(&name).map(std::ffi::OsString::into_string) {
            Some(Ok(value)) if !value.is_empty() => {
                return Some(Self { name, value: Secret::new(value) });
            }
            Some(Ok(_)) => "is empty",
            Some(Err(_)) => "is not UTF-8",
            None => "is not set",
        };
        let message = match reading.hidden.has(&node.span) {
            true => format!("the environment variable of this name {problem}"),
            false => format!("the environment variable `{name}` {problem}"),
        };
        reading.refuse(Code::UnsetVariable, &node.span, message, "export it before the start");
        None
    }
}

/// The hash of a password, by Argon2.
#[derive(Clone, Debug)]
pub struct PasswordHash(pub Secret);

impl Value for PasswordHash {
    fn shape() -> String {
        "hash of a password, `$argon2id$...`".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let text = match &node.kind {
            Kind::Text(text) => text.as_str(),
            Kind::List(_) | Kind::Mapping(_) | Kind::Nothing => "",
        };
        if password::is_hash(text) {
            return Some(Self(Secret::new(text.to_owned())));
        }
        let message = "expected the hash of a password, found something else";
        let help = "print one with `b2o console --hash-password`";
        reading.refuse(Code::WrongValue, &node.span, message, help);
        None
    }
}
