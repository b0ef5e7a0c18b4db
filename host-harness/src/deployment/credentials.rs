//! What requests to a store are signed with, and where it comes from.

use super::code::Code;
use super::node::{Kind, Node};
use super::section::{Reading, section};
use super::value::{Region, Value, Variable};
use crate::gateway::{self, Secret};

section! {
    /// Keys that stand in the file itself; keep such a file from other eyes.
    pub struct Inline as "inline" {
        /// The public half.
        pub access_key_id: Secret [Required],
        /// The secret half.
        pub secret_access_key: Secret [Required],
        /// The token of temporary keys.
        pub session_token: Option<Secret> [Optional],
    }
}

section! {
    /// Keys from environment variables, read at the start.
    pub struct Environment as "environment" {
        /// The variable with the public half.
        pub access_key_id: Variable [Default "AWS_ACCESS_KEY_ID"],
        /// The variable with the secret half.
        pub secret_access_key: Variable [Default "AWS_SECRET_ACCESS_KEY"],
        /// The variable with the token of temporary keys.
        pub session_token: Option<Variable> [Optional],
    }
}

/// What requests to a store are signed with.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Keys from environment variables.
    Environment(Environment),
    /// Keys from the file.
    Inline(Inline),
    /// Nothing: requests are anonymous.
    #[default]
    None,
}

impl Credentials {
    /// The same with the values of variables as if they stood in the file.
    pub(super) fn read(self) -> Self {
        match self {
            Self::Environment(Environment { access_key_id, secret_access_key, session_token }) => {
                Self::Inline(Inline {
                    access_key_id: access_key_id.value,
                    secret_access_key: secret_access_key.value,
                    session_token: session_token.map(|token| token.value),
                })
            }
            Self::Inline(_) | Self::None => self,
        }
    }

    /// The variables that hold the keys, by name.
    #[must_use]
    pub fn variables(&self) -> Vec<&Variable> {
        match self {
            Self::Environment(Environment { access_key_id, secret_access_key, session_token }) => {
                [Some(access_key_id), Some(secret_access_key), session_token.as_ref()]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            Self::Inline(_) | Self::None => Vec::new(),
        }
    }

    /// The public half, the secret half and the token, wherever they come from.
    fn parts(&self) -> Option<(&Secret, &Secret, Option<&Secret>)> {
        match self {
            Self::Environment(names) => Some((
                &names.access_key_id.value,
                &names.secret_access_key.value,
                names.session_token.as_ref().map(|token| &token.value),
            )),
            Self::Inline(keys) => {
                Some((&keys.access_key_id, &keys.secret_access_key, keys.session_token.as_ref()))
            }
            Self::None => None,
        }
    }

    /// The public half and the secret half.
    #[must_use]
    pub fn pair(&self) -> Option<(String, Secret)> {
        let (access_key_id, secret_access_key, _) = self.parts()?;
        Some((access_key_id.expose().to_owned(), secret_access_key.clone()))
    }

    /// Whether the keys are lent for a time.
    #[must_use]
    pub fn has_session_token(&self) -> bool {
        self.parts().is_some_and(|(_, _, token)| token.is_some())
    }

    /// The keys, wherever they come from, for a region.
    #[must_use]
    pub fn keys(&self, region: &Region) -> Option<gateway::Credentials> {
        let (access_key_id, secret_access_key, session_token) = self.parts()?;
        Some(gateway::Credentials {
            access_key_id: access_key_id.expose().to_owned(),
            secret_access_key: secret_access_key.clone(),
            session_token: session_token.cloned(),
            region: region.0.clone(),
        })
    }
}

impl Value for Credentials {
    fn shape() -> String {
        "`none`, or a mapping with [inline](#inline) or [environment](#environment)".to_owned()
    }

    fn absent() -> Option<Self> {
        Some(Self::None)
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) if text == "none" => return Some(Self::None),
            Kind::Mapping(entries) => {
                if let [entry] = entries.as_slice() {
                    match entry.key.as_str() {
                        "environment" => {
                            let mut value = entry.value.clone();
                            // `environment:` alone means its defaults.
                            if matches!(value.kind, Kind::Nothing) {
                                value.kind = Kind::Mapping(Vec::new());
                            }
                            // A variable that is not written is shown by the word that reads it.
                            if matches!(value.kind, Kind::Mapping(_)) {
                                value.span = entry.key_span.clone();
                            }
                            return Environment::read(&value, reading).map(Self::Environment);
                        }
                        "inline" => return Inline::read(&entry.value, reading).map(Self::Inline),
                        _ => {}
                    }
                }
            }
            Kind::List(_) | Kind::Nothing | Kind::Text(_) => {}
        }
        let message = "expected `none`, or a mapping with either `inline` or `environment`";
        let help = "`environment` alone reads `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`";
        reading.refuse(Code::WrongValue, &node.span, message, help);
        None
    }
}
