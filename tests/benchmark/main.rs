//! What the streaming path costs, side by side with the same Envoy without any of ours, as a table.
//!
//! `cargo bench --package integration` is the command. All figures of a row come from the same
//! minute of the same machine; only their ratios travel. `-- --quick` takes smaller objects, and
//! `-- memory` or another name makes some lines only: `instructions` those that repeat, whatever else
//! the machine does. They take valgrind, and what is about small requests takes nginx, both from
//! Debian (`apt-get install valgrind nginx-light`); where one is missing, its lines say so.
//!
//! `-- soak 600` measures nothing: each gateway bears everything at once for 600 seconds, every byte
//! is checked against a model of the truth, and it fails where one does not hold. `-- soak 600 serve`
//! is about those alone that have the word in their names.

/// What hits feel of a store that fails.
mod ailing;
/// A client that checks what it gets.
mod client;
/// The embedded store beside plain files.
mod files;
/// Bucket and origin of small requests.
mod nginx;
/// Envoy without any of ours.
mod plain;
/// What one small request costs.
mod requests;
/// The origin.
mod server;
/// Everything at once, checked byte by byte.
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../soak/mod.rs"]
mod soak;
/// What objects are written into.
mod store;
#[allow(dead_code, reason = "shared with the tests, which need all of it")]
#[path = "../support/mod.rs"]
mod support;
/// Many clients that miss one object at once.
mod together;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use client::Client;
use nginx::Protocol;
use plain::STRAIGHT;
use requests::{instructions, misses};
use serde_json::json;
use store::{Kind, Store};
use support::envoy::Envoy;
use support::gateway::{Gateway, Host, Path, Setup};
use support::process::Process;
use support::streaming;
use support::wait::within;

/// Mebibytes in bytes.
const MIB: u64 = 1 << 20;

/// One line of the table.
struct Line {
    what: String,
    against: String,
    measured: String,
    least: String,
    holds: bool,
}

fn main() -> ExitCode {
    // As a process of its own it is `b2o`, so that its memory can be seen. Cargo puts a word of its
    // own behind those of whoever runs a benchmark.
    let is_ours = |first: &str| ["serve", "store"].contains(&first);
    if std::env::args().nth(1).is_some_and(|first| is_ours(&first))
        && !std::env::args().any(|argument| argument == "--bench")
    {
        return b2o::cli::run();
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    // Cargo has words of its own for a benchmark.
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let Some(at) = asked.iter().position(|word| word == "soak") {
        let seconds = asked.get(at + 1).and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
        return soak_all(
            Duration::from_secs(seconds),
            asked.get(at + 2).map_or("", String::as_str),
        );
    }
    let large = if quick { 128 * MIB } else { 1_024 * MIB };
    let (rounds, count) = if quick { (1, 3_000) } else { (3, 20_000) };
    let (forgetful, embedded) = (Kind::Forgetful, Kind::Embedded);
    let one = |line: Line| Ok(vec![line]);
    let ailing =
        || ailing::hits_beside_failures(if quick { 1 } else { 3 }, Duration::from_secs(10));
    let crowds =
        |size| move || Ok([2, 10, 200].map(|clients| together::together(size, clients)).into());
    let (small_crowds, large_crowds) = (crowds(1_024), crowds(if quick { 16 } else { 100 } * MIB));
    let measurements: [(&str, &dyn Fn() -> Result<Vec<Line>, String>); 17] = [
        ("instructions", &|| instructions(Protocol::Http1, if quick { 300 } else { 2_000 })),
        ("instructions", &|| instructions(Protocol::Http2, if quick { 300 } else { 2_000 })),
        ("misses", &|| misses(Protocol::Http1, if quick { 2 } else { 8 })),
        ("misses", &|| misses(Protocol::Http2, if quick { 2 } else { 8 })),
        ("hits", &|| one(hits(if quick { 3 } else { 15 }))),
        ("store", &|| Ok(files::against_files(large, if quick { 3 } else { 9 }))),
        ("store-failing", &|| one(ailing())),
        ("first-byte", &|| one(first_byte(embedded, if quick { 20 } else { 100 }))),
        ("large", &|| Ok(large_miss(forgetful, large, rounds))),
        ("large", &|| Ok(large_miss(embedded, large, rounds))),
        ("memory", &|| one(memory(forgetful, large, 1))),
        ("memory", &|| one(memory(embedded, large, 1))),
        ("memory", &|| one(memory(embedded, large, 8))),
        ("small", &|| one(small_misses(forgetful, count))),
        ("small", &|| one(small_misses(embedded, count))),
        ("together", &small_crowds),
        ("together", &large_crowds),
    ];
    println!("| What | Against | Measured | Wanted | Holds |\n|---|---|---|---|---|");
    for (name, measure) in measurements {
        if !asked.is_empty() && !asked.iter().any(|asked| asked == name) {
            continue;
        }
        match measure() {
            Ok(lines) => lines.iter().for_each(Line::print),
            Err(missing) => println!("| {name} | | not measured: {missing} | | **no** |"),
        }
    }
    ExitCode::SUCCESS
}

/// Runs each gateway with that word in its name for so long, with everything at once; fails where
/// one does not hold.
fn soak_all(time: Duration, word: &str) -> ExitCode {
    let own = std::env::current_exe().expect("a path of our own");
    let seed = 1;
    println!("each for {time:?}, seed {seed}");
    let serve = |setup: &Setup| Gateway::serve(&own, setup);
    let envoy = |setup: &Setup| Gateway::start(Host::Envoy, setup);
    let gateways: [(&str, Path, &dyn Fn(&Setup) -> Gateway); 3] = [
        ("Envoy, streaming", Path::Streaming, &envoy),
        ("Envoy, by callouts", Path::Callout, &envoy),
        ("b2o serve", Path::Streaming, &serve),
    ];
    let mut holds = true;
    for (name, path, start) in gateways.into_iter().filter(|(name, ..)| name.contains(word)) {
        let report = soak::run(path, time, seed, start);
        println!("{name}: {report}");
        let is_sound = report.faults().next().is_none();
        for fault in report.faults().take(10) {
            println!("  {}", fault.chars().take(160).collect::<String>().escape_debug());
        }
        let is_flat = report.memory.is_some_and(|memory| memory.late * 10 <= memory.early * 11);
        if !is_flat {
            println!("  its memory grows");
        }
        holds &= is_sound && is_flat;
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Line {
    /// A ratio that is to be small.
    fn at_most(what: String, against: String, ratio: f64, own: String, most: f64) -> Self {
        let measured = format!("{ratio:.3}x ({own})");
        Self { what, against, measured, least: format!("at most {most}x"), holds: ratio <= most }
    }

    fn print(&self) {
        let Self { what, against, measured, least, holds } = self;
        let holds = if *holds { "yes" } else { "**no**" };
        println!("| {what} | {against} | {measured} | {least} | {holds} |");
    }
}

/// A gateway with one mirror rule and one worker, and what stands behind it.
struct Ours {
    envoy: Envoy,
    address: SocketAddr,
    process: Process,
}

/// A bucket whose misses come from an origin.
fn mirror(bucket: SocketAddr, origin: SocketAddr) -> Setup {
    let rules = json!([{
        "RuleNumber": 1,
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": format!("http://{origin}/") },
    }]);
    let mut setup = Setup::new(rules, bucket, &[origin]);
    setup.path = Path::Streaming;
    setup.is_unlimited = true;
    setup
}

fn ours(bucket: SocketAddr, origin: SocketAddr) -> Ours {
    start(&mirror(bucket, origin))
}

fn start(setup: &Setup) -> Ours {
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let bootstrap = streaming::bootstrap(setup, folder.path());
    running(Envoy::start(&bootstrap, "yaml", folder))
}

fn plain_envoy(bucket: SocketAddr, origin: SocketAddr) -> Ours {
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    running(Envoy::start(&plain::bootstrap(bucket, origin), "json", folder))
}

fn running(envoy: Envoy) -> Ours {
    let (address, process) = (envoy.address(), Process(envoy.process_id()));
    Ours { envoy, address, process }
}

/// The processor time of a hit.
fn hits(rounds: usize) -> Line {
    const REQUESTS: u64 = 8_000;
    const CLIENTS: u64 = 8;
    let bucket = server::origin();
    let (with, without) = (ours(bucket, bucket), plain_envoy(bucket, bucket));
    let round = |gateway: &Ours| {
        let before = gateway.process.ticks();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = Client::connect(gateway.address).expect("the gateway");
                    for _ in 0..REQUESTS / CLIENTS {
                        let answer = client.get("/examplebucket/1024/hit").expect("a hit");
                        assert_eq!(answer.status, 200);
                    }
                });
            }
        });
        (gateway.process.ticks() - before) as f64 * 10_000.0 / REQUESTS as f64
    };
    for gateway in [&with, &without] {
        round(gateway);
    }
    let mut ratios = Vec::new();
    let mut costs = (Vec::new(), Vec::new());
    for number in 0..rounds {
        // In turns, so that neither has the better half of the time.
        let (ours, theirs) = if number % 2 == 0 {
            let ours = round(&with);
            (ours, round(&without))
        } else {
            let theirs = round(&without);
            (round(&with), theirs)
        };
        ratios.push(ours / theirs);
        costs.0.push(ours);
        costs.1.push(theirs);
    }
    let ratio = mean(&costs.0) / mean(&costs.1);
    Line {
        what: "CPU of Envoy per hit, mirror-only rules".to_owned(),
        against: format!("the same Envoy without any of ours: {:.1} µs", mean(&costs.1)),
        measured: format!(
            "{ratio:.2}x ({:.1} µs; median of {rounds} rounds {:.2}x)",
            mean(&costs.0),
            median(&mut ratios)
        ),
        least: "at most 1.06x; instructions tell more".to_owned(),
        holds: ratio <= 1.06,
    }
}

/// The first byte of a miss of 10 MiB.
fn first_byte(kind: Kind, rounds: usize) -> Line {
    let origin = server::origin();
    let store = Store::start(kind);
    let (with, without) = (ours(store.address(), origin), plain_envoy(store.address(), origin));
    let size = 10 * MIB;
    let mut ours = Client::connect(with.address).expect("the gateway");
    let mut theirs = Client::connect(without.address).expect("the gateway");
    let (mut misses, mut straight, mut trips) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds as u64 {
        let miss = ours.get(&format!("/examplebucket/{size}/{number}")).expect("a miss");
        assert_eq!(miss.status, 200);
        // What is stored behind the miss is not to weigh on the others.
        store.wait_for(number + 1);
        let direct = theirs.get(&format!("{STRAIGHT}/{size}/{number}")).expect("an object");
        assert_eq!(direct.status, 200);
        let trip = theirs.get("/examplebucket/none").expect("a 404");
        assert_eq!(trip.status, 404);
        misses.push(milliseconds(miss.first_byte));
        straight.push(milliseconds(direct.first_byte));
        trips.push(milliseconds(trip.last_byte));
    }
    let (miss, direct, trip) = (median(&mut misses), median(&mut straight), median(&mut trips));
    let bound = 1.5 * direct + trip;
    Line {
        what: "first byte of a 10 MiB miss".to_owned(),
        against: format!(
            "straight through Envoy to the origin: {direct:.2} ms; a round trip to the bucket: \
             {trip:.2} ms"
        ),
        measured: format!("{miss:.2} ms: {:.2}x + the round trip", (miss - trip) / direct),
        least: format!("at most 1.5x + one bucket round trip ({bound:.2} ms)"),
        holds: miss <= bound,
    }
}

/// A large miss, until it is stored.
fn large_miss(kind: Kind, size: u64, rounds: usize) -> Vec<Line> {
    let origin = server::origin();
    let store = Store::start(kind);
    let (with, without) = (ours(store.address(), origin), plain_envoy(store.address(), origin));
    let mut ours = Client::connect(with.address).expect("the gateway");
    let mut theirs = Client::connect(without.address).expect("the gateway");
    let (mut done, mut client_done, mut straight) = (Vec::new(), Vec::new(), Vec::new());
    let (mut used, mut used_straight) = (0, 0);
    for number in 0..rounds as u64 {
        let ticks = (with.process.ticks(), without.process.ticks());
        let direct = theirs.get(&format!("{STRAIGHT}/{size}/{number}")).expect("an object");
        assert_eq!(direct.status, 200);
        let start = Instant::now();
        let key = format!("/examplebucket/{size}/{number}");
        let miss = ours.get(&key).expect("a miss");
        assert_eq!(miss.status, 200);
        store.wait_for(number + 1);
        done.push(start.elapsed().as_secs_f64());
        client_done.push(miss.last_byte.as_secs_f64());
        straight.push(direct.last_byte.as_secs_f64());
        used += with.process.ticks() - ticks.0;
        used_straight += without.process.ticks() - ticks.1;
        // From the bucket now, every byte of it.
        assert_eq!(ours.get(&key).expect("a hit").status, 200);
    }
    let (all, client, direct) =
        (median(&mut done), median(&mut client_done), median(&mut straight));
    let ratio = all / direct;
    let time = Line {
        what: format!("time of a {} miss, write-back into {}", mebibytes(size), kind.name()),
        against: format!("straight through Envoy to the origin, no copy: {direct:.2} s"),
        measured: format!(
            "{ratio:.2}x ({all:.2} s; the client has it after {client:.2} s, {:.2}x)",
            client / direct
        ),
        least: "at most 2x".to_owned(),
        holds: ratio <= 2.0,
    };
    let seconds = |ticks: u64| ticks as f64 / 100.0 / rounds as f64;
    let (used, used_straight) = (seconds(used), seconds(used_straight));
    let cpu = Line::at_most(
        format!("CPU of Envoy for a {} miss, write-back into {}", mebibytes(size), kind.name()),
        format!("straight through Envoy to the origin, no copy: {used_straight:.2} s"),
        used / used_straight,
        format!("{used:.2} s"),
        1.8,
    );
    vec![time, cpu]
}

/// The memory that large misses at once take.
fn memory(kind: Kind, size: u64, at_once: u64) -> Line {
    let origin = server::origin();
    let store = Store::start(kind);
    let gateway = ours(store.address(), origin);
    let mut first = Client::connect(gateway.address).expect("the gateway");
    assert_eq!(first.get("/examplebucket/1024/first").expect("a miss").status, 200);
    store.wait_for(1);
    let rest = gateway.process.memory();
    gateway.process.forget_peak();
    std::thread::scope(|scope| {
        for number in 0..at_once {
            let address = gateway.address;
            scope.spawn(move || {
                let mut client = Client::connect(address).expect("the gateway");
                let key = format!("/examplebucket/{size}/{number}");
                assert_eq!(client.get(&key).expect("a miss").status, 200);
            });
        }
    });
    // Every copy has come to its end, by its line in the log.
    let settled = || gateway.envoy.log().matches(": bucket 404, rule ").count() as u64 > at_once;
    within(Duration::from_secs(300), || settled().then_some(())).expect("an end of every copy");
    let kept = store.count() - 1;
    let peak = gateway.process.peak().saturating_sub(rest);
    let failures = gateway.envoy.vm_failures();
    assert!(failures.is_empty(), "{failures:?}");
    let (most, least) = match at_once {
        1 => (3 * 8 * MIB + 16 * MIB, "3 parts + 16 MiB"),
        _ => (64 * MIB + 32 * MIB, "the VM's limit + 32 MiB"),
    };
    let object = mebibytes(size);
    Line {
        what: format!(
            "Envoy's peak memory above rest, {at_once} {object} at once, {}",
            kind.name()
        ),
        against: format!("at rest: {} MiB", rest / MIB),
        measured: format!("{} MiB ({kept} of {at_once} stored)", peak / MIB),
        least: format!("at most {least} ({} MiB)", most / MIB),
        holds: peak <= most,
    }
}

/// Small misses, until all of them are stored.
fn small_misses(kind: Kind, count: u64) -> Line {
    const CLIENTS: u64 = 16;
    let origin = server::origin();
    let store = Store::start(kind);
    let gateway = ours(store.address(), origin);
    let mut first = Client::connect(gateway.address).expect("the gateway");
    assert_eq!(first.get("/examplebucket/1024/first").expect("a miss").status, 200);
    store.wait_for(1);
    let (start, used) = (Instant::now(), gateway.process.ticks());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let address = gateway.address;
            scope.spawn(move || {
                let mut client = Client::connect(address).expect("the gateway");
                for key in (number..count).step_by(CLIENTS as usize) {
                    let answer = client.get(&format!("/examplebucket/1024/{key}"));
                    assert_eq!(answer.expect("a miss").status, 200);
                }
            });
        }
    });
    let answered = start.elapsed().as_secs_f64();
    store.wait_for(1 + count);
    let all = start.elapsed().as_secs_f64();
    let used = (gateway.process.ticks() - used) as f64 / 100.0;
    let failures = gateway.envoy.vm_failures();
    assert!(failures.is_empty(), "{failures:?}");
    let rate = count as f64 / all;
    Line {
        what: format!("misses a second, 1 KiB, one worker, write-back into {}", kind.name()),
        against: "3,000; the seed's quota for a whole bucket is 2,000".to_owned(),
        measured: format!(
            "{rate:.0} stored; {:.0} answered ({count} objects; Envoy had {:.0} % of a processor, \
             {:.0} µs a miss)",
            count as f64 / answered,
            100.0 * used / all,
            1e6 * used / count as f64
        ),
        least: "at least 3,000".to_owned(),
        holds: rate >= 3_000.0,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn mebibytes(size: u64) -> String {
    match size / MIB {
        1_024 => "1 GiB".to_owned(),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
