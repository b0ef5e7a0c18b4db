//! Uploads that a store may have made without confirming them: nobody knows their ids.
//!
//! ```text
//! lost ─▶ Listing ─ the grace time ─▶ Examining ─ without a part ─▶ Aborting ─▶ gone
//!                                         └─ with one: somebody's, and left alone
//! ```
//!
//! The store is asked once which uploads of the object it has, and what it lists later is nobody's
//! business. Of those listed, one that still has no part after the grace time holds no byte of
//! anybody's. While this VM copies the same object, nothing is examined: one of them may be its own.

use std::time::Duration;

use super::Plan;
use crate::attempt::Attempt;
use crate::configuration::{Configuration, Timeouts};
use crate::host::{Call, CallAnswer, CallId};
use crate::http::percent;
use crate::reason::NotStored;
use crate::store::{self, Target, Written};
use crate::time::Moment;

/// Objects whose uploads are looked for at once.
const MAX_OBJECTS: usize = 64;

/// Uploads of one object that are examined.
const MAX_UPLOADS: usize = 8;

/// What a store may answer at most: 1,000 uploads with long keys.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What is left where this ends without success.
const REMEDY: &str =
    "may stay open until a lifecycle rule ends it (AbortIncompleteMultipartUpload)";

/// The objects whose uploads are looked for.
#[derive(Debug, Default)]
pub(super) struct LostUploads {
    objects: Vec<Object>,
}

/// An object of which an upload may be open.
#[derive(Debug)]
struct Object {
    plan: Plan,
    step: Step,
    attempt: Attempt,
    /// The uploads that were listed, but for those that are done with. The last one is next.
    ids: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Aborting,
    Examining,
    Listing,
}

impl LostUploads {
    pub(super) const fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The store did not confirm an upload; returns what is told of it.
    pub(super) fn add(&mut self, plan: &Plan) -> String {
        let name = plan.report.object();
        let told = format!("the store did not confirm an upload of {name}, ");
        // A listing that is still to come has this one too.
        let listed = |object: &Object| {
            object.step == Step::Listing && object.attempt.waits() && object.plan.is_for(plan)
        };
        if !self.objects.iter().any(listed) {
            if self.objects.len() >= MAX_OBJECTS {
                return format!("{told}which {REMEDY}: too many are looked for");
            }
            self.objects.push(Object {
                plan: plan.clone(),
                step: Step::Listing,
                attempt: Attempt::OTHER,
                ids: Vec::new(),
            });
        }
        format!("{told}which is looked for")
    }

    pub(super) fn has(&self, call: CallId) -> bool {
        self.objects.iter().any(|object| object.attempt.is(call))
    }

    /// Whether the body of an answer is to be read.
    pub(super) fn wants_body(&self, call: CallId, body_bytes: u64) -> bool {
        body_bytes <= MAX_ANSWER && self.has(call)
    }

    /// The request that is due, one at a time: there is no haste, and little memory for it.
    pub(super) fn advance(
        &mut self,
        is_creating: impl Fn(&Plan) -> bool,
        is_copied: impl Fn(&Plan) -> bool,
        configuration: &Configuration,
        now: Moment,
        mut call: impl FnMut() -> CallId,
    ) -> Option<(CallId, Call)> {
        if self.objects.iter().any(|object| !object.attempt.waits()) {
            return None;
        }
        self.objects.iter_mut().find_map(|object| {
            let is_early = match object.step {
                // Its next attempt may be made without being confirmed, too.
                Step::Listing => is_creating(&object.plan),
                // What was listed may be its own.
                Step::Examining => is_copied(&object.plan),
                Step::Aborting => false,
            };
            let Plan { bucket, key, headers, tag, .. } = &object.plan;
            let bucket = configuration.bucket(bucket).filter(|_| !is_early)?;
            let id = object.attempt.begin(now, &mut call)?;
            let target = Target { bucket, key, headers, tag };
            let upload = object.ids.last().map(String::as_str).unwrap_or_default();
            let headers = match object.step {
                Step::Aborting => target.abort_upload(upload),
                Step::Examining => target.list_parts(upload),
                Step::Listing => target.list_uploads(),
            };
            let cluster = bucket.store.cluster.clone();
            let timeout = configuration.timeouts.store;
            Some((id, Call::new(cluster, headers, timeout)))
        })
    }

    /// Takes an answer; returns what is to be told.
    pub(super) fn on_answer(
        &mut self,
        call: CallId,
        answer: &CallAnswer,
        timeouts: Timeouts,
        now: Moment,
    ) -> Option<String> {
        let at = self.objects.iter().position(|object| object.attempt.is(call))?;
        let mut object = self.objects.remove(at);
        let told = object.on_answer(answer, timeouts.unconfirmed_upload, now);
        // What has no part now is to be aborted now, before anything else.
        let place = if object.step == Step::Aborting { 0 } else { at };
        if object.step == Step::Listing || !object.ids.is_empty() {
            self.objects.insert(place, object);
        }
        told
    }
}

impl Object {
    fn on_answer(&mut self, answer: &CallAnswer, grace: Duration, now: Moment) -> Option<String> {
        let status = answer.headers.status();
        let answered = match store::judge(status) {
            Written::Done => Ok(std::str::from_utf8(&answer.body).unwrap_or_default()),
            Written::Failed => match self.attempt.again(status, now) {
                Ok(()) => {
                    // A part may come before the next attempt to abort.
                    if self.step == Step::Aborting {
                        self.step = Step::Examining;
                    }
                    return None;
                }
                Err(why) => Err(why),
            },
            Written::AlreadyThere | Written::Refused(_) => {
                Err(NotStored::Refused(status.unwrap_or_default()))
            }
        };
        match self.step {
            Step::Listing => {
                self.proceed(now.after(grace));
                self.on_list(answered)
            }
            Step::Aborting | Step::Examining => {
                let id = self.ids.last().map(String::as_str).unwrap_or_default();
                if self.step == Step::Examining
                    && answered.is_ok_and(|words| store::has_parts(words, id) == Some(false))
                {
                    self.step = Step::Aborting;
                    self.attempt.wait_until(now);
                    return None;
                }
                let told = self.on_end(id, answered);
                self.ids.pop();
                self.proceed(now);
                told
            }
        }
    }

    /// Goes on to the next upload.
    fn proceed(&mut self, at: Moment) {
        self.step = Step::Examining;
        self.attempt = Attempt::OTHER;
        self.attempt.wait_until(at);
    }

    /// Notes the uploads that are open now; returns what is to be told.
    fn on_list(&mut self, answered: Result<&str, NotStored>) -> Option<String> {
        let name = self.plan.report.object();
        let listed = match answered.map(|words| store::listed_uploads(words, &self.plan.key)) {
            Ok(Some(listed)) => listed,
            Ok(None) => {
                return Some(format!("the list of uploads is unreadable; one of {name} {REMEDY}"));
            }
            Err(why) => {
                return Some(format!("uploads are not listed: {why}; one of {name} {REMEDY}"));
            }
        };
        let mut ids = listed.ids;
        // The latest are the last ones.
        let rest = ids.len().saturating_sub(MAX_UPLOADS);
        self.ids = ids.split_off(rest);
        if listed.is_cut || rest > 0 {
            return Some(format!("not all open uploads are looked at; one of {name} {REMEDY}"));
        }
        self.ids.is_empty().then(|| format!("no upload of {name} is open"))
    }

    /// What is to be told of an upload that is done with.
    fn on_end(&self, id: &str, answered: Result<&str, NotStored>) -> Option<String> {
        let told = match (self.step, answered) {
            // It has been completed or aborted.
            (_, Err(NotStored::Refused(404))) => return None,
            (_, Err(why)) => format!("{REMEDY}: {why}"),
            (Step::Aborting, Ok(_)) => "was not confirmed, had no part, and is aborted".to_owned(),
            (Step::Examining | Step::Listing, Ok(words)) => match store::has_parts(words, id) {
                Some(_) => "has parts: it is in use, and stays".to_owned(),
                None => format!("{REMEDY}: the list of its parts is unreadable"),
            },
        };
        let (id, name) = (percent::readable(id.as_bytes()), self.plan.report.object());
        Some(format!("the upload {id} of {name} {told}"))
    }
}
