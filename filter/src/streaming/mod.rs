//! The streaming path: one request on the miss route, and the object on its way through.
//!
//! ```text
//!      ┌ the bucket's miss ──▶ Asked ── object ──▶ Copying ──────────▶ Settled
//! New ─┤                      │   └ anything else ────────────────────▶ Settled (answered here)
//!      └ an answer came back ─┘
//! New ── no miss, and a rule about hits ──▶ Watching ──▶ Settled
//! ```
//!
//! The gateway carries the bytes. What leads on to another origin, or to another rule, comes back as
//! a request of its own ([`crate::miss_route`]); what it was about waits in the engine meanwhile.

#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::conclusion::Conclusion;
use crate::copy::{CopyId, End};
use crate::decision::{self, Decision, Exchange};
use crate::engine::Engine;
use crate::host::{Effect, conclude};
use crate::http::headers::{HeaderList, Headers};
use crate::in_flight::{Answered, AttemptId, InFlight, Storing};
use crate::lease::Lease;
use crate::matching::{BucketResponse, Source};
use crate::metric::Metric;
use crate::miss::Sequence;
use crate::miss_route::{self, Said};
use crate::origin::{Next, Unheard, Verdict};
use crate::reply::Reply;
use crate::request::ObjectRequest;
use crate::time::Moment;

/// One request on the miss route, or one for a bucket with rules about hits.
#[derive(Debug, Default)]
pub struct MissStream {
    state: State,
    /// How the bucket gets the object, until it is known whose the lease is.
    storing: Option<(Storing, Moment)>,
}

#[derive(Debug, Default)]
enum State {
    /// An origin is asked; perhaps its answer comes back.
    Asked(Rc<InFlight>, Option<AttemptId>),
    /// The body is copied.
    Copying(CopyId),
    #[default]
    New,
    Settled,
    /// The bucket is asked, and a rule may be about its answer.
    Watching(Exchange),
}

/// A request that has come, and what it has led to so far.
struct Arrival<'e> {
    engine: &'e mut Engine,
    /// The number of the root, which no other has.
    root: u64,
    now: Moment,
    effects: Vec<Effect>,
}

/// A decision, and what goes with it.
#[derive(Debug)]
pub struct Decided<D> {
    /// What is to be performed first.
    pub effects: Vec<Effect>,
    /// The lease that is to be claimed then; [`MissStream::on_lease`] takes what came of it.
    pub lease: Option<Lease>,
    /// What becomes of the request, or of the response.
    pub decision: D,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum RequestDecision {
    /// The client gets an answer at once.
    Answer(Reply),
    /// It goes on as it is.
    Continue,
    /// It goes on with these headers, and no others.
    Send(HeaderList),
}

/// What becomes of a response.
#[derive(Debug)]
pub enum ResponseDecision {
    /// The client gets another answer.
    Answer(Reply),
    /// It is the client's as it is.
    Continue,
    /// The client gets the body with these headers.
    Stream(HeaderList),
}

impl MissStream {
    /// A request has arrived. `root` is the number of the root, which no other has.
    pub fn on_request(
        &mut self,
        engine: &mut Engine,
        headers: Headers,
        root: u64,
        now: Moment,
    ) -> Decided<RequestDecision> {
        let mut arrival = Arrival { engine, root, now, effects: Vec::new() };
        let decision = match Said::read(&headers) {
            None => {
                self.state = State::Watching(Exchange::new(headers, Sequence::default()));
                RequestDecision::Continue
            }
            Some(Said::Bucket { name, status, deleted }) => {
                let response = BucketResponse { status, source: Source::Bucket, deleted };
                self.first(&mut arrival, name, response, &headers)
            }
            Some(Said::BucketUnheard { name, status }) => {
                let response = BucketResponse { status, source: Source::Gateway, deleted: false };
                self.first(&mut arrival, name, response, &headers)
            }
            Some(Said::Origin { status }) => self.returned(&mut arrival, &headers, |asked| {
                let location = headers.get(miss_route::LOCATION);
                let answer = Headers::from_pairs(location.map(|location| ("location", location)));
                asked.route.current().judge_status(status, &answer)
            }),
            Some(Said::OriginUnheard { status, details }) => {
                self.returned(&mut arrival, &headers, |_| {
                    Verdict::Failed(Unheard::of(status, details).into())
                })
            }
        };
        let lease = self.lease();
        Decided { effects: arrival.effects, lease, decision }
    }

    /// The bucket could not answer it.
    fn first(
        &mut self,
        arrival: &mut Arrival<'_>,
        bucket: &str,
        response: BucketResponse,
        headers: &Headers,
    ) -> RequestDecision {
        let configuration = arrival.engine.configuration();
        let knows = |name: &str| configuration.bucket(name).is_some();
        let is_ours =
            |client: &Headers| configuration.serves(client.text(":authority").unwrap_or_default());
        let request = clients_request(headers).filter(is_ours).and_then(|client| {
            ObjectRequest::read(client, configuration.domain.as_deref(), knows).ok()
        });
        // Who was asked is who is mirrored.
        let decision = request.filter(|request| request.bucket == bucket).and_then(|request| {
            let sequence = Sequence::default();
            decision::decide_response(&configuration, request, sequence, response).ok()
        });
        match decision {
            None | Some(Decision::Pass(_) | Decision::Tell(_)) => {
                let cluster = configuration.bucket(bucket).and_then(|known| known.again.as_deref());
                match cluster.and_then(|cluster| again(headers, cluster)) {
                    Some(again) => RequestDecision::Send(again),
                    None => RequestDecision::Answer(Reply::not_covered(headers)),
                }
            }
            Some(decision) => {
                let proto = headers.text(miss_route::FORWARDED_PROTO).unwrap_or("http");
                let since = arrival.now;
                self.act(arrival, decision, proto, since)
            }
        }
    }

    /// What a rule does.
    fn act(
        &mut self,
        arrival: &mut Arrival<'_>,
        decision: Decision,
        forwarded_proto: &str,
        since: Moment,
    ) -> RequestDecision {
        let now = arrival.now;
        match decision {
            Decision::Answer(conclusion) => self.conclude(conclusion, &mut arrival.effects),
            Decision::Fetch(conclusion, miss) => {
                let asked = InFlight::new(*miss, now, since, forwarded_proto.to_owned());
                let wanted = asked.wanted(Some(conclusion.reply.status));
                self.storing = wanted.map(|wanted| (wanted, since));
                self.conclude(conclusion, &mut arrival.effects)
            }
            Decision::Mirror(miss) => {
                let mut asked = InFlight::new(*miss, now, since, forwarded_proto.to_owned());
                let effects = arrival.engine.prefer_well(&mut asked.route, now);
                arrival.effects.extend(effects);
                self.send(arrival, asked)
            }
            Decision::Pass(_) | Decision::Tell(_) => RequestDecision::Continue,
        }
    }

    fn conclude(&mut self, conclusion: Conclusion, effects: &mut Vec<Effect>) -> RequestDecision {
        self.state = State::Settled;
        RequestDecision::Answer(conclude(conclusion, effects))
    }

    fn send(&mut self, arrival: &mut Arrival<'_>, asked: InFlight) -> RequestDecision {
        let engine = &mut *arrival.engine;
        let asked = Rc::new(asked);
        let returns = asked.returns();
        let attempt = (!returns.is_empty()).then(|| engine.returning().add(Rc::clone(&asked)));
        let name = attempt.map(|attempt| attempt.name(arrival.root));
        let standard = engine.configuration().timeouts.origin;
        let headers = asked.headers(name.as_deref(), &returns, standard);
        arrival.effects.push(Effect::Count(Metric::Fetches));
        self.state = State::Asked(asked, attempt);
        RequestDecision::Send(headers)
    }

    /// The answer of an origin has come back.
    fn returned(
        &mut self,
        arrival: &mut Arrival<'_>,
        headers: &Headers,
        judge: impl FnOnce(&InFlight) -> Verdict,
    ) -> RequestDecision {
        let name = headers.text(miss_route::ATTEMPT);
        let attempt = name.and_then(|name| AttemptId::of(name, arrival.root));
        let waiting = arrival.engine.returning();
        let Some(asked) = attempt.and_then(|attempt| waiting.take(attempt)) else {
            let line = "an answer came back of which nothing is known any more".to_owned();
            let (reply, metric) = (Reply::lost(headers), Metric::MirrorFailed);
            return self.conclude(Conclusion { reply, metric, line }, &mut arrival.effects);
        };
        let mut asked = Rc::unwrap_or_clone(asked);
        let verdict = judge(&asked);
        match arrival.engine.next(&mut asked.route, verdict, arrival.now) {
            Next::Ask => self.send(arrival, asked),
            Next::End(verdict) => self.conclude(asked.last_word(&verdict), &mut arrival.effects),
            Next::FallThrough => {
                let configuration = arrival.engine.configuration();
                match decision::fall_through(&configuration, &asked.miss) {
                    None | Some(Decision::Pass(_) | Decision::Tell(_)) => {
                        self.conclude(asked.last_word(&Verdict::Absent), &mut arrival.effects)
                    }
                    Some(decision) => {
                        let line = asked.miss.fell_through(asked.route.initial());
                        arrival.effects.push(Effect::Log(line));
                        let InFlight { since, forwarded_proto, .. } = asked;
                        self.act(arrival, decision, &forwarded_proto, since)
                    }
                }
            }
        }
    }

    /// A response begins. `source` says of a bucket's who made it, `unheard` why an origin was not
    /// heard where the gateway has answered in its place; neither is asked where it does not matter.
    pub fn on_response(
        &mut self,
        engine: &mut Engine,
        answer: &Headers,
        source: impl FnOnce() -> Source,
        unheard: impl FnOnce() -> Option<Unheard>,
    ) -> Decided<ResponseDecision> {
        let mut effects = Vec::new();
        let decision = match std::mem::replace(&mut self.state, State::Settled) {
            State::Watching(mut exchange) => {
                match exchange.on_answer(&engine.configuration(), answer, source) {
                    Decision::Answer(conclusion) => {
                        ResponseDecision::Answer(conclude(conclusion, &mut effects))
                    }
                    // What is mirrored has become a request of its own before it came here.
                    Decision::Fetch(..)
                    | Decision::Mirror(_)
                    | Decision::Pass(_)
                    | Decision::Tell(_) => ResponseDecision::Continue,
                }
            }
            State::Asked(asked, attempt) => {
                if let Some(attempt) = attempt {
                    engine.returning().take(attempt);
                }
                let unheard = match answer.status() {
                    Some(..400) => None,
                    Some(_) | None => unheard(),
                };
                let since = asked.since;
                match Rc::unwrap_or_clone(asked).on_answer(answer, unheard) {
                    Answered::Concluded(conclusion, None) => {
                        ResponseDecision::Answer(conclude(conclusion, &mut effects))
                    }
                    // The line on the object is the one on this request.
                    Answered::Concluded(conclusion, Some(storing)) => {
                        self.storing = Some((storing, since));
                        effects.push(Effect::Count(conclusion.metric));
                        ResponseDecision::Answer(conclusion.reply)
                    }
                    Answered::Streams { headers, storing, line, not_stored } => {
                        self.storing = storing.map(|storing| (storing, since));
                        effects.push(Effect::Count(Answered::COUNTED));
                        effects.extend(line.map(Effect::Log));
                        effects.extend(not_stored.then_some(Effect::Count(Metric::NotStored)));
                        ResponseDecision::Stream(headers)
                    }
                }
            }
            // A second response is none of an origin's, and takes nothing from the first.
            state @ (State::Copying(_) | State::New | State::Settled) => {
                self.state = state;
                ResponseDecision::Continue
            }
        };
        let lease = self.lease();
        Decided { effects, lease, decision }
    }

    /// The lease without which the object is not stored, where it is to be.
    fn lease(&self) -> Option<Lease> {
        self.storing.as_ref().map(|(storing, _)| storing.plan().lease())
    }

    /// Whether the lease of the object is ours. Where it is not, another worker copies the object,
    /// and its bytes are the client's alone.
    pub fn on_lease(&mut self, engine: &mut Engine, is_ours: bool) -> Vec<Effect> {
        let Some((storing, since)) = self.storing.take() else { return Vec::new() };
        if !is_ours {
            return vec![Effect::Log(storing.plan().shared())];
        }
        match storing {
            Storing::Later(plan, route) => engine.backfill(plan, route, since),
            Storing::Now(plan, route) => match engine.begin(plan, route, since) {
                Ok(copy) => {
                    self.state = State::Copying(copy);
                    Vec::new()
                }
                Err(effects) => effects,
            },
        }
    }

    /// Whether the body of the request is nobody's any more: the bucket had it, and no origin gets it.
    #[must_use]
    pub const fn drops_body(&self) -> bool {
        matches!(self.state, State::Asked(..))
    }

    /// The copy of the body, where there is one.
    #[must_use]
    pub const fn copy(&self) -> Option<CopyId> {
        match self.state {
            State::Copying(copy) => Some(copy),
            State::Asked(..) | State::New | State::Settled | State::Watching(_) => None,
        }
    }

    /// The last byte has passed.
    pub fn on_end(&mut self, engine: &mut Engine) -> Vec<Effect> {
        self.end(engine, End::Whole)
    }

    /// Bytes that were wanted could not be had from the host.
    pub fn on_lost_bytes(&mut self, engine: &mut Engine) -> Vec<Effect> {
        self.end(engine, End::Broken)
    }

    fn end(&mut self, engine: &mut Engine, end: End) -> Vec<Effect> {
        let Some(copy) = self.copy() else { return Vec::new() };
        self.state = State::Settled;
        engine.on_end(copy, end)
    }

    /// The stream is gone; `client_left` where that is why. What its client waited for is wanted in
    /// the bucket all the same. Neither this nor the time is asked for behind an answer.
    pub fn on_gone(
        &mut self,
        engine: &mut Engine,
        client_left: impl FnOnce() -> bool,
        now: impl FnOnce() -> Moment,
    ) -> Decided<()> {
        let effects = self.end(engine, End::Broken);
        if let State::Asked(asked, attempt) = std::mem::replace(&mut self.state, State::Settled) {
            if client_left() {
                if let Some(attempt) = attempt {
                    engine.returning().take(attempt);
                }
                self.storing = asked.wanted(None).map(|wanted| (wanted, asked.since));
            } else if let Some(attempt) = attempt {
                return Decided {
                    effects: engine.expect_soon(attempt, now()),
                    lease: None,
                    decision: (),
                };
            }
        }
        let lease = self.lease();
        Decided { effects, lease, decision: () }
    }
}

/// Scheme, host and path of the request as it went to the bucket.
fn sent_to_bucket(headers: &Headers) -> Option<(&[u8], &[u8], &[u8])> {
    let url = headers.get(miss_route::ORIGINAL_URL)?;
    let scheme_end = url.windows(3).position(|three| three == b"://")?;
    let (scheme, rest) = (url.get(..scheme_end)?, url.get(scheme_end + 3..)?);
    let host_end = rest.iter().position(|byte| *byte == b'/')?;
    Some((scheme, rest.get(..host_end)?, rest.get(host_end..)?))
}

fn is_helper(name: &[u8]) -> bool {
    name.starts_with(b"x-envoy-") || name.starts_with(b":")
}

/// The request as the client sent it.
fn clients_request(headers: &Headers) -> Option<Headers> {
    let (scheme, host, path) = sent_to_bucket(headers)?;
    let host = headers.get(miss_route::ORIGINAL_HOST).unwrap_or(host);
    let path = headers.get(miss_route::ORIGINAL_PATH).unwrap_or(path);
    let own: [(&[u8], &[u8]); 4] = [
        (b":method", headers.get(":method")?),
        (b":scheme", scheme),
        (b":authority", host),
        (b":path", path),
    ];
    let others = headers.iter().filter(|(name, _)| !is_helper(name));
    Some(Headers::from_pairs(own.into_iter().chain(others)))
}

/// What asks the bucket once more, in the very words in which it was asked.
fn again(headers: &Headers, cluster: &str) -> Option<HeaderList> {
    let (scheme, host, path) = sent_to_bucket(headers)?;
    let mut again = HeaderList::new()
        .with(":method", headers.get(":method")?)
        .with(":scheme", scheme)
        .with(":authority", miss_route::HOST)
        .with(":path", path)
        .with(miss_route::MISS, miss_route::READ)
        .with(miss_route::CLUSTER, cluster)
        .with(miss_route::SERVER_HOST, host)
        .with(miss_route::FORWARDED_PROTO, scheme);
    let is_own = |name: &[u8]| is_helper(name) || name == miss_route::FORWARDED_PROTO.as_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| !is_own(name)) {
        again.add(std::str::from_utf8(name).ok()?, value);
    }
    Some(again)
}
