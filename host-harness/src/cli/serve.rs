//! `b2o serve`: a gateway from a deployment file.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::console;
use super::failure::Failure;
use super::loading::load_with;
use super::print;
use super::signals::{Asked, Signals};
use super::watch::Watched;
use crate::console::Recent;
use crate::deployment::{Loaded, Plan};
use crate::gateway::StartError;
use crate::launch::{self, LaunchError, Launched, Taken};
use crate::sink::Sink;

/// Run a gateway from a deployment file.
///
/// All problems of the file and of its rule files are shown before anything starts. Rule files that
/// change are read again at once; on SIGHUP they are, and the deployment file with its keys. A set
/// with an error is refused and the old one stays.
///
/// SIGUSR1 opens the file of the access log anew, once it has been moved away.
///
/// Ctrl-C or SIGTERM ends it once the requests under way are answered and what was fetched is
/// stored, or after `timeouts.drain`; a second signal ends it at once.
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
  1  the deployment is refused, its address cannot be used, or a second signal ended it
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    deployment: PathBuf,
    /// The certificates that HTTPS servers are trusted by, in PEM; without it those of the system.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { deployment: path, trust } = arguments;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let (loaded, mut watched) = read(&path)?;
    if loaded.deployment.tracing.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "warning: `tracing` is for Envoy; this gateway sends no traces\n  help: `traceparent` \
             reaches the bucket and the origin as clients send it"
        );
    }
    if loaded.deployment.rate_limit_service.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "warning: `rate_limit_service` is for Envoy; this gateway does not ask it\n  help: \
             its own `mirror_limits` hold"
        );
    }
    // A request waits for no reader of its line.
    let tell = |told: &str| drop(writeln!(std::io::stderr(), "{told}"));
    let lines = Sink::open(Path::new("/dev/stdout"), "log", tell);
    let lines = Arc::new(lines.map_err(|error| Failure::new(format!("no thread: {error}")))?);
    let kept = Arc::clone(&lines);
    let recent = Arc::new(Recent::default());
    let told = Arc::clone(&recent);
    let line = move |line: &str| {
        told.add(line);
        kept.write(line);
    };
    let gateway = launch::gateway(&loaded, &Plan::new(&loaded), trust, line).await;
    let mut gateway = gateway.map_err(|error| refused(&error))?;
    let console = console::within(&loaded.deployment, &path, &gateway, recent).await?;
    let (scheme, address) = (gateway.scheme(), gateway.address());
    print(&format!("gateway  {scheme}://{address}  {}\n", path.display()));
    if let Some(admin) = gateway.admin_address() {
        print(&format!("admin    http://{admin}\n"));
    }
    if let Some(health) = gateway.health_address() {
        print(&format!("health   http://{health}/ready\n"));
    }
    if let Some(console) = &console {
        print(&format!("{}\n", console::line(console, &loaded.deployment)));
    }
    print("ready\n");
    loop {
        match signals.next_or_changed(&mut watched).await {
            Asked::Stop => break,
            Asked::Reopen => gateway.reopen_access_log(),
            Asked::Reload => {
                watched.look();
                if let Some(files) = reload(&path, &mut gateway).await {
                    watched = files;
                }
            }
        }
    }
    drop(console);
    let drain = gateway.drain().as_secs_f64();
    print(&format!("stopping within {drain} s; another signal stops it at once\n"));
    let stopped = tokio::select! {
        () = gateway.stop() => Ok(()),
        () = stopped(&mut signals) => {
            Err(Failure::new("stopped at once: requests were cut off, and uploads may be open still"))
        }
    };
    lines.finish();
    stopped
}

/// Waits until it is asked to stop.
async fn stopped(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// Reads a deployment, and watches its rule files from before they are read.
fn read(path: &Path) -> Result<(Loaded, Watched), Failure> {
    let watched = RefCell::new(Watched::default());
    let source = |_: &str, path: &Path| {
        watched.borrow_mut().watch(path);
        std::fs::read(path)
    };
    let loaded = load_with(path, &source)?;
    Ok((loaded, watched.into_inner()))
}

/// Reads the files again, and gives back those to watch. Whatever is wrong with them, the gateway
/// goes on as it was.
async fn reload(path: &Path, gateway: &mut Launched) -> Option<Watched> {
    let result = match read(path) {
        Ok((loaded, watched)) => {
            let taken = gateway.reconfigure(&loaded, &Plan::new(&loaded)).await;
            taken.map(|taken| (taken, watched)).map_err(|error| refused(&error))
        }
        Err(failure) => Err(failure),
    };
    match result {
        Ok((Taken { keys, waiting }, watched)) => {
            let keys = if keys { ", and other keys" } else { "" };
            print(&format!("the rules were read again{keys}\n"));
            if !waiting.is_empty() {
                let names: Vec<_> = waiting.iter().map(|name| format!("`{name}`")).collect();
                let _ = writeln!(
                    std::io::stderr(),
                    "warning: {} changed and stays as it was\n  help: restart the gateway to have it",
                    names.join(", ")
                );
            }
            Some(watched)
        }
        Err(failure) => {
            let failure = failure.help("the old rules stay");
            let _ = write!(std::io::stderr(), "{failure}");
            None
        }
    }
}

/// The failure of a gateway that does not start.
fn refused(error: &LaunchError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        LaunchError::Start(StartError::Listen { .. }) => failure
            .help("stop what listens there, or change `listen`, `admin` or `health` in the deployment file"),
        LaunchError::Start(StartError::Protocol { .. }) => {
            failure.help("leave out the bucket's `protocol`, or run the deployment in Envoy")
        }
        LaunchError::AccessLog { .. } => failure.help(
            "make its folder, let this user write there, or change `access_log` in the deployment file",
        ),
        LaunchError::NeedsRestart | LaunchError::Program(_) | LaunchError::Start(_) => failure,
    }
}
