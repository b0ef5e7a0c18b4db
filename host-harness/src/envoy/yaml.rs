//! YAML with comments, as a person would write it.
//!
//! Owns how things look: order as given, comments above what they are about first, on one line what
//! fits there, and once what is the same. What Envoy makes of it is not known here.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::Value;

/// The width that comments are wrapped to.
const WIDTH: usize = 140;

/// The width of what stands on one line though it could stand on several.
const LINE: usize = 156;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Yaml {
    /// A number or a truth value.
    Bare(String),
    /// A list.
    List(List),
    /// Lines that stand as they are.
    Lines(String),
    /// A mapping.
    Map(Map),
    /// What is written out once, with this name or a similar one, and then referred to.
    Shared(&'static str, Map),
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

    /// The same with more entries in the mapping that is one of its own.
    pub(super) fn extend(mut self, key: &str, more: Self) -> Self {
        for (_, name, value) in &mut self.entries {
            if let Yaml::Map(map) = value
                && name == key
            {
                map.entries.extend(more.entries);
                break;
            }
        }
        self
    }

    /// The same with more items in the list that is an entry of its own, or becomes one.
    pub(super) fn append(mut self, key: &str, more: List) -> Self {
        for (_, name, value) in &mut self.entries {
            if let Yaml::List(list) = value
                && name == key
            {
                list.items.extend(more.items);
                return self;
            }
        }
        let more = (!more.is_empty()).then_some(more);
        self.maybe(key, more)
    }

    /// The same, written out once only.
    pub(super) const fn shared(self, name: &'static str) -> Yaml {
        Yaml::Shared(name, self)
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
            value.write(page, indent);
        }
    }

    /// The same on one line, unless there is something to say about it.
    fn inline(&self, page: &Page) -> Option<String> {
        if self.entries.is_empty() {
            return Some("{}".to_owned());
        }
        let entry = |(remark, key, value): &(String, String, Yaml)| {
            let value = value.inline(page)?;
            page.is_said(remark).then(|| format!("{}: {value}", scalar(key)))
        };
        let entries: Option<Vec<_>> = self.entries.iter().map(entry).collect();
        Some(format!("{{ {} }}", entries?.join(", ")))
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

    /// As more items of a list that a file ends with. Each comment stands there each time.
    pub(super) fn fragment(&self) -> String {
        self.items.iter().fold(String::new(), |text, (remark, item)| {
            let mut page = Page::default();
            Self { items: vec![(remark.clone(), item.clone())], remark: String::new() }
                .write(&mut page, 0);
            text + &page.text
        })
    }

    fn write(&self, page: &mut Page, indent: usize) {
        for (remark, item) in &self.items {
            page.start(indent, remark);
            page.text.push('-');
            match item {
                Yaml::Map(map) if indent == 0 || !page.fits(item) => {
                    page.text.push(' ');
                    map.write(page, indent + 2, true);
                }
                Yaml::Bare(_)
                | Yaml::Lines(_)
                | Yaml::List(_)
                | Yaml::Map(_)
                | Yaml::Shared(..)
                | Yaml::Text(_) => item.write(page, indent),
            }
        }
    }
}

impl Extend<Yaml> for List {
    fn extend<I: IntoIterator<Item = Yaml>>(&mut self, items: I) {
        for item in items {
            self.items.push((std::mem::take(&mut self.remark), item));
        }
    }
}

impl<T: Into<Yaml>> FromIterator<T> for List {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().fold(Self::new(), Self::with)
    }
}

impl Yaml {
    /// Writes it behind a key or a dash that stands at `indent`.
    fn write(&self, page: &mut Page, indent: usize) {
        if page.fits(self)
            && let Some(text) = self.inline(page)
        {
            let _ = writeln!(page.text, " {text}");
            return;
        }
        match self {
            // Lists stand under their key without a step of their own.
            Self::List(list) => {
                page.text.push('\n');
                list.write(page, indent);
            }
            Self::Map(map) => {
                page.text.push('\n');
                map.write(page, indent + 2, false);
            }
            Self::Shared(name, map) => {
                let name = page.anchor(name, map);
                let _ = write!(page.text, " &{name}");
                Self::Map(map.clone()).write(page, indent);
            }
            Self::Lines(lines) => {
                page.text.push_str(" |\n");
                for line in lines.lines() {
                    let line = format!("{}{line}", " ".repeat(indent + 2));
                    // Writing into a string cannot fail.
                    let _ = writeln!(page.text, "{}", line.trim_end());
                }
            }
            Self::Bare(text) => {
                let _ = writeln!(page.text, " {text}");
            }
            Self::Text(text) => {
                let _ = writeln!(page.text, " {}", scalar(text));
            }
        }
    }

    /// The same on one line, if it can be.
    fn inline(&self, page: &Page) -> Option<String> {
        match self {
            Self::Bare(text) => Some(text.clone()),
            Self::Map(map) => map.inline(page),
            Self::List(list) => {
                let item = |(remark, item): &(String, Self)| {
                    let item = item.inline(page)?;
                    page.is_said(remark).then_some(item)
                };
                let items: Option<Vec<_>> = list.items.iter().map(item).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Self::Lines(_) => None,
            Self::Shared(_, map) => page.anchors.get(&content(map)).map(|name| format!("*{name}")),
            Self::Text(text) => Some(scalar(text)),
        }
    }
}

/// What a mapping says, whatever is remarked on it.
fn content(map: &Map) -> String {
    fn of(value: &Yaml) -> Value {
        match value {
            Yaml::Bare(text) | Yaml::Lines(text) | Yaml::Text(text) => text.as_str().into(),
            Yaml::List(list) => list.items.iter().map(|(_, item)| of(item)).collect(),
            Yaml::Map(map) | Yaml::Shared(_, map) => {
                map.entries.iter().map(|(_, key, value)| (key.clone(), of(value))).collect()
            }
        }
    }
    of(&Yaml::Map(map.clone())).to_string()
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
    if bare || duration { text.to_owned() } else { escape(&Value::from(text).to_string()) }
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

/// JSON for people, as it stands in a file of YAML; of what is written an element a line, that is put
/// on one line which fits there.
pub(super) fn json(pretty: &str) -> String {
    let text = escape(pretty);
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    fold(&lines, &mut out);
    out
}

/// One element of JSON, with all its lines.
fn fold(lines: &[&str], out: &mut String) {
    /// How far JSON stands to the right in the file.
    const MARGIN: usize = 12;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let [first, inner @ .., last] = lines else {
        let _ = writeln!(out, "{}", lines.concat());
        return;
    };
    let words: Vec<_> = lines.iter().map(|line| line.trim_start()).collect();
    let line = format!("{}{}", " ".repeat(depth(first)), words.join(" "));
    if MARGIN + line.len() <= LINE {
        let _ = writeln!(out, "{line}");
        return;
    }
    let _ = writeln!(out, "{first}");
    let mut rest = inner;
    while let Some(start) = rest.first() {
        let ends = |line: &&str| depth(line) == depth(start);
        let is_open = start.ends_with(['[', '{']);
        let end = rest.iter().skip(1).position(ends).filter(|_| is_open).map_or(0, |at| at + 1);
        let (element, others) = rest.split_at(end + 1);
        fold(element, out);
        rest = others;
    }
    let _ = writeln!(out, "{last}");
}

/// A file while it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// The comments that need not be repeated.
    said: HashSet<String>,
    /// The names of what has been written out, by what it says.
    anchors: HashMap<String, String>,
}

impl Page {
    fn is_said(&self, remark: &str) -> bool {
        remark.is_empty() || self.said.contains(remark)
    }

    /// Whether a value fits onto the line that has begun.
    fn fits(&self, value: &Yaml) -> bool {
        let used = self.text.len() - self.text.rfind('\n').map_or(0, |end| end + 1);
        match value {
            Yaml::Bare(_) | Yaml::Text(_) => true,
            Yaml::Lines(_) | Yaml::List(_) | Yaml::Map(_) | Yaml::Shared(..) => {
                value.inline(self).is_some_and(|text| used + 1 + text.len() <= LINE)
            }
        }
    }

    /// The name of what is written out now.
    fn anchor(&mut self, name: &str, map: &Map) -> String {
        let is_taken = |name: &String| self.anchors.values().any(|taken| taken == name);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !is_taken(name));
        let name = free.unwrap_or_default();
        self.anchors.insert(content(map), name.clone());
        name
    }

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

impl From<Value> for Yaml {
    fn from(value: Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Bare(value.to_string()),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().collect()),
            Value::Object(fields) => Self::Map(
                fields.into_iter().fold(Map::new(), |map, (key, value)| map.with(&key, value)),
            ),
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
            .with("flow", Map::new().with("a", "b: c").with("d", 1_u64))
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
