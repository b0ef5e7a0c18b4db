//! One more attempt: a request on the origin's side is to be sent on once more, elsewhere.
//!
//! Only the gateway can do that, by its retry. What is to be asked there waits here meanwhile; the
//! request itself only carries the name it waits under. An attempt that does not come, since its
//! client has left or the gateway has no retry left, is forgotten in a moment.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::{Asked, Refusal};
use crate::worker::Moment;

/// The header of an answer by which a cluster's filter judges it for the gateway's retry. It is one
/// that every gateway takes off before the client's side, as it is about one connection alone.
pub const JUDGE: &str = "proxy-connection";

/// Its value where another attempt is to be made.
pub const AGAIN: &str = "again";

/// The header of a request that counts its attempts, where the bucket's is among them. No client can
/// set it.
pub const COUNT: &str = "x-envoy-attempt-count";

/// The property of a request that names the cluster of its next attempt.
pub const CLUSTER: &str = "back_to_origin.cluster";

/// The property that names what waits for it. A request that has not been to an origin has none.
pub const NAME: &str = "back_to_origin.attempt";

/// How long an attempt may take to come: gateways wait a few milliseconds before a retry.
const PATIENCE: Duration = Duration::from_secs(2);

/// Attempts that may be about to come at once.
const MAX_WAITING: usize = 256;

/// The number of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AttemptId(u64);

impl AttemptId {
    /// The name it waits under in the root of this number, which no other root has.
    #[must_use]
    pub fn name(self, root: u64) -> [u8; 16] {
        (u128::from(root) << 64 | u128::from(self.0)).to_be_bytes()
    }

    /// The attempt of such a name, unless it waits in another root.
    #[must_use]
    pub fn of(name: &[u8], root: u64) -> Option<Self> {
        let id = Self(u64::from_be_bytes(name.last_chunk().copied()?));
        (id.name(root) == name).then_some(id)
    }
}

/// What waits for its attempt.
#[derive(Debug)]
struct Waiting {
    id: AttemptId,
    asked: Rc<Asked>,
    /// When the request came to the origin's side.
    since: Moment,
    until: Moment,
}

/// All of one VM that wait.
#[derive(Debug)]
pub(crate) struct Attempts {
    next: u64,
    /// In the order in which their time is up.
    waiting: VecDeque<Waiting>,
}

impl Attempts {
    pub(crate) const fn new() -> Self {
        Self { next: 0, waiting: VecDeque::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// An attempt is asked for, for a request that came at `since`. `None` where too many are.
    pub(crate) fn add(
        &mut self,
        asked: Rc<Asked>,
        since: Moment,
        now: Moment,
    ) -> Option<AttemptId> {
        if self.waiting.len() >= MAX_WAITING {
            return None;
        }
        self.next += 1;
        let id = AttemptId(self.next);
        self.waiting.push_back(Waiting { id, asked, since, until: now.after(PATIENCE) });
        Some(id)
    }

    /// The attempt comes, or is known not to; `None` where that is known of it already.
    pub(crate) fn take(&mut self, id: AttemptId) -> Option<(Rc<Asked>, Moment)> {
        let at = self.waiting.iter().position(|waiting| waiting.id == id)?;
        self.waiting.remove(at).map(|waiting| (waiting.asked, waiting.since))
    }

    /// One whose time is up.
    pub(crate) fn take_late(&mut self, now: Moment) -> Option<Refusal> {
        let late = self.waiting.pop_front_if(|waiting| now >= waiting.until)?;
        Some(late.asked.unasked())
    }
}
