//! Mode Mirroring, prefix examplefolder/, an origin with the path examplefolder: the next request
//! obeys, in Envoy and in `b2o serve`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use b2o::envoy::{BOOTSTRAP, DataPath, Settings, Target};

use super::{Desk, free_port};
use crate::support::browser::Browser;
use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::server::{Reply, Server};
use crate::support::store::Store;
use crate::support::wait::within;

/// From the click to the first request that obeys it.
const LIVE: Duration = Duration::from_secs(1);

const KEY: &str = "/examplebucket/examplefolder/example.txt";

/// An origin that answers with what it was asked for.
fn origin() -> Server {
    Server::start(|request| {
        Reply::new(200, &[("content-type", "text/plain")], request.target.clone())
    })
}

/// Clicks through the procedure for an origin.
fn click_through(browser: &Browser, console: &str, origin: SocketAddr) {
    browser.open(console);
    browser.click("a[href='/buckets/examplebucket']");
    browser.click("a[href='/buckets/examplebucket/rules/new']");
    browser.click("input[value='Mirror']");
    browser.fill("[name='Condition/KeyPrefixEquals']", "examplefolder/");
    browser.choose("[name='origin/scheme']", "http");
    browser.fill("[name='origin/host']", &origin.to_string());
    browser.fill("[name='origin/path']", "examplefolder");
    // In words, what the origin will be asked, while it is typed.
    let asked = format!("http://{origin}/examplefolder/example.txt");
    let told = within(Duration::from_secs(10), || {
        let told = browser.text("#told");
        let is_told = told.contains(&asked) && told.contains("The origin is asked for it once");
        is_told.then_some(())
    });
    assert!(told.is_some(), "{}", browser.text("#told"));
    browser.click("button[value='review']");
    assert!(browser.text("pre.diff").contains("\"KeyPrefixEquals\": \"examplefolder/\""));
    browser.click("button[value='save']");
    assert!(browser.text("p.good").contains("saved"), "{}", browser.url());
}

fn obeys(gateway: SocketAddr, log: &dyn Fn() -> String) {
    let seen = within(LIVE, || {
        let answer = get(gateway, KEY);
        (answer.status == 200 && answer.body == b"/examplefolder/example.txt").then_some(())
    });
    let last = get(gateway, KEY);
    let body = String::from_utf8_lossy(&last.body);
    assert!(seen.is_some(), "not within {LIVE:?}: {} {body}\n{}", last.status, log());
}

#[test]
fn envoy_obeys_the_procedure_within_a_second() {
    let (store, origin) = (Store::files(&["examplebucket"]), origin());
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let target = Target {
        directory: folder.path().join("generated"),
        data_path: Some(DataPath::Streaming),
        form: b2o::envoy::Form::Envoy,
        trusted: Settings::TRUSTED.into(),
    };
    let rules = tempfile::tempdir().expect("a folder for the rules");
    fs::write(rules.path().join("rules.json"), "[]").expect("a folder of our own");
    let deployment = format!(
        "listen: 127.0.0.1:0\nadmin: {}\nallow_internal_origins: true\nbuckets:\n- name: examplebucket\n  \
         endpoint: http://{}\n  rules: rules.json\n",
        free_port(),
        store.address()
    );
    let desk = Desk::start(&deployment, Some(target.clone()), rules);
    let deployment = desk.path("deployment.yaml");
    let loaded = b2o::deployment::load(&deployment).expect("a right deployment");
    target.prepare(&deployment, &loaded).expect("files").install().expect("a folder of our own");
    let bootstrap = fs::read_to_string(target.directory.join(BOOTSTRAP)).expect("a bootstrap");
    let envoy = Envoy::start(&bootstrap, "yaml", folder);
    assert_eq!(get(envoy.address(), KEY).status, 404);
    click_through(&Browser::start(), &desk.url("/"), origin.address);
    obeys(envoy.address(), &|| envoy.log());
    assert_eq!(envoy.vm_failures(), Vec::<String>::new());
}

/// A `b2o serve` that ends with this.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn serve_obeys_the_procedure_within_a_second() {
    let (store, origin) = (Store::files(&["examplebucket"]), origin());
    let folder = tempfile::tempdir().expect("a folder for the deployment");
    fs::write(folder.path().join("rules.json"), "[]").expect("a folder of our own");
    let file = folder.path().join("deployment.yaml");
    let deployment = format!(
        "listen: 127.0.0.1:0\nallow_internal_origins: true\nconsole: {{ listen: 127.0.0.1:0 }}\nbuckets:\n\
         - name: examplebucket\n  endpoint: http://{}\n  rules: rules.json\n",
        store.address()
    );
    fs::write(&file, deployment).expect("a folder of our own");
    let tests = std::env::current_exe().expect("the path of this test");
    let target = tests.parent().and_then(|deps| deps.parent()).expect("the target folder");
    let mut serve = Command::new(target.join("b2o"))
        .arg("serve")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Serve)
        .expect("b2o, which is built with the tests");
    let lines = BufReader::new(serve.0.stdout.take().expect("it is piped")).lines();
    let (mut gateway, mut console) = (None, None);
    for line in lines.map_while(Result::ok).take_while(|line| line != "ready") {
        let address = |name: &str| {
            let (_, rest) = line.strip_prefix(name)?.split_once("http://")?;
            rest.split_whitespace().next()?.parse::<SocketAddr>().ok()
        };
        gateway = gateway.or_else(|| address("gateway"));
        console = console.or_else(|| address("console"));
    }
    let (gateway, console) = (gateway.expect("a gateway"), console.expect("a console"));
    assert_eq!(get(gateway, KEY).status, 404);
    let browser = Browser::start();
    click_through(&browser, &format!("http://{console}/"), origin.address);
    obeys(gateway, &String::new);
    // The same console says what the gateway has done.
    browser.open(&format!("http://{console}/activity?words=examplefolder/example.txt"));
    assert!(browser.text("ol.lines").contains("client got 200"), "{}", browser.text("main"));
}
