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
    is_apart: bool,
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
        page.count(&Yaml::Map(self.clone()));
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

    /// The same, each item on lines of its own.
    pub(super) const fn apart(mut self) -> Self {
        self.is_apart = true;
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
            Self::new().remark(remark).with(item.clone()).write(&mut page, 0);
            text + &page.text
        })
    }

    fn write(&self, page: &mut Page, indent: usize) {
        for (remark, item) in &self.items {
            page.comment(indent, remark);
            let _ = write!(page.text, "{}-", " ".repeat(indent));
            match item {
                Yaml::Map(map) if item.filled(page, indent + 2).is_none() => {
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
        if let Some(text) = self.filled(page, indent) {
            let _ = writeln!(page.text, " {text}");
            page.note(&text);
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
            Self::Shared(_, map) if page.is_single(map) => {
                Self::Map(map.clone()).write(page, indent)
            }
            Self::Shared(name, map) => {
                let name = page.anchor(name, map);
                page.written.insert(name.clone());
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

    /// The same on few lines, each with as much as fits there, behind a key or a dash.
    fn filled(&self, page: &Page, indent: usize) -> Option<String> {
        /// How many lines that may be.
        const FEW: usize = 18;
        let text = self.fill(page, indent, page.used() + 1, 0)?;
        (text.lines().count() <= FEW).then_some(text)
    }

    /// The same; `used` is how much stands on its first line before it, and `tail` how much has to
    /// stand on its last line behind it.
    fn fill(&self, page: &Page, indent: usize, used: usize, tail: usize) -> Option<String> {
        let line = self.inline(page)?;
        let parts: Vec<(String, &Self)> = match self {
            Self::Map(map) | Self::Shared(_, map) => map
                .entries
                .iter()
                .map(|(_, key, value)| (format!("{}: ", scalar(key)), value))
                .collect(),
            Self::List(list) => list.items.iter().map(|(_, item)| (String::new(), item)).collect(),
            Self::Bare(_) | Self::Lines(_) | Self::Text(_) => return Some(line),
        };
        let is_alias = line.starts_with('*');
        if is_alias || used + line.len() + tail <= LINE {
            return Some(line);
        }
        let (open, close) = if matches!(self, Self::List(_)) { ("[", "]") } else { ("{", " }") };
        let margin = format!("\n{}", " ".repeat(indent + 2));
        let anchor = line.split_once(" {").map_or("", |(anchor, _)| anchor);
        let open =
            if anchor.starts_with('&') { format!("{anchor} {open}") } else { open.to_owned() };
        let mut used = used + open.len();
        let mut text = open.clone();
        for (at, (key, value)) in parts.iter().enumerate() {
            let part = format!("{key}{}", value.inline(page)?);
            let tail = if at + 1 < parts.len() { 1 } else { tail + close.len() };
            if used + 1 + part.len() + tail > LINE {
                // What begins a mapping and fits onto no line begins on this one.
                if at == 0 && !key.is_empty() && margin.len() + part.len() + tail > LINE {
                    text.push(' ');
                    used += 1 + key.len();
                } else {
                    text.push_str(&margin);
                    used = margin.len() - 1 + key.len();
                }
                text.push_str(key);
                text.push_str(&value.fill(page, indent + 2, used, tail)?);
                used = text.len() - text.rfind('\n').unwrap_or_default();
            } else {
                let blank = if at == 0 && open.ends_with('[') { "" } else { " " };
                text.push_str(blank);
                text.push_str(&part);
                used += part.len() + 1;
            }
            text.push_str(if at + 1 < parts.len() { "," } else { close });
            used += 1;
        }
        Some(text)
    }

    /// The same on one line, if it can be.
    fn inline(&self, page: &Page) -> Option<String> {
        match self {
            Self::Bare(text) => Some(text.clone()),
            Self::Map(map) => map.inline(page),
            Self::List(list) if list.is_apart => None,
            Self::List(list) => {
                let item = |(remark, item): &(String, Self)| {
                    let item = item.inline(page)?;
                    page.is_said(remark).then_some(item)
                };
                let items: Option<Vec<_>> = list.items.iter().map(item).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Self::Lines(_) => None,
            Self::Shared(_, map) if page.is_single(map) => map.inline(page),
            Self::Shared(name, map) => {
                let name = page.anchor(name, map);
                match page.written.contains(&name) {
                    true => Some(format!("*{name}")),
                    false => Some(format!("&{name} {}", map.inline(page)?)),
                }
            }
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
    const MARGIN: usize = 14;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let joined = |lines: &[&str]| {
        let words: Vec<_> = lines.iter().map(|line| line.trim_start()).collect();
        words.join(" ")
    };
    let [first, inner @ .., last] = lines else {
        let _ = writeln!(out, "{}", lines.concat());
        return;
    };
    let line = format!("{}{}", " ".repeat(depth(first)), joined(lines));
    if MARGIN + line.len() <= LINE {
        let _ = writeln!(out, "{line}");
        return;
    }
    let mut within = Vec::new();
    let mut rest = inner;
    // What stands on the line that has begun.
    let mut begun = String::new();
    while let Some(start) = rest.first() {
        let ends = |line: &&str| depth(line) == depth(start);
        let is_open = start.ends_with(['[', '{']);
        let end = rest.iter().skip(1).position(ends).filter(|_| is_open).map_or(0, |at| at + 1);
        let (element, others) = rest.split_at(end + 1);
        rest = others;
        let text = joined(element);
        // Elements that are lists or the like begin a line of their own.
        let is_own = begun.is_empty() || start.trim_start().starts_with(['[', '{']);
        if !is_own && MARGIN + begun.len() + 1 + text.len() <= LINE {
            begun = format!("{begun} {text}");
            continue;
        }
        within.extend((!begun.is_empty()).then(|| std::mem::take(&mut begun)));
        if MARGIN + depth(start) + text.len() <= LINE {
            begun = format!("{}{text}", " ".repeat(depth(start)));
        } else {
            let mut lines = String::new();
            fold(element, &mut lines);
            within.extend(lines.lines().map(str::to_owned));
        }
    }
    within.extend((!begun.is_empty()).then_some(begun));
    // What has no name begins and ends where its first and last elements do.
    let is_nameless = first.trim_start() == "{" && depth(first) > 0;
    match within.as_mut_slice() {
        [begin, ..] if is_nameless => {
            *begin = format!("{first} {}", begin.trim_start());
            if let Some(end) = within.last_mut() {
                *end = format!("{end} {}", last.trim_start());
            }
        }
        _ => {
            within.insert(0, (*first).to_owned());
            within.push((*last).to_owned());
        }
    }
    for line in within {
        let _ = writeln!(out, "{line}");
    }
}

/// A file while it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// The comments that need not be repeated.
    said: HashSet<String>,
    /// The names of what is written out once, by what it says.
    anchors: HashMap<String, String>,
    /// Those of them that have been.
    written: HashSet<String>,
    /// How often there is what may be written out once.
    counts: HashMap<String, usize>,
}

impl Page {
    fn is_said(&self, remark: &str) -> bool {
        remark.is_empty() || self.said.contains(remark)
    }

    /// How much stands on the last line.
    fn used(&self) -> usize {
        self.text.len() - self.text.rfind('\n').map_or(0, |end| end + 1)
    }

    fn count(&mut self, value: &Yaml) {
        match value {
            Yaml::Bare(_) | Yaml::Lines(_) | Yaml::Text(_) => {}
            Yaml::List(list) => list.items.iter().for_each(|(_, item)| self.count(item)),
            Yaml::Map(map) => map.entries.iter().for_each(|(_, _, value)| self.count(value)),
            Yaml::Shared(name, map) => {
                let content = content(map);
                let is_taken = |name: &String| self.anchors.values().any(|taken| taken == name);
                let numbered = (2..).map(|number| format!("{name}-{number}"));
                let mut names = std::iter::once((*name).to_owned()).chain(numbered);
                let count = self.counts.entry(content.clone()).or_default();
                *count += 1;
                // A name is for what is there twice.
                if *count == 2
                    && let Some(free) = names.find(|name| !is_taken(name))
                {
                    self.anchors.insert(content, free);
                }
                // What is within is written but once.
                if *count == 1 {
                    map.entries.iter().for_each(|(_, _, value)| self.count(value));
                }
            }
        }
    }

    fn is_single(&self, map: &Map) -> bool {
        self.counts.get(&content(map)).is_none_or(|count| *count < 2)
    }

    /// The name of what is written out once.
    fn anchor(&self, name: &str, map: &Map) -> String {
        self.anchors.get(&content(map)).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Takes note of what has been written out on a line.
    fn note(&mut self, text: &str) {
        let begun = self.anchors.values().filter(|name| text.contains(&format!("&{name} {{")));
        let begun: Vec<_> = begun.cloned().collect();
        self.written.extend(begun);
    }

    /// Begins an entry. What is not indented stands apart.
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
