//! What one request of a kilobyte costs Envoy, before nginx: in instructions, which repeat, and in
//! processor time, which does not.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::client::Client;
use crate::nginx::{Nginx, Protocol};
use crate::support::envoy::Envoy;
use crate::support::gateway::{Path, Setup};
use crate::support::process::Process;
use crate::support::streaming;
use crate::{Line, mean, plain};

/// The rules of a gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rules {
    /// None: the same listener and one route, and nothing of ours.
    Bare,
    /// All that the bucket lacks is mirrored.
    Mirror,
    /// The client is sent elsewhere for it.
    Redirect,
}

/// The gateways of a comparison, all of the same nginx.
struct Bench {
    protocol: Protocol,
    nginx: Nginx,
}

impl Bench {
    fn start(protocol: Protocol) -> Result<Self, String> {
        Ok(Self { protocol, nginx: Nginx::start(protocol)? })
    }

    /// An Envoy, below a tool where one is given.
    fn envoy(&self, rules: Rules, tool: Option<Command>) -> Gateway {
        let folder = tempfile::tempdir().expect("a folder for Envoy");
        let (bucket, origin) = (self.nginx.bucket, self.nginx.origin);
        let redirect = match rules {
            Rules::Bare => None,
            Rules::Mirror => {
                Some(json!({ "RedirectType": "Mirror", "MirrorURL": format!("http://{origin}/") }))
            }
            Rules::Redirect => {
                Some(json!({ "RedirectType": "External", "HostName": "elsewhere.example" }))
            }
        };
        let (bootstrap, extension) = match redirect {
            None => (plain::bootstrap_by(self.protocol, bucket, origin), "json"),
            Some(redirect) => {
                let rules = json!([{
                    "RuleNumber": 1,
                    "Condition": { "HttpErrorCodeReturnedEquals": 404 },
                    "Redirect": redirect,
                }]);
                (self.ours(rules, folder.path()), "yaml")
            }
        };
        let envoy = match tool {
            Some(tool) => Envoy::start_under(tool, &bootstrap, extension, folder),
            None => Envoy::start(&bootstrap, extension, folder),
        };
        let address = envoy.address();
        Gateway { envoy, address }
    }

    fn ours(&self, rules: Value, folder: &std::path::Path) -> String {
        let mut setup = Setup::new(rules, self.nginx.bucket, &[self.nginx.origin]);
        setup.path = Path::Streaming;
        setup.is_unlimited = true;
        let bootstrap = streaming::bootstrap(&setup, folder);
        if self.protocol == Protocol::Http2 {
            // No deployment can say that of an origin without TLS, where it is the server's choice.
            let file = folder.join("generated/clusters.yaml");
            let clusters = fs::read_to_string(&file).expect("clusters");
            let (theirs, ours) =
                ("{ http_protocol_options: {} }", "{ http2_protocol_options: {} }");
            assert!(clusters.matches(theirs).count() >= 2, "no {theirs} in {clusters}");
            fs::write(&file, clusters.replace(theirs, ours)).expect("a file of our own");
        }
        bootstrap
    }
}

struct Gateway {
    envoy: Envoy,
    address: SocketAddr,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asking {
    Hits,
    /// Objects that nobody has asked for before.
    Misses,
}

/// A number that no other miss has.
fn fresh() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Gateway {
    /// So many requests, by so many clients at once.
    fn ask(&self, asking: Asking, requests: u64, clients: u64) {
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut client = Client::connect(self.address).expect("the gateway");
                    for _ in 0..requests / clients {
                        let path = match asking {
                            Asking::Hits => "/examplebucket/hit".to_owned(),
                            Asking::Misses => format!("/examplebucket/miss/{}", fresh()),
                        };
                        let answer = client.get_anything(&path).expect("an answer");
                        assert_eq!(answer.status, 200, "{path}");
                    }
                });
            }
        });
        if asking == Asking::Misses {
            self.settle();
        }
    }

    /// Waits until all that was mirrored is stored.
    fn settle(&self) {
        let done = || {
            let stored =
                self.count("back_to_origin.stored") + self.count("back_to_origin.not_stored");
            (stored >= self.count("back_to_origin.mirrored")).then_some(())
        };
        let within = crate::within(std::time::Duration::from_secs(120), done);
        assert!(within.is_some(), "not all that was mirrored is stored");
        assert_eq!(self.count("back_to_origin.not_stored"), 0);
    }

    /// One of Envoy's counters, by the end of its name.
    fn count(&self, name: &str) -> u64 {
        let stats = self.envoy.admin(&format!("/stats?filter={name}$"));
        let counts = stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
        counts.sum()
    }

    fn process(&self) -> Process {
        Process(self.envoy.process_id())
    }
}

/// User instructions of the whole process, as callgrind counts them.
struct Counted {
    gateway: Gateway,
    dumps: tempfile::TempDir,
}

impl Counted {
    fn start(bench: &Bench, rules: Rules) -> Result<Self, String> {
        let dumps = tempfile::tempdir().expect("a folder for callgrind");
        for tool in ["valgrind", "callgrind_control"] {
            let there = Command::new(tool).arg("--version").output();
            let missing = |error| format!("{tool} is missing ({error}): apt-get install valgrind");
            there.map_err(missing)?;
        }
        let mut tool = Command::new("valgrind");
        tool.args(["--tool=callgrind", "--instr-atstart=no", "--smc-check=all-non-file"]);
        tool.arg(format!("--callgrind-out-file={}", dumps.path().join("counted").display()));
        Ok(Self { gateway: bench.envoy(rules, Some(tool)), dumps })
    }

    fn control(&self, order: &[&str]) {
        let process = self.gateway.envoy.process_id().to_string();
        let output = Command::new("callgrind_control").args(order).arg(process).output();
        let output = output.expect("callgrind_control can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Instructions of each of so many requests.
    fn each(&self, asking: Asking, requests: u64, round: usize) -> f64 {
        self.control(&["-z"]);
        self.gateway.ask(asking, requests, 1);
        self.control(&["-d"]);
        let file = self.dumps.path().join(format!("counted.{round}"));
        let dump = fs::read_to_string(&file).expect("what callgrind has counted");
        let total =
            dump.lines().find_map(|line| line.strip_prefix("totals: ")?.parse::<f64>().ok());
        total.expect("a total") / requests as f64
    }

    /// The mean of rounds, behind one that nobody counts.
    fn prepare(&self, asking: Asking) {
        self.gateway.ask(asking, 200, 1);
        self.control(&["-i", "on"]);
        self.gateway.ask(asking, 100, 1);
    }
}

/// Counts two kinds of requests in turns; the instructions of each.
fn in_turns(one: (&Counted, Asking), other: (&Counted, Asking), requests: u64) -> (f64, f64) {
    let mut counted = (Vec::new(), Vec::new());
    one.0.prepare(one.1);
    other.0.prepare(other.1);
    for round in 1..=2 {
        counted.0.push(one.0.each(one.1, requests, round));
        counted.1.push(other.0.each(other.1, requests, round));
    }
    (mean(&counted.0), mean(&counted.1))
}

/// The lines about instructions.
pub(crate) fn instructions(protocol: Protocol, requests: u64) -> Result<Vec<Line>, String> {
    let bench = Bench::start(protocol)?;
    let mut lines = Vec::new();
    let with = protocol.name();
    for (rules, what) in
        [(Rules::Mirror, "mirror rules"), (Rules::Redirect, "redirect rules on 404")]
    {
        let (bare, ours) = (Counted::start(&bench, Rules::Bare)?, Counted::start(&bench, rules)?);
        let (theirs, ours) = in_turns((&bare, Asking::Hits), (&ours, Asking::Hits), requests);
        lines.push(Line::at_most(
            format!("user instructions of a hit, {what}, {with}"),
            format!("bare Envoy, same listener, one route: {theirs:.0}"),
            ours / theirs,
            format!("{ours:.0}"),
            1.04,
        ));
    }
    let (hits, misses) =
        (Counted::start(&bench, Rules::Mirror)?, Counted::start(&bench, Rules::Mirror)?);
    let (hit, miss) = in_turns((&hits, Asking::Hits), (&misses, Asking::Misses), requests);
    lines.push(Line::at_most(
        format!("user instructions of a 1 KiB miss, stored, {with}"),
        format!("a hit: {hit:.0}"),
        miss / hit,
        format!("{miss:.0}"),
        3.8,
    ));
    Ok(lines)
}

/// The lines about processor time, and connections to the bucket.
pub(crate) fn misses(protocol: Protocol, rounds: usize) -> Result<Vec<Line>, String> {
    const REQUESTS: u64 = 4_000;
    const CLIENTS: u64 = 8;
    let bench = Bench::start(protocol)?;
    let gateway = bench.envoy(Rules::Mirror, None);
    gateway.ask(Asking::Hits, REQUESTS, CLIENTS);
    gateway.ask(Asking::Misses, REQUESTS, CLIENTS);
    let connections = || gateway.count("cluster.bucket-examplebucket.upstream_cx_total");
    let (mut hits, mut misses) = (Vec::new(), Vec::new());
    let before = connections();
    for _ in 0..rounds {
        for (asking, costs) in [(Asking::Hits, &mut hits), (Asking::Misses, &mut misses)] {
            let ticks = gateway.process().ticks();
            gateway.ask(asking, REQUESTS, CLIENTS);
            let used = (gateway.process().ticks() - ticks) as f64;
            costs.push(used * 10_000.0 / REQUESTS as f64);
        }
    }
    let made = connections() - before;
    let count = rounds as u64 * REQUESTS;
    let (hit, miss) = (mean(&hits), mean(&misses));
    let with = protocol.name();
    let most = if protocol == Protocol::Http1 { 4.3 } else { 3.0 };
    let mut lines = vec![Line::at_most(
        format!("CPU of Envoy for a 1 KiB miss, stored, {with} to bucket, store and origin"),
        format!("a hit: {hit:.1} µs"),
        miss / hit,
        format!("{miss:.1} µs"),
        most,
    )];
    if protocol == Protocol::Http1 {
        lines.push(Line {
            what: "connections to a bucket over HTTP/1.1".to_owned(),
            against: format!("{count} misses"),
            measured: made.to_string(),
            least: "none by a miss".to_owned(),
            // A connection that stood still for too long is made anew.
            holds: made <= count / 100,
        });
    }
    let failures = gateway.envoy.vm_failures();
    assert!(failures.is_empty(), "{failures:?}");
    Ok(lines)
}
