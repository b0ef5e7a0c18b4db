//! A rule as a form, and a form as a rule.
//!
//! Owns the names of the fields: that of a value is its path in the rule, as
//! `Redirect/MirrorHeaders/Set/0/Key`, so that every element of the vocabulary has one and what is
//! found about a value is found about its field. Secrets go in, and never come out.

mod build;
mod place;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::form::Form;
use crate::rule_file::vocabulary::{Content, Element, ROUTING_RULE, Shape};
use crate::secrecy::is_secret_url;
pub(super) use build::rule;
pub(super) use place::{Place, more, place};

/// The three columns of the origin.
pub(super) const SCHEME: &str = "origin/scheme";
pub(super) const HOST: &str = "origin/host";
pub(super) const PATH: &str = "origin/path";
/// Whether the folder that the origin's path and the prefix both name is named twice.
pub(super) const TWICE: &str = "origin/twice";

/// The element of the three columns.
pub(super) const ORIGIN: &str = "Redirect/MirrorURL";

/// The switches by which the client's query goes along; without its own, a Mirror rule goes by the
/// other.
const QUERY: &str = "Redirect/PassQueryString";
const MIRROR_QUERY: &str = "Redirect/MirrorPassQueryString";

/// The fields of a rule.
pub(super) fn fields(rule: &Value) -> Form {
    let mut form = Form::default();
    flatten(ROUTING_RULE, rule, "", &mut form);
    if form.get(QUERY) == "true" && rule["Redirect"].get("MirrorPassQueryString").is_none() {
        form.set(MIRROR_QUERY, "true");
    }
    if let Some(url) = rule["Redirect"]["MirrorURL"].as_str().filter(|url| !is_secret_url(url)) {
        let (scheme, host, path) = columns(url);
        form.set(SCHEME, scheme);
        form.set(HOST, host);
        form.set(PATH, path);
        let prefix = rule["Condition"]["KeyPrefixEquals"].as_str().unwrap_or_default();
        if folded(path, prefix).is_some() {
            form.set(TWICE, "true");
        }
    }
    form
}

/// The fields of a new rule: what tools of S3 need is on.
pub(super) fn new_fields() -> Form {
    let mut form = Form::default();
    for (name, value) in [
        ("Redirect/RedirectType", "Mirror"),
        ("Condition/HttpErrorCodeReturnedEquals", "404"),
        (SCHEME, "https"),
        ("Redirect/MirrorFollowRedirect", "true"),
        ("Redirect/MirrorAllowHeadObject", "true"),
        ("Redirect/MirrorUserLastModified", "true"),
        ("Redirect/HttpRedirectCode", "302"),
    ] {
        form.set(name, value);
    }
    form
}

fn flatten(elements: &'static [Element], value: &Value, path: &str, form: &mut Form) {
    for element in elements {
        let name = format!("{path}{}", element.name);
        let Some(value) = value.get(element.name) else {
            // A box that stands for a default shows it.
            if place(&name) == Place::Box && element.default == "true" {
                form.set(&name, "true");
            }
            continue;
        };
        match element.shape.content() {
            Content::Elements(inner) if element.repeats => {
                for (index, item) in items(value).iter().enumerate() {
                    flatten(inner, item, &format!("{name}/{index}/"), form);
                }
            }
            Content::Elements(inner) => flatten(inner, value, &format!("{name}/"), form),
            Content::Items(..) => {}
            Content::Scalar if is_secret(&name, value) => {}
            Content::Scalar => {
                let text = items(value).iter().map(text).collect::<Vec<_>>().join(", ");
                if place(&name) != Place::Box || text == "true" {
                    form.set(&name, text);
                }
            }
        }
    }
}

/// Whether a value is one that goes in and does not come out.
pub(super) fn is_secret(name: &str, value: &Value) -> bool {
    is_secret_field(name) || value.as_str().is_some_and(is_secret_url)
}

/// Whether the values of a field are secrets whatever they are.
pub(super) fn is_secret_field(name: &str) -> bool {
    name.ends_with("/AccessKeySecret")
        || (name.starts_with("Redirect/MirrorHeaders/Set/") && name.ends_with("/Value"))
}

/// A URL in its three columns.
fn columns(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    (scheme, host, path.strip_prefix('/').unwrap_or(path))
}

/// A path at an origin without the folder that a prefix names too, where it ends with that.
///
/// The procedure of OSS's console names the folder in both places, and means it once.
fn folded<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let folder = prefix.strip_suffix('/').filter(|folder| !folder.is_empty())?;
    let rest = path.trim_end_matches('/').strip_suffix(folder)?;
    (rest.is_empty() || rest.ends_with('/')).then_some(rest)
}

/// Whether a path at an origin ends with the folder that a prefix names too.
pub(super) fn names_folder(path: &str, prefix: &str) -> bool {
    folded(path, prefix).is_some()
}

/// What may stand once, or several times in an array.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::String(_) => {
            std::slice::from_ref(value)
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether an element is for one mode only: for Mirror, or for redirects.
pub(super) fn only_for(name: &str) -> Option<bool> {
    match name {
        "ReplaceKeyWith" | "Protocol" | "HostName" | "HttpRedirectCode" => Some(false),
        name if name.contains("Mirror") => Some(true),
        _ => None,
    }
}

/// Whether a value is a list of words that stands in one field.
const fn is_words(element: &Element) -> bool {
    matches!((element.repeats, element.shape), (true, Shape::Token) | (_, Shape::Status))
}
