//! Backfill: an object that could not be copied on its way through is fetched for itself, range by
//! range, at the store's pace. A redirect is followed; what comes from elsewhere then is no part of
//! what came before.
//!
//! A range takes the memory of what it asks for. An origin that gives no ranges, or nothing by which
//! two of them are known to be of one object, is asked for all of an object at once.

use std::time::Duration;

use crate::account::{Account, Booking, Held, Taker};
use crate::attempt::Patience;
use crate::host::{CallAnswer, CallId, Turn};
use crate::http::headers::{HeaderList, Headers};
use crate::http::range::ContentRange;
use crate::origin::{Health, Next, ObjectHeaders, OriginRequest, Route, Unheard, Verdict};
use crate::reason::NotStored;
use crate::store::part::Parts;
use crate::time::Moment;

/// A range that takes longer keeps its place from nobody else.
const LATE: Duration = Duration::from_secs(1);

/// An object being fetched for itself.
#[derive(Debug)]
pub(super) struct Backfill {
    route: Route,
    /// Whether all of it is asked for at once.
    is_whole: bool,
    /// Whether its server gives objects only whole, where the last answer says something of that.
    learned: Option<bool>,
    /// The names of headers that the object cannot be kept with, where that has just been found.
    unkept: String,
    /// Whether the next range is asked for where a redirect has just led.
    is_following: bool,
    /// What the ranges have in common; without it two of them may be of different objects.
    validator: Option<String>,
    /// Where the bytes so far are from: elsewhere the same ETag says nothing.
    url: Option<String>,
    size: Option<u64>,
    /// Whether a range is asked for: an object of no bytes has none.
    ranged: bool,
    attempts: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Due(Moment),
    UnderWay { call: CallId, late: Moment },
}

/// What is asked of the origin now.
#[derive(Debug)]
pub(super) enum Asks {
    /// A range, for which memory is booked.
    Call { id: CallId, cluster: String, headers: HeaderList, answer: Booking },
    /// What no memory here will ever hold.
    Never,
    /// A range, once it is its turn and there is so much memory here. Whether it is of a part that
    /// has begun: for one of those there is always room.
    NoRoom { here: usize, is_begun: bool },
    /// Nothing.
    Nothing,
}

/// What came of a range.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Fetched {
    /// There is more.
    More,
    /// The object cannot be had.
    Lost(NotStored),
    /// That was the last of it.
    Whole,
}

impl Backfill {
    pub(super) fn new(route: Route) -> Self {
        Self {
            route,
            is_whole: false,
            learned: None,
            unkept: String::new(),
            is_following: false,
            validator: None,
            url: None,
            size: None,
            ranged: true,
            attempts: 0,
            state: State::Due(Moment::default()),
        }
    }

    /// Goes on behind the bytes that are there, if the object is still the one they are of.
    pub(super) fn resume(route: Route, validator: String, size: u64) -> Self {
        let url = Some(route.current().url());
        Self { validator: Some(validator), url, size: Some(size), ..Self::new(route) }
    }

    /// What the rule says is asked: another origin may have taken the first one's place.
    pub(super) const fn origin(&self) -> &OriginRequest {
        self.route.initial()
    }

    pub(super) fn has(&self, call: CallId) -> bool {
        self.call() == Some(call)
    }

    /// The range under way.
    pub(super) const fn call(&self) -> Option<CallId> {
        match self.state {
            State::Due(_) => None,
            State::UnderWay { call, .. } => Some(call),
        }
    }

    /// When the next range is due, unless one is under way.
    pub(super) const fn due(&self) -> Option<Moment> {
        match self.state {
            State::Due(at) => Some(at),
            State::UnderWay { .. } => None,
        }
    }

    /// When the range under way has taken too long to keep its place.
    pub(super) const fn late(&self) -> Option<Moment> {
        match self.state {
            State::Due(_) => None,
            State::UnderWay { late, .. } => Some(late),
        }
    }

    /// Whether it waits for its origin: for an answer that is late, or for a time to ask again.
    pub(super) fn stands_aside(&self, now: Moment) -> bool {
        match self.state {
            State::Due(at) => now < at,
            State::UnderWay { late, .. } => now >= late,
        }
    }

    /// The origin that is asked, in metrics.
    pub(super) fn server(&self) -> String {
        self.route.current().server()
    }

    /// The cluster that is asked.
    pub(super) fn cluster(&self) -> &str {
        &self.route.current().cluster
    }

    /// Whether that gives objects only whole, where it has just been learned. Once.
    pub(super) const fn take_learned(&mut self) -> Option<bool> {
        self.learned.take()
    }

    /// All of it is asked for at once.
    pub(super) const fn ask_whole(&mut self) {
        self.is_whole = true;
    }

    /// The next range, when it is due. `object` is the largest object that may come at once, and
    /// `takes_turn` says whether it is this one's turn.
    pub(super) fn advance(
        &mut self,
        parts: &mut Parts,
        account: &Account,
        object: u64,
        takes_turn: impl FnOnce(Taker) -> bool,
        now: Moment,
        call: impl FnOnce() -> CallId,
    ) -> Asks {
        let State::Due(at) = self.state else { return Asks::Nothing };
        if now < at || !parts.has_room() {
            return Asks::Nothing;
        }
        parts.seek();
        let whole = (self.is_whole && parts.is_untouched()).then(|| parts.whole_bytes(object));
        let there = whole.unwrap_or_else(|| parts.range());
        let here = there.saturating_add(parts.range_growth());
        let taker = if whole.is_some() { Taker::InTurn } else { parts.range_taker() };
        let is_begun = taker == Taker::Begun;
        if !is_begun && !account.can_ever_hold(here, there) {
            return Asks::Never;
        }
        let booking = if takes_turn(taker) { account.book(here, there, taker) } else { None };
        let Some(answer) = booking else { return Asks::NoRoom { here, is_begun } };
        let id = call();
        if !std::mem::take(&mut self.is_following) {
            self.attempts += 1;
            self.route.begin(now);
        }
        self.state = State::UnderWay { call: id, late: now.after(LATE) };
        let (first, last) = match whole {
            Some(whole) => (0, (whole as u64).saturating_sub(1)),
            None => parts.next_range(),
        };
        let origin = self.route.current();
        let mut headers = origin.call_headers("GET");
        if self.ranged {
            headers.add("range", format!("bytes={first}-{last}"));
        }
        if let Some(validator) = &self.validator {
            headers.add("if-match", validator);
        }
        Asks::Call { id, cluster: origin.cluster.clone(), headers, answer }
    }

    /// The range that was to be asked for is due after so long, and was not asked for yet.
    pub(super) fn postpone(&mut self, wait: Duration, now: Moment) {
        self.is_following = true;
        self.route.postpone(wait);
        self.state = State::Due(now.after(wait));
    }

    /// Takes an answer, for which memory is booked.
    pub(super) fn on_answer(
        &mut self,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        parts: &mut Parts,
        object: &mut HeaderList,
        health: &mut Health,
        turn: &Turn<'_>,
    ) -> Fetched {
        let (configuration, now) = (turn.configuration, turn.now);
        let headers = &answer.headers;
        let status = headers.status().unwrap_or_default();
        if let Verdict::Moved(location) = self.route.current().judge_status(status, headers) {
            return match self.route.follow(&location, configuration, now) {
                Ok(()) => {
                    self.is_following = true;
                    self.state = State::Due(Moment::default());
                    Fetched::More
                }
                Err(failure) => Fetched::Lost(NotStored::from(&failure)),
            };
        }
        let current = self.route.current();
        let is_well = match status {
            0 | 500.. => current.judge(headers, answer.body_bytes, u64::MAX).is_well(),
            _ => Some(true),
        };
        health.on_verdict(&current.origin(), is_well, configuration.breaker, now);
        let is_first = parts.is_untouched();
        if is_first && self.route.has_others() && !matches!(status, 200 | 206 | 416) {
            let verdict = self.route.current().judge(headers, answer.body_bytes, u64::MAX);
            if self.route.on_verdict(verdict, configuration, health, now) == Next::Ask {
                self.is_following = true;
                self.state = State::Due(Moment::default());
                return Fetched::More;
            }
        }
        let whole_body = answer.body.len() as u64 == answer.body_bytes;
        let object_bytes = parts.whole_bytes(configuration.limits.object_bytes) as u64;
        if status == 200 && is_first && self.ranged {
            self.learned = Some(true);
        }
        match headers.status() {
            Some(206) if whole_body => match ContentRange::read(headers) {
                Some(range) => self.take(range, answer, booked, parts, object, object_bytes),
                None => Fetched::Lost(NotStored::Broken),
            },
            // An origin without ranges: all of it or nothing.
            Some(200) if is_first && whole_body => {
                if headers.content_length().is_some_and(|length| length != answer.body_bytes) {
                    return self.again(headers, now);
                }
                if let Some(why) = self.route.initial().excess(answer.body_bytes) {
                    return Fetched::Lost(why);
                }
                let found = match self.route.current().whole(headers, Some(answer.body_bytes)) {
                    Ok(found) => found,
                    Err(failure) => return Fetched::Lost(NotStored::from(&failure)),
                };
                if !found.is_delimited {
                    return Fetched::Lost(NotStored::Undelimited);
                }
                self.keep(found, object);
                parts.expect(self.route.current().check(headers));
                if let Err(why) = parts.announce(answer.body_bytes) {
                    return Fetched::Lost(why);
                }
                let Some(bytes) = hold(booked, answer.body) else {
                    return Fetched::Lost(NotStored::NoMemory);
                };
                parts.push_whole(bytes);
                Fetched::Whole
            }
            // There was no room for it: it is asked for again when there is.
            Some(200) if is_first && !self.is_whole && answer.body_bytes <= object_bytes => {
                self.only_whole()
            }
            Some(200) if is_first => Fetched::Lost(NotStored::Unranged),
            Some(416) if is_first && self.ranged => {
                self.ranged = false;
                self.state = State::Due(Moment::default());
                Fetched::More
            }
            Some(200 | 206 | 412 | 416) => Fetched::Lost(NotStored::Changed),
            Some(403) if Unheard::of_callout(403, headers).is_some() => {
                Fetched::Lost(NotStored::Inside)
            }
            // A redirect's target may be good for a while only.
            Some(404 | 410 | 401 | 403) if self.route.is_moved() => {
                self.route.restart();
                self.again(headers, now)
            }
            Some(status @ (404 | 410 | 401 | 403)) => {
                Fetched::Lost(NotStored::OriginRefused(status))
            }
            Some(_) | None => self.again(headers, now),
        }
    }

    fn take(
        &mut self,
        range: ContentRange,
        answer: CallAnswer,
        booked: Option<&mut Booking>,
        parts: &mut Parts,
        object: &mut HeaderList,
        object_bytes: u64,
    ) -> Fetched {
        let expected = range.last.saturating_sub(range.first).saturating_add(1);
        let validator = validator(&answer.headers);
        let url = Some(self.route.current().url());
        let same = parts.is_untouched()
            || (self.size == Some(range.size) && self.validator == validator && self.url == url);
        if range.first != parts.at() || expected != answer.body_bytes {
            return Fetched::Lost(NotStored::Broken);
        }
        if !same {
            return Fetched::Lost(NotStored::Changed);
        }
        if let Some(why) = self.route.initial().excess(range.size) {
            return Fetched::Lost(why);
        }
        if expected != range.size && validator.is_none() {
            let may_be_had = !self.is_whole && parts.is_untouched() && range.size <= object_bytes;
            return if may_be_had { self.only_whole() } else { Fetched::Lost(NotStored::Unranged) };
        }
        if parts.is_untouched() && validator.is_some() {
            self.learned = Some(false);
        }
        if self.route.current().checks()
            && let Some(mismatch) = parts.expect_range(&answer.headers, &answer.body)
        {
            return Fetched::Lost(NotStored::Digest(mismatch));
        }
        if parts.is_untouched() {
            let Ok(found) = self.route.current().found(&answer.headers) else {
                return Fetched::Lost(NotStored::Metadata);
            };
            self.keep(found, object);
            if let Err(why) = parts.announce(range.size) {
                return Fetched::Lost(why);
            }
        }
        self.validator = validator;
        self.url = url;
        self.size = Some(range.size);
        self.attempts = 0;
        self.state = State::Due(Moment::default());
        let is_whole = parts.is_untouched() && expected == range.size;
        // What it grows by when it comes has been booked with it, and is free now.
        let Some(bytes) = hold(booked, answer.body) else {
            return Fetched::Lost(NotStored::NoMemory);
        };
        if is_whole {
            parts.push_whole(bytes);
        } else if !parts.push_range(bytes) {
            // Its part is larger than was thought when it was asked for: it is asked for anew.
            return Fetched::More;
        }
        if parts.is_complete() { Fetched::Whole } else { Fetched::More }
    }

    /// Takes what the origin says of the object. What cannot be kept of it has been told of where a
    /// client was answered with it, and is told of here where nothing was known of it.
    fn keep(&mut self, found: ObjectHeaders, object: &mut HeaderList) {
        if object.iter().next().is_none() {
            self.unkept = found.unkept;
        }
        *object = found.stored;
    }

    /// The names of headers that are not kept, and nobody has told of. Once.
    pub(super) fn take_unkept(&mut self) -> String {
        std::mem::take(&mut self.unkept)
    }

    /// It is asked for once more, all of it.
    fn only_whole(&mut self) -> Fetched {
        (self.is_whole, self.learned) = (true, Some(true));
        self.state = State::Due(Moment::default());
        Fetched::More
    }

    fn again(&mut self, headers: &Headers, now: Moment) -> Fetched {
        match Patience::Other.next(self.attempts, now) {
            Some(due) => {
                self.state = State::Due(due);
                Fetched::More
            }
            None => Fetched::Lost(NotStored::OriginFailed {
                attempts: self.attempts,
                status: headers.status().unwrap_or_default(),
            }),
        }
    }
}

/// Keeps what has come, in the memory that was booked for it.
fn hold(booked: Option<&mut Booking>, bytes: Vec<u8>) -> Option<Held> {
    booked?.split_here().hold(bytes, Taker::Begun)
}

/// A strong ETag: only that promises the same bytes (RFC 9110, section 8.8.1).
pub(crate) fn validator(headers: &Headers) -> Option<String> {
    headers.text("etag").filter(|etag| etag.starts_with('"')).map(str::to_owned)
}
