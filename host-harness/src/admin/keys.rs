//! The keys that requests must be signed with.

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3ErrorCode, S3Result};

use crate::gateway::Secret;

/// A pair of keys.
#[derive(Clone, Debug)]
pub struct Keys {
    id: String,
    secret: Secret,
}

impl Keys {
    /// A pair of the public half and the secret half.
    #[must_use]
    pub const fn new(id: String, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// The secret half that goes with a public one.
    pub(super) fn secret(&self, id: &str) -> Option<&Secret> {
        (self.id == id).then_some(&self.secret)
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        match self.secret(id) {
            Some(secret) => Ok(SecretKey::from(secret.expose())),
            None => Err(S3ErrorCode::InvalidAccessKeyId.into()),
        }
    }
}
