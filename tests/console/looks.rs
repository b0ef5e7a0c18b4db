//! No page has what keeps people out, by axe-core; none is wider than its window. The pictures go
//! into the target folder, for whoever looks at them.

use std::fs;
use std::path::Path;

use b2o::demo::{Demo, DemoSettings};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::client::get;
use crate::support::gateway::runtime;

const AXE: &str = include_str!("axe-core/axe.min.js");

/// Every page, with the name of its pictures.
const PAGES: &[(&str, &str)] = &[
    ("buckets", "/"),
    ("rules", "/buckets/examplebucket"),
    ("create", "/buckets/examplebucket/rules/new"),
    ("edit", "/buckets/examplebucket/rules/2"),
    ("delete", "/buckets/examplebucket/rules/1/delete"),
    ("clear", "/buckets/examplebucket/clear"),
    ("history", "/buckets/examplebucket/history"),
    ("text", "/buckets/examplebucket/raw"),
    ("try", "/buckets/examplebucket/try"),
    ("activity", "/activity"),
    ("absent", "/nowhere"),
];

#[test]
fn every_page_is_for_everybody() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let settings = DemoSettings { gateway: any, store: any, console: any, origin: any };
    let demo = runtime().block_on(Demo::start(settings, |_| {})).expect("free ports");
    for key in ["examplefolder/example.txt", "examplefolder/broken.txt", "headers/seen.txt", "x"] {
        get(demo.gateway(), format!("/examplebucket/{key}"));
    }
    let console = format!("http://{}", demo.console());
    let browser = Browser::start();
    // Something for the history.
    browser.open(&format!("{console}/buckets/examplebucket"));
    browser.click("#rule-1 button[value=down]");
    browser.text("p.good");
    browser.click("#rule-1 button[value=down]");
    browser.text("p.good");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/console");
    fs::create_dir_all(&folder).expect("the target folder");
    let mut violations = Vec::new();
    for (name, path) in PAGES {
        browser.open(&format!("{console}{path}"));
        for (width, height) in [(1_200, 800), (390, 844)] {
            for is_dark in [false, true] {
                browser.look(width, height, is_dark);
                let shown = format!("{name}-{}-{width}", if is_dark { "dark" } else { "light" });
                browser.picture(&folder.join(format!("{shown}.png")));
                violations.extend(looked_at(&browser, &shown));
            }
        }
    }
    // And what opens.
    browser.open(&format!("{console}/buckets/examplebucket/rules/2"));
    browser
        .run("for (const all of document.querySelectorAll('details')) all.open = true", &json!([]));
    violations.extend(looked_at(&browser, "more"));
    assert!(violations.is_empty(), "{violations:#?}");
    runtime().block_on(demo.stop());
}

/// What is wrong with a page.
fn looked_at(browser: &Browser, shown: &str) -> Vec<String> {
    browser.run(AXE, &json!([]));
    let found = browser.run_async(
        "const done = arguments[arguments.length - 1];\
         axe.run(document).then(found => done(found.violations.map(one => one.id + ': ' + \
         one.nodes.slice(0, 3).map(node => node.html + ' ' + node.failureSummary).join(' | '))), \
         error => done([String(error)]))",
    );
    let wide = browser.run(
        "return document.documentElement.scrollWidth > document.documentElement.clientWidth",
        &json!([]),
    );
    let mut all: Vec<String> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{shown}: {}", one.as_str().unwrap_or_default()))
        .collect();
    if wide == Value::Bool(true) {
        all.push(format!("{shown}: wider than its window"));
    }
    all
}
