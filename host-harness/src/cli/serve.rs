//! `b2o serve`: a gateway from a deployment file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::loading::load;
use super::print;
use super::signals::{Asked, Signals};
use crate::deployment::Plan;
use crate::gateway::StartError;
use crate::launch::{self, LaunchError, Launched};

/// Run a gateway from a deployment file.
///
/// All problems of the file and of its rule files are shown before anything starts. SIGHUP reads
/// the rules again; a set with an error is refused and the old one stays.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o serve envoy/deployment.yaml
  kill -HUP $(pidof b2o)

envoy/DEPLOYMENT.md describes every field of the file.

Exit codes:
  0  stopped by Ctrl-C or SIGTERM
  1  the deployment is refused, or its address cannot be used
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    deployment: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let path = arguments.deployment;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let loaded = load(&path)?;
    let line = |line: &str| print(&format!("{line}\n"));
    let gateway = launch::gateway(&loaded.deployment, &Plan::new(&loaded), line).await;
    let mut gateway = gateway.map_err(|error| refused(&error))?;
    print(&format!("gateway  http://{}  {}\n", gateway.address(), path.display()));
    if let Some(admin) = gateway.admin_address() {
        print(&format!("admin    http://{admin}\n"));
    }
    print("ready\n");
    loop {
        match signals.next().await {
            Asked::Stop => break,
            Asked::Reload => reload(&path, &mut gateway).await,
        }
    }
    gateway.stop().await;
    Ok(())
}

/// Reads the files again. Whatever is wrong with them, the gateway goes on as it was.
async fn reload(path: &Path, gateway: &mut Launched) {
    let result = match load(path) {
        Ok(loaded) => {
            gateway.reconfigure(&Plan::new(&loaded)).await.map_err(|error| refused(&error))
        }
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => print("the rules were read again\n"),
        Err(failure) => {
            let failure = failure.help("the old rules stay");
            let _ = write!(std::io::stderr(), "{failure}");
        }
    }
}

/// The failure of a gateway that does not start.
fn refused(error: &LaunchError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        LaunchError::Start(StartError::Listen { .. }) => failure
            .help("stop what listens there, or change `listen` or `admin` in the deployment file"),
        LaunchError::Start(StartError::Protocol { .. }) => {
            failure.help("leave out the bucket's `protocol`, or run the deployment in Envoy")
        }
        LaunchError::NeedsRestart
        | LaunchError::Program(_)
        | LaunchError::Refused(_)
        | LaunchError::Start(_) => failure,
    }
}
