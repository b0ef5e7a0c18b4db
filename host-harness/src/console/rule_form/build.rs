//! From a form to a rule.

use serde_json::{Map, Value};

use super::{
    HOST, MIRROR_QUERY, ORIGIN, PATH, Place, QUERY, SCHEME, TWICE, columns, folded, is_secret,
    is_secret_field, is_words, items, only_for, place, text,
};
use crate::console::form::Form;
use crate::rule_file::vocabulary::{Content, Element, ROUTING_RULE, Shape};

/// The rule that a form says; `original` is the one that it was made from, whose secrets stay where
/// the form has none, and whose values stay where the form has them as it was given them.
pub(in crate::console) fn rule(form: &Form, original: Option<&Value>) -> Value {
    let nothing = Value::Null;
    let is_mirror = form.get("Redirect/RedirectType") == "Mirror";
    let building = Building { form, is_mirror };
    let original = original.unwrap_or(&nothing);
    let mut rule = building.object(ROUTING_RULE, original, "");
    // An empty condition is one; so is an empty redirect, which is refused in its own words.
    for name in ["Condition", "Redirect"] {
        rule.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    Value::Object(rule)
}

struct Building<'f> {
    form: &'f Form,
    is_mirror: bool,
}

impl Building<'_> {
    fn object(
        &self,
        elements: &'static [Element],
        original: &Value,
        path: &str,
    ) -> Map<String, Value> {
        let mut built = Map::new();
        for element in elements {
            let name = format!("{path}{}", element.name);
            // What is about the other mode goes with it.
            if path == "Redirect/" && only_for(element.name).is_some_and(|of| of != self.is_mirror)
            {
                continue;
            }
            let old = &original[element.name];
            if name == QUERY && self.is_mirror {
                // Its own switch says it there.
                if !old.is_null() {
                    built.insert(element.name.to_owned(), old.clone());
                }
                continue;
            }
            if place(&name) == Place::Box {
                let is_on = match name.as_str() {
                    MIRROR_QUERY => original["PassQueryString"] == true,
                    _ => element.default == "true",
                };
                if let Some(value) = self.ticked(old, &name, is_on) {
                    built.insert(element.name.to_owned(), value.into());
                }
                continue;
            }
            if let Some(value) = self.value(element, old, &name) {
                built.insert(element.name.to_owned(), value);
            }
        }
        built
    }

    fn value(&self, element: &'static Element, old: &Value, name: &str) -> Option<Value> {
        if name == "RuleNumber" {
            return None;
        }
        if name == ORIGIN {
            return self.origin(old).map(Value::from);
        }
        if let Content::Elements(inner) = element.shape.content() {
            if element.repeats {
                let rows = self.rows(inner, old, name);
                return (!rows.is_empty()).then_some(Value::Array(rows));
            }
            let built = self.object(inner, old, &format!("{name}/"));
            return (!built.is_empty()).then_some(Value::Object(built));
        }
        self.scalar(element, old, name)
    }

    /// The rows of elements that may stand several times.
    fn rows(&self, inner: &'static [Element], old: &Value, name: &str) -> Vec<Value> {
        let prefix = format!("{name}/");
        let number = |field: &str| field.strip_prefix(&prefix)?.split('/').next()?.parse().ok();
        let mut numbers: Vec<usize> =
            self.form.iter().filter_map(|(field, _)| number(field)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let nothing = Value::Null;
        let row = |index: usize| {
            let path = format!("{name}/{index}/");
            // Rows are known by their places, and where one has gone before by their names.
            let key = self.form.get(&format!("{path}Key"));
            let by_key = |old: &&Value| old["Key"].as_str() == Some(key) && !key.is_empty();
            let known = if old.is_null() { &[][..] } else { items(old) };
            let is_same = |old: &&Value| old.get("Key").is_none() || by_key(old);
            let by_place = known.get(index).filter(is_same);
            let old = by_place.or_else(|| known.iter().find(by_key)).unwrap_or(&nothing);
            let built = self.object(inner, old, &path);
            (!built.is_empty()).then_some(Value::Object(built))
        };
        numbers.into_iter().filter_map(row).collect()
    }

    /// A box: what says what is so without it is left out, unless it was there.
    fn ticked(&self, old: &Value, name: &str, default: bool) -> Option<bool> {
        let is_ticked = self.form.get(name) == "true";
        let is_there = old.as_bool() == Some(is_ticked);
        (is_there || is_ticked != default).then_some(is_ticked)
    }

    fn scalar(&self, element: &Element, old: &Value, name: &str) -> Option<Value> {
        let sent = self.form.get(name);
        if sent.is_empty() && !old.is_null() && is_secret(name, old) {
            return Some(old.clone());
        }
        // A browser sends no line breaks of a field of one line: what it was given is unchanged.
        let shown = items(old).iter().map(text).collect::<Vec<_>>().join(", ");
        let plain = |text: &str| text.replace(['\r', '\n', '\0'], "");
        let is_shown = !old.is_null() && !is_secret_field(name);
        if is_shown && (sent == shown || plain(sent) == plain(&shown)) {
            return Some(old.clone());
        }
        if is_words(element) {
            let words = sent.split([',', ' ', '\n', '\r', '|']).filter(|word| !word.is_empty());
            let words: Vec<_> = words.map(|word| typed(&element.shape, word)).collect();
            return match (words.len(), element.repeats) {
                (0, _) => None,
                (1, false) => words.into_iter().next(),
                (_, _) => Some(Value::Array(words)),
            };
        }
        let is_text = matches!(element.shape, Shape::Text);
        let sent = if is_text { sent } else { sent.trim() };
        (!sent.is_empty()).then(|| typed(&element.shape, sent))
    }

    /// The three columns as a URL.
    fn origin(&self, old: &Value) -> Option<String> {
        let [scheme, host, path] = [SCHEME, HOST, PATH].map(|name| self.form.get(name).trim());
        let prefix = self.form.get("Condition/KeyPrefixEquals");
        let is_replaced = self.form.get("Redirect/EnableReplacePrefix") == "true";
        let is_twice = self.form.get(TWICE) == "true" || is_replaced;
        if let Some(old) = old.as_str() {
            let is_kept = host.is_empty() && path.is_empty() && is_secret(ORIGIN, &old.into());
            let is_same = columns(old) == (scheme, host, path);
            if is_kept || is_same && (is_twice || folded(path, prefix).is_none()) {
                return Some(old.to_owned());
            }
        }
        if host.is_empty() && path.is_empty() {
            return None;
        }
        let path = match folded(path, prefix) {
            Some(rest) if !is_twice => rest,
            Some(_) | None => path,
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let end =
            if path.is_empty() || path.ends_with('/') || path.contains('?') { "" } else { "/" };
        Some(format!("{scheme}://{host}/{path}{end}"))
    }
}

/// A text as a value of its type; one that is none stays a text, and is refused by name.
fn typed(shape: &Shape, text: &str) -> Value {
    match shape {
        Shape::Boolean if text == "true" => Value::Bool(true),
        Shape::Boolean if text == "false" => Value::Bool(false),
        Shape::Integer(..) | Shape::Status => {
            text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
        }
        Shape::Boolean
        | Shape::List(..)
        | Shape::Object(_)
        | Shape::Text
        | Shape::Token
        | Shape::Url
        | Shape::Word(_) => text.into(),
    }
}
