//! Move Up and Move Down by the keyboard, Edit, Duplicate, Delete, Clear, undo, two editors.

use serde_json::json;

use super::{Desk, mirror};
use crate::support::browser::{Browser, ENTER, TAB};
use crate::support::wait::until;

#[test]
fn every_verb_works_in_a_browser() {
    let desk = Desk::with(&json!([mirror(1, "a/"), mirror(2, "b/"), mirror(3, "c/")]));
    let (browser, page) = (Browser::start(), desk.url("/buckets/examplebucket"));
    let is = |expected: &[&str]| {
        until(format!("{expected:?}, not {:?}", desk.prefixes()), || {
            (desk.prefixes() == expected).then_some(())
        });
        browser.text("p.good");
    };
    // By the keyboard alone: the focus stays with the button, so that one can go on.
    browser.open(&page);
    browser.run("document.querySelector('#rule-3 button[value=up]').focus()", &json!([]));
    browser.press(ENTER);
    is(&["a/", "c/", "b/"]);
    let focus = "return document.activeElement.getAttribute('aria-label')";
    until("the focus on the rule that was moved", || {
        (browser.run(focus, &json!([])) == "Move Up rule 2").then_some(())
    });
    browser.press(ENTER);
    is(&["c/", "a/", "b/"]);
    until("the focus on the way back", || {
        (browser.run(focus, &json!([])) == "Move Down rule 1").then_some(())
    });
    browser.press(TAB);
    browser.open(&page);
    browser.click("#rule-1 button[value=down]");
    is(&["a/", "c/", "b/"]);
    // Duplicate, with another prefix.
    browser.click("#rule-1 a[href*='copy=1']");
    browser.fill("[name='Condition/KeyPrefixEquals']", "d<b>\"'&/");
    browser.click("button[value=review]");
    browser.click("button[value=save]");
    is(&["a/", "c/", "b/", "d<b>\"'&/"]);
    assert_eq!(browser.count("main b"), 0);
    // Edit; what is refused is marked.
    browser.click("#rule-2 a[href$='/rules/2']");
    browser.fill("[name='origin/host']", "127.0.0.1");
    browser.click("button[value=review]");
    assert!(browser.text(".finding.bad").contains("this machine"), "{}", browser.text("main"));
    browser.fill("[name='origin/host']", "other.example.com");
    browser.fill("[name='Condition/KeyPrefixEquals']", "e/");
    browser.click("button[value=review]");
    browser.click("button[value=back]");
    browser.click("button[value=review]");
    browser.click("button[value=save]");
    is(&["a/", "e/", "b/", "d<b>\"'&/"]);
    // Delete, and clear; the history undoes that.
    browser.click("#rule-1 a[href$='/delete']");
    browser.click("button[value=save]");
    is(&["e/", "b/", "d<b>\"'&/"]);
    browser.click("a[href$='/clear']");
    assert_eq!(browser.count("ol.gone > li"), 3);
    browser.click("button[value=save]");
    is(&[]);
    browser.click("a[href$='/history']");
    browser.click("button[value=review]");
    browser.click("button[value=save]");
    is(&["e/", "b/", "d<b>\"'&/"]);
}

#[test]
fn the_second_of_two_editors_is_shown_the_difference() {
    let desk = Desk::with(&json!([mirror(1, "a/"), mirror(2, "b/")]));
    let (first, second) = (Browser::start(), Browser::start());
    second.open(&desk.url("/buckets/examplebucket/rules/1/delete"));
    first.open(&desk.url("/buckets/examplebucket"));
    first.click("#rule-1 button[value=down]");
    first.text("p.good");
    second.click("button[value=save]");
    assert!(second.text("p.warning").contains("Somebody else has changed the rules"));
    assert!(second.text("pre.diff del").contains('−'));
    assert_eq!(desk.prefixes(), ["b/", "a/"]);
    second.click("button[value=save]");
    second.text("p.good");
    assert_eq!(desk.prefixes(), ["a/"]);
}
