//! `MirrorAuth`: whether it says all that a signature takes.
//!
//! Owns also what is shown in place of a secret, of a header's value that a rule sets too, and that
//! it is never taken for one. The filter
//! knows nothing of keys, so this is not its to say.

use back_to_origin::finding::Code as FilterCode;

use super::dialect::rules;
use super::tree::{Field, Kind, Node};
use crate::diagnostics::Problem;
use crate::secrecy::is_secret_url;

/// What stands where a secret is not to be shown.
pub(crate) const MASK: &str = "********";

/// The element that is a secret.
pub(super) const SECRET: &str = "AccessKeySecret";

/// The elements that there must be.
const REQUIRED: [&str; 4] = ["AuthType", "Region", "AccessKeyId", SECRET];

/// Headers that a signature consists of.
const OF_THE_SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// What is wrong with the keys in a file.
pub(super) fn check(root: &Node) -> Vec<Problem> {
    let above = if root.get("RoutingRules").is_some() { "/RoutingRules" } else { "" };
    let mut problems = Vec::new();
    for (index, rule) in rules(root).iter().enumerate() {
        let Some(redirect) = rule.get("Redirect") else { continue };
        problems.extend(masked_headers(redirect, &format!("{above}/{index}/Redirect")));
        let Some(auth) = redirect.field("MirrorAuth") else { continue };
        // Anything else is told of as such.
        if !matches!(auth.node.kind, Kind::Object(_)) {
            continue;
        }
        let pointer = format!("{above}/{index}/Redirect");
        for name in REQUIRED {
            problems.extend(element(auth, name, &format!("{pointer}/MirrorAuth")));
        }
        problems.extend(set_headers(redirect, &pointer));
    }
    problems
}

/// What is wrong with one element of a `MirrorAuth`. No value is shown.
fn element(auth: &Field, name: &str, pointer: &str) -> Option<Problem> {
    let field = auth.node.field(name).filter(|field| field.node.text() != Some(""));
    let Some(field) = field else {
        let message = format!("`{name}` is missing in `MirrorAuth`");
        let code = FilterCode::MissingElement.as_str();
        return Some(
            Problem::error(code, auth.name_span.clone(), message)
                .at(pointer)
                .help("a signature takes AuthType, Region, AccessKeyId and AccessKeySecret"),
        );
    };
    let text = field.node.text()?;
    let (message, help) = match name {
        "AuthType" if text != "S3V4" => (
            "expected S3V4, found another `AuthType`".to_owned(),
            "requests are signed by version 4 of S3's signatures, which OSS has too",
        ),
        SECRET if text == MASK => (
            "this is what is shown in place of the secret, and not the secret".to_owned(),
            "put the secret itself: an answer never has it",
        ),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => (
            format!("`{name}` has blanks, or characters outside ASCII"),
            "take it as the key's owner shows it",
        ),
        "Region" | "AccessKeyId" if text.contains(['/', ',']) => (
            format!("`{name}` has a `/` or a comma, which end it in a signature"),
            "take it as the key's owner shows it",
        ),
        _ => return None,
    };
    let code = FilterCode::BadWord.as_str();
    let problem = Problem::error(code, field.node.span.clone(), message);
    Some(problem.at(format!("{pointer}/{name}")).help(help))
}

/// Headers that are set to what is shown in place of their values.
fn masked_headers(redirect: &Node, pointer: &str) -> Vec<Problem> {
    let set = redirect.get("MirrorHeaders").and_then(|headers| headers.get("Set"));
    let pairs = set.map_or(&[][..], Node::items).iter().enumerate();
    let masked = pairs.filter_map(|(index, pair)| {
        let value = pair.get("Value").filter(|value| value.text() == Some(MASK))?;
        let message = "this is what is shown in place of the value, and not the value";
        let code = FilterCode::BadHeaderValue.as_str();
        let problem = Problem::error(code, value.span.clone(), message)
            .at(format!("{pointer}/MirrorHeaders/Set/{index}/Value"));
        Some(problem.help("put the value itself: an answer never has it"))
    });
    masked.collect()
}

/// Headers that the rule sets and the signature has.
fn set_headers(redirect: &Node, pointer: &str) -> Vec<Problem> {
    let set = redirect.get("MirrorHeaders").and_then(|headers| headers.get("Set"));
    let pairs = set.map_or(&[][..], Node::items).iter().enumerate();
    let conflicts = pairs.filter_map(|(index, pair)| {
        let key = pair.get("Key")?;
        let name = key.text()?.to_ascii_lowercase();
        let message = format!("`{name}` is part of the signature, beside `MirrorAuth`");
        OF_THE_SIGNATURE.contains(&name.as_str()).then(|| {
            Problem::error(FilterCode::BadHeaderName.as_str(), key.span.clone(), message)
                .at(format!("{pointer}/MirrorHeaders/Set/{index}/Key"))
                .help("leave out one of the two")
        })
    });
    conflicts.collect()
}

/// Whether a tree has a secret in it.
pub(super) fn has_secrets(node: &Node) -> bool {
    let in_field = |field: &Field| match field.name.as_str() {
        SECRET => true,
        "MirrorHeaders" => field.node.get("Set").is_some_and(|set| !set.items().is_empty()),
        _ => has_secrets(&field.node),
    };
    node.fields().iter().any(in_field) || node.items().iter().any(has_secrets)
}

/// A tree in which no secret is left.
pub(super) fn masked(node: &Node) -> Node {
    masked_in(node, &[SECRET], &[SECRET, "Value"])
}

/// A tree in which no key is left; headers that rules set are.
pub(super) fn without_keys(node: &Node) -> Node {
    masked_in(node, &[SECRET], &[SECRET])
}

/// A tree in which no element is left of these names, nor below `MirrorHeaders` of those.
fn masked_in(node: &Node, names: &[&str], of_headers: &[&str]) -> Node {
    let kind = match &node.kind {
        Kind::List(items) => {
            Kind::List(items.iter().map(|item| masked_in(item, names, of_headers)).collect())
        }
        Kind::Object(fields) => Kind::Object(
            fields
                .iter()
                .map(|field| {
                    let node = match field.name.as_str() {
                        name if names.contains(&name) => Node {
                            kind: Kind::Text(MASK.to_owned()),
                            span: field.node.span.clone(),
                        },
                        "MirrorHeaders" => masked_in(&field.node, of_headers, of_headers),
                        _ => masked_in(&field.node, names, of_headers),
                    };
                    Field { node, ..field.clone() }
                })
                .collect(),
        ),
        Kind::Text(text) if is_secret_url(text) => Kind::Text(MASK.to_owned()),
        Kind::Boolean(_) | Kind::Fraction(_) | Kind::Integer(_) | Kind::Nothing | Kind::Text(_) => {
            node.kind.clone()
        }
    };
    Node { kind, span: node.span.clone() }
}
