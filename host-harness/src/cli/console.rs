//! `b2o console`: the rules in a browser.

use std::io::{IsTerminal as _, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::keeping::EnvoyFiles;
use super::loading::load;
use super::signals::{Asked, Signals};
use super::{print, printable};
use crate::admin::Keeper;
use crate::console::{Console, Recent, Settings, Source, StartError};
use crate::deployment::Deployment;
use crate::envoy::Target;
use crate::launch::Launched;
use crate::password;

/// The longest password.
const MOST: u64 = 1024;

/// Serve the console: the rules of all buckets in a browser.
///
/// It changes rules as `b2o rules` does: what is refused changes nothing, `b2o serve` takes new
/// rules by itself, and with --envoy the files of an Envoy are renewed too. `b2o serve` and
/// `b2o admin` serve it too, where the deployment file has `console`.
///
/// Address and passwords stand in the deployment file under `console`; the keys of `api` open it
/// too. Without any of them it is for this machine alone.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o console envoy/deployment.yaml
  b2o console envoy/deployment.yaml --envoy /tmp/envoy
  b2o console --hash-password < password.txt

Exit codes:
  0  stopped by Ctrl-C or SIGTERM
  1  the deployment is refused, or the address cannot be used
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    #[arg(required_unless_present = "hash_password")]
    deployment: Option<PathBuf>,
    /// The address to listen on, in place of the deployment file's.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Read a password from standard input and print its hash, for the deployment file.
    #[arg(long, conflicts_with_all = ["deployment", "listen", "envoy"])]
    hash_password: bool,
    #[command(flatten)]
    envoy: EnvoyFiles,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { deployment, listen, hash_password, envoy } = arguments;
    let Some(deployment) = deployment.filter(|_| !hash_password) else { return hash() };
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let loaded = load(&deployment)?;
    let console = start(&loaded.deployment, &deployment, listen, envoy.target()).await?;
    print(&format!("{}\nready\n", line(&console, &loaded.deployment)));
    while signals.next().await == Asked::Reload {
        // Every request reads the files anew.
    }
    console.stop().await;
    Ok(())
}

/// Starts it as a deployment has it.
pub(super) async fn start(
    deployment: &Deployment,
    path: &Path,
    listen: Option<SocketAddr>,
    envoy: Option<Target>,
) -> Result<Console, Failure> {
    let keeper = Keeper { deployment: path.to_owned(), envoy };
    let console = Console::start(Settings::of(deployment, listen, keeper, Box::new(tell))).await;
    console.map_err(|error| failure(&error))
}

/// The same where a deployment has it, beside what else is started.
pub(super) async fn beside(
    deployment: &Deployment,
    path: &Path,
    envoy: Option<Target>,
) -> Result<Option<Console>, Failure> {
    if deployment.console.is_none() {
        return Ok(None);
    }
    start(deployment, path, None, envoy).await.map(Some)
}

/// The same in the process of a gateway, which says itself what it counts and what it does.
pub(super) async fn within(
    deployment: &Deployment,
    path: &Path,
    gateway: &Launched,
    recent: Arc<Recent>,
) -> Result<Option<Console>, Failure> {
    if deployment.console.is_none() {
        return Ok(None);
    }
    let keeper = Keeper { deployment: path.to_owned(), envoy: None };
    let mut settings = Settings::of(deployment, None, keeper, Box::new(tell));
    settings.figures = Source::Here(gateway.metrics());
    settings.recent = Some(recent);
    let console = Console::start(settings).await;
    console.map(Some).map_err(|error| failure(&error))
}

fn tell(line: &str) {
    print(&format!("{}\n", printable(line)));
}

/// The line that says where it is.
pub(super) fn line(console: &Console, deployment: &Deployment) -> String {
    let own = deployment.console.as_ref();
    let is_open = own
        .is_none_or(|own| own.editor_password_hash.is_none() && own.reader_password_hash.is_none())
        && deployment.api.credentials.value.pair().is_none();
    let note = if is_open { "  open to everybody on this machine" } else { "" };
    format!("console  http://{}{note}", console.address())
}

pub(super) fn failure(error: &StartError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        StartError::NoKeys(_) => failure.help(
            "add `console: { editor_password_hash: ... }` to the deployment file, or use a loopback \
             address",
        ),
        StartError::Listen { .. } => {
            failure.help("stop what listens there, or choose another address for `console`")
        }
        StartError::NoRandomness => failure,
    }
}

/// Prints the hash of the password on standard input.
fn hash() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        print("The password, then Enter and Ctrl-D; it is shown as you type:\n");
    }
    let mut password = String::new();
    let read = std::io::stdin().take(MOST).read_to_string(&mut password);
    read.map_err(|error| Failure::new(format!("cannot read the password: {error}")))?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.chars().count() < 8 {
        return Err(Failure::new("the password has fewer than 8 characters"));
    }
    let hash = password::hash(password);
    let hash = hash.map_err(|error| Failure::new(format!("cannot hash the password: {error}")))?;
    print(&format!("{hash}\n"));
    Ok(())
}
