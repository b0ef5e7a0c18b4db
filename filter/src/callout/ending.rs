//! The end of a fetch that brought no object: what those who waited get.

use std::rc::Rc;

use super::fetch::{Fetch, Wanted};
use super::fetches::FetchId;
use super::{Callouts, Parts, Waiter};
use crate::account::Held;
use crate::copy::Copies;
use crate::decision::{self, Decision};
use crate::host::{StreamId, Turn};
use crate::origin::{OriginRequest, Verdict};
use crate::reason::{MirrorFailure, NotStored};
use crate::report::{Found, Outcome};

impl Callouts {
    /// Answers all who waited for an object that is not to be had.
    pub(super) fn end_fetch(
        &mut self,
        at: FetchId,
        verdict: &Verdict,
        body: Option<Held>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.remove(at) else { return };
        let Fetch { miss, route, waiters, wanted, .. } = fetch;
        // Who was asked last is told, not who was asked first.
        let asked = route.initial();
        if *verdict == Verdict::Absent {
            let kept = miss.kept_absence(&route, turn.configuration, route.since());
            turn.effects.extend(kept);
        }
        if let Some(Wanted { client, .. }) = wanted {
            let url = asked.url();
            let (client, why) = (client.status(), why_not_stored(verdict));
            turn.count(miss.not_stored(why));
            turn.log(miss.report.line(&Outcome::NotFetched { url: &url, client, why }));
        }
        let body = body.map(Rc::new);
        for waiter in waiters {
            let Waiter { stream, miss, .. } = waiter;
            let reply = turn.conclude(stream, miss.conclude(asked, verdict, body.as_ref()));
            self.answer(stream, reply, turn);
        }
    }

    /// The origin has nothing, and the rules behind are tried for all who waited.
    pub(super) fn fall_through(&mut self, at: FetchId, parts: &Parts<'_>, turn: &mut Turn<'_>) {
        let Some(fetch) = self.fetches.get_mut(at) else { return };
        let waiters = std::mem::take(&mut fetch.waiters);
        let asked = fetch.route.initial().clone();
        for waiter in waiters {
            self.fall_through_for(waiter, &asked, parts.copies, turn);
        }
        self.end_fetch(at, &Verdict::Absent, None, turn);
    }

    fn fall_through_for(
        &mut self,
        waiter: Waiter,
        asked: &OriginRequest,
        copies: &Copies,
        turn: &mut Turn<'_>,
    ) {
        let Waiter { stream, miss, .. } = waiter;
        let decision = decision::fall_through(turn.configuration, &miss);
        if decision.is_some() {
            turn.log(miss.fell_through(asked, Found::Now));
        }
        if !self.follow(stream, decision, copies, turn) {
            let conclusion = miss.conclude(asked, &Verdict::Absent, None);
            let reply = turn.conclude(stream, conclusion);
            self.answer(stream, reply, turn);
        }
    }

    /// Does for a held stream what a rule says; false where none says anything.
    pub(super) fn follow(
        &mut self,
        stream: StreamId,
        decision: Option<Decision>,
        copies: &Copies,
        turn: &mut Turn<'_>,
    ) -> bool {
        let (conclusion, wanted) = match decision {
            Some(Decision::Answer(conclusion)) => (conclusion, None),
            Some(Decision::Fetch(conclusion, wanted)) => (conclusion, Some(wanted)),
            Some(Decision::Mirror(next)) => {
                self.admit(stream, *next, copies, turn.now);
                return true;
            }
            // Rules never say the last three of a miss.
            None | Some(Decision::Pass(_) | Decision::Prove(_) | Decision::Tell(_)) => {
                return false;
            }
        };
        let reply = turn.conclude(stream, conclusion);
        self.answer(stream, reply, turn);
        if let Some(wanted) = wanted {
            self.admit_wanted(*wanted, copies, turn.now);
        }
        true
    }
}

/// Why the bucket does not get an object that nobody waits for any more.
fn why_not_stored(verdict: &Verdict) -> NotStored {
    match verdict {
        Verdict::Absent => NotStored::OriginRefused(404),
        Verdict::Failed(failure) => failure.into(),
        Verdict::Passed(passed) => NotStored::OriginRefused(passed.status),
        Verdict::TooLarge { limit } => (&MirrorFailure::TooLarge { limit: *limit }).into(),
        Verdict::Moved(_) | Verdict::Object(_) | Verdict::Unknown => NotStored::Broken,
    }
}
