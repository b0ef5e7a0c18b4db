//! A configuration of OSS's form in S3's, and what S3 cannot say of it.
//!
//! A rule whose condition or kind S3 cannot say is left out whole: with less of a condition it
//! would apply to other requests. Of a redirect's details only the detail is lost.

use super::{each_field, keep, loss, named_loss};
use crate::diagnostics::Problem;
use crate::rule_file::tree::{Field, Kind, Node};

/// The most rules that S3 takes.
const MAX_RULES: usize = 50;

/// The same configuration as S3 has it.
pub(super) fn from_oss(root: &Node, losses: &mut Vec<Problem>) -> Node {
    let mut root = root.clone();
    if root.get("RedirectAllRequestsTo").is_some() {
        keep(&mut root, |field| field.name == "RedirectAllRequestsTo");
        return root;
    }
    each_field(&mut root, |field| match field.name.as_str() {
        "IndexDocument" => keep(&mut field.node, |field| {
            let says_nothing = match field.name.as_str() {
                "SupportSubDir" => !field.node.is_true(),
                "Type" => field.node.integer() == Some(0),
                _ => return true,
            };
            if !says_nothing {
                losses.push(element(field, "/IndexDocument"));
            }
            false
        }),
        "ErrorDocument" => keep(&mut field.node, |field| {
            if field.name == "HttpStatus" && field.node.integer() != Some(404) {
                losses.push(element(field, "/ErrorDocument"));
            }
            field.name != "HttpStatus"
        }),
        "RoutingRules" => {
            if let Kind::List(rules) = &mut field.node.kind {
                *rules = routing_rules(rules, losses);
            }
        }
        _ => {}
    });
    root
}

fn routing_rules(rules: &[Node], losses: &mut Vec<Problem>) -> Vec<Node> {
    let mut numbered: Vec<_> = rules.iter().enumerate().collect();
    numbered.sort_by_key(|(_, rule)| rule.get("RuleNumber").and_then(Node::integer));
    let mut said = Vec::new();
    for (index, rule) in numbered {
        let pointer = format!("/RoutingRules/{index}");
        let Some(rule) = routing_rule(rule, &pointer, losses) else { continue };
        if said.len() == MAX_RULES {
            let message = format!("S3 takes {MAX_RULES} rules: this one is left out");
            losses.push(loss(&rule, message).at(pointer));
            continue;
        }
        said.push(rule);
    }
    said
}

/// A rule as S3 has it; `None` if it cannot say when it applies, or what it does.
fn routing_rule(rule: &Node, pointer: &str, losses: &mut Vec<Problem>) -> Option<Node> {
    let nothing = Node { kind: Kind::Object(Vec::new()), span: rule.span.clone() };
    let condition = rule.get("Condition").unwrap_or(&nothing);
    let redirect = rule.get("Redirect").unwrap_or(&nothing);
    let before = losses.len();
    let condition = self::condition(condition, &format!("{pointer}/Condition"), losses);
    if losses.len() > before {
        return None;
    }
    let redirect = self::redirect(redirect, &format!("{pointer}/Redirect"), losses)?;
    if let Some(script) = rule.field("LuaConfig") {
        losses.push(element(script, pointer));
    }
    let mut fields = Vec::new();
    for (name, node) in [("Condition", condition), ("Redirect", redirect)] {
        // S3 takes no condition without a child.
        if name == "Redirect" || !node.fields().is_empty() {
            fields.push(Field { name: name.to_owned(), name_span: node.span.clone(), node });
        }
    }
    Some(Node { kind: Kind::Object(fields), span: rule.span.clone() })
}

fn condition(condition: &Node, pointer: &str, losses: &mut Vec<Problem>) -> Node {
    let mut condition = condition.clone();
    keep(&mut condition, |field| {
        let says_nothing =
            field.node.text().is_some_and(str::is_empty) || is_empty_list(&field.node);
        let in_s3 = match field.name.as_str() {
            "KeyPrefixEquals" => true,
            "HttpErrorCodeReturnedEquals" => field.node.integer().is_some(),
            _ => false,
        };
        if !in_s3 && !says_nothing {
            let message = format!("S3 has no such `{}`: the rule is left out", field.name);
            losses.push(named_loss(field, message).at(format!("{pointer}/{}", field.name)));
        }
        in_s3 && !says_nothing
    });
    condition
}

const fn is_empty_list(node: &Node) -> bool {
    matches!(&node.kind, Kind::List(items) if items.is_empty())
}

fn redirect(redirect: &Node, pointer: &str, losses: &mut Vec<Problem>) -> Option<Node> {
    if let Some(kind) = redirect.field("RedirectType") {
        let pointer = format!("{pointer}/RedirectType");
        match kind.node.text().unwrap_or_default() {
            "External" => {}
            "AliCDN" => {
                losses.push(loss(&kind.node, "S3 has no AliCDN: the rule redirects").at(pointer));
            }
            other => {
                let message = format!("S3 has no {other} rules: the rule is left out");
                losses.push(loss(&kind.node, message).at(pointer));
                return None;
            }
        }
    }
    if let Some(key) = redirect.field("ReplaceKeyWith")
        && key.node.text().is_some_and(|text| text.contains("${"))
    {
        let message = "S3 takes `${key}` as it stands: the rule is left out";
        losses.push(loss(&key.node, message).at(format!("{pointer}/ReplaceKeyWith")));
        return None;
    }
    let is_said =
        |name| redirect.get(name).and_then(Node::text).is_some_and(|text| !text.is_empty());
    if let Some(cut) = redirect.field("EnableReplacePrefix").filter(|field| field.node.is_true())
        && !is_said("ReplaceKeyPrefixWith")
    {
        let message = "S3 cuts no prefix off: the rule is left out";
        losses.push(named_loss(cut, message).at(format!("{pointer}/EnableReplacePrefix")));
        return None;
    }
    let mut said = redirect.clone();
    keep(&mut said, |field| match field.name.as_str() {
        "Protocol"
        | "HostName"
        | "HttpRedirectCode"
        | "ReplaceKeyPrefixWith"
        | "ReplaceKeyWith" => true,
        "RedirectType" | "EnableReplacePrefix" => false,
        "PassQueryString" if !field.node.is_true() => false,
        _ => {
            losses.push(element(field, pointer));
            false
        }
    });
    if said.fields().is_empty() {
        let message = "nothing is left of this redirect that S3 has: the rule is left out";
        losses.push(loss(redirect, message).at(pointer));
        return None;
    }
    Some(said)
}

/// An element that S3 lacks, of a rule that is written nevertheless.
fn element(field: &Field, pointer: &str) -> Problem {
    let name = &field.name;
    named_loss(field, format!("S3 has no such `{name}`")).at(format!("{pointer}/{name}"))
}
