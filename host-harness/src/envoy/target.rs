//! Where the files of a deployment go, and what they are made for.

use std::path::{Path, PathBuf};

use back_to_origin::configuration::MULTIPART_TIMES;

use super::{
    Change, DataPath, File, FilesError, Form, Running, Settings, WriteError, files, install,
    needs_trust,
};
use crate::FILTER_WASM;
use crate::deployment::{Loaded, Plan, Timeouts};

/// A directory that Envoy runs from, or will.
#[derive(Clone, Debug)]
pub struct Target {
    /// The directory, by the path that Envoy finds it by.
    pub directory: PathBuf,
    /// How an object reaches the client; `None` where the deployment file says.
    pub data_path: Option<DataPath>,
    /// Which Envoy is to run from it.
    pub form: Form,
    /// The certificates that servers are trusted by, as Envoy finds them.
    pub trusted: PathBuf,
}

/// Files that are ready to take the place of an earlier run's.
#[derive(Debug)]
pub struct Prepared {
    directory: PathBuf,
    files: Vec<File>,
    running: Running,
}

impl Target {
    /// Makes the files of a deployment; `deployment` is its file. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// When there are no files for this deployment.
    pub fn prepare(&self, deployment: &Path, loaded: &Loaded) -> Result<Prepared, FilesError> {
        let source = deployment.file_name().unwrap_or(deployment.as_os_str());
        // Envoy may be started anywhere.
        let directory =
            std::path::absolute(&self.directory).unwrap_or_else(|_| self.directory.clone());
        let settings = Settings {
            directory: directory.clone(),
            data_path: self.data_path.unwrap_or_else(|| Plan::new(loaded).path),
            form: self.form,
            source: source.to_string_lossy().into_owned(),
            trusted: self.trusted.clone(),
        };
        let files = files(loaded, FILTER_WASM, &settings)?;
        let Timeouts { origin, store, .. } = loaded.deployment.timeouts;
        let running = Running {
            admin: loaded.deployment.admin.as_ref().map(|admin| admin.value),
            request: origin.saturating_add(store.saturating_mul(MULTIPART_TIMES)),
        };
        Ok(Prepared { directory, files, running })
    }

    /// Whether a deployment needs certificates that are not here.
    #[must_use]
    pub fn lacks_trust(&self, loaded: &Loaded) -> bool {
        needs_trust(loaded) && !self.trusted.is_file()
    }
}

impl Prepared {
    /// Puts the files into the directory, under an Envoy that may be running there, and says what
    /// became of each. It may wait until that Envoy knows new servers.
    ///
    /// # Errors
    ///
    /// When a file cannot be written; those before it have been.
    pub fn install(&self) -> Result<Vec<(&'static str, Change)>, WriteError> {
        install(&self.directory, &self.files, self.running)
    }
}
