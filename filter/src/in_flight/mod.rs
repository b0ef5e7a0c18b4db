//! A request to an origin in flight: what is sent there, what its answer amounts to, and what of it
//! waits for the answer to come back.
//!
//! It holds no stream and no copy; [`crate::streaming`] does with it what a gateway reports.

mod proof;
mod returning;

use std::rc::Rc;
use std::time::Duration;

pub(crate) use self::proof::Proof;
pub(crate) use self::returning::{AttemptId, Expected, Returning};
use crate::conclusion::{Conclusion, Told};
use crate::configuration::Configuration;
use crate::copy::{Plan, backfill};
use crate::digest::Check;
use crate::host::{Effect, measured};
use crate::http::headers::{HeaderList, Headers};
use crate::http::precondition::Validators;
use crate::http::range::ContentRange;
use crate::lease::Lease;
use crate::metric::{Metric, Outcome as Ended};
use crate::miss::Miss;
use crate::miss_route;
use crate::origin::{Passed, Route, Unheard, Verdict};
use crate::quota::{Quota, Quotas};
use crate::reason::{MirrorFailure, NotStored};
use crate::reply::{self, Reply};
use crate::report::{Found, Outcome};
use crate::request::Method;
use crate::shared::SharedData;
use crate::time::Moment;

/// A request to an origin.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) miss: Miss,
    pub(crate) route: Route,
    /// When the request came to the miss route first.
    pub(crate) since: Moment,
    /// Its `x-forwarded-proto`.
    pub(crate) forwarded_proto: String,
    /// The quota by which the gateway paces its answer.
    pub(crate) paced: Option<Quota>,
    /// The quota by which a service counts it for all gateways.
    pub(crate) counted: Option<Quota>,
    /// Whether others wait for what it brings.
    pub(crate) leads: bool,
    /// When it was sent last.
    pub(crate) sent: Option<Moment>,
}

/// A request on its way to an origin.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) asked: Rc<InFlight>,
    /// The attempt under which it may come back.
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) headers: HeaderList,
}

/// How an object gets into the bucket.
#[derive(Debug)]
pub(crate) enum Storing {
    /// By a fetch of its own, unless a GET brings it soon: the client only wanted the headers, or has
    /// not got what it wanted.
    Awaited(Plan, Route),
    /// By a fetch of its own: the client only wanted a part, or has left.
    Later(Plan, Route),
    /// On its way through; the route is for the fetch that is needed when that fails.
    Now(Plan, Route),
}

impl Storing {
    pub(crate) const fn plan(&self) -> &Plan {
        match self {
            Self::Awaited(plan, _) | Self::Later(plan, _) | Self::Now(plan, _) => plan,
        }
    }
}

/// What becomes of an origin's answer.
#[derive(Debug)]
pub(crate) enum Answered {
    /// No origin has the object.
    Absent(Conclusion),
    /// The client gets something else, and the bucket perhaps the object all the same.
    Concluded(Conclusion, Option<Storing>),
    /// The client gets the body with these headers.
    Streams {
        headers: HeaderList,
        storing: Option<Storing>,
        /// What is told and counted at once.
        effects: Vec<Effect>,
        /// What is told; nothing where a line comes later, with what has become of the object.
        told: Option<Told>,
    },
}

impl InFlight {
    pub(crate) fn new(miss: Miss, now: Moment, since: Moment, forwarded_proto: String) -> Self {
        let route = miss.route(now);
        Self {
            miss,
            route,
            since,
            forwarded_proto,
            paced: None,
            counted: None,
            leads: false,
            sent: None,
        }
    }

    /// Makes it a request to the origin, from the root of this number. `standard` is how long its
    /// answer may take where no rule says so.
    pub(crate) fn send(self, returning: &mut Returning, root: u64, standard: Duration) -> Sent {
        let asked = Rc::new(self);
        let returns = asked.returns();
        let attempt =
            (!returns.is_empty()).then(|| returning.add(Expected::Origin(Rc::clone(&asked))));
        let name = attempt.map(|attempt| attempt.name(root));
        let headers = asked.headers(name.as_deref(), &returns, standard);
        Sent { asked, attempt, headers }
    }

    /// Which answers are to come back.
    fn returns(&self) -> String {
        self.route.returns(self.miss.request.range().is_some())
    }

    /// What the gateway is told, and the origin asked. `attempt` is the name under which the request
    /// comes back, where it may, and `returns` with which answers.
    fn headers(&self, attempt: Option<&str>, returns: &str, standard: Duration) -> HeaderList {
        let (request, origin) = (&self.miss.request, self.route.current());
        let paced = self.paced.as_ref().map(|quota| miss_route::paced_host(quota.label()));
        let host = paced.as_deref().unwrap_or(miss_route::HOST);
        let mut asked = origin.call_headers(request.method.as_str());
        self.miss.report.trace().go_on(&mut asked);
        let mut headers = readdressed(host, &asked);
        if let Some(range) = request.range() {
            headers.add("range", range);
            if let Some(known) = request.headers.get("if-range") {
                headers.add("if-range", known);
            }
        }
        headers.add(miss_route::FORWARDED_PROTO, &self.forwarded_proto);
        // Only where somebody else may be asked is it worth a detour to hear that this one is not
        // to be had.
        let timeout = origin.timeout(standard);
        if self.route.has_others() {
            by_attempts(&mut headers, &origin.cluster, timeout);
        } else {
            straight(&mut headers, &origin.cluster, timeout);
        }
        if let Some(attempt) = attempt {
            comes_back(&mut headers, attempt, returns);
        }
        if let Some(quota) = &self.counted {
            headers.add(miss_route::QUOTA, quota.label());
        }
        let rule = origin.rule();
        if let Some(idle) = rule.idle_timeout.or(rule.timeout) {
            headers.add(miss_route::IDLE, idle.as_millis().to_string());
        }
        headers
    }

    /// The quotas it is under.
    pub(crate) fn quotas(&self, configuration: &Configuration) -> Quotas {
        let rule = self.route.initial().rule();
        Quotas::of(configuration, &self.miss.request.bucket, self.miss.rule, rule)
    }

    /// Which worker brings the object into the bucket.
    pub(crate) fn lease(&self) -> Lease {
        Lease::of(&self.miss.request.bucket, &self.miss.request.key)
    }

    /// What is kept where its answer is that the object is nowhere.
    pub(crate) fn absence(&self, configuration: &Configuration) -> Option<Effect> {
        self.miss.kept_absence(&self.route, configuration, self.since)
    }

    /// The end of a request whose object no origin had lately, if no further rule is about it.
    pub(crate) fn absent_lately(
        &self,
        configuration: &Configuration,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> Option<Conclusion> {
        let miss = &self.miss;
        let is_last = !miss.origin.rule().fall_through;
        let is_known = is_last && miss.is_absent_lately(configuration, now, shared);
        is_known.then(|| miss.absent(&miss.origin, Found::Lately))
    }

    /// How long its origin took to begin an answer that has just come.
    pub(crate) fn first_byte(&self, now: Moment) -> Option<Effect> {
        let time = now.millis_since(self.sent?);
        Some(measured(self.miss.first_byte(self.route.current()), time))
    }

    /// What is told and counted of a request whose object another one has fetched.
    pub(crate) fn coalesced(&self, status: u16) -> (Told, Effect) {
        let outcome = Outcome::Coalesced { url: &self.route.initial().url(), status };
        let counted = Effect::Measure(self.miss.ended(Ended::Coalesced), 1);
        (self.told(Ended::Coalesced, &outcome), counted)
    }

    /// What is told of it.
    fn told(&self, ended: Ended, outcome: &Outcome<'_>) -> Told {
        Told::of(&self.miss.report, &self.miss.ended(ended), outcome)
    }

    /// Whether the origin is well, by its answer, or by the gateway's in its place; `None` where that
    /// says nothing.
    pub(crate) fn is_well(&self, answer: &Headers, unheard: Option<Unheard>) -> Option<bool> {
        if let Some(unheard) = unheard {
            return Verdict::Failed(unheard.into()).is_well();
        }
        if answer.get(miss_route::MISS).is_some() {
            return None;
        }
        match answer.status().unwrap_or_default() {
            status @ 500.. => self.route.current().judge_status(status, answer).is_well(),
            _ => Some(true),
        }
    }

    /// What becomes of the origin's answer, or of the gateway's in its place.
    pub(crate) fn on_answer(self, answer: &Headers, unheard: Option<Unheard>) -> Answered {
        if let Some(unheard) = unheard {
            return self.fail(&unheard.into());
        }
        // The gateway was to route it anew, and has not.
        if answer.get(miss_route::MISS).is_some() {
            return self.fail(&MirrorFailure::Overloaded);
        }
        let ranged = self.miss.request.range().is_some();
        let status = answer.status().unwrap_or_default();
        match status {
            200 => {
                let length = answer.content_length();
                match self.miss.request.method {
                    Method::Get => self.stream(status, answer, length, Storing::Now),
                    // What the GET that follows brings is judged by what that says.
                    Method::Head => self.stream(status, answer, length, |plan, route| {
                        Storing::Awaited(Plan { length: None, ..plan }, route)
                    }),
                }
            }
            206 if ranged && answer.get("content-range").is_some() => {
                // An origin that does not know If-Range has sent a part of another version.
                if !Validators::of(answer).takes_range(&self.miss.request.headers) {
                    let reply = Reply::precondition_failed("If-Range", &self.miss.request);
                    return self.unmet(reply, None);
                }
                match self.is_all(answer) {
                    Some(length) => self.stream(status, answer, Some(length), Storing::Now),
                    None => self.stream(status, answer, None, Storing::Later),
                }
            }
            416 if ranged => {
                let tag = self.route.initial().tag();
                let (validators, own) = (Validators::of(answer), HeaderList::new());
                if let Some(reply) = Reply::unmet(&validators, &own, &tag, &self.miss.request) {
                    return self.unmet(reply, None);
                }
                let conclusion = self.miss.unsatisfiable(self.route.initial(), answer);
                let wanted = self.awaited(Some(conclusion.reply.status));
                Answered::Concluded(conclusion, wanted)
            }
            other => self.judge(other, answer),
        }
    }

    /// The size of an object all of which a part brings: many clients ask for the first bytes of
    /// whatever size, and for more than most objects have.
    fn is_all(&self, answer: &Headers) -> Option<u64> {
        // Who is asked by If-Range leaves out what the client knows of the object (RFC 9110, section
        // 15.3.7).
        if self.miss.request.headers.get("if-range").is_some() {
            return None;
        }
        let ContentRange { size, .. } =
            ContentRange::read(answer).filter(|range| range.is_whole())?;
        let may_be_kept = self.route.initial().excess(size).is_none();
        (answer.content_length() == Some(size) && may_be_kept).then_some(size)
    }

    fn stream(
        &self,
        status: u16,
        answer: &Headers,
        length: Option<u64>,
        storing: impl FnOnce(Plan, Route) -> Storing,
    ) -> Answered {
        let origin = self.route.current();
        let rule = origin.rule();
        let found = match status {
            206 => origin.found(answer),
            _ => origin.whole(answer, length),
        };
        let found = match found {
            Ok(found) => found,
            Err(failure) => return self.fail(&failure),
        };
        // A part says by its Content-Range how large the whole is; so much is not asked of it.
        if let (Some(length), Some(limit)) = (length, rule.max_bytes)
            && length > limit
        {
            return self.conclude(&Verdict::TooLarge { limit });
        }
        let (own, tag) = (found.dated(self.since), self.route.initial().tag());
        if let Some(reply) = Reply::unmet(&found.validators, &own, &tag, &self.miss.request) {
            return self.unmet(reply, length);
        }
        let mut headers = HeaderList::new().with(":status", status.to_string());
        // The bucket knows ranges, and has the object soon.
        headers.extend(&reply::described(&own, &tag, &self.miss.request));
        let range = if status == 206 { answer.get("content-range") } else { None };
        for (name, value) in
            [("content-length", answer.get("content-length")), ("content-range", range)]
        {
            if let Some(value) = value {
                headers.add(name, value);
            }
        }
        let mut effects = vec![Effect::Measure(self.miss.ended(Ended::Mirrored), 1)];
        if let Some(line) = self.miss.unkept(origin, &found.unkept) {
            effects.push(Effect::Log(line));
            effects.push(Effect::Measure(self.miss.series(Metric::HeadersUnkept), 1));
        }
        // What ends with its connection is not copied on its way. Where the origin knows ranges, they
        // bring it with its length.
        let by_ranges = answer.get("accept-ranges") == Some(b"bytes");
        let is_copied =
            status == 206 || found.is_delimited || self.miss.request.method == Method::Head;
        let storable = match is_copied || by_ranges {
            true => self.miss.storing(),
            false => self.miss.storing().and(Err(NotStored::Undelimited)),
        };
        let url = self.route.initial().url();
        let outcome = mirrored(&url, length, status, storable);
        let (report, counted) = (&self.miss.report, self.miss.ended(Ended::Mirrored));
        let told = match storable {
            Ok(()) => Told::early(report, &counted, &outcome),
            Err(_) => Some(Told::of(report, &counted, &outcome)),
        };
        if let Err(why) = storable {
            if !why.is_meant() {
                effects.push(Effect::Measure(self.miss.not_stored(why), 1));
            }
            return Answered::Streams { headers, storing: None, effects, told };
        }
        let check = origin.check(answer);
        let validator = backfill::validator(answer);
        let plan = Plan { check, ..self.plan(found.stored, length, validator, Some(status)) };
        let route = self.route.clone();
        let storing = if is_copied { storing(plan, route) } else { Storing::Later(plan, route) };
        let storing = Some(storing);
        Answered::Streams { headers, storing, effects, told }
    }

    /// The client does not want this version. The bucket lacks the object all the same, and gets it.
    fn unmet(&self, reply: Reply, bytes: Option<u64>) -> Answered {
        let (url, client) = (self.route.initial().url(), reply.status);
        let outcome = mirrored(&url, bytes, client, self.miss.storing());
        let conclusion = self.miss.ends(reply, Ended::Mirrored, &outcome);
        Answered::Concluded(conclusion, self.awaited(Some(client)))
    }

    /// What becomes of an answer that is no object, and did not come back.
    fn judge(self, status: u16, answer: &Headers) -> Answered {
        match self.route.current().judge_status(status, answer) {
            Verdict::Passed(Passed { status, headers: own }) if own.get("location").is_none() => {
                let mut headers = HeaderList::new().with(":status", status.to_string());
                headers.extend(&own);
                if let Some(length) = answer.get("content-length") {
                    headers.add("content-length", length);
                }
                self.miss.request.sign_off(&mut headers);
                let outcome = Outcome::Passed { url: &self.route.initial().url(), status };
                let told = Some(self.told(Ended::Mirrored, &outcome));
                let effects = vec![Effect::Measure(self.miss.ended(Ended::Mirrored), 1)];
                Answered::Streams { headers, storing: None, effects, told }
            }
            verdict @ (Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::Moved(_)
            | Verdict::Object(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge { .. }
            | Verdict::Unknown) => self.conclude(&verdict),
        }
    }

    fn plan(
        &self,
        headers: HeaderList,
        length: Option<u64>,
        validator: Option<String>,
        client: Option<u16>,
    ) -> Plan {
        let origin = self.route.initial();
        Plan {
            bucket: self.miss.request.bucket.clone(),
            key: self.miss.request.key.clone(),
            headers,
            tag: origin.tag(),
            url: origin.url(),
            length,
            validator,
            check: Check::default(),
            client,
            report: self.miss.report.clone(),
        }
    }

    /// What a fetch of its own needs to know, where the object is to be stored.
    pub(crate) fn wanted(&self, client: Option<u16>) -> Option<Storing> {
        let plan = || self.plan(HeaderList::new(), None, None, client);
        self.miss.storing().is_ok().then(|| Storing::Later(plan(), self.route.clone()))
    }

    /// The same where the client may come again for all of it.
    fn awaited(&self, client: Option<u16>) -> Option<Storing> {
        let plan = || self.plan(HeaderList::new(), None, None, client);
        self.miss.storing().is_ok().then(|| Storing::Awaited(plan(), self.route.clone()))
    }

    pub(crate) fn last_word(&self, verdict: &Verdict) -> Conclusion {
        self.miss.conclude(self.route.initial(), verdict, None)
    }

    fn conclude(&self, verdict: &Verdict) -> Answered {
        let conclusion = self.last_word(verdict);
        match verdict {
            Verdict::Absent => Answered::Absent(conclusion),
            Verdict::Failed(_)
            | Verdict::Moved(_)
            | Verdict::Object(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge { .. }
            | Verdict::Unknown => Answered::Concluded(conclusion, None),
        }
    }

    fn fail(&self, failure: &MirrorFailure) -> Answered {
        Answered::Concluded(self.miss.failed(self.route.initial(), failure), None)
    }
}

/// What comes of a request that gets the object, or what it asks of it.
const fn mirrored(
    url: &str,
    bytes: Option<u64>,
    client: u16,
    storing: Result<(), NotStored>,
) -> Outcome<'_> {
    match storing {
        Ok(()) => Outcome::Begun { url, bytes, client },
        Err(_) => Outcome::Mirrored { url, bytes, client: Some(client), stored: Some(storing) },
    }
}

/// A request for a server, as it stays on the miss route of this host until it goes there.
pub(crate) fn readdressed(host: &str, request: &HeaderList) -> HeaderList {
    let mut headers =
        HeaderList::new().with(":authority", host).with(miss_route::MISS, miss_route::READ);
    for (name, value) in request.iter() {
        match name {
            ":authority" => headers.add(miss_route::SERVER_HOST, value),
            _ => headers.add(name, value),
        }
    }
    headers
}

/// Has it go to a cluster by the way on which the gateway's own answers come back too.
fn by_attempts(headers: &mut HeaderList, cluster: &str, timeout: Duration) {
    headers.add(miss_route::CLUSTER, miss_route::ATTEMPTS);
    headers.add(miss_route::SERVER, cluster);
    headers.add(miss_route::ATTEMPT_TIMEOUT, timeout.as_millis().to_string());
}

/// Sends a request to a cluster with nothing between.
fn straight(headers: &mut HeaderList, cluster: &str, timeout: Duration) {
    headers.add(miss_route::CLUSTER, cluster);
    headers.add(miss_route::TIMEOUT, timeout.as_millis().to_string());
}

/// Has these answers come back, under the name of the attempt.
pub(crate) fn comes_back(headers: &mut HeaderList, attempt: &str, returns: &str) {
    headers.add(miss_route::ATTEMPT, attempt);
    headers.add(miss_route::RETURNS, returns);
}
