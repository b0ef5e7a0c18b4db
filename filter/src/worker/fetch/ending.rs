//! The end of a fetch that brought no object: what those who waited get.

use std::rc::Rc;

use super::super::{Effect, Moment, Waiter, Worker};
use super::{Fetch, Wanted};
use crate::exchange::{self, Decision, Miss};
use crate::metric::Metric;
use crate::origin::Verdict;
use crate::reason::{MirrorFailure, NotStored};
use crate::reply::Reply;
use crate::report::Outcome;
use crate::rule::TooLarge;

impl Worker {
    /// Answers all who waited for an object that is not to be had.
    pub(super) fn end_fetch(
        &mut self,
        at: usize,
        verdict: &Verdict,
        body: Vec<u8>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Fetch { miss, trail, waiters, wanted, .. } = self.fetches.remove(at);
        let origin = trail.origin();
        if let Some(Wanted { client, bytes }) = wanted {
            let too_large = MirrorFailure::TooLarge { limit: self.limit(&miss) };
            let failure = match verdict {
                Verdict::Absent => MirrorFailure::Status(404),
                Verdict::Failed(failure) => failure.clone(),
                Verdict::Passed(passed) => MirrorFailure::Status(passed.status),
                Verdict::TooLarge => too_large,
                Verdict::Moved(_) | Verdict::Object(_) | Verdict::Unknown => MirrorFailure::Broken,
            };
            effects.push(Effect::Count(Metric::NotStored));
            let url = origin.url();
            match bytes {
                Some(bytes) => {
                    let why = NotStored::from(&failure);
                    tell(&miss, &url, bytes, client.status(), Some(Err(why)), effects);
                }
                None => {
                    let outcome = Outcome::NotFetched { url: &url, failure: &failure };
                    effects.push(Effect::Log(miss.report.line(&outcome)));
                }
            }
        }
        let body = Rc::new(body);
        for waiter in waiters {
            let Waiter { stream, miss: own, first } = waiter;
            // Who was asked last is told, not who was asked first.
            let waiter = Waiter { stream, miss: Miss { origin: origin.clone(), ..own }, first };
            match verdict {
                Verdict::Absent if waiter.miss.origin.rule().fall_through => {
                    self.fall_through(waiter, now, effects);
                }
                Verdict::Passed(passed) => {
                    let url = waiter.miss.origin.url();
                    let outcome = Outcome::Passed { url: &url, status: passed.status };
                    effects.push(Effect::Count(Metric::Mirrored));
                    effects.push(Effect::Log(waiter.miss.report.line(&outcome)));
                    self.answer(waiter.stream, Reply::passed(passed, &body), effects);
                }
                Verdict::Absent
                | Verdict::Failed(_)
                | Verdict::Moved(_)
                | Verdict::Object(_)
                | Verdict::TooLarge
                | Verdict::Unknown => self.answer_without_object(&waiter, verdict, effects),
            }
        }
    }

    /// The origin has nothing, and the rules behind are to be tried.
    fn fall_through(&mut self, waiter: Waiter, now: Moment, effects: &mut Vec<Effect>) {
        let configuration = Rc::clone(&self.configuration);
        let Some(decision) = exchange::fall_through(&configuration, &waiter.miss) else {
            return self.answer_without_object(&waiter, &Verdict::Absent, effects);
        };
        let outcome = Outcome::FellThrough { url: &waiter.miss.origin.url() };
        effects.push(Effect::Log(waiter.miss.report.line(&outcome)));
        match decision {
            Decision::Answer { reply, metric, line } => {
                effects.push(Effect::Count(metric));
                effects.push(Effect::Log(line));
                self.answer(waiter.stream, reply, effects);
            }
            Decision::Fetch { reply, line, miss } => {
                effects.push(Effect::Count(Metric::Redirected));
                effects.push(Effect::Log(line));
                self.answer(waiter.stream, reply, effects);
                self.admit_wanted(*miss, now);
            }
            Decision::Mirror(miss) => self.admit(waiter.stream, *miss, now),
            // Rules never say so of a miss.
            Decision::Pass(_) | Decision::Tell(_) => {
                self.answer_without_object(&waiter, &Verdict::Absent, effects);
            }
        }
    }

    fn limit(&self, miss: &Miss) -> u64 {
        miss.origin.limit(&self.configuration.limits)
    }

    pub(in super::super) fn answer_without_object(
        &mut self,
        waiter: &Waiter,
        verdict: &Verdict,
        effects: &mut Vec<Effect>,
    ) {
        let miss = &waiter.miss;
        let url = miss.origin.url();
        let failure = match verdict {
            Verdict::Absent => {
                effects.push(Effect::Count(Metric::Absent));
                effects.push(Effect::Log(miss.report.line(&Outcome::Absent { url: &url })));
                self.answer(waiter.stream, Reply::absent(miss.rule, &miss.request), effects);
                return;
            }
            Verdict::TooLarge => match miss.origin.rule().too_large {
                TooLarge::Redirect => {
                    let location = miss.origin.location();
                    let outcome = Outcome::TooLarge { location: &location };
                    effects.push(Effect::Count(Metric::TooLarge));
                    effects.push(Effect::Log(miss.report.line(&outcome)));
                    self.answer(waiter.stream, Reply::redirect(302, &location), effects);
                    return;
                }
                TooLarge::Fail => &MirrorFailure::TooLarge { limit: self.limit(miss) },
            },
            Verdict::Failed(failure) => failure,
            Verdict::Moved(_) | Verdict::Object(_) | Verdict::Passed(_) | Verdict::Unknown => {
                &MirrorFailure::Broken
            }
        };
        let outcome = Outcome::Failed { url: Some(&url), failure };
        effects.push(Effect::Count(Metric::MirrorFailed));
        effects.push(Effect::Log(miss.report.line(&outcome)));
        self.answer(waiter.stream, Reply::failed(miss.rule, failure, &miss.request), effects);
    }
}

/// Tells of one request that an object, or its headers, came for.
pub(in super::super) fn tell(
    miss: &Miss,
    url: &str,
    bytes: u64,
    client: Option<u16>,
    stored: Option<Result<(), NotStored>>,
    effects: &mut Vec<Effect>,
) {
    let outcome = Outcome::Mirrored { url, bytes, client, stored };
    effects.push(Effect::Log(miss.report.line(&outcome)));
}
