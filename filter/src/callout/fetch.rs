//! Fetching: one request to the origin for all who miss the same object, or one after another,
//! where the origin redirects or fails and the rule knows another.

use std::rc::Rc;
use std::time::Duration;

use super::delivery::FirstClient;
use super::fetches::FetchId;
use super::{ANSWERS_PER_TURN, Callouts, Parts, Waiter};
use crate::account::{Booking, Held, Taker};
use crate::conclusion::Told;
use crate::configuration::Configuration;
use crate::digest::Mismatch;
use crate::host::{Call, CallAnswer, CallId, DispatchError, StreamId, Turn};
use crate::http::headers::Headers;
use crate::metric::{self, Metric};
use crate::miss::Miss;
use crate::origin::{self, Next, OriginRequest, Route, Verdict};
use crate::quota::{Quotas, Whose};
use crate::reason::{MirrorFailure, NotStored};
use crate::reply::{Object, Reply};
use crate::report::Outcome;
use crate::request::Method;
use crate::store::upload::Late;
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
    pub(super) state: State,
    /// When its call under way was sent.
    sent: Moment,
    /// Since when the host does not know its cluster.
    unknown: Option<Moment>,
}

/// How long a cluster is waited for that the host does not know: a host takes new servers and new
/// rules one after the other, in an order of its own.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(2);

/// How long a client waits for memory before what only waits for its store gives way: a store that
/// is well has taken it by then.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// A request that has been answered, and is told of when the object is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) client: FirstClient,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The host gave the answer up; the origin is asked how large the object is.
    AskingSize(CallId),
    /// The origin is asked for the object, or its headers.
    Calling(CallId),
    /// As many as may be are under way already.
    Queued { since: Moment },
    /// The host does not know the cluster, or the quota has no room, and it is asked again.
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
        Self { miss, route, waiters: Vec::new(), method, wanted, state, sent: now, unknown: None }
    }

    /// Whether what comes of it answers a miss: an object answers a HEAD too.
    pub(super) fn is_for(&self, miss: &Miss) -> bool {
        let brings = self.method == Method::Get || miss.request.method == Method::Head;
        brings && self.miss.is_same_object(miss)
    }

    /// Whether nobody is left to want what was not begun.
    pub(super) fn is_forgotten(&self) -> bool {
        self.is_queued() && self.waiters.is_empty() && self.wanted.is_none()
    }

    pub(super) const fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued { .. })
    }

    /// Whether clients have waited for so long that it begins.
    fn is_late(&self, now: Moment) -> bool {
        match self.state {
            State::Queued { since } => {
                !self.waiters.is_empty() && now >= since.after(STORE_PATIENCE)
            }
            State::AskingSize(_) | State::Calling(_) | State::Unknown => false,
        }
    }

    /// Whether the host did not know its cluster.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self.state, State::Unknown)
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

    /// Its call under way.
    pub(super) const fn call(&self) -> Option<CallId> {
        match self.state {
            State::AskingSize(call) | State::Calling(call) => Some(call),
            State::Queued { .. } | State::Unknown => None,
        }
    }

    /// The request that is under way.
    fn current(&self) -> &OriginRequest {
        self.route.current()
    }

    /// Its origin has answered, or has been given up.
    fn measure(&self, headers: &Headers, body_bytes: u64, turn: &mut Turn<'_>) {
        // What has no status is no answer.
        if headers.status().is_some() {
            let asked = self.current();
            turn.measure(self.miss.first_byte(asked), turn.now.millis_since(self.sent));
            if body_bytes > 0 {
                turn.measure(self.miss.of_origin(Metric::FetchedBytes, asked), body_bytes);
            }
        }
    }

    fn request(&self, method: Method, configuration: &Configuration) -> Call {
        let (miss, origin) = (&self.miss, self.current());
        let quotas = Quotas::of(configuration, &miss.request.bucket, miss.rule, origin.rule());
        let whose = if self.waiters.is_empty() { Whose::Buckets } else { Whose::Clients };
        let mut headers = origin.call_headers(method.as_str());
        miss.report.trace().go_on(&mut headers);
        let timeout = origin.timeout(configuration.timeouts.origin);
        Call {
            counted: Some(Box::new(miss.of_origin(Metric::Fetches, origin))),
            fare: Some(quotas.fare(whose, 0)),
            ..Call::new(origin.cluster.clone(), headers, timeout)
        }
    }
}

impl Callouts {
    pub(super) fn start_fetches(&mut self, parts: &mut Parts<'_>, turn: &mut Turn<'_>) {
        let limit = usize::try_from(turn.configuration.limits.fetches).unwrap_or(usize::MAX);
        while self.fetches.under_way() < limit {
            let Some(at) = self.fetches.next_queued() else { return };
            // Its answer may be as large as those before, and is held twice.
            let Some(booking) = self.room_for_answer(at, parts, turn) else { return };
            if let Some(fetch) = self.fetches.get_mut(at) {
                fetch.route.begin(turn.now);
                parts.health.probe_beside(&fetch.route, turn);
                fetch.route.prefer_well(parts.health, turn.now);
            }
            self.call_origin(at, Some(booking), parts, turn);
        }
    }

    /// Memory for the answer to a fetch, after what is held for nobody has made room.
    fn room_for_answer(
        &mut self,
        at: FetchId,
        parts: &mut Parts<'_>,
        turn: &Turn<'_>,
    ) -> Option<Booking> {
        let fetch = self.fetches.get(at);
        let is_head = fetch.is_some_and(|fetch| fetch.method == Method::Head);
        let is_late = fetch.is_some_and(|fetch| fetch.is_late(turn.now));
        let limit = self.account.limit();
        let guess = if is_head { 0 } else { self.guess.bytes };
        let (here, there) = (guess.min(limit.here), guess.min(limit.there));
        self.make_room(here);
        if is_late && there <= self.account.left().there {
            let patience = turn.configuration.timeouts.store;
            self.make_way(here, parts.copies, Late { now: turn.now, patience });
        }
        self.account.book(here, there, Taker::InTurn)
    }

    /// Asks the origin; where another one has been asked before, its memory serves this one.
    fn call_origin(
        &mut self,
        at: FetchId,
        booking: Option<Booking>,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let admitted =
            self.fetches.get_mut(at).map(|fetch| fetch.route.admit(parts.health, turn.now));
        if let Some(Err(failure)) = admitted {
            return self.end_fetch(at, &Verdict::Failed(failure), None, turn);
        }
        let booking = booking.or_else(|| self.account.book(0, 0, Taker::InTurn));
        if let Some(fetch) = self.fetches.get_mut(at) {
            fetch.sent = turn.now;
            let call = fetch.request(fetch.method, turn.configuration);
            let id = turn.calls.next();
            turn.send(id, call, booking);
            self.fetches.set(at, State::Calling(id));
        }
    }

    /// A fetch that found no place in the time it may take is not begun any more.
    pub(super) fn give_up_queued(&mut self, parts: &mut Parts<'_>, turn: &mut Turn<'_>) {
        let patience = turn.configuration.timeouts.origin;
        // They wait in the order in which they came.
        while let Some(at) = self.fetches.next_queued() {
            let since = self.fetches.get(at).and_then(|fetch| match fetch.state {
                State::Queued { since } => Some(since),
                State::AskingSize(_) | State::Calling(_) | State::Unknown => None,
            });
            if since.is_none_or(|since| turn.now < since.after(patience)) {
                return;
            }
            let verdict = Verdict::Failed(MirrorFailure::Overloaded);
            self.conclude(at, verdict, None, None, parts, turn);
        }
    }

    /// The host may know by now whom it did not know.
    pub(super) fn ask_unknown(&mut self, now: Moment) {
        while let Some(at) = self.fetches.next_unknown() {
            self.fetches.set(at, State::Queued { since: now });
        }
    }

    pub(super) fn on_origin_answer(
        &mut self,
        at: FetchId,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        fetch.measure(&answer.headers, answer.body_bytes, turn);
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
                    let Some(fetch) = self.fetches.remove(at) else { return };
                    parts.health.on_verdict(&fetch.current().origin(), Some(true), None, turn.now);
                    let origin = fetch.route.initial();
                    if let Some(line) = fetch.miss.unkept(origin, &found.unkept) {
                        turn.log(line);
                        turn.count(fetch.miss.series(Metric::HeadersUnkept));
                    }
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
    fn mismatch(&self, at: FetchId, answer: &CallAnswer) -> Option<Mismatch> {
        let mut check = self.fetches.get(at)?.current().check(&answer.headers);
        check.update(&answer.body);
        check.mismatch()
    }

    pub(super) fn on_size_answer(
        &mut self,
        at: FetchId,
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
        at: FetchId,
        why: DispatchError,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        if why == DispatchError::NoCluster
            && let Some(fetch) = self.fetches.get_mut(at)
            && fetch.unknown.get_or_insert(turn.now).after(CLUSTER_PATIENCE) > turn.now
        {
            self.fetches.set(at, State::Unknown);
            return;
        }
        // What nobody waits for waits itself.
        if let (DispatchError::Limited(_), Some(fetch)) = (why, self.fetches.get(at))
            && fetch.waiters.is_empty()
        {
            self.fetches.set(at, State::Unknown);
            return;
        }
        let failure = match why {
            DispatchError::Limited(wait) => MirrorFailure::limited(wait),
            DispatchError::NoCluster => MirrorFailure::NoCluster,
            DispatchError::NoHost => MirrorFailure::NoAddress,
            DispatchError::Written => MirrorFailure::Unreachable,
        };
        self.conclude(at, Verdict::Failed(failure), None, None, parts, turn);
    }

    fn ask_size(&mut self, at: FetchId, turn: &mut Turn<'_>) {
        if let Some(fetch) = self.fetches.get(at) {
            let call = turn.call(fetch.request(Method::Head, turn.configuration));
            self.fetches.set(at, State::AskingSize(call));
        }
    }

    /// The headers of an object have come: whoever asked for them has them, and the object is
    /// fetched for the bucket.
    pub(super) fn on_head_answer(
        &mut self,
        at: FetchId,
        headers: &Headers,
        parts: &mut Parts<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(fetch) = self.fetches.get(at) else { return };
        fetch.measure(headers, 0, turn);
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
        let Some(fetch) = self.fetches.remove(at) else { return };
        parts.health.on_verdict(&fetch.current().origin(), Some(true), None, turn.now);
        let Fetch { miss, route, mut waiters, .. } = fetch;
        let origin = route.initial();
        let length = headers.content_length();
        let (tag, url) = (origin.tag(), origin.url());
        let own = found.dated(turn.now);
        // The others have theirs from the object.
        let rest = waiters.split_off(waiters.len().min(ANSWERS_PER_TURN));
        let mut client = FirstClient::Left;
        for waiter in waiters {
            let reply = Reply::unmet(&found.validators, &own, &tag, &waiter.miss.request)
                .unwrap_or_else(|| Reply::head(&own, &tag, length, &waiter.miss.request));
            let counted = waiter.miss.ended(metric::Outcome::Mirrored);
            let Waiter { stream, miss: own, .. } = &waiter;
            let stored = own.storing().err().map(Err);
            let outcome =
                Outcome::Mirrored { url: &url, bytes: length, client: Some(reply.status), stored };
            if waiter.first {
                client = FirstClient::Answered(reply.status);
                let begun = Outcome::Begun { url: &url, bytes: length, client: reply.status };
                let outcome = if own.storing().is_ok() { begun } else { outcome };
                if let Some(told) = Told::early(&own.report, &counted, &outcome) {
                    turn.tell(*stream, told);
                }
            } else {
                turn.tell(*stream, Told::of(&own.report, &counted, &outcome));
            }
            turn.count(counted);
            self.answer(waiter.stream, reply, turn);
        }
        let brings =
            |fetch: &Fetch| fetch.method == Method::Get && fetch.miss.is_same_object(&miss);
        if let Some(id) = self.deliveries.serving(&miss, parts.copies) {
            self.deliveries.join(id, rest);
        } else if let Some(id) = self.fetches.serving(&miss, brings) {
            self.fetches.join(id, rest);
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
        at: FetchId,
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
                    None => self.room_for_answer(at, parts, turn),
                };
                self.call_origin(at, booking, parts, turn);
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
