//! Which origins are asked first: those that have failed, or whose probe says so, come last.
//!
//! Nothing is probed while nobody misses anything: a probe goes out beside a miss when the last one
//! is older than [`INTERVAL`], and its answer counts for the misses after it.

use std::time::Duration;

use super::{OriginRequest, Route, USER_AGENT};
use crate::configuration::Breaker;
use crate::host::{Call, CallId, Turn};
use crate::http::headers::HeaderList;
use crate::http::location::Place;
use crate::time::Moment;

/// How long an origin that failed comes last, and how old a probe's answer may become.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is known of origins.
#[derive(Debug, Default)]
pub struct Health {
    /// Origins that failed, as `scheme://host[:port]`, and until when that counts.
    failed: Vec<(String, Moment)>,
    probes: Vec<Probe>,
    /// Origins whose last requests have failed.
    breakers: Vec<Failing>,
}

/// An origin whose last requests have all failed.
#[derive(Debug)]
struct Failing {
    origin: String,
    failures: u64,
    /// Until when it is left alone; then one request looks whether it is well.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Moment,
    lasts: Duration,
    /// Whether a request looks whether it is well.
    is_tried: bool,
}

/// For how long an origin is left alone at most, unless that is so at first.
const LONGEST_OPEN: Duration = Duration::from_secs(60);

/// A `MirrorURLProbe` and what it last said of its MirrorURL's origin.
#[derive(Debug)]
struct Probe {
    place: Place,
    origin: String,
    asked: Moment,
    call: Option<CallId>,
    is_well: bool,
}

impl Health {
    /// Those that are well first, and otherwise in the same order.
    pub(crate) fn sorted(&self, candidates: Vec<OriginRequest>, now: Moment) -> Vec<OriginRequest> {
        let is_ill = |candidate: &OriginRequest| self.is_ill(&candidate.origin(), now);
        let (ill, mut well): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_ill);
        well.extend(ill);
        well
    }

    fn is_ill(&self, origin: &str, now: Moment) -> bool {
        self.failed.iter().any(|(known, until)| known == origin && now < *until)
            || self.probes.iter().any(|probe| probe.origin == origin && !probe.is_well)
    }

    /// An origin has failed.
    pub(crate) fn fails(&mut self, origin: String, now: Moment) {
        self.failed.retain(|(known, until)| *known != origin && now < *until);
        self.failed.push((origin, now.after(INTERVAL)));
    }

    /// Whether an origin may be asked. Where one that was left alone is due, the request that asks is
    /// the only one until it is heard of, or that time has passed once more.
    ///
    /// # Errors
    ///
    /// It is left alone for so long.
    pub(crate) fn admit(&mut self, origin: &str, now: Moment) -> Result<(), Duration> {
        let failing = self.breakers.iter_mut().find(|failing| failing.origin == origin);
        let Some(open) = failing.and_then(|failing| failing.open.as_mut()) else { return Ok(()) };
        // A clock that was put back leaves nobody alone for longer.
        let wait = open.until.since(now).min(open.lasts);
        if !wait.is_zero() {
            return Err(wait);
        }
        (open.until, open.is_tried) = (now.after(open.lasts), true);
        Ok(())
    }

    /// What an answer, or its absence, says of an origin.
    pub(crate) fn on_verdict(
        &mut self,
        origin: &str,
        is_well: Option<bool>,
        breaker: Option<Breaker>,
        now: Moment,
    ) {
        match (is_well, breaker) {
            (Some(true), _) => self.breakers.retain(|failing| failing.origin != origin),
            (Some(false), Some(breaker)) => self.fails_again(origin, breaker, now),
            (Some(false), None) | (None, _) => {}
        }
    }

    fn fails_again(&mut self, origin: &str, breaker: Breaker, now: Moment) {
        let at = self.breakers.iter().position(|failing| failing.origin == origin);
        let at = at.unwrap_or_else(|| {
            self.breakers.push(Failing { origin: origin.to_owned(), failures: 0, open: None });
            self.breakers.len().saturating_sub(1)
        });
        let Some(failing) = self.breakers.get_mut(at) else { return };
        failing.failures = failing.failures.saturating_add(1);
        if failing.failures < breaker.failures {
            return;
        }
        let lasts = match failing.open {
            None => breaker.open_for,
            // It was asked before it was left alone.
            Some(open) if !open.is_tried => return,
            Some(open) => open.lasts.saturating_mul(2).min(LONGEST_OPEN.max(breaker.open_for)),
        };
        failing.open = Some(Open { until: now.after(lasts), lasts, is_tried: false });
    }

    /// Sends the probe that is due beside a request of this route, if one is.
    pub(crate) fn probe_beside(&mut self, route: &Route, turn: &mut Turn<'_>) {
        let first = route.initial();
        let Some(place) = first.rule().alternates.probe.as_ref().filter(|_| route.has_others())
        else {
            return;
        };
        let origin = first.rule().url.origin();
        let cluster = turn.configuration.cluster_of(&first.rule().server(place.origin()));
        let known = |probe: &&mut Probe| probe.place == *place && probe.origin == origin;
        let now = turn.now;
        let probe = self.probes.iter_mut().find(known);
        let is_fresh = probe
            .as_ref()
            .is_some_and(|probe| probe.call.is_some() || now < probe.asked.after(INTERVAL));
        let Some(cluster) = cluster.filter(|_| !is_fresh) else { return };
        let timeout = first.timeout(turn.configuration.timeouts.origin);
        let headers = request(place, USER_AGENT);
        let call = Some(turn.call(Call::new(cluster.to_owned(), headers, timeout)));
        match probe {
            Some(probe) => {
                probe.asked = now;
                probe.call = call;
            }
            None => {
                let place = place.clone();
                self.probes.push(Probe { place, origin, asked: now, call, is_well: true });
            }
        }
    }

    /// A call is over; whether it was a probe.
    pub(crate) fn on_answer(&mut self, call: CallId, status: Option<u16>) -> bool {
        let Some(probe) = self.probes.iter_mut().find(|probe| probe.call == Some(call)) else {
            return false;
        };
        probe.call = None;
        probe.is_well = status == Some(200);
        if probe.is_well {
            self.failed.retain(|(known, _)| *known != probe.origin);
        }
        true
    }
}

/// The request of a probe.
fn request(place: &Place, user_agent: &str) -> HeaderList {
    let query = if place.query.is_empty() { "" } else { "?" };
    HeaderList::new()
        .with(":method", "GET")
        .with(":scheme", place.scheme.as_str())
        .with(":authority", &place.authority)
        .with(":path", format!("{}{query}{}", place.path, place.query))
        .with("accept", "*/*")
        .with("user-agent", user_agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKER: Breaker = Breaker { failures: 3, open_for: Duration::from_secs(10) };

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(1_000 + seconds))
    }

    fn fail(health: &mut Health, times: usize, now: Moment) {
        for _ in 0..times {
            health.on_verdict("o", Some(false), Some(BREAKER), now);
        }
    }

    #[test]
    fn who_keeps_failing_is_left_alone_and_tried_by_one_request() {
        let mut health = Health::default();
        fail(&mut health, 2, at(0));
        assert_eq!(health.admit("o", at(0)), Ok(()));
        fail(&mut health, 1, at(0));
        assert_eq!(health.admit("o", at(1)), Err(Duration::from_secs(9)));
        assert_eq!(health.admit("p", at(1)), Ok(()), "another origin");
        // Requests that were under way fail too.
        fail(&mut health, 5, at(2));
        assert_eq!(health.admit("o", at(2)), Err(Duration::from_secs(8)));
        assert_eq!(health.admit("o", at(10)), Ok(()), "one looks");
        assert_eq!(health.admit("o", at(10)), Err(Duration::from_secs(10)), "and no other");
        // It fails: twice as long, up to a minute.
        for (now, lasts) in [(10, 20), (30, 40), (70, 60), (130, 60)] {
            let _ = health.admit("o", at(now));
            fail(&mut health, 1, at(now));
            assert_eq!(health.admit("o", at(now)), Err(Duration::from_secs(lasts)));
        }
        assert_eq!(health.admit("o", at(190)), Ok(()));
        health.on_verdict("o", Some(true), Some(BREAKER), at(190));
        assert_eq!(health.admit("o", at(190)), Ok(()), "it is well again");
        fail(&mut health, 2, at(190));
        assert_eq!(health.admit("o", at(190)), Ok(()), "and begins anew");
    }

    #[test]
    fn only_failures_in_a_row_count_and_only_where_a_breaker_is() {
        let mut health = Health::default();
        for _ in 0..10 {
            fail(&mut health, 2, at(0));
            health.on_verdict("o", None, Some(BREAKER), at(0));
            health.on_verdict("o", Some(true), Some(BREAKER), at(0));
        }
        assert_eq!(health.admit("o", at(0)), Ok(()));
        for _ in 0..10 {
            health.on_verdict("o", Some(false), None, at(0));
        }
        assert_eq!(health.admit("o", at(0)), Ok(()));
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_nobody_alone_for_longer() {
        let mut health = Health::default();
        fail(&mut health, 3, at(3_600));
        assert_eq!(health.admit("o", at(0)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn what_a_client_can_bring_about_is_no_failure_of_an_origins() {
        use crate::origin::Verdict;
        use crate::reason::MirrorFailure as F;
        for (verdict, expected) in [
            (Verdict::Absent, Some(true)),
            (Verdict::Failed(F::Status(403)), Some(true)),
            (Verdict::Failed(F::Status(503)), Some(false)),
            (Verdict::Failed(F::Unreachable), Some(false)),
            (Verdict::Failed(F::TimedOut), Some(false)),
            (Verdict::Failed(F::Overloaded), None),
            (Verdict::Failed(F::Limited { retry_after: 1 }), None),
            (Verdict::TooLarge { limit: 1 }, Some(true)),
        ] {
            assert_eq!(verdict.is_well(), expected, "{verdict:?}");
        }
    }
}
