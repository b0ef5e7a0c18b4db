//! YAML with comments, as a person would write it.
//!
//! Owns how things look: order as given, comments above what they are about first, on one line what
//! fits there, and once what is the same. What Envoy makes of it is not known here.

mod layout;

use std::fmt::Write as _;

use serde_json::Value;

use self::layout::Page;

/// The width that comments are wrapped to.
const WIDTH: usize = 140;

/// The width of what stands on one line though it could stand on several.
pub(super) const LINE: usize = 156;

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

    /// The same with the mapping that is one of its entries written out once only.
    pub(super) fn share(mut self, key: &str, as_name: &'static str) -> Self {
        for (_, name, value) in &mut self.entries {
            if let Yaml::Map(map) = value
                && name == key
            {
                *value = Yaml::Shared(as_name, std::mem::take(map));
            }
        }
        self
    }

    /// As a file of its own.
    pub(super) fn document(&self, heading: &str) -> String {
        let mut page = Page::default();
        page.count(&Yaml::Map(self.clone()));
        page.comment(0, heading);
        self.write(&mut page, 0, false);
        page.text
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
mod tests;
