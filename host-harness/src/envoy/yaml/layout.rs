//! How YAML is laid out: what stands on one line, what on several, and what is written out once.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::{LINE, List, Map, WIDTH, Yaml, scalar};

impl Map {
    /// `started` where the first entry stands behind a list's dash.
    pub(super) fn write(&self, page: &mut Page, indent: usize, started: bool) {
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
    pub(super) fn write(&self, page: &mut Page, indent: usize) {
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

/// A file while it is written.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
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

    pub(super) fn count(&mut self, value: &Yaml) {
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
    pub(super) fn comment(&mut self, indent: usize, remark: &str) {
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
