//! Proving: the bucket is asked whether it lacks an object, with the gateway's own keys, before
//! anybody else is. It has told the client nothing of that.

use super::{Callouts, Parts};
use crate::decision::{self, Decision, Doubt, is_delete_marker};
use crate::host::{Call, CallId, Effect, StreamId, Turn};
use crate::http::headers::Headers;
use crate::store;

/// A request whose response is held, and whose bucket is being asked.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) stream: StreamId,
    doubt: Doubt,
    call: CallId,
}

impl Callouts {
    /// A stream's response is held until it is known whether the object is there.
    pub(crate) fn on_doubt(&mut self, stream: StreamId, doubt: Doubt) -> Vec<Effect> {
        self.doubted.push((stream, doubt));
        vec![Effect::Wake]
    }

    /// Asks for those that have come; where too many are asked for already, the response stays.
    pub(super) fn start_proofs(&mut self, turn: &mut Turn<'_>) {
        let limit = usize::try_from(turn.configuration.limits.fetches).unwrap_or(usize::MAX);
        for (stream, doubt) in std::mem::take(&mut self.doubted) {
            let bucket = turn.configuration.bucket(&doubt.request.bucket);
            let Some(bucket) = bucket.filter(|_| self.proofs.len() < limit) else {
                turn.effects.push(Effect::Resume(stream));
                continue;
            };
            let call = turn.call(Call {
                cluster: bucket.store.cluster.clone(),
                headers: store::head(bucket, &doubt.request.key),
                body: None,
                timeout: turn.configuration.timeouts.store,
                unless_written: None,
            });
            self.proofs.push(Proof { stream, doubt, call });
        }
    }

    /// The bucket has answered, or was not heard. False where it was not asked.
    pub(super) fn on_proof(
        &mut self,
        call: CallId,
        answer: Option<&Headers>,
        parts: &Parts<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(at) = self.proofs.iter().position(|proof| proof.call == call) else {
            return false;
        };
        let Proof { stream, doubt, .. } = self.proofs.remove(at);
        let is_absent =
            answer.is_some_and(|answer| answer.status() == Some(404) && !is_delete_marker(answer));
        let decision = is_absent.then(|| decision::proven(turn.configuration, doubt));
        match decision {
            Some(Ok(Decision::Answer(conclusion))) => {
                let reply = turn.conclude(conclusion);
                self.answer(stream, reply, turn);
            }
            Some(Ok(Decision::Fetch(conclusion, miss))) => {
                let reply = turn.conclude(conclusion);
                self.answer(stream, reply, turn);
                self.admit_wanted(*miss, parts.copies, turn.now);
            }
            Some(Ok(Decision::Mirror(miss))) => self.admit(stream, *miss, parts.copies, turn.now),
            Some(Ok(Decision::Pass(_) | Decision::Prove(_) | Decision::Tell(_)) | Err(_))
            | None => {
                turn.effects.push(Effect::Resume(stream));
            }
        }
        true
    }
}
