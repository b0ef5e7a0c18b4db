//! Fetching: one request to the origin for all who miss the same object, or one after another,
//! where the origin redirects or fails and the rule knows another.

use std::rc::Rc;
use std::time::Duration;

use super::delivery::FirstClient;
use super::{ANSWERS_PER_TURN, Callouts, Parts, Waiter};
use crate::account::{Booking, Held, Taker};
use crate::digest::Mismatch;
use crate::host::{Call, CallAnswer, CallId, DispatchError, StreamId, Turn};
use crate::http::headers::Headers;
use crate::metric::Metric;
use crate::miss::Miss;
use crate::origin::{self, Next, OriginRequest, Route, Verdict};
use crate::reason::{MirrorFailure, NotStored};
use crate::reply::{Object, Reply};
use crate::report::Outcome;
use crate::request::Method;
use crate::time::Moment;

/// One object on its way from its origin.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The miss it was begun for.
    pub(super) miss: Miss,
    /// The way to the object.
    pub(super) route: Route,
    pub(super) waiters: Vec<Waiter>,
    /// What the origin is asked for.
    pub(super) method: Method,
    /// Who wanted it and does not wait.
    pub(super) wanted: Option<Wanted>,
    state: State,
    /// Since when the host does not know its cluster.
    unknown: Option<Moment>,
}

/// How long a cluster is waited for that the host does not know: a host takes new servers and new
/// rules one after the other, in an order of its own.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(2);

/// A request that has been answered, and is told of when the object is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) client: FirstClient,
}

#[derive(Debug)]
enum State {
    /// The host gave the answer up; the origin is asked how large the object is.
    AskingSize(CallId),
    /// The origin is asked for the object, or its headers.
    Calling(CallId),
    /// As many as may be are under way already.
    Queued { since: Moment },
    /// The host does not know the cluster, and is asked again.
    Unknown,
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
        let wanted = client.map(|client| Wanted { client });
        Self::of(miss, Method::Get, wanted, now)
    }

    fn of(miss: Miss, method: Method, wanted: Option<Wanted>, now: Moment) -> Self {
        let route = miss.route(now);
        let state = State::Queued { since: now };
        Self { miss, route, waiters: Vec::new(), method, wanted, state, unknown: None }
    }

    /// Whether what comes of it answers a miss: an object answers a HEAD too.
    pub(super) fn is_for(&self, miss: &Miss) -> bool {
        let brings = self.method == Method::Get || miss.request.method == Method::Head;
        brings && self.miss.is_same_object(miss)
    }

    /// Whether nobody is left to want what was not begun.
    fn is_forgotten(&self) -> bool {
        self.is_queued() && self.waiters.is_empty() && self.wanted.is_none()
    }

    pub(super) const fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued { .. })
    }

    /// Whether time brings it on.
    pub(super) const fn waits(&self) -> bool {
        matches!(self.state, State::Queued { .. } | State::Unknown)
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
    fn current(&self) -> &OriginRequest {
        self.route.current()
    }

    fn request(&self, method: Method, timeout: Duration) -> Call {
        let origin = self.current();
        Call {
            cluster: origin.cluster.clone(),
            headers: origin.call_headers(method.as_str()),
            body: None,
            timeout: origin.timeout(timeout),
            unless_written: None,
        }
    }
}

impl Callouts {
    pub(super) fn start_fetches(&mut self, parts: &mut Parts<'_>, turn: &mut Turn<'_>) {
        self.fetches.retain(|fetch| !fetch.is_forgotten());
        let limit = usize::try_from(turn.configuration.limits.fetches).unwrap_or(usize::MAX);
        let under_way = self.fetches.iter().filter(|fetch| !fetch.is_queued()).count();
        let queued = self.fetches.iter().filter(|fetch| fetch.is_queued()).count();
        for _ in 0..queued.min(limit.saturating_sub(under_way)) {
            let Some(at) = self.fetches.iter().position(Fetch::is_queued) else { return };
            // Its answer may be as large as those before, and is held twice.
            let Some(booking) = self.room_for_answer(at) else { return };
            if let Some(fetch) = self.fetches.get_mut(at) {
                fetch.route.begin(turn.now);
                parts.health.probe_beside(&fetch.route, turn);
                fetch.route.prefer_well(parts.health, turn.now);
            }
            self.call_origin(at, Some(booking), turn);
        }
    }

    /// Memory for the answer to a fetch, after what is held for nobody has made room.
    fn room_for_answer(&mut self, at: usize) -> Option<Booking> {
        let is_head = self.fetches.get(at).is_some_and(|fetch| fetch.method == Method::Head);
        let limit = self.account.limit();
        let guess = if is_head { 0 } else { self.guess.bytes };
        let (here, there) = (guess.min(limit.here), guess.min(limit.there));
        self.make_room(here);
        self.account.book(here, there, Taker::InTurn)
    }

    /// Asks the origin; where another one has been asked before, its memory serves this one.
    fn call_origin(&mut self, at: usize, booking: Option<Booking>, turn: &mut Turn<'_>) {
        let timeout = turn.configuration.timeouts.origin;
        let booking = booking.or_else(|| self.account.book(0, 0, Taker::InTurn));
        if let Some(fetch) = self.fetches.get_mut(at) {
            if fetch.unknown.is_none() {
                turn.count(Metric::Fetches);
            }
            let call = fetch.request(fetch.method, timeout);
            let id = turn.calls.next();
            turn.send(id, call, booking);
            fetch.state = State::Calling(id);
        }
    }

    /// A fetch that found no place in the time it may take is not begun any more.
    pub(super) fn give_up_queued(&mut self, parts: &mut Parts<'_>, turn: &mut Turn<'_>) {
        let patience = turn.configuration.timeouts.origin;
        let mut at = 0;
        while let Some(fetch) = self.fetches.get(at) {
            let late = match fetch.state {
                State::Queued { since } => turn.now >= since.after(patience),
                State::AskingSize(_) | State::Calling(_) | State::Unknown => false,
            };
            if late {
                let verdict = Verdict::Failed(MirrorFailure::Overloaded);
                self.conclude(at, verdict, None, None, parts, turn);
            } else {
                at += 1;
            }
        }
    }

    /// The host may know by now whom it did not know.
    pub(super) fn ask_unknown(&mut self, now: Moment) {
        for fetch in &mut self.fetches {
            if matches!(fetch.state, State::Unknown) {
                fetch.state = State::Queued { since: now };
            }
        }
    }

    pub(super) fn on_origin_answer(
        &mut self,
        at: usize,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        let limit = fetch.current().limit(&turn.configuration.limits);
        let verdict = fetch.current().judge(&answer.headers, answer.body_bytes, limit);
        self.guess.learn(answer.body_bytes);
        let is_whole = answer.body.len() as u64 == answer.body_bytes;
        let mismatch = self.mismatch(at, &answer);
        let Self { account, .. } = self;
        let mut booked = booked;
        let body = match &mut booked {
            Some(booked) => booked.split_here().hold(answer.body, Taker::InTurn),
            None => account.hold(answer.body, Taker::InTurn),
        };
        let verdict = match verdict {
            // There is no memory for it: the origin has some.
            Verdict::Object(_) | Verdict::Passed(_) if !is_whole && answer.body_bytes <= limit => {
                Verdict::TooLarge { limit }
            }
            Verdict::Object(_) | Verdict::Passed(_) if !is_whole => {
                Verdict::Failed(MirrorFailure::Broken)
            }
            Verdict::Object(found) => match (mismatch, body) {
                (Some(mismatch), _) => Verdict::Failed(MirrorFailure::Digest(mismatch)),
                (None, None) => Verdict::TooLarge { limit },
                (None, Some(body)) => {
                    let fetch = self.fetches.remove(at);
                    let origin = fetch.route.initial();
                    let object = Rc::new(Object {
                        body: Rc::new(body),
                        client: found.dated(turn.now),
                        stored: found.stored,
                        validators: found.validators,
                        tag: origin.tag(),
                        url: origin.url(),
                    });
                    let storable = match found.is_delimited {
                        true => fetch.miss.storing(),
                        false => fetch.miss.storing().and(Err(NotStored::Undelimited)),
                    };
                    return self.deliver(fetch, object, storable, parts, turn);
                }
            },
            Verdict::Unknown => return self.ask_size(at, turn),
            verdict @ (Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::Moved(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge { .. }) => {
                return self.conclude(at, verdict, body, booked, parts, turn);
            }
        };
        self.conclude(at, verdict, None, booked, parts, turn);
    }

    /// What the origin says of the object's bytes, and is not true.
    fn mismatch(&self, at: usize, answer: &CallAnswer) -> Option<Mismatch> {
        let mut check = self.fetches.get(at)?.current().check(&answer.headers);
        check.update(&answer.body);
        check.mismatch()
    }

    pub(super) fn on_size_answer(
        &mut self,
        at: usize,
        headers: &Headers,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        let limit = fetch.current().limit(&turn.configuration.limits);
        let verdict = origin::judge_size(headers, limit);
        self.conclude(at, verdict, None, None, parts, turn);
    }

    pub(super) fn on_origin_refused(
        &mut self,
        at: usize,
        why: DispatchError,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        if why == DispatchError::NoCluster
            && let Some(fetch) = self.fetches.get_mut(at)
            && fetch.unknown.get_or_insert(turn.now).after(CLUSTER_PATIENCE) > turn.now
        {
            fetch.state = State::Unknown;
            return;
        }
        let failure = match why {
            DispatchError::NoCluster => MirrorFailure::NoCluster,
            DispatchError::NoHost => MirrorFailure::NoAddress,
            DispatchError::Written => MirrorFailure::Unreachable,
        };
        self.conclude(at, Verdict::Failed(failure), None, None, parts, turn);
    }

    fn ask_size(&mut self, at: usize, turn: &mut Turn<'_>) {
        let timeout = turn.configuration.timeouts.origin;
        if let Some(fetch) = self.fetches.get_mut(at) {
            fetch.state = State::AskingSize(turn.call(fetch.request(Method::Head, timeout)));
        }
    }

    /// The headers of an object have come: whoever asked for them has them, and the object is
    /// fetched for the bucket.
    pub(super) fn on_head_answer(
        &mut self,
        at: usize,
        headers: &Headers,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        let limit = fetch.current().limit(&turn.configuration.limits);
        let found = match fetch.current().judge_head(headers, limit) {
            Verdict::Object(found) => found,
            verdict @ (Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::Moved(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge { .. }
            | Verdict::Unknown) => return self.conclude(at, verdict, None, None, parts, turn),
        };
        let Fetch { miss, route, mut waiters, .. } = self.fetches.remove(at);
        let origin = route.initial();
        let length = headers.content_length();
        let (tag, url) = (origin.tag(), origin.url());
        let own = found.dated(turn.now);
        // The others have theirs from the object.
        let rest = waiters.split_off(waiters.len().min(ANSWERS_PER_TURN));
        let mut client = FirstClient::Left;
        for waiter in waiters {
            let reply = Reply::unmet(&found.validators, &own, &tag, &waiter.miss.request)
                .unwrap_or_else(|| Reply::head(&own, &tag, length));
            turn.count(Metric::Mirrored);
            if waiter.first {
                client = FirstClient::Answered(reply.status);
            } else {
                turn.log(told(&waiter.miss, &url, length, Some(reply.status)));
            }
            self.answer(waiter.stream, reply, turn);
        }
        let fetch =
            |fetch: &&mut Fetch| fetch.method == Method::Get && fetch.miss.is_same_object(&miss);
        if let Some(delivery) =
            self.deliveries.iter_mut().find(|known| known.serves(&miss, parts.copies))
        {
            delivery.waiters.extend(rest);
        } else if let Some(fetch) = self.fetches.iter_mut().find(fetch) {
            fetch.waiters.extend(rest);
        } else {
            let wanted = miss.storing().is_ok().then_some(Wanted { client });
            if wanted.is_some() || !rest.is_empty() {
                let fetch = Fetch::of(miss, Method::Get, wanted, turn.now);
                return self.fetches.push(Fetch { waiters: rest, ..fetch });
            }
        }
        turn.log(told(&miss, &url, length, client.status()));
    }

    /// An origin has been heard. Where that is not the last word, the next one is asked.
    fn conclude(
        &mut self,
        at: usize,
        verdict: Verdict,
        body: Option<Held>,
        booked: Option<&mut Booking>,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.get_mut(at) else { return };
        match fetch.route.on_verdict(verdict, turn.configuration, parts.health, turn.now) {
            Next::Ask => {
                // What the last answer took is for the next one.
                drop(body);
                let booking = match booked.map(Booking::take) {
                    Some(booking) => Some(booking),
                    None => self.room_for_answer(at),
                };
                self.call_origin(at, booking, turn);
            }
            Next::FallThrough => self.fall_through(at, parts, turn),
            Next::End(verdict) => self.end_fetch(at, &verdict, body, turn),
        }
    }
}

/// The line on one whose object another request stores, or nobody.
fn told(miss: &Miss, url: &str, bytes: Option<u64>, client: Option<u16>) -> String {
    let stored = miss.storing().err().map(Err);
    miss.report.line(&Outcome::Mirrored { url, bytes, client, stored })
}
