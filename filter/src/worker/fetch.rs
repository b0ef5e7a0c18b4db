//! Fetching: one request to the origin for all who miss the same object.

use std::rc::Rc;

use super::copy::FirstClient;
use super::{
    ANSWERS_PER_TURN, Call, CallAnswer, CallId, Effect, Moment, Refusal, StreamId, Waiter, Worker,
    same_object,
};
use crate::digest::Mismatch;
use crate::exchange::Miss;
use crate::http::headers::Headers;
use crate::metric::Metric;
use crate::origin::{self, Verdict};
use crate::reason::{MirrorFailure, NotStored};
use crate::reply::{Object, Reply};
use crate::report::Outcome;
use crate::request::Method;
use crate::rule::TooLarge;

/// One object on its way from its origin.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The miss it was begun for.
    miss: Miss,
    pub(super) waiters: Vec<Waiter>,
    /// What the origin is asked for.
    method: Method,
    /// The HEAD before it, by which the object is wanted whoever waits.
    head: Option<Head>,
    state: State,
}

/// A HEAD that has been answered, and is told of when the object is stored.
#[derive(Clone, Copy, Debug)]
struct Head {
    client: FirstClient,
    bytes: u64,
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
        let state = State::Queued { since: now };
        Self { miss, waiters: vec![waiter], method, head: None, state }
    }

    /// Whether what comes of it answers a miss: an object answers a HEAD too.
    pub(super) fn is_for(&self, miss: &Miss) -> bool {
        let brings = self.method == Method::Get || miss.request.method == Method::Head;
        brings && same_object(&self.miss, miss)
    }

    /// Whether nobody is left to want what was not begun.
    fn is_forgotten(&self) -> bool {
        self.is_queued() && self.waiters.is_empty() && self.head.is_none()
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

    fn request(&self, method: &str, timeout: std::time::Duration) -> Call {
        Call {
            cluster: self.miss.origin.cluster.clone(),
            headers: self.miss.origin.call_headers(method),
            body: None,
            timeout,
        }
    }
}

impl Worker {
    pub(super) fn start_fetches(&mut self, effects: &mut Vec<Effect>) {
        self.fetches.retain(|fetch| !fetch.is_forgotten());
        let limit = usize::try_from(self.configuration.limits.fetches).unwrap_or(usize::MAX);
        let timeout = self.configuration.timeouts.origin;
        let under_way = self.fetches.iter().filter(|fetch| !fetch.is_queued()).count();
        let queued = self.fetches.iter().filter(|fetch| fetch.is_queued()).count();
        for _ in 0..queued.min(limit.saturating_sub(under_way)) {
            let call = self.call();
            if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.is_queued()) {
                fetch.state = State::Calling(call);
                effects.push(Effect::Count(Metric::Fetches));
                effects.push(Effect::Call(call, fetch.request(fetch.method.as_str(), timeout)));
            }
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
                self.end_fetch(at, &Verdict::Failed(MirrorFailure::Overloaded), effects);
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
        let limit = self.configuration.limits.object_bytes;
        let verdict = origin::judge(&answer.headers, answer.body_bytes, limit);
        match verdict {
            Verdict::Object(_) if answer.body.len() as u64 != answer.body_bytes => {
                self.end_fetch(at, &Verdict::Failed(MirrorFailure::Broken), effects);
            }
            Verdict::Object(headers) => {
                if let Some(mismatch) = self.mismatch(at, &answer) {
                    let verdict = Verdict::Failed(MirrorFailure::Digest(mismatch));
                    return self.end_fetch(at, &verdict, effects);
                }
                let Fetch { miss, waiters, head, .. } = self.fetches.remove(at);
                let tag = miss.origin.tag();
                let object = Rc::new(Object { body: Rc::new(answer.body), headers, tag });
                let client = head.map(|head| head.client);
                self.store(miss, waiters, client, object, now, effects);
            }
            Verdict::Unknown => self.ask_size(at, effects),
            Verdict::Absent | Verdict::Failed(_) | Verdict::TooLarge => {
                self.end_fetch(at, &verdict, effects);
            }
        }
    }

    /// What the origin says of the object's bytes, and is not true.
    fn mismatch(&self, at: usize, answer: &CallAnswer) -> Option<Mismatch> {
        let mut check = self.fetches.get(at)?.miss.origin.check(&answer.headers);
        check.update(&answer.body);
        check.mismatch()
    }

    pub(super) fn on_size_answer(
        &mut self,
        at: usize,
        headers: &Headers,
        effects: &mut Vec<Effect>,
    ) {
        let verdict = origin::judge_size(headers, self.configuration.limits.object_bytes);
        self.end_fetch(at, &verdict, effects);
    }

    pub(super) fn on_origin_refused(&mut self, at: usize, why: Refusal, effects: &mut Vec<Effect>) {
        let failure = match why {
            Refusal::NoCluster => MirrorFailure::NoCluster,
            Refusal::NoHost => MirrorFailure::Unreachable,
        };
        self.end_fetch(at, &Verdict::Failed(failure), effects);
    }

    fn ask_size(&mut self, at: usize, effects: &mut Vec<Effect>) {
        let call = self.call();
        let timeout = self.configuration.timeouts.origin;
        if let Some(fetch) = self.fetches.get_mut(at) {
            fetch.state = State::AskingSize(call);
            effects.push(Effect::Call(call, fetch.request("HEAD", timeout)));
        }
    }

    /// Answers all who waited for an object that is not to be had.
    fn end_fetch(&mut self, at: usize, verdict: &Verdict, effects: &mut Vec<Effect>) {
        let Fetch { miss, waiters, head, .. } = self.fetches.remove(at);
        for waiter in waiters {
            self.answer_without_object(&waiter, verdict, effects);
        }
        if let Some(Head { client, bytes }) = head {
            let why = match verdict {
                Verdict::Absent => NotStored::OriginRefused(404),
                Verdict::Failed(failure) => NotStored::from(*failure),
                Verdict::TooLarge => NotStored::NoMemory,
                Verdict::Object(_) | Verdict::Unknown => NotStored::Broken,
            };
            effects.push(Effect::Count(Metric::NotStored));
            tell(&miss, bytes, client.status(), Some(Err(why)), effects);
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
        let own = match origin::judge_head(headers, self.configuration.limits.object_bytes) {
            Verdict::Object(own) => own,
            verdict @ (Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::TooLarge
            | Verdict::Unknown) => return self.end_fetch(at, &verdict, effects),
        };
        let Fetch { miss, mut waiters, .. } = self.fetches.remove(at);
        let length = headers.content_length();
        let bytes = length.unwrap_or_default();
        let tag = miss.origin.tag();
        // The others have theirs from the object.
        let rest = waiters.split_off(waiters.len().min(ANSWERS_PER_TURN));
        let mut client = FirstClient::Left;
        for waiter in waiters {
            let reply = Reply::head(&own, &tag, length);
            effects.push(Effect::Count(Metric::Mirrored));
            if waiter.first {
                client = FirstClient::Answered(reply.status);
            } else {
                tell(&waiter.miss, bytes, Some(reply.status), None, effects);
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
            let (head, state) = (Some(Head { client, bytes }), State::Queued { since: now });
            let fetch = Fetch { miss, waiters: rest, method: Method::Get, head, state };
            return self.fetches.push(fetch);
        }
        tell(&miss, bytes, client.status(), None, effects);
    }

    pub(super) fn answer_without_object(
        &mut self,
        waiter: &Waiter,
        verdict: &Verdict,
        effects: &mut Vec<Effect>,
    ) {
        let miss = &waiter.miss;
        let url = miss.origin.url();
        let failure = match verdict {
            Verdict::Absent => {
                effects.push(Effect::Count(Metric::Absent));
                effects.push(Effect::Log(miss.report.line(&Outcome::Absent { url: &url })));
                self.answer(waiter.stream, Reply::absent(miss.rule, &miss.request), effects);
                return;
            }
            Verdict::TooLarge => match miss.too_large {
                TooLarge::Redirect => {
                    let location = miss.origin.location();
                    let outcome = Outcome::TooLarge { location: &location };
                    effects.push(Effect::Count(Metric::TooLarge));
                    effects.push(Effect::Log(miss.report.line(&outcome)));
                    self.answer(waiter.stream, Reply::redirect(302, &location), effects);
                    return;
                }
                TooLarge::Fail => {
                    MirrorFailure::TooLarge { limit: self.configuration.limits.object_bytes }
                }
            },
            Verdict::Failed(failure) => *failure,
            Verdict::Object(_) | Verdict::Unknown => MirrorFailure::Broken,
        };
        let outcome = Outcome::Failed { url: Some(&url), failure };
        effects.push(Effect::Count(Metric::MirrorFailed));
        effects.push(Effect::Log(miss.report.line(&outcome)));
        self.answer(waiter.stream, Reply::failed(miss.rule, failure, &miss.request), effects);
    }
}

/// Tells of one request that an object, or its headers, came for.
pub(super) fn tell(
    miss: &Miss,
    bytes: u64,
    client: Option<u16>,
    stored: Option<Result<(), NotStored>>,
    effects: &mut Vec<Effect>,
) {
    let url = miss.origin.url();
    let outcome = Outcome::Mirrored { url: &url, bytes, client, stored };
    effects.push(Effect::Log(miss.report.line(&outcome)));
}
