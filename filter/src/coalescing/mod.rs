//! Many requests for one missing object cost its origin one fetch.
//!
//! ```text
//!           nobody fetches it                    its object is stored
//! a miss ──────────────────────▶ leads ────────────────────────────────▶ the others ask the bucket
//!    │  somebody does, lately                    it is not, or too late
//!    └──────────────────────────▶ waits ───────────────────────────────▶ the others ask the origin
//! ```
//!
//! Who leads is known to all workers of a host. To wait is never more than a detour: it ends at its
//! time whatever happens, or as soon as it can be seen that the object will not be there by then.

mod record;

use std::rc::Rc;
use std::time::Duration;

use self::record::{Record, name};
use crate::host::StreamId;
use crate::http::headers::HeaderList;
use crate::in_flight::{AttemptId, InFlight};
use crate::index::Index;
use crate::lease::Lease;
use crate::shared::SharedData;
use crate::time::Moment;

/// How often it is looked whether an object is there that another worker fetches: what clients wait
/// for at most when it is small.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Requests of one VM that wait at most; others go on.
const MAX_FOLLOWERS: usize = 10_000;

/// Attempts at becoming the one who leads, where others try at the same moment.
const TRIES: usize = 3;

/// How long an object flows before its end is foretold.
const TRIAL: Duration = Duration::from_secs(1);

/// What becomes of a request for an object that others may be fetching.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Joined {
    /// It goes on, and tells nobody.
    Alone,
    /// It goes on, and others wait for what it brings.
    Leads,
    /// The bucket has got the object meanwhile.
    Stored,
    /// It waits, until then at most.
    Waits(Moment),
}

/// A request that waits for the object of another one.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) lease: Lease,
    pub(crate) until: Moment,
    pub(crate) asked: InFlight,
    /// What asks the bucket once more.
    pub(crate) again: HeaderList,
    /// The number of its root, which no other has.
    pub(crate) root: u64,
}

/// Where a request has gone that waited.
#[derive(Debug)]
pub(crate) enum Gone {
    /// To the bucket; it comes back where that lacks the object all the same.
    ToBucket(Rc<InFlight>, AttemptId),
    /// To the origin.
    ToOrigin(Rc<InFlight>, Option<AttemptId>),
}

/// An object that a request of this VM fetches first.
#[derive(Debug)]
struct Led {
    lease: Lease,
    until: Moment,
    answered: Answered,
}

/// Whether the origin has answered.
#[derive(Clone, Copy, Debug)]
enum Answered {
    At(Moment),
    /// Since the last time that was told.
    Lately,
    NotYet,
}

/// The requests of one VM that lead, and those that wait. Sorted lists: a map of each kind would be as
/// much code again in the module.
#[derive(Debug, Default)]
pub(crate) struct Coalescing {
    /// By the numbers of the objects.
    led: Vec<Led>,
    /// By their streams.
    followers: Vec<(StreamId, Box<Follower>)>,
    /// Their streams by the numbers of their objects.
    objects: Index,
    /// Those that have gone on, by their streams, until these ask where to.
    gone: Vec<(StreamId, Box<Gone>)>,
}

impl Coalescing {
    /// Whether anybody waits.
    pub(crate) fn waits(&self) -> bool {
        !self.followers.is_empty()
    }

    /// A request misses an object, and may wait for so long.
    pub(crate) fn join(
        &mut self,
        lease: &Lease,
        patience: Duration,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> Joined {
        let name = name(lease);
        let until = now.after(patience);
        for _ in 0..TRIES {
            let (held, seen) = shared.get(&name);
            match Record::read(&held, lease, now) {
                Record::Alone => return Joined::Alone,
                Record::Stored => return Joined::Stored,
                Record::Led(_) if self.followers.len() >= MAX_FOLLOWERS => return Joined::Alone,
                Record::Led(known) => return Joined::Waits(known.min(until)),
                Record::Unknown => {
                    if shared.replace(&name, &Record::Led(until).keep(lease, until), seen) {
                        let led = Led { lease: lease.clone(), until, answered: Answered::NotYet };
                        match self.led_at(lease) {
                            // Its time was over.
                            Ok(at) => self.led.splice(at..=at, [led]).for_each(drop),
                            Err(at) => self.led.insert(at, led),
                        }
                        return Joined::Leads;
                    }
                }
            }
        }
        Joined::Alone
    }

    pub(crate) fn wait(&mut self, stream: StreamId, follower: Follower) {
        self.objects.insert(follower.lease.object(), u64::from(stream.0));
        let at = self.followers.partition_point(|(known, _)| *known < stream);
        self.followers.insert(at, (stream, Box::new(follower)));
    }

    /// The origin has answered one who leads, and the object is to be stored.
    pub(crate) fn on_answered(&mut self, lease: &Lease) {
        let led = self.led_at(lease).ok().and_then(|at| self.led.get_mut(at));
        if let Some(led) = led {
            led.answered = Answered::Lately;
        }
    }

    /// The fetch of an object has ended. True where it was one that others may have waited for.
    pub(crate) fn end(&mut self, lease: &Lease) -> bool {
        self.led_at(lease).map(|at| self.led.remove(at)).is_ok()
    }

    fn led_at(&self, lease: &Lease) -> Result<usize, usize> {
        self.led.binary_search_by_key(&lease.object(), |led| led.lease.object())
    }

    /// Those here that wait for an object: they wait no longer.
    pub(crate) fn release(&mut self, lease: &Lease) -> Vec<(StreamId, Follower)> {
        let streams: Vec<_> = self.objects.of(lease.object()).collect();
        streams.into_iter().filter_map(|stream| self.take(stream)).collect()
    }

    fn take(&mut self, stream: u64) -> Option<(StreamId, Follower)> {
        let stream = StreamId(u32::try_from(stream).ok()?);
        let at = self.followers.binary_search_by_key(&stream, |(known, _)| *known).ok()?;
        let (stream, follower) = self.followers.remove(at);
        self.objects.remove(follower.lease.object(), u64::from(stream.0));
        Some((stream, *follower))
    }

    fn follower(&self, stream: u64) -> Option<&Follower> {
        let found = |(known, _): &(StreamId, Box<Follower>)| u64::from(known.0).cmp(&stream);
        let at = self.followers.binary_search_by(found).ok()?;
        self.followers.get(at).map(|(_, follower)| &**follower)
    }

    /// A request has gone on.
    pub(crate) fn go(&mut self, stream: StreamId, gone: Gone) {
        let at = self.gone.partition_point(|(known, _)| *known < stream);
        self.gone.insert(at, (stream, Box::new(gone)));
    }

    /// Where a request has gone that waited; `None` where it has not, and does not wait any more.
    pub(crate) fn gone(&mut self, stream: StreamId) -> Option<Gone> {
        self.take(u64::from(stream.0));
        let at = self.gone.binary_search_by_key(&stream, |(known, _)| *known).ok()?;
        Some(*self.gone.remove(at).1)
    }

    /// Those whose waiting is over by what all workers know, or by the time; and whether the bucket
    /// has their object.
    pub(crate) fn due(
        &mut self,
        now: Moment,
        shared: &mut dyn SharedData,
    ) -> Vec<(StreamId, Follower, bool)> {
        let mut known: Option<(u64, Record)> = None;
        let mut due = Vec::new();
        // Those of one object stand together.
        for (object, stream) in self.objects.pairs() {
            let Some(follower) = self.follower(stream) else { continue };
            let lease = &follower.lease;
            let record = match known {
                Some((of, record)) if of == object => record,
                Some(_) | None => {
                    let (held, _) = shared.get(&name(lease));
                    Record::read(&held, lease, now)
                }
            };
            known = Some((object, record));
            let is_stored = match record {
                Record::Led(_) if now < follower.until => continue,
                Record::Alone | Record::Led(_) | Record::Unknown => false,
                Record::Stored => true,
            };
            due.push((stream, is_stored));
        }
        let taken = due.into_iter().filter_map(|(stream, is_stored)| {
            self.take(stream).map(|(stream, follower)| (stream, follower, is_stored))
        });
        taken.collect()
    }

    /// Objects that will not be in the bucket in time. `progress` is how many bytes of an object have
    /// come, and how many there are where that is known; none of one that is not under way.
    pub(crate) fn hopeless(
        &mut self,
        now: Moment,
        progress: impl Fn(&Lease) -> Option<(u64, Option<u64>)>,
    ) -> Vec<Lease> {
        self.led.retain(|led| now < led.until);
        let mut hopeless = Vec::new();
        for led in &mut self.led {
            let since = match led.answered {
                Answered::At(since) => since,
                Answered::Lately => {
                    led.answered = Answered::At(now);
                    now
                }
                Answered::NotYet => continue,
            };
            if now < since.after(TRIAL) {
                continue;
            }
            let is_in_time = match progress(&led.lease) {
                None | Some((0, Some(_))) => false,
                Some((_, None)) => true,
                Some((received, Some(length))) => {
                    let elapsed = now.since(since).as_micros();
                    let takes = elapsed.saturating_mul(u128::from(length)) / u128::from(received);
                    takes <= led.until.since(since).as_micros()
                }
            };
            if !is_in_time {
                hopeless.push(led.lease.clone());
            }
        }
        hopeless
    }
}

/// Keeps for all workers how the fetch of an object has ended.
pub(crate) fn settle(
    lease: &Lease,
    is_stored: bool,
    patience: Duration,
    now: Moment,
    shared: &mut dyn SharedData,
) {
    let name = name(lease);
    let (held, seen) = shared.get(&name);
    // Another object has taken the name, or the time is over: nobody looks here.
    if let Record::Led(_) = Record::read(&held, lease, now) {
        let record = if is_stored { Record::Stored } else { Record::Alone };
        // Whoever has changed it meanwhile has it now.
        shared.replace(&name, &record.keep(lease, now.after(patience)), seen);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    /// Two workers of one host, and an object.
    fn workers() -> (Coalescing, Coalescing, BTreeMap<String, (Vec<u8>, u32)>, Lease) {
        let (one, other) = (Coalescing::default(), Coalescing::default());
        (one, other, BTreeMap::new(), Lease::of("b", b"k"))
    }

    #[test]
    fn one_leads_and_the_others_wait_until_its_time_is_up() {
        let (mut one, mut other, mut shared, lease) = workers();
        assert_eq!(one.join(&lease, PATIENCE, at(0), &mut shared), Joined::Leads);
        for worker in [&mut one, &mut other] {
            let joined = worker.join(&lease, PATIENCE, at(1_000), &mut shared);
            assert_eq!(joined, Joined::Waits(at(5_000)), "no longer than the first one may take");
        }
        let another = Lease::of("b", b"l");
        assert_eq!(other.join(&another, PATIENCE, at(1_000), &mut shared), Joined::Leads);
        assert_eq!(other.join(&lease, PATIENCE, at(5_000), &mut shared), Joined::Leads);
    }

    #[test]
    fn all_workers_know_how_a_fetch_has_ended() {
        for (is_stored, joined) in [(true, Joined::Stored), (false, Joined::Alone)] {
            let (mut one, mut other, mut shared, lease) = workers();
            assert_eq!(one.join(&lease, PATIENCE, at(0), &mut shared), Joined::Leads);
            assert!(one.end(&lease), "it led");
            assert!(!one.end(&lease) && !other.end(&lease), "once");
            settle(&lease, is_stored, PATIENCE, at(100), &mut shared);
            for worker in [&mut one, &mut other] {
                assert_eq!(worker.join(&lease, PATIENCE, at(200), &mut shared), joined);
            }
            let later = other.join(&lease, PATIENCE, at(5_100), &mut shared);
            assert_eq!(later, Joined::Leads, "it is forgotten");
        }
    }

    #[test]
    fn an_object_that_will_not_be_there_in_time_is_not_waited_for() {
        let cases: [(Option<(u64, Option<u64>)>, bool); 5] = [
            (Some((1_000, Some(4_000))), true),
            (Some((1_000, Some(9_000))), false),
            (Some((0, Some(9_000))), false),
            (Some((1_000, None)), true),
            (None, false),
        ];
        for (progress, is_in_time) in cases {
            let (mut one, _, mut shared, lease) = workers();
            assert_eq!(one.join(&lease, PATIENCE, at(0), &mut shared), Joined::Leads);
            assert_eq!(one.hopeless(at(10), |_| progress), [], "its origin has not answered");
            one.on_answered(&lease);
            assert_eq!(one.hopeless(at(20), |_| progress), [], "nothing can be said so early");
            let found = one.hopeless(at(1_020), |_| progress);
            assert_eq!(found.is_empty(), is_in_time, "{progress:?}");
        }
    }
}
