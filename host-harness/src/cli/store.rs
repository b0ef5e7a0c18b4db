//! `b2o store`: the embedded store by itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::failure::{Failure, USAGE};
use super::print;
use super::signals::{Asked, Signals};
use crate::gateway::Secret;
use crate::store::{Store, StoreError, StoreKeys, StoreSettings};

/// Run an S3 store that keeps its objects in a directory.
///
/// For local use and tests. DIR is the store's alone: its files hold objects and what is known of
/// them, and are named by hashes of the keys. Without keys everyone may do everything and signatures
/// are not looked at; a body in signed chunks, which some clients send, then cannot be read and is
/// refused with 501. With keys every request must be signed with them.
///
/// A bucket is named by the path, or by a subdomain of `localhost` or of a --domain.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o store /tmp/store --bucket examplebucket
  b2o store /tmp/store --listen 127.0.0.1:9001 --access-key EXAMPLEKEY --secret-key examplesecret
  b2o store /tmp/store --bucket examplebucket --domain s3.example.com

Exit codes:
  0  stopped by Ctrl-C or SIGTERM
  1  the directory or the address cannot be used
  2  wrong usage"
)]
pub(super) struct Arguments {
    /// The directory the buckets are in; it is created where it is missing.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The access key that requests must be signed with.
    #[arg(long, value_name = "KEY", requires = "secret_key")]
    access_key: Option<String>,
    /// Its secret; better left to the environment, where other users do not see it.
    #[arg(
        long,
        value_name = "KEY",
        env = "B2O_STORE_SECRET_KEY",
        hide_env_values = true,
        requires = "access_key"
    )]
    secret_key: Option<Secret>,
    /// A bucket to create where it is missing; can be given several times.
    #[arg(long = "bucket", value_name = "NAME")]
    buckets: Vec<String>,
    /// A domain whose subdomains are buckets; can be given several times.
    #[arg(long = "domain", value_name = "NAME")]
    domains: Vec<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { directory, listen, access_key, secret_key, buckets, domains } = arguments;
    let keys = access_key.zip(secret_key);
    let keys = keys.map(|(access_key, secret_key)| StoreKeys { access_key, secret_key });
    let signed = if keys.is_some() { "signed requests only" } else { "no signatures asked for" };
    let shown = directory.display().to_string();
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let listen = Some(listen);
    let settings = StoreSettings { directory, listen, keys, buckets, domains, observer: None };
    let store = Store::start(settings).await.map_err(|error| failure(&error, "--listen"))?;
    print(&format!("store  http://{}  {shown}  {signed}\nready\n", store.address()));
    while signals.next().await != Asked::Stop {}
    store.stop().await;
    Ok(())
}

/// Why a store did not start, and which argument helps.
pub(super) fn failure(error: &StoreError, listen: &str) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        StoreError::BucketName(_) | StoreError::Domain(_) => failure.code(USAGE),
        StoreError::Directory { .. } => failure.help("choose a directory you may write to"),
        StoreError::InUse(_) => failure.help("stop it, or choose another directory"),
        StoreError::Layout(_) => failure.help(
            "choose an empty directory; objects of an earlier version are brought over by its own \
             `b2o store` and any S3 client",
        ),
        StoreError::Listen { .. } => {
            failure.help(format!("stop what listens there, or choose another with {listen} ADDR"))
        }
    }
}
