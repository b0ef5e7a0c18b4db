//! The streaming path: one request on the miss route, and the object on its way through.
//!
//! ```text
//!      ┌ the bucket's miss ──▶ Asked ── object ──▶ Copying ──────────▶ Settled
//! New ─┤                      │   └ anything else ────────────────────▶ Settled (answered here)
//!      └ an answer came back ─┘
//! New ── another fetches it ──▶ Waiting ── it is stored ──▶ Following ──▶ Settled
//!                                │   └ it is not ──▶ Asked    └ it is gone again: as what came back
//! New ── a 412 ──▶ Rereading ──▶ Settled
//! New ── a 403 ──▶ Proving ── 404, which came back: as the bucket's miss; else the bucket's again
//! New ── no miss, and a rule about hits ──▶ Watching ──▶ Settled
//! ```
//!
//! The gateway carries the bytes. What leads on to another origin, or to another rule, comes back as
//! a request of its own ([`crate::miss_route`]); what it was about waits in the engine meanwhile.

#[cfg(test)]
mod tests;
mod version;

use std::rc::Rc;

use crate::coalescing::{Follower, Gone, Joined};
use crate::conclusion::{Conclusion, Told};
use crate::copy::{CopyId, End};
use crate::decision::{self, Decision, Exchange};
use crate::engine::Engine;
use crate::host::{Effect, StreamId, conclude, measured, tell};
use crate::http::headers::{HeaderList, Headers};
use crate::in_flight::{Answered, AttemptId, Expected, InFlight, Proof, Sent, Storing};
use crate::lease::Lease;
use crate::matching::{BucketResponse, Source};
use crate::metadata;
use crate::metric::{Metric, Outcome as Ended, Series};
use crate::miss_route::{self, Said};
use crate::origin::{Next, Unheard, Verdict};
use crate::quota::Quota;
use crate::record::{Field, Record};
use crate::reply::Reply;
use crate::report::Found;
use crate::request::{Method, ObjectRequest};
use crate::shared::SharedData;
use crate::time::Moment;

/// One request on the miss route, or one for a bucket with rules about hits.
#[derive(Debug, Default)]
pub struct MissStream {
    state: State,
    /// How the bucket gets the object, until it is known whose the lease is.
    storing: Option<(Storing, Moment)>,
    /// The host's number for it.
    id: StreamId,
    /// Whether it may wait: it has no body.
    may_wait: bool,
    /// Its object, where others wait for that.
    leads: Option<Lease>,
    /// The quota by which its answer is paced.
    paced: Option<Quota>,
    /// The bytes of its body so far, where they come from an origin.
    fetched: Option<(Series, u64)>,
}

#[derive(Debug, Default)]
enum State {
    /// An origin is asked; perhaps its answer comes back.
    Asked(Rc<InFlight>, Option<AttemptId>),
    /// The body is copied.
    Copying(CopyId),
    /// The bucket is asked for what another request has brought there.
    Following(Rc<InFlight>, AttemptId),
    #[default]
    New,
    /// The bucket is asked for the object, which the client knows by its origin's ETag.
    Rereading(Box<ObjectRequest>),
    /// The bucket is asked whether it lacks the object; every answer to that comes back.
    Proving(AttemptId),
    Settled,
    /// Another request fetches the object.
    Waiting(StreamId),
    /// The bucket is asked, and a rule may be about its answer.
    Watching(Exchange),
}

/// A request that has come, and what it has led to so far.
struct Arrival<'e> {
    engine: &'e mut Engine,
    /// The number of the root, which no other has.
    root: u64,
    now: Moment,
    shared: &'e mut dyn SharedData,
    effects: Vec<Effect>,
}

impl Arrival<'_> {
    /// Tells the access log, where there is one.
    fn record(&mut self, stream: StreamId, record: impl FnOnce() -> Record) {
        if self.engine.configuration().access_log {
            self.effects.push(Effect::Record(stream, record()));
        }
    }

    /// No origin has what a request was to bring.
    fn keep_absence(&mut self, asked: &InFlight) {
        self.effects.extend(asked.absence(&self.engine.configuration()));
    }

    /// Nobody need wait for what a request was to bring.
    fn settle(&mut self, asked: &InFlight) {
        let lease = asked.leads.then(|| asked.lease());
        self.engine.settle_alone(lease, &mut self.effects);
    }
}

/// How a request came to a rule.
#[derive(Clone, Copy)]
struct Came<'r> {
    forwarded_proto: &'r str,
    since: Moment,
    /// The request as it came, where no origin was asked before.
    first: Option<&'r Headers>,
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
    /// It waits for [`Effect::Send`].
    Wait,
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
    /// One that the host knows by this number.
    #[must_use]
    pub fn new(id: StreamId) -> Self {
        Self { id, ..Self::default() }
    }

    /// Its request has no body, and may wait for another one's object.
    pub const fn may_wait(&mut self) {
        self.may_wait = true;
    }

    /// A request has arrived. `root` is the number of the root, which no other has.
    pub fn on_request(
        &mut self,
        engine: &mut Engine,
        headers: Headers,
        root: u64,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> Decided<RequestDecision> {
        let mut arrival = Arrival { engine, root, now, shared, effects: Vec::new() };
        let decision = match Said::read(&headers) {
            None => {
                let sequence = arrival.engine.sequence();
                self.state = State::Watching(Exchange::new(headers, sequence));
                RequestDecision::Continue
            }
            Some(Said::Bucket { name, status, deleted, denied }) => {
                let response = BucketResponse { status, source: Source::Bucket, deleted, denied };
                self.first(&mut arrival, name, response, &headers)
            }
            Some(Said::BucketUnheard { name, status }) => {
                let (source, deleted, denied) = (Source::Gateway, false, false);
                let response = BucketResponse { status, source, deleted, denied };
                self.first(&mut arrival, name, response, &headers)
            }
            Some(Said::Origin { status, deleted }) => {
                self.returned(&mut arrival, &headers, Some((status, deleted)), |asked| {
                    let location = headers.get(miss_route::LOCATION);
                    let answer = location.map(|location| ("location", location));
                    let answer = Headers::from_pairs(answer);
                    asked.route.current().judge_status(status, &answer)
                })
            }
            Some(Said::OriginUnheard { status, details }) => {
                self.returned(&mut arrival, &headers, None, |_| {
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
        self.arrived(arrival, bucket, headers);
        let configuration = arrival.engine.configuration();
        let knows = |name: &str| configuration.bucket(name).is_some();
        let is_ours =
            |client: &Headers| configuration.serves(client.text(":authority").unwrap_or_default());
        let request = clients_request(headers).filter(is_ours).and_then(|client| {
            let request =
                ObjectRequest::read(client, configuration.domain.as_deref(), knows).ok()?;
            // A Host that gave way is one that the gateway signs for.
            let is_signed = request.is_signed || headers.get(miss_route::ORIGINAL_HOST).is_some();
            Some(ObjectRequest { is_signed, ..request })
        });
        // Who was asked is who is mirrored.
        let request = request.filter(|request| request.bucket == bucket);
        if response.status == 412
            && let Some(request) = request.as_ref().filter(|request| version::is_named(request))
            && let Some(asked) = version::ask(&configuration, request, proto(headers))
        {
            self.state = State::Rereading(Box::new(request.clone()));
            return RequestDecision::Send(asked);
        }
        let decision = request.and_then(|request| {
            let sequence = arrival.engine.sequence();
            let decision =
                decision::decide_response(&configuration, request, sequence, response).ok()?;
            Some(decision::unless_deleted(&configuration, decision, arrival.shared))
        });
        self.decided(arrival, bucket, decision, headers)
    }

    /// The access log is told which request it is.
    fn arrived(&self, arrival: &mut Arrival<'_>, bucket: &str, headers: &Headers) {
        arrival.record(self.id, || {
            let client = clients_request(headers).unwrap_or_default();
            Record::arrived(bucket, client.get(":path").unwrap_or_default())
        });
    }

    /// What becomes of a request that the bucket could not answer.
    fn decided(
        &mut self,
        arrival: &mut Arrival<'_>,
        bucket: &str,
        decision: Option<Decision>,
        headers: &Headers,
    ) -> RequestDecision {
        let configuration = arrival.engine.configuration();
        match decision {
            Some(Decision::Prove(doubt)) => {
                let proof = Proof { headers: headers.clone(), doubt };
                self.prove(arrival, proof)
            }
            None | Some(Decision::Pass(_) | Decision::Tell(_)) => {
                let cluster = configuration.bucket(bucket).and_then(|known| known.again.as_deref());
                match cluster.and_then(|cluster| again(headers, cluster)) {
                    Some(again) => RequestDecision::Send(again),
                    None => RequestDecision::Answer(Reply::not_covered(headers)),
                }
            }
            Some(decision) => {
                let since = arrival.now;
                let origin = Came { forwarded_proto: proto(headers), since, first: Some(headers) };
                self.act(arrival, decision, origin)
            }
        }
    }

    /// What a rule does.
    fn act(
        &mut self,
        arrival: &mut Arrival<'_>,
        decision: Decision,
        came: Came<'_>,
    ) -> RequestDecision {
        let Came { forwarded_proto, since, first } = came;
        let now = arrival.now;
        if let (Decision::Fetch(_, miss) | Decision::Mirror(miss), Some(_)) = (&decision, first) {
            arrival.effects.extend(arrival.engine.on_missed(&miss.request.bucket, now));
        }
        let configuration = arrival.engine.configuration();
        let Arrival { shared, effects, .. } = arrival;
        match decision::without_absent(&configuration, decision, now, *shared, effects) {
            Decision::Answer(conclusion) => self.conclude(conclusion, arrival),
            Decision::Fetch(conclusion, miss) => {
                let asked = InFlight::new(*miss, now, since, forwarded_proto.to_owned());
                let wanted = asked.wanted(Some(conclusion.reply.status));
                self.storing = wanted.map(|wanted| (wanted, since));
                self.conclude(conclusion, arrival)
            }
            Decision::Mirror(miss) => {
                let mut asked = InFlight::new(*miss, now, since, forwarded_proto.to_owned());
                let effects = arrival.engine.prefer_well(&mut asked.route, now);
                arrival.effects.extend(effects);
                match first {
                    Some(headers) => self.join(arrival, asked, headers),
                    None => self.send(arrival, asked),
                }
            }
            // An origin was asked, or a rule has been found that acts.
            Decision::Pass(_) | Decision::Prove(_) | Decision::Tell(_) => RequestDecision::Continue,
        }
    }

    /// Asks the bucket whether it lacks the object.
    fn prove(&mut self, arrival: &mut Arrival<'_>, proof: Proof) -> RequestDecision {
        let configuration = arrival.engine.configuration();
        let returning = arrival.engine.returning();
        let asked = proof.ask(&configuration, &returning.next().name(arrival.root));
        let Some(asked) = asked else {
            return RequestDecision::Answer(Reply::not_covered(&proof.headers));
        };
        self.state = State::Proving(returning.add(Expected::Proof(Box::new(proof))));
        RequestDecision::Send(asked)
    }

    fn conclude(&mut self, conclusion: Conclusion, arrival: &mut Arrival<'_>) -> RequestDecision {
        self.state = State::Settled;
        let reply = conclude(self.id, conclusion, &mut arrival.effects);
        RequestDecision::Answer(reply)
    }

    /// Goes to the origin, or waits for another request that has gone there for the same object.
    fn join(
        &mut self,
        arrival: &mut Arrival<'_>,
        mut asked: InFlight,
        headers: &Headers,
    ) -> RequestDecision {
        let request = &asked.miss.request;
        let is_waited_for = request.method == Method::Get && asked.miss.storing().is_ok();
        if !(self.may_wait && is_waited_for) {
            return self.send(arrival, asked);
        }
        let stream = self.id;
        let Arrival { engine, root, now, shared, effects } = arrival;
        let configuration = engine.configuration();
        let (bucket, lease) = (&request.bucket, Lease::of(&request.bucket, &request.key));
        let again = || {
            if version::is_named(request) {
                return version::ask(&configuration, request, &asked.forwarded_proto);
            }
            let cluster = configuration.bucket(bucket)?.again.as_deref()?;
            again(headers, cluster)
        };
        let joined = engine.join(bucket, &lease, *now, *shared);
        match (joined, again()) {
            (Joined::Stored, Some(again)) => {
                let (asked, attempt, headers) = engine.ask_bucket(asked, again, *root);
                self.state = State::Following(asked, attempt);
                RequestDecision::Send(headers)
            }
            (Joined::Waits(until), Some(again)) => {
                let follower = Follower { lease, until, asked, again, root: *root };
                effects.extend(engine.wait(stream, follower));
                self.state = State::Waiting(stream);
                RequestDecision::Wait
            }
            (Joined::Leads, _) => {
                asked.leads = true;
                self.send(arrival, asked)
            }
            (Joined::Alone, _) | (Joined::Stored | Joined::Waits(_), None) => {
                self.send(arrival, asked)
            }
        }
    }

    fn send(&mut self, arrival: &mut Arrival<'_>, asked: InFlight) -> RequestDecision {
        let Arrival { engine, root, now, shared, effects } = arrival;
        match engine.send(asked, *root, *now, *shared, effects) {
            Ok(Sent { asked, attempt, headers }) => {
                if asked.miss.report.is_recorded() {
                    let url = asked.route.initial().url();
                    let record = Record::asked(&asked.miss.report, url);
                    effects.push(Effect::Record(self.id, record));
                }
                self.state = State::Asked(asked, attempt);
                RequestDecision::Send(headers)
            }
            Err(conclusion) => self.conclude(*conclusion, arrival),
        }
    }

    /// The answer of an origin has come back, or the bucket's: its status, and whether it is a delete
    /// marker; none where the gateway has answered.
    fn returned(
        &mut self,
        arrival: &mut Arrival<'_>,
        headers: &Headers,
        answered: Option<(u16, bool)>,
        judge: impl FnOnce(&InFlight) -> Verdict,
    ) -> RequestDecision {
        let name = headers.text(miss_route::ATTEMPT);
        let attempt = name.and_then(|name| AttemptId::of(name, arrival.root));
        let waiting = arrival.engine.returning();
        let asked = match attempt.and_then(|attempt| waiting.take(attempt)) {
            Some(Expected::Origin(asked)) => Some(asked),
            Some(Expected::Coalesced(asked)) => {
                arrival.record(self.id, || Record::again(&asked.miss.request));
                return self.send(arrival, Rc::unwrap_or_clone(asked));
            }
            Some(Expected::Proof(proof)) => {
                let Proof { headers, doubt } = *proof;
                let bucket = doubt.request.bucket.clone();
                self.arrived(arrival, &bucket, &headers);
                let configuration = arrival.engine.configuration();
                let is_absent = answered.is_some_and(|(status, is_marker)| {
                    status == 404 && doubt.is_settled_by_404(is_marker)
                });
                if doubt.is_about_tombstone() && !is_absent {
                    let status = answered.map(|(status, _)| status);
                    return match decision::deleted(&configuration, *doubt, status) {
                        Some(conclusion) => self.conclude(conclusion, arrival),
                        None => self.decided(arrival, &bucket, None, &headers),
                    };
                }
                let decision =
                    is_absent.then(|| decision::not_there(&configuration, *doubt)).flatten();
                return self.decided(arrival, &bucket, decision, &headers);
            }
            None => None,
        };
        let Some(asked) = asked else {
            let line = "an answer came back of which nothing is known any more";
            let series = Series::request(Ended::MirrorFailed, "", 0);
            let is_recorded = arrival.engine.configuration().access_log;
            let conclusion = Conclusion::lost(Reply::lost(headers), series, line, is_recorded);
            return self.conclude(conclusion, arrival);
        };
        arrival.record(self.id, || Record::again(&asked.miss.request));
        let mut asked = Rc::unwrap_or_clone(asked);
        arrival.effects.extend(asked.first_byte(arrival.now));
        let verdict = judge(&asked);
        match arrival.engine.next(&mut asked.route, verdict, arrival.now) {
            Next::Ask => self.send(arrival, asked),
            Next::End(verdict) => {
                if verdict == Verdict::Absent {
                    arrival.keep_absence(&asked);
                }
                arrival.settle(&asked);
                self.conclude(asked.last_word(&verdict), arrival)
            }
            Next::FallThrough => {
                arrival.keep_absence(&asked);
                arrival.settle(&asked);
                let configuration = arrival.engine.configuration();
                match decision::fall_through(&configuration, &asked.miss) {
                    None | Some(Decision::Pass(_) | Decision::Prove(_) | Decision::Tell(_)) => {
                        self.conclude(asked.last_word(&Verdict::Absent), arrival)
                    }
                    Some(decision) => {
                        let line = asked.miss.fell_through(asked.route.initial(), Found::Now);
                        arrival.effects.push(Effect::Log(line));
                        let InFlight { since, forwarded_proto, .. } = asked;
                        let came = Came { forwarded_proto: &forwarded_proto, since, first: None };
                        self.act(arrival, decision, came)
                    }
                }
            }
        }
    }

    /// A response begins. `source` says of a bucket's who made it, `unheard` why an origin was not
    /// heard where the gateway has answered in its place, `now` the time; none is asked where it does
    /// not matter.
    pub fn on_response(
        &mut self,
        engine: &mut Engine,
        answer: &Headers,
        source: impl FnOnce() -> Source,
        unheard: impl FnOnce() -> Option<Unheard>,
        now: impl FnOnce() -> Moment,
    ) -> Decided<ResponseDecision> {
        let mut effects = Vec::new();
        let (configuration, stream) = (engine.configuration(), self.id);
        self.go_on(engine);
        let decision = match std::mem::replace(&mut self.state, State::Settled) {
            State::Watching(mut exchange) => {
                match exchange.on_answer(&configuration, answer, source) {
                    Decision::Answer(conclusion) => {
                        ResponseDecision::Answer(conclude(stream, conclusion, &mut effects))
                    }
                    // What is mirrored has become a request of its own before it came here.
                    Decision::Fetch(..)
                    | Decision::Mirror(_)
                    | Decision::Pass(_)
                    | Decision::Prove(_)
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
                let now = now();
                if unheard.is_none() {
                    effects.extend(asked.first_byte(now));
                }
                let bytes = asked.miss.of_origin(Metric::FetchedBytes, asked.route.current());
                let since = asked.since;
                self.paced.clone_from(&asked.paced);
                self.leads = asked.leads.then(|| asked.lease());
                // Everything that the origins were told is in it.
                let is_404 = answer.status() == Some(404);
                let absence = is_404.then(|| asked.absence(&engine.configuration())).flatten();
                if let Some(is_well) = asked.is_well(answer, unheard) {
                    engine.on_heard(&asked.route.current().origin(), is_well, now);
                }
                let end = |conclusion, effects: &mut Vec<Effect>| {
                    ResponseDecision::Answer(conclude(stream, conclusion, effects))
                };
                match Rc::unwrap_or_clone(asked).on_answer(answer, unheard) {
                    Answered::Absent(conclusion) => {
                        effects.extend(absence);
                        end(conclusion, &mut effects)
                    }
                    Answered::Concluded(conclusion, None) => end(conclusion, &mut effects),
                    // The line on the object is the one on this request.
                    Answered::Concluded(conclusion, Some(storing)) => {
                        self.keep(engine, Some(storing), since, &mut effects);
                        let Conclusion { reply, series, told } = conclusion;
                        effects.push(Effect::Measure(series, 1));
                        match told {
                            Told::Line(_) => {}
                            told @ Told::Record(_) => effects.push(tell(stream, told)),
                        }
                        ResponseDecision::Answer(reply)
                    }
                    Answered::Streams { headers, storing, effects: mut counted, told } => {
                        self.keep(engine, storing, since, &mut effects);
                        effects.append(&mut counted);
                        effects.extend(told.map(|told| tell(stream, told)));
                        self.fetched = Some((bytes, 0));
                        ResponseDecision::Stream(headers)
                    }
                }
            }
            State::Following(asked, attempt) => {
                engine.returning().take(attempt);
                let (told, counted) = asked.coalesced(answer.status().unwrap_or_default());
                effects.extend([counted, tell(stream, told)]);
                let told = metadata::repeated(answer);
                if version::is_named(&asked.miss.request) {
                    version::answer(&asked.miss.request, answer)
                } else if told.iter().next().is_some() {
                    ResponseDecision::Stream(answer.replaced(&told))
                } else {
                    ResponseDecision::Continue
                }
            }
            State::Rereading(request) => version::answer(&request, answer),
            // It was to come back, and has not: nobody knows whether the object is there.
            State::Proving(attempt) => {
                let reply = match engine.returning().take(attempt) {
                    Some(Expected::Proof(proof)) if proof.doubt.is_about_tombstone() => {
                        let status = answer.status().filter(|_| unheard().is_none());
                        match decision::deleted(&configuration, *proof.doubt, status) {
                            Some(conclusion) => conclude(stream, conclusion, &mut effects),
                            None => Reply::lost(answer),
                        }
                    }
                    Some(Expected::Proof(proof)) => Reply::denied(&proof.doubt.request),
                    Some(Expected::Coalesced(_) | Expected::Origin(_)) | None => {
                        Reply::lost(answer)
                    }
                };
                ResponseDecision::Answer(reply)
            }
            // A second response is none of an origin's, and takes nothing from the first.
            state @ (State::Copying(_) | State::New | State::Settled | State::Waiting(_)) => {
                self.state = state;
                ResponseDecision::Continue
            }
        };
        self.lead(engine, &mut effects);
        let lease = self.lease();
        Decided { effects, lease, decision }
    }

    /// Those who wait for the object are told where it will not be stored.
    fn lead(&mut self, engine: &mut Engine, effects: &mut Vec<Effect>) {
        match (&self.leads, &self.storing) {
            (Some(lease), Some(_)) => engine.on_led_answered(lease),
            (Some(_), None) => engine.settle_alone(self.leads.take(), effects),
            (None, _) => {}
        }
    }

    /// A request that waited has gone on meanwhile.
    fn go_on(&mut self, engine: &mut Engine) {
        if let State::Waiting(stream) = self.state {
            self.state = match engine.gone(stream) {
                Some(Gone::ToBucket(asked, attempt)) => State::Following(asked, attempt),
                Some(Gone::ToOrigin(asked, attempt)) => State::Asked(asked, attempt),
                None => State::Settled,
            };
        }
    }

    /// Notes how the object gets into the bucket. What is only awaited takes no lease: the GET that
    /// brings it may come to another worker.
    fn keep(
        &mut self,
        engine: &mut Engine,
        storing: Option<Storing>,
        since: Moment,
        effects: &mut Vec<Effect>,
    ) {
        match storing {
            Some(Storing::Awaited(plan, route)) => {
                effects.extend(engine.await_stream(plan, route, since));
            }
            Some(storing @ (Storing::Later(..) | Storing::Now(..))) => {
                self.storing = Some((storing, since));
            }
            None => {}
        }
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
            let mut effects = vec![Effect::Log(storing.plan().shared())];
            engine.settle_alone(self.leads.take(), &mut effects);
            return effects;
        }
        match storing {
            Storing::Awaited(plan, route) => engine.await_stream(plan, route, since),
            Storing::Later(plan, route) => engine.backfill(plan, route, since),
            Storing::Now(plan, route) => match engine.begin(plan, route, since) {
                Ok(copy) => {
                    self.state = State::Copying(copy);
                    Vec::new()
                }
                Err(mut effects) => {
                    engine.settle_alone(self.leads.take(), &mut effects);
                    effects
                }
            },
        }
    }

    /// Whether the body of the request is nobody's any more: the bucket had it, and no origin gets it.
    #[must_use]
    pub const fn drops_body(&self) -> bool {
        matches!(
            self.state,
            State::Asked(..)
                | State::Following(..)
                | State::Proving(_)
                | State::Rereading(_)
                | State::Waiting(_)
        )
    }

    /// So many bytes of an answer pass.
    pub fn on_passing(
        &self,
        engine: &mut Engine,
        bytes: usize,
        now: impl FnOnce() -> Moment,
        shared: &mut dyn SharedData,
    ) {
        if let Some(quota) = &self.paced {
            engine.on_streamed(quota, bytes as u64, now, shared);
        }
    }

    /// The copy of the body, where there is one.
    #[must_use]
    pub const fn copy(&self) -> Option<CopyId> {
        match self.state {
            State::Copying(copy) => Some(copy),
            State::Asked(..)
            | State::Following(..)
            | State::New
            | State::Proving(_)
            | State::Rereading(_)
            | State::Settled
            | State::Waiting(_)
            | State::Watching(_) => None,
        }
    }

    /// Bytes of the body have come.
    pub const fn on_body(&mut self, bytes: usize) {
        if let Some((_, sum)) = &mut self.fetched {
            *sum = sum.saturating_add(bytes as u64);
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
        let upload = match engine.configuration().access_log {
            true => engine.upload(copy).map(str::to_owned),
            false => None,
        };
        let record =
            |upload| Effect::Record(self.id, Record::default().with(Field::UploadId, upload));
        let effects = upload.map(record);
        effects.into_iter().chain(engine.on_end(copy, end)).collect()
    }

    /// The stream is gone; `client_left` where that is why. What its client waited for is wanted in
    /// the bucket all the same. Neither this nor the time is asked for behind an answer.
    pub fn on_gone(
        &mut self,
        engine: &mut Engine,
        client_left: impl FnOnce() -> bool,
        now: impl FnOnce() -> Moment,
    ) -> Decided<()> {
        let mut effects = self.end(engine, End::Broken);
        let fetched = self.fetched.take().filter(|(_, bytes)| *bytes > 0);
        effects.extend(fetched.map(|(series, bytes)| measured(series, bytes)));
        self.go_on(engine);
        let expected = match std::mem::replace(&mut self.state, State::Settled) {
            State::Asked(asked, attempt) => Some((Some(asked), attempt)),
            State::Proving(attempt) => Some((None, Some(attempt))),
            State::Following(_, attempt) => Some((None, Some(attempt))),
            State::Copying(_)
            | State::New
            | State::Rereading(_)
            | State::Settled
            | State::Waiting(_)
            | State::Watching(_) => None,
        };
        if let Some((asked, attempt)) = expected {
            if client_left() {
                if let Some(attempt) = attempt {
                    engine.returning().take(attempt);
                }
                let led = asked.as_ref().filter(|asked| asked.leads).map(|asked| asked.lease());
                self.storing = asked.and_then(|asked| Some((asked.wanted(None)?, asked.since)));
                if self.storing.is_none() {
                    engine.settle_alone(led, &mut effects);
                }
            } else if let Some(attempt) = attempt {
                effects.extend(engine.expect_soon(attempt, now()));
                return Decided { effects, lease: None, decision: () };
            }
        }
        let lease = self.lease();
        Decided { effects, lease, decision: () }
    }
}

/// By which scheme the client came.
fn proto(headers: &Headers) -> &str {
    headers.text(miss_route::FORWARDED_PROTO).unwrap_or("http")
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
