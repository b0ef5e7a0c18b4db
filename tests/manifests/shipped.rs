//! What is in the repository for people who run it: units of systemd, a file of compose, the image, the
//! workflow of releases, and the pages' commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{b2o, done, text, yaml};
use crate::support::python;

const KUBERNETES: &str = include_str!("../../envoy/KUBERNETES.md");
const ISTIO: &str = include_str!("../../envoy/ISTIO.md");

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The code blocks of a page, with their kind.
fn blocks(page: &'static str) -> Vec<(&'static str, &'static str)> {
    let parts: Vec<&str> = page.split("```").collect();
    parts.chunks(2).filter_map(|pair| pair.get(1)?.split_once('\n')).collect()
}

/// Runs the commands of a page, in a folder with the files that it shows, but for those that say what
/// they need.
fn follow(page: &'static str) {
    let folder = tempfile::tempdir().expect("a folder for a reader");
    let mut is_run = 0;
    for (kind, content) in blocks(page) {
        match kind {
            "yaml" if content.contains("buckets:") => {
                fs::write(folder.path().join("gateway.yaml"), content).expect("a file of our own");
            }
            "json" => fs::write(folder.path().join("rules.json"), content).expect("our own"),
            "sh" if !content.starts_with("# ") => {
                for line in content.lines().filter(|line| !line.is_empty()) {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert_eq!(words[0], "b2o", "{line}");
                    let output = b2o().args(&words[1..]).current_dir(folder.path()).output();
                    done(&output.expect("the command runs"));
                    is_run += 1;
                }
            }
            _ => {}
        }
    }
    assert!(is_run > 0, "the page has no command");
}

#[test]
fn the_commands_of_the_page_on_kubernetes_work() {
    follow(KUBERNETES);
}

#[test]
fn the_commands_of_the_page_on_istio_work() {
    follow(ISTIO);
}

/// The arguments of `b2o` that a file runs it with, which the command must know: it complains of the
/// deployment, which is not here, and of nothing else.
fn is_known(arguments: &[String]) {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let output = b2o().args(arguments).current_dir(folder.path()).output().expect("it runs");
    let said = text(&output.stderr);
    assert!(said.contains("cannot read the deployment file"), "{arguments:?}: {said}");
}

#[test]
fn the_units_of_systemd_run_commands_that_there_are() {
    let mut count = 0;
    for unit in ["back-to-origin.service", "back-to-origin-envoy.service"] {
        let unit = read(&format!("envoy/systemd/{unit}"));
        for line in unit.lines().filter(|line| line.starts_with("Exec")) {
            let mut words =
                line.split_once('=').expect("a setting").1.split(' ').map(str::to_owned);
            if words.next().is_some_and(|command| command.ends_with("/b2o")) {
                is_known(&words.collect::<Vec<_>>());
                count += 1;
            }
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn the_file_of_compose_is_valid_and_runs_commands_that_there_are() {
    let schemas = python::package("docker-compose", "1.29.2", false);
    let tools = python::package("kubernetes-validate", "1.37.0", true);
    let script = "import json, sys, yaml, jsonschema\n\
        schema = json.load(open(sys.argv[1]))\n\
        jsonschema.Draft7Validator(schema).validate(yaml.safe_load(open(sys.argv[2])))";
    let output = Command::new(python::interpreter())
        .env("PYTHONPATH", tools)
        .args(["-c", script])
        .arg(schemas.join("compose/config/compose_spec.json"))
        .arg(repository().join("envoy/compose/compose.yaml"))
        .output();
    done(&output.expect("Python can be started"));
    let file = yaml(&read("envoy/compose/compose.yaml"));
    let services = file["services"].as_object().expect("services");
    let mut count = 0;
    for service in services.values() {
        let command = service["command"].as_array().map_or(&[][..], Vec::as_slice);
        let words: Vec<String> =
            command.iter().map(|word| word.as_str().expect("a text").to_owned()).collect();
        if words.iter().any(|word| word.ends_with("gateway.yaml")) {
            is_known(&words);
            count += 1;
        }
    }
    assert_eq!(count, 3);
    let deployment = repository().join("envoy/compose/gateway.yaml");
    let keys = [("AWS_ACCESS_KEY_ID", "EXAMPLEKEY"), ("AWS_SECRET_ACCESS_KEY", "examplesecret")];
    done(&b2o().arg("check").arg(deployment).envs(keys).output().expect("it runs"));
}

#[test]
fn the_release_builds_what_the_image_builds_and_knows_the_commands() {
    let workflow = yaml(&read(".github/workflows/release.yml"));
    let jobs = workflow["jobs"].as_object().expect("jobs");
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["binaries", "images", "release"]);
    let build = "cargo build --locked --release --package b2o";
    let steps = |job: &str| workflow["jobs"][job]["steps"].as_array().expect("steps").clone();
    assert!(steps("binaries").iter().any(|step| step["run"] == build));
    assert!(read("Dockerfile").contains(build));
    let all: Vec<Value> = ["binaries", "release"].into_iter().flat_map(steps).collect();
    let run: String = all.iter().filter_map(|step| step["run"].as_str()).collect();
    for known in ["completions --man", "image --push", "filter --out"] {
        assert!(run.contains(known), "{known}");
    }
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let output = b2o().args(["completions", "bash"]).output().expect("it runs");
    let script = done(&output);
    let folder = tempfile::tempdir().expect("a folder of our own");
    let man = b2o().args(["completions", "--man", "man"]).current_dir(folder.path()).output();
    done(&man.expect("it runs"));
    for command in ["check", "envoy", "image", "istio", "kubernetes", "serve"] {
        assert!(
            script.contains(&format!("b2o__{command}")) || script.contains(command),
            "{command}"
        );
        let page = folder.path().join("man").join(format!("b2o-{command}.1"));
        let page = fs::read_to_string(page).expect("a page");
        assert!(page.contains(".TH") && page.contains("Examples:"), "{command}");
    }
}
