//! `b2o demo`: everything at once, on this machine.

use std::net::SocketAddr;

use super::failure::Failure;
use super::print;
use super::signals::{Asked, Signals};
use super::store;
use super::watch::Watched;
use crate::console;
use crate::demo::{Demo, DemoError, DemoSettings};
use crate::gateway::StartError;
use crate::launch::LaunchError;

/// Run a store, an origin and a gateway between them, and show what happens.
///
/// The store starts empty and is gone when the demo ends. Each request to the gateway is one line.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o demo
  b2o demo --gateway 127.0.0.1:8081 --store 127.0.0.1:9001 --origin 127.0.0.1:9101

Exit codes:
  0  stopped by Ctrl-C or SIGTERM
  1  an address cannot be used
  2  wrong usage"
)]
pub(super) struct Arguments {
    /// The address of the gateway.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    gateway: SocketAddr,
    /// The address of the store.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    store: SocketAddr,
    /// The address of the console.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8091")]
    console: SocketAddr,
    /// The address of the origin.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
    origin: SocketAddr,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { gateway, store, console, origin } = arguments;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let line = |line: &str| print(&format!("{line}\n"));
    let demo = Demo::start(DemoSettings { gateway, store, console, origin }, line).await;
    let mut demo = demo.map_err(|error| failure(&error))?;
    let rules = demo.rules();
    let mut watched = Watched::default();
    watched.watch(&rules);
    print(&demo.introduction());
    print("ready\n");
    loop {
        if signals.next_or_changed(&mut watched).await == Asked::Stop {
            break;
        }
        watched.look();
        match demo.reload().await {
            Ok(()) => print("the rules were read again\n"),
            Err(error) => print(&format!("the old rules stay: {error}\n")),
        }
    }
    demo.stop().await;
    Ok(())
}

fn failure(error: &DemoError) -> Failure {
    let another = |flag| format!("stop what listens there, or choose another with {flag} ADDR");
    match error {
        DemoError::Gateway(LaunchError::Start(StartError::Listen { .. })) => {
            Failure::new(error.to_string()).help(another("--gateway"))
        }
        DemoError::Console(console::StartError::Listen { .. }) => {
            Failure::new(error.to_string()).help(another("--console"))
        }
        DemoError::Origin { .. } => Failure::new(error.to_string()).help(another("--origin")),
        DemoError::Store(error) => store::failure(error, "--store"),
        DemoError::Console(error) => super::console::failure(error),
        DemoError::Deployment(_) | DemoError::Directory(_) | DemoError::Gateway(_) => {
            Failure::new(error.to_string())
        }
    }
}
