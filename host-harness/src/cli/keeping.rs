//! What commands that change rules have in common: where Envoy's files are, and why it failed.

use std::io::Write as _;
use std::path::PathBuf;

use super::colour_errors;
use super::envoy::{DataPath, Form};
use super::failure::{Failure, USAGE};
use crate::admin::KeeperError;
use crate::deployment::LoadError;
use crate::diagnostics::Report;
use crate::envoy::{self, Settings, Target};

/// Envoy's files, which follow each change of rules.
#[derive(Debug, clap::Args)]
pub(super) struct EnvoyFiles {
    /// Renew the files in this directory too, as `b2o envoy --out DIR` wrote them.
    #[arg(long, value_name = "DIR")]
    envoy: Option<PathBuf>,
    /// The `--path` they were written with.
    #[arg(long = "path", value_enum, requires = "envoy")]
    data_path: Option<DataPath>,
    /// The `--for` they were written with.
    #[arg(long = "for", value_enum, requires = "envoy", default_value_t = Form::Envoy)]
    form: Form,
    /// The `--trust` they were written with.
    #[arg(long, value_name = "FILE", requires = "envoy", default_value = Settings::TRUSTED)]
    trust: PathBuf,
}

impl EnvoyFiles {
    /// Where they are, if there are any.
    pub(super) fn target(&self) -> Option<Target> {
        let directory = self.envoy.clone()?;
        let data_path = self.data_path.map(envoy::DataPath::from);
        Some(Target { directory, data_path, form: self.form.into(), trusted: self.trust.clone() })
    }
}

impl From<KeeperError> for Failure {
    /// What was found goes to standard error at once; the failure sums it up.
    fn from(error: KeeperError) -> Self {
        let failure = Self::new(error.to_string());
        match &error {
            KeeperError::Refused(reports)
            | KeeperError::Deployment(LoadError::Refused(reports)) => {
                reports.iter().for_each(show);
                failure.help("nothing has changed")
            }
            KeeperError::Broken(report) => {
                show(report);
                failure.help("put the file right first, or `clear` it")
            }
            KeeperError::Deployment(LoadError::Unreadable { .. }) => failure.code(USAGE),
            KeeperError::Envoy(_)
            | KeeperError::NoSuchBucket(_)
            | KeeperError::Read { .. }
            | KeeperError::Shared { .. }
            | KeeperError::Unsaid { .. }
            | KeeperError::Write(_) => failure,
        }
    }
}

/// Draws what was found.
pub(super) fn show(report: &Report) {
    let _ = std::io::stderr().write_all(report.render(colour_errors()).as_bytes());
}
