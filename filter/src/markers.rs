//! The markers of deleted keys in their bucket: written, cleared and listed, a few requests at a time.
//!
//! ```text
//! a client's DELETE ─▶ due ─▶ under way ─▶ done ─▶ is it still wanted? if not, cleared again
//! a client's write ──▶ the same, the other way round
//! ```
//!
//! What is wanted stands in shared data ([`crate::tombstone`]). It may change while a marker is on its
//! way, by another worker too, so it is looked at again when that has arrived: the last word is the
//! client's.

use std::collections::VecDeque;
use std::time::Duration;

use crate::account::Account;
use crate::attempt::Attempt;
use crate::configuration::{Bucket, Configuration};
use crate::host::{Call, CallAnswer, CallId, Effect, Turn};
use crate::http::percent;
use crate::shared::SharedData;
use crate::store::{self, Page, Written};
use crate::time::Moment;
use crate::tombstone::{self, Extent, Listing, Tombstone};

/// Markers that wait for their turn at most: four DeleteObjects.
const MAX_PENDING: usize = 4_096;

/// Requests about markers at once.
const MAX_CALLS: usize = 8;

/// The pages of a list that are read at most, of a thousand markers each.
const MAX_PAGES: u32 = 128;

/// The most of a page that is read.
const MAX_ANSWER: u64 = 1024 * 1024;

/// How long a store is left alone that keeps failing.
const PAUSE: Duration = Duration::from_secs(30);

/// How soon a list is asked for again that was not to be had.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether a list is due.
const LOOK: Duration = Duration::from_secs(1);

/// Lists of so many markers are asked for less often.
const TIMES_WHERE_CUT: u32 = 10;

/// The markers of every bucket.
#[derive(Debug, Default)]
pub(crate) struct Markers {
    /// Whether deleted keys stay so in any bucket.
    is_kept: bool,
    /// Those that wait for their turn.
    waiting: VecDeque<Pending>,
    /// When the first of these is due, at the latest.
    due: Moment,
    /// Those that a store has been asked about.
    under_way: Vec<Pending>,
    lists: Vec<List>,
    /// Markers that have been written or cleared, to be compared with what is wanted.
    done: Vec<Pending>,
    /// When it is looked next whether a list is due.
    look: Moment,
    /// Buckets of which a refusal was told.
    told: Vec<String>,
}

/// A marker on its way.
#[derive(Debug)]
struct Pending {
    tombstone: Tombstone,
    key: Vec<u8>,
    /// When the key was deleted, in seconds since 1970; `None` where the marker is to go.
    deleted: Option<u64>,
    attempt: Attempt,
}

/// A list on its way.
#[derive(Debug)]
struct List {
    bucket: String,
    began: u64,
    pages: u32,
    next: Option<String>,
    state: ListState,
}

#[derive(Debug)]
enum ListState {
    Due,
    UnderWay(CallId),
    /// What was answered, to be kept for all workers.
    Answered(Result<Page, Missing>),
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Missing {
    /// It may come another time.
    Failed,
    /// It never will: the store's status.
    Refused(u16),
}

impl Markers {
    /// None yet.
    pub(crate) fn new(configuration: &Configuration) -> Self {
        let is_kept = configuration.buckets.iter().any(|bucket| bucket.tombstones.is_some());
        Self { is_kept, ..Self::default() }
    }

    /// Whether every marker is where it belongs. A list that is under way keeps nobody.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty() && self.done.is_empty()
    }

    /// Whether anything waits for time. Before it has been looked whether a list is due, nothing is
    /// known.
    pub(crate) fn waits(&self) -> bool {
        let is_new = self.is_kept && self.look.0.is_zero();
        is_new || !self.is_idle() || !self.lists.is_empty()
    }

    /// How often it is looked whether a list is due, where one ever is.
    pub(crate) fn watches(&self) -> Option<Duration> {
        self.is_kept.then_some(LOOK)
    }

    /// A client has deleted a key, or written it again. Returns what is to be told.
    pub(crate) fn on_changed(
        &mut self,
        tombstone: Tombstone,
        key: &[u8],
        deleted: Option<u64>,
    ) -> Option<String> {
        // One under way is looked at again when it has arrived.
        if self.under_way.iter().any(|pending| pending.tombstone == tombstone) {
            return None;
        }
        if let Some(known) = self.waiting.iter_mut().find(|known| known.tombstone == tombstone) {
            known.deleted = deleted;
            return None;
        }
        if self.waiting.len() + self.under_way.len() >= MAX_PENDING {
            let name = name(&tombstone, key);
            return Some(match deleted {
                Some(_) => format!("{name} was deleted, and {ALONE}: {MANY}"),
                None => format!("the marker that {name} was deleted could not be cleared: {MANY}"),
            });
        }
        let (key, attempt) = (key.to_vec(), Attempt::WRITE);
        self.waiting.push_back(Pending { tombstone, key, deleted, attempt });
        self.due = Moment::default();
        None
    }

    pub(crate) fn has(&self, call: CallId) -> bool {
        let lists = |list: &List| matches!(list.state, ListState::UnderWay(own) if own == call);
        let is_marker = self.under_way.iter().any(|pending| pending.attempt.is(call));
        is_marker || self.lists.iter().any(lists)
    }

    /// Whether the body of an answer is to be read; `None` where that is to something else.
    pub(crate) fn wants_body(&self, call: CallId, body_bytes: u64) -> Option<bool> {
        self.has(call).then_some(body_bytes <= MAX_ANSWER)
    }

    /// Sends what is due.
    pub(crate) fn advance(&mut self, account: &Account, turn: &mut Turn<'_>) {
        let (now, configuration) = (turn.now, turn.configuration);
        let call = |bucket: &Bucket, headers| {
            Call::new(bucket.store.cluster.clone(), headers, configuration.timeouts.store)
        };
        for list in &mut self.lists {
            let Some(bucket) = configuration.bucket(&list.bucket) else { continue };
            if matches!(list.state, ListState::Due) {
                let asked = store::list_objects(bucket, tombstone::PREFIX, list.next.as_deref());
                let sent = turn.call(call(bucket, asked));
                list.state = ListState::UnderWay(sent);
            }
        }
        while now >= self.due && self.under_way.len() < MAX_CALLS {
            let Some(at) = self.waiting.iter().position(|pending| pending.attempt.is_due(now))
            else {
                let due = self.waiting.iter().filter_map(|pending| pending.attempt.due()).min();
                self.due = due.unwrap_or_default();
                return;
            };
            let Some(pending) = self.waiting.get_mut(at) else { return };
            let Some(bucket) = configuration.bucket(pending.tombstone.bucket()) else { return };
            let marker = pending.tombstone.marker();
            let asked = match pending.deleted {
                Some(deleted) => {
                    let Some(body) = account.words(document(&pending.key, deleted)) else { return };
                    let headers = store::put_marker(bucket, marker.as_bytes());
                    Call { body: Some(body), ..call(bucket, headers) }
                }
                None => call(bucket, store::read(bucket, marker.as_bytes(), "DELETE")),
            };
            pending.attempt.begin(now, || turn.call(asked));
            self.under_way.extend(self.waiting.remove(at));
        }
    }

    /// A store has answered, or was not heard; returns what is to be told.
    pub(crate) fn on_answer(
        &mut self,
        call: CallId,
        answer: Option<&CallAnswer>,
        now: Moment,
    ) -> Option<String> {
        let status = answer.and_then(|answer| answer.headers.status());
        let judged = store::judge(status);
        let of_list =
            |list: &&mut List| matches!(list.state, ListState::UnderWay(own) if own == call);
        if let Some(list) = self.lists.iter_mut().find(of_list) {
            let page = answer
                .and_then(|answer| store::listed_objects(std::str::from_utf8(&answer.body).ok()?));
            list.state = ListState::Answered(match (judged, page) {
                (Written::Done, Some(page)) => Ok(page),
                (Written::Refused(status), _) => Err(Missing::Refused(status)),
                (Written::Done | Written::AlreadyThere | Written::Failed, _) => {
                    Err(Missing::Failed)
                }
            });
            return None;
        }
        let at = self.under_way.iter().position(|pending| pending.attempt.is(call))?;
        let mut pending = self.under_way.swap_remove(at);
        let is_gone = pending.deleted.is_none() && status == Some(404);
        let name = name(&pending.tombstone, &pending.key);
        match judged {
            _ if is_gone => self.done.push(pending),
            Written::Done => self.done.push(pending),
            Written::AlreadyThere | Written::Failed => {
                let told = pending.attempt.again(status, now).err().map(|why| {
                    pending.attempt = Attempt::WRITE;
                    pending.attempt.wait_until(now.after(PAUSE));
                    format!("the marker that {name} was deleted could not be changed yet: {why}")
                });
                self.due = self.due.min(pending.attempt.due().unwrap_or_default());
                self.waiting.push_back(pending);
                return told;
            }
            Written::Refused(status) => {
                return match pending.deleted {
                    Some(_) => Some(format!(
                        "{name} was deleted, and {ALONE}: the store answered {status} to its marker"
                    )),
                    None => Some(format!(
                        "the marker that {name} was deleted could not be cleared: the store answered \
                         {status}"
                    )),
                };
            }
        }
        None
    }

    /// Time has passed: what has come is kept for all workers, and lists are begun that are due.
    pub(crate) fn on_time(
        &mut self,
        configuration: &Configuration,
        now: Moment,
        shared: &mut dyn SharedData,
        effects: &mut Vec<Effect>,
    ) {
        let mut lines = Vec::new();
        for Pending { tombstone, key, deleted, .. } in std::mem::take(&mut self.done) {
            tombstone.arrive(deleted.is_some(), now, shared);
            match (deleted.is_some(), tombstone.is_wanted(shared)) {
                (true, Some(false)) => lines.extend(self.on_changed(tombstone, &key, None)),
                (false, Some(true)) => {
                    lines.extend(self.on_changed(tombstone, &key, Some(now.0.as_secs())));
                }
                (true, Some(true) | None) | (false, Some(false) | None) => {}
            }
        }
        let lists = std::mem::take(&mut self.lists);
        for list in lists {
            let (told, rest) = list.on_time(configuration, now, shared);
            if let Some((bucket, line)) = told
                && !self.told.contains(&bucket)
            {
                self.told.push(bucket);
                lines.push(line);
            }
            self.lists.extend(rest);
        }
        if now >= self.look || self.look > now.after(LOOK) {
            self.look = now.after(LOOK);
            let kept = configuration.buckets.iter().filter(|bucket| bucket.tombstones.is_some());
            for bucket in kept {
                if let Some(began) = Listing::claim(&bucket.name, now, shared) {
                    let (bucket, state) = (bucket.name.clone(), ListState::Due);
                    self.lists.push(List { bucket, began, pages: 0, next: None, state });
                }
            }
        }
        effects.extend(lines.into_iter().map(Effect::Log));
        let is_due = |list: &List| matches!(list.state, ListState::Due);
        if self.lists.iter().any(is_due) || !self.waiting.is_empty() {
            effects.push(Effect::Wake);
        }
    }
}

impl List {
    /// Keeps what was answered. Returns what is to be told of its bucket, and the rest of the list.
    fn on_time(
        self,
        configuration: &Configuration,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> (Option<(String, String)>, Option<Self>) {
        let Self { bucket, began, pages, next, state } = self;
        let page = match state {
            ListState::Answered(page) => page,
            state @ (ListState::Due | ListState::UnderWay(_)) => {
                return (None, Some(Self { bucket, began, pages, next, state }));
            }
        };
        let interval = configuration.bucket(&bucket).and_then(|bucket| bucket.tombstones);
        let interval = interval.unwrap_or(PAUSE);
        match page {
            Ok(Page { keys, next }) => {
                let listed = keys.iter().filter_map(|key| Tombstone::of_marker(&bucket, key));
                listed.for_each(|tombstone| tombstone.list(began, shared));
                let pages = pages + 1;
                let is_cut = next.is_some() && pages >= MAX_PAGES;
                if next.is_some() && !is_cut {
                    Listing::renew(&bucket, now, shared);
                    let state = ListState::Due;
                    return (None, Some(Self { bucket, began, pages, next, state }));
                }
                let (extent, times) =
                    if is_cut { (Extent::Cut, TIMES_WHERE_CUT) } else { (Extent::Whole, 1) };
                let due = now.after(interval.saturating_mul(times));
                Listing::end(&bucket, began, extent, due, shared);
                (None, None)
            }
            Err(Missing::Failed) => {
                Listing::fail(&bucket, now.after(AGAIN), shared);
                (None, None)
            }
            Err(Missing::Refused(status)) => {
                // What nobody may list, nobody finds: memory has to do.
                Listing::end(&bucket, began, Extent::Refused, now.after(interval), shared);
                let line = format!(
                    "the store answered {status} to a list of {bucket}/{}: what was deleted before \
                     this gateway's start, or through another one, may come back from its origin",
                    tombstone::PREFIX
                );
                (Some((bucket, line)), None)
            }
        }
    }
}

/// What is said where no marker will be.
const ALONE: &str = "only the memory of this gateway keeps it so";

/// What is said where one more cannot wait.
const MANY: &str = "too many markers wait";

fn name(tombstone: &Tombstone, key: &[u8]) -> String {
    format!("{}/{}", tombstone.bucket(), percent::readable(key))
}

/// What is in a marker: the key, as it stands in a URL, and when it was deleted.
fn document(key: &[u8], deleted: u64) -> String {
    format!("{{\"key\":\"{}\",\"deleted\":{deleted}}}\n", percent::encode_key(key))
}

#[cfg(test)]
mod tests;
