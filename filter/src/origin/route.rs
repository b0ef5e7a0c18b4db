//! The way to an object: where its rule says that it is, where that place has sent on to, and who
//! else may have it.

use std::time::Duration;

use super::{Health, OriginRequest, Verdict};
use crate::configuration::Configuration;
use crate::reason::MirrorFailure;
use crate::time::Moment;

/// Redirects of an origin that are followed, one behind the other. OSS's own limit.
pub const MAX_HOPS: u32 = 10;

/// The way to an object, however it is fetched.
#[derive(Clone, Debug)]
pub struct Route {
    initial: OriginRequest,
    moved: Option<OriginRequest>,
    /// Who is asked after this one, where it fails.
    others: Vec<OriginRequest>,
    hops: u32,
    since: Moment,
    /// Whether somebody has been passed over who may have the object.
    is_partial: bool,
}

/// What comes after a verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Next {
    /// What [`Route::current`] says now is to be asked.
    Ask,
    /// The verdict is the last word.
    End(Verdict),
    /// The rules behind are to be tried.
    FallThrough,
}

impl Route {
    /// A way that begins at one origin, and goes on to others where that fails.
    #[must_use]
    pub const fn new(initial: OriginRequest, others: Vec<OriginRequest>, since: Moment) -> Self {
        Self { initial, moved: None, others, hops: 0, since, is_partial: false }
    }

    /// When it was begun.
    pub(crate) const fn since(&self) -> Moment {
        self.since
    }

    /// What the rule says is to be asked. The object is this one's, wherever it was found.
    #[must_use]
    pub const fn initial(&self) -> &OriginRequest {
        &self.initial
    }

    /// What is asked now.
    #[must_use]
    pub fn current(&self) -> &OriginRequest {
        self.moved.as_ref().unwrap_or(&self.initial)
    }

    /// Whether a redirect has been followed.
    #[must_use]
    pub const fn is_moved(&self) -> bool {
        self.moved.is_some()
    }

    /// Whether somebody else is asked where this one fails.
    #[must_use]
    pub const fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether somebody has been passed over who may have the object.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// What is asked now is asked for the first time.
    pub(crate) const fn begin(&mut self, now: Moment) {
        self.hops = 0;
        self.since = now;
    }

    /// What is asked now is asked so much later.
    pub(crate) fn postpone(&mut self, wait: Duration) {
        self.since = self.since.after(wait);
    }

    /// Goes back to where the rule says.
    pub(crate) fn restart(&mut self) {
        self.moved = None;
    }

    /// Puts those first that are well.
    pub(crate) fn prefer_well(&mut self, health: &Health, now: Moment) {
        if self.others.is_empty() {
            return;
        }
        let mut candidates = vec![self.initial.clone()];
        candidates.append(&mut self.others);
        let mut candidates = health.sorted(candidates, now);
        let first = candidates.remove(0);
        self.is_partial |= first != self.initial;
        self.initial = first;
        self.others = candidates;
    }

    /// What comes after an answer of what is asked now.
    pub(crate) fn on_verdict(
        &mut self,
        verdict: Verdict,
        configuration: &Configuration,
        health: &mut Health,
        now: Moment,
    ) -> Next {
        let origin = self.current().origin();
        health.on_verdict(&origin, verdict.is_well(), configuration.breaker, now);
        let verdict = match verdict {
            Verdict::Moved(location) => match self.follow(&location, configuration, now) {
                Ok(()) => return Next::Ask,
                Err(failure) => Verdict::Failed(failure),
            },
            Verdict::Absent if self.initial.rule().fall_through => return Next::FallThrough,
            verdict @ (Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::Object(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge { .. }
            | Verdict::Unknown) => verdict,
        };
        if self.others.is_empty() || !self.current().is_failure(&verdict) {
            return Next::End(verdict);
        }
        health.fails(self.initial.origin(), now);
        if !self.is_in_time(configuration.timeouts.origin, now) {
            return Next::End(verdict);
        }
        self.go_on();
        Next::Ask
    }

    /// The next one is asked. False where there is none.
    fn go_on(&mut self) -> bool {
        if self.others.is_empty() {
            return false;
        }
        self.initial = self.others.remove(0);
        self.is_partial = true;
        self.moved = None;
        self.hops = 0;
        true
    }

    /// Goes on to the first that may be asked: those that keep failing are left alone.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn admit(&mut self, health: &mut Health, now: Moment) -> Result<(), MirrorFailure> {
        loop {
            match health.admit(&self.current().origin(), now) {
                Ok(()) => return Ok(()),
                Err(wait) if !self.go_on() => return Err(MirrorFailure::breaker_open(wait)),
                Err(_) => {}
            }
        }
    }

    /// Goes where a redirect says, if the configuration names that place.
    ///
    /// # Errors
    ///
    /// It does not, or this was one redirect too many, or the time is up.
    pub(crate) fn follow(
        &mut self,
        location: &[u8],
        configuration: &Configuration,
        now: Moment,
    ) -> Result<(), MirrorFailure> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(MirrorFailure::Loop);
        }
        let moved = self.current().follow(location, |origin| configuration.cluster_of(origin))?;
        if !self.is_in_time(configuration.timeouts.origin, now) {
            return Err(MirrorFailure::TimedOut);
        }
        self.moved = Some(moved);
        Ok(())
    }

    /// Whether one more request may follow: two times what one answer may take have not passed, so
    /// that all of it takes three at most.
    #[must_use]
    fn is_in_time(&self, standard: Duration, now: Moment) -> bool {
        now < self.since.after(self.initial.timeout(standard).saturating_mul(2))
    }

    /// Which answers lead on from here, as [`crate::miss_route::RETURNS`] lists them. `is_ranged`:
    /// the client asked for a part, and is answered itself where that is not there.
    #[must_use]
    pub(crate) fn returns(&self, is_ranged: bool) -> String {
        let rule = self.initial.rule();
        let mut words = Vec::new();
        if rule.follow_redirect {
            words.extend(["301", "302", "303", "307", "308"]);
        }
        if rule.fall_through && !rule.transparent.contains(404) {
            words.push("404");
        }
        if self.has_others() {
            words.push("5xx");
            if rule.alternates.switch_all_errors {
                words.extend(["3xx", "4xx"]);
                if is_ranged {
                    words.push("!416");
                }
                if !rule.fall_through || rule.transparent.contains(404) {
                    words.push("!404");
                }
                if !rule.follow_redirect {
                    words.extend(["!301", "!302", "!303", "!307"]);
                }
            }
        }
        words.join(" ")
    }
}
