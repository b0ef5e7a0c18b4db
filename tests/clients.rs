//! Every S3 tool, with its defaults, on objects that the bucket lacks: what `envoy/CLIENTS.md` says.
//!
//! Each operation of a tool fetches objects of its own, twice: from the origin, then from the bucket.
//! It does well where the tool ends without an error, prints no warning and has the right bytes both
//! times, and where the object is stored once and the origin is not asked a second time.
//!
//! The scripts are in `tests/clients/tools`, as their users would write them. `CLIENTS=curl` runs
//! the tools of that name alone, and then compares nothing.

/// A tool's operations, run against a gateway.
mod run;
/// A gateway with a store and an origin, for all tools at once.
mod site;
/// What was seen, and `envoy/CLIENTS.md`.
mod table;
/// The tools, and what they are asked to do.
mod tools;

use std::sync::Mutex;
use std::time::Instant;

use crate::support::gateway::Host;
use run::Seen;
use site::Site;
use table::Row;
use tools::Tool;

/// The most bytes that an origin may send for each byte of a large object that is stored: what is
/// fetched twice is more. Here many tools at once meet a store in a debug build, and what the copy has
/// no time for is fetched again; `egress` holds 1.1 at the speeds that it names.
const EGRESS: f64 = 1.5;

/// How many tools run at once.
const AT_ONCE: usize = 4;

const HOSTS: [Host; 2] = [Host::Envoy, Host::Harness];

#[test]
fn tools_fetch_what_the_bucket_lacks() {
    table::compare("In every run", &run_all(tools::EVERY_RUN));
}

#[cfg(feature = "clients")]
#[test]
fn heavy_tools_fetch_what_the_bucket_lacks() {
    table::compare("In the long run", &run_all(tools::LONG_RUN));
}

/// Runs tools on both hosts, some at a time; a row for each operation, in the tools' order.
fn run_all(tools: &[Tool]) -> Vec<Row> {
    let wanted = std::env::var("CLIENTS").unwrap_or_default();
    let tools: Vec<&Tool> = tools.iter().filter(|tool| tool.name.contains(&wanted)).collect();
    for tool in &tools {
        tool.require();
    }
    let running = HOSTS.map(Site::start);
    let jobs = tools.iter().flat_map(|tool| (0..HOSTS.len()).map(move |host| (*tool, host)));
    let jobs = Mutex::new(jobs);
    let seen: Mutex<Vec<(&str, usize, Vec<Seen>)>> = Mutex::default();
    let sites = running.each_ref().map(|(site, _)| site);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = jobs.lock().expect("no job panics under the lock").next();
                    let Some((tool, host)) = next else { return };
                    let start = Instant::now();
                    let outcome = run::all(tool, sites[host]);
                    println!("{} through {:?}: {:.1?}", tool.name, HOSTS[host], start.elapsed());
                    seen.lock().expect("as above").push((tool.name, host, outcome));
                }
            });
        }
    });
    for (host, (_, kept)) in HOSTS.iter().zip(&running) {
        assert_eq!(kept.vm_failures(), Vec::<String>::new(), "{host:?}\n{}", kept.log());
    }
    let seen = seen.into_inner().expect("all jobs are over");
    let mut rows = Vec::new();
    for tool in tools {
        let [envoy, serve] = [0, 1].map(|host| {
            let of_host =
                |(name, at, _): &&(&str, usize, Vec<Seen>)| *name == tool.name && *at == host;
            seen.iter().find(of_host).map(|(.., seen)| seen).expect("every job has run")
        });
        let version = tool.version();
        for (index, operation) in tool.operations.iter().enumerate() {
            rows.push(Row {
                tool: tool.name,
                version: version.clone(),
                pinned: tool.is_pinned(),
                operation: operation.name,
                seen: [envoy[index].clone(), serve[index].clone()],
            });
        }
    }
    rows
}
