//! One request on the origin's side of a gateway: a miss that the gateway itself sends on.
//!
//! ```text
//! New ──request──▶ Asked ──answer──▶ Streaming (its bytes are copied) ──▶ Settled
//!        │           ▲ └─────────────────────────────────────────────────▶ Settled
//!        │           │ └─ a redirect, or nothing and a later rule ─▶ Leaving (the gateway
//!        │           └──────── asks elsewhere, by a visit of its own) ◀┘
//!        └ no mirror rule, or no way to the origin ─────────────────────▶ Settled
//! ```
//!
//! The gateway has decided already that the bucket lacks the object; which rule applies is decided
//! again here, by the same engine, since only rules say what the origin is to be asked.

mod asked;
pub mod attempt;
#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use self::asked::Asked;
use self::attempt::AttemptId;
use crate::configuration::Configuration;
use crate::exchange::{self, Decision};
use crate::http::headers::{HeaderList, Headers};
use crate::matching::{self, Answer, Source};
use crate::metric::Metric;
use crate::origin::Trail;
use crate::reply::Reply;
use crate::request::ObjectRequest;
use crate::rule::RuleSet;
use crate::transfer::{Plan, TransferId};
use crate::worker::{Moment, Ticket};

/// One request.
#[derive(Debug)]
pub struct Visit {
    state: State,
}

#[derive(Debug)]
enum State {
    Asked(Rc<Asked>),
    /// Another attempt is wanted; until it comes the answer is what the client gets without.
    Leaving(AttemptId, Refusal),
    New,
    /// The client has got an answer in place of the origin's, whose body is nobody's.
    Refused,
    Settled,
    Streaming(TransferId),
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Departure {
    /// The client gets an answer at once.
    Answer(Refusal),
    /// The client gets an answer at once, and the object is fetched for itself.
    Fetch(Refusal, Box<(Plan, Trail)>),
    /// These headers go to the origin, and no others.
    Send(HeaderList, Rc<Asked>),
}

/// An answer in place of the origin's.
#[derive(Debug)]
pub struct Refusal {
    /// What the client gets.
    pub reply: Reply,
    /// The counter that goes up.
    pub metric: Metric,
    /// The line for the log.
    pub line: String,
}

/// What becomes of an origin's answer.
#[derive(Debug)]
pub enum Arrival {
    /// The gateway is to ask elsewhere; the client gets this where it does not.
    Again(Box<(Rc<Asked>, Refusal)>),
    /// The client gets another answer.
    Answer(Refusal),
    /// The client gets another answer, since it asked for a part that is not there; the bucket gets
    /// the object.
    Backfill(Refusal, Box<(Plan, Trail)>),
    /// The origin has nothing, of which a line tells, and this comes of a later rule.
    FellThrough(String, Box<Self>),
    /// The client gets the body with these headers.
    Stream {
        /// The headers.
        headers: HeaderList,
        /// How the bucket gets the object, where it gets it.
        storing: Option<Box<Storing>>,
    },
}

/// How an object gets into the bucket.
#[derive(Debug)]
pub enum Storing {
    /// By a fetch of its own: the client only wanted a part, or the headers.
    Later(Plan, Trail),
    /// On its way through; the trail is for the fetch that is needed when that fails.
    Now(Plan, Trail),
}

impl Visit {
    /// A request, of which nothing is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::New }
    }

    /// The request leaves for the origin.
    pub fn on_request(
        &mut self,
        configuration: &Configuration,
        headers: Headers,
        now: Moment,
    ) -> Departure {
        let knows = |name: &str| configuration.bucket(name).is_some();
        self.state = State::Settled;
        let Ok(request) =
            ObjectRequest::read(headers.clone(), configuration.domain.as_deref(), knows)
        else {
            return Departure::not_covered(&headers);
        };
        let nothing = RuleSet::default();
        let rules = configuration.bucket(&request.bucket).map_or(&nothing, |b| &b.rules);
        let answer = Answer { status: 404, source: Source::Bucket, deleted: false };
        let Ok(rule) = matching::first_match(rules, request.named(), answer) else {
            return Departure::not_covered(&headers);
        };
        match exchange::act(configuration, rule, request, Ticket::default(), answer) {
            Decision::Answer { reply, metric, line } => {
                Departure::Answer(Refusal { reply, metric, line })
            }
            Decision::Fetch { reply, line, miss } => {
                let (answer, object) = Asked::new(*miss, now).fetched(reply, line);
                Departure::Fetch(answer, object)
            }
            Decision::Mirror(miss) => self.send(Rc::new(Asked::new(*miss, now))),
            // Rules never say so of a miss.
            Decision::Pass(_) | Decision::Tell(_) => Departure::not_covered(&headers),
        }
    }

    /// The request leaves for where an earlier attempt was sent to: what waited for it, if anything
    /// did.
    pub fn on_attempt(&mut self, asked: Option<Rc<Asked>>, headers: &Headers) -> Departure {
        self.state = State::Settled;
        match asked {
            Some(asked) => self.send(asked),
            None => Departure::Answer(Refusal {
                reply: Reply::lost(headers),
                metric: Metric::MirrorFailed,
                line: "an attempt was made that nobody waits for".to_owned(),
            }),
        }
    }

    fn send(&mut self, asked: Rc<Asked>) -> Departure {
        self.state = State::Asked(Rc::clone(&asked));
        Departure::Send(asked.headers(), asked)
    }

    /// The origin's answer begins. `None` after a request that was not sent.
    pub fn on_answer(
        &mut self,
        configuration: &Configuration,
        answer: &Headers,
        now: impl FnOnce() -> Moment,
    ) -> Option<Arrival> {
        let State::Asked(asked) = std::mem::replace(&mut self.state, State::Settled) else {
            return None;
        };
        Some(Rc::unwrap_or_clone(asked).arrive(configuration, answer, now))
    }

    /// The client has left. What it waited for is wanted in the bucket all the same.
    pub fn on_abandoned(&mut self) -> Option<(Plan, Trail)> {
        match std::mem::replace(&mut self.state, State::Settled) {
            State::Asked(asked) => asked.wanted(),
            State::Leaving(..)
            | State::New
            | State::Refused
            | State::Settled
            | State::Streaming(_) => None,
        }
    }

    /// The body is copied by this transfer.
    pub fn copied_by(&mut self, transfer: TransferId) {
        self.state = State::Streaming(transfer);
    }

    /// The gateway is asked for this attempt; the client gets the refusal where it makes none.
    pub fn leaves_for(&mut self, attempt: AttemptId, refusal: Refusal) {
        self.state = State::Leaving(attempt, refusal);
    }

    /// The answer that was left goes to the client after all, since there is its body: the gateway
    /// makes no other attempt.
    pub fn on_left_behind(&mut self) -> Option<(AttemptId, Refusal)> {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Leaving(attempt, refusal) => Some((attempt, refusal)),
            other @ (State::Asked(_)
            | State::New
            | State::Refused
            | State::Settled
            | State::Streaming(_)) => {
                self.state = other;
                None
            }
        }
    }

    /// Whether the body is nobody's.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// The transfer that copies the body.
    #[must_use]
    pub const fn transfer(&self) -> Option<TransferId> {
        match self.state {
            State::Streaming(id) => Some(id),
            State::Asked(_) | State::Leaving(..) | State::New | State::Refused | State::Settled => {
                None
            }
        }
    }

    /// The body has come to an end; returns the transfer that copied it.
    pub fn on_end(&mut self) -> Option<TransferId> {
        let transfer = self.transfer()?;
        self.state = State::Settled;
        Some(transfer)
    }
}

impl Default for Visit {
    fn default() -> Self {
        Self::new()
    }
}

impl Departure {
    /// The gateway's routes let through what the rules do not cover: the bucket's answer was 404,
    /// and is lost.
    fn not_covered(headers: &Headers) -> Self {
        Self::Answer(Refusal {
            reply: Reply::not_covered(headers),
            metric: Metric::Absent,
            line: "a request that no rule covers was sent to an origin".to_owned(),
        })
    }
}
