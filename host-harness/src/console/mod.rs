//! The console: the rules of a deployment's buckets in a browser.
//!
//! It stands on [`Keeper`], as the API and the command line do: what `check` refuses cannot be
//! saved, nothing is saved in part, and what others change is seen. Pages are HTML forms made by
//! the server, and work without the script, which only makes them quicker to use.

mod account;
mod action;
mod assets;
mod draft;
mod edit;
mod figures;
mod form;
mod guard;
mod pages;
mod recent;
mod rule_form;
mod service;
mod session;
mod strings;
#[cfg(test)]
mod tests;
mod told;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub use account::Accounts;
pub use figures::Source;
pub use recent::Recent;

use crate::admin::Keeper;
use crate::deployment::{Deployment, PasswordHash};
use crate::server::{self, Server};
use service::Service;

/// What the console is started with.
pub struct Settings {
    /// The address it listens on; with port 0 any free one.
    pub listen: SocketAddr,
    /// Who may sign in; without anybody it only listens on this machine.
    pub accounts: Accounts,
    /// What it manages.
    pub keeper: Keeper,
    /// Where the gateway's metrics are.
    pub figures: Source,
    /// The last lines about requests, where they are told in this process.
    pub recent: Option<Arc<Recent>>,
    /// Called with a line about each change and each sign-in, from any thread.
    pub line: Box<dyn Fn(&str) + Send + Sync>,
}

impl Settings {
    /// As a deployment has it.
    #[must_use]
    pub fn of(
        deployment: &Deployment,
        listen: Option<SocketAddr>,
        keeper: Keeper,
        line: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        let console = deployment.console.as_ref();
        let hash = |of: Option<&PasswordHash>| of.map(|hash| hash.0.clone());
        let accounts = Accounts {
            editor: hash(console.and_then(|console| console.editor_password_hash.as_ref())),
            reader: hash(console.and_then(|console| console.reader_password_hash.as_ref())),
            keys: deployment.api.credentials.value.pair(),
        };
        let written = console.map_or(DEFAULT, |console| console.listen.value);
        let admin = deployment.admin.as_ref().map(|admin| admin.value);
        let figures = admin.filter(|admin| admin.port() != 0).map_or(Source::Nowhere, Source::At);
        Self { listen: listen.unwrap_or(written), accounts, keeper, figures, recent: None, line }
    }
}

/// Where the console is where nobody has said.
const DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8091);

/// Why the console does not start.
#[derive(Debug)]
pub enum StartError {
    /// Others could reach it, and nobody has to sign in.
    NoKeys(SocketAddr),
    /// The machine has no randomness, without which no session is safe.
    NoRandomness,
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys(address) => write!(
                f,
                "the console has no password, and {address} can be reached from other machines"
            ),
            Self::NoRandomness => f.write_str("the console finds no randomness on this machine"),
            Self::Listen { address, source } => {
                write!(f, "the console cannot listen on {address}: {}", server::refused(source))
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoKeys(_) | Self::NoRandomness => None,
            Self::Listen { source, .. } => Some(source),
        }
    }
}

/// The running console. Dropping it stops it at once.
#[derive(Debug)]
pub struct Console {
    server: Server,
}

impl Console {
    /// Starts it on the current runtime.
    ///
    /// # Errors
    ///
    /// When its address cannot be used, or may not be without somebody who signs in.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let address = settings.listen;
        if settings.accounts.are_none() && !address.ip().is_loopback() {
            return Err(StartError::NoKeys(address));
        }
        let service = Service::new(settings).ok_or(StartError::NoRandomness)?;
        let service = Arc::new(service);
        let respond = move |request| {
            let service = Arc::clone(&service);
            async move { Ok::<_, Infallible>(service.respond(request).await) }
        };
        let server = Server::start(address, respond).await;
        let server = server.map_err(|source| StartError::Listen { address, source })?;
        Ok(Self { server })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stops it once the requests under way are answered.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
