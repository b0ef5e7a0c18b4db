//! The binary as a shell sees it: what it prints where, and what it exits with.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

fn b2o(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2o"));
    command.args(arguments).env_remove("B2O_STORE_SECRET_KEY").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    text(b2o(arguments).output().unwrap())
}

fn text(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn sample(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../envoy");
    root.join(name).display().to_string()
}

fn file(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A running command, killed when a test ends before it does.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child =
            b2o(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What is printed up to a line, which must come.
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if line == last {
                return seen;
            }
            seen.push(line);
        }
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("it ended without `{last}`: {seen:#?}\n{errors}");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn right_rules_are_accepted() {
    for name in ["rules/mirror.json", "rules/mirror-headers.json", "rules/redirect.json"] {
        let path = sample(name);
        let (code, out, errors) = run(&["check", &path]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{name}");
        // The samples' origin is on this machine.
        let tally = match name {
            "rules/redirect.json" => "nothing to report",
            "rules/mirror-headers.json" => "1 warning, 1 note",
            _ => "1 warning",
        };
        let last = out.lines().last().unwrap();
        assert!(last.starts_with(&format!("{path}: ")) && last.ends_with(tally), "{out}");
        assert_eq!(out.matches("warning[").count(), out.matches("[internal-origin]").count());
    }
}

#[test]
fn wrong_rules_are_refused_with_one_error_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "rules.json", "{\n  \"RoutingRule\": []\n}\n");
    let (code, out, errors) = run(&["check", &path]);
    assert_eq!(code, Some(1));
    assert!(out.contains("error[unknown-element]: "), "{out}");
    assert!(out.contains(&format!(" --> {path}:2:3\n")), "{out}");
    assert!(errors.starts_with(&format!("error: {path}: ")), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let (code, ..) = run(&["explain", &path, "--key", "a"]);
    assert_eq!(code, Some(1));
}

#[test]
fn findings_can_be_had_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "rules.json", "{ \"RoutingRules\": 1 }");
    let (code, out, _) = run(&["check", "--json", &path]);
    let verdict: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &verdict["accepted"]), (Some(1), &serde_json::json!(false)));
    let finding = &verdict["findings"][0];
    assert_eq!(finding["code"], "wrong-type");
    assert_eq!((&finding["line"], &finding["column"]), (&1.into(), &19.into()), "{finding}");
    assert_eq!(finding["pointer"], "/RoutingRules");
    let (code, out, errors) = run(&["check", "--json", &sample("rules/mirror.json")]);
    let verdict: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &verdict["accepted"], errors.as_str()), (Some(0), &true.into(), ""));
}

#[test]
fn rules_can_come_from_standard_input() {
    let mut child = b2o(&["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{").unwrap();
    let (code, out, _) = text(child.wait_with_output().unwrap());
    assert_eq!(code, Some(1));
    assert!(out.contains(" --> <stdin>:1:"), "{out}");
}

#[test]
fn what_cannot_be_read_or_understood_is_wrong_usage() {
    for arguments in [
        &["check", "nowhere.json"][..],
        &["check"],
        &["explain", "nowhere.json", "--key", "a"],
        &["explain", &sample("rules/mirror.json")],
        &["explain", &sample("rules/mirror.json"), "--key", "a", "--status", "20"],
        &["serve", "nowhere.yaml"],
        &["store", "x", "--access-key", "A"],
        &["demo", "--gateway", "localhost"],
        &["nothing"],
    ] {
        let (code, out, errors) = run(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(errors.matches("error: ").count(), 1, "{arguments:?}: {errors}");
    }
}

#[test]
fn a_request_is_explained() {
    let rules = sample("rules/mirror.json");
    let (code, out, errors) = run(&["explain", &rules, "--key", "examplefolder/a b"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(out.contains("http://127.0.0.1:9100/examplefolder/a%20b"), "{out}");
    let (code, out, _) = run(&["explain", &rules, "--key", "elsewhere", "--json"]);
    let explanation: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &explanation["outcome"]["action"]), (Some(0), &"pass".into()));
}

#[test]
fn a_signature_is_told_of_and_its_key_is_not() {
    let rules = r#"[{ "RuleNumber": 1, "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://o.example.com/", "MirrorAuth":
        { "AuthType": "S3V4", "Region": "r", "AccessKeyId": "AK", "AccessKeySecret": "SK4711" } } }]"#;
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "rules.json", rules);
    let (code, out, errors) = run(&["explain", &path, "--key", "a"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("\n         and a signature, by MirrorAuth\n"), "{out}");
    assert!(!format!("{out}{errors}").contains("SK4711"), "{out}{errors}");
    let (_, out, _) = run(&["explain", &path, "--key", "a", "--json"]);
    assert!(out.contains("\"signed\": true") && !out.contains("SK4711"), "{out}");
    let (_, out, errors) = run(&["check", &path]);
    assert!(out.contains("credentials-in-clear"), "{out}");
    assert!(!format!("{out}{errors}").contains("SK4711"), "{out}{errors}");
    // What is converted is for the file's owner, and loses nothing.
    let (_, xml, _) = run(&["convert", &path, "--to", "oss-xml"]);
    assert!(xml.contains("<AccessKeySecret>SK4711</AccessKeySecret>"), "{xml}");
}

#[test]
fn the_demo_ends_cleanly_on_signals() {
    for signal in ["-INT", "-TERM"] {
        let any = "127.0.0.1:0";
        let mut demo = Running::start(&[
            "demo",
            "--gateway",
            any,
            "--store",
            any,
            "--console",
            any,
            "--origin",
            any,
        ]);
        let introduction = demo.until("ready").join("\n");
        let files = introduction.lines().find_map(|line| line.strip_prefix("files")).unwrap();
        let directory = PathBuf::from(files.trim().split("  ").next().unwrap());
        assert!(directory.join("rules.json").is_file(), "{introduction}");
        demo.signal(signal);
        assert_eq!(demo.code(), Some(0), "{signal}");
        assert!(!directory.exists(), "{signal}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let any = "127.0.0.1:0";
    for flag in ["--gateway", "--store", "--console", "--origin"] {
        let mut arguments = vec!["demo"];
        for other in ["--gateway", "--store", "--console", "--origin"] {
            arguments.extend([other, if other == flag { &taken } else { any }]);
        }
        let (code, out, errors) = run(&arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{flag}");
        assert_eq!(
            errors,
            format!(
                "error: the {} cannot listen on {taken}: the address is in use\n  \
                 help: stop what listens there, or choose another with {flag} ADDR\n",
                flag.trim_start_matches('-')
            )
        );
    }
}

#[test]
fn a_store_serves_until_it_is_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store").display().to_string();
    let mut store =
        Running::start(&["store", &path, "--listen", "127.0.0.1:0", "--bucket", "examplebucket"]);
    let printed = store.until("ready").join("\n");
    assert!(printed.starts_with("store  http://127.0.0.1:"), "{printed}");
    assert!(directory.path().join("store/examplebucket").is_dir());
    store.signal("-TERM");
    assert_eq!(store.code(), Some(0));
}

#[test]
fn rules_are_read_again_on_hangup_and_bad_ones_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let rules = |prefix: &str| {
        std::fs::read_to_string(sample("rules/mirror.json"))
            .unwrap()
            .replace("examplefolder/", prefix)
    };
    file(&directory, "rules.json", &rules("a/"));
    let deployment = file(
        &directory,
        "deployment.yaml",
        "listen: 127.0.0.1:0\nworkers: 1\nallow_internal_origins: true\nbuckets:\n  - name: examplebucket\n    \
         endpoint: http://127.0.0.1:1\n    rules: rules.json\n",
    );
    let mut gateway = Running::start(&["serve", &deployment]);
    gateway.until("ready");
    file(&directory, "rules.json", &rules("b/"));
    gateway.signal("-HUP");
    gateway.until("the rules were read again");
    let mut errors = BufReader::new(gateway.child.stderr.take().unwrap()).lines();
    file(&directory, "rules.json", "{");
    gateway.signal("-HUP");
    let kept = errors.find(|line| line.as_ref().unwrap().contains("the old rules stay"));
    assert!(kept.is_some());
    gateway.signal("-INT");
    assert_eq!(gateway.code(), Some(0));
}

fn deployment(directory: &TempDir, changed: &[(&str, &str)]) -> String {
    std::fs::copy(sample("rules/mirror.json"), directory.path().join("rules.json")).unwrap();
    let mut text = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         allow_internal_origins: true\ntimeouts:\n  drain: 60s\nbuckets:\n  - name: examplebucket\n    \
         endpoint: http://127.0.0.1:1\n    credentials:\n      inline:\n        \
         access_key_id: AK\n        secret_access_key: SK4711\n    rules: rules.json\n"
        .to_owned();
    for (old, new) in changed {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    file(directory, "deployment.yaml", &text)
}

#[test]
fn what_a_hangup_cannot_change_is_told_and_other_keys_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = deployment(&directory, &[]);
    let mut gateway = Running::start(&["serve", &path]);
    gateway.until("ready");
    let mut errors = BufReader::new(gateway.child.stderr.take().unwrap()).lines();
    let mut told = |part: &str| {
        let line = errors.find(|line| line.as_ref().unwrap().contains(part));
        line.unwrap().unwrap()
    };
    deployment(&directory, &[("SK4711", "SK4712")]);
    gateway.signal("-HUP");
    let printed = gateway.until("the rules were read again, and other keys").join("\n");
    assert!(!printed.contains("SK47"), "{printed}");
    let places = [("listen: 127.0.0.1:0", "listen: 127.0.0.1:1"), ("workers: 1", "workers: 2")];
    deployment(&directory, &[places[0], places[1], ("SK4711", "SK4712")]);
    gateway.signal("-HUP");
    gateway.until("the rules were read again");
    assert!(told("stays as it was").ends_with("`listen`, `workers` changed and stays as it was"));
    assert!(told("restart").contains("restart the gateway"));
    deployment(&directory, &[("127.0.0.1:1\n    cred", "127.0.0.1:2\n    cred")]);
    gateway.signal("-HUP");
    assert!(told("other stores or buckets").starts_with("error: "));
    gateway.signal("-TERM");
    assert_eq!(gateway.code(), Some(0));
}

#[test]
fn a_log_that_has_been_moved_away_is_opened_anew_on_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let section = format!("access_log: {{ path: {}, requests: all }}\ntimeouts:", log.display());
    let path = deployment(&directory, &[("timeouts:", &section)]);
    let mut gateway = Running::start(&["serve", &path]);
    let printed = gateway.until("ready");
    let address = printed[0].split("http://").nth(1).unwrap().split(' ').next().unwrap();
    let get = || {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
        std::io::read_to_string(client).unwrap()
    };
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    let until = |holds: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !holds() {
            assert!(std::time::Instant::now() < end, "it never came");
            std::thread::yield_now();
        }
    };
    assert!(get().starts_with("HTTP/1.1 404 "));
    until(&|| lines() == 1);
    std::fs::rename(&log, directory.path().join("access.log.1")).unwrap();
    gateway.signal("-USR1");
    until(&|| log.exists());
    get();
    until(&|| lines() == 1);
    gateway.signal("-TERM");
    assert_eq!(gateway.code(), Some(0));
}

#[test]
fn a_gateway_does_not_start_without_its_access_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("missing/access.log");
    let section = format!("access_log: {{ path: {} }}\ntimeouts:", log.display());
    let path = deployment(&directory, &[("timeouts:", &section)]);
    let (code, _, errors) = run(&["serve", &path]);
    assert_eq!(code, Some(1));
    let start = format!("error: the access log {} cannot be", log.display());
    assert!(errors.starts_with(&start), "{errors}");
    assert!(errors.contains("change `access_log`"), "{errors}");
}

#[test]
fn a_second_signal_ends_a_gateway_at_once() {
    // A store that says nothing holds a request.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = silent.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let path = deployment(&directory, &[("127.0.0.1:1\n", &format!("{store}\n"))]);
    let mut gateway = Running::start(&["serve", &path]);
    let printed = gateway.until("ready");
    let address = printed[0].split("http://").nth(1).unwrap().split(' ').next().unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.write_all(b"GET /examplebucket/k HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let _asked = silent.accept().unwrap();
    gateway.signal("-TERM");
    gateway.until("stopping within 60 s; another signal stops it at once");
    gateway.signal("-TERM");
    assert_eq!(gateway.code(), Some(1));
    let mut errors = String::new();
    gateway.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(errors.starts_with("error: stopped at once: requests were cut off"), "{errors}");
}

/// The time that a process has had of the processors, in hundredths of a second.
fn processor_time(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_gateway_without_file_descriptors_waits_for_some() {
    use std::net::TcpStream;
    use std::time::{Duration, Instant};
    let directory = tempfile::tempdir().unwrap();
    let path = deployment(&directory, &[]);
    let binary = env!("CARGO_BIN_EXE_b2o");
    let limited = format!("ulimit -n 60; exec {binary} serve {path}");
    let mut child = Command::new("sh")
        .args(["-c", &limited])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut gateway = Running { child, lines };
    let printed = gateway.until("ready").join("\n");
    let addresses: Vec<_> = printed
        .lines()
        .map(|line| line.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned())
        .collect();
    for address in &addresses {
        let held: Vec<_> = (0..80).map(|_| TcpStream::connect(address).unwrap()).collect();
        // What is measured is what it does meanwhile.
        let (begun, before) = (Instant::now(), processor_time(gateway.child.id()));
        std::thread::sleep(Duration::from_millis(600));
        let used = processor_time(gateway.child.id()) - before;
        let part = f64::from(u32::try_from(used).unwrap()) / 100.0 / begun.elapsed().as_secs_f64();
        assert!(part < 0.25, "{address}: {part}");
        drop(held);
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        client.write_all(b"GET /ready HTTP/1.0\r\nhost: h\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 "), "{address}: {answer}");
    }
    gateway.signal("-TERM");
    assert_eq!(gateway.code(), Some(0));
}

#[test]
fn a_bad_deployment_is_drawn_and_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "deployment.yaml", "bucket: []\n");
    let (code, out, errors) = run(&["serve", &path]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains(&format!(" --> {path}:1:1\n")), "{errors}");
    assert!(errors.contains("  = help: did you mean `buckets`?\n"), "{errors}");
    assert!(errors.ends_with("error: the deployment is refused: 2 errors\n"), "{errors}");
}

#[test]
fn envoy_finds_its_files_wherever_it_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = b2o(&["envoy", &sample("deployment.yaml"), "--out", "out"]);
    let (code, ..) = text(command.current_dir(&directory).output().unwrap());
    assert_eq!(code, Some(0));
    let out = directory.path().canonicalize().unwrap().join("out");
    let bootstrap = std::fs::read_to_string(out.join("envoy.yaml")).unwrap();
    assert!(bootstrap.contains(&format!("{}/listeners.yaml", out.display())), "{bootstrap}");
}

#[test]
fn the_files_for_envoy_are_written_once_and_secrets_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let deployment = sample("deployment.yaml");
    let out = directory.path().join("out").display().to_string();
    let (code, first, errors) = run(&["envoy", &deployment, "--out", &out]);
    assert_eq!(code, Some(0));
    // Nobody has chosen the path, so it is said what that takes.
    assert!(errors.starts_with("note: these files need Envoy 1.37 or later"), "{errors}");
    assert!(errors.contains("--path callout"), "{errors}");
    for name in
        ["back_to_origin.wasm", "credentials", "listeners.yaml", "clusters.yaml", "envoy.yaml"]
    {
        assert!(first.contains(&format!("created    {out}/{name}\n")), "{first}");
    }
    let command = format!("envoy --config-path {out}/envoy.yaml");
    assert!(first.lines().last().unwrap().contains(&command), "{first}");
    let chosen = ["envoy", &deployment, "--out", &out, "--path", "streaming"];
    let (code, second, errors) = run(&chosen);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(!second.contains("created") && !second.contains("replaced"), "{second}");
    for text in [first, second, errors] {
        assert!(!text.contains("examplesecret"), "{text}");
    }
}

#[test]
fn what_is_refused_changes_no_file_of_envoys() {
    let directory = tempfile::tempdir().unwrap();
    let rules = file(&directory, "rules.json", r#"{ "RoutingRules": [] }"#);
    let bucket = "{ name: abc, endpoint: \"http://127.0.0.1:9000\", rules: rules.json }";
    let deployment =
        file(&directory, "deployment.yaml", &format!("path: streaming\nbuckets: [{bucket}]"));
    let out = directory.path().join("out");
    let command = ["envoy", &deployment, "--out", &out.display().to_string()];
    std::fs::write(&rules, r#"{ "RoutingRules": 1 }"#).unwrap();
    let (code, text, errors) = run(&command);
    assert_eq!((code, text.as_str()), (Some(1), ""), "{errors}");
    assert!(!out.exists());

    std::fs::write(&rules, r#"{ "RoutingRules": [] }"#).unwrap();
    assert_eq!(run(&command).0, Some(0));
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (std::fs::metadata(&path).unwrap().modified().unwrap(), path))
            .collect();
        files.sort();
        files
    };
    let before = files();
    std::fs::write(&rules, r#"{ "RoutingRules": [{}] }"#).unwrap();
    assert_eq!(run(&command).0, Some(1));
    assert_eq!(files(), before);
}

#[test]
fn the_module_can_be_had_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("filter.wasm").display().to_string();
    let (code, out, _) = run(&["filter", "--out", &path]);
    assert_eq!((code, out.starts_with("created")), (Some(0), true), "{out}");
    assert_eq!(std::fs::read(&path).unwrap(), b2o::FILTER_WASM);
    assert!(run(&["filter", "--out", &path]).1.starts_with("unchanged"));
    let (code, _, errors) = run(&["filter", "--out", "/nowhere/filter.wasm"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("/nowhere/filter.wasm"), "{errors}");
}

/// A file below `tests/fixtures`.
fn fixture(name: &str) -> String {
    format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_mistake_of_a_file_is_found_at_its_line_and_nothing_else() {
    let text = std::fs::read_to_string(fixture("mistakes/website.xml")).unwrap();
    let mut expected: Vec<(u64, String)> = Vec::new();
    for (index, line) in text.lines().enumerate().skip(2) {
        let Some((_, codes)) = line.split_once(" <!-- ") else { continue };
        let codes = codes.trim_end_matches(" -->").split(' ');
        expected.extend(codes.map(|code| (index as u64 + 1, code.to_owned())));
    }
    assert!(expected.len() >= 30, "{}", expected.len());
    let (code, out, _) = run(&["check", "--json", &fixture("mistakes/deployment.yaml")]);
    let verdict: serde_json::Value = serde_json::from_str(&out).unwrap();
    let mut found: Vec<(u64, String)> = verdict["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            (finding["line"].as_u64().unwrap(), finding["code"].as_str().unwrap().into())
        })
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!((code, &verdict["accepted"]), (Some(1), &false.into()));
}

#[test]
fn a_store_that_hides_what_it_lacks_is_noted_and_a_rule_about_that_needs_keys() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let rules = |statuses: &str| {
        format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": {statuses}}}, "Redirect":
            {{"RedirectType": "Mirror", "MirrorURL": "https://o.example.com/",
              "MirrorAllowHeadObject": true}}}}]"#
        )
    };
    let bucket = "buckets:\n- name: abc\n  endpoint: https://s3.example.com\n  rules: rules.json\n";
    let keys = "  credentials: { inline: { access_key_id: a, secret_access_key: b } }\n";
    let path = folder.path().join("d.yaml").display().to_string();
    write("d.yaml", &format!("{bucket}{keys}"));
    write("rules.json", &rules("404"));
    let (code, out, errors) = run(&["check", &path]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("info[forbidden-miss]: "), "{out}");
    assert!(out.ends_with("1 bucket, 1 rule, 1 note\n"), "{out}");
    // It is for who checks, and no word at each start.
    let (code, _, errors) = run(&["rules", &path, "--bucket", "abc", "list"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    write("rules.json", &rules("[403, 404]"));
    let (code, out, errors) = run(&["check", &path]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("1 bucket, 1 rule, nothing to report\n"), "{out}");
    write("d.yaml", bucket);
    let (code, out, _) = run(&["check", &path]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("error[missing-credentials]: a Mirror rule on 403 needs"), "{out}");
}

#[test]
fn a_deployment_is_checked_with_its_rules() {
    let path = sample("deployment.yaml");
    let (code, out, errors) = run(&["check", &path]);
    let expected = format!("{path}: 2 buckets, 3 rules, nothing to report\n");
    assert_eq!((code, out, errors), (Some(0), expected, String::new()));
    let internal =
        std::fs::read_to_string(&path).unwrap().replace("allow_internal_origins: true", "");
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("rules")).unwrap();
    for name in ["rules/mirror.json", "rules/redirect.json"] {
        std::fs::copy(sample(name), directory.path().join(name)).unwrap();
    }
    let path = file(&directory, "deployment.yaml", &internal);
    let (code, out, _) = run(&["check", &path]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("error[internal-origin]: "), "{out}");
    let (code, ..) = run(&["serve", &path]);
    assert_eq!(code, Some(1));
}

#[test]
fn a_rule_file_is_written_in_other_forms() {
    let oss = fixture("oss-xml/oss2-mirror-full.xml");
    let (code, json, errors) = run(&["convert", &oss, "--to", "json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let directory = tempfile::tempdir().unwrap();
    let json = file(&directory, "rules.json", &json);
    let (code, xml, errors) = run(&["convert", &json, "--to", "oss-xml"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(xml.contains("<PassAll>true</PassAll>"), "{xml}");
    let again = file(&directory, "again.xml", &xml);
    assert_eq!(run(&["convert", &again, "--to", "oss-xml"]).1, xml);

    let (code, out, errors) = run(&["convert", &oss, "--to", "s3-xml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains("error[cannot-say]: "), "{errors}");
    assert!(errors.contains("/RoutingRules/0/Condition/IncludeHeader"), "{errors}");
    assert!(errors.ends_with("  help: leave them out with --lossy\n"), "{errors}");
    let (code, out, errors) = run(&["convert", &oss, "--to", "s3-xml", "--lossy"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""), "{out}");
    assert!(!out.contains("MirrorURL") && errors.contains("warning[cannot-say]: "), "{errors}");

    let wrong =
        file(&directory, "wrong.xml", "<WebsiteConfiguration><Rules/></WebsiteConfiguration>");
    let (code, out, errors) = run(&["convert", &wrong, "--to", "json"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("error[unknown-element]: "), "{out}");
    assert!(errors.ends_with("it cannot be taken apart\n"), "{errors}");
}

#[test]
fn rules_of_every_form_are_explained_and_served() {
    let rule = "<RoutingRule><Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition><Redirect>\
        <HostName>www.example.com</HostName></Redirect></RoutingRule>";
    let s3 = format!(
        "<WebsiteConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><RoutingRules>\
         {rule}</RoutingRules></WebsiteConfiguration>"
    );
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "website.xml", &s3);
    let (code, out, errors) = run(&["explain", &path, "--key", "old/a"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(out.contains("http://www.example.com/old/a"), "{out}");
    let bucket = "{ name: abc, endpoint: \"http://127.0.0.1:9000\", rules: website.xml }";
    let deployment =
        file(&directory, "deployment.yaml", &format!("path: streaming\nbuckets: [{bucket}]"));
    let out = directory.path().join("out");
    let (code, _, errors) = run(&["envoy", &deployment, "--out", &out.display().to_string()]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let filter = std::fs::read_to_string(out.join("filter.yaml")).unwrap();
    assert!(filter.contains("KeyPrefixEquals") && filter.contains("www.example.com"), "{filter}");
}

#[test]
fn the_schema_can_be_had() {
    let (code, out, _) = run(&["schema"]);
    assert_eq!(code, Some(0));
    assert_eq!(out, std::fs::read_to_string(sample("rules.schema.json")).unwrap());
}

#[test]
fn it_is_said_who_may_read_the_keys_and_they_can_be_given_away() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let own = std::fs::metadata(directory.path()).unwrap().uid();
    let (deployment, shown) = (sample("deployment.yaml"), out.display().to_string());
    let (code, printed, _) = run(&["envoy", &deployment, "--out", &shown]);
    let keys = format!("only user {own} may read the keys in {shown}/credentials");
    assert!(code == Some(0) && printed.contains(&keys), "{printed}");
    assert!(printed.contains("--owner"), "{printed}");
    let (code, _, errors) = run(&["envoy", &deployment, "--out", &shown, "--owner", "envoy"]);
    assert!(code == Some(2) && errors.contains("no number"), "{errors}");
    let (code, printed, errors) = run(&["envoy", &deployment, "--out", &shown, "--owner", "101:7"]);
    if own != 0 {
        assert!(code == Some(1) && errors.contains("only root may give files away"), "{errors}");
        return;
    }
    assert!(code == Some(0) && printed.contains("only user 101 may read"), "{printed}{errors}");
    // It stays theirs when it is written again.
    std::fs::write(out.join("credentials"), "other keys").unwrap();
    let (_, printed, _) = run(&["envoy", &deployment, "--out", &shown]);
    assert!(printed.contains("replaced   ") && printed.contains("only user 101"), "{printed}");
    let data = std::fs::metadata(out.join("credentials")).unwrap();
    assert_eq!((data.uid(), data.gid(), data.mode() & 0o777), (101, 7, 0o600));
}

#[test]
fn what_cannot_be_printed_is_an_error_and_a_reader_that_leaves_is_none() {
    let rules = sample("rules/mirror.json");
    let commands: [&[&str]; 6] = [
        &["schema"],
        &["check", &rules],
        &["convert", &rules, "--to", "oss-xml"],
        &["explain", &rules, "--key", "examplefolder/a"],
        &["--help"],
        &["--version"],
    ];
    for arguments in commands {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = b2o(arguments).stdout(full).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        let told = "error: cannot write to standard output: No space left on device";
        assert!(errors.starts_with(told), "{arguments:?}: {errors}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = b2o(arguments).stdout(writer).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{arguments:?}");
    }
}
