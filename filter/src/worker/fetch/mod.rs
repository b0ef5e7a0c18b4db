//! Fetching: one request to the origin for all who miss the same object, or one after another,
//! where the origin redirects or fails and the rule knows another.

mod ending;

use std::rc::Rc;

pub(super) use self::ending::tell;

use super::copy::FirstClient;
use super::{
    ANSWERS_PER_TURN, Call, CallAnswer, CallId, Effect, Moment, Refusal, StreamId, Waiter, Worker,
    health, same_object,
};
use crate::digest::Mismatch;
use crate::exchange::Miss;
use crate::http::headers::Headers;
use crate::metric::Metric;
use crate::origin::{self, OriginRequest, Trail, USER_AGENT, Verdict};
use crate::reason::MirrorFailure;
use crate::reply::{Object, Reply};
use crate::request::Method;

/// One object on its way from its origin.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The miss it was begun for.
    miss: Miss,
    /// The way to the object.
    trail: Trail,
    /// What is asked after it.
    others: Vec<OriginRequest>,
    pub(super) waiters: Vec<Waiter>,
    /// What the origin is asked for.
    method: Method,
    /// Who wanted it and does not wait.
    wanted: Option<Wanted>,
    state: State,
}

/// A request that has been answered, and is told of when the object is stored.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    client: FirstClient,
    /// The object's size, where the client was told of the object: by a HEAD.
    bytes: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// The host gave the answer up; the origin is asked how large the object is.
    AskingSize(CallId),
    /// The origin is asked for the object, or its headers.
    Calling(CallId),
    /// As many as may be are under way already.
    Queued { since: Moment },
}

impl Fetch {
    pub(super) fn new(stream: StreamId, miss: Miss, now: Moment) -> Self {
        let waiter = Waiter { stream, miss: miss.clone(), first: true };
        let method = miss.request.method;
        Self { waiters: vec![waiter], ..Self::of(miss, method, None, now) }
    }

    /// For nobody who waits.
    pub(super) fn wanted(miss: Miss, now: Moment) -> Self {
        let client = miss.origin.rule().async_status.map(FirstClient::Answered);
        let wanted = client.map(|client| Wanted { client, bytes: None });
        Self::of(miss, Method::Get, wanted, now)
    }

    fn of(miss: Miss, method: Method, wanted: Option<Wanted>, now: Moment) -> Self {
        let (trail, others) = (Trail::new(miss.origin.clone(), now), miss.others.clone());
        Self {
            miss,
            trail,
            others,
            waiters: Vec::new(),
            method,
            wanted,
            state: State::Queued { since: now },
        }
    }

    /// Whether what comes of it answers a miss: an object answers a HEAD too.
    pub(super) fn is_for(&self, miss: &Miss) -> bool {
        let brings = self.method == Method::Get || miss.request.method == Method::Head;
        brings && same_object(&self.miss, miss)
    }

    /// Whether nobody is left to want what was not begun.
    fn is_forgotten(&self) -> bool {
        self.is_queued() && self.waiters.is_empty() && self.wanted.is_none()
    }

    pub(super) const fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued { .. })
    }

    pub(super) fn is_calling(&self, call: CallId) -> bool {
        self.method == Method::Get && self.calls(call)
    }

    pub(super) fn is_heading(&self, call: CallId) -> bool {
        self.method == Method::Head && self.calls(call)
    }

    fn calls(&self, call: CallId) -> bool {
        matches!(self.state, State::Calling(own) if own == call)
    }

    pub(super) fn is_asking(&self, call: CallId) -> bool {
        matches!(self.state, State::AskingSize(own) if own == call)
    }

    pub(super) fn has(&self, call: CallId) -> bool {
        self.calls(call) || self.is_asking(call)
    }

    /// The request that is under way.
    fn asked(&self) -> &OriginRequest {
        self.trail.asked()
    }

    fn request(&self, method: Method, timeout: std::time::Duration) -> Call {
        let origin = self.asked();
        Call {
            cluster: origin.cluster.clone(),
            headers: origin.call_headers(method.as_str()),
            body: None,
            timeout: origin.timeout(timeout),
        }
    }
}

impl Worker {
    pub(super) fn start_fetches(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.fetches.retain(|fetch| !fetch.is_forgotten());
        let limit = usize::try_from(self.configuration.limits.fetches).unwrap_or(usize::MAX);
        let under_way = self.fetches.iter().filter(|fetch| !fetch.is_queued()).count();
        let queued = self.fetches.iter().filter(|fetch| fetch.is_queued()).count();
        for _ in 0..queued.min(limit.saturating_sub(under_way)) {
            let Some(at) = self.fetches.iter().position(Fetch::is_queued) else { return };
            if let Some(fetch) = self.fetches.get_mut(at) {
                fetch.trail.begin(now);
            }
            self.choose(at, now, effects);
            self.call_origin(at, effects);
        }
    }

    /// Takes of a fetch's origins the one that is well first, and has it probed where that is due.
    fn choose(&mut self, at: usize, now: Moment, effects: &mut Vec<Effect>) {
        let call = self.call();
        let Some(fetch) = self.fetches.get_mut(at) else { return };
        if fetch.others.is_empty() {
            return;
        }
        if let Some(place) = &fetch.miss.origin.rule().alternates.probe {
            let origin = fetch.miss.origin.origin();
            let server = fetch.miss.origin.rule().server(place.origin());
            let cluster = self.configuration.cluster_of(&server);
            if let Some(cluster) = cluster.filter(|_| self.health.is_due(place, &origin, now)) {
                self.health.asks(place, &origin, call, now);
                let cluster = cluster.to_owned();
                let headers = health::request(place, USER_AGENT);
                let timeout = fetch.miss.origin.timeout(self.configuration.timeouts.origin);
                effects.push(Effect::Call(call, Call { cluster, headers, body: None, timeout }));
            }
        }
        let mut candidates = vec![fetch.trail.origin().clone()];
        candidates.append(&mut fetch.others);
        let mut candidates = self.health.sorted(candidates, now);
        fetch.trail.turn_to(candidates.remove(0));
        fetch.others = candidates;
    }

    fn call_origin(&mut self, at: usize, effects: &mut Vec<Effect>) {
        let call = self.call();
        let timeout = self.configuration.timeouts.origin;
        if let Some(fetch) = self.fetches.get_mut(at) {
            fetch.state = State::Calling(call);
            effects.push(Effect::Count(Metric::Fetches));
            effects.push(Effect::Call(call, fetch.request(fetch.method, timeout)));
        }
    }

    /// A fetch that found no place in the time it may take is not begun any more.
    pub(super) fn give_up_queued(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let patience = self.configuration.timeouts.origin;
        let mut at = 0;
        while let Some(fetch) = self.fetches.get(at) {
            let late = match fetch.state {
                State::Queued { since } => now >= since.after(patience),
                State::AskingSize(_) | State::Calling(_) => false,
            };
            if late {
                let verdict = Verdict::Failed(MirrorFailure::Overloaded);
                self.end_fetch(at, &verdict, Vec::new(), now, effects);
            } else {
                at += 1;
            }
        }
    }

    pub(super) fn on_origin_answer(
        &mut self,
        at: usize,
        answer: CallAnswer,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        let limit = fetch.asked().limit(&self.configuration.limits);
        let verdict = fetch.asked().judge(&answer.headers, answer.body_bytes, limit);
        let is_whole = answer.body.len() as u64 == answer.body_bytes;
        match verdict {
            Verdict::Object(_) | Verdict::Passed(_) if !is_whole => {
                self.conclude(at, Verdict::Failed(MirrorFailure::Broken), Vec::new(), now, effects);
            }
            Verdict::Object(found) => {
                if let Some(mismatch) = self.mismatch(at, &answer) {
                    let verdict = Verdict::Failed(MirrorFailure::Digest(mismatch));
                    return self.conclude(at, verdict, Vec::new(), now, effects);
                }
                let Fetch { miss, trail, waiters, wanted, .. } = self.fetches.remove(at);
                let origin = trail.origin();
                let object = Rc::new(Object {
                    body: Rc::new(answer.body),
                    shown: found.shown,
                    kept: found.kept,
                    tag: origin.tag(),
                    url: origin.url(),
                });
                let client = wanted.map(|wanted| wanted.client);
                self.store(miss, waiters, client, object, now, effects);
            }
            Verdict::Moved(location) => self.follow(at, &location, now, effects),
            Verdict::Unknown => self.ask_size(at, effects),
            Verdict::Absent | Verdict::Failed(_) | Verdict::Passed(_) | Verdict::TooLarge => {
                self.conclude(at, verdict, answer.body, now, effects);
            }
        }
    }

    /// What the origin says of the object's bytes, and is not true.
    fn mismatch(&self, at: usize, answer: &CallAnswer) -> Option<Mismatch> {
        let mut check = self.fetches.get(at)?.asked().check(&answer.headers);
        check.update(&answer.body);
        check.mismatch()
    }

    pub(super) fn on_size_answer(
        &mut self,
        at: usize,
        headers: &Headers,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        let limit = fetch.asked().limit(&self.configuration.limits);
        let verdict = origin::judge_size(headers, limit);
        self.conclude(at, verdict, Vec::new(), now, effects);
    }

    pub(super) fn on_origin_refused(
        &mut self,
        at: usize,
        why: Refusal,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let failure = match why {
            Refusal::NoCluster => MirrorFailure::NoCluster,
            Refusal::NoHost => MirrorFailure::Unreachable,
        };
        self.conclude(at, Verdict::Failed(failure), Vec::new(), now, effects);
    }

    fn ask_size(&mut self, at: usize, effects: &mut Vec<Effect>) {
        let call = self.call();
        let timeout = self.configuration.timeouts.origin;
        if let Some(fetch) = self.fetches.get_mut(at) {
            fetch.state = State::AskingSize(call);
            effects.push(Effect::Call(call, fetch.request(Method::Head, timeout)));
        }
    }

    /// The origin has sent the fetch elsewhere: it goes there, where the configuration names that
    /// place.
    fn follow(&mut self, at: usize, location: &str, now: Moment, effects: &mut Vec<Effect>) {
        let configuration = Rc::clone(&self.configuration);
        let Some(fetch) = self.fetches.get_mut(at) else { return };
        match fetch.trail.follow(location, &configuration, now) {
            Ok(()) => self.call_origin(at, effects),
            Err(failure) => {
                self.conclude(at, Verdict::Failed(failure), Vec::new(), now, effects);
            }
        }
    }

    /// The headers of an object have come: whoever asked for them has them, and the object is
    /// fetched for the bucket.
    pub(super) fn on_head_answer(
        &mut self,
        at: usize,
        headers: &Headers,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        let limit = fetch.asked().limit(&self.configuration.limits);
        let found = match fetch.asked().judge_head(headers, limit) {
            Verdict::Object(found) => found,
            Verdict::Moved(location) => return self.follow(at, &location, now, effects),
            verdict @ (Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge
            | Verdict::Unknown) => {
                return self.conclude(at, verdict, Vec::new(), now, effects);
            }
        };
        let Fetch { miss, trail, mut waiters, .. } = self.fetches.remove(at);
        let origin = trail.origin();
        let length = headers.content_length();
        let bytes = length.unwrap_or_default();
        let (tag, url) = (origin.tag(), origin.url());
        // The others have theirs from the object.
        let rest = waiters.split_off(waiters.len().min(ANSWERS_PER_TURN));
        let mut client = FirstClient::Left;
        for waiter in waiters {
            let reply = Reply::head(&found.shown, &tag, length);
            effects.push(Effect::Count(Metric::Mirrored));
            if waiter.first {
                client = FirstClient::Answered(reply.status);
            } else {
                tell(&waiter.miss, &url, bytes, Some(reply.status), None, effects);
            }
            self.answer(waiter.stream, reply, effects);
        }
        let fetch =
            |fetch: &&mut Fetch| fetch.method == Method::Get && same_object(&fetch.miss, &miss);
        if let Some(copy) = self.copies.iter_mut().find(|copy| copy.serves(&miss)) {
            copy.waiters.extend(rest);
        } else if let Some(fetch) = self.fetches.iter_mut().find(fetch) {
            fetch.waiters.extend(rest);
        } else {
            let wanted = Wanted { client, bytes: Some(bytes) };
            let wanted = miss.storing().is_ok().then_some(wanted);
            if wanted.is_some() || !rest.is_empty() {
                let fetch = Fetch::of(miss, Method::Get, wanted, now);
                return self.fetches.push(Fetch { waiters: rest, ..fetch });
            }
        }
        tell(&miss, &url, bytes, client.status(), None, effects);
    }

    /// An origin has been heard: where it failed and there is another, that one is asked.
    fn conclude(
        &mut self,
        at: usize,
        verdict: Verdict,
        body: Vec<u8>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let patience = self.configuration.timeouts.origin;
        let Some(fetch) = self.fetches.get_mut(at) else { return };
        if fetch.others.is_empty() || !fetch.asked().is_failure(&verdict) {
            return self.end_fetch(at, &verdict, body, now, effects);
        }
        self.health.fails(fetch.trail.origin().origin(), now);
        if !fetch.trail.is_in_time(patience, now) {
            return self.end_fetch(at, &verdict, body, now, effects);
        }
        fetch.trail.turn_to(fetch.others.remove(0));
        self.call_origin(at, effects);
    }
}
