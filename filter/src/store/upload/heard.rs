//! What the store's answers say of an upload.

use crate::attempt::Attempt;
use crate::host::CallAnswer;
use crate::reason::NotStored;
use crate::store::words::Words;
use crate::store::{self, Written};
use crate::time::Moment;

/// What was heard of a request that makes an object visible.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is made again.
    Again,
    Done,
    /// It was not done.
    Refused(NotStored),
    /// It may have been done; if not, this is why.
    Unsure(NotStored),
}

impl Heard {
    pub(super) fn of(
        attempt: &mut Attempt,
        answer: &CallAnswer,
        judge_words: impl FnOnce(&str) -> Words,
        now: Moment,
    ) -> Self {
        let status = answer.headers.status();
        let written = match store::judge_write(answer) {
            Written::Done => match judge_words(text(answer)) {
                Words::Done => return Self::Done,
                Words::Failed => Written::Failed,
                // To ask once more would say no more.
                Words::Silent => return Self::Unsure(NotStored::Unconfirmed),
            },
            written @ (Written::AlreadyThere | Written::Refused(_)) => written,
            Written::Failed => {
                // Where the store itself says so, it was not done.
                if !store::is_own(&answer.headers) {
                    attempt.doubt();
                }
                Written::Failed
            }
        };
        let why = match written {
            Written::Done => return Self::Done,
            Written::AlreadyThere => NotStored::AlreadyThere,
            Written::Refused(status) => NotStored::Refused(status),
            Written::Failed => match attempt.again(status, now) {
                Ok(()) => return Self::Again,
                Err(why) => why,
            },
        };
        if attempt.is_doubtful() { Self::Unsure(why) } else { Self::Refused(why) }
    }
}

fn text(answer: &CallAnswer) -> &str {
    std::str::from_utf8(&answer.body).unwrap_or_default()
}

/// The id of an upload that has been created.
pub(super) fn created(answer: &CallAnswer) -> Option<String> {
    store::upload_id(text(answer))
}

/// What is final in an answer.
pub(super) const fn conclude(written: Written) -> Option<Result<(), NotStored>> {
    match written {
        Written::AlreadyThere => Some(Err(NotStored::AlreadyThere)),
        Written::Done => Some(Ok(())),
        Written::Failed => None,
        Written::Refused(status) => Some(Err(NotStored::Refused(status))),
    }
}
