//! What an engine has told of its gauges: each worker adds to what all have, so it tells differences.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Account, Usage};
use crate::host::Effect;
use crate::metric::{Metric, Series};
use crate::time::Moment;

/// A difference in memory that is not worth telling; that nothing is held any more always is.
const GRAIN: usize = 64 * 1024;

/// What the host has been told so far.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    held: Usage,
    /// Whether anything has been told of that.
    is_begun: bool,
    /// The second of the last miss of each bucket.
    missed: BTreeMap<String, u64>,
    /// Buckets of which misses have come whose time is not known yet.
    untimed: BTreeSet<String>,
}

impl Gauges {
    /// A bucket lacks an object; the next turn knows the time.
    pub(crate) fn on_miss(&mut self, bucket: &str) {
        if !self.untimed.contains(bucket) {
            self.untimed.insert(bucket.to_owned());
        }
    }

    /// A bucket lacks an object. That is told once in a second.
    pub(crate) fn on_miss_at(&mut self, bucket: &str, now: Moment) -> Option<Effect> {
        let second = now.seconds();
        match self.missed.get_mut(bucket) {
            Some(known) if *known == second => return None,
            Some(known) => *known = second,
            None => {
                self.missed.insert(bucket.to_owned(), second);
            }
        }
        let series = Series::of(Metric::LastMiss, bucket, 0);
        Some(Effect::Measure(series, i64::try_from(second).unwrap_or(i64::MAX)))
    }

    /// A turn of the root is over.
    pub(crate) fn on_turn(&mut self, now: Moment, account: &Account, effects: &mut Vec<Effect>) {
        for bucket in std::mem::take(&mut self.untimed) {
            effects.extend(self.on_miss_at(&bucket, now));
        }
        self.on_held(account, effects);
    }

    /// Memory may have been taken or given back.
    pub(crate) fn on_held(&mut self, account: &Account, effects: &mut Vec<Effect>) {
        let used = account.used();
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        for (place, told, now) in
            [("module", &mut self.held.here, used.here), ("host", &mut self.held.there, used.there)]
        {
            let is_told = told.abs_diff(now) < GRAIN && (now > 0 || *told == 0);
            if is_first || !is_told {
                let series = Series { word: place, ..Series::of(Metric::HeldBytes, "", 0) };
                effects.push(Effect::Measure(series, difference(*told, now)));
                *told = now;
            }
        }
    }
}

fn difference(from: usize, to: usize) -> i64 {
    let size = i64::try_from(from.abs_diff(to)).unwrap_or(i64::MAX);
    if to < from { -size } else { size }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::configuration::{DataPath, Limits};

    #[test]
    fn a_miss_is_told_once_in_a_second_and_bucket() {
        let mut gauges = Gauges::default();
        let mut at = |bucket, millis| {
            gauges.on_miss_at(bucket, Moment(Duration::from_millis(millis))).is_some()
        };
        assert!(at("a", 1_000) && !at("a", 1_999) && at("b", 1_999) && at("a", 2_000));
    }

    #[test]
    fn what_is_told_of_memory_adds_up_to_nothing_once_it_is_given_back() {
        let account = Account::new(&Limits::default(), DataPath::Streaming);
        let (mut gauges, mut sum) = (Gauges::default(), 0);
        let mut tell = |account: &Account| {
            let mut effects = Vec::new();
            gauges.on_held(account, &mut effects);
            for effect in &effects {
                let Effect::Measure(_, by) = effect else { panic!("{effect:?}") };
                sum += by;
            }
            (effects.len(), sum)
        };
        let small = account.book(1, 0, crate::account::Taker::InTurn).unwrap();
        // The first time the series come to be.
        assert_eq!(tell(&account), (2, 1));
        assert_eq!(tell(&account), (0, 1));
        let large = account.book(GRAIN, 2 * GRAIN, crate::account::Taker::InTurn).unwrap();
        assert_eq!(tell(&account), (2, 3 * i64::try_from(GRAIN).unwrap() + 1));
        drop(large);
        assert_eq!(tell(&account).0, 2);
        drop(small);
        assert_eq!(tell(&account).1, 0);
    }
}
