//! What asks a running command to stop or to read its files again.

use super::watch::Watched;

/// What was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// Read the files again (SIGHUP).
    Reload,
    /// Open the log anew (SIGUSR1).
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no signals"))]
    Reopen,
    /// Stop (Ctrl-C, SIGTERM).
    Stop,
}

/// The signals this process listens to.
#[cfg(unix)]
pub(super) struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    user: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Starts to listen; from here on no signal ends the process by itself.
    pub(super) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.user.recv() => Asked::Reopen,
        }
    }
}

/// Ctrl-C, where there are no signals.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Nothing has to be prepared.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for Ctrl-C.
    pub(super) async fn next(&mut self) -> Asked {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Asked::Stop
    }
}

impl Signals {
    /// Waits for the next one, or for one of the files to change.
    pub(super) async fn next_or_changed(&mut self, watched: &mut Watched) -> Asked {
        tokio::select! {
            asked = self.next() => asked,
            () = watched.changed() => Asked::Reload,
        }
    }
}
