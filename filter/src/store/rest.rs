//! A store that fails is left alone for a while: what would be written to it meanwhile is served and
//! not stored, so that its failing costs clients nothing.
//!
//! ```text
//!       refused again and again, or given up            the pause is over
//! Well ───────────────────────────────────▶ Resting ─────────────────────▶ Trying one copy
//!   ▲                                          ▲                               │
//!   └──────────── a write went well ───────────┴── given up: twice the pause ──┘
//! ```

use std::time::Duration;

use super::Written;
use crate::http::percent;
use crate::reason::NotStored;
use crate::time::Moment;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// Writes that fail in a row, of whatever objects, before a bucket's store rests.
const MAX_FAILURES: u32 = 8;

/// How long a store that knows no conditional writes is left alone before one is tried again.
const UNCONDITIONAL: Duration = Duration::from_secs(600);

/// The stores that have failed lately, by bucket.
#[derive(Debug, Default)]
pub(crate) struct Rests {
    buckets: Vec<(String, Ailing)>,
    /// Those that know no conditional writes, by how the object was written: an upload is refused at
    /// its end only, when all of it has been sent. Until then nothing of that kind is written.
    unconditional: Vec<(String, Kind, Moment)>,
}

/// How an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// By one request.
    Put,
    /// In parts.
    Upload,
}

#[derive(Clone, Copy, Debug)]
struct Ailing {
    /// Writes that failed since the last that went well.
    failures: u32,
    pause: Duration,
    /// Until when nothing new is written; behind it one copy is tried in each pause.
    until: Option<Moment>,
    is_trying: bool,
}

impl Rests {
    /// Whether another copy may begin; `Err` while the store rests.
    pub(crate) fn admit(&mut self, bucket: &str, kind: Kind, now: Moment) -> Result<(), NotStored> {
        for (known, refused, until) in &mut self.unconditional {
            // A store that knows no condition of a PUT knows none of a completion.
            if known == bucket && (*refused == kind || *refused == Kind::Put) {
                if now < *until {
                    return Err(NotStored::Unconditional);
                }
                *until = now.after(UNCONDITIONAL);
            }
        }
        let known = self.buckets.iter_mut().find(|(known, _)| known == bucket);
        let Some((_, ailing)) = known else { return Ok(()) };
        match ailing.until {
            None => Ok(()),
            Some(until) if now < until => Err(NotStored::StoreRests),
            Some(_) => {
                ailing.until = Some(now.after(ailing.pause));
                ailing.is_trying = true;
                Ok(())
            }
        }
    }

    /// Whether a bucket's store is left alone now.
    pub(crate) fn rests(&self, bucket: &str, now: Moment) -> bool {
        let known = self.buckets.iter().filter(|(known, _)| known == bucket);
        let refused = self.unconditional.iter().filter(|(known, ..)| known == bucket);
        let mut until = known.filter_map(|(_, ailing)| ailing.until);
        until.any(|until| now < until) || refused.into_iter().any(|(_, _, until)| now < *until)
    }

    /// A store has answered a write, or has not.
    pub(crate) fn on_write(&mut self, bucket: &str, written: Written, now: Moment) {
        match written {
            Written::AlreadyThere | Written::Done => {
                self.buckets.retain(|(known, _)| known != bucket);
            }
            Written::Failed => self.change(bucket, |ailing| {
                ailing.failures = ailing.failures.saturating_add(1);
                if ailing.failures >= MAX_FAILURES && ailing.until.is_none() {
                    ailing.until = Some(now.after(ailing.pause));
                }
            }),
            // It is about this object, or ends its copy.
            Written::Refused(_) => {}
        }
    }

    /// A store does not know the condition of a write. The line on it, where it is news.
    pub(crate) fn on_no_condition(
        &mut self,
        bucket: &str,
        kind: Kind,
        status: u16,
        now: Moment,
    ) -> Option<String> {
        let until = now.after(UNCONDITIONAL);
        let is_it = |known: &&mut (String, Kind, Moment)| known.0 == bucket && known.1 == kind;
        if let Some((_, _, known)) = self.unconditional.iter_mut().find(is_it) {
            *known = until;
            return None;
        }
        self.unconditional.push((bucket.to_owned(), kind, until));
        let bucket = percent::readable(bucket.as_bytes());
        Some(format!(
            "the store of {bucket} does not know `If-None-Match: *` and answered {status}: what is \
             missed is served and not stored, but for one attempt in {} minutes. Set \
             `conditional_writes` of the bucket to `oss`, `head` or `none`",
            UNCONDITIONAL.as_secs() / 60
        ))
    }

    /// A store has answered what makes an object visible.
    pub(crate) fn on_visible(&mut self, bucket: &str, kind: Kind, written: Written) {
        match written {
            Written::AlreadyThere | Written::Done => {
                self.unconditional
                    .retain(|(known, refused, _)| known != bucket || *refused != kind);
            }
            Written::Failed | Written::Refused(_) => {}
        }
    }

    /// A copy has ended without being stored.
    pub(crate) fn on_lost(&mut self, bucket: &str, why: NotStored, now: Moment) {
        if !is_of_the_store(why) {
            return;
        }
        self.change(bucket, |ailing| match ailing.until {
            None => ailing.until = Some(now.after(ailing.pause)),
            Some(_) if ailing.is_trying => {
                ailing.is_trying = false;
                ailing.pause = ailing.pause.saturating_mul(2).min(LONGEST);
                ailing.until = Some(now.after(ailing.pause));
            }
            // One that began before the pause.
            Some(_) => {}
        });
    }

    /// Has something done to what is known of a bucket's store.
    fn change(&mut self, bucket: &str, change: impl FnOnce(&mut Ailing)) {
        let known = self.buckets.iter_mut().find(|(known, _)| known == bucket);
        if let Some((_, ailing)) = known {
            return change(ailing);
        }
        let mut ailing = Ailing { failures: 0, pause: FIRST, until: None, is_trying: false };
        change(&mut ailing);
        self.buckets.push((bucket.to_owned(), ailing));
    }
}

/// Whether another object would fare no better.
const fn is_of_the_store(why: NotStored) -> bool {
    match why {
        NotStored::GaveUp { .. } | NotStored::NoCluster | NotStored::Unconfirmed => true,
        // A refusal for good may be about this key alone, and costs one request.
        NotStored::Refused(_)
        | NotStored::AlreadyThere
        | NotStored::BeyondMemory { .. }
        | NotStored::BeyondS3
        | NotStored::Broken
        | NotStored::BucketFailed
        | NotStored::Busy
        | NotStored::ByRule
        | NotStored::Changed
        | NotStored::Digest(_)
        | NotStored::Inside
        | NotStored::Length { .. }
        | NotStored::Loop
        | NotStored::Metadata
        | NotStored::NoAddress
        | NotStored::NoMemory
        | NotStored::NoUrl
        | NotStored::OriginFailed { .. }
        | NotStored::OriginLate
        | NotStored::OriginRefused(_)
        | NotStored::OriginUnknown
        | NotStored::Partial
        | NotStored::Processed
        | NotStored::SentElsewhere
        | NotStored::StoreRests
        | NotStored::TooLarge { .. }
        | NotStored::TooMany
        | NotStored::Unannounced
        | NotStored::Unconditional
        | NotStored::Undelimited
        | NotStored::Unknown
        | NotStored::Unranged
        | NotStored::Unreachable
        | NotStored::Written => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: NotStored = NotStored::GaveUp { attempts: 3, status: 503 };

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    #[test]
    fn pauses_grow_while_the_one_that_is_tried_fails_and_end_with_a_success() {
        let mut rests = Rests::default();
        let mut now = 0;
        rests.on_lost("b", LOST, at(now));
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            now += pause * 1_000;
            assert_eq!(
                rests.admit("b", Kind::Put, at(now - 1)),
                Err(NotStored::StoreRests),
                "{pause}"
            );
            assert_eq!(rests.admit("b", Kind::Put, at(now)), Ok(()), "{pause}");
            assert_eq!(
                rests.admit("b", Kind::Put, at(now)),
                Err(NotStored::StoreRests),
                "one is tried"
            );
            assert_eq!(rests.admit("c", Kind::Put, at(now)), Ok(()), "another bucket");
            rests.on_lost("b", LOST, at(now));
            rests.on_lost("b", LOST, at(now));
        }
        rests.on_write("b", Written::Done, at(now));
        assert_eq!(rests.admit("b", Kind::Put, at(now)), Ok(()));
        assert_eq!(rests.admit("b", Kind::Put, at(now)), Ok(()));
    }

    #[test]
    fn one_that_is_tried_and_hangs_is_not_waited_for() {
        let mut rests = Rests::default();
        rests.on_lost("b", LOST, at(0));
        assert_eq!(rests.admit("b", Kind::Put, at(1_000)), Ok(()));
        assert_eq!(rests.admit("b", Kind::Put, at(1_999)), Err(NotStored::StoreRests));
        assert_eq!(rests.admit("b", Kind::Put, at(2_000)), Ok(()));
    }

    #[test]
    fn many_refusals_in_a_row_are_enough_and_those_of_single_objects_are_none() {
        let mut rests = Rests::default();
        for n in 1..=MAX_FAILURES {
            assert_eq!(rests.admit("b", Kind::Put, at(0)), Ok(()), "{n}");
            rests.on_write("b", Written::Failed, at(0));
        }
        assert_eq!(rests.admit("b", Kind::Put, at(0)), Err(NotStored::StoreRests));
        let mut rests = Rests::default();
        for why in [NotStored::Refused(403), NotStored::AlreadyThere, NotStored::Broken] {
            rests.on_lost("b", why, at(0));
        }
        for _ in 0..100 {
            rests.on_write("b", Written::Refused(400), at(0));
            rests.on_write("b", Written::Failed, at(0));
            rests.on_write("b", Written::Done, at(0));
        }
        assert_eq!(rests.admit("b", Kind::Put, at(0)), Ok(()));
    }
}
