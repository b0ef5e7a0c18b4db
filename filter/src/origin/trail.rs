//! The way to an object: where its rule says that it is, and where that place has sent on to.

use std::time::Duration;

use super::OriginRequest;
use crate::configuration::Configuration;
use crate::reason::MirrorFailure;
use crate::worker::Moment;

/// Redirects of an origin that are followed, one behind the other. OSS's own limit.
pub const MAX_HOPS: u32 = 10;

/// The way to an object, however it is fetched.
#[derive(Clone, Debug)]
pub struct Trail {
    origin: OriginRequest,
    moved: Option<OriginRequest>,
    hops: u32,
    since: Moment,
}

impl Trail {
    /// A way that begins where a rule says.
    #[must_use]
    pub const fn new(origin: OriginRequest, since: Moment) -> Self {
        Self { origin, moved: None, hops: 0, since }
    }

    /// What the rule says is to be asked. The object is this one's, wherever it was found.
    #[must_use]
    pub const fn origin(&self) -> &OriginRequest {
        &self.origin
    }

    /// What is asked now.
    #[must_use]
    pub fn asked(&self) -> &OriginRequest {
        self.moved.as_ref().unwrap_or(&self.origin)
    }

    /// Whether a redirect has been followed.
    #[must_use]
    pub const fn is_moved(&self) -> bool {
        self.moved.is_some()
    }

    /// What is asked now is asked for the first time.
    pub(crate) const fn begin(&mut self, now: Moment) {
        self.hops = 0;
        self.since = now;
    }

    /// Goes back to where the rule says.
    pub(crate) fn restart(&mut self) {
        self.moved = None;
    }

    /// Goes on where else the rule says, in what is left of the time.
    pub(crate) fn turn_to(&mut self, origin: OriginRequest) {
        *self = Self::new(origin, self.since);
    }

    /// Goes where a redirect says, if the configuration names that place.
    ///
    /// # Errors
    ///
    /// It does not, or this was one redirect too many, or the time is up.
    pub(crate) fn follow(
        &mut self,
        location: &str,
        configuration: &Configuration,
        now: Moment,
    ) -> Result<(), MirrorFailure> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(MirrorFailure::Loop);
        }
        let moved = self.asked().follow(location, |origin| configuration.cluster_of(origin))?;
        if !self.is_in_time(configuration.timeouts.origin, now) {
            return Err(MirrorFailure::TimedOut);
        }
        self.moved = Some(moved);
        Ok(())
    }

    /// Whether one more request may follow: two times what one answer may take have not passed, so
    /// that all of it takes three at most.
    #[must_use]
    pub(crate) fn is_in_time(&self, standard: Duration, now: Moment) -> bool {
        now < self.since.after(self.origin.timeout(standard).saturating_mul(2))
    }
}
