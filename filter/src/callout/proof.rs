//! Proving: the bucket is asked whether it lacks an object, with the gateway's own keys, before
//! anybody else is. It has told the client nothing of that.

use super::{Callouts, Parts};
use crate::decision::{self, Decision, Doubt, is_delete_marker};
use crate::host::{Call, CallId, Effect, StreamId, Turn};
use crate::http::headers::Headers;
use crate::http::trace::Trace;
use crate::store;

/// A request whose response is held until it is known whether the object is there.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) stream: StreamId,
    doubt: Box<Doubt>,
    /// The question, once it is asked.
    call: Option<CallId>,
}

impl Callouts {
    /// A stream's response is held until it is known whether the object is there.
    pub(crate) fn on_doubt(&mut self, stream: StreamId, doubt: Box<Doubt>) -> Vec<Effect> {
        self.proofs.push(Proof { stream, doubt, call: None });
        vec![Effect::Wake]
    }

    /// Asks for those that have come; where too many are asked for already, the response stays.
    pub(super) fn start_proofs(&mut self, turn: &mut Turn<'_>) {
        let limit = usize::try_from(turn.configuration.limits.fetches).unwrap_or(usize::MAX);
        let mut asked = 0;
        self.proofs.retain_mut(|proof| {
            let request = &proof.doubt.request;
            let bucket = turn.configuration.bucket(&request.bucket).filter(|_| asked < limit);
            asked += 1;
            match (proof.call, bucket) {
                (Some(_), _) => true,
                (None, None) => {
                    turn.effects.push(Effect::Resume(proof.stream));
                    false
                }
                (None, Some(bucket)) => {
                    let mut headers = store::read(bucket, &proof.doubt.key(), "HEAD");
                    Trace::of(&request.headers).go_on(&mut headers);
                    let (cluster, timeouts) = (&bucket.store.cluster, turn.configuration.timeouts);
                    let asked = Call::new(cluster.clone(), headers, timeouts.store);
                    proof.call = Some(turn.call(asked));
                    true
                }
            }
        });
    }

    /// The bucket has answered, or was not heard. False where it was not asked.
    pub(super) fn on_proof(
        &mut self,
        call: CallId,
        answer: Option<&Headers>,
        parts: &Parts<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(at) = self.proofs.iter().position(|proof| proof.call == Some(call)) else {
            return false;
        };
        let Proof { stream, doubt, .. } = self.proofs.remove(at);
        let is_absent = answer.is_some_and(|answer| {
            answer.status() == Some(404) && doubt.is_settled_by_404(is_delete_marker(answer))
        });
        let decision = if is_absent {
            match decision::not_there(turn.configuration, *doubt) {
                Some(Decision::Prove(doubt)) => {
                    self.proofs.push(Proof { stream, doubt, call: None });
                    turn.wake();
                    return true;
                }
                decision => decision,
            }
        } else if doubt.is_about_tombstone() {
            let status = answer.and_then(Headers::status);
            decision::deleted(turn.configuration, *doubt, status).map(Decision::Answer)
        } else {
            None
        };
        if !self.follow(stream, decision, parts.copies, turn) {
            turn.effects.push(Effect::Resume(stream));
        }
        true
    }
}
