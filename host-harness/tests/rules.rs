//! The commands that change rules, as a shell sees them, and a gateway that follows them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a command ended with, and what it printed where.
type Ended = (Option<i32>, String, String);

/// A folder with a deployment of one bucket.
struct Scene(TempDir);

impl Scene {
    fn new(name: &str, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), rules).unwrap();
        let scene = Self(folder);
        scene.deploy("http://127.0.0.1:9", name);
        scene
    }

    fn deploy(&self, store: &str, rules: &str) {
        let text = format!(
            "listen: 127.0.0.1:0\nworkers: 1\nallow_internal_origins: true\napi: {{ listen: \
             \"127.0.0.1:0\" }}\nbuckets:\n- name: examplebucket\n  endpoint: {store}\n  rules: {rules}\n"
        );
        std::fs::write(self.path("deployment.yaml"), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_b2o"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that does not read what it is given has its reasons.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn rules(&self, verb: &[&str], input: &str) -> Ended {
        let deployment = self.path("deployment.yaml");
        let common = ["rules", &deployment, "--bucket", "examplebucket"];
        self.run(&[&common[..], verb].concat(), input)
    }

    fn website(&self, method: &str, more: &[&str], input: &str) -> Ended {
        let deployment = self.path("deployment.yaml");
        let common = ["website", "--deployment", &deployment, "--method", method];
        self.run(&[&common[..], &["oss://examplebucket"], more].concat(), input)
    }
}

fn mirror(prefix: &str) -> String {
    format!(
        "{{ \"Condition\": {{ \"KeyPrefixEquals\": \"{prefix}\", \"HttpErrorCodeReturnedEquals\": \
         404 }}, \"Redirect\": {{ \"RedirectType\": \"Mirror\", \"MirrorURL\": \
         \"https://origin.example.com/\" }} }}"
    )
}

#[test]
fn rules_are_managed_one_by_one_in_the_form_of_their_file() {
    for (name, empty) in [
        ("rules.json", "[]"),
        ("rules.xml", "<WebsiteConfiguration><RoutingRules></RoutingRules></WebsiteConfiguration>"),
    ] {
        let scene = Scene::new(name, empty);
        let list = || {
            let (code, out, errors) = scene.rules(&["list"], "");
            assert_eq!((code, errors.as_str()), (Some(0), ""));
            let rows = out
                .lines()
                .skip(1)
                .map(|row| row.split("  ").take(2).collect::<Vec<_>>().join(" "));
            rows.collect::<Vec<_>>()
        };
        assert_eq!(scene.rules(&["list"], "").1, "examplebucket has no rules\n");
        for (verb, input, expected) in [
            (&["add"][..], mirror("a/"), &["1 a/*, 404"][..]),
            (&["add", "-"], mirror("b/"), &["1 a/*, 404", "2 b/*, 404"]),
            (&["add", "--at", "2"], mirror("c/"), &["1 a/*, 404", "2 c/*, 404", "3 b/*, 404"]),
            (&["move", "3", "up"], String::new(), &["1 a/*, 404", "2 b/*, 404", "3 c/*, 404"]),
            (&["move", "1", "down"], String::new(), &["1 b/*, 404", "2 a/*, 404", "3 c/*, 404"]),
            (&["move", "3", "to", "1"], String::new(), &["1 c/*, 404", "2 b/*, 404", "3 a/*, 404"]),
            (&["edit", "2"], mirror("d/"), &["1 c/*, 404", "2 d/*, 404", "3 a/*, 404"]),
            (&["remove", "1"], String::new(), &["1 d/*, 404", "2 a/*, 404"]),
        ] {
            let (code, _, errors) = scene.rules(verb, &input);
            assert_eq!((code, errors.as_str()), (Some(0), ""), "{name} {verb:?}");
            assert_eq!(list(), expected, "{name} {verb:?}");
            let form = if name.ends_with("xml") { "<?xml" } else { "{\n" };
            assert!(scene.file(name).starts_with(form), "{}", scene.file(name));
        }
        let json: serde_json::Value =
            serde_json::from_str(&scene.rules(&["list", "--json"], "").1).unwrap();
        assert_eq!(json[1]["Condition"]["KeyPrefixEquals"], "a/");
        assert_eq!(scene.rules(&["clear"], "").0, Some(0));
        assert_eq!(scene.rules(&["list"], "").1, "examplebucket has no rules\n");
    }
}

#[test]
fn what_is_refused_changes_nothing() {
    let scene = Scene::new(
        "rules.json",
        &format!("[{}]", mirror("a/").replacen('{', "{\"RuleNumber\":5,", 1)),
    );
    let before = scene.file("rules.json");
    let wrong = mirror("b/").replace("https://origin.example.com/", "nonsense");
    for (verb, input, code, told) in [
        (&["add"][..], wrong.as_str(), 1, "error[bad-mirror-url]: "),
        (&["add"], "nonsense", 1, "error[syntax]: "),
        (&["add", "nowhere.json"], "", 2, "nowhere.json"),
        (&["add"], "[]", 2, "expected one rule, found 0"),
        (&["add", "--at", "7"], &mirror("b/"), 1, "there is no rule 7, but 5"),
        (&["remove", "1"], "", 1, "there is no rule 1, but 5"),
        (&["move", "5", "up"], "", 1, "cannot be moved further"),
        (&["move", "5", "sideways"], "", 2, "sideways"),
    ] {
        let (found, out, errors) = scene.rules(verb, input);
        assert_eq!((found, out.as_str()), (Some(code), ""), "{verb:?}: {errors}");
        assert!(errors.contains(told), "{verb:?}: {errors}");
        assert_eq!(scene.file("rules.json"), before, "{verb:?}");
    }
    let deployment = scene.path("deployment.yaml");
    let (code, _, errors) = scene.run(&["rules", &deployment, "--bucket", "other", "list"], "");
    assert_eq!((code, errors.contains("no bucket `other`")), (Some(1), true), "{errors}");
    // A file that is broken is not changed by parts, but can be cleared.
    std::fs::write(scene.path("rules.json"), "{").unwrap();
    let (code, _, errors) = scene.rules(&["add"], &mirror("b/"));
    assert_eq!((code, errors.contains("error[syntax]")), (Some(1), true), "{errors}");
    assert_eq!(scene.file("rules.json"), "{");
    assert_eq!(scene.rules(&["clear"], "").0, Some(0));
    assert_eq!(scene.rules(&["add"], &mirror("b/")).0, Some(0));
}

#[test]
fn a_whole_configuration_is_put_got_and_deleted() {
    let scene = Scene::new("rules.json", "[]");
    let (code, _, errors) = scene.website("get", &[], "");
    assert_eq!((code, errors.contains("no website configuration")), (Some(1), true), "{errors}");
    let xml = "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument>\
        <RoutingRules><RoutingRule><RuleNumber>3</RuleNumber><Condition/><Redirect>\
        <HostName>a.example</HostName></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>";
    std::fs::write(scene.path("in.xml"), xml).unwrap();
    assert_eq!(scene.website("put", &[&scene.path("in.xml")], "").0, Some(0));
    assert!(scene.file("rules.json").contains("\"HostName\": \"a.example\""));
    let (code, out, errors) = scene.website("get", &[], "");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(
        out.contains("<RuleNumber>3</RuleNumber>") && out.contains("<Suffix>i</Suffix>"),
        "{out}"
    );
    assert_eq!(scene.website("get", &[&scene.path("out.xml")], "").0, Some(0));
    assert_eq!(scene.file("out.xml"), out);
    let kept = scene.file("rules.json");
    for (input, told) in [
        ("<WebsiteConfiguration><RoutingRules/></WebsiteConfiguration>", "no rule and no document"),
        ("<WebsiteConfiguration><Nothing/></WebsiteConfiguration>", "error[unknown-element]"),
    ] {
        let (code, _, errors) = scene.website("put", &["-"], input);
        assert_eq!((code, errors.contains(told)), (Some(1), true), "{errors}");
        assert_eq!(scene.file("rules.json"), kept);
    }
    assert_eq!(scene.website("put", &[], "").0, Some(2));
    for _ in 0..2 {
        assert_eq!(scene.website("delete", &[], "").0, Some(0));
    }
    assert_eq!(scene.website("get", &[], "").0, Some(1));
}

/// A running command, killed when a test ends before it does.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// Starts one and waits until it is ready; gives back what it printed.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_b2o"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.ends_with("ready\n") {
            assert_ne!(lines.read_line(&mut printed).unwrap(), 0, "it ended: {printed}");
        }
        (Self { child, lines }, printed)
    }

    /// The next line it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in what a command printed.
fn address(printed: &str) -> SocketAddr {
    let (_, rest) = printed.split_once("http://").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// The status and the body of an answer.
fn ask(to: SocketAddr, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A server that answers everything with one text.
fn origin(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = text.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            // Who asked may have left.
            let _ = stream.write_all((head + text).as_bytes());
        }
    });
    address
}

#[test]
fn a_running_gateway_obeys_within_a_second() {
    let scene = Scene::new("rules.json", "[]");
    let files = scene.path("store");
    let any = "127.0.0.1:0";
    let (_store, printed) =
        Running::start(&["store", &files, "--listen", any, "--bucket", "examplebucket"]);
    scene.deploy(&format!("http://{}", address(&printed)), "rules.json");
    let deployment = scene.path("deployment.yaml");
    let (_gateway, printed) = Running::start(&["serve", &deployment]);
    let gateway = address(&printed);
    let (mut api, printed) = Running::start(&["admin", &deployment]);
    assert!(printed.contains("open to everybody on this machine"), "{printed}");
    let api_address = address(&printed);
    let mut key = 0;
    let mut obeys = |expected: (u16, &str)| {
        let start = Instant::now();
        loop {
            key += 1;
            let (status, body) = ask(gateway, "GET", &format!("/examplebucket/{key}"), "");
            if status == expected.0 && body.contains(expected.1) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(1), "{expected:?}: {status} {body}");
        }
    };
    let website = |to: SocketAddr| {
        format!(
            "<WebsiteConfiguration><RoutingRules><RoutingRule><RuleNumber>1</RuleNumber><Condition>\
             <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect>\
             <RedirectType>Mirror</RedirectType><MirrorURL>http://{to}/</MirrorURL></Redirect>\
             </RoutingRule></RoutingRules></WebsiteConfiguration>"
        )
    };
    obeys((404, "NoSuchKey"));
    // Each origin is one that the gateway has not heard of before.
    for text in ["first", "second"] {
        let body = website(origin(text));
        assert_eq!(ask(api_address, "PUT", "/examplebucket?website", &body).0, 200);
        assert_eq!(api.line(), "PUT examplebucket?website: 200\n");
        obeys((200, text));
    }
    assert_eq!(ask(api_address, "DELETE", "/examplebucket?website", "").0, 204);
    obeys((404, "NoSuchKey"));
    assert!(Path::new(&scene.path("rules.json")).is_file());
}
