//! What is written is read the same.

use serde_json::{Value, json};

use super::*;

#[test]
fn what_is_written_is_read_the_same() {
    let texts = [
        "",
        "a",
        "true",
        "No",
        "1",
        "1.5",
        "10s",
        "s",
        "~",
        "- a",
        "a: b",
        "a #b",
        "#",
        "[",
        "{}",
        "\"",
        "'",
        "\\",
        "\n",
        " a ",
        "é",
        "\u{85}\u{2028}\u{7f}",
        "@type",
        ":method",
        "/a/b",
        "a\tb",
        "%41",
        "0x1f",
        "null",
        "1e3",
        ".",
        ".inf",
        "&a",
        "*",
        "!x",
        "|",
        ">",
        "?",
        "`",
    ];
    let mut list = List::new();
    list.extend(texts.map(Yaml::from));
    let map = Map::new()
        .remark("about\nlists")
        .with("list", list)
        .with("nested", Map::new().remark("x").with("y", true).with("z", Map::new()))
        .with("flow", Map::new().with("a", "b: c").with("d", 1_u64))
        .with("maps", List::new().remark("one").with(Map::new().with("k", 1_u16).with("l", "m")))
        .with("lines", Yaml::Lines("{\n  \"a\": 1\n}\n".to_owned()))
        .with("none", List::new())
        .maybe("absent", None::<&str>);
    let text = map.document("A heading.");
    let read: Value = serde_saphyr::from_str(&text).expect(&text);
    let expected = json!({
        "list": texts.as_slice(),
        "nested": { "y": true, "z": {} },
        "flow": { "a": "b: c", "d": 1 },
        "maps": [{ "k": 1, "l": "m" }],
        "lines": "{\n  \"a\": 1\n}\n",
        "none": [],
    });
    assert_eq!(read, expected, "{text}");
}

#[test]
fn comments_stand_above_and_are_wrapped() {
    let words = "word ".repeat(30);
    let text = Map::new().remark(&words).with("a", 1_u64).document("One.\n\nTwo.");
    assert!(text.starts_with("# One.\n#\n# Two.\n\n# word word"), "{text}");
    assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    assert!(text.ends_with("\na: 1\n"), "{text}");
}

#[test]
fn characters_that_end_lines_are_escaped_in_json() {
    let json = escape(&json!({ "a": "\u{85}\u{2028}é" }).to_string());
    assert_eq!(json, "{\"a\":\"\\u0085\\u2028é\"}");
}

#[test]
fn what_is_the_same_is_written_out_once() {
    let long = || Map::new().with("a", "x".repeat(90)).with("b", "y".repeat(90));
    let shared = || Map::new().with("c", long()).shared("same");
    let other = Map::new().with("c", 1_u64).shared("same");
    let map = Map::new()
        .with(
            "first",
            Map::new().with("deep", List::new().with(long()).with(Map::new().with("in", shared()))),
        )
        .with("second", shared())
        .with("once", other);
    let text = map.document("About.");
    assert_eq!((text.matches("&same").count(), text.matches("*same").count()), (1, 1), "{text}");
    assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
    let read: Value = serde_saphyr::from_str(&text).expect(&text);
    let long = json!({ "a": "x".repeat(90), "b": "y".repeat(90) });
    let same = json!({ "c": long });
    let expected = json!({
        "first": { "deep": [long, { "in": same }] }, "second": same, "once": { "c": 1 },
    });
    assert_eq!(read, expected, "{text}");
}
