//! The requests of an upload.

use crate::account::Body;
use crate::configuration::Timeouts;
use crate::host::Call;
use crate::store::Target;

/// A request to the store.
#[derive(Debug)]
pub(crate) enum Step {
    Abort { id: String },
    Complete { id: String, body: Body },
    Create,
    Look,
    Part { id: String, number: u64, body: Body },
    Put { body: Body },
}

impl Step {
    /// Whether the object can be seen once it is done.
    pub(crate) const fn makes_visible(&self) -> bool {
        match self {
            Self::Complete { .. } | Self::Put { .. } => true,
            Self::Abort { .. } | Self::Create | Self::Look | Self::Part { .. } => false,
        }
    }

    pub(crate) fn call(self, target: &Target<'_>, timeouts: Timeouts) -> Call {
        let timeout = match self {
            Self::Complete { .. } | Self::Create => timeouts.multipart(),
            Self::Abort { .. } | Self::Look => timeouts.store,
            Self::Part { .. } | Self::Put { .. } => timeouts.store,
        };
        let (headers, body) = match self {
            Self::Abort { id } => (target.abort_upload(&id), None),
            Self::Complete { id, body } => (target.complete_upload(&id), Some(body)),
            Self::Create => (target.create_upload(), None),
            Self::Look => (target.head(), None),
            Self::Part { id, number, body } => (target.upload_part(&id, number), Some(body)),
            Self::Put { body } => (target.put(body.len()), Some(body)),
        };
        let cluster = target.bucket.store.cluster.clone();
        Call { body, ..Call::new(cluster, headers, timeout) }
    }
}
