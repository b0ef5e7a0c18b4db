//! The quota of mirroring: how many requests go to origins in a second, and how many bits come back.
//!
//! Each quota is one number that all workers of a host share: the time up to which what was taken is
//! paid for, as in the generic cell rate algorithm. Whoever takes moves it on by what that costs, and
//! the time itself pays it off. So requests are refused, and bits only paced: by the gateway where
//! they stream to clients, who are told of here, and here where the bucket gets them by itself.

use std::time::Duration;

use crate::configuration::Configuration;
use crate::rule::Mirror;
#[cfg(not(target_arch = "wasm32"))]
use crate::rule::{Action, MirrorLimits, RuleSet};
use crate::shared::{self, SharedData};
use crate::time::Moment;

/// How much may be taken at once after a rest, in nanoseconds: what comes in a second.
const BURST: u64 = 1_000_000_000;

/// How far bits may be in debt, in nanoseconds.
const MOST_DEBT: u64 = 60 * BURST;

/// How soon it is worth to look again.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// Attempts at changing what others change at the same moment. Then it goes uncounted: a host that
/// shares nothing refuses nobody.
const TRIES: usize = 8;

/// How many bytes are told of at once.
const LEAST_TOLD: u64 = 1024 * 1024;

/// For whom something is fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The bucket alone: it waits, and leaves clients the last tenth.
    Buckets,
    /// A client, who is refused beyond the quota.
    Clients,
}

/// A quota of a bucket, or of one rule of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quota {
    /// Whose it is: `all.BUCKET` or `RULE.BUCKET`. No two are the same.
    label: String,
    per_second: u64,
}

/// Both quotas of a request; without one there is no bound.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Quotas {
    requests: Option<Quota>,
    /// The bits that come back.
    pub bits: Option<Quota>,
}

/// Every quota by which a gateway paces what is mirrored into a bucket.
#[cfg(not(target_arch = "wasm32"))]
pub fn paced(bucket: &str, common: MirrorLimits, rules: &RuleSet) -> Vec<Quota> {
    every(bucket, common, rules, |limits| limits.bits_per_second)
}

/// Every quota by which requests to origins are counted for a bucket.
#[cfg(not(target_arch = "wasm32"))]
pub fn counted(bucket: &str, common: MirrorLimits, rules: &RuleSet) -> Vec<Quota> {
    every(bucket, common, rules, |limits| limits.requests_per_second)
}

#[cfg(not(target_arch = "wasm32"))]
fn every(
    bucket: &str,
    common: MirrorLimits,
    rules: &RuleSet,
    limit: impl Fn(MirrorLimits) -> Option<u64>,
) -> Vec<Quota> {
    let own = rules.iter().filter_map(|rule| match &rule.action {
        Action::External(_) => None,
        Action::Mirror(mirror) => {
            Some(Quota::new(Some(rule.number), bucket, limit(mirror.limits)?))
        }
    });
    let common = limit(common).map(|per_second| Quota::new(None, bucket, per_second));
    common.into_iter().chain(own).collect()
}

/// A request to an origin that is to be paid for when it is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fare {
    quotas: Quotas,
    whose: Whose,
    /// The bytes that come back, where nobody else paces them.
    bytes: u64,
}

impl Quotas {
    /// Those of requests into a bucket by a rule of this number.
    #[must_use]
    pub fn of(configuration: &Configuration, bucket: &str, number: u32, rule: &Mirror) -> Self {
        let common = configuration.bucket(bucket).map(|bucket| bucket.mirror_limits);
        let common = common.unwrap_or_default();
        let quota = |own: Option<u64>, common: Option<u64>| match (own, common) {
            (Some(per_second), _) => Some(Quota::new(Some(number), bucket, per_second)),
            (None, Some(per_second)) => Some(Quota::new(None, bucket, per_second)),
            (None, None) => None,
        };
        Self {
            requests: quota(rule.limits.requests_per_second, common.requests_per_second),
            bits: quota(rule.limits.bits_per_second, common.bits_per_second),
        }
    }

    /// That by which a service counts requests for all gateways, where there is one.
    pub(crate) fn counted(&self, configuration: &Configuration) -> Option<Quota> {
        self.requests.clone().filter(|_| configuration.rate_limit_service)
    }

    /// What a request by them is paid with.
    #[must_use]
    pub const fn fare(self, whose: Whose, bytes: u64) -> Fare {
        Fare { quotas: self, whose, bytes }
    }
}

impl Fare {
    /// Pays for the request.
    ///
    /// # Errors
    ///
    /// There is no room for it: how long that takes.
    pub fn pay(&self, now: Moment, shared: &mut dyn SharedData) -> Result<(), Duration> {
        let Quotas { requests, bits } = &self.quotas;
        let own_bits = bits.as_ref().filter(|_| self.whose == Whose::Buckets);
        if let Some(bits) = own_bits {
            let (held, _) = shared.get(&bits.name("bits"));
            match paid(&held, now, MOST_DEBT).checked_sub(nanos(now)) {
                None | Some(0) => {}
                Some(debt) => return Err(Duration::from_nanos(debt).max(LEAST_WAIT)),
            }
        }
        if let Some(requests) = requests {
            requests.take(self.whose, now, shared)?;
        }
        if let Some(bits) = own_bits {
            bits.tell(self.bytes, now, shared);
        }
        Ok(())
    }
}

impl Quota {
    /// That of a bucket, or of the rule of this number.
    fn new(rule: Option<u32>, bucket: &str, per_second: u64) -> Self {
        let label = match rule {
            Some(number) => format!("{number}.{bucket}"),
            None => format!("all.{bucket}"),
        };
        Self { label, per_second }
    }

    /// How much comes in a second.
    #[must_use]
    pub const fn per_second(&self) -> u64 {
        self.per_second
    }

    /// Whose it is, as a name in a host.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    fn name(&self, of: &str) -> String {
        format!("back-to-origin/{of}/{}", self.label)
    }

    /// What so much costs, in nanoseconds.
    fn cost(&self, count: u64) -> u64 {
        let cost =
            u128::from(count).saturating_mul(u128::from(BURST)) / u128::from(self.per_second);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    /// Takes one request.
    fn take(&self, whose: Whose, now: Moment, shared: &mut dyn SharedData) -> Result<(), Duration> {
        let mut refused = None;
        shared::change(shared, &self.name("requests"), TRIES, &mut |held| {
            let taken = self.taken(held, whose, now).map_err(|wait| refused = Some(wait));
            Some(taken.ok()?.to_le_bytes().to_vec())
        });
        refused.map_or(Ok(()), Err)
    }

    /// What is kept when one more request has been taken.
    fn taken(&self, held: &[u8], whose: Whose, now: Moment) -> Result<u64, Duration> {
        let left = match whose {
            Whose::Buckets => self.cost(self.per_second / 10),
            Whose::Clients => 0,
        };
        // One is always allowed after a rest, however few there are.
        let most = nanos(now).saturating_add(BURST).saturating_sub(left);
        let taken = paid(held, now, BURST).max(nanos(now)).saturating_add(self.cost(1));
        match taken.checked_sub(most) {
            None | Some(0) => Ok(taken),
            Some(missing) => Err(Duration::from_nanos(missing).max(LEAST_WAIT)),
        }
    }

    /// Bytes have come, or are sure to come, whatever is left.
    fn tell(&self, bytes: u64, now: Moment, shared: &mut dyn SharedData) {
        let cost = self.cost(bytes.saturating_mul(8));
        shared::change(shared, &self.name("bits"), TRIES, &mut |held| {
            // What comes in the first second after a rest is no debt.
            let rested = nanos(now).saturating_sub(BURST);
            let told = paid(held, now, MOST_DEBT).max(rested).saturating_add(cost);
            let told = told.min(nanos(now).saturating_add(MOST_DEBT));
            Some(told.to_le_bytes().to_vec())
        });
    }
}

/// Bytes that have streamed to the clients of one worker, until all workers are told of them.
#[derive(Debug, Default)]
pub(crate) struct Streamed(Vec<(Quota, u64)>);

impl Streamed {
    /// More have.
    pub(crate) fn add(
        &mut self,
        quota: &Quota,
        bytes: u64,
        now: impl FnOnce() -> Moment,
        shared: &mut dyn SharedData,
    ) {
        let at = self.0.iter().position(|(known, _)| known == quota).unwrap_or_else(|| {
            // That of an earlier configuration is told of no more.
            self.0.retain(|(known, _)| known.label != quota.label);
            self.0.push((quota.clone(), 0));
            self.0.len().saturating_sub(1)
        });
        let Some((_, untold)) = self.0.get_mut(at) else { return };
        *untold = untold.saturating_add(bytes);
        if *untold >= LEAST_TOLD.min(quota.per_second / 64) {
            let told = std::mem::take(untold);
            quota.tell(told, now(), shared);
        }
    }
}

/// Up to when it is paid by what is kept, by which nobody is further on than this much.
fn paid(held: &[u8], now: Moment, most: u64) -> u64 {
    let paid = held.try_into().map_or(0, u64::from_le_bytes);
    // Another worker's time may be a little ahead. Further ahead, the clock was put back.
    let is_known = paid <= nanos(now).saturating_add(most).saturating_add(BURST);
    if is_known { paid } else { 0 }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn quota(per_second: u64) -> Quota {
        Quota { label: "all.b".to_owned(), per_second }
    }

    fn fare(requests: Option<u64>, bits: Option<u64>, whose: Whose, bytes: u64) -> Fare {
        Quotas { requests: requests.map(quota), bits: bits.map(quota) }.fare(whose, bytes)
    }

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(1_000_000 + millis))
    }

    /// How many of the requests that come at these times, in milliseconds, are let through.
    fn passed(fare: &Fare, times: impl IntoIterator<Item = u64>) -> usize {
        let mut shared = BTreeMap::new();
        times.into_iter().filter(|time| fare.pay(at(*time), &mut shared).is_ok()).count()
    }

    #[test]
    fn so_many_pass_as_the_quota_says_and_a_seconds_worth_at_once() {
        // 200 a second, for ten seconds.
        let offered = || (0..2_000).map(|n| n * 5);
        let client = |per_second| fare(Some(per_second), None, Whose::Clients, 0);
        assert_eq!(passed(&client(50), offered()), 50 + 499, "a burst, and 50 a second");
        assert_eq!(passed(&client(1), offered()), 1 + 9);
        assert_eq!(passed(&client(1_000), offered()), 2_000);
        assert_eq!(passed(&client(u64::MAX), std::iter::repeat_n(0, 1_000)), 1_000);
        assert_eq!(passed(&client(1 << 63), std::iter::repeat_n(0, 1_000)), 1_000);
        assert_eq!(passed(&fare(None, None, Whose::Clients, 0), offered()), 2_000);
    }

    #[test]
    fn who_is_refused_is_told_how_long() {
        let (client, mut shared) = (fare(Some(2), None, Whose::Clients, 0), BTreeMap::new());
        for _ in 0..2 {
            assert_eq!(client.pay(at(0), &mut shared), Ok(()));
        }
        assert_eq!(client.pay(at(0), &mut shared), Err(Duration::from_millis(500)));
        assert_eq!(client.pay(at(450), &mut shared), Err(LEAST_WAIT));
        assert_eq!(client.pay(at(500), &mut shared), Ok(()));
    }

    #[test]
    fn the_last_tenth_is_the_clients() {
        let mut shared = BTreeMap::new();
        let own = fare(Some(50), None, Whose::Buckets, 0);
        let passed = (0..100).filter(|_| own.pay(at(0), &mut shared).is_ok()).count();
        assert_eq!(passed, 45);
        let client = fare(Some(50), None, Whose::Clients, 0);
        let passed = (0..100).filter(|_| client.pay(at(0), &mut shared).is_ok()).count();
        assert_eq!(passed, 5);
        // Where there is less than one in a tenth, the bucket gets its own all the same.
        assert_eq!(fare(Some(1), None, Whose::Buckets, 0).pay(at(0), &mut BTreeMap::new()), Ok(()));
    }

    #[test]
    fn a_clock_that_is_put_back_refuses_nobody_for_long() {
        let (client, mut shared) = (fare(Some(10), None, Whose::Clients, 0), BTreeMap::new());
        while client.pay(at(3_600_000), &mut shared).is_ok() {}
        assert!(client.pay(at(3_599_900), &mut shared).is_err(), "another worker's clock");
        assert_eq!(client.pay(at(0), &mut shared), Ok(()), "it begins anew");
        assert_eq!(client.pay(Moment(Duration::MAX), &mut shared), Ok(()));
        let own = fare(None, Some(8), Whose::Buckets, 1 << 20);
        own.pay(at(3_600_000), &mut shared).unwrap();
        assert!(own.pay(at(3_600_000), &mut shared).is_err());
        assert_eq!(own.pay(at(0), &mut shared), Ok(()));
    }

    #[test]
    fn what_the_bucket_fetches_waits_for_what_clients_have_taken() {
        let mut shared = BTreeMap::new();
        // A mebibyte a second.
        let bits = quota(8 << 20);
        let own = fare(None, Some(8 << 20), Whose::Buckets, 2 << 20);
        bits.tell(1 << 20, at(0), &mut shared);
        assert_eq!(own.pay(at(0), &mut shared), Ok(()), "the first second's worth is free");
        assert_eq!(own.pay(at(0), &mut shared), Err(Duration::from_secs(2)));
        bits.tell(1 << 20, at(0), &mut shared);
        assert_eq!(own.pay(at(2_000), &mut shared), Err(Duration::from_secs(1)));
        assert_eq!(own.pay(at(3_000), &mut shared), Ok(()));
        // A client does not wait here: the gateway paces it.
        assert_eq!(fare(None, Some(8), Whose::Clients, 1 << 40).pay(at(0), &mut shared), Ok(()));
        // Nothing waits for longer than a minute.
        quota(8).tell(u64::MAX, at(0), &mut shared);
        let wait = fare(None, Some(8), Whose::Buckets, 1).pay(at(0), &mut shared);
        assert_eq!(wait, Err(Duration::from_secs(60)));
    }

    #[test]
    fn workers_tell_of_what_has_streamed_now_and_then() {
        let (mut streamed, mut shared) = (Streamed::default(), BTreeMap::new());
        let bits = quota(8 << 20);
        for _ in 0..127 {
            streamed.add(&bits, 1024, || at(0), &mut shared);
        }
        assert!(shared.is_empty());
        streamed.add(&bits, 1024, || at(0), &mut shared);
        assert_eq!(shared.len(), 1);
    }

    /// A host that shares nothing.
    struct Nothing;

    impl SharedData for Nothing {
        fn get(&mut self, _: &str) -> (Vec<u8>, u32) {
            (Vec::new(), u32::MAX)
        }

        fn replace(&mut self, _: &str, _: &[u8], _: u32) -> bool {
            false
        }
    }

    #[test]
    fn a_host_that_shares_nothing_refuses_nobody() {
        let client = fare(Some(1), Some(1), Whose::Clients, 0);
        assert!((0..100).all(|_| client.pay(at(0), &mut Nothing).is_ok()));
        let own = fare(Some(1), Some(1), Whose::Buckets, 1 << 30);
        assert!((0..100).all(|_| own.pay(at(0), &mut Nothing).is_ok()));
    }

    #[test]
    fn odd_values_are_nothing() {
        let client = fare(Some(1), None, Whose::Clients, 0);
        let mut shared = BTreeMap::from([(quota(1).name("requests"), (vec![1, 2], 0))]);
        assert_eq!(client.pay(at(0), &mut shared), Ok(()));
    }
}
