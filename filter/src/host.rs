//! What the engine and its host exchange: the host reports events, the engine returns effects.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::absence::Absence;
use crate::account::{Body, Booking};
use crate::conclusion::{Conclusion, Told};
use crate::configuration::Configuration;
use crate::http::headers::{HeaderList, Headers};
use crate::lease::Lease;
use crate::metric::Series;
use crate::quota::Fare;
use crate::record::Record;
use crate::reply::Reply;
use crate::time::Moment;

/// How often the engine is told the time while something waits for it.
pub const TICK: Duration = Duration::from_millis(100);

/// A stream of the host: one client's request.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u32);

/// A callout.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CallId(u64);

impl CallId {
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// Something for the host to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Keep for all workers that no origin has an object, by what was asked since then.
    Absent(Absence, Moment),
    /// Answer a client whose response is held.
    Answer(StreamId, Reply),
    /// Send a request. What comes of it is reported as an answer, or as a dispatch error.
    Call(CallId, Call),
    /// Take a lease, and tell `Engine::on_lease` whether it is ours.
    Claim(Lease),
    /// Renew a lease, if it is still ours.
    Lease(Lease),
    /// Write a line to the log, at info.
    Log(String),
    /// Add so much to a series, or set or observe it, as its metric is.
    Measure(Series, i64),
    /// Tell the access log of a client's request. Only where there is one.
    Record(StreamId, Record),
    /// Give a lease back, if it is still ours.
    Release(Lease),
    /// Let a held response go to its client as it is.
    Resume(StreamId),
    /// Send a client's request on that has waited, with these headers and no others.
    Send(StreamId, HeaderList),
    /// Keep for all workers how the fetch of an object has ended: whether the bucket has it now.
    Settle(Lease, bool),
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
    pub body: Option<Body>,
    /// How long its answer may take.
    pub timeout: Duration,
    /// What it is paid with where it goes to an origin for an object. It is not sent beyond the quota.
    pub fare: Option<Fare>,
    /// What goes up by one when it has been sent.
    pub counted: Option<Box<Series>>,
    /// It makes an object visible whose copy has begun then: it is not sent if a client has written
    /// that since.
    pub unless_written: Option<(Lease, Moment)>,
}

impl Call {
    /// A request without a body, of which nothing else is to be said.
    pub(crate) const fn new(cluster: String, headers: HeaderList, timeout: Duration) -> Self {
        Self {
            cluster,
            headers,
            body: None,
            timeout,
            fare: None,
            counted: None,
            unless_written: None,
        }
    }
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
    /// The quota of mirroring has no room for it for so long.
    Limited(Duration),
    /// There is no such cluster.
    NoCluster,
    /// The cluster has no host to send to at the moment.
    NoHost,
    /// A client has written the object meanwhile.
    Written,
}

/// The callouts under way: their numbers, and the memory that the host has for each.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    last: u64,
    booked: BTreeMap<CallId, Booked>,
}

/// The memory of a callout.
#[derive(Debug)]
pub(crate) enum Booked {
    /// For its answer, in the host and here.
    Answer(Booking),
    /// For its body, in the host.
    Body(
        #[cfg_attr(not(test), expect(dead_code, reason = "it is there to be dropped in time"))]
        Rc<Booking>,
    ),
}

impl Calls {
    pub(crate) const fn next(&mut self) -> CallId {
        self.last += 1;
        CallId(self.last)
    }

    /// It is over; what was booked for it is given back when this is dropped.
    pub(crate) fn close(&mut self, id: CallId) -> Option<Booked> {
        self.booked.remove(&id)
    }

    /// What is booked for the answer of a callout under way.
    pub(crate) fn answer(&mut self, id: CallId) -> Option<&mut Booking> {
        match self.booked.get_mut(&id)? {
            Booked::Answer(booking) => Some(booking),
            Booked::Body(_) => None,
        }
    }

    /// What is booked for all of them.
    #[cfg(test)]
    pub(crate) fn booked(&self) -> impl Iterator<Item = crate::account::Usage> {
        self.booked.values().map(|booked| match booked {
            Booked::Answer(booking) => booking.size(),
            Booked::Body(booking) => booking.size(),
        })
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
    /// Sends a request of whose answer no body is kept.
    pub(crate) fn call(&mut self, call: Call) -> CallId {
        let id = self.calls.next();
        self.send(id, call, None);
        id
    }

    /// Sends a request. `answer` is what its answer takes. What its body takes in the host is
    /// booked until it is answered.
    pub(crate) fn send(&mut self, id: CallId, call: Call, answer: Option<Booking>) {
        let body = call.body.as_ref().map(|body| Booked::Body(body.booking()));
        if let Some(booked) = answer.map(Booked::Answer).or(body) {
            self.calls.booked.insert(id, booked);
        }
        self.effects.push(Effect::Call(id, call));
    }

    pub(crate) fn count(&mut self, series: Series) {
        self.measure(series, 1);
    }

    /// Measures a size, a count or a time.
    pub(crate) fn measure(&mut self, series: Series, value: u64) {
        self.effects.push(measured(series, value));
    }

    pub(crate) fn log(&mut self, line: String) {
        self.effects.push(Effect::Log(line));
    }

    pub(crate) fn wake(&mut self) {
        self.effects.push(Effect::Wake);
    }

    /// Counts and tells how a client's request ends; returns what it gets.
    pub(crate) fn conclude(&mut self, stream: StreamId, conclusion: Conclusion) -> Reply {
        conclude(stream, conclusion, self.effects)
    }

    /// Tells of a client's request.
    pub(crate) fn tell(&mut self, stream: StreamId, told: Told) {
        self.effects.push(tell(stream, told));
    }
}

/// A size, a count or a time. Hosts count in signed numbers.
pub(crate) fn measured(series: Series, value: u64) -> Effect {
    Effect::Measure(series, i64::try_from(value).unwrap_or(i64::MAX))
}

/// Counts and tells how a client's request ends; returns what it gets.
pub(crate) fn conclude(
    stream: StreamId,
    conclusion: Conclusion,
    effects: &mut Vec<Effect>,
) -> Reply {
    let Conclusion { reply, series, told } = conclusion;
    effects.push(Effect::Measure(series, 1));
    effects.push(tell(stream, told));
    reply
}

/// Tells of a client's request.
pub(crate) fn tell(stream: StreamId, told: Told) -> Effect {
    match told {
        Told::Line(line) => Effect::Log(line),
        Told::Record(record) => Effect::Record(stream, record),
    }
}
