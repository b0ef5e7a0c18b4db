//! YAML with comments, as a person would write it.
//!
//! Owns how things look: order as given, comments above what they are about first, short mappings
//! on one line. What Envoy makes of it is not known here.

use std::collections::HashSet;
use std::fmt::Write as _;

/// The width that comments are wrapped to.
const WIDTH: usize = 100;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Yaml {
    /// A number or a truth value.
    Bare(String),
    /// A mapping on one line.
    Flow(Map),
    /// A list.
    List(List),
    /// Lines that stand as they are.
    Lines(String),
    /// A mapping, an entry a line.
    Map(Map),
    /// A text.
    Text(String),
}

/// Keys and values in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    entries: Vec<(String, String, Yaml)>,
    remark: String,
}

/// Values in order.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    items: Vec<(String, Yaml)>,
    remark: String,
}

impl Map {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A message of Envoy's, which it knows by its full name.
    pub(super) fn typed(message: &str) -> Self {
        Self::new().with("@type", format!("type.googleapis.com/{message}"))
    }

    /// A comment on the next entry.
    pub(super) fn remark(mut self, text: &str) -> Self {
        text.clone_into(&mut self.remark);
        self
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Yaml>) -> Self {
        self.entries.push((std::mem::take(&mut self.remark), key.to_owned(), value.into()));
        self
    }

    /// An entry that is there only with a value.
    pub(super) fn maybe(mut self, key: &str, value: Option<impl Into<Yaml>>) -> Self {
        if let Some(value) = value {
            return self.with(key, value);
        }
        self.remark.clear();
        self
    }

    /// These entries, and then those.
    pub(super) fn join(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self
    }

    /// The same on one line.
    pub(super) const fn flow(self) -> Yaml {
        Yaml::Flow(self)
    }

    /// As a file of its own.
    pub(super) fn document(&self, heading: &str) -> String {
        let mut page = Page::default();
        page.comment(0, heading);
        self.write(&mut page, 0, false);
        page.text
    }

    /// `started` where the first entry stands behind a list's dash.
    fn write(&self, page: &mut Page, indent: usize, started: bool) {
        for (at, (remark, key, value)) in self.entries.iter().enumerate() {
            if at > 0 || !started {
                page.start(indent, remark);
            }
            page.text.push_str(&scalar(key));
            page.text.push(':');
            match value {
                // Lists stand under their key without a step of their own.
                Yaml::List(list) if !list.items.is_empty() => {
                    page.text.push('\n');
                    list.write(page, indent);
                }
                Yaml::Map(map) if !map.entries.is_empty() => {
                    page.text.push('\n');
                    map.write(page, indent + 2, false);
                }
                Yaml::Lines(lines) => {
                    page.text.push_str(" |\n");
                    for line in lines.lines() {
                        // Writing into a string cannot fail.
                        let _ = writeln!(page.text, "{}{line}", " ".repeat(indent + 2));
                    }
                }
                Yaml::Bare(_) | Yaml::Flow(_) | Yaml::List(_) | Yaml::Map(_) | Yaml::Text(_) => {
                    let _ = writeln!(page.text, " {}", value.inline());
                }
            }
        }
    }

    /// The same on one line, where that is short.
    pub(super) fn compact(self) -> Yaml {
        let is_plain = |value: &Yaml| matches!(value, Yaml::Bare(_) | Yaml::Text(_));
        let is_short = self.entries.iter().all(|(_, _, value)| is_plain(value));
        if is_short { self.flow() } else { Yaml::Map(self) }
    }

    fn inline(&self) -> String {
        let entry = |(_, key, value): &(String, String, Yaml)| {
            format!("{}: {}", scalar(key), value.inline())
        };
        let entries: Vec<_> = self.entries.iter().map(entry).collect();
        if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
    }
}

impl List {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A comment on the next item.
    pub(super) fn remark(mut self, text: &str) -> Self {
        text.clone_into(&mut self.remark);
        self
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// These items, and then those.
    pub(super) fn join(mut self, other: Self) -> Self {
        self.items.extend(other.items);
        self
    }

    pub(super) fn with(mut self, item: impl Into<Yaml>) -> Self {
        self.items.push((std::mem::take(&mut self.remark), item.into()));
        self
    }

    fn write(&self, page: &mut Page, indent: usize) {
        for (remark, item) in &self.items {
            page.start(indent, remark);
            page.text.push_str("- ");
            match item {
                Yaml::Map(map) if !map.entries.is_empty() => map.write(page, indent + 2, true),
                Yaml::Bare(_)
                | Yaml::Flow(_)
                | Yaml::Lines(_)
                | Yaml::List(_)
                | Yaml::Map(_)
                | Yaml::Text(_) => {
                    let _ = writeln!(page.text, "{}", item.inline());
                }
            }
        }
    }
}

impl Extend<Yaml> for List {
    fn extend<I: IntoIterator<Item = Yaml>>(&mut self, items: I) {
        self.items.extend(items.into_iter().map(|item| (String::new(), item)));
    }
}

impl<T: Into<Yaml>> FromIterator<T> for List {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().fold(Self::new(), Self::with)
    }
}

impl Yaml {
    fn inline(&self) -> String {
        match self {
            Self::Bare(text) => text.clone(),
            Self::Flow(map) | Self::Map(map) => map.inline(),
            Self::List(list) => {
                let items: Vec<_> = list.items.iter().map(|(_, item)| item.inline()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Lines(text) | Self::Text(text) => scalar(text),
        }
    }
}

/// A text on one line: bare where nothing could take it for anything else, else as in JSON.
fn scalar(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'/';
    let bare = text.bytes().all(letter)
        && text.bytes().next().is_some_and(first)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    // A duration begins with a digit, and can be taken for nothing else.
    let duration = text.strip_suffix('s').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    });
    if bare || duration {
        text.to_owned()
    } else {
        escape(&serde_json::Value::from(text).to_string())
    }
}

/// JSON without the characters that YAML takes for the end of a line or does not take at all. In
/// JSON they stand in texts only, where an escape means the same.
pub(super) fn escape(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            _ => text.push(c),
        }
        text
    })
}

/// A file while it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// The comments that need not be repeated.
    said: HashSet<String>,
}

impl Page {
    /// Begins an entry or an item. What is not indented stands apart.
    fn start(&mut self, indent: usize, remark: &str) {
        if indent == 0 {
            self.text.push('\n');
        }
        self.comment(indent, remark);
        self.text.push_str(&" ".repeat(indent));
    }

    /// Writes a comment, wrapped, unless it is there already; empty lines in it stay.
    fn comment(&mut self, indent: usize, remark: &str) {
        if remark.is_empty() || !self.said.insert(remark.to_owned()) {
            return;
        }
        let margin = format!("{}#", " ".repeat(indent));
        for paragraph in remark.split('\n') {
            let mut line = margin.clone();
            for word in paragraph.split_whitespace() {
                if line.len() + 1 + word.len() > WIDTH && line != margin {
                    let _ = writeln!(self.text, "{line}");
                    line.clone_from(&margin);
                }
                line.push(' ');
                line.push_str(word);
            }
            let _ = writeln!(self.text, "{line}");
        }
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<u16> for Yaml {
    fn from(value: u16) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<u64> for Yaml {
    fn from(value: u64) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<&str> for Yaml {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Map> for Yaml {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}

impl From<List> for Yaml {
    fn from(value: List) -> Self {
        Self::List(value)
    }
}

#[cfg(test)]
mod tests {
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
            .with("flow", Map::new().with("a", "b: c").with("d", 1_u64).flow())
            .with(
                "maps",
                List::new().remark("one").with(Map::new().with("k", 1_u16).with("l", "m")),
            )
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
}
