//! Files that are wrong, hostile or huge.

use std::time::{Duration, Instant};

use super::{file, found, oss};

#[track_caller]
fn finds(text: impl AsRef<[u8]>, expected: &[&str]) {
    let file = file(text.as_ref());
    assert!(file.rules.is_none());
    assert_eq!(found(&file), expected, "{:.500}", String::from_utf8_lossy(text.as_ref()));
}

#[test]
fn what_is_wrong_is_found_at_its_place() {
    let ns = "<WebsiteConfiguration xmlns='urn:other'/>";
    finds("", &["1:1 error syntax -"]);
    finds("  RoutingRules:", &["1:3 error syntax -"]);
    finds("<WebsiteConfiguration>\n</RoutingRules>", &["2:1 error syntax -"]);
    finds("<WebsiteConfiguration>&nbsp;</WebsiteConfiguration>", &["1:23 error syntax -"]);
    finds("<Bucket/>", &["1:2 error unknown-element -"]);
    finds("<WebsiteConfiguration/>", &["1:1 error missing-element "]);
    finds(ns, &["1:1 error missing-element ", "1:2 error namespace -"]);
    finds("{\"RoutingRules\": [,]}", &["1:19 error syntax -"]);
    finds("\u{feff}{\"a\": 1}", &["1:1 error missing-element ", "1:2 error unknown-element /a"]);
    finds(b"{\"a\": \"\xff\"}", &["1:8 error encoding -"]);
    let gbk = "<?xml version=\"1.0\" encoding=\"GBK\"?>\n<WebsiteConfiguration><RoutingRules/>\
        </WebsiteConfiguration>";
    finds(gbk, &["1:31 error encoding -"]);
}

#[test]
fn what_is_wrong_with_an_element_is_found_at_its_place() {
    let rest = "<Condition/><Redirect><HostName>h.example</HostName></Redirect>";
    let rule = |inner: &str| oss(&[&format!("<RuleNumber>1</RuleNumber>{rest}{inner}")]);
    finds(
        rule("<RuleNumber>2</RuleNumber>"),
        &["2:104 error duplicate-element /RoutingRules/0/RuleNumber"],
    );
    finds(rule("text"), &["2:103 error unexpected-text /RoutingRules/0"]);
    finds(
        rule("").replace("<HostName>", "<HostName a='b'>"),
        &["2:72 error unexpected-text /RoutingRules/0/Redirect/HostName"],
    );
    finds(
        rule("").replace("h.example", "<b>h</b>"),
        &["2:62 error wrong-type /RoutingRules/0/Redirect/HostName"],
    );
    finds(
        rule("").replace("<RuleNumber>1", "<RuleNumber>one"),
        &["2:26 error wrong-type /RoutingRules/0/RuleNumber"],
    );
    finds(
        oss(&[]).replace("<RoutingRules>", "<RoutingRules><Rule/>"),
        &["1:38 error unknown-element /RoutingRules/Rule"],
    );
    finds(
        rule("").replace("<HostName>", "<HostName xmlns='urn:x'>"),
        &["2:63 error namespace /RoutingRules/0/Redirect/HostName"],
    );
}

#[test]
fn what_is_refused_whole_is_looked_into_nevertheless() {
    let json = r#"{"RoutingRules": [], "IndexDocument": {"Suffix": 1, "Sufix": "x"}}"#;
    finds(
        json,
        &[
            "1:22 warning not-served /IndexDocument",
            "1:50 error wrong-type /IndexDocument/Suffix",
            "1:53 error unknown-element /IndexDocument/Sufix",
        ],
    );
}

#[test]
fn entities_are_never_defined_by_a_file() {
    let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY a \"aaaaaaaaaa\">\
        <!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>\n<WebsiteConfiguration>&b;\
        </WebsiteConfiguration>";
    finds(bomb, &["2:1 error document-type -"]);
    let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><WebsiteConfiguration/>";
    let file = file(outside);
    assert!(file.rules.is_none() && file.website.is_none());
    assert_eq!(found(&file)[0], "1:1 error document-type -");
}

#[test]
fn hostile_files_are_refused_at_once() {
    let mib = 1024 * 1024;
    let nested = |open: &str, close: &str, times| {
        format!(
            "<WebsiteConfiguration>{}{}</WebsiteConfiguration>",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let wide = |inner: &str| oss(&[&inner.repeat(9 * mib / inner.len())]);
    let files = [
        ("too large", " ".repeat(11 * mib)),
        ("deep XML", nested("<a>", "</a>", 20_000)),
        ("deeper XML", nested("<a>", "</a>", mib)),
        ("deep JSON", "[".repeat(mib)),
        ("deep objects", "{\"a\":".repeat(mib)),
        ("empty elements", wide("<a/>")),
        ("texts between", wide("<RuleNumber>1</RuleNumber>x")),
        (
            "attributes",
            oss(&[&format!(
                "<RuleNumber {}/>",
                (0..60_000).map(|i| format!("a{i}='' ")).collect::<String>()
            )]),
        ),
        (
            "namespaces",
            nested(
                &format!("<a {}>", (0..60).map(|i| format!("xmlns:a{i}='u' ")).collect::<String>()),
                "</a>",
                10_000,
            ),
        ),
        ("one long text", oss(&[&"x".repeat(9 * mib)])),
        ("one long key", format!("{{\"{}\": 1}}", "k".repeat(9 * mib))),
        (
            "many keys",
            format!(
                "{{{}\"a\": 1}}",
                (0..300_000).map(|i| format!("\"a{i}\": 1,")).collect::<String>()
            ),
        ),
        ("the same key", format!("{{{}\"a\": 1}}", "\"a\": 1,".repeat(300_000))),
        ("many rules", format!("[{}{{}}]", "{},".repeat(2 * mib))),
        ("references", oss(&[&"&#x41;".repeat(mib)])),
    ];
    for (name, text) in files {
        let begun = Instant::now();
        let file = file(&text);
        let rendered = file.report.render(false);
        assert!(file.rules.is_none(), "{name}");
        assert!(!file.report.problems.is_empty() && file.report.problems.len() <= 200, "{name}");
        assert!(rendered.len() < 1_000_000, "{name}");
        assert_eq!(file.report.entries().len(), file.report.problems.len(), "{name}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(120), "{name} took {took:?}");
    }
}
