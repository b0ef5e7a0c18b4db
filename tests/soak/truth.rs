//! What every object truly is: a function of its number and its version.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Numbers that look like chance, the same at every run with the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True so many times in a thousand.
    pub(crate) const fn in_thousand(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }
}

const fn mixed(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One version of one object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) version: u64,
}

impl Version {
    /// Most objects are small; some take several parts.
    pub(crate) fn size(self) -> usize {
        let chance = mixed(self.number ^ self.version.rotate_left(32));
        let most: u64 = match chance % 100 {
            0..60 => 4_096,
            60..97 => 100_000,
            _ => 14_000_000,
        };
        usize::try_from((chance >> 8) % (most + 1)).expect("a small number")
    }

    pub(crate) fn etag(self) -> String {
        format!("\"{}-{}\"", self.number, self.version)
    }

    pub(crate) fn body(self) -> Vec<u8> {
        let size = self.size();
        let mut body = Vec::with_capacity(size + 8);
        for word in 0..size.div_ceil(8) {
            body.extend_from_slice(&self.word(word));
        }
        body.truncate(size);
        body
    }

    fn word(self, at: usize) -> [u8; 8] {
        mixed((self.number << 24) ^ (self.version << 56) ^ at as u64).to_le_bytes()
    }

    /// Whether these are its bytes from a place on.
    pub(crate) fn has(self, first: usize, bytes: &[u8]) -> bool {
        let mut at = first;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = self.word(at / 8);
            let expected = &word[at % 8..];
            let count = expected.len().min(rest.len());
            if rest[..count] != expected[..count] {
                return false;
            }
            at += count;
            rest = &rest[count..];
        }
        first + bytes.len() <= self.size()
    }
}

/// The versions that objects have by now.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    versions: Mutex<BTreeMap<u64, u64>>,
}

impl Truth {
    /// The version that an object has.
    pub(crate) fn now(&self, number: u64) -> Version {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        Version { number, version: versions.get(&number).copied().unwrap_or(0) }
    }

    /// The version that it has from now on.
    pub(crate) fn change(&self, number: u64) -> Version {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let version = versions.entry(number).or_default();
        *version += 1;
        Version { number, version: *version }
    }

    /// All versions that an object has had, the latest first.
    pub(crate) fn versions(&self, number: u64) -> impl Iterator<Item = Version> {
        let latest = self.now(number).version;
        (0..=latest).rev().map(move |version| Version { number, version })
    }
}
