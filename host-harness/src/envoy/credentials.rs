//! With what Envoy signs requests to a store or an origin, and where it finds that.
//!
//! Owns that a key is only ever in the environment of Envoy or in one file that nobody else may
//! read: never in the configuration, and so never in what Envoy shows of it.

use std::fmt;

use super::yaml::Map;
use super::{CREDENTIALS, Settings, clusters};
use crate::deployment::{Bucket, Credentials, Loaded, Plan, Variable};
use crate::gateway::{self, Cluster};

/// The variables that Envoy reads, which have fixed names.
const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// A key cannot stand in a credentials file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialsError {
    /// The bucket, or the cluster of an origin, that it is for.
    pub of: String,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a key of `{}` has spaces at its ends or control characters; Envoy could not read it \
             from a file",
            self.of
        )
    }
}

impl std::error::Error for CredentialsError {}

/// Where a bucket's keys are for Envoy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Environment,
    File,
    Nowhere,
}

fn place(credentials: &Credentials) -> Place {
    match credentials {
        Credentials::Environment(names) => {
            let variables = [
                Some(&names.access_key_id),
                Some(&names.secret_access_key),
                names.session_token.as_ref(),
            ];
            let known = |(variable, name): (Option<&Variable>, &str)| {
                variable.is_none_or(|variable| variable.name == name)
            };
            let all = variables.into_iter().zip(VARIABLES).all(known);
            if all { Place::Environment } else { Place::File }
        }
        Credentials::Inline(_) => Place::File,
        Credentials::None => Place::Nowhere,
    }
}

/// The credentials file, where one is needed: a profile a bucket, and one an origin that is signed
/// for.
pub(super) fn file(loaded: &Loaded, plan: &Plan) -> Result<Option<String>, CredentialsError> {
    let mut text = String::new();
    for bucket in &loaded.deployment.buckets.value {
        let keys = match place(&bucket.credentials) {
            Place::File => bucket.credentials.keys(&bucket.region),
            Place::Environment | Place::Nowhere => None,
        };
        if let Some(keys) = keys {
            text.push_str(&section(&bucket.name.value.0, &keys)?);
        }
    }
    let (_, origins) = clusters::split(loaded, plan);
    for origin in origins {
        if let Some(keys) = &origin.signer {
            text.push_str(&section(&profile(origin), keys)?);
        }
    }
    Ok((!text.is_empty()).then_some(text))
}

/// The profile of an origin that is signed for. No bucket's name has a slash.
fn profile(origin: &Cluster) -> String {
    format!("mirror/{}", origin.name)
}

fn section(profile: &str, keys: &gateway::Credentials) -> Result<String, CredentialsError> {
    let mut text = format!("[{profile}]\n");
    let token = keys.session_token.as_ref().map(|token| token.expose());
    for (name, value) in [
        ("aws_access_key_id", Some(keys.access_key_id.as_str())),
        ("aws_secret_access_key", Some(keys.secret_access_key.expose())),
        ("aws_session_token", token),
    ] {
        let Some(value) = value else { continue };
        if value.trim() != value || value.chars().any(char::is_control) {
            return Err(CredentialsError { of: profile.to_owned() });
        }
        text.push_str(&format!("{name}={value}\n"));
    }
    Ok(text)
}

/// The filter that signs what goes through a bucket's cluster, where the bucket has keys.
pub(super) fn signing(bucket: &Bucket, settings: &Settings) -> Option<Map> {
    let provider = match place(&bucket.credentials) {
        Place::Environment => only_these().with("environment_credential_provider", Map::new()),
        Place::File => of_file(&bucket.name.value.0, settings),
        Place::Nowhere => return None,
    };
    Some(filter(&bucket.region.0, provider))
}

/// The filter that signs what goes to an origin, where a rule has keys for that.
pub(super) fn signing_origin(origin: &Cluster, settings: &Settings) -> Option<Map> {
    let keys = origin.signer.as_ref()?;
    Some(filter(&keys.region, of_file(&profile(origin), settings)))
}

/// Nothing but what the deployment names: Envoy's own chain would go on to ask other services.
fn only_these() -> Map {
    Map::new().with("custom_credential_provider_chain", true)
}

fn of_file(profile: &str, settings: &Settings) -> Map {
    let directory = Map::new().with("path", settings.directory.display().to_string());
    let file = Map::new()
        .with("filename", settings.path(CREDENTIALS))
        .with("watched_directory", directory);
    only_these().with(
        "credentials_file_provider",
        Map::new().with("credentials_data_source", file).with("profile", profile),
    )
}

fn filter(region: &str, provider: Map) -> Map {
    let config =
        Map::typed("envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning")
            .with("service_name", "s3")
            .with("region", region)
            // Otherwise the body would be held once more, to be hashed.
            .with("use_unsigned_payload", true)
            .with("credential_provider", provider);
    Map::new()
        .with("name", "envoy.filters.http.aws_request_signing")
        .with("typed_config", config.shared("signing"))
}
