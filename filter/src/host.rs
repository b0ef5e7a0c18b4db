//! What the engine and its host exchange: the host reports events, the engine returns effects.

use std::rc::Rc;
use std::time::Duration;

use crate::conclusion::Conclusion;
use crate::configuration::Configuration;
use crate::http::headers::{HeaderList, Headers};
use crate::lease::Lease;
use crate::metric::Metric;
use crate::reply::Reply;
use crate::time::Moment;

/// How often the engine is told the time while something waits for it.
pub const TICK: Duration = Duration::from_millis(100);

/// A stream of the host: one client's request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u32);

/// A callout.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CallId(u64);

/// Something for the host to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Answer a client whose response is held.
    Answer(StreamId, Reply),
    /// Send a request. What comes of it is reported as an answer, or as a dispatch error.
    Call(CallId, Call),
    /// Increment a counter.
    Count(Metric),
    /// Renew a lease, if it is still ours.
    Lease(Lease),
    /// Write a line to the log, at info.
    Log(String),
    /// Give a lease back, if it is still ours.
    Release(Lease),
    /// Report the time this often, or no more.
    Tick(Option<Duration>),
    /// Call `Engine::on_wake` from the root context, soon.
    Wake,
}

/// A request to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The cluster it goes through.
    pub cluster: String,
    /// Its headers.
    pub headers: HeaderList,
    /// Its body, where it has one.
    pub body: Option<Rc<Vec<u8>>>,
    /// How long its answer may take.
    pub timeout: Duration,
    /// It makes an object visible whose copy has begun then: it is not sent if a client has written
    /// that since.
    pub unless_written: Option<(Lease, Moment)>,
}

/// The answer to a callout, as far as the host kept it.
#[derive(Clone, Debug, Default)]
pub struct CallAnswer {
    /// The headers; none at all where the answer broke off.
    pub headers: Headers,
    /// The size of the body.
    pub body_bytes: u64,
    /// The body, where the engine wanted it.
    pub body: Vec<u8>,
}

/// Why a host did not send a callout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DispatchError {
    /// There is no such cluster.
    NoCluster,
    /// The cluster has no host to send to at the moment.
    NoHost,
    /// A client has written the object meanwhile.
    Written,
}

/// The numbers of callouts.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    last: u64,
}

impl Calls {
    pub(crate) const fn next(&mut self) -> CallId {
        self.last += 1;
        CallId(self.last)
    }
}

/// One turn of the engine: what it is given, and the effects that it collects.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    pub(crate) now: Moment,
    pub(crate) configuration: &'t Configuration,
    pub(crate) calls: &'t mut Calls,
    pub(crate) effects: &'t mut Vec<Effect>,
}

impl Turn<'_> {
    /// Sends a request.
    pub(crate) fn call(&mut self, call: Call) -> CallId {
        let id = self.calls.next();
        self.effects.push(Effect::Call(id, call));
        id
    }

    pub(crate) fn count(&mut self, metric: Metric) {
        self.effects.push(Effect::Count(metric));
    }

    pub(crate) fn log(&mut self, line: String) {
        self.effects.push(Effect::Log(line));
    }

    pub(crate) fn wake(&mut self) {
        self.effects.push(Effect::Wake);
    }

    /// Counts and tells how a request ends; returns what its client gets.
    pub(crate) fn conclude(&mut self, conclusion: Conclusion) -> Reply {
        conclude(conclusion, self.effects)
    }
}

/// Counts and tells how a request ends; returns what its client gets.
pub(crate) fn conclude(conclusion: Conclusion, effects: &mut Vec<Effect>) -> Reply {
    effects.push(Effect::Count(conclusion.metric));
    effects.push(Effect::Log(conclusion.line));
    conclusion.reply
}
