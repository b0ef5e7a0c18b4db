//! Everything at once, for as long as one likes: clients of all sorts, an origin with every fault
//! that origins have, a store that fails at times. And a model of the truth, by which every byte is
//! checked.

mod bucket;
mod client;
mod origin;
mod truth;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use self::bucket::Bucket;
use self::client::{Client, Shared};
use self::truth::Version;
use crate::support::gateway::{Gateway, Path, Setup};
use crate::support::store::Store;
use crate::support::wait::within;

/// Clients at once.
const CLIENTS: u64 = 24;

/// How long everything may take to come to rest behind the last request: a thousand objects wait in
/// each worker at most, and are fetched and stored in the end, beside origins that stall and fail and
/// are asked six times.
const REST: Duration = Duration::from_secs(600);

/// How long the store may know of an upload that nobody has named, once nothing else happens.
const UNNAMED: Duration = Duration::from_secs(45);

/// Longer than the gateway pauses between two attempts at anything: when nothing has happened for so
/// long, nothing is left to do.
const QUIET: Duration = Duration::from_secs(8);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) answers: String,
    pub(crate) store_faults: u64,
    pub(crate) stored: usize,
    /// Answers and stored objects that are not true.
    pub(crate) wrong: Vec<String>,
    /// Uploads that are open, and of which nothing is told.
    pub(crate) open: Vec<String>,
    /// Requests without an answer, and those that never ended.
    pub(crate) hung: Vec<String>,
    /// Deaths of the module.
    pub(crate) dead: Vec<String>,
    /// Envoy's memory at rest, its peak, and its mean in the second and the last fifth, in bytes. In
    /// the first one every size of buffer is taken for the first time, and no allocator gives all of
    /// that back; from there on it is to stay.
    pub(crate) memory: Option<Memory>,
}

/// What a process took over time, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) rest: u64,
    pub(crate) peak: u64,
    pub(crate) early: u64,
    pub(crate) late: u64,
}

impl Report {
    /// Everything that is not as it should be.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("wrong", &self.wrong),
            ("open", &self.open),
            ("hung", &self.hung),
            ("dead", &self.dead),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, faults)| faults.iter().map(move |fault| format!("{kind}: {fault}")))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, answers, store_faults, stored, .. } = self;
        write!(
            f,
            "{requests} requests ({answers}), {store_faults} faults of the store, {stored} stored; "
        )?;
        let counts = [
            ("wrong", self.wrong.len()),
            ("open", self.open.len()),
            ("hung", self.hung.len()),
            ("dead", self.dead.len()),
        ];
        let counts = counts.map(|(name, count)| format!("{count} {name}"));
        write!(f, "{}", counts.join(", "))?;
        if let Some(Memory { rest, peak, early, late }) = self.memory {
            let mebibytes = [rest, peak, early, late].map(|bytes| bytes >> 20);
            let [rest, peak, early, late] = mebibytes;
            write!(f, "; {rest} MiB at rest, {peak} at most, {early} early, {late} late")?;
        }
        Ok(())
    }
}

/// Runs a gateway for so long.
pub(crate) fn run(
    path: Path,
    time: Duration,
    seed: u64,
    start: impl FnOnce(&Setup) -> Gateway,
) -> Report {
    let shared = Shared::default();
    let origin = origin::start(Arc::clone(&shared.truth));
    let bucket = Bucket::start(seed);
    let gateway = start(&setup(path, &bucket.store, origin.address));
    let rest = gateway.process().map(|process| process.memory());
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        for id in 0..CLIENTS {
            let client = Client::new(gateway.address, &shared, seed ^ (id << 40));
            scope.spawn(move || client.run());
        }
        let start = Instant::now();
        while start.elapsed() < time {
            std::thread::sleep(Duration::from_millis(250).min(time));
            samples.extend(gateway.process().map(|process| process.memory()));
            // Their record holds every body.
            bucket.store.server.take_requests();
            origin.take_requests();
        }
        shared.over.store(true, Ordering::SeqCst);
    });
    let faults = bucket.recover();
    let mut report = Report { store_faults: faults, ..Report::default() };
    come_to_rest(&gateway, &bucket.store, &mut report);
    judge(&bucket.store, &shared, &mut report);
    report.dead = gateway.vm_failures();
    // What is fetched from an origin that stalls is tried a few times more.
    within(REST, || gateway.hung_requests().is_none().then_some(()));
    report.hung.extend(gateway.hung_requests());
    report.memory = rest.zip(gateway.process()).map(|(rest, process)| Memory {
        rest,
        peak: process.peak(),
        early: mean(samples.get(samples.len() / 5..samples.len() / 5 * 2).unwrap_or_default()),
        late: mean(samples.get(samples.len() / 5 * 4..).unwrap_or_default()),
    });
    report
}

fn setup(path: Path, store: &Store, origin: std::net::SocketAddr) -> Setup {
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror",
            "MirrorURL": format!("http://{origin}/"),
            "MirrorAllowHeadObject": true,
        },
    }]);
    let mut setup = Setup::new(rules, store.address(), &[origin]);
    setup.path = path;
    // By streaming as much as people have; then its bound is reached in the first minutes. Many answers
    // at once come by callouts.
    let memory = match path {
        Path::Callout => 256 << 20,
        Path::Streaming => 64 << 20,
    };
    setup.is_unlimited = true;
    // S3's smallest parts, so that large objects have several.
    // A fetch of its own may bring a whole object, and many at once come to their end sooner.
    setup.limits = Some(json!({
        "part_bytes": 5 << 20, "object_bytes": 16 << 20, "memory_bytes": memory, "backfills": 16,
    }));
    setup.timeouts = Some(json!({
        "origin_ms": 5_000, "store_ms": 5_000, "unconfirmed_upload_ms": 2_000,
    }));
    setup
}

/// Waits for the last copy, and for the last upload that nobody knows.
fn come_to_rest(gateway: &Gateway, store: &Store, report: &mut Report) {
    let open = || store.open_uploads();
    let ended = || {
        let counters = gateway.counters();
        ["stored", "not_stored"].iter().filter_map(|name| counters.get(*name)).sum::<u64>()
    };
    let (mut known, mut since) = (ended(), Instant::now());
    let settled = within(REST, || {
        // The pause between two questions.
        std::thread::sleep(Duration::from_millis(250));
        let now = ended();
        if std::mem::replace(&mut known, now) != now {
            since = Instant::now();
        }
        let is_quiet = since.elapsed() > QUIET;
        (is_quiet && (open().is_empty() || since.elapsed() > UNNAMED)).then_some(())
    });
    if settled.is_none() {
        report.hung.push("copies come to no end".to_owned());
    }
    // What is told of is known: a store that denies its own doings keeps them.
    let log = gateway.log();
    let unnamed = log.matches("may stay open").count();
    let untold = open().into_iter().filter(|id| !log.contains(id));
    report.open = untold.skip(unnamed).collect();
}

/// Looks at every object in the bucket, and adds up what clients have seen.
fn judge(store: &Store, shared: &Shared, report: &mut Report) {
    let answers = shared.answers.lock().expect("no panic");
    report.requests = answers.values().sum();
    let counts: Vec<String> =
        answers.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    report.answers = counts.join(", ");
    report.wrong.append(&mut shared.wrong.lock().expect("no panic"));
    report.hung.append(&mut shared.unanswered.lock().expect("no panic"));
    for number in 0..=shared.highest.load(Ordering::SeqCst) {
        let path = format!("/examplebucket/{}", origin::key(number));
        let Some(found) = store.object(&path) else { continue };
        report.stored += 1;
        let is =
            |version: Version| version.size() == found.body.len() && version.has(0, &found.body);
        if !shared.truth.versions(number).any(is) {
            report.wrong.push(format!("stored as {path}: {found:?}"));
        }
    }
    for (path, written) in shared.written.lock().expect("no panic").iter() {
        if store.object(path).is_none_or(|found| found.body != written.body()) {
            report.wrong.push(format!("{path} is not what a client has written"));
        }
    }
}

fn mean(values: &[u64]) -> u64 {
    values.iter().sum::<u64>() / (values.len() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Path, run};
    use crate::support::gateway::{Gateway, Host};

    /// A third of a minute each, unless `SOAK_SECONDS` says so.
    const SECONDS: u64 = 20;

    fn soak(host: Host, path: Path) {
        let asked = std::env::var("SOAK_SECONDS").ok().and_then(|asked| asked.parse().ok());
        let time = Duration::from_secs(asked.unwrap_or(SECONDS));
        let report = run(path, time, 1, |setup| Gateway::start(host, setup));
        println!("{report}");
        let faults: Vec<String> = report.faults().collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(report.stored > 50, "hardly anything was stored: {report}");
    }

    #[test]
    fn envoy_holds_while_it_streams() {
        soak(Host::Envoy, Path::Streaming);
    }

    #[test]
    fn envoy_holds_by_callouts() {
        soak(Host::Envoy, Path::Callout);
    }

    #[test]
    fn the_harness_holds() {
        soak(Host::Harness, Path::Streaming);
    }
}
