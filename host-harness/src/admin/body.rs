//! The body of a request, read within bounds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use super::refusal::Refusal;

/// The most bytes of a website configuration: many times what twenty rules can say.
pub(super) const MOST: usize = 1024 * 1024;

/// How long a body may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes that are taken of a body after it has been refused, for the client's sake: one
/// that is cut off while it writes does not read the answer.
const MOST_IGNORED: usize = 64 * 1024 * 1024;

/// Whether a body says that it is too large.
pub(super) fn is_too_large(body: &Incoming) -> bool {
    body.size_hint().lower() > MOST as u64
}

/// Reads a body.
pub(super) async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match timeout(PATIENCE, Limited::new(body, MOST).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::entity_too_large(MOST)),
        Ok(Err(_)) | Err(_) => Err(Refusal::incomplete_body()),
    }
}

/// Reads the rest of a refused body, behind the answer, for a while.
pub(super) fn ignore(mut body: Incoming) {
    tokio::spawn(timeout(PATIENCE, async move {
        let mut taken = 0;
        while let Some(Ok(frame)) = body.frame().await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > MOST_IGNORED {
                break;
            }
        }
    }));
}
