//! How fast answers of origins stream to clients, where a quota says so.
//!
//! Owns the budget of each quota, which all workers share. Envoy's bandwidth filter does the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What comes in so long may come at once, after a rest.
const BURST: Duration = Duration::from_secs(1);

/// The budgets of all quotas by their labels: each is the time up to which it is spent.
#[derive(Clone, Default)]
pub(super) struct Budgets(Arc<Mutex<BTreeMap<String, Budget>>>);

type Budget = Arc<Mutex<Option<Instant>>>;

impl Budgets {
    /// The pace of one answer under a quota of so many bits a second.
    pub(super) fn pace(&self, label: &str, bits: u64) -> Pace {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = Arc::clone(budgets.entry(label.to_owned()).or_default());
        Pace { budget, bits }
    }
}

/// The pace of one answer.
pub(super) struct Pace {
    budget: Budget,
    bits: u64,
}

impl Pace {
    /// Spends what so many bytes take; until when the next ones have to wait.
    pub(super) fn spend(&self, bytes: usize, now: Instant) -> Instant {
        let nanos = (bytes as u128).saturating_mul(8_000_000_000) / u128::from(self.bits.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut spent = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = now.checked_sub(BURST).unwrap_or(now);
        let from = spent.map_or(rested, |spent| spent.max(rested));
        let until = from.checked_add(cost).unwrap_or(from);
        *spent = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_answers_of_a_quota_share_one_budget() {
        let budgets = Budgets::default();
        let now = Instant::now();
        // A thousand bytes a second.
        let (one, other) = (budgets.pace("all.b", 8_000), budgets.pace("all.b", 8_000));
        assert!(one.spend(600, now) <= now);
        assert!(other.spend(400, now) <= now, "a second's worth may come at once");
        assert_eq!(other.spend(500, now), now + BURST / 2);
        assert_eq!(one.spend(500, now), now + BURST);
        let later = now + BURST * 10;
        assert_eq!(one.spend(2_000, later), later + BURST, "a rest is worth a second, no more");
        assert!(budgets.pace("1.b", 8_000).spend(1_000, now) <= now);
        assert!(budgets.pace("2.b", 1 << 63).spend(usize::MAX, now) <= now + BURST * 20);
    }
}
