//! Clients that ask for whatever they like, in whatever way, and check every byte they get.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::origin::{Manner, key};
use super::truth::{Chance, Truth, Version};
use crate::support::client::{connect, request};
use crate::support::wire::{Request, Response};

/// How many of the latest objects are asked for.
const RECENT: u64 = 120;

/// Objects that clients write themselves have numbers from here on.
const WRITTEN: u64 = 1 << 40;

/// What all clients share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) truth: Arc<Truth>,
    /// The highest number that was asked for.
    pub(crate) highest: AtomicU64,
    pub(crate) over: AtomicBool,
    pub(crate) answers: Mutex<BTreeMap<u16, u64>>,
    pub(crate) wrong: Mutex<Vec<String>>,
    /// Requests that got no answer at all.
    pub(crate) unanswered: Mutex<Vec<String>>,
    /// What clients have written, by key: no mirrored object may take its place.
    pub(crate) written: Mutex<BTreeMap<String, Version>>,
}

impl Shared {
    fn accuse(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        // One of a kind is enough, and there may be thousands.
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }
}

/// One client.
pub(crate) struct Client<'s> {
    to: SocketAddr,
    shared: &'s Shared,
    chance: Chance,
    id: u64,
    own: u64,
}

impl<'s> Client<'s> {
    pub(crate) const fn new(to: SocketAddr, shared: &'s Shared, id: u64) -> Self {
        Self { to, shared, chance: Chance::new(id), id, own: 0 }
    }

    /// Asks until it is over.
    pub(crate) fn run(mut self) {
        while !self.shared.over.load(Ordering::SeqCst) {
            let number = self.number();
            match self.chance.below(100) {
                0..55 => {
                    self.get(number, &[]);
                }
                55..62 => self.head(number),
                62..77 => self.range(number),
                77..86 => self.resume(number),
                86..91 => self.leave(number),
                91..94 => self.conditional(number),
                94..97 => self.delete(number),
                _ => self.write(),
            }
        }
    }

    /// A new object now and then, and most often one of the latest.
    fn number(&mut self) -> u64 {
        let highest = &self.shared.highest;
        if self.chance.in_thousand(250) {
            return highest.fetch_add(1, Ordering::SeqCst) + 1;
        }
        highest.load(Ordering::SeqCst).saturating_sub(self.chance.below(RECENT))
    }

    fn path(number: u64) -> String {
        format!("/examplebucket/{}", key(number))
    }

    fn send(&self, request: &Request) -> Option<Response> {
        match request.send(self.to) {
            Ok(answer) => {
                let mut answers =
                    self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
                *answers.entry(answer.status).or_default() += 1;
                Some(answer)
            }
            Err(error) => {
                let told = format!(
                    "{} {}: {error}",
                    request.method,
                    String::from_utf8_lossy(&request.target)
                );
                let mut unanswered =
                    self.shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
                unanswered.push(told);
                None
            }
        }
    }

    fn get(&self, number: u64, headers: &[(&str, &str)]) -> Option<()> {
        let mut get = request("GET", Self::path(number));
        for (name, value) in headers {
            get = get.with(name, value);
        }
        let answer = self.send(&get)?;
        if answer.status == 200 {
            self.check_whole(number, &answer);
        }
        Some(())
    }

    /// A 200 is one version, all of it; where it broke off, the beginning of one.
    fn check_whole(&self, number: u64, answer: &Response) {
        let may_be_cut = !answer.whole || Manner::of(number).hides_its_end();
        let is_true = self.shared.truth.versions(number).any(|version| {
            version.has(0, &answer.body) && (may_be_cut || version.size() == answer.body.len())
        });
        if !is_true {
            self.shared.accuse(format!("GET {}: {answer:?}", Self::path(number)));
        }
    }

    fn head(&self, number: u64) {
        let answer = self.send(&request("HEAD", Self::path(number)));
        let length = answer.filter(|answer| answer.status == 200);
        let length =
            length.and_then(|answer| answer.header("content-length")?.parse::<usize>().ok());
        let Some(length) = length else { return };
        let mut versions = self.shared.truth.versions(number);
        let manner = Manner::of(number);
        let lies = manner.hides_its_end() || matches!(manner, Manner::Enormous | Manner::Partial);
        if !lies && !versions.any(|version| version.size() == length) {
            self.shared.accuse(format!("HEAD {}: {length} bytes", Self::path(number)));
        }
    }

    fn range(&mut self, number: u64) {
        let size = self.shared.truth.now(number).size() as u64;
        let first = self.chance.below(size + 1);
        let last = first + self.chance.below(size + 10);
        self.part(number, first, last, None);
    }

    /// The version that a range is of, and how its answer names it.
    fn part(
        &self,
        number: u64,
        first: u64,
        last: u64,
        if_match: Option<&str>,
    ) -> Option<(Version, Option<String>)> {
        let mut get =
            request("GET", Self::path(number)).with("range", format!("bytes={first}-{last}"));
        if let Some(etag) = if_match {
            get = get.with("if-match", etag);
        }
        let answer = self.send(&get)?;
        match answer.status {
            200 => {
                self.check_whole(number, &answer);
                None
            }
            206 => {
                let at = answer.header("content-range").and_then(|range| {
                    range.strip_prefix("bytes ")?.split_once('-')?.0.parse::<usize>().ok()
                });
                let first = usize::try_from(first).expect("a small number");
                let found = self.shared.truth.versions(number);
                let mut found =
                    found.filter(|version| at == Some(first) && version.has(first, &answer.body));
                let version = found.next();
                if version.is_none() {
                    let path = Self::path(number);
                    self.shared.accuse(format!("GET {path} {first}-{last}: {answer:?}"));
                }
                // A few bytes may be of several versions.
                let is_sure = answer.whole && answer.body.len() >= 8;
                version.filter(|_| is_sure).map(|version| (version, answer.header("etag")))
            }
            _ => None,
        }
    }

    /// A download in two parts, the second of which is to be of the same version.
    fn resume(&mut self, number: u64) {
        let size = self.shared.truth.now(number).size() as u64;
        if size < 64 {
            return;
        }
        let Some((version, Some(etag))) = self.part(number, 0, size / 2 - 1, None) else { return };
        if etag.starts_with("W/") {
            return;
        }
        let second = self.part(number, size / 2, size - 1, Some(&etag));
        if let Some((other, _)) = second.filter(|(other, _)| *other != version) {
            let path = Self::path(number);
            self.shared.accuse(format!("{path}: half of {version:?}, half of {other:?} as {etag}"));
        }
    }

    /// Asks, and does not wait for the end.
    fn leave(&self, number: u64) {
        let get = request("GET", Self::path(number)).addressed(self.to);
        if let Ok(mut wire) = connect(self.to) {
            let _ = wire.write(&get.to_bytes());
            let _ = wire.read_some();
        }
    }

    fn conditional(&mut self, number: u64) {
        let etag = self.shared.truth.now(number).etag();
        let name = ["if-match", "if-none-match"][usize::from(self.chance.in_thousand(500))];
        self.get(number, &[(name, &etag)]);
    }

    fn delete(&self, number: u64) {
        self.send(&request("DELETE", Self::path(number)));
    }

    /// Writes an object of its own while a miss of the same key is under way: what a client has
    /// written is newer than anything of an origin's.
    fn write(&mut self) {
        self.own += 1;
        // An origin has it too, in some manner that brings objects.
        let number = WRITTEN + (((self.id << 20) + self.own) << 5);
        let path = Self::path(number);
        self.leave(number);
        let written = Version { number: number + 1, version: 7 };
        let mut put = request("PUT", &path).with_body(written.body());
        if put.body.is_empty() {
            put = put.with("content-length", "0");
        }
        let is_written = self.send(&put).is_some_and(|answer| answer.status == 200);
        if !is_written {
            return;
        }
        let mut all = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(path.clone(), written);
        drop(all);
        let answer = self.send(&request("GET", &path));
        let answer = answer.filter(|answer| answer.status == 200 && answer.whole);
        if answer.is_some_and(|answer| answer.body != written.body()) {
            self.shared.accuse(format!("GET {path}: not what a client has written"));
        }
    }
}
