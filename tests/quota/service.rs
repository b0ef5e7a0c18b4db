//! One quota for a fleet of Envoys, by a rate limit service: a real gRPC server that speaks its
//! protocol and reads the configuration that `b2o envoy` writes for it.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use b2o::envoy::Form;
use tempfile::TempDir;

use super::{Bench, LIMIT, refusal};
use crate::support::client::get;
use crate::support::envoy::version;
use crate::support::generated::Generated;
use crate::support::python;
use crate::support::server::ClosedPort;
use crate::support::wait::until;

/// One that runs; it ends with this.
struct Service {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Service {
    /// Starts one on this port, with what a gateway's folder has for it.
    fn start(port: ClosedPort, gateway: &Generated) -> Self {
        let number = port.address.port();
        drop(port);
        let folder = tempfile::tempdir().expect("a folder for the service");
        let program = folder.path().join("service.py");
        fs::write(&program, include_str!("service.py")).expect("our own folder");
        let packages = [
            python::package("xds-protos", "1.85.0", true),
            python::package("pyyaml", "6.0.3", true),
        ];
        let mut process = Command::new(python::with_pip())
            .arg(&program)
            .arg(gateway.directory.join("rate-limits.yaml"))
            .arg(number.to_string())
            .env("PYTHONPATH", env::join_paths(packages).expect("paths without colons"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started");
        let output = process.stdout.take().expect("it is piped");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let service = Self { process, lines, _folder: folder };
        until("the service", || service.lines().first().cloned());
        service
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A deployment with a service on a port of its own, where nothing listens yet.
fn bench(limits: &str, more: &str) -> (Bench, ClosedPort) {
    let port = ClosedPort::reserve();
    let field = format!("rate_limit_service: {{ endpoint: \"http://{}\"{more} }}\n", port.address);
    (Bench::start_by(&format!("path: streaming\n{field}"), limits), port)
}

/// How often the service was asked with this outcome, as Envoy counts it by origin.
fn counted(gateway: &Generated, outcome: &str) -> u64 {
    let stats = gateway.envoy.admin(&format!("/stats?filter=\\.ratelimit\\.{outcome}$"));
    let counts = stats.lines().filter_map(|line| line.rsplit(": ").next()?.parse::<u64>().ok());
    counts.sum()
}

/// A gateway that asks the service; the first question may find no connection yet.
fn ready(gateway: &Generated) {
    let address = gateway.envoy.address();
    let mut asked = 0_u32;
    until("a gateway that asks the service", || {
        asked += 1;
        get(address, format!("/examplebucket/first/{}/{asked}", address.port()));
        (counted(gateway, "ok") > 0).then_some(())
    });
}

#[test]
fn two_envoys_share_one_quota_by_a_service() {
    let (bench, port) = bench("{ requests_per_second: 50 }", "");
    let gateways = [Generated::start(&bench.loaded), Generated::start(&bench.loaded)];
    let service = Service::start(port, &gateways[0]);
    gateways.iter().for_each(ready);
    bench.asked.store(0, Ordering::SeqCst);
    let addresses = gateways.each_ref().map(|gateway| gateway.envoy.address());
    let (mirrored, refused, seconds) = bench.offer(&addresses);
    // It counts by the clock's seconds, of which the first and the last are not whole.
    let due = f64::from(LIMIT) * seconds;
    let spare = f64::from(LIMIT) * 1.1;
    assert!((mirrored as f64 - due).abs() < spare, "{mirrored} of {due}, {refused} refused");
    assert!(refused > mirrored, "{mirrored} mirrored, {refused} refused");
    assert_eq!(bench.asked.load(Ordering::SeqCst), mirrored, "the origin's count");
    let asked = service.lines().len();
    for address in addresses {
        assert_eq!(get(address, "/examplebucket/hit").body, b"hit");
    }
    assert_eq!(service.lines().len(), asked, "a hit asks nobody");
    for gateway in &gateways {
        assert_eq!(gateway.envoy.vm_failures(), [""; 0]);
        assert_eq!(gateway.refused(), [""; 0]);
    }
}

#[test]
fn bytes_are_taken_when_they_have_been_sent_and_nobody_gets_more_behind_them() {
    // A mebibyte a second. Envoy paces by it too.
    let (bench, port) = bench("{ requests_per_second: none, bits_per_second: 8388608 }", "");
    let gateway = Generated::start(&bench.loaded);
    let service = Service::start(port, &gateway);
    let label = "bytes=all.examplebucket";
    let answer = until("an answer that is counted", || {
        let answer = get(gateway.envoy.address(), "/examplebucket/large/one");
        let counted = service.lines().iter().any(|line| line.contains(label));
        counted.then_some(answer)
    });
    assert_eq!((answer.status, answer.whole, answer.body.len()), (200, true, 5 << 19));
    let taken = format!("back-to-origin {label} {}", 5 << 19);
    until("the bytes that were sent", || service.lines().contains(&taken).then_some(()));
    let refused = until("a refusal", || {
        let answer = get(gateway.envoy.address(), "/examplebucket/large/one-more");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refusal(&refused), None, "{refused:?}");
}

#[test]
fn without_an_answer_of_the_service_misses_go_on_or_are_refused_as_the_deployment_says() {
    for (more, status) in [("", 200), (", on_failure: deny, timeout: 1s", 424)] {
        let (bench, port) = bench("{ requests_per_second: 50 }", more);
        let gateway = Generated::start(&bench.loaded);
        let answer = get(gateway.envoy.address(), "/examplebucket/gone");
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{more}: {text}");
        if status == 424 {
            assert!(text.contains("the rate limit service does not answer"), "{text}");
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
            assert_eq!(bench.asked.load(Ordering::SeqCst), 0);
            until("a line about it", || {
                gateway.envoy.log().contains("the rate limit service does not answer").then_some(())
            });
        }
        assert!(counted(&gateway, "error") > 0, "{more}");
        // It comes, and is asked.
        let _service = Service::start(port, &gateway);
        ready(&gateway);
        assert_eq!(get(gateway.envoy.address(), "/examplebucket/back").status, 200, "{more}");
        assert_eq!(gateway.envoy.vm_failures(), [""; 0]);
    }
}

#[test]
fn the_service_is_told_the_limits_of_buckets_and_of_rules() {
    let (bench, _port) = bench("{ requests_per_second: 50 }", ", domain: fleet");
    let gateway = Generated::start(&bench.loaded);
    let text = fs::read_to_string(gateway.directory.join("rate-limits.yaml")).expect("it is there");
    let body: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = "\
domain: fleet

descriptors: [{ key: requests, value: all.examplebucket, rate_limit: { unit: second, requests_per_unit: 50 } },
  { key: bytes, value: all.examplebucket, rate_limit: { unit: second, requests_per_unit: 268435456 } }]";
    assert_eq!(body.join("\n").trim(), expected);
}

#[test]
fn older_envoys_ask_the_service_too() {
    for (of, form) in [("1.36.4", Form::Istio), ("1.37.0", Form::Envoy)] {
        assert_ne!(of, version());
        let (bench, port) = bench("{ requests_per_second: 50 }", "");
        let gateway = Generated::start_on(of, form, &bench.loaded).expect("it starts");
        let service = Service::start(port, &gateway);
        ready(&gateway);
        let line = "back-to-origin requests=all.examplebucket 1".to_owned();
        assert!(service.lines().contains(&line), "{of}: {:?}", service.lines());
    }
}
