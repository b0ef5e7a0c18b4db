//! 2,000 misses, every tenth failing, watched in the page: its numbers are the metrics' and the
//! truth.

use std::time::Duration;

use b2o::demo::{Demo, DemoSettings};

use crate::support::browser::Browser;
use crate::support::client::get;
use crate::support::gateway::runtime;
use crate::support::wait::within;

#[test]
fn the_numbers_of_the_page_are_the_truth() {
    const MISSES: u32 = 2_000;
    let any = "127.0.0.1:0".parse().expect("an address");
    let settings = DemoSettings { gateway: any, store: any, console: any, origin: any };
    let demo = runtime().block_on(Demo::start(settings, |_| {})).expect("free ports");
    let browser = Browser::start();
    browser.open(&format!("http://{}/", demo.console()));
    let (mut served, mut failed) = (0, 0);
    for number in 0..MISSES {
        // Each its own key; a query of the client's is another question to the origin, not a key.
        let key = match number % 10 {
            0 => "examplefolder/broken.txt".to_owned(),
            _ => format!("headers/{number}.txt"),
        };
        match get(demo.gateway(), format!("/examplebucket/{key}")).status {
            200 => served += 1,
            424 => failed += 1,
            other => panic!("{key}: {other}"),
        }
    }
    assert_eq!((served, failed), (MISSES - MISSES / 10, MISSES / 10));
    // The page is not loaded again: it sees by itself.
    let cell = |label: &str| browser.text(&format!("td[data-label='{label}']"));
    let expected = [MISSES, failed, served, 0].map(|number| number.to_string());
    let shown = || ["Decided", "Failed", "Stored", "Not stored"].map(cell);
    let is_so = within(Duration::from_secs(30), || (shown() == expected).then_some(()));
    assert!(is_so.is_some(), "{:?}, not {expected:?}", shown());
    assert!(browser.text(".banner").contains(&format!("{failed} ×")));
    assert!(browser.text("ol.lines").contains("examplefolder/broken.txt"));
    runtime().block_on(demo.stop());
}
