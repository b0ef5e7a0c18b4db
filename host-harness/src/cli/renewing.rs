//! `b2o envoy --watch`: the files of an Envoy, renewed as long as that runs, and its end.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use super::envoy::{Arguments, write};
use super::failure::Failure;
use super::loading::load_from;
use super::print;
use super::signals::{Asked, Signals};
use super::watch::Watched;
use crate::deployment::Loaded;
use crate::envoy::{Drain, Drained, drain};

/// Writes the files, and again whenever what they are made of changes, until it is asked to stop.
pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let (loaded, mut watched) = read(arguments)?;
    let mut admin = loaded.deployment.admin.as_ref().map(|admin| admin.value);
    if arguments.drain && admin.is_none() {
        return Err(Failure::new("--drain asks Envoy by its administration interface")
            .help("add `admin: 127.0.0.1:9901` to the deployment file"));
    }
    write(arguments, &loaded)?;
    print("watching\n");
    loop {
        match signals.next_or_changed(&mut watched).await {
            Asked::Stop => break,
            // It has no log.
            Asked::Reopen => {}
            Asked::Reload => {
                watched.look();
                let renewed = read(arguments).and_then(|(loaded, files)| {
                    write(arguments, &loaded)?;
                    admin = loaded.deployment.admin.as_ref().map(|admin| admin.value);
                    Ok(files)
                });
                match renewed {
                    Ok(files) => watched = files,
                    Err(failure) => {
                        let failure = failure.help("the old files stay");
                        let _ = write!(std::io::stderr(), "{failure}");
                    }
                }
            }
        }
    }
    let Some(admin) = admin.filter(|_| arguments.drain) else { return Ok(()) };
    let times = Drain { pause: arguments.drain_pause, within: arguments.drain_within };
    print(&format!("draining Envoy at {admin} within {:?}\n", times.pause + times.within));
    let drained = tokio::task::spawn_blocking(move || drain(admin, times));
    tokio::select! {
        drained = drained => told(drained.unwrap_or(Drained::NotRunning)),
        () = stopped(&mut signals) => Err(Failure::new("stopped at once: Envoy was not drained")),
    }
}

fn told(drained: Drained) -> Result<(), Failure> {
    match drained {
        Drained::All => {
            print("drained: nothing is under way\n");
            Ok(())
        }
        Drained::NotRunning => {
            print("no Envoy answers there\n");
            Ok(())
        }
        Drained::Late { requests, copies } => Err(Failure::new(format!(
            "the time is over, and {requests} requests and {copies} copies are under way"
        ))),
    }
}

/// Waits until it is asked to stop.
async fn stopped(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// Reads the deployment, and watches all that it is read from, from before that.
pub(super) fn read(arguments: &Arguments) -> Result<(Loaded, Watched), Failure> {
    let watched = RefCell::new(Watched::default());
    watched.borrow_mut().watch(&arguments.deployment);
    let source = |_: &str, path: &Path| {
        watched.borrow_mut().watch(path);
        std::fs::read(path)
    };
    let loaded = match &arguments.variables {
        None => load_from(&arguments.deployment, &source, &|name| std::env::var_os(name))?,
        Some(directory) => {
            let variable = |name: &str| {
                let path = directory.join(name);
                watched.borrow_mut().watch(&path);
                variable(&path)
            };
            load_from(&arguments.deployment, &source, &variable)?.with_variables_read()
        }
    };
    Ok((loaded, watched.into_inner()))
}

/// What a file holds, but for the end of its line.
fn variable(path: &Path) -> Option<OsString> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.strip_suffix('\n').unwrap_or(&text).into())
}
