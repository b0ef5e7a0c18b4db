//! `b2o admin`: the API for rules.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::console;
use super::failure::Failure;
use super::keeping::EnvoyFiles;
use super::loading::load;
use super::signals::{Asked, Signals};
use super::{print, printable};
use crate::admin::{Admin, Keeper, Keys, Settings, StartError};

/// Serve the API by which clients of OSS and of S3 manage rules.
///
/// PUT, GET and DELETE of a bucket's `?website`, as OSS and S3 have them: ossutil, the SDKs of
/// both and `aws s3api put-bucket-website` work with it. A configuration that is taken is in the
/// bucket's rule file, as a whole, before the answer is sent; `b2o serve` reads it by itself, and
/// with --envoy the files of an Envoy are renewed too. What is refused changes nothing.
///
/// Address and keys stand in the deployment file under `api`. Without keys the API is for this
/// machine alone.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o admin envoy/deployment.yaml
  b2o admin envoy/deployment.yaml --envoy /tmp/envoy
  aws --endpoint-url http://127.0.0.1:8090 s3api get-bucket-website --bucket examplebucket

Exit codes:
  0  stopped by Ctrl-C or SIGTERM
  1  the deployment is refused, or the address cannot be used
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    deployment: PathBuf,
    /// The address to listen on, in place of the deployment file's.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    envoy: EnvoyFiles,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { deployment, listen, envoy } = arguments;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let loaded = load(&deployment)?;
    let api = &loaded.deployment.api;
    let keys = api.credentials.pair().map(|(id, secret)| Keys::new(id, secret));
    let is_open = keys.is_none();
    let settings = Settings {
        listen: listen.unwrap_or(api.listen.value),
        keys,
        domain: loaded.deployment.domain.as_ref().map(|domain| domain.0.clone()),
        keeper: Keeper { deployment: deployment.clone(), envoy: envoy.target() },
        line: Box::new(|line| print(&format!("{}\n", printable(line)))),
    };
    let console = console::beside(&loaded.deployment, &deployment, envoy.target()).await?;
    let admin = Admin::start(settings).await.map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error {
            StartError::NoKeys(_) => failure.help(
                "add `api: { credentials: ... }` to the deployment file, or use a loopback address",
            ),
            StartError::Listen { .. } => {
                failure.help("stop what listens there, or choose another with --listen ADDR")
            }
        }
    })?;
    let note = if is_open { ", open to everybody on this machine" } else { "" };
    print(&format!("api  http://{}  {}{note}\n", admin.address(), deployment.display()));
    if let Some(console) = &console {
        print(&format!("{}\n", console::line(console, &loaded.deployment)));
    }
    print("ready\n");
    // Every request reads the files anew.
    while signals.next().await != Asked::Stop {}
    if let Some(console) = console {
        console.stop().await;
    }
    admin.stop().await;
    Ok(())
}
